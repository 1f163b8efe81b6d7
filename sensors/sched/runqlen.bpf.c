/* runqlen: how many tasks wait in the run queue of each CPU, sampled.
 *
 * A timer of each CPU fires `hz` times a second and reads how many tasks the CPU has
 * to run; the one that runs then is not waiting. A CPU that is idle is sampled, too.
 * source: perf_event_open(2) PERF_COUNT_SW_CPU_CLOCK; kernel/sched/sched.h */
#include <waggle/sensor.bpf.h>

SENSOR("length of the run queues: how many tasks wait for each CPU, sampled");

PARAM(__u32, hz, "samples a second of each CPU") = 99;

struct runqlen_key {
  wg_cpu cpu;
  __u32 waiting DOC("tasks that could run, without the one that does");
};
struct runqlen_value {
  wg_count samples;
};
TABLE(runqlen, runqlen_key, runqlen_value, 16384);

ALWAYS("perf_event")
int sample(void *ctx) {
  if (!runqlen_counted(wg_task_wanted())) return 0;
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  __u32 running = BPF_CORE_READ(task, se.cfs_rq, rq, nr_running);
  bool idle = !(__u32)bpf_get_current_pid_tgid();
  struct runqlen_key key = {.cpu = bpf_get_smp_processor_id()};
  key.waiting = idle || !running ? running : running - 1;
  struct runqlen_value *value = runqlen_row(&key);
  if (value) wg_add(&value->samples, 1);
  return 0;
}
