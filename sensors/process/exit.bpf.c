/* exit: processes that ended: how, how old, and how large they had grown.
 *
 * One row a process, when its last thread goes; threads that end before are not
 * rows. The exit code is the group's where exit_group(2) or a signal set one.
 * source: tracepoint sched:sched_process_exit; kernel/exit.c do_exit() */
#include <waggle/sensor.bpf.h>

SENSOR("processes that ended: exit code or signal, age, largest memory");

struct exit_row {
  wg_ktime when;
  wg_nanoseconds age DOC("from fork to exit");
  wg_pid pid;
  wg_pid ppid DOC("the parent process");
  wg_uid uid;
  __s32 code DOC("exit status, 0 to 255");
  wg_signal signal DOC("the signal that killed it, 0 if none did");
  __u32 core_dumped DOC("1 when a core was dumped");
  wg_bytes rss_most DOC("largest resident memory the process ever had");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(exit, exit_row);

ALWAYS("tp_btf/sched_process_exit")
int BPF_PROG(exit_process, struct task_struct *task) {
  struct signal_struct *signal = task->signal;
  if (signal->live.counter != 0) return 0;
  if (!exit_produced(wg_task_wanted())) return 0;
  struct exit_row row = {};
  row.when = bpf_ktime_get_ns();
  row.age = row.when - task->group_leader->start_time;
  row.pid = task->tgid;
  row.ppid = task->real_parent->tgid;
  row.uid = task->cred->uid.val;
  __u32 code = signal->group_exit_code ?: task->exit_code;
  row.code = code >> 8 & 0xff;
  row.signal = code & 0x7f;
  row.core_dumped = code >> 7 & 1;
  row.rss_most = signal->maxrss * 4096;
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), task->group_leader->comm);
  exit_submit(&row, sizeof(row));
  return 0;
}
