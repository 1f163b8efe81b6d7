/* tcp_accept: connections this host accepted: who took them, from where, and how
 * long they had waited in the listener's queue.
 *
 * The kernel puts a connection into the queue when the handshake is done; accept(2)
 * takes it out, whenever the program comes round to it. That wait is the latency
 * here: it is 0 for one that stood before the sensor began, and beyond 65536 in all
 * queues.
 * Where functions cannot be traced the system calls are followed instead: then what
 * io_uring and the kernel itself accept is not seen.
 * source: net/ipv4/inet_connection_sock.c inet_csk_accept(); accept(2);
 *   tracepoint sock:inet_sock_set_state
 *   92ef0fd55ac8 (6.10) gave inet_csk_accept() two parameters instead of four */
#include <waggle/descriptor.h>
#include <waggle/in_flight.h>
#include <waggle/net.h>

SENSOR("TCP connections accepted by this host: by whom, from where, wait in the queue");

PARAM(wg_nanoseconds, min, "only connections that waited at least this long (events)") = 0;

struct tcp_accept_row {
  wg_ktime when DOC("when it was accepted");
  wg_nanoseconds latency DOC("in the listener's queue; 0 when it stood before the sensor began");
  wg_pid pid;
  wg_tid tid;
  wg_ip local;
  wg_ip remote;
  wg_port local_port;
  wg_port remote_port;
  __u32 backlog DOC("connections left in the listener's queue");
  __u32 backlog_most DOC("as listen(2) and net.core.somaxconn allow");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(tcp_accept, tcp_accept_row);

struct tcp_accept_key {
  wg_port local_port;
  __u16 _pad;
  wg_comm comm;
};
struct tcp_accept_value {
  wg_latency_histogram latency DOC("in the listener's queue");
};
TABLE(tcp_accept, tcp_accept_key, tcp_accept_value, 1024);

/* When each connection that has not been accepted came into its queue. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, wg_ktime);
} queued SEC(".maps");

ALWAYS("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, const struct sock *sk, int before, int after) {
  if (sk->sk_protocol != WG_IPPROTO_TCP) return 0;
  __u64 key = (__u64)sk;
  if (before == WG_TCP_SYN_RECV && after == WG_TCP_ESTABLISHED) {
    wg_ktime now = bpf_ktime_get_ns();
    bpf_map_update_elem(&queued, &key, &now, BPF_ANY);
  } else if (after == WG_TCP_CLOSE) {
    bpf_map_delete_elem(&queued, &key);
  }
  return 0;
}

static __always_inline int accepted(const struct sock *listener, struct sock *sk) {
  wg_ktime now = bpf_ktime_get_ns();
  __u64 key = (__u64)sk;
  wg_ktime *since = bpf_map_lookup_elem(&queued, &key);
  wg_nanoseconds latency = since ? now - *since : 0;
  if (since) bpf_map_delete_elem(&queued, &key);
  bool wanted = wg_task_wanted();
  struct wg_ends ends;
  wg_ends_read(sk, &ends);
  if (tcp_accept_produced(wanted && latency >= param_min)) {
    __u64 id = bpf_get_current_pid_tgid();
    struct tcp_accept_row row = {};
    row.when = now;
    row.latency = latency;
    row.pid = id >> 32;
    row.tid = id;
    row.local = ends.local;
    row.remote = ends.remote;
    row.local_port = ends.local_port;
    row.remote_port = ends.remote_port;
    row.backlog = BPF_CORE_READ(listener, sk_ack_backlog);
    row.backlog_most = BPF_CORE_READ(listener, sk_max_ack_backlog);
    row.cgroup = bpf_get_current_cgroup_id();
    bpf_get_current_comm(row.comm, sizeof(row.comm));
    tcp_accept_submit(&row, sizeof(row));
  }
  if (!tcp_accept_counted(wanted)) return 0;
  struct tcp_accept_key entry = {.local_port = ends.local_port};
  bpf_get_current_comm(entry.comm, sizeof(entry.comm));
  struct tcp_accept_value *value = tcp_accept_row(&entry);
  if (value) wg_observe(&value->latency, latency);
  return 0;
}

struct proto_accept_arg;

HOOK(1, "fexit/inet_csk_accept")
int BPF_PROG(taken_from_queue, const struct sock *listener) {
  struct sock *sk = (struct sock *)(bpf_core_type_exists(struct proto_accept_arg) ? ctx[2] : ctx[4]);
  return sk && wg_is_tcp(sk) ? accepted(listener, sk) : 0;
}

/* The listener, while its call waits. */
struct accept_call {
  struct sock *listener;
};
IN_FLIGHT(accepts, accept_call);

static __always_inline int accept_began(__u32 fd) {
  struct accept_call call = {.listener = wg_socket_of(fd)};
  if (!call.listener || !wg_is_tcp(call.listener)) {
    accepts_skip();
  } else if (!accepts_begin(&call)) {
    tcp_accept_lost();
    tcp_accept_table_lost();
  }
  return 0;
}
static __always_inline int accept_ended(long fd) {
  struct accept_call call;
  if (!accepts_end(&call) || fd < 0) return 0;
  struct sock *sk = wg_socket_of(fd);
  if (sk) return accepted(call.listener, sk);
  /* Another thread has closed it already. */
  tcp_accept_lost();
  tcp_accept_table_lost();
  return 0;
}

HOOK(2, "tracepoint/syscalls/sys_enter_accept4")
int enter_accept4(struct wg_sys_enter *ctx) { return accept_began(ctx->args[0]); }
HOOK(2, "tracepoint/syscalls/sys_exit_accept4")
int leave_accept4(struct wg_sys_exit *ctx) { return accept_ended(ctx->ret); }
HOOK(2, "tracepoint/syscalls/sys_enter_accept")
int enter_accept(struct wg_sys_enter *ctx) { return accept_began(ctx->args[0]); }
HOOK(2, "tracepoint/syscalls/sys_exit_accept")
int leave_accept(struct wg_sys_exit *ctx) { return accept_ended(ctx->ret); }
