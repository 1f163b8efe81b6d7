/* tcp_congestion: connections whose congestion control changes its state: Open,
 * Disorder, CWR, Recovery, Loss; and how long it had been in the state before.
 *
 * Open is when all is well. Loss is a retransmission timeout: the connection stands
 * still. Before 6.0 nothing tells of a change as it happens; the state is looked at
 * when an acknowledgement has been handled, a timeout declared and a window reduced,
 * so states that begin and end within one acknowledgement are not seen there.
 * source: tracepoint tcp:tcp_cong_state_set (6.0); net/ipv4/tcp_input.c tcp_ack(),
 *   tcp_enter_loss(), tcp_enter_cwr(); RFC 5681, RFC 6675 */
#include <waggle/socket.h>

SENSOR("TCP congestion control changing state: from, to, window, connection");

PARAM(wg_nanoseconds, min, "only states that lasted at least this long (events)") = 0;

struct tcp_congestion_row {
  wg_ktime when;
  wg_nanoseconds duration DOC("in the old state; 0 when that began before the sensor did");
  wg_pid pid DOC("the owner; 0 when it is not known");
  wg_tcp_ca_state old_state;
  wg_tcp_ca_state new_state;
  wg_port local_port;
  wg_port remote_port;
  __u16 _pad;
  __u32 window DOC("congestion window, segments");
  __u32 threshold DOC("of slow start, segments; 2147483647: none yet");
  __u32 _pad2;
  wg_nanoseconds rtt DOC("smoothed round-trip time");
  wg_ip local;
  wg_ip remote;
  wg_cgroup cgroup DOC("in which the socket was made");
  wg_comm comm;
};
EVENTS(tcp_congestion, tcp_congestion_row);

struct tcp_congestion_key {
  wg_ip remote;
  wg_tcp_ca_state state DOC("that was left");
};
struct tcp_congestion_value {
  wg_latency_histogram duration DOC("in the state");
};
TABLE(tcp_congestion, tcp_congestion_key, tcp_congestion_value, 2048);

ALWAYS("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read, struct sock *sk) {
  wg_owner_reads(sk);
  return 0;
}

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  wg_owner_follow(sk, before, after);
  if (after == WG_TCP_CLOSE) wg_owner_forget(sk);
  return 0;
}

static __always_inline __u8 state_of(const struct sock *sk) {
  struct tcp_sock *tp = (struct tcp_sock *)sk;
  return BPF_CORE_READ_BITFIELD_PROBED(&tp->inet_conn, icsk_ca_state);
}

static __always_inline void changed(const struct sock *sk, struct wg_owner *found, __u8 before, __u8 after) {
  wg_ktime now = bpf_ktime_get_ns();
  struct wg_owner owner = {};
  if (found) {
    owner = *found;
    found->changed = now;
  } else {
    __u64 key = (__u64)sk;
    struct wg_owner older = {.changed = now, .cgroup = wg_socket_cgroup(sk), .congestion = after};
    bpf_map_update_elem(&wg_owners, &key, &older, BPF_NOEXIST);
  }
  wg_ktime since = owner.changed ?: owner.opened;
  wg_nanoseconds duration = since ? now - since : 0;
  bool wanted = wg_socket_wanted(&owner);
  struct wg_ends ends;
  wg_ends_read(sk, &ends);
  if (tcp_congestion_produced(wanted && duration >= param_min)) {
    struct tcp_sock *tp = (struct tcp_sock *)sk;
    struct tcp_congestion_row row = {};
    row.when = now;
    row.duration = duration;
    row.pid = owner.pid;
    row.old_state = before;
    row.new_state = after;
    row.local_port = ends.local_port;
    row.remote_port = ends.remote_port;
    row.window = BPF_CORE_READ(tp, snd_cwnd);
    row.threshold = BPF_CORE_READ(tp, snd_ssthresh);
    row.rtt = (__u64)BPF_CORE_READ(tp, srtt_us) * 1000 / 8;
    row.local = ends.local;
    row.remote = ends.remote;
    row.cgroup = wg_socket_cgroup(sk);
    __builtin_memcpy(row.comm, owner.comm, sizeof(row.comm));
    tcp_congestion_submit(&row, sizeof(row));
  }
  if (!tcp_congestion_counted(wanted)) return;
  struct tcp_congestion_key key = {.remote = ends.remote, .state = before};
  struct tcp_congestion_value *value = tcp_congestion_row(&key);
  if (value) wg_observe(&value->duration, duration);
}

/* It is told before the socket's own field changes; setting it anew is no change. */
HOOK(1, "tp_btf/tcp_cong_state_set")
int BPF_PROG(congestion_state_set, const struct sock *sk, __u8 after) {
  __u8 before = state_of(sk);
  if (before != after) changed(sk, wg_owner_of(sk), before, after);
  return 0;
}

static __always_inline int look(const struct sock *sk) {
  __u8 now = state_of(sk);
  struct wg_owner *owner = wg_owner_of(sk);
  __u8 before = owner ? owner->congestion : 0;
  if (before == now) return 0;
  if (owner) owner->congestion = now;
  changed(sk, owner, before, now);
  return 0;
}
HOOK(2, "fexit/tcp_ack")
int BPF_PROG(acknowledged, const struct sock *sk) { return look(sk); }
HOOK(2, "fexit/tcp_enter_loss")
int BPF_PROG(loss_entered, const struct sock *sk) { return look(sk); }
HOOK(2, "fexit/tcp_enter_cwr")
int BPF_PROG(reduced, const struct sock *sk) { return look(sk); }
