/* shm: System V shared memory: segments made, attached, detached and removed.
 *
 * A row is one call of shmget, shmat, shmdt or shmctl.
 * source: tracepoints syscalls:sys_exit_shm*; shmget(2), shmat(2), shmdt(2), shmctl(2) */
#include <waggle/call.h>

SENSOR("System V shared memory: shmget, shmat, shmdt, shmctl, and their results");

PARAM(bool, failed, "only calls that failed") = false;

struct shm_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_syscall call;
  wg_errno errno DOC("0 when it succeeded");
  __s32 id DOC("of the segment; -1: not known");
  __s32 key DOC("of shmget; 0, IPC_PRIVATE: a new segment");
  __s32 command DOC("of shmctl: 0 IPC_RMID, 1 IPC_SET, 2 IPC_STAT, 3 IPC_INFO, 11 SHM_LOCK, 12 SHM_UNLOCK");
  __u32 flags DOC("of shmget and shmat");
  __u32 _pad;
  wg_bytes bytes DOC("of shmget: the size asked for");
  __u64 address DOC("of shmat where it is, of shmdt where it was");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(shm, shm_row);

/* source: arch/x86/entry/syscalls/syscall_64.tbl */
enum { SHMGET = 29, SHMAT = 30, SHMCTL = 31, SHMDT = 67 };

static __always_inline int returned(__u32 call, long result) {
  /* An address may look negative, but not like an errno. */
  wg_errno error = result < 0 && result >= -4095 ? -result : 0;
  if (!shm_produced(!(param_failed && !error) && wg_task_wanted())) return 0;
  struct wg_call_words arguments;
  wg_call_arguments(&arguments);
  __u64 id = bpf_get_current_pid_tgid();
  struct shm_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.call = call;
  row.errno = error;
  row.id = -1;
  if (call == SHMGET) {
    row.key = arguments.at[0];
    row.bytes = arguments.at[1];
    row.flags = arguments.at[2];
    if (!error) row.id = result;
  } else if (call == SHMAT) {
    row.id = arguments.at[0];
    row.flags = arguments.at[2];
    row.address = error ? arguments.at[1] : (__u64)result;
  } else if (call == SHMCTL) {
    row.id = arguments.at[0];
    row.command = arguments.at[1];
  } else {
    row.address = arguments.at[0];
  }
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  shm_submit(&row, sizeof(row));
  return 0;
}

ALWAYS("tracepoint/syscalls/sys_exit_shmget")
int leave_shmget(struct wg_sys_exit *ctx) { return returned(SHMGET, ctx->ret); }
ALWAYS("tracepoint/syscalls/sys_exit_shmat")
int leave_shmat(struct wg_sys_exit *ctx) { return returned(SHMAT, ctx->ret); }
ALWAYS("tracepoint/syscalls/sys_exit_shmctl")
int leave_shmctl(struct wg_sys_exit *ctx) { return returned(SHMCTL, ctx->ret); }
ALWAYS("tracepoint/syscalls/sys_exit_shmdt")
int leave_shmdt(struct wg_sys_exit *ctx) { return returned(SHMDT, ctx->ret); }
