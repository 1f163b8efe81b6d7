/* tracepoint: events of any tracepoint of the kernel: how often, who ran, and from
 * where.
 *
 * Tracepoints are places that the kernel's authors left open to look at, and they are
 * there on kernels that have no kprobes. A pattern traces several
 * (tracepoint:sched:sched_process_*); on kernels before 5.15, which do not tell a
 * program where it was attached, those are one row with a name of all.
 *
 * The kernel runs no program at a tracepoint while another one runs on the CPU: an
 * interrupt that comes just then has its events lost, which kernels since 6.7
 * (dd8657894c11) count. The task is the one that ran: for what happens in an interrupt it has nothing to do
 * with it. Stacks are taken when parameter `stacks` asks for them. A tracepoint of
 * system calls (syscalls:sys_enter_openat) needs a kernel that has them.
 * source: Documentation/trace/tracepoints.rst; kernel/trace/bpf_trace.c trace_call_bpf() */
#include <waggle/stack.h>
#include <waggle/user.h>

SENSOR("events of any tracepoint: count, tasks, stacks (tracepoint:sched:sched_process_fork, tracepoint:tcp:*)");

PARAM(bool, by_process, "a row of the table for each process") = false;
PARAM(bool, stacks, "take the stack of each event; the table has a row for each stack and process") = false;

struct tracepoint_row {
  wg_ktime when;
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_cpu cpu;
  __u32 _pad;
  wg_comm comm;
  char tracepoint[WG_PROBE_NAME] DOC("category and name");
  wg_stack stack DOC("with --set stacks=1: from the tracepoint outwards");
};
EVENTS_SIZED(tracepoint, tracepoint_row, 1 << 20);
/* The kernel does not run a program at a tracepoint inside of another one. */
SCRATCH(tracepoint, tracepoint_row);

struct tracepoint_key {
  char tracepoint[WG_PROBE_NAME] DOC("category and name");
  __u64 _stack; /* 0 without stacks */
  wg_pid pid DOC("0 unless rows are by process or by stack");
  wg_comm comm DOC("empty unless rows are by process or by stack");
  __u32 _pad;
};
struct tracepoint_value {
  wg_count events;
  wg_stack stack DOC("with --set stacks=1: from the tracepoint outwards");
};
TABLE(tracepoint, tracepoint_key, tracepoint_value, 4096);
SCRATCH(tracepoint_fresh, tracepoint_value);

static __always_inline void name_of(void *ctx, char *into) {
  __u32 number = wg_has_cookies ? bpf_get_attach_cookie(ctx) - 1 : 0;
  wg_probe_name(into, number);
}

static __always_inline void count(void *ctx) {
  struct tracepoint_value *fresh = tracepoint_fresh_scratch();
  if (!fresh) return;
  struct tracepoint_key key = {};
  name_of(ctx, key.tracepoint);
  if (param_stacks) {
    fresh->events = 0;
    wg_stack_fill(ctx, &fresh->stack, false);
    key._stack = wg_stack_hash(&fresh->stack);
  }
  if (param_by_process || param_stacks) {
    key.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
  }
  struct tracepoint_value *value = tracepoint_row_from(&key, fresh);
  if (value) wg_add(&value->events, 1);
}

HOOK(1, "tracepoint/TARGET")
int reached(void *ctx) {
  bool wanted = wg_task_wanted();
  if (tracepoint_counted(wanted)) count(ctx);
  if (!tracepoint_produced(wanted)) return 0;
  struct tracepoint_row *row = tracepoint_scratch();
  if (!row) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = bpf_ktime_get_ns();
  row->cgroup = bpf_get_current_cgroup_id();
  row->pid = id >> 32;
  row->tid = id;
  row->cpu = bpf_get_smp_processor_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  name_of(ctx, row->tracepoint);
  __u64 stack_bytes = param_stacks ? wg_stack_fill(ctx, &row->stack, false) : 0;
  tracepoint_submit(row, WG_CUT(tracepoint_row, stack, stack_bytes));
  return 0;
}
