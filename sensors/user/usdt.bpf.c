/* usdt: the probes that authors of a program or library left in it for others to
 * listen to: each time one is passed, with its arguments.
 *
 * A probe with a semaphore prepares its arguments only while somebody listens; the
 * kernel counts listeners in every process that has the file mapped.
 * source: systemtap wiki, "UserSpaceProbeImplementation"; a6ca88b241d5 (4.20), reference counters */
#include <waggle/stack.h>
#include <waggle/usdt.h>

SENSOR("USDT probes of a program or library, with their arguments (usdt:/usr/bin/python3:python:gc__*)");

PARAM(__u32, text, "read this argument as text: 1 is arg0, 0 none") = 0;
PARAM(bool, stacks, "who passed the probe, in each row") = false;
PARAM(bool, by_process, "a row of the table for each process") = false;

struct usdt_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  char probe[WG_PROBE_NAME] DOC("provider:name");
  __s64 arg0 DOC("the first argument; 0 where there is none, or no integer");
  __s64 arg1 DOC("the second");
  __s64 arg2 DOC("the third");
  __s64 arg3 DOC("the fourth");
  __s64 arg4 DOC("the fifth");
  __s64 arg5 DOC("the sixth");
  char text[128] DOC("with --set text=N: what argument N points at");
  wg_stack stack DOC("with --set stacks=1: where the probe is, and who called");
};
EVENTS(usdt, usdt_row);
ROWS(rows, usdt_row);

struct usdt_key {
  char probe[WG_PROBE_NAME] DOC("provider:name");
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
  __u32 _pad;
};
struct usdt_value {
  wg_count count;
};
TABLE(usdt, usdt_key, usdt_value, 4096);

static __always_inline __u64 fill_arguments(struct pt_regs *ctx, struct usdt_row *row, __u32 probe) {
  struct wg_usdt_place *place = bpf_map_lookup_elem(&wg_usdt_places, &probe);
  if (!place) return 0;
  row->arg0 = wg_usdt_argument(ctx, &place->arguments[0]);
  row->arg1 = wg_usdt_argument(ctx, &place->arguments[1]);
  row->arg2 = wg_usdt_argument(ctx, &place->arguments[2]);
  row->arg3 = wg_usdt_argument(ctx, &place->arguments[3]);
  row->arg4 = wg_usdt_argument(ctx, &place->arguments[4]);
  row->arg5 = wg_usdt_argument(ctx, &place->arguments[5]);
  switch (param_text) {
    case 1: return row->arg0;
    case 2: return row->arg1;
    case 3: return row->arg2;
    case 4: return row->arg3;
    case 5: return row->arg4;
    case 6: return row->arg5;
    default: return 0;
  }
}

static __always_inline void send(struct pt_regs *ctx, __u32 probe) {
  struct rows_pooled *pooled = rows_take();
  if (!pooled) {
    WG_COUNT(WG_STREAM, lost);
    return;
  }
  struct usdt_row *row = &pooled->row;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = bpf_ktime_get_ns();
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  wg_probe_name(row->probe, probe);
  __u64 text = fill_arguments(ctx, row, probe);
  row->text[0] = 0;
  if (text) bpf_probe_read_user_str(row->text, sizeof(row->text), (void *)text);
  __u64 stack_bytes = param_stacks ? wg_stack_fill(ctx, &row->stack, true) : 0;
  usdt_submit(row, WG_CUT(usdt_row, stack, stack_bytes));
  rows_give(pooled);
}

HOOK(1, "usdt/TARGET")
int passed(struct pt_regs *ctx) {
  bool wanted = wg_task_wanted();
  __u32 probe = wg_probe(ctx);
  if (usdt_counted(wanted)) {
    struct usdt_key key = {};
    wg_probe_name(key.probe, probe);
    if (param_by_process) {
      key.pid = bpf_get_current_pid_tgid() >> 32;
      bpf_get_current_comm(key.comm, sizeof(key.comm));
    }
    struct usdt_value *value = usdt_row(&key);
    if (value) wg_add(&value->count, 1);
  }
  if (usdt_produced(wanted)) send(ctx, probe);
  return 0;
}
