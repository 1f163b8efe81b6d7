/* offcpu: where tasks leave the CPU, why, and how long they stay away.
 *
 * The stack is taken when a task leaves, while it still runs, and kept until it is
 * switched in again: as long as that, and no shorter, was it off the CPU, whether
 * it slept, was blocked or was put aside. Idle tasks never leave in this sense.
 *
 * As in runq.bpf.c the entry of a task is made once, written in place and kept until
 * the kernel frees the task; its row lies in it, ready to be sent from there. The
 * table is by hash of the stack (waggle/stack.h). What the filters turn away is
 * counted when it leaves, and costs no stack.
 * source: tracepoints sched:sched_{switch,wakeup,process_free};
 *   kernel/sched/core.c __schedule()
 *   2f064a59a11f (5.14) renamed task_struct.state to __state */
#include <waggle/stack.h>

SENSOR("time off the CPU: where tasks sleep or block, by stack, and why");

PARAM(wg_nanoseconds, min, "only absences of at least this long (events)") = 10000000;
PARAM(wg_nanoseconds, min_block, "only absences of at least this long (events and table)") = 0;
PARAM(wg_nanoseconds, max_block, "only absences of at most this long (events and table); 0: no limit") = 0;
PARAM(wg_task_state, state, "only tasks in one of these states: 1 sleeping, 2 disk sleep, 3 both; 0: all") = 0;
PARAM(bool, user_tasks, "only tasks of programs") = false;
PARAM(bool, kernel_tasks, "only tasks of the kernel") = false;

struct offcpu_row {
  wg_ktime when DOC("when the task was back on a CPU");
  wg_nanoseconds latency DOC("off the CPU");
  wg_nanoseconds delay DOC("of it, waiting for a CPU: after the wake-up, or all of it when it could run");
  wg_pid pid;
  wg_tid tid;
  wg_task_state state DOC("how it left: running when it was put aside");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_stack stack DOC("where it left");
};
EVENTS_SIZED(offcpu, offcpu_row, 1 << 20);

struct offcpu_key {
  wg_pid pid;
  wg_task_state state DOC("how it left: running when it was put aside");
  wg_comm comm DOC("name of the thread");
  __u64 _stack_hash;
};
struct offcpu_value {
  wg_latency_histogram latency DOC("off the CPU");
  wg_stack stack DOC("where it left");
};
TABLE(offcpu, offcpu_key, offcpu_value, 4096);

/* A task that left. */
struct absentee {
  wg_ktime since; /* 0 while it runs */
  wg_ktime woken; /* 0 until it is */
  struct offcpu_row row;
};
static const struct absentee fresh_absentee;
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, __u64); /* address of the task */
  __type(value, struct absentee);
} absentees SEC(".maps");

/* source: include/linux/sched.h */
#define PF_KTHREAD 0x00200000

static __always_inline bool wanted(struct task_struct *task, __u32 state) {
  bool of_kernel = task->flags & PF_KTHREAD;
  if (param_user_tasks && of_kernel) return false;
  if (param_kernel_tasks && !of_kernel) return false;
  if (param_state && !(state & param_state)) return false;
  return wg_task_wanted();
}

static __always_inline struct absentee *absentee_of(struct task_struct *task) {
  __u64 key = (__u64)task;
  return bpf_map_lookup_elem(&absentees, &key);
}

static __always_inline void leave(void *ctx, struct task_struct *task, __u32 state, __u64 now) {
  if (!wanted(task, state)) {
    offcpu_produced(false);
    offcpu_counted(false);
    return;
  }
  struct absentee *absentee = absentee_of(task);
  if (!absentee) {
    __u64 key = (__u64)task;
    bpf_map_update_elem(&absentees, &key, &fresh_absentee, BPF_NOEXIST);
    absentee = bpf_map_lookup_elem(&absentees, &key);
  }
  if (!absentee) {
    offcpu_lost();
    offcpu_table_lost();
    return;
  }
  struct offcpu_row *row = &absentee->row;
  row->pid = task->tgid;
  row->tid = task->pid;
  row->state = state;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  wg_stack_fill(ctx, &row->stack, false);
  absentee->woken = 0;
  absentee->since = now;
}

static __always_inline void come_back(struct absentee *absentee, __u64 now) {
  struct offcpu_row *row = &absentee->row;
  wg_nanoseconds latency = now - absentee->since;
  wg_ktime runnable = row->state ? absentee->woken : absentee->since;
  absentee->since = 0;
  bool wanted = latency >= param_min_block && (!param_max_block || latency <= param_max_block);
  if (offcpu_produced(wanted && latency >= param_min)) {
    row->when = now;
    row->latency = latency;
    row->delay = runnable ? now - runnable : 0;
    __u32 frames = row->stack.kernel_frames + row->stack.user_frames;
    offcpu_submit(row, WG_CUT(offcpu_row, stack, __builtin_offsetof(wg_stack, frames) + frames * 8));
  }
  if (offcpu_counted(wanted)) {
    struct offcpu_key key = {.pid = row->pid, .state = row->state};
    __builtin_memcpy(key.comm, row->comm, sizeof(key.comm));
    key._stack_hash = wg_stack_hash(&row->stack);
    struct offcpu_value *value = offcpu_row(&key);
    if (!value) return;
    wg_stack_keep(&value->stack, &row->stack);
    wg_observe(&value->latency, latency);
  }
}

ALWAYS("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *previous, struct task_struct *next) {
  __u64 now = bpf_ktime_get_ns();
  /* It is put aside in the middle of falling asleep: it can still run. */
  if (previous->pid) leave(ctx, previous, preempt ? 0 : wg_task_state_of(previous), now);
  if (!next->pid) return 0;
  struct absentee *absentee = absentee_of(next);
  /* It left before the sensor began, or nobody wants it. */
  if (absentee && absentee->since) come_back(absentee, now);
  return 0;
}

/* Of the rows alone. */
ALWAYS("tp_btf/sched_wakeup")
int BPF_PROG(wakeup, struct task_struct *task) {
  if (!wg_want_events) return 0;
  struct absentee *absentee = absentee_of(task);
  if (absentee && absentee->since && !absentee->woken) absentee->woken = bpf_ktime_get_ns();
  return 0;
}

ALWAYS("tp_btf/sched_process_free")
int BPF_PROG(freed, struct task_struct *task) {
  __u64 key = (__u64)task;
  bpf_map_delete_elem(&absentees, &key);
  return 0;
}
