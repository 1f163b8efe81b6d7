/* tcp_connect: connections this host opens: how long until they stood, or why
 * they did not.
 *
 * The clock starts when connect(2) puts the socket in SYN_SENT and stops when it
 * leaves for ESTABLISHED or CLOSE, so a non-blocking connect is measured as well.
 * A connect that fails before the first SYN (no route, for one) changes no state
 * and is not seen. A socket that is closed before the answer came has no error of
 * its own: it is ECANCELED here.
 * source: tracepoint sock:inet_sock_set_state; net/ipv4/tcp_ipv4.c tcp_v4_connect() */
#include <waggle/socket.h>

SENSOR("TCP connections opened by this host: latency, or why they failed");

PARAM(wg_nanoseconds, min, "only connects that took at least this long (events)") = 0;
PARAM(bool, failed, "only connects that failed (events)") = false;

struct tcp_connect_row {
  wg_ktime when DOC("when it stood, or failed");
  wg_nanoseconds latency DOC("from the first SYN to the answer, or to giving up");
  wg_pid pid;
  wg_errno errno DOC("0 when it stood");
  wg_ip local;
  wg_ip remote;
  wg_port local_port;
  wg_port remote_port;
  __u32 retransmits DOC("SYNs that were sent again");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(tcp_connect, tcp_connect_row);

struct tcp_connect_key {
  wg_errno errno DOC("0 for those that stood");
  wg_comm comm;
};
struct tcp_connect_value {
  wg_latency_histogram latency;
};
TABLE(tcp_connect, tcp_connect_key, tcp_connect_value, 1024);

static __always_inline wg_errno failure_of(const struct sock *sk, wg_port local_port) {
  if (sk->sk_err) return sk->sk_err;
  /* No local port was left: connect(2) itself gave up. */
  return local_port ? 125 /* ECANCELED */ : 99 /* EADDRNOTAVAIL */;
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  if (after == WG_TCP_SYN_SENT) {
    if (!wg_owner_follow(sk, before, after)) {
      tcp_connect_lost();
      tcp_connect_table_lost();
    }
    return 0;
  }
  /* By way of SYN_RECV when both ends connect at once. */
  if (before != WG_TCP_SYN_SENT && before != WG_TCP_SYN_RECV) return 0;
  if (after != WG_TCP_ESTABLISHED && after != WG_TCP_CLOSE) return 0;
  struct wg_owner *found = wg_owner_of(sk);
  /* Accepted, or begun before the sensor. */
  if (!found) return 0;
  struct wg_owner owner = *found;
  wg_owner_forget(sk);

  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds latency = now - owner.opened;
  struct wg_ends ends;
  wg_ends_of_socket(sk, &ends);
  wg_errno failure = after == WG_TCP_ESTABLISHED ? 0 : failure_of(sk, ends.local_port);
  if (tcp_connect_produced(owner.wanted && latency >= param_min && !(param_failed && !failure))) {
    struct tcp_connect_row row = {};
    row.when = now;
    row.latency = latency;
    row.pid = owner.pid;
    row.errno = failure;
    row.local = ends.local;
    row.remote = ends.remote;
    row.local_port = ends.local_port;
    row.remote_port = ends.remote_port;
    struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
    if (tp) row.retransmits = tp->total_retrans;
    row.cgroup = owner.cgroup;
    __builtin_memcpy(row.comm, owner.comm, sizeof(row.comm));
    tcp_connect_submit(&row, sizeof(row));
  }
  if (tcp_connect_counted(owner.wanted)) {
    struct tcp_connect_key key = {.errno = failure};
    __builtin_memcpy(key.comm, owner.comm, sizeof(key.comm));
    struct tcp_connect_value *value = tcp_connect_row(&key);
    if (value) wg_observe(&value->latency, latency);
  }
  return 0;
}
