/* lock: waits for locks of the kernel: which lock, who waited from where, how long.
 *
 * A wait begins where a lock cannot be taken at once (contention_begin) and ends
 * with the lock or with an error; what is taken at once costs nothing and is not
 * seen. A mutex that is first spun for and then slept on begins twice: the first
 * time counts. The stack is taken at the end, in the function that waited.
 *
 * Locks of the kernel's image and of its modules are told apart; of the others,
 * one for each inode or task, there may be millions, and they share a row unless
 * `by_lock` is set: kind and stack say what they are.
 *
 * An interrupt may wait while the task it interrupted does, for another lock:
 * hence the key of both. Its own waits are in that task's name. Both programs run
 * once at a time on a CPU (5.19 has the tracepoints, 6.0 that guard, 05b24ff9b2cf):
 * one row of a CPU is enough.
 * source: tracepoints lock:contention_{begin,end} (16edd9b511a1, 5.19) */
#include <waggle/stack.h>

SENSOR("waits for locks of the kernel, by kind of lock and stack");

PARAM(wg_nanoseconds, min, "only waits of at least this long (events)") = 1000000;
PARAM(bool, by_lock, "a row of the table for each lock, also for those that many objects have one of") = false;

struct lock_row {
  wg_ktime when DOC("when the wait ended");
  wg_nanoseconds latency DOC("how long it waited");
  wg_kaddr lock DOC("address of the lock");
  wg_lock_flags kind;
  wg_errno errno DOC("0 when the lock was taken");
  wg_pid pid;
  wg_tid tid;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_stack stack DOC("where it waited");
};
EVENTS_SIZED(lock, lock_row, 1 << 20);
SCRATCH(lock, lock_row);

struct lock_key {
  wg_kaddr lock DOC("address of the lock; 0 for those that share a row");
  wg_lock_flags kind;
  wg_pid pid;
  wg_comm comm;
  __u64 _stack_hash;
};
struct lock_value {
  wg_latency_histogram latency DOC("how long it waited");
  wg_stack stack DOC("where it waited");
};
TABLE(lock, lock_key, lock_value, 4096);

struct wait_key {
  __u64 task, lock;
};
struct wait {
  wg_ktime since;
  wg_lock_flags flags;
  __u32 _pad;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, struct wait_key);
  __type(value, struct wait);
} waits SEC(".maps");

/* source: include/trace/events/lock.h */
#define LCB_F_SPIN 1
#define LCB_F_MUTEX 32
/* source: arch/x86/include/asm/page_64_types.h, __START_KERNEL_map */
#define IMAGE_START 0xffffffff80000000ull

static __always_inline void lost(void) {
  lock_lost();
  lock_table_lost();
}

ALWAYS("tp_btf/contention_begin")
int BPF_PROG(begin, void *lock, unsigned int flags) {
  struct wait_key key = {.task = bpf_get_current_task(), .lock = (__u64)lock};
  struct wait *known = bpf_map_lookup_elem(&waits, &key);
  if (known) {
    if (flags & LCB_F_MUTEX) return 0;
    /* A wait whose end was not seen. */
    lost();
  }
  struct wait wait = {.since = bpf_ktime_get_ns(), .flags = flags};
  if (bpf_map_update_elem(&waits, &key, &wait, BPF_ANY)) lost();
  return 0;
}

static __always_inline void count(const struct lock_row *row) {
  struct lock_key key = {.kind = row->kind, .pid = row->pid};
  if (param_by_lock || row->lock >= IMAGE_START) key.lock = row->lock;
  __builtin_memcpy(key.comm, row->comm, sizeof(key.comm));
  key._stack_hash = wg_stack_hash(&row->stack);
  struct lock_value *value = lock_row(&key);
  if (!value) return;
  wg_stack_keep(&value->stack, &row->stack);
  wg_observe(&value->latency, row->latency);
}

ALWAYS("tp_btf/contention_end")
int BPF_PROG(end, void *lock, int result) {
  wg_ktime now = bpf_ktime_get_ns();
  struct wait_key key = {.task = bpf_get_current_task(), .lock = (__u64)lock};
  struct wait *wait = bpf_map_lookup_elem(&waits, &key);
  /* It began before the sensor did. */
  if (!wait) return 0;
  wg_nanoseconds latency = now - wait->since;
  wg_lock_flags flags = wait->flags;
  bpf_map_delete_elem(&waits, &key);
  bool wanted = wg_task_wanted();
  bool of_stream = lock_produced(wanted && latency >= param_min), of_table = lock_counted(wanted);
  if (!of_stream && !of_table) return 0;
  struct lock_row *row = lock_scratch();
  if (!row) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = latency;
  row->lock = (__u64)lock;
  row->kind = flags & LCB_F_MUTEX ? flags & ~LCB_F_SPIN : flags;
  row->errno = result < 0 ? -result : 0;
  row->pid = id >> 32;
  row->tid = id;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  __u64 stack_bytes = wg_stack_fill(ctx, &row->stack, false);
  if (of_stream) lock_submit(row, WG_CUT(lock_row, stack, stack_bytes));
  if (of_table) count(row);
  return 0;
}
