/* capability: checks of privileges: who needed which capability, and whether it had it.
 *
 * What is asked for is seen best by the function that answers: it is given how the
 * check is made, too. The kernel's own tracepoint (6.14), which serves where functions
 * cannot be traced, does not tell that. Checks in the middle of an interrupt are those
 * of whoever was interrupted.
 * source: security/commoncap.c cap_capable(); include/linux/security.h CAP_OPT_*
 *   tracepoint capability:cap_capable */
#include <linux/ptrace.h>

#include <waggle/sensor.bpf.h>

SENSOR("checks of capabilities: which, for whom, granted or refused");

PARAM(wg_capability, capability, "only this one, by name or number") = 255;
PARAM(bool, failed, "only checks that were refused") = false;
PARAM(bool, audited, "no quiet checks, which kernels make to choose a way, not to refuse (where the kernel tells)") = false;

struct capability_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when it was granted, else EPERM");
  wg_capability capability;
  char check[8] DOC("audit: a refusal is for the audit log; noaudit: a quiet check; "
                    "insetid: of setuid(2) and the like; empty where the kernel does not tell");
  __u8 _pad[7];
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS_SIZED(capability, capability_row, 1 << 20);

/* c1a85a00ea66 (5.1) */
enum { CAP_OPT_NOAUDIT = 2, CAP_OPT_INSETID = 4, CAP_OPT_UNKNOWN = 0x80000000 };

static __always_inline int checked(int capability, __u32 options, long result) {
  bool wanted = (param_capability == 255 || capability == param_capability) && !(param_failed && !result) &&
                !(param_audited && !(options & CAP_OPT_UNKNOWN) && options & CAP_OPT_NOAUDIT) && wg_task_wanted();
  if (!capability_produced(wanted)) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  struct capability_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.errno = -result;
  row.capability = capability;
  if (options & CAP_OPT_UNKNOWN)
    row.check[0] = 0;
  else if (options & CAP_OPT_INSETID)
    __builtin_memcpy(row.check, "insetid", 8);
  else if (options & CAP_OPT_NOAUDIT)
    __builtin_memcpy(row.check, "noaudit", 8);
  else
    __builtin_memcpy(row.check, "audit", 6);
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  capability_submit(&row, sizeof(row));
  return 0;
}

HOOK(1, "fexit/cap_capable")
int BPF_PROG(cap_returned, void *cred, void *namespace, int capability, unsigned int options, int result) {
  return checked(capability, options, result);
}

HOOK(2, "tp_btf/cap_capable")
int BPF_PROG(cap_traced, void *cred, void *target, void *capable, int capability, int result) {
  return checked(capability, CAP_OPT_UNKNOWN, result);
}

/* Kernels with kprobes and without trampolines. */
struct check {
  int capability;
  __u32 options;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct check);
} checks SEC(".maps");

HOOK(3, "kretprobe/cap_capable")
int cap_leave(struct pt_regs *ctx) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct check *found = bpf_map_lookup_elem(&checks, &tid);
  if (!found) return 0;
  struct check check = *found;
  bpf_map_delete_elem(&checks, &tid);
  return checked(check.capability, check.options, (int)PT_REGS_RC(ctx));
}
HOOK(3, "kprobe/cap_capable")
int cap_enter(struct pt_regs *ctx) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct check check = {PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx)};
  /* This one came in the middle of another, whose return will find nothing. */
  if (bpf_map_lookup_elem(&checks, &tid)) capability_lost();
  if (bpf_map_update_elem(&checks, &tid, &check, BPF_ANY)) capability_lost();
  return 0;
}
