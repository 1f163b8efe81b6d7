/* The few kernel types that sensors look into, with the fields they use. Field
 * offsets are those of the running kernel: libbpf relocates them (CO-RE). A
 * field that moved or was renamed has a flavour, `struct x___since_or_until`,
 * with the commit that moved it. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef int pid_t;

/* The function of a system call, and its arguments, in x86-64's names. */
#define WG_SYSCALL(name) "__x64_sys_" name
struct pt_regs___syscall {
  unsigned long di, si, dx, r10, r8, r9;
};

/* x86-64 has no other size. */
#define WG_PAGE_BYTES 4096

struct refcount_struct_;
typedef struct {
  int counter;
} atomic_t;

struct list_head {
  struct list_head *next, *prev;
};
typedef struct {
  __u32 val;
} kuid_t;
typedef struct {
  __u32 val;
} kgid_t;
struct cred {
  kuid_t uid;
  kgid_t gid;
};

struct qstr {
  __u32 len;
  const unsigned char *name;
};
struct dentry {
  struct dentry *d_parent;
  struct qstr d_name;
  struct inode *d_inode;
};
struct vfsmount {
  struct dentry *mnt_root;
};
struct mount {
  struct mount *mnt_parent;
  struct dentry *mnt_mountpoint;
  struct vfsmount mnt;
};
struct path {
  struct vfsmount *mnt;
  struct dentry *dentry;
};
struct file_system_type {
  const char *name;
};
struct super_block {
  __u32 s_dev;
  unsigned long s_magic;
  struct file_system_type *s_type;
};
struct inode {
  __u16 i_mode;
  unsigned long i_ino;
  struct super_block *i_sb;
  __s64 i_size;
};
struct address_space {
  struct inode *host;
};
struct file {
  struct path f_path;
  struct inode *f_inode;
  struct address_space *f_mapping;
  unsigned int f_mode; /* FMODE_* */
  __s64 f_pos;
  void *private_data; /* of a socket: its struct socket */
};
struct kiocb {
  struct file *ki_filp;
  __s64 ki_pos;
};
/* Pages of files where there are no folios (5.10). */
struct page {
  struct address_space *mapping;
  unsigned long index;
};
struct folio {
  struct address_space *mapping;
  unsigned long index;
  unsigned int _nr_pages; /* of a large folio, which has PG_head set */
};
/* 6.12 has _folio_nr_pages, 6.18 _nr_pages. */
struct folio___until_6_12 {
  unsigned int _folio_nr_pages;
};
/* The values are the running kernel's: ask bpf_core_enum_value(). */
enum pageflags { PG_head = 1 };
/* The third argument of do_sys_openat2(), and of openat2(2). */
struct open_how {
  __u64 flags, mode, resolve;
};
struct fdtable {
  unsigned int max_fds;
  struct file **fd;
};
struct files_struct {
  struct fdtable *fdt;
};

struct kernfs_node {
  __u64 id;
};
struct cgroup_subsys_state {
  struct cgroup_subsys_state *parent;
};
struct cgroup {
  struct cgroup_subsys_state self;
  struct kernfs_node *kn;
};
struct css_set {
  struct cgroup *dfl_cgrp; /* of cgroup v2 */
};

/* f1a7941243c1 (6.2): counters of resident pages are per CPU, and `count` is what the
 * kernel reads of them. */
struct percpu_counter {
  __s64 count;
};
typedef struct {
  long counter;
} atomic_long_t;
struct ns_common {
  unsigned int inum;
};
struct mnt_namespace {
  struct ns_common ns;
};
struct nsproxy {
  struct mnt_namespace *mnt_ns;
};
struct mm_rss_stat {
  atomic_long_t count[4];
};
struct mm_struct___since_6_2 {
  struct percpu_counter rss_stat[4];
};
struct mm_struct___until_6_2 {
  struct mm_rss_stat rss_stat;
};
struct mm_struct {
  unsigned long arg_start, arg_end;
  unsigned long total_vm; /* pages */
  atomic_long_t pgtables_bytes;
};
struct task_io_accounting {
  __u64 syscr; /* read calls that have ended */
};
struct signal_struct {
  atomic_t live;
  int nr_threads;
  struct list_head thread_head;
  __u64 sum_sched_runtime; /* ns, of threads that have ended */
  unsigned int flags; /* SIGNAL_* */
  int group_exit_code;
  unsigned long maxrss; /* pages */
  short oom_score_adj;
};
struct kernel_siginfo {
  int si_signo, si_errno, si_code;
};
struct thread_info {
  __u32 status; /* TS_* */
};
struct rq {
  unsigned int nr_running;
};
struct cfs_rq {
  struct rq *rq;
};
struct sched_entity {
  struct cfs_rq *cfs_rq;
  __u64 sum_exec_runtime; /* ns */
};
struct task_struct {
  struct thread_info thread_info;
  pid_t pid, tgid;
  int exit_state;
  struct sched_entity se;
  struct list_head thread_node; /* in signal_struct.thread_head */
  char comm[16];
  void *stack;
  int exit_code;
  unsigned int flags;
  unsigned int on_cpu; /* unsigned: its size changes with the kernel */
  struct css_set *cgroups;
  __u64 start_time; /* CLOCK_MONOTONIC, ns */
  struct task_struct *real_parent;
  struct task_struct *group_leader;
  const struct cred *cred;
  struct mm_struct *mm;
  struct files_struct *files;
  struct signal_struct *signal;
  struct nsproxy *nsproxy;
  struct task_io_accounting ioac;
};
/* 2f064a59a11f (5.14): state became __state. */
struct task_struct___since_5_14 {
  unsigned int __state;
};
struct task_struct___until_5_14 {
  volatile long state;
};

struct irqaction {
  const char *name;
};
struct workqueue_struct {
  char name[24]; /* 32 from 6.9 on */
};
struct pool_workqueue {
  struct workqueue_struct *wq;
};
struct work_struct {
  void (*func)(struct work_struct *work);
};

struct module {
  char name[56];
  unsigned long taints; /* bits: TAINT_* */
};
struct linux_binprm {
  const char *filename;
};
/* The tracepoint's own record; its field tells whether this kernel passes group_dead. */
struct trace_event_raw_sched_process_exit {
  bool group_dead;
};

struct kmem_cache {
  unsigned int size; /* of an object, with what the cache adds */
  const char *name;
};

struct trace_event_raw_kmem_cache_alloc { /* since 6.1, 11e9734bcb6a */
  const void *ptr;
};

struct gendisk {
  int major, first_minor;
};
struct block_device {
  __u32 bd_dev;
  struct gendisk *bd_disk;
};
struct request_queue {
  struct gendisk *disk;
};
/* f3fa33acca9f (5.17) removed request.rq_disk; d152c682f03c (5.15) added request_queue.disk. */
struct request___until_5_17 {
  struct gendisk *rq_disk;
};
struct request {
  struct request_queue *q;
  unsigned int cmd_flags;
  unsigned int __data_len;
  __u64 __sector;
  __u64 start_time_ns;
  __u64 io_start_time_ns;
};

struct in6_addr {
  union {
    __u8 u6_addr8[16];
    __u32 u6_addr32[4];
  } in6_u;
};
struct net_device {
  int ifindex;
  char name[16];
};
struct sock_common {
  __u32 skc_daddr, skc_rcv_saddr; /* network byte order */
  __u16 skc_dport;                /* network byte order */
  __u16 skc_num;                  /* host byte order */
  unsigned short skc_family;
  volatile unsigned char skc_state;
  unsigned char skc_reuse : 4, skc_reuseport : 1;
  int skc_bound_dev_if;
  struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
  unsigned long skc_flags; /* bits: enum sock_flags */
};
/* 8520e224f547 (5.15) gave cgroup v2 a field of its own; before, bit 0 of val
 * says that cgroup v1 uses the field. */
struct sock_cgroup_data {
  char _unused;
};
struct sock_cgroup_data___since_5_15 {
  struct cgroup *cgroup;
};
struct sock_cgroup_data___until_5_15 {
  __u64 val;
};
struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
  int sk_err;
  __u32 sk_ack_backlog, sk_max_ack_backlog; /* connections to be accepted, and how many may be */
  struct sock_cgroup_data sk_cgrp_data;
};
struct socket {
  struct file *file;
  struct sock *sk;
};
struct request_sock {
  struct sock_common __req_common;
};
struct inet_sock {
  __u16 inet_sport; /* network byte order; stays when the port is given back */
};
struct inet_connection_sock {
  __u8 icsk_ca_state : 5; /* TCP_CA_* */
  __u8 icsk_pending;      /* the timer that is set: ICSK_TIME_* */
};
struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 srtt_us; /* smoothed, in 1/8 µs */
  __u64 bytes_acked, bytes_received;
  __u64 bytes_sent, bytes_retrans;
  __u32 total_retrans;
  __u32 snd_cwnd, snd_ssthresh;
};
struct tcp_skb_cb {
  __u32 seq;
  __u16 tcp_gso_segs;
  __u8 tcp_flags; /* the low byte where it is 16 bits wide (6.15) */
};
struct sk_buff {
  unsigned int len;
  __u16 protocol; /* network byte order */
  __u16 network_header, transport_header;
  int skb_iif; /* index of the device it came by first */
  unsigned char *head, *data;
  char cb[48];
  struct sock *sk;
  struct net_device *dev;
};

#pragma clang attribute pop
