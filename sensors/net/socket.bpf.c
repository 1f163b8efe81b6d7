/* socket: the sockets there are, as ss(8) lists them: TCP, UDP and Unix, of the
 * network namespace of the reader.
 *
 * A socket knows its user and its inode, not who has it open: a first walk, over
 * open files, notes the processes, and a second one, over sockets, looks them up.
 * Of several processes that share a socket one is shown. What belongs to no
 * process (TIME_WAIT, a request that was not accepted) has pid 0.
 * source: iterators over tcp, udp, unix and task_file; net/ipv4/tcp_ipv4.c
 * get_tcp4_sock(); net/ipv4/udp.c udp4_format_sock(); net/unix/af_unix.c unix_seq_show() */
#include <waggle/net.h>
#include <waggle/snapshot.h>

SENSOR("sockets: state, addresses, queues, backlog, owner");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct socket_alloc {
  struct socket socket;
  struct inode vfs_inode;
};
typedef struct {
  atomic_t refs;
} refcount___in_sockets;
struct sock___in_snapshots {
  struct {
    atomic_t rmem_alloc;
  } sk_backlog;
  refcount___in_sockets sk_wmem_alloc;
  __u32 sk_ack_backlog, sk_max_ack_backlog;
  struct socket *sk_socket;
};
struct udp_sock {
  int forward_deficit;
};
struct tcp_sock___in_snapshots {
  __u32 rcv_nxt, copied_seq, write_seq, snd_una;
};
struct inet_timewait_sock {
  volatile unsigned char tw_substate;
};
struct unix_address {
  int len; /* of the family and the name */
  struct {
    char sun_path[108];
  } name[0];
};
struct unix_sock {
  struct unix_address *addr;
  struct sock *peer;
};
struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  __u32 fd;
  struct file *file;
};
struct bpf_iter__tcp {
  struct bpf_iter_meta *meta;
  struct sock_common *sk_common;
  __u32 uid;
};
struct bpf_iter__udp {
  struct bpf_iter_meta *meta;
  struct udp_sock *udp_sk;
  __u32 uid;
};
struct bpf_iter__unix {
  struct bpf_iter_meta *meta;
  struct unix_sock *unix_sk;
  __u32 uid;
};
#pragma clang attribute pop

struct socket_row {
  wg_ktime when;
  char protocol[8] DOC("tcp, tcp6, udp, udp6 or unix");
  wg_tcp_state state DOC("of UDP and Unix: ESTABLISHED when connected, else CLOSE, and LISTEN");
  __u8 _pad[3];
  wg_pid pid DOC("a process that has it open; 0: none");
  wg_comm comm;
  wg_uid uid;
  wg_port local_port;
  wg_port remote_port;
  wg_ip local DOC("of Unix none: ::");
  wg_ip remote;
  wg_bytes received DOC("that wait to be read (TCP, UDP)");
  wg_bytes unsent DOC("written and not acknowledged (TCP), or not yet on their way (UDP, Unix)");
  wg_count backlog DOC("of LISTEN: connections that wait for accept(2)");
  __u32 backlog_most DOC("of LISTEN: how many may wait");
  __u32 _pad2;
  wg_inode inode;
  wg_inode peer DOC("of Unix: the inode of the socket it is connected to");
  wg_cgroup cgroup DOC("in which it was made");
  char path[112] DOC("of Unix: its name; '@' begins an abstract one");
};
SNAPSHOT(socket, socket_row);

struct holder {
  __u64 walk; /* in which it was seen: what was closed since then has an older one */
  wg_pid pid;
  wg_comm comm;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, wg_inode);
  __type(value, struct holder);
} holders SEC(".maps");
/* One reader walks at a time. */
volatile __u64 walk = 0;

static __always_inline wg_inode inode_of(const struct sock___in_snapshots *sk) {
  struct socket *socket = BPF_CORE_READ(sk, sk_socket);
  if (!socket) return 0;
  struct socket_alloc *alloc = (void *)socket - bpf_core_field_offset(struct socket_alloc, socket);
  return BPF_CORE_READ(alloc, vfs_inode.i_ino);
}

#define S_IFSOCK 0140000
ALWAYS("iter/task_file")
int held(struct bpf_iter__task_file *ctx) {
  struct file *file = ctx->file;
  struct task_struct *task = ctx->task;
  if (ctx->meta->seq_num == 0) walk++;
  if (!file || !task) return 0;
  struct inode *inode = file->f_inode;
  if ((inode->i_mode & 0170000) != S_IFSOCK) return 0;
  wg_inode number = inode->i_ino;
  struct holder holder = {.walk = walk, .pid = task->tgid};
  bpf_probe_read_kernel_str(holder.comm, sizeof(holder.comm), task->comm);
  bpf_map_update_elem(&holders, &number, &holder, BPF_ANY);
  return 0;
}

/* What all of them have. False when nobody wants it. */
static __always_inline bool begin(struct socket_row *row, const struct sock *sk, __u32 uid, bool is_full) {
  row->when = bpf_ktime_get_ns();
  row->uid = uid;
  if (is_full) {
    row->inode = inode_of((void *)sk);
    row->cgroup = wg_socket_cgroup(sk);
  }
  struct holder *holder = row->inode ? bpf_map_lookup_elem(&holders, &row->inode) : NULL;
  if (holder && holder->walk == walk) {
    row->pid = holder->pid;
    __builtin_memcpy(row->comm, holder->comm, sizeof(row->comm));
  }
  return wg_owner_wanted(row->pid, row->comm) && (!wg_cgroup_set || (is_full && wg_cgroup_passes(wg_cgroup_of_socket(sk))));
}

static __always_inline void add_ends(struct socket_row *row, const struct sock_common *common) {
  struct wg_ends ends;
  wg_ends_of(common, &ends);
  row->local = ends.local;
  row->remote = ends.remote;
  row->local_port = ends.local_port;
  row->remote_port = ends.remote_port;
}

static __always_inline void add_backlog(struct socket_row *row, const struct sock___in_snapshots *sk) {
  row->backlog = BPF_CORE_READ(sk, sk_ack_backlog);
  row->backlog_most = BPF_CORE_READ(sk, sk_max_ack_backlog);
}

ALWAYS("iter/tcp")
int tcp(struct bpf_iter__tcp *ctx) {
  struct sock_common *common = ctx->sk_common;
  if (!common) return 0;
  struct socket_row row = {};
  __u8 state = common->skc_state;
  /* These two are only the beginning of a socket. */
  bool is_full = state != WG_TCP_TIME_WAIT && state != WG_TCP_NEW_SYN_RECV;
  if (!socket_passes(begin(&row, (struct sock *)common, ctx->uid, is_full))) return 0;
  if (common->skc_family == WG_AF_INET)
    __builtin_memcpy(row.protocol, "tcp", 4);
  else
    __builtin_memcpy(row.protocol, "tcp6", 5);
  add_ends(&row, common);
  row.state = state;
  if (state == WG_TCP_NEW_SYN_RECV) row.state = WG_TCP_SYN_RECV;
  /* FIN_WAIT2 waits in the same way. */
  if (state == WG_TCP_TIME_WAIT) row.state = BPF_CORE_READ((struct inet_timewait_sock *)common, tw_substate);
  if (state == WG_TCP_LISTEN) {
    add_backlog(&row, (void *)common);
  } else if (is_full) {
    struct tcp_sock___in_snapshots *tcp = (void *)common;
    __s32 received = BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq);
    row.received = received > 0 ? received : 0;
    row.unsent = BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una);
  }
  socket_write(ctx->meta, &row);
  return 0;
}

static __always_inline wg_bytes being_sent(const struct sock___in_snapshots *sk) {
  /* The socket itself counts as one. */
  int allocated = BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) - 1;
  return allocated > 0 ? allocated : 0;
}

ALWAYS("iter/udp")
int udp(struct bpf_iter__udp *ctx) {
  struct udp_sock *udp = ctx->udp_sk;
  if (!udp) return 0;
  struct sock_common *common = (struct sock_common *)udp;
  struct sock___in_snapshots *sk = (void *)udp;
  struct socket_row row = {};
  if (!socket_passes(begin(&row, (struct sock *)udp, ctx->uid, true))) return 0;
  if (common->skc_family == WG_AF_INET)
    __builtin_memcpy(row.protocol, "udp", 4);
  else
    __builtin_memcpy(row.protocol, "udp6", 5);
  add_ends(&row, common);
  row.state = common->skc_state;
  int received = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter) - BPF_CORE_READ(udp, forward_deficit);
  row.received = received > 0 ? received : 0;
  row.unsent = being_sent(sk);
  socket_write(ctx->meta, &row);
  return 0;
}

OPTIONAL("iter/unix", "Unix sockets")
int unix(struct bpf_iter__unix *ctx) {
  struct unix_sock *unix = ctx->unix_sk;
  if (!unix) return 0;
  struct sock___in_snapshots *sk = (void *)unix;
  struct socket_row row = {};
  if (!socket_passes(begin(&row, (struct sock *)unix, ctx->uid, true))) return 0;
  __builtin_memcpy(row.protocol, "unix", 5);
  row.state = BPF_CORE_READ((struct sock_common *)unix, skc_state);
  if (row.state == WG_TCP_LISTEN) add_backlog(&row, sk);
  row.unsent = being_sent(sk);
  struct sock *peer = BPF_CORE_READ(unix, peer);
  if (peer) row.peer = inode_of((void *)peer);
  struct unix_address *address = BPF_CORE_READ(unix, addr);
  if (address) {
    __u32 length = BPF_CORE_READ(address, len) - sizeof(__u16);
    const char *name = (void *)address + bpf_core_field_offset(struct unix_address, name) + sizeof(__u16);
    if (length > sizeof(row.path) - 4) length = 0;
    bpf_probe_read_kernel(row.path, length, name);
    if (length && !row.path[0]) row.path[0] = '@';
  }
  socket_write(ctx->meta, &row);
  return 0;
}
