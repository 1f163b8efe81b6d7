/* unlink: files and directories that went away or were renamed: by whom, with what
 * result, and how long a file had lived.
 *
 * One row a call of unlink, unlinkat, rmdir, rename, renameat or renameat2, failed ones
 * too. Paths are as the program passed them, read when the call returns.
 *
 * A file's age is known when the sensor saw it being made: the kernel marks an open file
 * that the call has created, and on removal names its inode. That takes tracing of
 * functions; without it the age is 0, as it is of files made before, by mknod(2) or
 * link(2), and of directories.
 * source: unlink(2), rmdir(2), rename(2); security/security.c security_inode_unlink();
 *   include/linux/fs.h FMODE_CREATED */
#include <waggle/in_flight.h>
#include <waggle/path.h>

SENSOR("files removed and renamed: path, result, and how long they had lived");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;

struct unlink_row {
  wg_ktime when;
  wg_nanoseconds latency DOC("from entry to exit of the call");
  wg_nanoseconds age DOC("since the file was made; 0 when that was not seen");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when the call succeeded");
  wg_cgroup cgroup;
  wg_comm comm;
  char op[8] DOC("unlink, rmdir or rename");
  wg_path path DOC("as the program passed it, not resolved");
  /* Ends the row of a rename; other rows end within the path. */
  wg_path to DOC("the new name, of a rename");
};
EVENTS_SIZED(unlink, unlink_row, 1 << 20);

enum { UNLINK, RMDIR, RENAME };
/* include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h */
#define O_CREAT 00000100
#define AT_REMOVEDIR 0x200

struct call {
  wg_ktime entered;
  const char *path, *to;
  __u64 op;
};
IN_FLIGHT(calls, call);

/* A room for each program that makes rows: one that is traced by function may be
 * preempted, and another would write into its room. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 6);
  __type(key, __u32);
  __type(value, struct unlink_row);
} rooms SEC(".maps");

/* Files that were made while the sensor ran, and when. */
struct file_id {
  __u64 inode;
  __u64 device;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct file_id);
  __type(value, __u64);
} made SEC(".maps");
/* The file that the thread's call is about to remove. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct file_id);
} victims SEC(".maps");

static __always_inline struct file_id id_of(struct inode *inode) {
  struct file_id id = {BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_sb, s_dev)};
  return id;
}

static __always_inline int began(__u64 op, const char *path, const char *to) {
  struct call call = {bpf_ktime_get_ns(), path, to, op};
  /* Of a removal that was no call of a program (nfsd, io_uring). */
  __u32 tid = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&victims, &tid);
  if (!calls_begin(&call)) unlink_lost();
  return 0;
}

static __always_inline __u64 unlinkat_op(__u64 flags) { return flags & AT_REMOVEDIR ? RMDIR : UNLINK; }

/* Takes note of what is over, and returns the age of the file that is gone. */
static __always_inline wg_nanoseconds age_of_victim(__u64 now, long result) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct file_id *victim = bpf_map_lookup_elem(&victims, &tid);
  if (!victim) return 0;
  struct file_id file = *victim;
  bpf_map_delete_elem(&victims, &tid);
  if (result < 0) return 0;
  __u64 *since = bpf_map_lookup_elem(&made, &file);
  if (!since) return 0;
  wg_nanoseconds age = now - *since;
  bpf_map_delete_elem(&made, &file);
  return age;
}

static __always_inline int ended(long result, __u32 slot) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds age = call.op == UNLINK ? age_of_victim(now, result) : 0;
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!unlink_produced(wanted)) return 0;
  struct unlink_row *row = bpf_map_lookup_elem(&rooms, &slot);
  if (!row) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = now - call.entered;
  row->age = age;
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->errno = result < 0 ? -result : 0;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  __builtin_memcpy(row->op, call.op == UNLINK ? "unlink\0" : call.op == RMDIR ? "rmdir\0\0" : "rename\0", sizeof(row->op));
  long length = bpf_probe_read_user_str(row->path, sizeof(row->path), call.path);
  if (length < 0) length = 0;
  if (call.op != RENAME) {
    unlink_submit(row, WG_CUT(unlink_row, path, length));
    return 0;
  }
  if (!length) row->path[0] = 0;
  length = bpf_probe_read_user_str(row->to, sizeof(row->to), call.to);
  if (length < 0) length = 0;
  unlink_submit(row, WG_CUT(unlink_row, to, length));
  return 0;
}

#define CALL(call, slot, began_by_registers, began_by_arguments)                          \
  HOOK(1, "fentry/" WG_SYSCALL(#call))                                                    \
  int enter_call_##call(__u64 *ctx) { return began_by_registers; }                        \
  HOOK(1, "fexit/" WG_SYSCALL(#call))                                                     \
  int leave_call_##call(__u64 *ctx) { return ended(ctx[1], slot); }                       \
  HOOK(2, "tracepoint/syscalls/sys_enter_" #call)                                         \
  int enter_##call(struct wg_sys_enter *ctx) { return began_by_arguments; }
#define REGISTER(name) ((void *)WG_CALL_ARGUMENT(ctx, name))
#define ARGUMENT(place) ((void *)ctx->args[place])

CALL(unlink, 0, began(UNLINK, REGISTER(di), NULL), began(UNLINK, ARGUMENT(0), NULL))
CALL(rmdir, 1, began(RMDIR, REGISTER(di), NULL), began(RMDIR, ARGUMENT(0), NULL))
CALL(rename, 2, began(RENAME, REGISTER(di), REGISTER(si)), began(RENAME, ARGUMENT(0), ARGUMENT(1)))
CALL(renameat, 3, began(RENAME, REGISTER(si), REGISTER(r10)), began(RENAME, ARGUMENT(1), ARGUMENT(3)))
CALL(renameat2, 4, began(RENAME, REGISTER(si), REGISTER(r10)), began(RENAME, ARGUMENT(1), ARGUMENT(3)))
CALL(unlinkat, 5, began(unlinkat_op(WG_CALL_ARGUMENT(ctx, dx)), REGISTER(si), NULL),
     began(unlinkat_op(ctx->args[2]), ARGUMENT(1), NULL))

/* Tracepoints run without preemption: one slot does for all. */
HOOK(2, "tracepoint/syscalls/sys_exit_unlink")
ALSO("tracepoint/syscalls/sys_exit_rmdir")
ALSO("tracepoint/syscalls/sys_exit_rename")
ALSO("tracepoint/syscalls/sys_exit_renameat")
ALSO("tracepoint/syscalls/sys_exit_renameat2")
ALSO("tracepoint/syscalls/sys_exit_unlinkat")
int leave(struct wg_sys_exit *ctx) { return ended(ctx->ret, 0); }

/* include/linux/fs.h */
#define FMODE_CREATED 0x100000

HOOK(1, "fexit/do_sys_openat2")
int BPF_PROG(opened, int directory, const char *path, struct open_how *how, long result) {
  if ((int)result < 0 || !(how->flags & O_CREAT)) return 0;
  struct file *file = wg_file_of(result);
  /* Another thread may have closed it already. */
  if (!file || !(BPF_CORE_READ(file, f_mode) & FMODE_CREATED)) return 0;
  struct file_id id = id_of(BPF_CORE_READ(file, f_inode));
  __u64 now = bpf_ktime_get_ns();
  bpf_map_update_elem(&made, &id, &now, BPF_ANY);
  return 0;
}

/* A file of overlayfs comes by twice: as itself, and as the one below, which no
 * program has made. */
OPTIONAL("fentry/security_inode_unlink", "how long files had lived")
int BPF_PROG(removing, struct inode *directory, struct dentry *entry) {
  struct file_id id = id_of(BPF_CORE_READ(entry, d_inode));
  if (!bpf_map_lookup_elem(&made, &id)) return 0;
  __u32 tid = bpf_get_current_pid_tgid();
  bpf_map_update_elem(&victims, &tid, &id, BPF_ANY);
  return 0;
}
