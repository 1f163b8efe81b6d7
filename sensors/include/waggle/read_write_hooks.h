/* Where programs read and write files, each call once, from the system call down
 * to the file: reads and writes by mmap and io_uring are not among them.
 *
 * The first plan is the four functions behind the system calls, which are given
 * the file itself; the second finds it by the descriptor, at the system calls'
 * tracepoints. A sensor defines, before it includes this,
 *   bool file_followed(__u16 mode)              whether calls on such inodes matter
 *   int file_began(struct wg_file_call *call)   all but `entered` is filled in
 *   int file_ended(long result, __u32 slot, const void *position)
 *       `position`: where a pointer to the position after the call lies, or NULL
 * and may define WG_FILE_ENDS_ALSO, ALSO()s of other calls that end so.
 * sendfile is a read of its source, copy_file_range a write of its destination.
 * source: fs/read_write.c */
#pragma once

#include <asm/unistd.h>

#include <waggle/file.h>

#ifndef WG_FILE_ENDS_ALSO
#define WG_FILE_ENDS_ALSO
#endif

/* The slots 0 to 5 of wg_file_room. */
enum { WG_SLOT_READ, WG_SLOT_WRITE, WG_SLOT_READV, WG_SLOT_WRITEV, WG_SLOT_SENDFILE, WG_SLOT_COPY, WG_SLOT_FREE };

/* The position is `position`, or behind `position_of_caller`, or where the file says
 * after the call. */
static __always_inline int fd_began(__u32 fd, wg_file_op op, bool positioned, __u64 position,
                                    const void *position_of_caller) {
  struct file *file = wg_file_of(fd);
  struct inode *inode = BPF_CORE_READ(file, f_inode);
  if (!file || !file_followed(BPF_CORE_READ(inode, i_mode))) {
    wg_file_calls_skip();
    return 0;
  }
  struct wg_file_call call = {.op = op, .position = position};
  if (position_of_caller)
    bpf_probe_read_user(&call.position, sizeof(call.position), position_of_caller);
  else if (!positioned)
    call.position_after = (void *)file + bpf_core_field_offset(struct file, f_pos);
  wg_file_identify(&call, file, inode);
  return file_began(&call);
}

/* The position is the fourth argument, behind a pointer that 5.10 does not let a
 * program read from its context: file_ended() reads it when it needs it. */
#define WG_FUNCTION(function, file_op, slot)                        \
  HOOK(1, "fentry/" #function)                                      \
  int BPF_PROG(enter_##function, struct file *file) {               \
    if (!file_followed(file->f_inode->i_mode)) {                    \
      wg_file_calls_skip();                                         \
      return 0;                                                     \
    }                                                               \
    struct wg_file_call call = {.op = file_op};                     \
    wg_file_identify_typed(&call, file);                            \
    return file_began(&call);                                       \
  }                                                                 \
  HOOK(1, "fexit/" #function)                                       \
  int leave_##function(__u64 *ctx) {                                \
    return file_ended(ctx[WG_ARGUMENTS_##function], slot, &ctx[3]); \
  }
/* The result comes after the arguments. */
#define WG_ARGUMENTS_vfs_read 4
#define WG_ARGUMENTS_vfs_write 4
#define WG_ARGUMENTS_vfs_readv 5
#define WG_ARGUMENTS_vfs_writev 5

WG_FUNCTION(vfs_read, WG_READ, WG_SLOT_READ)
WG_FUNCTION(vfs_write, WG_WRITE, WG_SLOT_WRITE)
WG_FUNCTION(vfs_readv, WG_READ, WG_SLOT_READV)
WG_FUNCTION(vfs_writev, WG_WRITE, WG_SLOT_WRITEV)

HOOK(1, "fentry/" WG_SYSCALL("sendfile64"))
int enter_call_sendfile64(__u64 *ctx) {
  return fd_began(WG_CALL_ARGUMENT(ctx, si), WG_READ, false, 0, (const void *)WG_CALL_ARGUMENT(ctx, dx));
}
HOOK(1, "fexit/" WG_SYSCALL("sendfile64"))
int leave_call_sendfile64(__u64 *ctx) { return file_ended(ctx[1], WG_SLOT_SENDFILE, NULL); }

HOOK(1, "fentry/" WG_SYSCALL("copy_file_range"))
int enter_call_copy_file_range(__u64 *ctx) {
  return fd_began(WG_CALL_ARGUMENT(ctx, dx), WG_WRITE, false, 0, (const void *)WG_CALL_ARGUMENT(ctx, r10));
}
HOOK(1, "fexit/" WG_SYSCALL("copy_file_range"))
int leave_call_copy_file_range(__u64 *ctx) { return file_ended(ctx[1], WG_SLOT_COPY, NULL); }

/* At the tracepoints one program serves several calls: which one it is, the number
 * says. It is an int in what the kernel hands over, and what follows it is not set.
 * Two programs, because one may look at no more arguments than each of its calls has. */
static __always_inline wg_file_op op_of(int call) {
  bool reads = call == __NR_read || call == __NR_readv || call == __NR_pread64 || call == __NR_preadv ||
               call == __NR_preadv2 || call == __NR_sendfile;
  return reads ? WG_READ : WG_WRITE;
}

/* Without it clang chooses an address instead of a value, which the verifier refuses. */
#define KEEP_VALUES(first, second, third) \
  do {                                    \
    barrier_var(first);                   \
    barrier_var(second);                  \
    barrier_var(third);                   \
  } while (0)

HOOK(2, "tracepoint/syscalls/sys_enter_read")
ALSO("tracepoint/syscalls/sys_enter_readv")
ALSO("tracepoint/syscalls/sys_enter_write")
ALSO("tracepoint/syscalls/sys_enter_writev")
ALSO("tracepoint/syscalls/sys_enter_sendfile64")
int enter_call(struct wg_sys_enter *ctx) {
  int call = ctx->nr;
  unsigned long first = ctx->args[0], second = ctx->args[1], third = ctx->args[2];
  KEEP_VALUES(first, second, third);
  bool sends = call == __NR_sendfile;
  return fd_began(sends ? second : first, op_of(call), false, 0, sends ? (const void *)third : NULL);
}

HOOK(2, "tracepoint/syscalls/sys_enter_pread64")
ALSO("tracepoint/syscalls/sys_enter_preadv")
ALSO("tracepoint/syscalls/sys_enter_preadv2")
ALSO("tracepoint/syscalls/sys_enter_pwrite64")
ALSO("tracepoint/syscalls/sys_enter_pwritev")
ALSO("tracepoint/syscalls/sys_enter_pwritev2")
ALSO("tracepoint/syscalls/sys_enter_copy_file_range")
int enter_call_with_position(struct wg_sys_enter *ctx) {
  int call = ctx->nr;
  unsigned long first = ctx->args[0], third = ctx->args[2], fourth = ctx->args[3];
  KEEP_VALUES(first, third, fourth);
  bool copies = call == __NR_copy_file_range;
  /* preadv2 and pwritev2: a position of -1 is the file's own. */
  bool own = (call == __NR_preadv2 || call == __NR_pwritev2) && fourth == -1ul;
  return fd_began(copies ? third : first, op_of(call), !own && !copies, fourth, copies ? (const void *)fourth : NULL);
}

/* Tracepoints run without preemption: one slot does for all. */
HOOK(2, "tracepoint/syscalls/sys_exit_read")
ALSO("tracepoint/syscalls/sys_exit_readv")
ALSO("tracepoint/syscalls/sys_exit_write")
ALSO("tracepoint/syscalls/sys_exit_writev")
ALSO("tracepoint/syscalls/sys_exit_pread64")
ALSO("tracepoint/syscalls/sys_exit_preadv")
ALSO("tracepoint/syscalls/sys_exit_preadv2")
ALSO("tracepoint/syscalls/sys_exit_pwrite64")
ALSO("tracepoint/syscalls/sys_exit_pwritev")
ALSO("tracepoint/syscalls/sys_exit_pwritev2")
ALSO("tracepoint/syscalls/sys_exit_sendfile64")
ALSO("tracepoint/syscalls/sys_exit_copy_file_range")
WG_FILE_ENDS_ALSO
int leave_call(struct wg_sys_exit *ctx) { return file_ended(ctx->ret, 0, NULL); }
