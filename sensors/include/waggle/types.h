/* The words a sensor's row is written in. A typedef says what a value means;
 * BTF carries its name into the built object, and src/schema/kind.cc turns it
 * into columns, units, metric names, JSON and documentation. A field of a plain
 * C type is a number (or text, for char arrays) without further meaning. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

/* time */
typedef __u64 wg_ktime;       /* CLOCK_MONOTONIC, as bpf_ktime_get_ns() gives it */
typedef __u64 wg_nanoseconds; /* a duration */

/* amounts */
typedef __u64 wg_bytes;
typedef __u64 wg_count; /* grows only: a counter when it is a table's value */

/* who */
typedef __u32 wg_pid; /* process (thread group) in the initial pid namespace */
typedef __u32 wg_tid; /* thread in the initial pid namespace */
typedef __u32 wg_uid;
typedef __u32 wg_gid;
typedef char wg_comm[16];
typedef __u64 wg_cgroup; /* inode number of the cgroup v2 directory */
typedef __u32 wg_cpu;

/* what */
typedef __s32 wg_errno; /* 0, or a positive errno */
typedef __s32 wg_signal;
typedef __s32 wg_fd;
typedef __u32 wg_syscall;
typedef __u32 wg_open_flags; /* O_* */
typedef __u32 wg_mode;       /* permission bits, printed in octal */
typedef __u32 wg_device;     /* dev_t as the kernel holds it: major << 20 | minor */
typedef __u64 wg_inode;
typedef __u64 wg_filesystem; /* superblock magic, statfs(2) */
typedef __u8 wg_file_op;     /* enum wg_file_ops below */
typedef __u32 wg_block_op;   /* request.cmd_flags: the operation and its flags */
typedef __u8 wg_tcp_state;   /* enum in net/tcp_states.h */
typedef __u8 wg_tcp_ca_state; /* enum tcp_ca_state */
typedef __u32 wg_reset_reason;
typedef __u32 wg_drop_reason;
typedef __u16 wg_ethertype; /* ETH_P_*, host byte order */
typedef __u8 wg_ip_protocol;
typedef __u16 wg_port; /* host byte order */
typedef struct {
  __u8 bytes[16];
} wg_ip; /* IPv6; an IPv4 address is mapped (::ffff:a.b.c.d) */
typedef __u32 wg_softirq;    /* number of the vector: NET_RX_SOFTIRQ is 3 */
typedef __u32 wg_lock_flags; /* LCB_F_*, as tracepoint lock:contention_begin has them */
typedef __u32 wg_futex_op;   /* FUTEX_* without its flags */
typedef __u16 wg_dns_type;
typedef __s32 wg_dns_rcode; /* -1: nobody answered */
typedef __u64 wg_kaddr; /* a kernel address, printed as its symbol */
typedef __s32 wg_signal_code;  /* siginfo.si_code: SI_USER, SI_KERNEL, … */
typedef __u8 wg_signal_result; /* enum wg_signal_results below */
typedef __u8 wg_capability;
typedef __u64 wg_mount_flags;  /* MS_*, mount(2) */
typedef __u32 wg_umount_flags; /* MNT_* and UMOUNT_*, umount2(2) */
typedef __u32 wg_ptrace_request;
typedef __u32 wg_bpf_command;
typedef __u32 wg_bpf_program; /* enum bpf_prog_type */
typedef __u32 wg_bpf_map;     /* enum bpf_map_type */
typedef __u32 wg_taints;      /* of a module, printed as the letters that /proc/modules has */

typedef __u32 wg_task_state; /* task_struct.__state and exit_state: bits of include/linux/sched.h */
typedef __u64 wg_address; /* an address in a process, printed as it is */

/* Text that ends the row may be cut to its length: see WG_CUT(). */
typedef char wg_path[256];
typedef char wg_argv[4096]; /* arguments, each ended by a NUL */

enum wg_file_ops { WG_READ, WG_WRITE, WG_OPEN, WG_FSYNC };

/* The first five are the kernel's. source: include/trace/events/signal.h */
enum wg_signal_results {
  WG_SIGNAL_DELIVERED,
  WG_SIGNAL_IGNORED,
  WG_SIGNAL_ALREADY_PENDING,
  WG_SIGNAL_OVERFLOW_FAIL,
  WG_SIGNAL_LOSE_INFO,
  WG_SIGNAL_CHECKED, /* signal 0 */
  WG_SIGNAL_FAILED,
};
/* The registers that passed a function's arguments, as they were when it was called. */
typedef struct {
  __u64 registers[6];
} wg_arguments;

/* Kernel frames first, then user frames, innermost first; ends the row, and
 * only the frames that exist are submitted. */
#define WG_STACK_DEPTH 127
typedef struct {
  __u32 kernel_frames, user_frames;
  __u64 frames[2 * WG_STACK_DEPTH];
} wg_stack;

/* slots[i] counts durations in [2^i, 2^(i+1)) ns; slot 0 holds 0 and 1 ns, and
 * the last slot everything from 2^39 ns (9 minutes) up. */
#define WG_HISTOGRAM_SLOTS 40
typedef struct {
  __u64 count;
  __u64 sum; /* ns */
  __u64 most; /* ns */
  __u64 slots[WG_HISTOGRAM_SLOTS];
} wg_latency_histogram;

/* Written on a field, a parameter or the sensor itself. */
#define WG_TAG(text) __attribute__((btf_decl_tag(text)))
#define DOC(text) WG_TAG("doc:" text)
/* A table's value that can fall as well as grow. */
#define GAUGE WG_TAG("gauge")
/* A column that a terminal has no place for until --columns names it. */
#define ASIDE WG_TAG("aside")
