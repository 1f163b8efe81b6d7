/* tcp_flow: what each connection carries, by process: payload bytes handed to the
 * kernel to be sent, and bytes taken from it.
 *
 * It is counted where a system call, io_uring or the kernel itself has sent or
 * received on the socket, so sent bytes may still lie in the send queue. Bytes that
 * were only looked at (MSG_PEEK) are not received.
 * source: tracepoints sock:sock_send_length, sock_recv_length (6.3); before them
 *   net/ipv4/af_inet.c inet_sendmsg(), inet_recvmsg(), inet_sendpage() (until 6.5);
 *   net/ipv4/tcp.c tcp_splice_read(), which no tracepoint tells of */
#include <waggle/net.h>

SENSOR("bytes sent and received by each TCP connection and process");

struct tcp_flow_key {
  wg_pid pid;
  wg_port local_port;
  wg_port remote_port;
  wg_ip local;
  wg_ip remote;
  wg_comm comm;
};
struct tcp_flow_value {
  wg_bytes sent DOC("payload given to the kernel");
  wg_bytes received DOC("payload taken from the kernel");
};
TABLE(tcp_flow, tcp_flow_key, tcp_flow_value, 16384);

#define MSG_PEEK 2

static __always_inline int moved(const struct sock *sk, __s64 sent, __s64 received) {
  if (sent <= 0 && received <= 0) return 0;
  if (!sk || !wg_is_tcp(sk) || !tcp_flow_counted(wg_task_wanted())) return 0;
  struct wg_ends ends;
  wg_ends_read(sk, &ends);
  struct tcp_flow_key key = {};
  key.pid = bpf_get_current_pid_tgid() >> 32;
  /* What is read after both ends have closed: the port has been given back. */
  key.local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
  key.remote_port = ends.remote_port;
  key.local = ends.local;
  key.remote = ends.remote;
  bpf_get_current_comm(key.comm, sizeof(key.comm));
  struct tcp_flow_value *value = tcp_flow_row(&key);
  if (!value) return 0;
  if (sent > 0) wg_add(&value->sent, sent);
  if (received > 0) wg_add(&value->received, received);
  return 0;
}

HOOK(1, "tp_btf/sock_send_length")
int BPF_PROG(sent, const struct sock *sk, int result) { return moved(sk, result, 0); }
HOOK(1, "tp_btf/sock_recv_length")
int BPF_PROG(received, const struct sock *sk, int result, int flags) {
  return flags & MSG_PEEK ? 0 : moved(sk, 0, result);
}

static __always_inline const struct sock *sock_of(const struct socket *socket) { return BPF_CORE_READ(socket, sk); }

#define SENDS(function)                                                                     \
  HOOK(2, "fexit/" #function)                                                               \
  int BPF_PROG(leave_##function, struct socket *socket, void *message, __u64 size, int result) { \
    return moved(sock_of(socket), result, 0);                                               \
  }
#define RECEIVES(function)                                                                  \
  HOOK(2, "fexit/" #function)                                                               \
  int BPF_PROG(leave_##function, struct socket *socket, void *message, __u64 size, int flags, int result) { \
    return flags & MSG_PEEK ? 0 : moved(sock_of(socket), 0, result);                        \
  }
SENDS(inet_sendmsg)
SENDS(inet6_sendmsg)
RECEIVES(inet_recvmsg)
RECEIVES(inet6_recvmsg)
HOOK(2, "fexit/inet_sendpage")
int BPF_PROG(leave_inet_sendpage, struct socket *socket, void *page, int offset, __u64 size, int flags, __s64 result) {
  return moved(sock_of(socket), result, 0);
}

OPTIONAL("fexit/tcp_splice_read", "bytes received by splice(2)")
int BPF_PROG(leave_tcp_splice_read, struct socket *socket, void *position, void *pipe, __u64 size, unsigned int flags,
             __s64 result) {
  return moved(sock_of(socket), 0, result);
}
