/* syscall: any system call: how often, how long, how many failed, and which.
 *
 * One event is a call that returned. Calls that never do (exit, exit_group) are not
 * among them, nor those that began before the sensor did, and a new process's first
 * step, which looks like a return of the clone that made it. This runs at each system
 * call of each process, so what happens there is a few loads and stores: the begin lies
 * in an array, and rows are made for slow or failed calls alone.
 *
 * Calls made the 32-bit way have numbers of their own: they are shown as 32768 more.
 * source: tracepoints raw_syscalls:sys_{enter,exit}; kernel/entry/common.c */
#include <waggle/in_flight.h>

SENSOR("system calls: count, errors, latency of each; slow and failed ones as rows");

/* One less than 10 ms, which tells that nobody chose it: of failed calls all are shown then. */
#define SLOW 9999999
PARAM(wg_nanoseconds, min, "only calls that took at least this long (events); by itself 10 ms, of failed ones 0") = SLOW;
PARAM(bool, failed, "only calls that failed (events)") = false;
PARAM(wg_syscall, syscall, "only this one, by name or number; others are not counted at all") = -1;
PARAM(bool, by_process, "a row of the table for each process") = false;

struct syscall_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return, with the time it slept");
  __s64 result DOC("what it returned; negative: the errno");
  wg_pid pid;
  wg_tid tid;
  wg_syscall syscall;
  wg_errno errno DOC("0 when it succeeded");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(syscall, syscall_row);

struct syscall_key {
  wg_syscall syscall;
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
};
struct syscall_value {
  wg_count calls;
  wg_count errors DOC("calls that returned an errno, those that a signal interrupted included");
  wg_latency_histogram latency DOC("from entry to return, with the time it slept");
};
TABLE(syscall, syscall_key, syscall_value, 8192);

struct call {
  wg_ktime entered;
  __u32 number;
};
IN_FLIGHT(calls, call);

/* source: arch/x86/entry/syscalls/syscall_64.tbl */
enum { RT_SIGRETURN = 15, EXIT = 60, EXIT_GROUP = 231 };
/* source: arch/x86/include/asm/thread_info.h */
#define TS_COMPAT 2
#define OF_32_BIT 0x8000
#define ERRNO_MOST 4095

/* Whether the call was made the 32-bit way: by a 32-bit program, or by int 0x80. */
static __always_inline bool is_32_bit(void) {
  __u32 status;
  /* 3ca1032ab7ab (5.11) */
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
    status = bpf_get_current_task_btf()->thread_info.status;
  else
    status = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), thread_info.status);
  return status & TS_COMPAT;
}

ALWAYS("tp_btf/sys_enter")
int BPF_PROG(enter, void *registers, long number) {
  __u32 nr = number;
  if (is_32_bit()) nr |= OF_32_BIT;
  if (nr == EXIT || nr == EXIT_GROUP || (param_syscall != (wg_syscall)-1 && nr != param_syscall)) {
    calls_skip();
    return 0;
  }
  if (!wg_task_wanted()) {
    calls_skip();
    syscall_produced(false);
    syscall_counted(false);
    return 0;
  }
  struct call call = {bpf_ktime_get_ns(), nr};
  if (calls_begin(&call)) return 0;
  syscall_lost();
  syscall_table_lost();
  return 0;
}

static __always_inline bool is_shown(wg_nanoseconds latency, wg_errno error) {
  if (param_failed && !error) return false;
  return latency >= param_min || (param_failed && param_min == SLOW);
}

ALWAYS("tp_btf/sys_exit")
int BPF_PROG(leave, void *registers, long result) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds latency = now - call.entered;
  __u64 id = bpf_get_current_pid_tgid();
  /* Its result has 32 bits. */
  if (call.number & OF_32_BIT) result = (int)result;
  /* After a signal's handler the register holds what it held before. */
  bool failed = result < 0 && result >= -ERRNO_MOST && call.number != RT_SIGRETURN;
  wg_errno error = failed ? -result : 0;
  if (syscall_counted(true)) {
    struct syscall_key key = {.syscall = call.number};
    if (param_by_process) {
      key.pid = id >> 32;
      bpf_get_current_comm(key.comm, sizeof(key.comm));
    }
    struct syscall_value *value = syscall_row(&key);
    if (value) {
      wg_add(&value->calls, 1);
      if (error) wg_add(&value->errors, 1);
      wg_observe(&value->latency, latency);
    }
  }
  if (!syscall_produced(is_shown(latency, error))) return 0;
  struct syscall_row row = {};
  row.when = now;
  row.latency = latency;
  row.result = result;
  row.pid = id >> 32;
  row.tid = id;
  row.syscall = call.number;
  row.errno = error;
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  syscall_submit(&row, sizeof(row));
  return 0;
}
