/* user: any function of a program or library: how often it is called, how long it
 * takes, what it returns, and who called it.
 *
 * The calls of a thread are kept with their stack pointers, so that a function that
 * calls itself, or another that is traced, is timed by its own entry. A call that
 * never returns (longjmp, an exception, more than the 64 that the kernel follows at
 * once) is found by the next one that cannot be inside of it, and counted as lost.
 * Calls on other stacks of the thread (coroutines) do not disturb each other.
 *
 * The stack is taken at the return, where it begins with the caller: at the entry of
 * a function its caller is missing from frame pointers. Frames of other traced
 * functions that have not returned show as [uprobes] before 6.11 (cfa7f3d2c526).
 *
 * To see returns the kernel replaces return addresses: a C++ exception that passes
 * through a traced function ends the program, and so does a Go function that grows
 * its stack. `--set returns=0` leaves returns alone: a row is a call then.
 * source: Documentation/trace/uprobetracer.rst; kernel/events/uprobes.c prepare_uretprobe() */
#include <waggle/stack.h>
#include <waggle/user.h>

SENSOR("any function of a program or library: calls, latency, result, callers (user:libc:getaddrinfo, user:/usr/bin/bash:read*)");

PARAM(wg_nanoseconds, min, "only calls that took at least this long (events)") = 0;
PARAM(bool, by_process, "a row of the table for each process") = false;
PARAM(bool, returns, "wait for returns: without them latency and result are 0, and nothing in the program changes") = true;
PARAM(bool, stacks, "who called it, in each row") = false;

struct user_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return");
  __s64 result DOC("the returned register: has no meaning when the function returns nothing");
  wg_pid pid;
  wg_tid tid;
  wg_cgroup cgroup;
  wg_comm comm;
  char function[WG_PROBE_NAME] DOC("the function");
  wg_stack stack DOC("with --set stacks=1: who called it, innermost first");
};
EVENTS(user, user_row);
ROWS(rows, user_row);

struct user_key {
  char function[WG_PROBE_NAME] DOC("the function");
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
  __u32 _pad;
};
struct user_value {
  wg_latency_histogram latency;
};
TABLE(user, user_key, user_value, 4096);

#define CALLS_MOST 64
struct call {
  __u64 stack; /* pointer at entry; 0: no call any more */
  wg_ktime entered;
  __u32 probe;
  __u32 _pad;
};
struct thread {
  __u32 depth;
  __u32 _pad;
  struct call calls[CALLS_MOST];
};
static const struct thread fresh_thread;
/* Threads that are in a traced function. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct thread);
} threads SEC(".maps");

static __always_inline void lost(void) {
  user_lost();
  user_table_lost();
}

static __always_inline void send(struct pt_regs *ctx, wg_ktime now, const struct call *call, __s64 result) {
  struct rows_pooled *pooled = rows_take();
  if (!pooled) {
    WG_COUNT(WG_STREAM, lost);
    return;
  }
  struct user_row *row = &pooled->row;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = now;
  row->latency = now - call->entered;
  row->result = result;
  row->pid = id >> 32;
  row->tid = id;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  wg_probe_name(row->function, call->probe);
  __u64 stack_bytes = param_stacks ? wg_stack_fill(ctx, &row->stack, true) : 0;
  user_submit(row, WG_CUT(user_row, stack, stack_bytes));
  rows_give(pooled);
}

static __always_inline void count(const struct call *call, wg_nanoseconds latency) {
  struct user_key key = {};
  wg_probe_name(key.function, call->probe);
  if (param_by_process) {
    key.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
  }
  struct user_value *value = user_row(&key);
  /* Without returns it is 0, and of adding a constant 0 clang makes an atomic OR,
   * which 5.10 refuses. */
  barrier_var(latency);
  if (value) wg_observe(&value->latency, latency);
}

static __always_inline void returned(struct pt_regs *ctx, wg_ktime now, const struct call *call, __s64 result) {
  wg_nanoseconds latency = now - call->entered;
  if (user_counted(true)) count(call, latency);
  if (user_produced(latency >= param_min)) send(ctx, now, call, result);
}

/* The call at `depth` from the bottom, from 1. The check is made twice: verifiers
 * before 6.12 do not carry the first one over to the index, and the barrier makes
 * clang keep the second. */
static __always_inline struct call *call_at(struct thread *thread, __u64 depth) {
  __u64 index = depth - 1;
  if (index >= CALLS_MOST) return 0;
  barrier_var(index);
  return &thread->calls[index % CALLS_MOST];
}

/* Whether a call at stack pointer `inner` may be inside of the call `outer`. At the
 * same place it is another function that `outer` ended with (a tail call). */
static __always_inline bool may_be_inside(__u32 probe, __u64 inner, const struct call *outer) {
  if (!wg_same_stack(inner, outer->stack) || inner < outer->stack) return true;
  return inner == outer->stack && probe != outer->probe;
}

HOOK(1, "uretprobe/TARGET")
int leave(struct pt_regs *ctx) {
  wg_ktime now = bpf_ktime_get_ns();
  __u32 tid = bpf_get_current_pid_tgid();
  struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread) return 0;
  __u64 stack = PT_REGS_SP(ctx) - WG_RETURN_POPS;
  struct call found = {};
  __u64 depth = thread->depth;
#pragma clang loop unroll(disable)
  for (int i = 0; i < CALLS_MOST; i++) {
    struct call *call = call_at(thread, depth - i);
    if (!call) break;
    if (call->stack == stack) {
      found = *call;
      call->stack = 0;
      break;
    }
    if (!call->stack || !wg_same_stack(stack, call->stack)) continue;
    /* It began before the sensor did, below all that is kept of this stack. */
    if (stack < call->stack) break;
    call->stack = 0;
    lost();
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < CALLS_MOST; i++) {
    struct call *top = call_at(thread, thread->depth);
    if (!top || top->stack) break;
    thread->depth--;
  }
  if (!thread->depth) bpf_map_delete_elem(&threads, &tid);
  if (found.stack) returned(ctx, now, &found, PT_REGS_RC(ctx));
  return 0;
}

HOOK(1, "uprobe/TARGET")
int enter(struct pt_regs *ctx) {
  if (!wg_task_wanted()) {
    user_produced(false);
    user_counted(false);
    return 0;
  }
  struct call call = {.stack = PT_REGS_SP(ctx), .probe = wg_probe(ctx)};
  if (!param_returns) {
    call.entered = bpf_ktime_get_ns();
    returned(ctx, call.entered, &call, 0);
    return 0;
  }
  __u32 tid = bpf_get_current_pid_tgid();
  struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread) {
    bpf_map_update_elem(&threads, &tid, &fresh_thread, BPF_NOEXIST);
    thread = bpf_map_lookup_elem(&threads, &tid);
  }
  if (!thread) {
    lost();
    return 0;
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < CALLS_MOST; i++) {
    struct call *top = call_at(thread, thread->depth);
    if (!top) break;
    if (top->stack) {
      if (may_be_inside(call.probe, call.stack, top)) break;
      lost();
    }
    thread->depth--;
  }
  __u64 depth = (__u64)thread->depth + 1;
  struct call *place = call_at(thread, depth);
  if (!place) {
    lost();
    return 0;
  }
  thread->depth = depth;
  call.entered = bpf_ktime_get_ns();
  *place = call;
  return 0;
}

/* What a thread was in when it ended, or ran another program, does not return. */
static __always_inline int forget(void) {
  __u32 tid = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&threads, &tid);
  return 0;
}
ALWAYS("tp_btf/sched_process_exit")
int exited(void *ctx) { return forget(); }
ALWAYS("tp_btf/sched_process_exec")
int executed(void *ctx) { return forget(); }
