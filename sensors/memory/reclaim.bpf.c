/* reclaim: allocations that had to free memory first (direct reclaim): for how long,
 * and how much was freed.
 *
 * The host was short of memory, or a cgroup at its limit (memory.max, memory.high).
 * The process waits meanwhile. What the kernel's own thread kswapd frees ahead of need
 * makes nobody wait and is not here.
 * source: tracepoints vmscan:mm_vmscan_{direct,memcg}_reclaim_{begin,end}; mm/vmscan.c */
#include <waggle/in_flight.h>

SENSOR("direct reclaim: who waited while memory was freed, how long, how much");

PARAM(wg_nanoseconds, min, "only waits of at least this long (events)") = 0;

struct reclaim_row {
  wg_ktime when DOC("when it was over");
  wg_nanoseconds latency DOC("from begin to end");
  wg_bytes reclaimed DOC("memory that was freed");
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_comm comm;
  char cause[8] DOC("'host' when the host was short of memory, 'cgroup' when a cgroup was at its limit");
};
EVENTS(reclaim, reclaim_row);

struct reclaim_key {
  wg_pid pid;
  wg_comm comm;
  char cause[8] DOC("as in the events");
  __u32 _pad;
};
struct reclaim_value {
  wg_bytes reclaimed DOC("memory that was freed");
  wg_latency_histogram latency DOC("how long the process waited");
};
TABLE(reclaim, reclaim_key, reclaim_value, 4096);

struct call {
  wg_ktime began;
};
IN_FLIGHT(calls, call);

static __always_inline int begun(void) {
  struct call call = {bpf_ktime_get_ns()};
  if (!calls_begin(&call)) {
    reclaim_lost();
    reclaim_table_lost();
  }
  return 0;
}

static __always_inline void name_cause(char cause[8], bool of_cgroup) {
  __builtin_memcpy(cause, of_cgroup ? "cgroup\0" : "host\0\0\0", 8);
}

static __always_inline int ended(unsigned long pages, bool of_cgroup) {
  struct call call;
  if (!calls_end(&call)) return 0;
  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds latency = now - call.began;
  wg_bytes reclaimed = pages * WG_PAGE_BYTES;
  __u64 id = bpf_get_current_pid_tgid();
  bool wanted = wg_task_wanted();
  if (reclaim_counted(wanted)) {
    struct reclaim_key key = {.pid = id >> 32};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    name_cause(key.cause, of_cgroup);
    struct reclaim_value *value = reclaim_row(&key);
    if (value) {
      wg_add(&value->reclaimed, reclaimed);
      wg_observe(&value->latency, latency);
    }
  }
  if (!reclaim_produced(wanted && latency >= param_min)) return 0;
  struct reclaim_row row = {};
  row.when = now;
  row.latency = latency;
  row.reclaimed = reclaimed;
  row.cgroup = bpf_get_current_cgroup_id();
  row.pid = id >> 32;
  row.tid = id;
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  name_cause(row.cause, of_cgroup);
  reclaim_submit(&row, sizeof(row));
  return 0;
}

ALWAYS("tp_btf/mm_vmscan_direct_reclaim_begin")
int host_began(void *ctx) { return begun(); }
ALWAYS("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(host_ended, unsigned long pages) { return ended(pages, false); }
ALWAYS("tp_btf/mm_vmscan_memcg_reclaim_begin")
int cgroup_began(void *ctx) { return begun(); }
ALWAYS("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(cgroup_ended, unsigned long pages) { return ended(pages, true); }
