/* Where files are opened: open, openat, openat2 and creat. io_uring's opens are
 * not among them.
 *
 * The first plan is the one function that all four share, and the 32-bit calls with
 * them: other system calls stay as fast as they are, while a tracepoint of one
 * slows them all. The second plan is the tracepoints of each. A sensor defines,
 * before it includes this,
 *   int open_began(const char *path, __u64 flags, __u64 mode)
 *   int open_ended(long result)
 * source: fs/open.c do_sys_openat2(); open(2), openat2(2) */
#pragma once

#include <waggle/sensor.bpf.h>

HOOK(1, "fentry/do_sys_openat2")
int BPF_PROG(enter_do_open, int directory, const char *path, struct open_how *how) {
  return open_began(path, how->flags, how->mode);
}
/* The result is an int in newer kernels (7.2) and a long in older ones. */
HOOK(1, "fexit/do_sys_openat2")
int BPF_PROG(leave_do_open, int directory, const char *path, struct open_how *how, long result) {
  return open_ended((int)result);
}

HOOK(2, "tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct wg_sys_enter *ctx) {
  return open_began((const char *)ctx->args[1], ctx->args[2], ctx->args[3]);
}

HOOK(2, "tracepoint/syscalls/sys_enter_open")
int enter_open(struct wg_sys_enter *ctx) {
  return open_began((const char *)ctx->args[0], ctx->args[1], ctx->args[2]);
}

HOOK(2, "tracepoint/syscalls/sys_enter_creat")
int enter_creat(struct wg_sys_enter *ctx) {
  /* creat(path, mode) is open(path, O_CREAT | O_WRONLY | O_TRUNC, mode) */
  return open_began((const char *)ctx->args[0], 01101, ctx->args[1]);
}

HOOK(2, "tracepoint/syscalls/sys_enter_openat2")
int enter_openat2(struct wg_sys_enter *ctx) {
  struct open_how how = {};
  bpf_probe_read_user(&how, sizeof(how), (const void *)ctx->args[2]);
  return open_began((const char *)ctx->args[1], how.flags, how.mode);
}

HOOK(2, "tracepoint/syscalls/sys_exit_openat")
ALSO("tracepoint/syscalls/sys_exit_open")
ALSO("tracepoint/syscalls/sys_exit_creat")
ALSO("tracepoint/syscalls/sys_exit_openat2")
int leave_open(struct wg_sys_exit *ctx) { return open_ended(ctx->ret); }
