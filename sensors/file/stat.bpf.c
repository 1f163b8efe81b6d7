/* stat: files looked at, not opened: who asked about which path, and what failed.
 *
 * A row is one call of stat, lstat, newfstatat, statx, access, faccessat, faccessat2 or
 * statfs. fstat of an open file has no path and is not among them; glibc makes it a
 * newfstatat of the empty path, which is left out too.
 * source: tracepoints syscalls:sys_{enter,exit}_*; stat(2), statx(2), access(2), statfs(2) */
#include <waggle/call.h>
#include <waggle/in_flight.h>

SENSOR("files looked at: path, result and latency of every stat and access");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;

struct stat_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_syscall call;
  wg_errno errno DOC("0 when it succeeded");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_path path DOC("as the program passed it, not resolved");
};
EVENTS_SIZED(stat, stat_row, 4 << 20);
SCRATCH(stat, stat_row);

struct call {
  wg_ktime entered;
  const char *path;
  __u32 number;
};
IN_FLIGHT(calls, call);

static __always_inline int began(__u32 number, const char *path) {
  struct call call = {bpf_ktime_get_ns(), path, number};
  if (!calls_begin(&call)) stat_lost();
  return 0;
}

static __always_inline int ended(long result) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  struct stat_row *row = stat_scratch();
  if (!row) return 0;
  long length = bpf_probe_read_user_str(row->path, sizeof(row->path), call.path);
  /* 8678ea06852c (6.2): before, the length of an empty string is 0 instead of 1. */
  bool nameless = length == 0 || (length == 1 && !row->path[0]);
  if (nameless && result >= 0) return 0;
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!stat_produced(wanted)) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = now - call.entered;
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->call = call.number;
  row->errno = wg_errno_of(result);
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  stat_submit(row, WG_CUT(stat_row, path, length > 0 ? length : 0));
  return 0;
}

#define CALL(call, number, argument)                         \
  ALWAYS("tracepoint/syscalls/sys_enter_" #call)             \
  int enter_##call(struct wg_sys_enter *ctx) {               \
    return began(number, (const char *)ctx->args[argument]); \
  }

CALL(newstat, 4, 0)
CALL(newlstat, 6, 0)
CALL(access, 21, 0)
CALL(statfs, 137, 0)
CALL(newfstatat, 262, 1)
CALL(faccessat, 269, 1)
CALL(statx, 332, 1)
CALL(faccessat2, 439, 1)

ALWAYS("tracepoint/syscalls/sys_exit_newstat")
ALSO("tracepoint/syscalls/sys_exit_newlstat")
ALSO("tracepoint/syscalls/sys_exit_access")
ALSO("tracepoint/syscalls/sys_exit_statfs")
ALSO("tracepoint/syscalls/sys_exit_newfstatat")
ALSO("tracepoint/syscalls/sys_exit_faccessat")
ALSO("tracepoint/syscalls/sys_exit_statx")
ALSO("tracepoint/syscalls/sys_exit_faccessat2")
int leave(struct wg_sys_exit *ctx) { return ended(ctx->ret); }
