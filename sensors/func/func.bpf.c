/* func: any function of the kernel: how often it is called, how long it takes,
 * what it returns.
 *
 * What runs in a thread is kept as a stack of calls, so that a function that calls
 * itself, or another that is traced, is timed by its own entry; an interrupt that
 * calls one pushes on top and pops again. 16 deep are kept, deeper calls are lost.
 * A probe may miss a return when too many calls are open: such a call stays on the
 * stack until one that cannot be inside it comes by, which the stack pointer tells,
 * and is then counted as lost. Entries are kept until the kernel frees the
 * task: to delete them while an interrupt may push is not safe.
 *
 * One function is traced by fentry, several by kprobe.multi, or by a kprobe on
 * each. fentry needs 5.17: before, it can tell neither its function nor the
 * result, and a kprobe is taken.
 * source: Documentation/trace/{kprobes,fprobe}.rst; bpf-helpers(7) bpf_get_func_ip (5.15), bpf_get_func_ret (5.17) */
#include <waggle/function.h>

SENSOR("any kernel function: calls, latency, result (func:vfs_read, func:vfs_*)");

PARAM(wg_nanoseconds, min, "only calls that took at least this long (events)") = 0;
PARAM(bool, by_process, "a row of the table for each process") = false;

struct func_row {
  wg_ktime when DOC("when it returned");
  wg_nanoseconds latency DOC("from entry to return");
  wg_kaddr function;
  __s64 result DOC("the returned register: has no meaning when the function returns nothing");
  wg_pid pid;
  wg_tid tid;
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(func, func_row);

struct func_key {
  wg_kaddr function;
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
  __u32 _pad;
};
struct func_value {
  wg_latency_histogram latency;
};
TABLE(func, func_key, func_value, 4096);

#define CALLS_MOST 16
struct call {
  wg_kaddr function;
  wg_ktime entered;
  __u64 stack; /* stack pointer at entry; 0 with fentry, whose returns are not missed */
};
struct thread {
  __u32 depth; /* may exceed CALLS_MOST: those calls are not kept */
  __u32 _pad;
  struct call calls[CALLS_MOST];
};
static const struct thread fresh_thread;
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, __u64); /* address of the task: idle tasks share a thread id */
  __type(value, struct thread);
} threads SEC(".maps");

/* The call on top, if it is kept. The check is made twice: verifiers before 6.12
 * do not carry the first one over to the index, and the barrier makes clang keep
 * the second. */
static __always_inline struct call *top_call(struct thread *thread) {
  __u64 top = (__u64)thread->depth - 1;
  if (top >= CALLS_MOST) return 0;
  barrier_var(top);
  return &thread->calls[top % CALLS_MOST];
}

static __always_inline void lost(void) {
  func_lost();
  func_table_lost();
}

static __always_inline struct thread *this_thread(void) {
  __u64 key = bpf_get_current_task();
  return bpf_map_lookup_elem(&threads, &key);
}

/* Whether a call of `function` at stack pointer `inner` may be inside the call
 * `outer`. Stacks grow down, and an interrupt has a stack of its own, which tells
 * nothing. At the same place it is another function that `outer` ended with (a
 * tail call); both return. */
#define STACK_BYTES (16 << 10)
static __always_inline bool may_be_inside(wg_kaddr function, __u64 inner, const struct call *outer) {
  if (!outer->stack || inner < outer->stack || inner - outer->stack >= STACK_BYTES) return true;
  return inner == outer->stack && function != outer->function;
}

static __always_inline int enter(wg_kaddr function, __u64 stack) {
  if (!wg_task_wanted()) {
    func_produced(false);
    func_counted(false);
    return 0;
  }
  struct thread *thread = this_thread();
  if (!thread) {
    __u64 key = bpf_get_current_task();
    bpf_map_update_elem(&threads, &key, &fresh_thread, BPF_NOEXIST);
    thread = bpf_map_lookup_elem(&threads, &key);
  }
  if (!thread) {
    lost();
    return 0;
  }
  for (int i = 0; stack && i < CALLS_MOST; i++) {
    struct call *top = top_call(thread);
    if (!top || may_be_inside(function, stack, top)) break;
    thread->depth--;
    lost();
  }
  /* The place is taken before it is filled: an interrupt takes the next one. */
  thread->depth++;
  barrier();
  struct call *call = top_call(thread);
  if (!call) {
    lost();
    return 0;
  }
  call->function = function;
  call->stack = stack;
  call->entered = bpf_ktime_get_ns();
  return 0;
}

/* A return pops the return address, on x86. */
#define RETURN_POPS_MOST 8
static __always_inline bool is_return_of(const struct call *call, wg_kaddr function, __u64 stack) {
  return (!function || call->function == function) &&
         (!stack || !call->stack || stack - call->stack <= RETURN_POPS_MOST);
}

/* function, stack  0 where the hook cannot tell; one of them is known */
static __always_inline int leave(wg_kaddr function, __u64 stack, __s64 result) {
  __u64 now = bpf_ktime_get_ns();
  struct thread *thread = this_thread();
  if (!thread || !thread->depth) return 0;
  if (thread->depth > CALLS_MOST) {
    thread->depth--;
    return 0;
  }
  struct call call = {};
  for (int i = 0; i < CALLS_MOST; i++) {
    struct call *top = top_call(thread);
    if (!top) break;
    if (is_return_of(top, function, stack)) {
      call = *top;
      barrier();
      thread->depth--;
      break;
    }
    /* It began before the sensor did, below all that is kept. */
    if (stack && stack < top->stack) break;
    thread->depth--;
    lost();
  }
  if (!call.entered) return 0;

  wg_nanoseconds latency = now - call.entered;
  __u64 id = bpf_get_current_pid_tgid();
  if (func_counted(true)) {
    struct func_key key = {.function = call.function};
    if (param_by_process) {
      key.pid = id >> 32;
      bpf_get_current_comm(key.comm, sizeof(key.comm));
    }
    struct func_value *value = func_row(&key);
    if (value) wg_observe(&value->latency, latency);
  }
  if (func_produced(latency >= param_min)) {
    struct func_row row = {};
    row.when = now;
    row.latency = latency;
    row.function = call.function;
    row.result = result;
    row.pid = id >> 32;
    row.tid = id;
    row.cgroup = bpf_get_current_cgroup_id();
    bpf_get_current_comm(row.comm, sizeof(row.comm));
    func_submit(&row, sizeof(row));
  }
  return 0;
}

/* Hooks are attached in the order of this file. Returns come first: a return whose
 * entry was not seen is ignored, while entries without returns would pile up. */
HOOK(1, "fexit/TARGET")
int leave_fexit(void *ctx) {
  __u64 result = 0;
  bpf_get_func_ret(ctx, &result);
  return leave(bpf_get_func_ip(ctx), 0, result);
}
HOOK(1, "fentry/TARGET")
int enter_fentry(void *ctx) { return enter(bpf_get_func_ip(ctx), 0); }

HOOK(2, "kretprobe.multi/TARGET")
int leave_multi(struct pt_regs *ctx) { return leave(bpf_get_func_ip(ctx), 0, PT_REGS_RC(ctx)); }
HOOK(2, "kprobe.multi/TARGET")
int enter_multi(struct pt_regs *ctx) { return enter(bpf_get_func_ip(ctx), PT_REGS_SP(ctx)); }

HOOK(3, "kretprobe/TARGET")
int leave_kretprobe(struct pt_regs *ctx) { return leave(0, PT_REGS_SP(ctx), PT_REGS_RC(ctx)); }
HOOK(3, "kprobe/TARGET")
int enter_kprobe(struct pt_regs *ctx) { return enter(wg_kprobe_function(ctx), PT_REGS_SP(ctx)); }

ALWAYS("tp_btf/sched_process_free")
int BPF_PROG(freed, struct task_struct *task) {
  __u64 key = (__u64)task;
  bpf_map_delete_elem(&threads, &key);
  return 0;
}
