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
 * sendfile is a read of its source, copy_file_range a write of its destination.
 * source: fs/read_write.c */
#pragma once

#include <waggle/file.h>

/* The slots 0 to 5 of wg_file_room. */
enum { WG_SLOT_READ, WG_SLOT_WRITE, WG_SLOT_READV, WG_SLOT_WRITEV, WG_SLOT_SENDFILE, WG_SLOT_COPY, WG_SLOT_FREE };

/* The position is either `position`, or where the file says after the call. */
static __always_inline int fd_began(__u32 fd, wg_file_op op, bool positioned, __u64 position) {
  struct file *file = wg_file_of(fd);
  struct inode *inode = BPF_CORE_READ(file, f_inode);
  if (!file || !file_followed(BPF_CORE_READ(inode, i_mode))) {
    wg_file_calls_skip();
    return 0;
  }
  struct wg_file_call call = {.op = op, .position = position};
  if (!positioned) call.position_after = (void *)file + bpf_core_field_offset(struct file, f_pos);
  wg_file_identify(&call, file, inode);
  return file_began(&call);
}

/* The position is in the caller's variable, or the file's own where that is NULL. */
static __always_inline int fd_began_at(__u32 fd, wg_file_op op, const void *position_of_caller) {
  __u64 position = 0;
  if (position_of_caller) bpf_probe_read_user(&position, sizeof(position), position_of_caller);
  return fd_began(fd, op, position_of_caller, position);
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
  return fd_began_at(WG_CALL_ARGUMENT(ctx, si), WG_READ, (void *)WG_CALL_ARGUMENT(ctx, dx));
}
HOOK(1, "fexit/" WG_SYSCALL("sendfile64"))
int leave_call_sendfile64(__u64 *ctx) { return file_ended(ctx[1], WG_SLOT_SENDFILE, NULL); }

HOOK(1, "fentry/" WG_SYSCALL("copy_file_range"))
int enter_call_copy_file_range(__u64 *ctx) {
  return fd_began_at(WG_CALL_ARGUMENT(ctx, dx), WG_WRITE, (void *)WG_CALL_ARGUMENT(ctx, r10));
}
HOOK(1, "fexit/" WG_SYSCALL("copy_file_range"))
int leave_call_copy_file_range(__u64 *ctx) { return file_ended(ctx[1], WG_SLOT_COPY, NULL); }

/* Tracepoints run without preemption: one slot does for all. */
#define WG_CALL(call, began)                                   \
  HOOK(2, "tracepoint/syscalls/sys_enter_" #call)              \
  int enter_##call(struct wg_sys_enter *ctx) { return began; } \
  HOOK(2, "tracepoint/syscalls/sys_exit_" #call)               \
  int leave_##call(struct wg_sys_exit *ctx) { return file_ended(ctx->ret, 0, NULL); }

WG_CALL(read, fd_began(ctx->args[0], WG_READ, false, 0))
WG_CALL(readv, fd_began(ctx->args[0], WG_READ, false, 0))
WG_CALL(pread64, fd_began(ctx->args[0], WG_READ, true, ctx->args[3]))
WG_CALL(preadv, fd_began(ctx->args[0], WG_READ, true, ctx->args[3]))
/* preadv2 and pwritev2: a position of -1 is the file's own. */
WG_CALL(preadv2, fd_began(ctx->args[0], WG_READ, ctx->args[3] != -1ul, ctx->args[3]))
WG_CALL(write, fd_began(ctx->args[0], WG_WRITE, false, 0))
WG_CALL(writev, fd_began(ctx->args[0], WG_WRITE, false, 0))
WG_CALL(pwrite64, fd_began(ctx->args[0], WG_WRITE, true, ctx->args[3]))
WG_CALL(pwritev, fd_began(ctx->args[0], WG_WRITE, true, ctx->args[3]))
WG_CALL(pwritev2, fd_began(ctx->args[0], WG_WRITE, ctx->args[3] != -1ul, ctx->args[3]))
WG_CALL(sendfile64, fd_began_at(ctx->args[1], WG_READ, (void *)ctx->args[2]))
WG_CALL(copy_file_range, fd_began_at(ctx->args[2], WG_WRITE, (void *)ctx->args[3]))
