/* fork: processes and threads created.
 *
 * One row a new task, written by the task that creates it just before the new one
 * may run: so the row is older than anything the new process does, and a table of
 * processes can be kept from fork, exec and exit alone. Filters judge the creator.
 * source: tracepoint sched:sched_process_fork; kernel/fork.c kernel_clone() */
#include <waggle/sensor.bpf.h>

SENSOR("processes and threads created, and by whom");

PARAM(bool, processes, "only new processes, not threads") = false;

struct fork_row {
  wg_ktime when;
  wg_pid pid DOC("the new process; of a new thread, the process it belongs to");
  wg_tid tid DOC("the new task's first, or only, thread");
  wg_pid ppid DOC("the parent of that process");
  wg_tid creator DOC("the thread that called clone; not the parent's when CLONE_PARENT was asked for");
  wg_uid uid;
  __u32 thread DOC("1 for a new thread of an existing process");
  wg_cgroup cgroup DOC("where the new task begins");
  wg_comm comm;
};
EVENTS(fork, fork_row);

ALWAYS("tp_btf/sched_process_fork")
int BPF_PROG(fork_created, struct task_struct *creator, struct task_struct *task) {
  bool thread = task->pid != task->tgid;
  if (!fork_produced(!(param_processes && thread) && wg_task_wanted())) return 0;
  struct fork_row row = {};
  /* Pointers are followed by helper calls: following a typed one costs the verifier of
   * 6.18 four searches of all types of the kernel, 15 ms for these. */
  row.when = bpf_ktime_get_ns();
  row.pid = task->tgid;
  row.tid = task->pid;
  row.ppid = BPF_CORE_READ(task, real_parent, tgid);
  row.creator = creator->pid;
  row.uid = BPF_CORE_READ(task, cred, uid.val);
  row.thread = thread;
  row.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), task->comm);
  fork_submit(&row, sizeof(row));
  return 0;
}
