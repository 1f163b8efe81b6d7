/* call: calls of any function of the kernel, as they begin: who calls it, with
 * what arguments, from where. How long it takes and what it returns is func's to
 * say, at twice the price: here only the entry is hooked.
 *
 * Stacks are taken when parameter `stacks` asks for them. They begin with the
 * function itself, whatever hook the kernel has.
 *
 * One function is traced by fentry, several by kprobe.multi, or by a kprobe on
 * each. fentry needs 5.17: before, it cannot tell its function, and a kprobe is taken.
 * source: Documentation/trace/{kprobes,fprobe}.rst; bpf-helpers(7) bpf_get_func_ip (5.15), bpf_get_func_arg (5.17) */
#include <waggle/function.h>
#include <waggle/stack.h>

SENSOR("calls of any kernel function: count, arguments, stacks (call:vfs_read, call:vfs_*)");

PARAM(bool, by_process, "a row of the table for each process") = false;
PARAM(bool, stacks, "take the stack of each call; the table has a row for each stack and process") = false;
PARAM(__u32, text, "number (1 to 6) of an argument that points to text, shown in column text") = 0;

struct call_row {
  wg_ktime when;
  wg_kaddr function;
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_cpu cpu;
  __u32 _pad;
  wg_comm comm;
  wg_arguments arguments DOC("registers, read by the function's types");
  char text[128] DOC("what the argument that parameter text names points to");
  wg_stack stack DOC("from the function outwards, with parameter stacks");
};
EVENTS_SIZED(call, call_row, 1 << 20);
/* One program uses it, and the kernel does not run a program inside of itself. */
SCRATCH(call, call_row);

struct call_key {
  wg_kaddr function;
  __u64 _stack; /* 0 without stacks */
  wg_pid pid DOC("0 unless rows are by process or by stack");
  wg_comm comm DOC("empty unless rows are by process or by stack");
  __u32 _pad;
};
struct call_value {
  wg_count calls;
  wg_stack stack DOC("from the function outwards, with parameter stacks");
};
TABLE(call, call_key, call_value, 4096);
SCRATCH(call_fresh, call_value);

/* From `inside` frames out: see wg_stack_inside(). */
static __always_inline void count(void *ctx, wg_kaddr function, __u32 inside) {
  struct call_value *fresh = call_fresh_scratch();
  if (!fresh) return;
  struct call_key key = {.function = function};
  if (param_stacks) {
    fresh->calls = 0;
    wg_stack_fill_above(ctx, &fresh->stack, false, inside);
    key._stack = wg_stack_hash(&fresh->stack);
  }
  if (param_by_process || param_stacks) {
    key.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
  }
  struct call_value *value = call_row_from(&key, fresh);
  if (value) wg_add(&value->calls, 1);
}

static __always_inline void read_text(struct call_row *row) {
  row->text[0] = 0;
  __u32 index = param_text - 1;
  if (index >= 6) return;
  const char *at = (const char *)row->arguments.registers[index];
  /* Which memory it is in, the address does not tell on every processor. */
  if (bpf_probe_read_kernel_str(row->text, sizeof(row->text), at) < 0)
    bpf_probe_read_user_str(row->text, sizeof(row->text), at);
}

static __always_inline void send(void *ctx, struct call_row *row, wg_kaddr function, __u32 inside) {
  __u64 id = bpf_get_current_pid_tgid();
  row->when = bpf_ktime_get_ns();
  row->function = function;
  row->cgroup = bpf_get_current_cgroup_id();
  row->pid = id >> 32;
  row->tid = id;
  row->cpu = bpf_get_smp_processor_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  read_text(row);
  __u64 stack_bytes = param_stacks ? wg_stack_fill_above(ctx, &row->stack, false, inside) : 0;
  call_submit(row, WG_CUT(call_row, stack, stack_bytes));
}

HOOK(1, "fentry/TARGET")
int call_fentry(void *ctx) {
  wg_kaddr function = bpf_get_func_ip(ctx);
  bool wanted = wg_task_wanted();
  __u32 inside = param_stacks ? wg_stack_inside(ctx, function) : 0;
  if (call_counted(wanted)) count(ctx, function, inside);
  if (!call_produced(wanted)) return 0;
  struct call_row *row = call_scratch();
  if (!row) return 0;
  row->arguments = (wg_arguments){};
  /* It has fewer where this fails. */
  for (__u32 i = 0; i < 6; i++) bpf_get_func_arg(ctx, i, &row->arguments.registers[i]);
  send(ctx, row, function, inside);
  return 0;
}

static __always_inline int called(struct pt_regs *ctx, wg_kaddr function) {
  bool wanted = wg_task_wanted();
  __u32 inside = param_stacks ? wg_stack_inside(ctx, function) : 0;
  if (call_counted(wanted)) count(ctx, function, inside);
  if (!call_produced(wanted)) return 0;
  struct call_row *row = call_scratch();
  if (!row) return 0;
  row->arguments.registers[0] = PT_REGS_PARM1(ctx);
  row->arguments.registers[1] = PT_REGS_PARM2(ctx);
  row->arguments.registers[2] = PT_REGS_PARM3(ctx);
  row->arguments.registers[3] = PT_REGS_PARM4(ctx);
  row->arguments.registers[4] = PT_REGS_PARM5(ctx);
  row->arguments.registers[5] = WG_PT_REGS_PARM6(ctx);
  send(ctx, row, function, inside);
  return 0;
}

HOOK(2, "kprobe.multi/TARGET")
int call_multi(struct pt_regs *ctx) { return called(ctx, bpf_get_func_ip(ctx)); }

HOOK(3, "kprobe/TARGET")
int call_kprobe(struct pt_regs *ctx) { return called(ctx, wg_kprobe_function(ctx)); }
