/* cpu: what runs on the CPUs, sampled: kernel and user stacks of the running task.
 *
 * A timer of each CPU fires `hz` times a second; a row is a sample.
 * source: perf_event_open(2) PERF_COUNT_SW_CPU_CLOCK */
#include <waggle/stack.h>

SENSOR("CPU samples: which task ran, and its kernel and user stack");

PARAM(__u32, hz, "samples a second of each CPU") = 99;
PARAM(bool, idle, "samples of idle CPUs too, as pid 0") = false;

struct cpu_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_cpu cpu;
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_stack stack;
};
EVENTS_SIZED(cpu, cpu_row, 1 << 20);
/* The timer of a CPU does not interrupt itself, and nothing else uses the row. */
SCRATCH(cpu, cpu_row);

struct cpu_key {
  wg_pid pid;
  wg_comm comm;
};
struct cpu_value {
  wg_count samples;
};
TABLE(cpu, cpu_key, cpu_value, 8192);

static __always_inline void send(void *ctx, __u32 pid, __u32 tid) {
  struct cpu_row *row = cpu_scratch();
  if (!row) return;
  row->when = bpf_ktime_get_ns();
  row->pid = pid;
  row->tid = tid;
  row->cpu = bpf_get_smp_processor_id();
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  __u64 stack_bytes = wg_stack_fill(ctx, &row->stack, false);
  cpu_submit(row, WG_CUT(cpu_row, stack, stack_bytes));
}

ALWAYS("perf_event")
int sample(void *ctx) {
  __u64 id = bpf_get_current_pid_tgid();
  __u32 pid = id >> 32, tid = id;
  if (!pid && !param_idle) return 0;
  bool wanted = wg_task_wanted();
  if (cpu_counted(wanted)) {
    struct cpu_key key = {.pid = pid};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    struct cpu_value *value = cpu_row(&key);
    if (value) wg_add(&value->samples, 1);
  }
  if (cpu_produced(wanted)) send(ctx, pid, tid);
  return 0;
}
