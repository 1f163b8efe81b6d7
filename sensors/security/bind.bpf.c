/* bind: addresses and ports that programs take for themselves, bind(2), and on which
 * they begin to listen, listen(2); failed attempts too.
 *
 * A row is one call on an IPv4 or IPv6 socket. Where the call succeeded the address is
 * the socket's, with the port that the kernel chose when none was asked for; where it
 * failed it is what was asked for, and listen's is what the socket has.
 * source: tracepoints syscalls:sys_exit_{bind,listen}; bind(2), listen(2) */
#include <waggle/call.h>
#include <waggle/descriptor.h>
#include <waggle/net.h>

SENSOR("ports taken and listened on: address, port, protocol, result");

PARAM(bool, failed, "only calls that failed") = false;
PARAM(wg_port, port, "only this port") = 0;

struct bind_row {
  wg_ktime when;
  wg_syscall call DOC("bind or listen");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when it succeeded");
  wg_ip_protocol protocol;
  __u8 reuse_address DOC("1 with SO_REUSEADDR");
  __u8 reuse_port DOC("1 with SO_REUSEPORT");
  __u8 _pad;
  wg_port port;
  __u16 _pad2;
  __u32 interface DOC("index of the network interface it is bound to; 0: all");
  wg_ip address;
  __s32 backlog DOC("of listen: connections that may wait, as asked for");
  wg_fd fd DOC("of the socket");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(bind, bind_row);

/* source: include/uapi/linux/in.h, in6.h */
struct address {
  __u16 family;
  __u16 port; /* network byte order */
  __u32 v4;
  struct {
    __u8 bytes[16];
  } v6; /* behind the flow's label, where v4 has its address */
};
/* arch/x86/entry/syscalls/syscall_64.tbl */
enum { BIND = 49, LISTEN = 50 };

static __always_inline void set_asked_address(struct bind_row *row, const void *user, unsigned long length) {
  struct address address = {};
  if (bpf_probe_read_user(&address, length < sizeof(address) ? 8 : sizeof(address), user)) return;
  row->port = bpf_ntohs(address.port);
  if (address.family == WG_AF_INET6 && length >= sizeof(address))
    __builtin_memcpy(&row->address, &address.v6, sizeof(row->address));
  else
    wg_ip_from_v4(&row->address, address.v4);
}

static __always_inline void set_bound_address(struct bind_row *row, struct sock *sk, __u16 family) {
  row->port = BPF_CORE_READ(sk, __sk_common.skc_num);
  /* Without CONFIG_IPV6 the field is not there. */
  if (bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr) && family == WG_AF_INET6) {
    struct in6_addr address = {};
    BPF_CORE_READ_INTO(&address, sk, __sk_common.skc_v6_rcv_saddr);
    wg_ip_from_v6(&row->address, &address);
  } else {
    wg_ip_from_v4(&row->address, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
  }
}

static __always_inline int returned(__u32 call, long result) {
  struct wg_call_words arguments;
  wg_call_arguments(&arguments);
  struct sock *sk = wg_socket_of(arguments.at[0]);
  if (!sk) return 0;
  __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
  if (family != WG_AF_INET && family != WG_AF_INET6) return 0;
  struct bind_row row = {};
  row.errno = wg_errno_of(result);
  if (call == BIND && row.errno)
    set_asked_address(&row, (const void *)arguments.at[1], arguments.at[2]);
  else
    set_bound_address(&row, sk, family);
  bool wanted = !(param_failed && !row.errno) && (!param_port || row.port == param_port) && wg_task_wanted();
  if (!bind_produced(wanted)) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row.when = bpf_ktime_get_ns();
  row.call = call;
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  /* MPTCP's 262 becomes what it is on the wire: 6, TCP. */
  row.protocol = BPF_CORE_READ(sk, sk_protocol);
  row.reuse_address = BPF_CORE_READ_BITFIELD_PROBED(&sk->__sk_common, skc_reuse) != 0;
  row.reuse_port = BPF_CORE_READ_BITFIELD_PROBED(&sk->__sk_common, skc_reuseport);
  row.interface = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
  row.backlog = call == LISTEN ? (int)arguments.at[1] : 0;
  row.fd = arguments.at[0];
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  bind_submit(&row, sizeof(row));
  return 0;
}

ALWAYS("tracepoint/syscalls/sys_exit_bind")
int leave_bind(struct wg_sys_exit *ctx) { return returned(BIND, ctx->ret); }
ALWAYS("tracepoint/syscalls/sys_exit_listen")
int leave_listen(struct wg_sys_exit *ctx) { return returned(LISTEN, ctx->ret); }
