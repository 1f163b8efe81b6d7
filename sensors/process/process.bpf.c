/* process: the processes there are, as ps(1) lists them.
 *
 * CPU time is the scheduler's own sum in nanoseconds, of threads that have ended
 * too; a running thread's last few milliseconds are added at its next tick. Memory
 * is the kernel's count, which since 6.2 is kept by CPU and may be behind by some
 * dozen pages a CPU.
 * source: iterator over tasks; fs/proc/array.c do_task_stat() */
#include <waggle/snapshot.h>

SENSOR("processes: state, age, CPU time, memory, threads");

PARAM(bool, threads, "a row for each thread, with its own state and CPU time") = false;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};
#pragma clang attribute pop

struct process_row {
  wg_ktime when;
  wg_ktime started;
  wg_cgroup cgroup;
  wg_pid pid;
  wg_pid ppid;
  wg_tid tid;
  wg_uid uid;
  wg_task_state state;
  __u32 _pad;
  wg_count threads;
  wg_nanoseconds cpu_time DOC("on a CPU since it began, of all its threads");
  wg_nanoseconds age DOC("since it began");
  wg_bytes memory DOC("resident: anonymous, of files, and shared");
  wg_comm comm;
};
SNAPSHOT(process, process_row);

/* source: include/linux/mm_types_task.h */
enum { kFilePages, kAnonymousPages, kSwapEntries, kSharedPages };

static __always_inline wg_bytes memory_of(struct mm_struct *mm) {
  if (!mm) return 0;
  __s64 pages;
  /* 5.10 cannot follow a type into the array. */
  if (bpf_core_field_exists(struct mm_struct___until_6_2, rss_stat.count)) {
    struct mm_struct___until_6_2 *old = (void *)mm;
    pages = BPF_CORE_READ(old, rss_stat.count[kFilePages].counter) +
            BPF_CORE_READ(old, rss_stat.count[kAnonymousPages].counter) +
            BPF_CORE_READ(old, rss_stat.count[kSharedPages].counter);
  } else {
    struct mm_struct___since_6_2 *now = (void *)mm;
    pages = BPF_CORE_READ(now, rss_stat[kFilePages].count) + BPF_CORE_READ(now, rss_stat[kAnonymousPages].count) +
            BPF_CORE_READ(now, rss_stat[kSharedPages].count);
  }
  return pages > 0 ? pages * WG_PAGE_BYTES : 0;
}

/* Threads that are added up; the verifier wants to know how many at most. */
#define THREADS_MOST 4096
static __always_inline wg_nanoseconds cpu_time_of(struct task_struct *leader) {
  struct signal_struct *signal = leader->signal;
  wg_nanoseconds sum = signal->sum_sched_runtime;
  struct list_head *head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
  struct list_head *node = signal->thread_head.next;
  for (int i = 0; node && node != head && i < THREADS_MOST; i++) {
    struct task_struct *thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
    sum += BPF_CORE_READ(thread, se.sum_exec_runtime);
    node = BPF_CORE_READ(node, next);
  }
  return sum;
}

ALWAYS("iter/task")
int shown(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task) return 0;
  if (!param_threads && task->pid != task->tgid) return 0;
  if (!process_passes(wg_task_passes(task))) return 0;
  struct process_row row = {};
  row.when = bpf_ktime_get_ns();
  row.started = task->start_time;
  row.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  row.pid = task->tgid;
  row.ppid = task->real_parent->tgid;
  row.tid = task->pid;
  row.uid = task->cred->uid.val;
  row.state = wg_task_state_of(task) | task->exit_state;
  row.threads = param_threads ? 1 : task->signal->nr_threads;
  row.cpu_time = param_threads ? task->se.sum_exec_runtime : cpu_time_of(task);
  row.age = row.when - row.started;
  row.memory = memory_of(task->mm);
  bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), task->comm);
  process_write(ctx->meta, &row);
  return 0;
}
