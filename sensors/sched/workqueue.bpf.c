/* workqueue: work that the kernel puts off: how long each item waited for a worker
 * and how long it ran, by function.
 *
 * An item may be queued again while it runs, so that what is queued is known by its
 * address and what runs by its worker.
 * source: tracepoints workqueue:workqueue_{queue_work,execute_start,execute_end};
 *   kernel/workqueue.c */
#include <waggle/sensor.bpf.h>

SENSOR("deferred work of the kernel: waits for a worker and run times by function");

struct workqueue_key {
  wg_kaddr function;
  char queue[32] DOC("name of the workqueue");
};
struct workqueue_value {
  wg_latency_histogram queued DOC("from its queueing to its start");
  wg_latency_histogram latency DOC("how long it ran");
};
TABLE(workqueue, workqueue_key, workqueue_value, 4096);

struct queued {
  wg_ktime since;
  char queue[32];
};
/* Items may be cancelled, without a word: the oldest make room. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64); /* address of the item */
  __type(value, struct queued);
} queued_items SEC(".maps");

struct running {
  wg_ktime since;
  wg_nanoseconds queued;
  struct workqueue_key key;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u32); /* thread of the worker */
  __type(value, struct running);
} running_items SEC(".maps");

ALWAYS("tp_btf/workqueue_queue_work")
int BPF_PROG(queue, int cpu, struct pool_workqueue *pool, struct work_struct *work) {
  __u64 key = (__u64)work;
  struct queued item = {.since = bpf_ktime_get_ns()};
  bpf_probe_read_kernel_str(item.queue, sizeof(item.queue), pool->wq->name);
  if (bpf_map_update_elem(&queued_items, &key, &item, BPF_ANY)) workqueue_table_lost();
  return 0;
}

ALWAYS("tp_btf/workqueue_execute_start")
int BPF_PROG(start, struct work_struct *work) {
  __u64 key = (__u64)work;
  struct queued *item = bpf_map_lookup_elem(&queued_items, &key);
  /* It was queued before the sensor began. */
  if (!item) return 0;
  struct running running = {.since = bpf_ktime_get_ns()};
  running.queued = running.since - item->since;
  running.key.function = (__u64)work->func;
  __builtin_memcpy(running.key.queue, item->queue, sizeof(running.key.queue));
  bpf_map_delete_elem(&queued_items, &key);
  __u32 worker = bpf_get_current_pid_tgid();
  if (bpf_map_update_elem(&running_items, &worker, &running, BPF_ANY)) workqueue_table_lost();
  return 0;
}

ALWAYS("tp_btf/workqueue_execute_end")
int end(void *ctx) {
  wg_ktime now = bpf_ktime_get_ns();
  __u32 worker = bpf_get_current_pid_tgid();
  struct running *found = bpf_map_lookup_elem(&running_items, &worker);
  if (!found) return 0;
  struct running done = *found;
  bpf_map_delete_elem(&running_items, &worker);
  if (!workqueue_counted(wg_task_wanted())) return 0;
  struct workqueue_value *value = workqueue_row(&done.key);
  if (!value) return 0;
  wg_observe(&value->queued, done.queued);
  wg_observe(&value->latency, now - done.since);
  return 0;
}
