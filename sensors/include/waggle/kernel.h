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
};
struct file {
  struct path f_path;
  struct inode *f_inode;
  __s64 f_pos;
};
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
struct cgroup {
  struct kernfs_node *kn;
};
struct css_set {
  struct cgroup *dfl_cgrp; /* of cgroup v2 */
};

struct mm_struct {
  unsigned long arg_start, arg_end;
};
struct signal_struct {
  atomic_t live;
  unsigned int flags; /* SIGNAL_* */
  int group_exit_code;
  unsigned long maxrss; /* pages */
};
struct task_struct {
  pid_t pid, tgid;
  char comm[16];
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
};
/* 2f064a59a11f (5.14): state became __state. */
struct task_struct___since_5_14 {
  unsigned int __state;
};
struct task_struct___until_5_14 {
  volatile long state;
};

struct linux_binprm {
  const char *filename;
};
/* The tracepoint's own record; its field tells whether this kernel passes group_dead. */
struct trace_event_raw_sched_process_exit {
  bool group_dead;
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
  struct sock_cgroup_data sk_cgrp_data;
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
  __u32 snd_cwnd;
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
  unsigned char *head;
  char cb[48];
  struct sock *sk;
  struct net_device *dev;
};

#pragma clang attribute pop
