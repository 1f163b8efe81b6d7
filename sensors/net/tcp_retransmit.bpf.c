/* tcp_retransmit: segments that TCP sent again, on which connection, and why.
 *
 * The kernel hands over several segments at once (GSO): a row is one such
 * transmission, and `segments` is by how much the connection's own counter grew
 * since the last row, so that the sum of the column is TcpRetransSegs of nstat(8).
 * The tracepoint alone would not do: it tells of attempts that were given up
 * before they counted (6.17), and not of those that this host's queue refused
 * after they counted (before 6.17). What is left when a connection closes is a
 * row of its own, `unseen`. A connection older than the sensor is counted by
 * transmissions at first, then in the same way.
 * source: tracepoints tcp:tcp_retransmit_skb, tcp_retransmit_synack;
 *   net/ipv4/tcp_output.c __tcp_retransmit_skb(), tcp_rtx_synack()
 *   tcp_retransmit_skb has the error as its third argument since 6.17 */
#include <waggle/socket.h>

SENSOR("TCP segments sent again: connection, cause, how many");

struct tcp_retransmit_row {
  wg_ktime when;
  wg_pid pid DOC("the owner; 0 when it is not known");
  wg_tcp_state state;
  __u8 _pad[3];
  char cause[12] DOC("syn, synack; how the loss was found: timeout, fast, probe, other; or unseen until the end");
  wg_count segments DOC("as the kernel counts them in TcpRetransSegs");
  wg_bytes bytes DOC("payload");
  __u32 sequence DOC("number of the first byte");
  __u32 window DOC("congestion window, segments");
  wg_ip local;
  wg_ip remote;
  wg_port local_port;
  wg_port remote_port;
  __u32 _pad2;
  wg_cgroup cgroup DOC("in which the socket was made");
  wg_comm comm;
};
EVENTS(tcp_retransmit, tcp_retransmit_row);

struct tcp_retransmit_key {
  wg_ip remote;
  wg_port remote_port;
};
struct tcp_retransmit_value {
  wg_count segments;
  wg_bytes bytes;
};
TABLE(tcp_retransmit, tcp_retransmit_key, tcp_retransmit_value, 4096);

#define TCPHDR_SYN 0x02
/* source: include/uapi/linux/tcp.h enum tcp_ca_state; include/net/inet_connection_sock.h */
enum { CA_RECOVERY = 3, CA_LOSS = 4, TIME_LOSS_PROBE = 5 };

static __always_inline void set_cause(struct tcp_retransmit_row *row, struct tcp_sock *tp, __u8 flags) {
  __u8 recovery = BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state);
  if (flags & TCPHDR_SYN)
    __builtin_memcpy(row->cause, "syn", 4);
  else if (recovery == CA_LOSS)
    __builtin_memcpy(row->cause, "timeout", 8);
  else if (recovery == CA_RECOVERY)
    __builtin_memcpy(row->cause, "fast", 5);
  else if (tp->inet_conn.icsk_pending == TIME_LOSS_PROBE)
    __builtin_memcpy(row->cause, "probe", 6);
  else
    __builtin_memcpy(row->cause, "other", 6);
}

static __always_inline void report(struct tcp_retransmit_row *row, bool wanted) {
  if (tcp_retransmit_produced(wanted)) tcp_retransmit_submit(row, sizeof(*row));
  if (!tcp_retransmit_counted(wanted)) return;
  struct tcp_retransmit_key key = {.remote = row->remote, .remote_port = row->remote_port};
  struct tcp_retransmit_value *value = tcp_retransmit_row(&key);
  if (!value) return;
  wg_add(&value->segments, row->segments);
  wg_add(&value->bytes, row->bytes);
}

static __always_inline void set_ends(struct tcp_retransmit_row *row, const struct wg_ends *ends) {
  row->local = ends->local;
  row->remote = ends->remote;
  row->local_port = ends->local_port;
  row->remote_port = ends->remote_port;
}

/* What a row has of its socket, whatever happened. */
static __always_inline void begin(struct tcp_retransmit_row *row, const struct sock *sk, struct tcp_sock *tp,
                                  const struct wg_owner *owner) {
  row->when = bpf_ktime_get_ns();
  row->state = sk->__sk_common.skc_state;
  row->window = tp->snd_cwnd;
  row->cgroup = wg_socket_cgroup(sk);
  if (!owner) return;
  row->pid = owner->pid;
  __builtin_memcpy(row->comm, owner->comm, sizeof(row->comm));
}

/* By how much the connection's counter grew. Its socket is locked. */
static __always_inline __u32 growth(struct wg_owner *owner, struct tcp_sock *tp) {
  __u32 total = tp->total_retrans, grown = total - owner->retransmits;
  owner->retransmits = total;
  return grown;
}

typedef void (*btf_trace_tcp_retransmit_skb___with_error)(void *, const struct sock *, const struct sk_buff *, int);

ALWAYS("tp_btf/tcp_retransmit_skb")
int BPF_PROG(segment_sent_again, const struct sock *sk, const struct sk_buff *skb) {
  struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
  if (!tp) return 0;
  const struct tcp_skb_cb *cb = (const struct tcp_skb_cb *)skb->cb;
  struct wg_owner *owner = wg_owner_of(sk);
  __u32 segments;
  if (owner) {
    segments = growth(owner, tp);
  } else {
    bool failed = bpf_core_type_exists(btf_trace_tcp_retransmit_skb___with_error) && (int)ctx[2] < 0;
    segments = failed ? 0 : BPF_CORE_READ(cb, tcp_gso_segs);
    struct wg_owner older = {.retransmits = tp->total_retrans};
    __u64 key = (__u64)sk;
    bpf_map_update_elem(&wg_owners, &key, &older, BPF_NOEXIST);
  }
  if (!segments) return 0;
  struct tcp_retransmit_row row = {};
  begin(&row, sk, tp, owner);
  row.segments = segments;
  row.bytes = skb->len;
  row.sequence = BPF_CORE_READ(cb, seq);
  set_cause(&row, tp, BPF_CORE_READ(cb, tcp_flags));
  struct wg_ends ends;
  wg_ends_of_socket(sk, &ends);
  set_ends(&row, &ends);
  report(&row, wg_socket_wanted(owner));
  return 0;
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  wg_owner_follow(sk, before, after);
  if (before != WG_TCP_SYN_RECV && after != WG_TCP_CLOSE) return 0;
  struct wg_owner *found = wg_owner_of(sk);
  if (!found) return 0;
  struct wg_owner owner = *found;
  if (after == WG_TCP_CLOSE) wg_owner_forget(sk);
  struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
  if (!tp) return 0;
  /* An accepted connection inherits the count of its SYN-ACKs, which were rows. */
  if (before == WG_TCP_SYN_RECV && owner.direction == WG_IN) {
    growth(found, tp);
    return 0;
  }
  if (after != WG_TCP_CLOSE || tp->total_retrans == owner.retransmits) return 0;
  struct tcp_retransmit_row row = {};
  begin(&row, sk, tp, &owner);
  row.state = before;
  row.segments = tp->total_retrans - owner.retransmits;
  __builtin_memcpy(row.cause, "unseen", 7);
  struct wg_ends ends;
  wg_ends_of_socket(sk, &ends);
  set_ends(&row, &ends);
  report(&row, wg_socket_wanted(&owner));
  return 0;
}

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  wg_owner_reads(sk);
  return 0;
}

/* An answer to a SYN, before there is a socket for the connection; `sk` listens. */
ALWAYS("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_sent_again, const struct sock *sk, const struct request_sock *request) {
  struct tcp_retransmit_row row = {};
  row.when = bpf_ktime_get_ns();
  row.state = WG_TCP_NEW_SYN_RECV;
  row.segments = 1;
  __builtin_memcpy(row.cause, "synack", 7);
  struct wg_ends ends;
  wg_ends_of(&request->__req_common, &ends);
  set_ends(&row, &ends);
  row.cgroup = wg_socket_cgroup(sk);
  report(&row, !wg_filtered());
  return 0;
}
