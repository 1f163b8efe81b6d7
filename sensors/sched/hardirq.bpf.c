/* hardirq: interrupts of devices: how often each handler ran and how long it took.
 *
 * A line that several devices share has a row for each handler, and each of them
 * runs whenever one of the devices interrupts. Handlers run with interrupts off, so
 * that a CPU is in one at a time. The interrupts that a CPU sends another, and its
 * own timer, have no handler of this kind.
 * source: tracepoints irq:irq_handler_{entry,exit}; kernel/irq/handle.c */
#include <waggle/sensor.bpf.h>

SENSOR("interrupts of devices: handlers by name, how often and how long they run");

PARAM(wg_nanoseconds, min, "only handlers that took at least this long (events)") = 1000000;

struct hardirq_row {
  wg_ktime when DOC("when the handler returned");
  wg_nanoseconds latency DOC("in the handler");
  __u32 irq DOC("number of the line, as in /proc/interrupts");
  __u32 handled DOC("0: not by this device, 1: handled, 2: its thread goes on");
  wg_cpu cpu;
  wg_pid pid DOC("of the task that was interrupted");
  wg_comm comm DOC("its name");
  char handler[32] DOC("name of the handler");
};
EVENTS(hardirq, hardirq_row);

struct hardirq_key {
  __u32 irq DOC("number of the line, as in /proc/interrupts");
  char handler[32] DOC("name of the handler");
};
struct hardirq_value {
  wg_latency_histogram latency DOC("in the handler");
};
TABLE(hardirq, hardirq_key, hardirq_value, 1024);

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, wg_ktime); /* 0: in none, or not known */
} entered_at SEC(".maps");

ALWAYS("tp_btf/irq_handler_entry")
int entered(void *ctx) {
  __u32 zero = 0;
  wg_ktime *since = bpf_map_lookup_elem(&entered_at, &zero);
  if (since) *since = bpf_ktime_get_ns();
  return 0;
}

ALWAYS("tp_btf/irq_handler_exit")
int BPF_PROG(returned, int irq, struct irqaction *action, int handled) {
  wg_ktime now = bpf_ktime_get_ns();
  __u32 zero = 0;
  wg_ktime *since = bpf_map_lookup_elem(&entered_at, &zero);
  if (!since || !*since) return 0;
  wg_nanoseconds latency = now - *since;
  *since = 0;
  bool wanted = wg_task_wanted();
  if (hardirq_produced(wanted && latency >= param_min)) {
    struct hardirq_row row = {};
    row.when = now;
    row.latency = latency;
    row.irq = irq;
    row.handled = handled;
    row.cpu = bpf_get_smp_processor_id();
    row.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(row.comm, sizeof(row.comm));
    bpf_probe_read_kernel_str(row.handler, sizeof(row.handler), action->name);
    hardirq_submit(&row, sizeof(row));
  }
  if (hardirq_counted(wanted)) {
    struct hardirq_key key = {.irq = irq};
    bpf_probe_read_kernel_str(key.handler, sizeof(key.handler), action->name);
    struct hardirq_value *value = hardirq_row(&key);
    if (value) wg_observe(&value->latency, latency);
  }
  return 0;
}
