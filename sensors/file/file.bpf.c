/* file: reads and writes, by file and process: how many bytes, how long, which
 * file; and each slow one by itself.
 *
 * Regular files unless told otherwise: a look at the inode's type on entry leaves
 * pipes, sockets and devices alone before anything is stored. A call is an event of
 * the stream only when it took `min`: faster ones are in the table, and are not
 * counted as filtered. The table has a name for each file, the last component of
 * the path it was first used by.
 * source: waggle/read_write_hooks.h */
#include <stdbool.h>

enum { wg_file_by_inode = true };
#include <waggle/file.h>

SENSOR("reads and writes by file: bytes, latency, and each slow one");

PARAM(wg_nanoseconds, min, "only calls that took at least this long (events)") = 10000000;
PARAM(bool, all, "pipes, sockets and devices too, not only regular files") = false;

EVENTS(file, wg_file_row);

struct file_key {
  wg_filesystem filesystem;
  wg_inode inode;
  wg_device device;
  wg_pid pid;
  wg_file_op op;
  __u8 _pad[7];
};
struct file_value {
  wg_bytes bytes;
  wg_count errors DOC("calls that failed");
  wg_latency_histogram latency;
  char name[64] DOC("the last component of the path, or the type of what has no path");
};
TABLE(file, file_key, file_value, 8192);

static __always_inline bool file_followed(__u16 mode) { return param_all || wg_is_regular(mode); }

static __always_inline int file_began(struct wg_file_call *call) {
  call->entered = bpf_ktime_get_ns();
  if (!wg_file_calls_begin(call)) {
    file_lost();
    file_table_lost();
  }
  return 0;
}

static __always_inline void count(const struct wg_file_call *call, long result, __u64 latency) {
  struct file_key key = {.filesystem = call->filesystem,
                         .inode = call->inode,
                         .device = call->device,
                         .pid = bpf_get_current_pid_tgid() >> 32,
                         .op = call->op};
  struct file_value *value = file_row(&key);
  if (!value) return;
  if (!value->name[0]) wg_file_name(value->name, sizeof(value->name), call->file);
  wg_observe(&value->latency, latency);
  if (result > 0)
    wg_add(&value->bytes, result);
  else if (result < 0)
    wg_add(&value->errors, 1);
}

static __always_inline int file_ended(long result, __u32 slot, const void *position) {
  struct wg_file_call call;
  if (!wg_file_calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  bool wanted = wg_file_wanted();
  if (file_counted(wanted)) count(&call, result, now - call.entered);
  if (now - call.entered < param_min || !file_produced(wanted)) return 0;
  WG_FILE_SUBMIT(file, &call, slot, now, result, position);
  return 0;
}

#include <waggle/read_write_hooks.h>
