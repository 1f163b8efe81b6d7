/* sync: who makes the kernel write to disk what it holds in memory, and how long that
 * took.
 *
 * A row is one call of sync, syncfs, fsync, fdatasync, sync_file_range or msync. fsyncs
 * of files, with their paths, are rows of the sensor fs too.
 * source: tracepoints syscalls:sys_{enter,exit}_*; sync(2), fsync(2), sync_file_range(2), msync(2) */
#include <waggle/call.h>
#include <waggle/in_flight.h>

SENSOR("syncs: who wrote memory to disk, by which call, and how long it took");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;

struct sync_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_syscall call;
  wg_fd fd DOC("of the file; -1 where the call takes none");
  wg_errno errno DOC("0 when it succeeded");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(sync, sync_row);

struct call {
  wg_ktime entered;
  __u32 number;
  wg_fd fd;
};
IN_FLIGHT(calls, call);

static __always_inline int began(__u32 number, wg_fd fd) {
  struct call call = {bpf_ktime_get_ns(), number, fd};
  if (!calls_begin(&call)) sync_lost();
  return 0;
}

static __always_inline int ended(long result) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!sync_produced(wanted)) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  struct sync_row row = {};
  row.when = now;
  row.latency = now - call.entered;
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.call = call.number;
  row.fd = call.fd;
  row.errno = wg_errno_of(result);
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  sync_submit(&row, sizeof(row));
  return 0;
}

#define CALL(call, number, fd)                   \
  ALWAYS("tracepoint/syscalls/sys_enter_" #call) \
  int enter_##call(struct wg_sys_enter *ctx) { return began(number, fd); }

CALL(msync, 26, -1)
CALL(fsync, 74, ctx->args[0])
CALL(fdatasync, 75, ctx->args[0])
CALL(sync, 162, -1)
CALL(sync_file_range, 277, ctx->args[0])
CALL(syncfs, 306, ctx->args[0])

ALWAYS("tracepoint/syscalls/sys_exit_msync")
ALSO("tracepoint/syscalls/sys_exit_fsync")
ALSO("tracepoint/syscalls/sys_exit_fdatasync")
ALSO("tracepoint/syscalls/sys_exit_sync")
ALSO("tracepoint/syscalls/sys_exit_sync_file_range")
ALSO("tracepoint/syscalls/sys_exit_syncfs")
int leave(struct wg_sys_exit *ctx) { return ended(ctx->ret); }
