/* tcp_rtt: round-trip times of TCP connections, by the other end's address.
 *
 * The kernel's smoothed estimate is taken each time a segment arrives on a
 * connection that stands, so busy connections weigh more.
 * source: tracepoint tcp:tcp_probe; RFC 6298 §2 */
#include <waggle/socket.h>

SENSOR("TCP round-trip times by the address of the other end");

PARAM(bool, by_port, "rows by the other end's port too") = false;

struct tcp_rtt_key {
  wg_ip remote;
  wg_port remote_port DOC("0 unless rows are by port");
};
struct tcp_rtt_value {
  wg_latency_histogram rtt DOC("smoothed, once for each segment received");
};
TABLE(tcp_rtt, tcp_rtt_key, tcp_rtt_value, 4096);

/* Owners matter to filters only. */
ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (!wg_filtered() || sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  wg_owner_follow(sk, before, after);
  if (after == WG_TCP_CLOSE) wg_owner_forget(sk);
  return 0;
}

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  if (wg_filtered()) wg_owner_reads(sk);
  return 0;
}

ALWAYS("tp_btf/tcp_probe")
int BPF_PROG(segment_received, struct sock *sk) {
  struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
  /* Nothing has been measured yet. */
  if (!tp || !tp->srtt_us) return 0;
  if (!tcp_rtt_counted(!wg_filtered() || wg_socket_wanted(wg_owner_of(sk)))) return 0;
  struct wg_ends ends;
  wg_ends_of(&sk->__sk_common, &ends);
  struct tcp_rtt_key key = {.remote = ends.remote};
  if (param_by_port) key.remote_port = ends.remote_port;
  struct tcp_rtt_value *value = tcp_rtt_row(&key);
  if (value) wg_observe(&value->rtt, (__u64)tp->srtt_us * 1000 / 8);
  return 0;
}
