/* Who owns a TCP socket. Packets are handled in interrupts, where the current
 * task is whoever was interrupted; so the owner is noted when a task touches the
 * socket itself: it connects, reads, or closes. An accepted connection has no
 * known owner before that.
 *
 * Only connections that open while the sensor runs are followed, 32768 at once;
 * what cannot be followed has pid 0 and no name. The socket's address is the key.
 * source: tracepoints sock:inet_sock_set_state, tcp:tcp_rcv_space_adjust */
#pragma once

#include <waggle/net.h>

enum wg_direction { WG_UNKNOWN, WG_OUT, WG_IN };

struct wg_owner {
  wg_ktime opened;
  wg_ktime changed; /* for sensors that time states: when the state began; 0: not known */
  wg_cgroup cgroup;
  wg_pid pid; /* 0: not known yet */
  __u8 direction;
  bool wanted; /* by -p, --comm, --cgroup */
  __u32 retransmits; /* for sensors that count them: tcp_sock.total_retrans as last seen */
  wg_comm comm;
  __u8 congestion; /* for sensors that look for its changes: state of congestion control as last seen */
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 32768);
  __type(key, __u64);
  __type(value, struct wg_owner);
} wg_owners SEC(".maps");

static __always_inline struct wg_owner *wg_owner_of(const struct sock *sk) {
  __u64 key = (__u64)sk;
  return bpf_map_lookup_elem(&wg_owners, &key);
}

/* The task that runs now owns the socket. */
static __always_inline void wg_owner_is_current(struct wg_owner *owner) {
  owner->pid = bpf_get_current_pid_tgid() >> 32;
  owner->cgroup = bpf_get_current_cgroup_id();
  owner->wanted = wg_task_wanted();
  bpf_get_current_comm(owner->comm, sizeof(owner->comm));
}

/* REQUIRES: called at each change of state, before what the sensor does with it.
 * Returns false when a new connection cannot be followed. */
static __always_inline bool wg_owner_follow(const struct sock *sk, int before, int after) {
  __u64 key = (__u64)sk;
  struct wg_owner fresh = {};
  if (after == WG_TCP_SYN_SENT) {
    fresh.direction = WG_OUT;
    wg_owner_is_current(&fresh);
  } else if (before == WG_TCP_LISTEN && after == WG_TCP_SYN_RECV) {
    fresh.direction = WG_IN;
    fresh.cgroup = wg_socket_cgroup(sk);
  } else {
    /* close(2) and shutdown(2): the task itself. */
    if ((before == WG_TCP_ESTABLISHED && after == WG_TCP_FIN_WAIT1) || after == WG_TCP_LAST_ACK) {
      struct wg_owner *owner = wg_owner_of(sk);
      if (owner && !owner->pid) wg_owner_is_current(owner);
    }
    return true;
  }
  fresh.opened = bpf_ktime_get_ns();
  return bpf_map_update_elem(&wg_owners, &key, &fresh, BPF_ANY) == 0;
}

static __always_inline void wg_owner_forget(const struct sock *sk) {
  __u64 key = (__u64)sk;
  bpf_map_delete_elem(&wg_owners, &key);
}

/* A task reads from the socket. */
static __always_inline void wg_owner_reads(const struct sock *sk) {
  struct wg_owner *owner = wg_owner_of(sk);
  if (owner && !owner->pid) wg_owner_is_current(owner);
}

/* A socket whose owner is not known passes when nothing is filtered. */
static __always_inline bool wg_socket_wanted(const struct wg_owner *owner) {
  return owner && owner->pid ? owner->wanted : !wg_filtered();
}
