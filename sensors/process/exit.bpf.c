/* exit: processes that ended: how, how old, and how large they had grown.
 *
 * One row a process, when its last thread goes; threads that end before are not
 * rows. Which thread is the last is known to the kernel alone until 6.16, which
 * tells it: when two of them end at the same time, both see that nobody is left.
 * So the processes that ended last are remembered, and told once.
 * source: tracepoint sched:sched_process_exit; kernel/exit.c do_exit(), wait_task_zombie() */
#include <asm-generic/errno-base.h>

#include <waggle/sensor.bpf.h>

SENSOR("processes that ended: exit code or signal, age, largest memory");

PARAM(bool, failed, "only processes that failed: with a code other than 0, or by a signal") = false;

struct exit_row {
  wg_ktime when;
  wg_nanoseconds age DOC("from fork to exit, without the time the machine slept");
  wg_pid pid;
  wg_pid ppid DOC("the parent process");
  wg_uid uid;
  __s32 code DOC("exit status, 0 to 255; 0 when a signal killed it");
  wg_signal signal DOC("the signal that killed it, 0 if none did");
  __u32 core_dumped DOC("1 when a core was dumped");
  wg_bytes rss_most DOC("largest resident memory the process ever had");
  wg_cgroup cgroup;
  wg_comm comm DOC("name of its first thread");
};
EVENTS(exit, exit_row);

/* A process, told from a later one of the same pid. */
struct process {
  __u64 start_time;
  __u64 pid;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, struct process);
  __type(value, __u8);
} ended SEC(".maps");

/* include/linux/sched/signal.h: group_exit_code holds the whole process's code. */
#define SIGNAL_GROUP_EXIT 0x4

static __always_inline bool already_told(struct task_struct *leader) {
  struct process process = {leader->start_time, leader->tgid};
  __u8 told = 1;
  /* d7ba4cc900bf (6.4): until then the upper half of the result is undefined. */
  return (int)bpf_map_update_elem(&ended, &process, &told, BPF_NOEXIST) == -EEXIST;
}

/* What wait(2) will tell the parent. */
static __always_inline __u32 wait_status(struct signal_struct *signal, struct task_struct *leader) {
  return signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : leader->exit_code;
}

ALWAYS("tp_btf/sched_process_exit")
int BPF_PROG(exit_process, struct task_struct *task) {
  struct signal_struct *signal = task->signal;
  struct task_struct *leader = task->group_leader;
  if (signal->live.counter != 0) return 0;
  if (bpf_core_field_exists(struct trace_event_raw_sched_process_exit, group_dead)) {
    if (!(bool)ctx[1]) return 0;
  } else if (already_told(leader)) {
    return 0;
  }
  __u32 status = wait_status(signal, leader);
  if (!exit_produced(wg_task_wanted() && (!param_failed || status & 0xff7f))) return 0;
  struct exit_row row = {};
  /* By helper calls: see fork. */
  row.when = bpf_ktime_get_ns();
  row.age = row.when - leader->start_time;
  row.pid = task->tgid;
  row.ppid = BPF_CORE_READ(leader, real_parent, tgid);
  row.uid = BPF_CORE_READ(task, cred, uid.val);
  row.code = status >> 8 & 0xff;
  row.signal = status & 0x7f;
  row.core_dumped = status >> 7 & 1;
  row.rss_most = signal->maxrss * WG_PAGE_BYTES;
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), leader->comm);
  exit_submit(&row, sizeof(row));
  return 0;
}
