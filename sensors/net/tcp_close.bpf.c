/* tcp_close: connections that ended: how long they stood, what they carried, how
 * they fared.
 *
 * One row when a connection that stood comes to CLOSE; for the end that closes
 * first that is when it goes to TIME_WAIT. Bytes are payload: the kernel's own
 * counters (bytes_acked, bytes_received) count SYN and FIN as bytes, which is
 * taken out here. A connection older than the sensor has no duration, direction
 * or owner, but all else.
 * source: tracepoint sock:inet_sock_set_state; RFC 4898 tcpEStatsAppHCThruOctets*; net/ipv4/tcp_input.c tcp_fin() */
#include <waggle/socket.h>

SENSOR("TCP connections that ended: duration, bytes both ways, who, and why");

PARAM(wg_nanoseconds, min, "only connections that stood at least this long") = 0;

struct tcp_close_row {
  wg_ktime when;
  wg_nanoseconds duration DOC("since SYN_SENT or SYN_RECV; 0 when it began before the sensor did");
  wg_pid pid DOC("the owner; 0 when it is not known");
  wg_errno errno DOC("0 when it ended in peace");
  char direction[4] DOC("out: this host connected; in: it was connected to; empty: not known");
  __u32 retransmits DOC("segments this host sent again");
  wg_ip local;
  wg_ip remote;
  wg_port local_port;
  wg_port remote_port;
  __u32 _pad;
  wg_bytes sent DOC("payload that the other end has acknowledged");
  wg_bytes received DOC("payload");
  wg_nanoseconds rtt DOC("smoothed round-trip time at the end");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(tcp_close, tcp_close_row);

#define SOCK_DONE 1 /* bit: a FIN has been received; enum sock_flags */

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  wg_owner_reads(sk);
  return 0;
}

static __always_inline void fill_transfer(struct tcp_close_row *row, const struct sock *sk) {
  struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
  if (!tp) return;
  /* What was acknowledged has SYN and FIN in it, what was sent for the first time
   * has not, but may not have arrived. */
  __u64 once = tp->bytes_sent - tp->bytes_retrans;
  row->sent = tp->bytes_acked < once ? tp->bytes_acked : once;
  row->received = tp->bytes_received;
  if (row->received && sk->__sk_common.skc_flags >> SOCK_DONE & 1) row->received--;
  row->retransmits = tp->total_retrans;
  row->rtt = (__u64)tp->srtt_us * 1000 / 8;
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  /* A connection that cannot be followed is a row all the same, with less in it. */
  wg_owner_follow(sk, before, after);
  if (after != WG_TCP_CLOSE) return 0;
  struct wg_owner *found = wg_owner_of(sk);
  struct wg_owner owner = {};
  /* Without an error it is a task that drops a connection by a reset. */
  if (found && !found->pid && before == WG_TCP_ESTABLISHED && !sk->sk_err) wg_owner_is_current(found);
  if (found) owner = *found;
  bool wanted = wg_socket_wanted(found);
  wg_owner_forget(sk);
  /* It never stood, or only listened. */
  if (before == WG_TCP_SYN_SENT || before == WG_TCP_SYN_RECV || before == WG_TCP_LISTEN || before == WG_TCP_CLOSE)
    return 0;

  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds duration = owner.opened ? now - owner.opened : 0;
  if (!tcp_close_produced(wanted && duration >= param_min)) return 0;
  struct tcp_close_row row = {};
  row.when = now;
  row.duration = duration;
  row.pid = owner.pid;
  row.errno = sk->sk_err;
  if (owner.direction == WG_OUT)
    __builtin_memcpy(row.direction, "out", 4);
  else if (owner.direction == WG_IN)
    __builtin_memcpy(row.direction, "in", 3);
  struct wg_ends ends;
  wg_ends_of_socket(sk, &ends);
  row.local = ends.local;
  row.remote = ends.remote;
  row.local_port = ends.local_port;
  row.remote_port = ends.remote_port;
  fill_transfer(&row, sk);
  row.cgroup = owner.opened ? owner.cgroup : wg_socket_cgroup(sk);
  __builtin_memcpy(row.comm, owner.comm, sizeof(row.comm));
  tcp_close_submit(&row, sizeof(row));
  return 0;
}
