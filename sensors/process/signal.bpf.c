/* signal: signals sent: by whom, to whom, why, and what became of them.
 *
 * The kernel's tracepoint fires for each signal that somebody or something sends,
 * before the target sees it. What it cannot tell is a call that came to nothing: the
 * target does not exist, the sender may not, or the signal is 0, which only asks. Those
 * are taken from the return of the system calls. A call to several targets returns an
 * error only when it reached none, but for EAGAIN, whose signal has fired already.
 * source: tracepoint signal:signal_generate; kernel/signal.c __send_signal_locked(),
 *   kill_something_info(); kill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2) */
#include <waggle/call.h>

SENSOR("signals sent, and attempts that failed: sender, target, cause, result");

PARAM(wg_signal, signal, "only this signal") = 0;
PARAM(wg_pid, target, "only signals to this process") = 0;
PARAM(bool, failed, "only what failed") = false;

struct signal_row {
  wg_ktime when;
  wg_pid pid DOC("the sender: whoever ran when it was sent, also when the kernel sent it; 0 when a timer did");
  wg_tid tid;
  wg_uid uid DOC("of the sender");
  wg_signal signal;
  wg_pid target DOC("the process it is for; of a failed call the id as the caller gave it, 0 when it gave none");
  wg_tid target_tid DOC("the thread it is for, or the one that stands for its process");
  __s32 target_group DOC("of a failed kill(2): the process group that it named; -1: everybody");
  wg_errno errno DOC("0 when it was sent");
  wg_signal_code code;
  wg_signal_result result;
  __u8 group DOC("1 when it is for the whole process, 0 when it is for the thread");
  __u8 _pad[2];
  wg_cgroup cgroup DOC("of the sender");
  wg_comm comm DOC("of the sender");
  wg_comm target_comm DOC("empty when the call failed");
};
EVENTS(signal, signal_row);

enum { SIGALRM = 14, SIGVTALRM = 26, SIGPROF = 27 };
/* source: include/uapi/asm-generic/siginfo.h; include/linux/sched/signal.h SEND_SIG_NOINFO, SEND_SIG_PRIV */
enum { SI_USER = 0, SI_QUEUE = -1, SI_TIMER = -2, SI_TKILL = -6, SI_KERNEL = 0x80, SEND_SIG_NOINFO = 0, SEND_SIG_PRIV = 1 };
enum { ESRCH = 3, EAGAIN = 11 };

/* Whoever runs when a timer fires has nothing to do with its signal. */
static __always_inline bool is_of_timer(int signal, int code) {
  bool interval = signal == SIGALRM || signal == SIGVTALRM || signal == SIGPROF;
  return code == SI_TIMER || (interval && code == SI_KERNEL);
}

static __always_inline bool wanted(int signal, wg_pid target, wg_errno error, bool of_timer) {
  if (param_signal && signal != param_signal) return false;
  if (param_target && target != param_target) return false;
  if (param_failed && !error) return false;
  if (of_timer) return !param_pid && !param_comm[0] && !wg_cgroup_set;
  return wg_task_wanted();
}

static __always_inline void set_sender(struct signal_row *row) {
  __u64 id = bpf_get_current_pid_tgid();
  row->pid = id >> 32;
  row->tid = id;
  row->uid = bpf_get_current_uid_gid();
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
}

ALWAYS("tp_btf/signal_generate")
int BPF_PROG(generate_signal, int signal, struct kernel_siginfo *info, struct task_struct *task, int group,
             int result) {
  int code = SI_USER;
  if ((__u64)info == SEND_SIG_PRIV)
    code = SI_KERNEL;
  else if ((__u64)info != SEND_SIG_NOINFO)
    code = BPF_CORE_READ(info, si_code);
  bool of_timer = is_of_timer(signal, code);
  wg_errno error = result == WG_SIGNAL_OVERFLOW_FAIL ? EAGAIN : 0;
  wg_pid target = task->tgid;
  if (!signal_produced(wanted(signal, target, error, of_timer))) return 0;
  struct signal_row row = {};
  row.when = bpf_ktime_get_ns();
  if (!of_timer) set_sender(&row);
  row.signal = signal;
  row.target = target;
  row.target_tid = task->pid;
  row.errno = error;
  row.code = code;
  row.result = result;
  row.group = group;
  bpf_probe_read_kernel_str(row.target_comm, sizeof(row.target_comm), task->comm);
  signal_submit(&row, sizeof(row));
  return 0;
}

/* A call that returned.
 *   id      process if positive, else group as in kill(2); 0 where the call names a thread only
 *   thread  0: the whole process */
static __always_inline int returned(long result, int id, wg_tid thread, int signal, int code) {
  wg_errno error = wg_errno_of(result);
  if ((!error && signal) || error == EAGAIN) return 0;
  wg_pid target = id > 0 ? id : 0;
  if (!signal_produced(wanted(signal, target, error, false))) return 0;
  struct signal_row row = {};
  row.when = bpf_ktime_get_ns();
  set_sender(&row);
  row.signal = signal;
  row.target = target;
  row.target_tid = thread ?: target;
  row.target_group = id == -1 ? -1 : id < 0 ? -id : 0;
  row.errno = error;
  row.code = code;
  row.result = error ? WG_SIGNAL_FAILED : WG_SIGNAL_CHECKED;
  row.group = !thread;
  signal_submit(&row, sizeof(row));
  return 0;
}

#define RETURN_OF(call, id, thread, signal, code)                                        \
  ALWAYS("tracepoint/syscalls/sys_exit_" #call)                                          \
  int leave_##call(struct wg_sys_exit *ctx) {                                            \
    struct wg_call_words arguments;                                                       \
    wg_call_arguments(&arguments);                                                       \
    return returned(ctx->ret, id, thread, arguments.at[signal], code);                   \
  }

RETURN_OF(kill, (int)arguments.at[0], 0, 1, SI_USER)
RETURN_OF(tkill, 0, arguments.at[0], 1, SI_TKILL)
RETURN_OF(tgkill, (int)arguments.at[0], arguments.at[1], 2, SI_TKILL)
RETURN_OF(rt_sigqueueinfo, (int)arguments.at[0], 0, 1, SI_QUEUE)
RETURN_OF(rt_tgsigqueueinfo, (int)arguments.at[0], arguments.at[1], 2, SI_QUEUE)
/* The process is behind a descriptor, which the caller may have closed by now. */
RETURN_OF(pidfd_send_signal, 0, 0, 1, SI_USER)
