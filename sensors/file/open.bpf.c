/* open: files opened, by whom, with what result, and how long the kernel took.
 *
 * One row a call of open, openat, openat2 or creat, failed ones too. The path is
 * read when the call returns, because before that its page may not be in memory
 * and a BPF program cannot wait for it. With `resolve` the path that the kernel found
 * is put behind it, from the root of the mounts: relative ones made whole, symbolic
 * links followed. It costs the traced program another microsecond and the row another
 * 256 bytes, so it is for asking.
 * source: open(2), openat2(2); waggle/open_hooks.h */
#include <waggle/in_flight.h>
#include <waggle/path.h>

SENSOR("files opened: path, flags, result and latency of every open");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;
PARAM(bool, resolve, "the resolved path of what was opened, too") = false;

struct open_row {
  wg_ktime when;
  wg_nanoseconds latency DOC("from entry to exit of the call");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when the file was opened");
  wg_fd fd DOC("-1 when the call failed");
  wg_open_flags flags;
  wg_mode mode DOC("for files that the call may create, else 0");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_path path DOC("as the program passed it, not resolved");
  /* Ends the row where it is wanted, else the row ends within the path. */
  wg_path resolved ASIDE DOC("from the root of the mounts, with --set resolve=1; empty when the call failed");
};
EVENTS_SIZED(open, open_row, 4 << 20);
SCRATCH(open, open_row);
SCRATCH(walk, wg_path_walk);

struct call {
  wg_ktime entered;
  const char *path;
  __u32 flags, mode;
};
/* include/uapi/asm-generic/fcntl.h */
#define O_CREAT 00000100
#define __O_TMPFILE 020000000
/* Set by the kernel for every 64-bit caller, by some libraries too: it says nothing. */
#define O_LARGEFILE 00100000

IN_FLIGHT(calls, call);

static __always_inline int open_began(const char *path, __u64 flags, __u64 mode) {
  struct call call = {bpf_ktime_get_ns(), path, flags, mode};
  if (!calls_begin(&call)) open_lost();
  return 0;
}

/* Whether the call may create a file; for others its mode is whatever was in the register. */
static __always_inline bool creates(__u32 flags) { return flags & (O_CREAT | __O_TMPFILE); }

/* Returns how many bytes it is long, with the NUL; 0 for what has no path. */
static __always_inline long resolve(struct open_row *row, __u32 fd) {
  struct wg_path_walk *walk = walk_scratch();
  /* Another thread may have closed it already. */
  struct file *file = wg_file_of(fd);
  return walk && file ? wg_path_of(walk, row->resolved, file) : 0;
}

static __always_inline int open_ended(long result) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!open_produced(wanted)) return 0;
  struct open_row *row = open_scratch();
  if (!row) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = now - call.entered;
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->errno = result < 0 ? -result : 0;
  row->fd = result < 0 ? -1 : result;
  row->flags = call.flags & ~O_LARGEFILE;
  row->mode = creates(call.flags) ? call.mode : 0;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  long length = bpf_probe_read_user_str(row->path, sizeof(row->path), call.path);
  if (length < 0) length = 0;
  if (param_resolve && result >= 0) {
    /* What was there before would be the path of a call without one. */
    if (!length) row->path[0] = 0;
    long resolved = resolve(row, result);
    open_submit(row, WG_CUT(open_row, resolved, resolved > 0 ? resolved : 0));
    return 0;
  }
  open_submit(row, WG_CUT(open_row, path, length));
  return 0;
}

#include <waggle/open_hooks.h>
