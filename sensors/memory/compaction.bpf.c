/* compaction: memory moved together so that large pages become free: by whom, for how
 * long, and how it ended.
 *
 * An event is one zone of memory worked on, on the way of an allocation that needs
 * contiguous memory (the process waits), by a kcompactd thread, or on request
 * (/proc/sys/vm/compact_memory).
 * source: tracepoints compaction:mm_compaction_{begin,end}; mm/compaction.c compact_zone()
 *   5.10 gives the places in the zone among the arguments, 6.1 the control structure */
#include <waggle/in_flight.h>

SENSOR("compaction of memory: who waited for it, how long, and how it ended");

PARAM(wg_nanoseconds, min, "only those of at least this long (events)") = 0;

struct compaction_row {
  wg_ktime when DOC("when it was over");
  wg_nanoseconds latency DOC("from begin to end");
  wg_bytes zone DOC("size of the zone of memory");
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_comm comm;
  char result[16] DOC("how it ended: success, complete, contended (it was given up), ...");
  __u32 sync DOC("1 when it may wait for pages to be written, 0 when it may not");
  __u32 _pad;
};
EVENTS(compaction, compaction_row);

struct compaction_key {
  wg_pid pid;
  wg_comm comm;
  char result[16] DOC("as in the events");
  __u32 _pad;
};
struct compaction_value {
  wg_latency_histogram latency;
};
TABLE(compaction, compaction_key, compaction_value, 4096);

struct call {
  wg_ktime began;
};
IN_FLIGHT(calls, call);

/* source: include/linux/compaction.h enum compact_result */
static const char results[10][16] = {"not suitable", "skipped",   "deferred",  "no page", "continue",
                                    "complete",     "partially", "contended", "success", "other"};

struct compact_control {
  int order;
};
typedef void (*btf_trace_mm_compaction_end___with_control)(void *, struct compact_control *, unsigned long,
                                                         unsigned long, bool, int);

/* An argument, whose place the kernel decides. The barriers keep clang from choosing
 * an address instead of a value, which the verifier refuses. */
#define ARGUMENT(ctx, with_control, without)                            \
  ({                                                                    \
    __u64 wg_value;                                                     \
    if (bpf_core_type_exists(btf_trace_mm_compaction_end___with_control)) { \
      wg_value = (ctx)[with_control];                                   \
      barrier_var(wg_value);                                            \
    } else {                                                            \
      wg_value = (ctx)[without];                                        \
      barrier_var(wg_value);                                            \
    }                                                                   \
    wg_value;                                                           \
  })

ALWAYS("tp_btf/mm_compaction_begin")
int began(void *ctx) {
  struct call call = {bpf_ktime_get_ns()};
  if (!calls_begin(&call)) {
    compaction_lost();
    compaction_table_lost();
  }
  return 0;
}

ALWAYS("tp_btf/mm_compaction_end")
int ended(__u64 *ctx) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  __u64 first = ARGUMENT(ctx, 1, 0), end = ARGUMENT(ctx, 2, 3);
  __u64 sync = ARGUMENT(ctx, 3, 4), result = ARGUMENT(ctx, 4, 5);
  __u32 known = result;
  if (known >= 9) known = 9;
  __u64 id = bpf_get_current_pid_tgid();
  bool wanted = wg_task_wanted();
  wg_nanoseconds latency = now - call.began;
  if (compaction_counted(wanted)) {
    struct compaction_key key = {.pid = id >> 32};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    __builtin_memcpy(key.result, results[known], sizeof(key.result));
    struct compaction_value *value = compaction_row(&key);
    if (value) wg_observe(&value->latency, latency);
  }
  if (!compaction_produced(wanted && latency >= param_min)) return 0;
  struct compaction_row row = {};
  row.when = now;
  row.latency = latency;
  row.zone = (end - first) * WG_PAGE_BYTES;
  row.cgroup = bpf_get_current_cgroup_id();
  row.pid = id >> 32;
  row.tid = id;
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  __builtin_memcpy(row.result, results[known], sizeof(row.result));
  row.sync = sync & 1;
  compaction_submit(&row, sizeof(row));
  return 0;
}
