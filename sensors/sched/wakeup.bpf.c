/* wakeup: who woke whom, from where, and how long the other had slept.
 *
 * The stack is the waker's: where sensor offcpu shows what a task waited in, this
 * shows what ended the wait. The waking is seen on the CPU of the waker
 * (sched_waking), not where the sleeper is put into the run queue: that may be done
 * by an interrupt of another CPU. A device or a timer wakes in the name of the task
 * that it interrupted; the frames of the interrupt tell.
 *
 * A sleep begins when a task leaves the CPU and cannot run. Entries of tasks are
 * kept as in runq.bpf.c; interrupts are off at both tracepoints, so that one row of
 * a CPU is enough for the stack.
 * source: tracepoints sched:sched_{waking,switch,process_free};
 *   kernel/sched/core.c try_to_wake_up(), __schedule() */
#include <waggle/stack.h>

SENSOR("who wakes whom: the waker's stack, and how long the other one slept");

PARAM(wg_nanoseconds, min_block, "only sleeps of at least this long") = 0;
PARAM(wg_nanoseconds, max_block, "only sleeps of at most this long; 0: no limit") = 0;
PARAM(bool, user_tasks, "only wake-ups of programs' tasks") = false;

struct wakeup_key {
  wg_pid pid DOC("process that woke; 0: an interrupt of an idle CPU");
  wg_pid target_pid DOC("process that was woken");
  wg_comm comm DOC("name of the thread that woke, or that was interrupted");
  wg_comm target_comm DOC("name of the thread that was woken");
  __u64 _stack_hash;
};
struct wakeup_value {
  wg_latency_histogram slept DOC("how long the woken one had slept");
  wg_stack stack DOC("where it was woken from");
};
TABLE(wakeup, wakeup_key, wakeup_value, 4096);
SCRATCH(wakeup, wakeup_value);

struct sleeper {
  wg_ktime since; /* 0 while it does not sleep */
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 32768);
  __type(key, __u64); /* address of the task */
  __type(value, struct sleeper);
} sleepers SEC(".maps");

ALWAYS("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *previous) {
  if (preempt || !previous->pid || !wg_task_state_of(previous)) return 0;
  __u64 key = (__u64)previous;
  struct sleeper *found = bpf_map_lookup_elem(&sleepers, &key);
  struct sleeper fresh = {.since = bpf_ktime_get_ns()};
  if (found)
    found->since = fresh.since;
  else if (bpf_map_update_elem(&sleepers, &key, &fresh, BPF_NOEXIST))
    wakeup_table_lost();
  return 0;
}

/* source: include/linux/sched.h */
#define PF_KTHREAD 0x00200000

ALWAYS("tp_btf/sched_waking")
int BPF_PROG(waking, struct task_struct *task) {
  __u64 task_key = (__u64)task;
  struct sleeper *sleeper = bpf_map_lookup_elem(&sleepers, &task_key);
  /* It has not left the CPU yet, or slept already when the sensor began. */
  if (!sleeper || !sleeper->since) return 0;
  wg_nanoseconds slept = bpf_ktime_get_ns() - sleeper->since;
  sleeper->since = 0;
  bool wanted = slept >= param_min_block && (!param_max_block || slept <= param_max_block) &&
                !(param_user_tasks && (task->flags & PF_KTHREAD)) && wg_task_wanted();
  if (!wakeup_counted(wanted)) return 0;
  struct wakeup_value *here = wakeup_scratch();
  if (!here) return 0;
  wg_stack_fill(ctx, &here->stack, false);
  struct wakeup_key key = {};
  key.pid = bpf_get_current_pid_tgid() >> 32;
  bpf_get_current_comm(key.comm, sizeof(key.comm));
  key.target_pid = task->tgid;
  bpf_probe_read_kernel_str(key.target_comm, sizeof(key.target_comm), task->comm);
  key._stack_hash = wg_stack_hash(&here->stack);
  struct wakeup_value *value = wakeup_row(&key);
  if (!value) return 0;
  wg_stack_keep(&value->stack, &here->stack);
  wg_observe(&value->slept, slept);
  return 0;
}

ALWAYS("tp_btf/sched_process_free")
int BPF_PROG(freed, struct task_struct *task) {
  __u64 key = (__u64)task;
  bpf_map_delete_elem(&sleepers, &key);
  return 0;
}
