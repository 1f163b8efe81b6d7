/* tcp_reset: connections that were cut off by a reset: sent from here, or received;
 * of which connection, in which state, why, and whose.
 *
 * Resets that this host sends for packets that belong to no connection (a closed
 * port) have no socket, and no state: their ends are those of the packet. Only the
 * kernel's own sending is seen, and a reset that arrives for no connection is not.
 * The reason is there since 6.10; before, the tracepoint tells only of resets of a
 * connection, and the others are taken at the functions where they are made. Where
 * functions cannot be traced those are missing.
 * source: tracepoints tcp:tcp_send_reset, tcp:tcp_receive_reset; RFC 9293 §3.5.2
 *   b533fb9cf4f7 (6.10) added the reason, 19822a980e19 (6.10) those without a socket */
#include <waggle/socket.h>

SENSOR("TCP resets sent and received: connection, state, reason, whose");

PARAM(wg_port, local_port, "only connections of this port here") = 0;
PARAM(wg_port, remote_port, "only connections of this port at the other end") = 0;

struct tcp_reset_row {
  wg_ktime when;
  wg_pid pid DOC("the owner; 0 when it is not known");
  wg_reset_reason reason DOC("NOT_SPECIFIED when received, and before Linux 6.10");
  char direction[4] DOC("out: this host sent it; in: it was received");
  wg_tcp_state state DOC("of the connection; 0: no connection");
  __u8 _pad[3];
  wg_ip local;
  wg_ip remote;
  wg_port local_port;
  wg_port remote_port;
  __u32 _pad2;
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(tcp_reset, tcp_reset_row);

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  wg_owner_reads(sk);
  return 0;
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  wg_owner_follow(sk, before, after);
  if (after == WG_TCP_CLOSE) wg_owner_forget(sk);
  return 0;
}

static __always_inline void report(struct tcp_reset_row *row, const struct wg_ends *ends, bool wanted) {
  if (param_local_port && ends->local_port != param_local_port) wanted = false;
  if (param_remote_port && ends->remote_port != param_remote_port) wanted = false;
  if (!tcp_reset_produced(wanted)) return;
  row->when = bpf_ktime_get_ns();
  row->local = ends->local;
  row->remote = ends->remote;
  row->local_port = ends->local_port;
  row->remote_port = ends->remote_port;
  tcp_reset_submit(row, sizeof(*row));
}

/* TIME_WAIT and a request are not whole sockets: they have addresses and no more. */
static __always_inline bool is_whole(__u8 state) { return state != WG_TCP_TIME_WAIT && state != WG_TCP_NEW_SYN_RECV; }

static __always_inline void of_socket(const struct sock *sk, struct tcp_reset_row *row, bool by_task) {
  struct wg_owner *found = wg_owner_of(sk);
  struct wg_owner owner = {};
  if (found) owner = *found;
  if (!owner.pid && by_task) wg_owner_is_current(&owner);
  struct wg_ends ends;
  wg_ends_read(sk, &ends);
  if (is_whole(row->state)) {
    /* Closed first, then reset: the port has been given back. */
    if (!ends.local_port) ends.local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
    row->cgroup = owner.cgroup ?: wg_socket_cgroup(sk);
  }
  row->pid = owner.pid;
  __builtin_memcpy(row->comm, owner.comm, sizeof(row->comm));
  report(row, &ends, wg_socket_wanted(&owner));
}

ALWAYS("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received, struct sock *sk) {
  struct tcp_reset_row row = {.direction = "in", .state = sk->__sk_common.skc_state};
  of_socket(sk, &row, false);
  return 0;
}

/* source: RFC 791 §3.1, RFC 8200 §3, RFC 9293 §3.1 */
struct ip_ports {
  __u16 source, destination;
};
#define TCP_FLAGS_AT 13
#define TCP_FLAG_RST 4

/* The ends of the packet that is being refused: it came to the local one. A packet
 * that is a reset itself is not answered. */
static __always_inline bool read_refused(const struct sk_buff *skb, struct wg_ends *ends) {
  const unsigned char *network = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
  const unsigned char *transport = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, transport_header);
  if (BPF_CORE_READ(skb, protocol) == bpf_htons(WG_ETH_P_IP)) {
    __u32 addresses[2];
    if (bpf_probe_read_kernel(addresses, sizeof(addresses), network + 12)) return false;
    wg_ip_from_v4(&ends->remote, addresses[0]);
    wg_ip_from_v4(&ends->local, addresses[1]);
  } else {
    if (bpf_probe_read_kernel(&ends->remote, sizeof(wg_ip), network + 8)) return false;
    if (bpf_probe_read_kernel(&ends->local, sizeof(wg_ip), network + 24)) return false;
  }
  struct ip_ports ports;
  __u8 flags;
  if (bpf_probe_read_kernel(&ports, sizeof(ports), transport)) return false;
  if (bpf_probe_read_kernel(&flags, 1, transport + TCP_FLAGS_AT) || flags & TCP_FLAG_RST) return false;
  ends->remote_port = bpf_ntohs(ports.source);
  ends->local_port = bpf_ntohs(ports.destination);
  return true;
}

static __always_inline int reset_sent(const struct sock *sk, const struct sk_buff *skb, __u32 reason) {
  struct tcp_reset_row row = {.direction = "out", .reason = reason};
  if (sk) {
    row.state = BPF_CORE_READ(sk, __sk_common.skc_state);
    /* close(2) and disconnecting close first and reset then, within the call. */
    of_socket(sk, &row, !skb && row.state == WG_TCP_CLOSE);
    return 0;
  }
  struct wg_ends ends;
  if (skb && read_refused(skb, &ends)) report(&row, &ends, !wg_filtered());
  return 0;
}

/* Older kernels have no third argument, and their verifiers say so. */
HOOK(1, "tp_btf/tcp_send_reset")
int reset_sent_for_reason(__u64 *ctx) { return reset_sent((void *)ctx[0], (void *)ctx[1], ctx[2]); }

HOOK(2, "tp_btf/tcp_send_reset")
int reset_sent_of_connection(__u64 *ctx) { return reset_sent((void *)ctx[0], (void *)ctx[1], 0); }

/* What the tracepoint leaves out. */
static __always_inline int reset_of_nobody(const struct sock *sk, const struct sk_buff *skb) {
  if (sk && is_whole(sk->__sk_common.skc_state)) return 0;
  struct tcp_reset_row row = {.direction = "out"};
  if (sk) row.state = sk->__sk_common.skc_state;
  struct wg_ends ends;
  if (read_refused(skb, &ends)) report(&row, &ends, !wg_filtered());
  return 0;
}
HOOK(2, "fentry/tcp_v4_send_reset")
int BPF_PROG(refused_v4, const struct sock *sk, const struct sk_buff *skb) { return reset_of_nobody(sk, skb); }
HOOK(2, "fentry/tcp_v6_send_reset")
int BPF_PROG(refused_v6, const struct sock *sk, const struct sk_buff *skb) { return reset_of_nobody(sk, skb); }

HOOK(3, "tp_btf/tcp_send_reset")
int reset_sent_of_connection_alone(__u64 *ctx) { return reset_sent((void *)ctx[0], (void *)ctx[1], 0); }
