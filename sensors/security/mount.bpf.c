/* mount: what is mounted and unmounted, where, by whom, in which mount namespace, and
 * what failed.
 *
 * One row a call, of mount(2) and umount2(2) as of the calls that do the same in steps
 * (fsopen, fsconfig, fsmount, move_mount, open_tree, fspick, mount_setattr): a mount
 * of today is fsopen's file system, fsconfig's data, fsmount's flags and move_mount's
 * target, told by one process one after another. Text is read when the call returns,
 * because before that its page may not be in memory.
 * source: tracepoints syscalls:sys_{enter,exit}_*; mount(2), umount(2), fsopen(2), fsconfig(2), fsmount(2),
 *   move_mount(2), open_tree(2), fspick(2), mount_setattr(2), pivot_root(2) */
#include <waggle/call.h>
#include <waggle/in_flight.h>

SENSOR("mounts and unmounts: file system, source, target, flags, result");

PARAM(wg_nanoseconds, min, "only calls that took at least this long") = 0;
PARAM(bool, failed, "only calls that failed") = false;

struct mount_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return");
  wg_syscall call;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when it succeeded");
  wg_umount_flags umount_flags DOC("of umount2");
  wg_mount_flags flags DOC("of mount; the attributes of fsmount and mount_setattr in the words of mount");
  wg_inode mount_namespace DOC("as /proc/PID/ns/mnt has it");
  wg_cgroup cgroup;
  wg_comm comm;
  char fstype[32] DOC("file system that was asked for");
  wg_path source DOC("device, directory or name, as the program passed it");
  wg_path target DOC("where, as the program passed it");
  char data[512] DOC("options of the file system; of fsconfig key=value");
};
EVENTS(mount, mount_row);
/* Tracepoints of system calls run without preemption, and not in interrupts. */
SCRATCH(mount, mount_row);

struct call {
  wg_ktime entered;
  __u32 number;
  const char *fstype, *source, *target, *data, *value;
  __u64 flags;
  __u32 umount_flags;
};
IN_FLIGHT(calls, call);

/* source: arch/x86/entry/syscalls/syscall_64.tbl */
enum {
  PIVOT_ROOT = 155,
  MOUNT = 165,
  UMOUNT2 = 166,
  OPEN_TREE = 428,
  MOVE_MOUNT = 429,
  FSOPEN = 430,
  FSCONFIG = 431,
  FSMOUNT = 432,
  FSPICK = 433,
  MOUNT_SETATTR = 442,
};

/* source: include/uapi/linux/mount.h. Those of one bit for one are left out: MOUNT_ATTR_RDONLY to _NOEXEC. */
enum {
  ATTR_SAME = 0xf,
  ATTR_NOATIME = 0x10,
  ATTR_STRICTATIME = 0x20,
  ATTR_NODIRATIME = 0x80,
  ATTR_NOSYMFOLLOW = 0x200000,
  MS_NOSYMFOLLOW = 0x100,
  MS_NOATIME = 0x400,
  MS_NODIRATIME = 0x800,
  MS_STRICTATIME = 1 << 24,
};
static __always_inline __u64 flags_of_attributes(__u64 attributes) {
  __u64 flags = attributes & ATTR_SAME;
  if (attributes & ATTR_NOATIME) flags |= MS_NOATIME;
  if (attributes & ATTR_STRICTATIME) flags |= MS_STRICTATIME;
  if (attributes & ATTR_NODIRATIME) flags |= MS_NODIRATIME;
  if (attributes & ATTR_NOSYMFOLLOW) flags |= MS_NOSYMFOLLOW;
  return flags;
}

static __always_inline int began(struct call *call) {
  call->entered = bpf_ktime_get_ns();
  if (!calls_begin(call)) mount_lost();
  return 0;
}

static __always_inline void read_text(char *text, __u32 size, const char *from) {
  if (!from || bpf_probe_read_user_str(text, size, from) < 0) text[0] = 0;
}

/* mount_setattr(2) is given both what to set and what to clear. */
static __always_inline __u64 flags_of(const struct call *call) {
  if (call->number != MOUNT_SETATTR) return call->flags;
  __u64 set = 0;
  bpf_probe_read_user(&set, sizeof(set), (const void *)call->flags);
  return flags_of_attributes(set);
}

/* "key=value", or the key alone where the value is not text. Returns the bytes, the NUL included. */
#define KEY_MOST 256
static __always_inline long read_data(char *text, const struct call *call) {
  if (call->number != FSCONFIG) {
    long length = bpf_probe_read_user_str(text, sizeof(((struct mount_row *)0)->data), call->data);
    if (length > 0) return length;
    text[0] = 0;
    return 1;
  }
  long length = bpf_probe_read_user_str(text, KEY_MOST, call->data);
  if (length < 1 || length > KEY_MOST) {
    text[0] = 0;
    return 1;
  }
  if (!call->value) return length;
  text[(length - 1) & (KEY_MOST - 1)] = '=';
  long more = bpf_probe_read_user_str(text + (length & (KEY_MOST - 1)), KEY_MOST, call->value);
  return more > 0 ? length + more : length;
}

ALWAYS("tracepoint/syscalls/sys_enter_mount")
int enter_mount(struct wg_sys_enter *ctx) {
  struct call call = {.number = MOUNT};
  call.source = (const char *)ctx->args[0];
  call.target = (const char *)ctx->args[1];
  call.fstype = (const char *)ctx->args[2];
  call.flags = ctx->args[3];
  call.data = (const char *)ctx->args[4];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_umount")
int enter_umount(struct wg_sys_enter *ctx) {
  struct call call = {.number = UMOUNT2};
  call.target = (const char *)ctx->args[0];
  call.umount_flags = ctx->args[1];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_pivot_root")
int enter_pivot_root(struct wg_sys_enter *ctx) {
  struct call call = {.number = PIVOT_ROOT};
  call.source = (const char *)ctx->args[0];
  call.target = (const char *)ctx->args[1];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_open_tree")
int enter_open_tree(struct wg_sys_enter *ctx) {
  struct call call = {.number = OPEN_TREE};
  call.source = (const char *)ctx->args[1];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_move_mount")
int enter_move_mount(struct wg_sys_enter *ctx) {
  struct call call = {.number = MOVE_MOUNT};
  call.source = (const char *)ctx->args[1];
  call.target = (const char *)ctx->args[3];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_fsopen")
int enter_fsopen(struct wg_sys_enter *ctx) {
  struct call call = {.number = FSOPEN};
  call.fstype = (const char *)ctx->args[0];
  return began(&call);
}
/* source: include/uapi/linux/mount.h enum fsconfig_command */
enum { FSCONFIG_SET_STRING = 1, FSCONFIG_SET_PATH = 3, FSCONFIG_SET_PATH_EMPTY = 4 };
ALWAYS("tracepoint/syscalls/sys_enter_fsconfig")
int enter_fsconfig(struct wg_sys_enter *ctx) {
  struct call call = {.number = FSCONFIG};
  __u32 command = ctx->args[1];
  call.data = (const char *)ctx->args[2];
  if (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH || command == FSCONFIG_SET_PATH_EMPTY)
    call.value = (const char *)ctx->args[3];
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_fsmount")
int enter_fsmount(struct wg_sys_enter *ctx) {
  struct call call = {.number = FSMOUNT};
  call.flags = flags_of_attributes(ctx->args[2]);
  return began(&call);
}
ALWAYS("tracepoint/syscalls/sys_enter_fspick")
int enter_fspick(struct wg_sys_enter *ctx) {
  struct call call = {.number = FSPICK};
  call.target = (const char *)ctx->args[1];
  return began(&call);
}
OPTIONAL("tracepoint/syscalls/sys_enter_mount_setattr", "changes of mount attributes")
int enter_mount_setattr(struct wg_sys_enter *ctx) {
  struct call call = {.number = MOUNT_SETATTR};
  call.target = (const char *)ctx->args[1];
  call.flags = ctx->args[3];
  return began(&call);
}

static __always_inline int ended(long result) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  bool wanted = now - call.entered >= param_min && !(param_failed && result >= 0) && wg_task_wanted();
  if (!mount_produced(wanted)) return 0;
  struct mount_row *row = mount_scratch();
  if (!row) return 0;
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = now - call.entered;
  row->call = call.number;
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->errno = wg_errno_of(result);
  row->umount_flags = call.umount_flags;
  row->flags = flags_of(&call);
  row->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  read_text(row->fstype, sizeof(row->fstype), call.fstype);
  read_text(row->source, sizeof(row->source), call.source);
  read_text(row->target, sizeof(row->target), call.target);
  mount_submit(row, WG_CUT(mount_row, data, read_data(row->data, &call)));
  return 0;
}

ALWAYS("tracepoint/syscalls/sys_exit_mount")
ALSO("tracepoint/syscalls/sys_exit_umount")
ALSO("tracepoint/syscalls/sys_exit_pivot_root")
ALSO("tracepoint/syscalls/sys_exit_open_tree")
ALSO("tracepoint/syscalls/sys_exit_move_mount")
ALSO("tracepoint/syscalls/sys_exit_fsopen")
ALSO("tracepoint/syscalls/sys_exit_fsconfig")
ALSO("tracepoint/syscalls/sys_exit_fsmount")
ALSO("tracepoint/syscalls/sys_exit_fspick")
int leave(struct wg_sys_exit *ctx) { return ended(ctx->ret); }
OPTIONAL("tracepoint/syscalls/sys_exit_mount_setattr", "changes of mount attributes")
int leave_mount_setattr(struct wg_sys_exit *ctx) { return ended(ctx->ret); }
