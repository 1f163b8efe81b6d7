/* migrate: pages moved to another place in memory, and why: to bring them near the CPU
 * that uses them (NUMA balancing), for compaction, on request, to slower memory.
 *
 * A row is a batch of pages; the sums are pgmigrate_success and pgmigrate_fail of
 * /proc/vmstat.
 * source: tracepoint migrate:mm_migrate_pages; mm/migrate.c
 *   6.12 has one more count, of large folios that were split, before mode and reason */
#include <waggle/sensor.bpf.h>

SENSOR("pages moved in memory: why (NUMA, compaction, ...), how many, by whom");

struct migrate_row {
  wg_ktime when DOC("when the batch was done");
  wg_count moved DOC("pages");
  wg_count failed DOC("pages that stayed where they were");
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_comm comm;
  char reason[16] DOC("numa, compaction, syscall, mbind, demotion, ...");
};
EVENTS(migrate, migrate_row);

struct migrate_key {
  wg_pid pid;
  wg_comm comm;
  char reason[16] DOC("as in the events");
  __u32 _pad;
};
struct migrate_value {
  wg_count batches;
  wg_count moved DOC("pages");
  wg_count failed DOC("pages that stayed where they were");
};
TABLE(migrate, migrate_key, migrate_value, 4096);

/* source: include/linux/migrate_mode.h enum migrate_reason; it has only grown. The
 * last is for reasons of kernels to come. */
static const char reasons[11][16] = {"compaction", "memory failure", "offlining",    "syscall",   "mbind",
                                     "numa",       "contiguous",     "longterm pin", "demotion",  "damon",
                                     "other"};

enum migrate_mode { MIGRATE_ASYNC };
typedef void (*btf_trace_mm_migrate_pages___with_split)(void *, unsigned long, unsigned long, unsigned long,
                                                       unsigned long, unsigned long, unsigned long,
                                                       enum migrate_mode, int);

ALWAYS("tp_btf/mm_migrate_pages")
int migrated(__u64 *ctx) {
  __u64 moved = ctx[0], failed = ctx[1];
  /* The barriers keep clang from choosing an address instead of a value, which the
   * verifier refuses. */
  __u64 reason;
  if (bpf_core_type_exists(btf_trace_mm_migrate_pages___with_split)) {
    reason = ctx[7];
    barrier_var(reason);
  } else {
    reason = ctx[6];
    barrier_var(reason);
  }
  if (reason > 10) reason = 10;
  __u64 id = bpf_get_current_pid_tgid();
  bool wanted = wg_task_wanted();
  if (migrate_counted(wanted)) {
    struct migrate_key key = {.pid = id >> 32};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    __builtin_memcpy(key.reason, reasons[reason], sizeof(key.reason));
    struct migrate_value *value = migrate_row(&key);
    if (value) {
      wg_add(&value->batches, 1);
      wg_add(&value->moved, moved);
      wg_add(&value->failed, failed);
    }
  }
  if (!migrate_produced(wanted)) return 0;
  struct migrate_row row = {};
  row.when = bpf_ktime_get_ns();
  row.moved = moved;
  row.failed = failed;
  row.cgroup = bpf_get_current_cgroup_id();
  row.pid = id >> 32;
  row.tid = id;
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  __builtin_memcpy(row.reason, reasons[reason], sizeof(row.reason));
  migrate_submit(&row, sizeof(row));
  return 0;
}
