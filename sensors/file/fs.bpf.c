/* fs: how long each file system takes to open, read, write and sync files, and
 * each slow call by itself.
 *
 * Measured at the system call, so it is what programs wait for, whether the answer
 * comes from the page cache or the disk; the magic number of the superblock tells
 * ext4 from xfs, tmpfs or overlay, and no file system needs probes of its own. Reads
 * and writes are those of regular files, opens those that succeeded (a failed one
 * has no file system; the sensor 'open' has it), syncs are fsync, fdatasync and
 * sync_file_range. msync is not among them: it names memory, not a file.
 * A call is an event of the stream only when it took `min`: faster ones are in the
 * table, and are not counted as filtered.
 * source: waggle/read_write_hooks.h, waggle/open_hooks.h; fs/sync.c */
#include <stdbool.h>

enum { wg_file_by_inode = false };
#include <waggle/file.h>

SENSOR("latency of file systems by operation, and each slow call");

PARAM(wg_nanoseconds, min, "only calls that took at least this long (events)") = 10000000;

EVENTS(fs, wg_file_row);

struct fs_key {
  wg_filesystem filesystem;
  wg_device device;
  wg_file_op op;
  __u8 _pad[3];
};
struct fs_value {
  wg_bytes bytes DOC("read or written");
  wg_count errors DOC("calls that failed; not of opens");
  wg_latency_histogram latency;
};
TABLE(fs, fs_key, fs_value, 1024);

static __always_inline bool file_followed(__u16 mode) { return wg_is_regular(mode); }

static __always_inline int file_began(struct wg_file_call *call) {
  call->entered = bpf_ktime_get_ns();
  if (!wg_file_calls_begin(call)) {
    fs_lost();
    fs_table_lost();
  }
  return 0;
}

static __always_inline void count(const struct wg_file_call *call, long result, __u64 latency) {
  struct fs_key key = {.filesystem = call->filesystem, .device = call->device, .op = call->op};
  struct fs_value *value = fs_row(&key);
  if (!value) return;
  wg_observe(&value->latency, latency);
  if (result < 0)
    wg_add(&value->errors, 1);
  else if (call->op == WG_READ || call->op == WG_WRITE)
    wg_add(&value->bytes, result);
}

static __always_inline int tell(const struct wg_file_call *call, long result, __u64 now, __u32 slot,
                                const void *position) {
  bool wanted = wg_file_wanted();
  if (fs_counted(wanted)) count(call, result, now - call->entered);
  if (now - call->entered < param_min || !fs_produced(wanted)) return 0;
  WG_FILE_SUBMIT(fs, call, slot, now, result, position);
  return 0;
}

static __always_inline int file_ended(long result, __u32 slot, const void *position) {
  struct wg_file_call call;
  if (!wg_file_calls_end(&call)) return 0;
  return tell(&call, result, bpf_ktime_get_ns(), slot, position);
}

#define WG_FILE_ENDS_ALSO                     \
  ALSO("tracepoint/syscalls/sys_exit_fsync")     \
  ALSO("tracepoint/syscalls/sys_exit_fdatasync") \
  ALSO("tracepoint/syscalls/sys_exit_sync_file_range")
#include <waggle/read_write_hooks.h>

enum { SLOT_OPEN = WG_SLOT_FREE, SLOT_FSYNC, SLOT_FDATASYNC, SLOT_RANGE };

static __always_inline int open_began(const char *path, __u64 flags, __u64 mode) {
  struct wg_file_call call = {.op = WG_OPEN};
  return file_began(&call);
}

static __always_inline int open_ended(long result) {
  struct wg_file_call call;
  /* A failure is no descriptor and finds none. */
  struct file *file = wg_file_of(result);
  if (!wg_file_calls_end(&call) || result < 0) return 0;
  __u64 now = bpf_ktime_get_ns();
  /* Another thread has closed it already. */
  if (!file) {
    fs_lost();
    fs_table_lost();
    return 0;
  }
  wg_file_identify(&call, file, BPF_CORE_READ(file, f_inode));
  return tell(&call, result, now, SLOT_OPEN, NULL);
}

#include <waggle/open_hooks.h>

static __always_inline int sync_began(__u32 fd) {
  struct file *file = wg_file_of(fd);
  if (!file) {
    wg_file_calls_skip();
    return 0;
  }
  struct wg_file_call call = {.op = WG_FSYNC};
  wg_file_identify(&call, file, BPF_CORE_READ(file, f_inode));
  return file_began(&call);
}

#define SYNC(call, slot)                                                                  \
  HOOK(1, "fentry/" WG_SYSCALL(#call))                                                    \
  int enter_call_##call(__u64 *ctx) { return sync_began(WG_CALL_ARGUMENT(ctx, di)); }     \
  HOOK(1, "fexit/" WG_SYSCALL(#call))                                                     \
  int leave_call_##call(__u64 *ctx) { return file_ended(ctx[1], slot, NULL); }

SYNC(fsync, SLOT_FSYNC)
SYNC(fdatasync, SLOT_FDATASYNC)
SYNC(sync_file_range, SLOT_RANGE)

HOOK(2, "tracepoint/syscalls/sys_enter_fsync")
ALSO("tracepoint/syscalls/sys_enter_fdatasync")
ALSO("tracepoint/syscalls/sys_enter_sync_file_range")
int enter_sync(struct wg_sys_enter *ctx) { return sync_began(ctx->args[0]); }
