/* futex: waits for user-space locks and conditions: what a thread waited at, from
 * where, how long, and how it ended.
 *
 * A program's mutexes and condition variables come to the kernel only when there is
 * something to wait for. A wait that the kernel turned away at once (EAGAIN: the
 * value had changed already) is a wait too, a short one. Each call is one wait:
 * after a signal it may be called again. The stack is the program's alone, and is
 * taken at the end of the call, which has not left its place. Waits through
 * futex_waitv(2) (5.16) and futex_wait(2) (6.7), of which glibc makes none, are not seen.
 * source: tracepoints syscalls:sys_{enter,exit}_futex; futex(2) */
#include <waggle/in_flight.h>
#include <waggle/stack.h>

SENSOR("waits for locks and conditions of programs: futex(2) by address and stack");

PARAM(wg_nanoseconds, min, "only waits of at least this long (events)") = 10000000;
PARAM(bool, failed, "only waits that ended with an error (events)") = false;

struct futex_row {
  wg_ktime when DOC("when the call returned");
  wg_nanoseconds latency DOC("how long it waited");
  wg_address address DOC("of the futex, in the process");
  wg_futex_op op;
  wg_errno errno DOC("0 when it was woken");
  wg_pid pid;
  wg_tid tid;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_stack stack DOC("where it waited");
};
EVENTS_SIZED(futex, futex_row, 1 << 20);
/* System calls do not nest, and no interrupt makes one. */
SCRATCH(futex, futex_row);

struct futex_key {
  wg_address address DOC("of the futex, in the process");
  wg_pid pid;
  wg_futex_op op;
  wg_comm comm;
  __u64 _stack_hash;
};
struct futex_value {
  wg_latency_histogram latency DOC("how long it waited");
  wg_stack stack DOC("where it waited");
};
TABLE(futex, futex_key, futex_value, 4096);

struct futex_call {
  wg_ktime entered;
  wg_address address;
  wg_futex_op op;
  __u32 _pad;
};
IN_FLIGHT(calls, futex_call);

/* source: include/uapi/linux/futex.h */
#define FUTEX_FLAGS (128 | 256) /* FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME */
static __always_inline bool waits(__u32 op) {
  switch (op) {
    case 0:  /* FUTEX_WAIT */
    case 6:  /* FUTEX_LOCK_PI */
    case 9:  /* FUTEX_WAIT_BITSET */
    case 11: /* FUTEX_WAIT_REQUEUE_PI */
    case 13: /* FUTEX_LOCK_PI2 */
      return true;
    default:
      return false;
  }
}

ALWAYS("tracepoint/syscalls/sys_enter_futex")
int futex_entered(struct wg_sys_enter *ctx) {
  __u32 op = (__u32)ctx->args[1] & ~FUTEX_FLAGS;
  if (!waits(op)) {
    calls_skip();
    return 0;
  }
  if (!wg_task_wanted()) {
    calls_skip();
    futex_produced(false);
    futex_counted(false);
    return 0;
  }
  struct futex_call call = {.address = ctx->args[0], .op = op, .entered = bpf_ktime_get_ns()};
  if (!calls_begin(&call)) {
    futex_lost();
    futex_table_lost();
  }
  return 0;
}

static __always_inline void count(const struct futex_row *row) {
  struct futex_key key = {.address = row->address, .pid = row->pid, .op = row->op};
  __builtin_memcpy(key.comm, row->comm, sizeof(key.comm));
  key._stack_hash = wg_stack_hash(&row->stack);
  struct futex_value *value = futex_row(&key);
  if (!value) return;
  wg_stack_keep(&value->stack, &row->stack);
  wg_observe(&value->latency, row->latency);
}

ALWAYS("tracepoint/syscalls/sys_exit_futex")
int futex_left(struct wg_sys_exit *ctx) {
  struct futex_call call;
  if (!calls_end(&call)) return 0;
  wg_ktime now = bpf_ktime_get_ns();
  wg_nanoseconds latency = now - call.entered;
  bool of_stream = futex_produced(latency >= param_min && (!param_failed || ctx->ret < 0));
  bool of_table = futex_counted(true);
  if (!of_stream && !of_table) return 0;
  struct futex_row *row = futex_scratch();
  if (!row) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = latency;
  row->address = call.address;
  row->op = call.op;
  row->errno = ctx->ret < 0 ? -ctx->ret : 0;
  row->pid = id >> 32;
  row->tid = id;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  __u64 stack_bytes = wg_stack_fill(ctx, &row->stack, true);
  if (of_stream) futex_submit(row, WG_CUT(futex_row, stack, stack_bytes));
  if (of_table) count(row);
  return 0;
}
