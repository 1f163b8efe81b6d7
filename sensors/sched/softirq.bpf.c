/* softirq: soft interrupts: how long each waited from its raising on, and how long
 * it took.
 *
 * They are raised, run and ended on one CPU, one after the other, so that each CPU
 * keeps two times for each vector. Raised again before it runs, a soft interrupt
 * still runs once and has waited since the first time. One that is raised while the
 * kernel is about to run it has no waiting time of its own: it is in `latency`, and
 * not in `queued`.
 * source: tracepoints irq:softirq_{raise,entry,exit}; kernel/softirq.c */
#include <waggle/sensor.bpf.h>

SENSOR("soft interrupts: how long they wait and how long they take, by vector");

PARAM(wg_nanoseconds, min, "only those that waited or took at least this long (events)") = 1000000;

struct softirq_row {
  wg_ktime when DOC("when it ended");
  wg_nanoseconds latency DOC("how long it took");
  wg_nanoseconds queued DOC("from its raising to its start; 0 when that is not known");
  wg_softirq vector;
  wg_cpu cpu;
  wg_pid pid DOC("of the task that it interrupted, or of ksoftirqd");
  wg_comm comm DOC("its name");
  __u32 _pad;
};
EVENTS(softirq, softirq_row);

struct softirq_key {
  wg_softirq vector;
};
struct softirq_value {
  wg_latency_histogram latency DOC("how long it took");
  wg_latency_histogram queued DOC("from its raising to its start");
};
TABLE(softirq, softirq_key, softirq_value, 16);

#define VECTORS 16 /* there are 10 */
struct times {
  wg_ktime raised, entered; /* 0: not known */
  wg_nanoseconds queued;
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, VECTORS);
  __type(key, __u32);
  __type(value, struct times);
} vectors SEC(".maps");

ALWAYS("tp_btf/softirq_raise")
int BPF_PROG(raised, unsigned int vector) {
  struct times *times = bpf_map_lookup_elem(&vectors, &vector);
  if (times && !times->raised) times->raised = bpf_ktime_get_ns();
  return 0;
}

ALWAYS("tp_btf/softirq_entry")
int BPF_PROG(entered, unsigned int vector) {
  struct times *times = bpf_map_lookup_elem(&vectors, &vector);
  if (!times) return 0;
  wg_ktime since = times->raised;
  times->raised = 0;
  times->entered = bpf_ktime_get_ns();
  times->queued = since ? times->entered - since : 0;
  return 0;
}

ALWAYS("tp_btf/softirq_exit")
int BPF_PROG(ended, unsigned int vector) {
  wg_ktime now = bpf_ktime_get_ns();
  struct times *times = bpf_map_lookup_elem(&vectors, &vector);
  /* It began before the sensor did. */
  if (!times || !times->entered) return 0;
  wg_nanoseconds latency = now - times->entered, queued = times->queued;
  times->entered = 0;
  bool wanted = wg_task_wanted();
  if (softirq_produced(wanted && (latency >= param_min || queued >= param_min))) {
    struct softirq_row row = {};
    row.when = now;
    row.latency = latency;
    row.queued = queued;
    row.vector = vector;
    row.cpu = bpf_get_smp_processor_id();
    row.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(row.comm, sizeof(row.comm));
    softirq_submit(&row, sizeof(row));
  }
  if (softirq_counted(wanted)) {
    struct softirq_key key = {.vector = vector};
    struct softirq_value *value = softirq_row(&key);
    if (!value) return 0;
    wg_observe(&value->latency, latency);
    if (queued) wg_observe(&value->queued, queued);
  }
  return 0;
}
