/* fault: page faults, minor and major, with the code that made them.
 *
 * A minor fault gave a page that was in memory or only had to be cleared, so a process
 * that grows shows here; a major one waited for a disk or for swap. These are the
 * kernel's own counts, as in ru_minflt, ru_majflt of getrusage(2) and min_flt, maj_flt
 * of /proc/PID/stat, but for faults on behalf of other code than the one that runs
 * (a get_user_pages() of the kernel), which fire no event. A fault that ends in a signal
 * is neither.
 * source: perf_event_open(2) PERF_COUNT_SW_PAGE_FAULTS_{MIN,MAJ}; mm/memory.c mm_account_fault() */
#include <linux/bpf_perf_event.h>

#include <waggle/stack.h>

SENSOR("page faults, minor and major: who, which address, by which code");

PARAM(bool, major, "only major faults, those that waited for a disk") = false;

struct fault_row {
  wg_ktime when;
  wg_address address DOC("that was touched");
  wg_pid pid;
  wg_tid tid;
  wg_cgroup cgroup;
  wg_comm comm;
  __u8 major DOC("1 when it waited for a disk, 0 for a minor one");
  __u8 kernel DOC("1 when the kernel touched it for the process, in a system call");
  __u8 _pad[6];
  wg_stack stack;
};
EVENTS_SIZED(fault, fault_row, 1 << 20);
/* The event is handled with preemption off, and an interrupt makes no such faults. */
SCRATCH(fault, fault_row);

struct fault_key {
  wg_pid pid;
  wg_comm comm;
};
struct fault_value {
  wg_count minor;
  wg_count major DOC("that waited for a disk");
  wg_count kernel DOC("of both, those made by the kernel for the process");
};
TABLE(fault, fault_key, fault_value, 8192);

static __always_inline int fault(struct bpf_perf_event_data *ctx, bool major) {
  __u64 id = bpf_get_current_pid_tgid();
  /* The privilege level of the code that faulted, on x86. */
  bool kernel = !(ctx->regs.cs & 3);
  bool wanted = (major || !param_major) && wg_task_wanted();
  if (fault_counted(wanted)) {
    struct fault_key key = {.pid = id >> 32};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    struct fault_value *value = fault_row(&key);
    if (value) {
      wg_add(major ? &value->major : &value->minor, 1);
      if (kernel) wg_add(&value->kernel, 1);
    }
  }
  if (!fault_produced(wanted)) return 0;
  struct fault_row *row = fault_scratch();
  if (!row) return 0;
  row->when = bpf_ktime_get_ns();
  row->address = ctx->addr;
  row->pid = id >> 32;
  row->tid = id;
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  row->major = major;
  row->kernel = kernel;
  __u64 stack_bytes = wg_stack_fill(ctx, &row->stack, false);
  fault_submit(row, WG_CUT(fault_row, stack, stack_bytes));
  return 0;
}

ALWAYS("perf_event/minor-faults")
int minor_fault(struct bpf_perf_event_data *ctx) { return fault(ctx, false); }
ALWAYS("perf_event/major-faults")
int major_fault(struct bpf_perf_event_data *ctx) { return fault(ctx, true); }
