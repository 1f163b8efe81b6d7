/* oncpu: how long tasks stay on a CPU before they leave it: by themselves, to
 * sleep, or because another one is to run.
 *
 * A slice lasts from one switch of a CPU to the next. It runs on every switch of
 * every CPU and keeps two words for each CPU, no task. How long tasks stay away is
 * sensor offcpu's.
 * source: tracepoint sched:sched_switch; kernel/sched/core.c __schedule() */
#include <waggle/sensor.bpf.h>

SENSOR("time on the CPU: how long tasks run before they leave it");

PARAM(bool, by_process, "rows of the table by process, not by task name alone") = false;

struct oncpu_key {
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("name of the thread");
};
struct oncpu_value {
  wg_latency_histogram slice DOC("on the CPU without a break");
};
TABLE(oncpu, oncpu_key, oncpu_value, 8192);

/* When the task that runs was switched in; 0 before the first switch. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, wg_ktime);
} switched_in SEC(".maps");

ALWAYS("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *previous) {
  __u32 zero = 0;
  wg_ktime *since = bpf_map_lookup_elem(&switched_in, &zero);
  if (!since) return 0;
  wg_ktime began = *since, now = bpf_ktime_get_ns();
  *since = now;
  /* It has run since before the sensor began, or is idle. */
  if (!began || !previous->pid) return 0;
  if (!oncpu_counted(wg_task_wanted())) return 0;
  struct oncpu_key key = {};
  if (param_by_process) key.pid = previous->tgid;
  bpf_get_current_comm(key.comm, sizeof(key.comm));
  struct oncpu_value *value = oncpu_row(&key);
  if (value) wg_observe(&value->slice, now - began);
  return 0;
}
