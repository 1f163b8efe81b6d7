/* All that a sensor needs besides its own row: declarations that the loader
 * reads back from BTF, exact counting, and the way out of the kernel.
 *
 * A sensor is one file, sensors/<area>/<name>.bpf.c. It says
 *   SENSOR("one line for people")
 *   EVENTS(<name>, <row struct>)            records, in order, through a ring buffer
 *   TABLE(<name>, <key>, <value>, entries)  aggregates, read by user space now and then
 *   PARAM(type, name, "help")               set before load, so that the kernel filters
 *   HOOK / ALWAYS / OPTIONAL functions      where it listens; ALSO there
 * and each event is counted once: produced = filtered + delivered + lost. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
/* after bpf_helpers.h */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <waggle/kernel.h>
#include <waggle/types.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SENSOR(summary) int wg_sensor WG_TAG("doc:" summary)

/* Where a sensor listens. A plan is a set of hooks that together are enough;
 * the loader takes the lowest plan whose hooks are there and whose programs load.
 * OPTIONAL hooks are taken where they exist; `lack` says what is missing without
 * them. Sections are libbpf's; the word TARGET in one stands for what the user
 * names after the sensor (func:vfs_read). */
#define HOOK(plan, section) SEC("?" section) WG_TAG("plan:" #plan)
#define ALWAYS(section) SEC("?" section) WG_TAG("plan:any")
#define OPTIONAL(section, lack) SEC("?" section) WG_TAG("optional:" lack)
/* After one of them: the same program also listens there. Of tracepoints only: other
 * programs belong to their hook when they are verified. Verifying a program once
 * instead of twelve times is most of what a start can save. */
#define ALSO(section) WG_TAG("also:" section)

/* Read-only data that the loader sets before the program is verified: a filter
 * that is off costs nothing. One parameter lives in memory that the reader may
 * write: `min`, below which an event is too fast to be a row. The reader raises it
 * to get the slowest events of an interval and no others (decision 0007).
 * WG_LIVE_<name> is one word for any other name, and the default is then second. */
#define WG_LIVE_min ~, SEC(".data.live") volatile
#define WG_PLACE(...) WG_SECOND(__VA_ARGS__, const volatile, ~)
#define WG_SECOND(first, second, ...) second
#define PARAM(type, name, help) WG_PLACE(WG_LIVE_##name) type param_##name DOC(help)

/* Every sensor takes these: -p, --comm, --cgroup. */
PARAM(wg_pid, pid, "only this process") = 0;
PARAM(wg_comm, comm, "only tasks of this name") = {};
/* The cgroup itself is entry 0 of wg_cgroup_only, so that its children count. */
const volatile bool wg_cgroup_set = false;
/* What the reader asked for. */
const volatile bool wg_want_events = true;
const volatile bool wg_want_table = true;

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} wg_cgroup_only SEC(".maps");

/* Index 0 counts the stream, 1 the table. `delivered` is counted by the kernel
 * for tables only; a stream's is what user space has read. */
struct wg_counts {
  __u64 produced, filtered, lost, delivered;
};
enum { WG_STREAM, WG_TABLE };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct wg_counts);
} wg_counters SEC(".maps");

/* Set by the reader before it sleeps; the next record wakes it. While records
 * flow the reader polls on its own clock, because a wake-up costs the traced
 * program about 2 µs and a record 0.1. */
volatile __u32 wg_reader_asleep = 0;
/* Set by the reader when it has seen enough: nothing is counted or sent from then
 * on, although detaching the programs may take the kernel another second. */
volatile __u32 wg_stopped = 0;

/* Interrupts nest, and two programs may count in one slot: hence atomic. */
#define WG_COUNT(which, counter)                                        \
  do {                                                                  \
    __u32 wg_slot = (which);                                            \
    struct wg_counts *wg_c = bpf_map_lookup_elem(&wg_counters, &wg_slot); \
    if (wg_c) __sync_fetch_and_add(&wg_c->counter, 1);                  \
  } while (0)

static __always_inline bool wg_comm_wanted(const char *comm) {
  if (!param_comm[0]) return true;
#pragma unroll
  for (int i = 0; i < 16; i++) {
    if (comm[i] != param_comm[i]) return false;
    if (!comm[i]) break;
  }
  return true;
}

/* Whether the current task passes -p, --comm and --cgroup. */
static __always_inline bool wg_task_wanted(void) {
  if (param_pid && bpf_get_current_pid_tgid() >> 32 != param_pid) return false;
  if (wg_cgroup_set && bpf_current_task_under_cgroup(&wg_cgroup_only, 0) != 1) return false;
  if (param_comm[0]) {
    char comm[16];
    bpf_get_current_comm(comm, sizeof(comm));
    if (!wg_comm_wanted(comm)) return false;
  }
  return true;
}

/* What the task does, without its exit_state: 0 is TASK_RUNNING. */
static __always_inline wg_task_state wg_task_state_of(struct task_struct *task) {
  if (bpf_core_field_exists(struct task_struct___since_5_14, __state))
    return ((struct task_struct___since_5_14 *)task)->__state;
  return ((struct task_struct___until_5_14 *)task)->state;
}

/* Whether a task known by pid and name only (a socket's owner, a request's
 * issuer) passes. --cgroup is judged where the owner was noted. */
static __always_inline bool wg_owner_wanted(wg_pid pid, const char *comm) {
  return (!param_pid || pid == param_pid) && wg_comm_wanted(comm);
}

/* What --where asks of a stream's row and of a table's key: a function that the loader
 * writes over one of these before the verifier sees it (src/sensor/filter_place.h). Until
 * then nothing calls them, because the flag is known to be false; so the jump over the
 * room for instructions is never taken, and is there for the verifier, which wants a way
 * to each instruction.
 *   1 if the first `bytes` bytes are of a row that is wanted, else 0 */
#define WG_FILTER(name)                                                                          \
  static __attribute__((naked, noinline, unused)) __u64 name(const void *fields, __u64 bytes) { \
    asm volatile(                                                                                \
        "r0 = 1\n"                                                                               \
        "if r0 != 0 goto +250\n"                                                                 \
        ".rept 250\n"                                                                            \
        "goto +0\n"                                                                              \
        ".endr\n"                                                                                \
        "exit");                                                                                 \
  }
WG_FILTER(wg_row_passes)
WG_FILTER(wg_key_passes)
const volatile bool wg_row_filter = false;
const volatile bool wg_key_filter = false;

static __always_inline void wg_emit(void *ring, void *row, __u64 size) {
  __u64 flags = BPF_RB_NO_WAKEUP;
  if (wg_reader_asleep) {
    wg_reader_asleep = 0;
    flags = BPF_RB_FORCE_WAKEUP;
  }
  if (bpf_ringbuf_output(ring, row, size, flags)) WG_COUNT(WG_STREAM, lost);
}

/* EVENTS declares the stream of one sensor and
 *   bool name_produced(wanted)       count an event; false when nobody wants it
 *   void name_lost()                 count an event that cannot be followed
 *   void name_submit(row, size)      hand over the first `size` bytes of a row
 *   struct row *name_scratch()       a row of this CPU, for rows too large for the
 *                                    stack; only where no interrupt can come between
 */
#define EVENTS(name, row_type) EVENTS_SIZED(name, row_type, 512 << 10)
/* Bursts of a sensor that fires hundreds of thousands of times a second need a
 * ring that outlasts the reader's time slice: 4 MiB hold 40 ms of a million short
 * rows a second. The reader's resident memory grows by as much. */
#define EVENTS_SIZED(name, row_type, ring_bytes)                                          \
  struct {                                                                                \
    __uint(type, BPF_MAP_TYPE_RINGBUF);                                                   \
    __uint(max_entries, ring_bytes);                                                      \
  } name##_events SEC(".maps");                                                           \
  const struct row_type *wg_events_##name;                                                \
  static __always_inline bool name##_produced(bool wanted) {                              \
    if (!wg_want_events || wg_stopped) return false;                                      \
    WG_COUNT(WG_STREAM, produced);                                                        \
    if (!wanted) WG_COUNT(WG_STREAM, filtered);                                           \
    return wanted;                                                                        \
  }                                                                                       \
  static __always_inline void name##_lost(void) {                                         \
    if (!wg_want_events || wg_stopped) return;                                            \
    WG_COUNT(WG_STREAM, produced);                                                        \
    WG_COUNT(WG_STREAM, lost);                                                            \
  }                                                                                       \
  static __always_inline void name##_submit(struct row_type *row, __u64 size) {           \
    if (size > sizeof(*row)) size = sizeof(*row);                                         \
    if (wg_row_filter && !wg_row_passes(row, size)) {                                     \
      WG_COUNT(WG_STREAM, filtered);                                                      \
      return;                                                                             \
    }                                                                                     \
    wg_emit(&name##_events, row, size);                                                   \
  }

/* A row of its own for each CPU. */
#define SCRATCH(name, row_type)                                        \
  struct {                                                             \
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                           \
    __uint(max_entries, 1);                                            \
    __type(key, __u32);                                                \
    __type(value, struct row_type);                                    \
  } name##_scratch_row SEC(".maps");                                   \
  static __always_inline struct row_type *name##_scratch(void) {       \
    __u32 zero = 0;                                                    \
    return bpf_map_lookup_elem(&name##_scratch_row, &zero);            \
  }

/* TABLE declares aggregates and
 *   bool name_counted(wanted)        count an event for the table, as above
 *   void name_table_lost()           count an event that cannot be followed
 *   value *name_row(key)             the row of a key, made when missing; NULL when
 *                                    --where turns it away (counted as filtered) or
 *                                    the table is full (counted as lost)
 *   value *name_row_from(key, fresh) the same; a row that is made begins as `fresh`
 * Rows are shared between CPUs: add to them with wg_add() and friends. */
#define TABLE(name, key_type, value_type, entries)                                  \
  struct {                                                                          \
    __uint(type, BPF_MAP_TYPE_HASH);                                                \
    __uint(max_entries, entries);                                                   \
    __type(key, struct key_type);                                                   \
    __type(value, struct value_type);                                               \
  } name##_table SEC(".maps");                                                      \
  const struct key_type *wg_table_key_##name;                                       \
  const struct value_type *wg_table_value_##name;                                   \
  static const struct value_type name##_empty;                                      \
  static __always_inline bool name##_counted(bool wanted) {                         \
    if (!wg_want_table || wg_stopped) return false;                                 \
    WG_COUNT(WG_TABLE, produced);                                                   \
    if (!wanted) WG_COUNT(WG_TABLE, filtered);                                      \
    return wanted;                                                                  \
  }                                                                                 \
  static __always_inline void name##_table_lost(void) {                             \
    if (!wg_want_table || wg_stopped) return;                                       \
    WG_COUNT(WG_TABLE, produced);                                                   \
    WG_COUNT(WG_TABLE, lost);                                                       \
  }                                                                                 \
  static __always_inline struct value_type *name##_row_from(const struct key_type *key, \
                                                            const struct value_type *fresh) { \
    if (wg_key_filter && !wg_key_passes(key, sizeof(*key))) {                       \
      WG_COUNT(WG_TABLE, filtered);                                                 \
      return 0;                                                                     \
    }                                                                               \
    struct value_type *value = bpf_map_lookup_elem(&name##_table, key);             \
    if (!value) {                                                                   \
      bpf_map_update_elem(&name##_table, key, fresh, BPF_NOEXIST);                  \
      value = bpf_map_lookup_elem(&name##_table, key);                              \
    }                                                                               \
    if (value)                                                                      \
      WG_COUNT(WG_TABLE, delivered);                                                \
    else                                                                            \
      WG_COUNT(WG_TABLE, lost);                                                     \
    return value;                                                                   \
  }                                                                                 \
  static __always_inline struct value_type *name##_row(const struct key_type *key) { \
    return name##_row_from(key, &name##_empty);                                     \
  }

/* Arguments of tracepoints syscalls:sys_enter_* and sys_exit_*: the same on all
 * kernels. source: include/trace/events/syscalls.h, struct syscall_trace_enter */
struct wg_sys_enter {
  __u64 common;
  long nr;
  unsigned long args[6];
};
struct wg_sys_exit {
  __u64 common;
  long nr;
  long ret;
};

static __always_inline void wg_add(__u64 *counter, __u64 amount) {
  __sync_fetch_and_add(counter, amount);
}

static __always_inline __u32 wg_log2(__u64 value) {
  __u32 log = 0;
  if (value >> 32) log += 32, value >>= 32;
  if (value >> 16) log += 16, value >>= 16;
  if (value >> 8) log += 8, value >>= 8;
  if (value >> 4) log += 4, value >>= 4;
  if (value >> 2) log += 2, value >>= 2;
  return log + (value >> 1 ? 1 : 0);
}

/* `most` is advisory: two CPUs may race, and the next larger value mends it. */
static __always_inline void wg_observe(wg_latency_histogram *histogram, __u64 ns) {
  __u32 slot = wg_log2(ns);
  if (slot >= WG_HISTOGRAM_SLOTS) slot = WG_HISTOGRAM_SLOTS - 1;
  wg_add(&histogram->slots[slot], 1);
  wg_add(&histogram->count, 1);
  wg_add(&histogram->sum, ns);
  if (ns > histogram->most) histogram->most = ns;
}

/* Bytes from the start of a row to `length` bytes into its last field. */
#define WG_CUT(row_type, last, length) (__builtin_offsetof(struct row_type, last) + (length))
