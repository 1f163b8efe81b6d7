/* tcp_state: every change of state of every TCP socket: from what to what, and how
 * long it had been in the state it left.
 *
 * Listening sockets are among them. A connection that is being accepted begins as a
 * copy of the listener: LISTEN to SYN_RECV. An end that waits in TIME_WAIT has left
 * its socket behind and is CLOSE here. The owner is known as in tcp_close: from the
 * first time that a task touches the socket.
 * source: tracepoint sock:inet_sock_set_state; RFC 9293 §3.3.2 */
#include <waggle/socket.h>

SENSOR("TCP sockets changing state: from, to, time in the state before, whose");

PARAM(wg_nanoseconds, min, "only states that lasted at least this long") = 0;
PARAM(wg_port, local_port, "only sockets of this port here") = 0;
PARAM(wg_port, remote_port, "only sockets of this port at the other end") = 0;

struct tcp_state_row {
  wg_ktime when;
  wg_nanoseconds duration DOC("in the old state; 0 when that began before the sensor did");
  wg_pid pid DOC("the owner; 0 when it is not known");
  wg_tcp_state old_state;
  wg_tcp_state new_state;
  wg_port local_port DOC("0 before the kernel has chosen one");
  wg_port remote_port;
  __u16 _pad;
  wg_errno errno DOC("of the socket, when it comes to CLOSE: 0 when it ended in peace");
  wg_ip local;
  wg_ip remote;
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(tcp_state, tcp_state_row);

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  wg_owner_reads(sk);
  return 0;
}

/* bind(2), listen(2), close(2) and the like: the task that runs does it. */
static __always_inline bool is_by_task(const struct sock *sk, int before, int after) {
  return after == WG_TCP_LISTEN || (before == WG_TCP_LISTEN && after == WG_TCP_CLOSE) ||
         (before == WG_TCP_CLOSE_WAIT && after == WG_TCP_LAST_ACK) ||
         (before == WG_TCP_ESTABLISHED && (after == WG_TCP_FIN_WAIT1 || (after == WG_TCP_CLOSE && !sk->sk_err)));
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  /* A socket that cannot be followed is a row all the same, with less in it. */
  wg_owner_follow(sk, before, after);
  struct wg_owner *found = wg_owner_of(sk);
  if (!found && after != WG_TCP_CLOSE) {
    __u64 key = (__u64)sk;
    struct wg_owner older = {.cgroup = wg_socket_cgroup(sk)};
    bpf_map_update_elem(&wg_owners, &key, &older, BPF_ANY);
    found = wg_owner_of(sk);
  }
  wg_ktime now = bpf_ktime_get_ns();
  struct wg_owner owner = {};
  if (found) {
    if (!found->pid && is_by_task(sk, before, after)) wg_owner_is_current(found);
    owner = *found;
    found->changed = now;
  } else if (is_by_task(sk, before, after)) {
    wg_owner_is_current(&owner);
  }
  if (after == WG_TCP_CLOSE) wg_owner_forget(sk);

  wg_nanoseconds duration = owner.changed ? now - owner.changed : 0;
  struct wg_ends ends;
  wg_ends_of_socket(sk, &ends);
  bool wanted = wg_socket_wanted(&owner) && duration >= param_min &&
                (!param_local_port || ends.local_port == param_local_port) &&
                (!param_remote_port || ends.remote_port == param_remote_port);
  if (!tcp_state_produced(wanted)) return 0;
  struct tcp_state_row row = {};
  row.when = now;
  row.duration = duration;
  row.pid = owner.pid;
  row.old_state = before;
  row.new_state = after;
  row.local_port = ends.local_port;
  row.remote_port = ends.remote_port;
  if (after == WG_TCP_CLOSE) row.errno = sk->sk_err;
  row.local = ends.local;
  row.remote = ends.remote;
  row.cgroup = owner.cgroup ?: wg_socket_cgroup(sk);
  __builtin_memcpy(row.comm, owner.comm, sizeof(row.comm));
  tcp_state_submit(&row, sizeof(row));
  return 0;
}
