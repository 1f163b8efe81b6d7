/* exec: programs started, with their arguments, and attempts that failed.
 *
 * One row a call of execve or execveat. A success is told by the scheduler's
 * tracepoint, because only there are the new program's arguments in one piece, and
 * because it also fires for a call that began before the sensor did; the return of
 * the system call tells failures alone. A failed call never had a new memory: its
 * arguments are gathered from the caller's, one by one, in a loop that the 5.10
 * verifier can walk to its end; that is why their number is limited there.
 * source: tracepoints sched:sched_process_exec, syscalls:sys_{enter,exit}_{execve,execveat};
 * fs/exec.c; execve(2) */
#include <waggle/sensor.bpf.h>

SENSOR("programs started, and attempts that failed: path, arguments, result");

PARAM(bool, failed, "only calls that failed") = false;

#define ARGV_BYTES sizeof(wg_argv)
/* Arguments of a failed call: each is a turn of a loop that is verified turn by turn. */
#define ARGUMENTS_MOST 64

struct exec_row {
  wg_ktime when;
  wg_nanoseconds latency
      DOC("from the call to the new program, or to its failure; 0 when the call is older than the sensor");
  wg_pid pid;
  wg_pid ppid DOC("the parent process");
  wg_uid uid;
  wg_errno errno DOC("0 when the program was started");
  wg_cgroup cgroup;
  wg_bytes args_bytes DOC("of all arguments; of a failed call, of those in argv");
  __u32 args_cut
      DOC("1 when argv may lack something: it holds 4096 bytes, of a failed call 64 arguments and those in memory");
  wg_comm comm DOC("name of the new program, or of the caller when the call failed");
  wg_path path DOC("the file, as the caller named it");
  wg_argv argv;
};
EVENTS(exec, exec_row);

/* The gathering loop may write a whole argument where the last byte of argv is:
 * the room after it keeps the verifier content and is never submitted. */
struct exec_room {
  struct exec_row row;
  wg_argv beyond;
};
SCRATCH(exec, exec_room);

struct call {
  wg_ktime entered;
  const char *path;
  const char *const *argv;
};
/* Calls that have not returned, by thread. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct call);
} calls SEC(".maps");

/* Where the map is full the row is made all the same, without latency. */
static __always_inline int enter(const char *path, const char *const *argv) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct call call = {bpf_ktime_get_ns(), path, argv};
  bpf_map_update_elem(&calls, &tid, &call, BPF_ANY);
  return 0;
}

static __always_inline void fill_task(struct exec_row *row, struct call *call) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  row->when = bpf_ktime_get_ns();
  row->latency = call->entered ? row->when - call->entered : 0;
  row->pid = bpf_get_current_pid_tgid() >> 32;
  row->ppid = BPF_CORE_READ(task, real_parent, tgid);
  row->uid = bpf_get_current_uid_gid();
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
}

/* A thread that calls execve takes its process's id: old_pid is what it was when
 * the call began. */
ALWAYS("tp_btf/sched_process_exec")
int BPF_PROG(exec_started, struct task_struct *task, pid_t old_pid, struct linux_binprm *program) {
  struct call call = {};
  __u32 tid = old_pid;
  struct call *found = bpf_map_lookup_elem(&calls, &tid);
  if (found) {
    call = *found;
    bpf_map_delete_elem(&calls, &tid);
  }
  if (!exec_produced(!param_failed && wg_task_wanted())) return 0;
  struct exec_room *room = exec_scratch();
  if (!room) return 0;
  struct exec_row *row = &room->row;
  fill_task(row, &call);
  row->errno = 0;
  bpf_probe_read_kernel_str(row->path, sizeof(row->path), BPF_CORE_READ(program, filename));
  /* By helper calls: see fork. */
  struct mm_struct *memory = BPF_CORE_READ(task, mm);
  unsigned long start = BPF_CORE_READ(memory, arg_start);
  __u64 bytes = BPF_CORE_READ(memory, arg_end) - start;
  row->args_bytes = bytes;
  row->args_cut = bytes > ARGV_BYTES;
  if (bytes > ARGV_BYTES) bytes = ARGV_BYTES;
  if (bpf_probe_read_user(row->argv, bytes, (const void *)start)) {
    row->args_cut = 1;
    bytes = 0;
  }
  exec_submit(row, WG_CUT(exec_row, argv, bytes));
  return 0;
}

/* Fills argv, args_bytes and args_cut from the caller's memory. An argument whose
 * page is not in memory is left empty: the kernel refused before it had looked at
 * it, and the caller had not either. */
static __always_inline void gather_arguments(struct exec_row *row, const char *const *argv) {
  __u64 bytes = 0;
  bool ended = false;
  /* Negative once a length was: a test in the loop would double what is verified. */
  long lengths = 0;
  for (int i = 0; i < ARGUMENTS_MOST; i++) {
    const char *argument = NULL;
    ended = !bpf_probe_read_user(&argument, sizeof(argument), &argv[i]) && !argument;
    if (!argument) break;
    long length = bpf_probe_read_user_str(row->argv + (bytes & (ARGV_BYTES - 1)), ARGV_BYTES, argument);
    /* 8678ea06852c (6.2): before, the length of an empty string is 0 instead of 1. */
    lengths |= length;
    bytes += length < 1 ? 1 : length;
    if (bytes >= ARGV_BYTES) break;
  }
  row->args_bytes = bytes > ARGV_BYTES ? ARGV_BYTES : bytes;
  row->args_cut = lengths < 0 || !ended;
}

static __always_inline int leave(long result) {
  __u32 tid = bpf_get_current_pid_tgid();
  /* Told by exec_started(). */
  if (result >= 0) return 0;
  struct call call = {};
  struct call *found = bpf_map_lookup_elem(&calls, &tid);
  if (found) {
    call = *found;
    bpf_map_delete_elem(&calls, &tid);
  }
  if (!exec_produced(wg_task_wanted())) return 0;
  struct exec_room *room = exec_scratch();
  if (!room) return 0;
  struct exec_row *row = &room->row;
  fill_task(row, &call);
  row->errno = -result;
  if (bpf_probe_read_user_str(row->path, sizeof(row->path), call.path) < 0) row->path[0] = 0;
  gather_arguments(row, call.argv);
  exec_submit(row, WG_CUT(exec_row, argv, row->args_bytes));
  return 0;
}

ALWAYS("tracepoint/syscalls/sys_enter_execve")
int enter_execve(struct wg_sys_enter *ctx) {
  return enter((const char *)ctx->args[0], (const char *const *)ctx->args[1]);
}
ALWAYS("tracepoint/syscalls/sys_enter_execveat")
int enter_execveat(struct wg_sys_enter *ctx) {
  return enter((const char *)ctx->args[1], (const char *const *)ctx->args[2]);
}

ALWAYS("tracepoint/syscalls/sys_exit_execve")
ALSO("tracepoint/syscalls/sys_exit_execveat")
int leave_exec(struct wg_sys_exit *ctx) { return leave(ctx->ret); }
