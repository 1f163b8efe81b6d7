/* runq: how long tasks that could run waited for a CPU.
 *
 * A wait begins when a task is woken, or is put aside while it could still run
 * (preempted, yielded), and ends when it is switched in. This runs on every
 * switch of every CPU, so a task's entry is made once, kept until the kernel
 * frees the task and written in place: no insertion and no deletion on the way.
 * It is keyed by the address of the task, because a thread id may be given to
 * the next task before the last one is freed.
 *
 * Whether the task that leaves could still run is read from the task and not
 * taken from the tracepoint's argument (5.18): that one still says "sleeping"
 * when a signal ended the sleep before it began.
 * source: tracepoints sched:sched_{wakeup,wakeup_new,switch,process_free};
 *   kernel/sched/core.c __schedule(), ttwu_runnable()
 *   2f064a59a11f (5.14) renamed task_struct.state to __state */
#include <waggle/sensor.bpf.h>

SENSOR("waits for a CPU: how long tasks that could run did not");

PARAM(wg_nanoseconds, min, "only waits of at least this long (events)") = 10000000;
PARAM(bool, by_process, "rows of the table by process, not by task name alone") = false;

struct runq_row {
  wg_ktime when DOC("when the task got the CPU");
  wg_nanoseconds latency DOC("from runnable to running");
  wg_pid pid;
  wg_tid tid;
  wg_cpu cpu;
  __u32 preempted DOC("1 when it had been put aside while it ran, 0 when it was woken");
  wg_cgroup cgroup;
  wg_comm comm;
  wg_tid previous_tid DOC("the thread that had the CPU before; 0: none, the CPU was idle");
  wg_comm previous_comm DOC("its name");
  __u32 _pad;
};
EVENTS(runq, runq_row);

struct runq_key {
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("name of the thread");
};
struct runq_value {
  wg_latency_histogram latency DOC("from runnable to running");
};
TABLE(runq, runq_key, runq_value, 4096);

struct waiter {
  wg_ktime since; /* 0 while it does not wait */
  bool preempted;
  bool in_cgroup; /* as it was when the task was last seen running */
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 32768);
  __type(key, __u64);
  __type(value, struct waiter);
} waiters SEC(".maps");

/* Of the task that runs now. */
static __always_inline bool in_cgroup(void) {
  return !wg_cgroup_set || bpf_current_task_under_cgroup(&wg_cgroup_only, 0) == 1;
}

/* The entry of a task, made when missing. NULL when the map is full. */
static __always_inline struct waiter *waiter_of(struct task_struct *task, bool task_in_cgroup) {
  __u64 key = (__u64)task;
  struct waiter *waiter = bpf_map_lookup_elem(&waiters, &key);
  if (waiter) return waiter;
  struct waiter fresh = {.in_cgroup = task_in_cgroup};
  bpf_map_update_elem(&waiters, &key, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&waiters, &key);
}

static __always_inline int woken(struct task_struct *task, bool task_in_cgroup) {
  /* It had not left the CPU yet, so there is nothing to wait for. */
  if (task->on_cpu) return 0;
  struct waiter *waiter = waiter_of(task, task_in_cgroup);
  if (!waiter) {
    runq_lost();
    runq_table_lost();
    return 0;
  }
  /* A preempted task that was about to sleep waits since it was preempted. */
  if (waiter->since) return 0;
  waiter->preempted = false;
  waiter->since = bpf_ktime_get_ns();
  return 0;
}

/* A task that has not run since the sensor began is in no cgroup that we know. */
ALWAYS("tp_btf/sched_wakeup")
int BPF_PROG(wakeup, struct task_struct *task) { return woken(task, !wg_cgroup_set); }
/* A new task is in its parent's, which runs now. */
ALWAYS("tp_btf/sched_wakeup_new")
int BPF_PROG(wakeup_new, struct task_struct *task) { return woken(task, in_cgroup()); }

/* The task leaves the CPU and runs until the switch is done. */
static __always_inline void leave(struct task_struct *task, bool runnable, __u64 now) {
  bool task_in_cgroup = in_cgroup();
  struct waiter *waiter = waiter_of(task, task_in_cgroup);
  if (!waiter) {
    if (!runnable) return;
    runq_lost();
    runq_table_lost();
    return;
  }
  waiter->in_cgroup = task_in_cgroup;
  if (!runnable) return;
  waiter->preempted = true;
  waiter->since = now;
}

ALWAYS("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *previous, struct task_struct *next) {
  __u64 now = bpf_ktime_get_ns();
  bool runnable = preempt || !wg_task_state_of(previous);
  if (previous->pid && (runnable || wg_cgroup_set)) leave(previous, runnable, now);
  if (!next->pid) return 0;
  __u64 key = (__u64)next;
  struct waiter *waiter = bpf_map_lookup_elem(&waiters, &key);
  /* It became runnable before the sensor began. */
  if (!waiter || !waiter->since) return 0;
  wg_nanoseconds latency = now - waiter->since;
  waiter->since = 0;
  bool wanted = waiter->in_cgroup && wg_owner_wanted(next->tgid, next->comm);
  if (runq_produced(wanted && latency >= param_min)) {
    struct runq_row row = {};
    row.when = now;
    row.latency = latency;
    row.pid = next->tgid;
    row.tid = next->pid;
    row.cpu = bpf_get_smp_processor_id();
    row.preempted = waiter->preempted;
    /* By helper calls, which few rows pay: see fork. */
    row.cgroup = BPF_CORE_READ(next, cgroups, dfl_cgrp, kn, id);
    bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), next->comm);
    row.previous_tid = previous->pid;
    bpf_probe_read_kernel_str(row.previous_comm, sizeof(row.previous_comm), previous->comm);
    runq_submit(&row, sizeof(row));
  }
  if (runq_counted(wanted)) {
    struct runq_key row_key = {};
    if (param_by_process) row_key.pid = next->tgid;
    bpf_probe_read_kernel_str(row_key.comm, sizeof(row_key.comm), next->comm);
    struct runq_value *value = runq_row(&row_key);
    if (value) wg_observe(&value->latency, latency);
  }
  return 0;
}

ALWAYS("tp_btf/sched_process_free")
int BPF_PROG(freed, struct task_struct *task) {
  __u64 key = (__u64)task;
  bpf_map_delete_elem(&waiters, &key);
  return 0;
}
