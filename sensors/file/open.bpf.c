/* open: files opened, by whom, with what result, and how long the kernel took.
 *
 * One row a call of open, openat, openat2 or creat, failed ones too. The path is
 * read when the call returns, because before that its page may not be in memory
 * and a BPF program cannot wait for it.
 * source: tracepoints syscalls:sys_{enter,exit}_{open,openat,openat2,creat}; open(2), openat2(2) */
#include <waggle/sensor.bpf.h>

SENSOR("files opened: path, flags, result and latency of every open");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;

struct open_row {
  wg_ktime when;
  wg_nanoseconds latency DOC("from entry to exit of the call");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when the file was opened");
  wg_fd fd DOC("-1 when the call failed");
  wg_open_flags flags;
  wg_mode mode DOC("for files that the call creates");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_path path DOC("as the program passed it, not resolved");
};
EVENTS_SIZED(open, open_row, 4 << 20);
SCRATCH(open, open_row);

struct call {
  wg_ktime entered;
  const char *path;
  __u32 flags, mode;
};
/* Calls that have not returned, by thread. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u32);
  __type(value, struct call);
} calls SEC(".maps");

static __always_inline int enter(const char *path, __u32 flags, __u32 mode) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct call call = {bpf_ktime_get_ns(), path, flags, mode};
  if (bpf_map_update_elem(&calls, &tid, &call, BPF_ANY)) open_lost();
  return 0;
}

static __always_inline int leave(long result) {
  __u64 id = bpf_get_current_pid_tgid();
  __u32 tid = id;
  struct call *found = bpf_map_lookup_elem(&calls, &tid);
  /* The call began before the sensor did. */
  if (!found) return 0;
  struct call call = *found;
  bpf_map_delete_elem(&calls, &tid);

  __u64 now = bpf_ktime_get_ns();
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!open_produced(wanted)) return 0;
  struct open_row *row = open_scratch();
  if (!row) return 0;
  row->when = now;
  row->latency = now - call.entered;
  row->pid = id >> 32;
  row->tid = tid;
  row->uid = bpf_get_current_uid_gid();
  row->errno = result < 0 ? -result : 0;
  row->fd = result < 0 ? -1 : result;
  row->flags = call.flags;
  row->mode = call.mode;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  long length = bpf_probe_read_user_str(row->path, sizeof(row->path), call.path);
  if (length < 0) length = 0;
  open_submit(row, WG_CUT(open_row, path, length));
  return 0;
}

ALWAYS("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct wg_sys_enter *ctx) { return enter((const char *)ctx->args[1], ctx->args[2], ctx->args[3]); }
ALWAYS("tracepoint/syscalls/sys_exit_openat")
int leave_openat(struct wg_sys_exit *ctx) { return leave(ctx->ret); }

ALWAYS("tracepoint/syscalls/sys_enter_open")
int enter_open(struct wg_sys_enter *ctx) { return enter((const char *)ctx->args[0], ctx->args[1], ctx->args[2]); }
ALWAYS("tracepoint/syscalls/sys_exit_open")
int leave_open(struct wg_sys_exit *ctx) { return leave(ctx->ret); }

ALWAYS("tracepoint/syscalls/sys_enter_creat")
int enter_creat(struct wg_sys_enter *ctx) {
  /* creat(path, mode) is open(path, O_CREAT | O_WRONLY | O_TRUNC, mode) */
  return enter((const char *)ctx->args[0], 01101, ctx->args[1]);
}
ALWAYS("tracepoint/syscalls/sys_exit_creat")
int leave_creat(struct wg_sys_exit *ctx) { return leave(ctx->ret); }

struct open_how_ {
  __u64 flags, mode, resolve;
};
ALWAYS("tracepoint/syscalls/sys_enter_openat2")
int enter_openat2(struct wg_sys_enter *ctx) {
  struct open_how_ how = {};
  bpf_probe_read_user(&how, sizeof(how), (const void *)ctx->args[2]);
  return enter((const char *)ctx->args[1], how.flags, how.mode);
}
ALWAYS("tracepoint/syscalls/sys_exit_openat2")
int leave_openat2(struct wg_sys_exit *ctx) { return leave(ctx->ret); }
