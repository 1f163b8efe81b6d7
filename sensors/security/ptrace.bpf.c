/* ptrace: who takes hold of another process, or asks to be traced, and whether it was
 * allowed.
 *
 * A row is one call. A debugger makes thousands once it has attached: PARAM attach
 * leaves those out.
 * source: tracepoint syscalls:sys_exit_ptrace; ptrace(2) */
#include <waggle/call.h>

SENSOR("ptrace(2): who traces whom, with which request, and the result");

PARAM(bool, failed, "only calls that failed") = false;
PARAM(bool, attach, "only requests that begin to trace: attach, seize, traceme") = false;
PARAM(wg_ptrace_request, request, "only this request, by name or number") = -1;

struct ptrace_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_ptrace_request request;
  wg_tid target DOC("the thread that is traced, as the caller named it; of traceme the parent process");
  wg_errno errno DOC("0 when it succeeded");
  wg_cgroup cgroup;
  wg_comm comm;
};
EVENTS(ptrace, ptrace_row);

/* source: include/uapi/linux/ptrace.h */
enum { PTRACE_TRACEME = 0, PTRACE_ATTACH = 16, PTRACE_SEIZE = 0x4206 };

ALWAYS("tracepoint/syscalls/sys_exit_ptrace")
int leave_ptrace(struct wg_sys_exit *ctx) {
  struct wg_call_words arguments;
  wg_call_arguments(&arguments);
  __u32 request = arguments.at[0];
  bool attaches = request == PTRACE_ATTACH || request == PTRACE_SEIZE || request == PTRACE_TRACEME;
  bool wanted = !(param_attach && !attaches) && !(param_failed && ctx->ret >= 0) &&
                (param_request == (wg_ptrace_request)-1 || request == param_request) && wg_task_wanted();
  if (!ptrace_produced(wanted)) return 0;
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  __u64 id = bpf_get_current_pid_tgid();
  struct ptrace_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.request = request;
  row.target = request == PTRACE_TRACEME ? BPF_CORE_READ(task, real_parent, tgid) : (wg_tid)arguments.at[1];
  row.errno = wg_errno_of(ctx->ret);
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  ptrace_submit(&row, sizeof(row));
  return 0;
}
