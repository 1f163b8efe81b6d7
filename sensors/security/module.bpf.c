/* module: kernel modules loaded and unloaded, asked for by the kernel itself, and
 * loads that failed.
 *
 * A load is a row when the kernel has taken the module in, before its init function
 * runs; a call that fails is a row when it returns. So a module whose init fails is
 * two: a load, and a load with an errno. What the kernel asks for (request) is what
 * modprobe will be started with: "fs-xfs".
 * source: tracepoints module:module_{load,free,request}, syscalls:sys_exit_{init_module,finit_module,delete_module};
 *   kernel/module/; init_module(2), delete_module(2) */
#include <waggle/call.h>

SENSOR("kernel modules: loaded, unloaded, asked for, and attempts that failed");

PARAM(bool, failed, "only calls that failed") = false;

struct module_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_errno errno DOC("0 when it succeeded");
  char op[8] DOC("load, unload, or request: the kernel asks user space for it");
  wg_taints taints DOC("as /proc/modules has them: O out of tree, E unsigned, P proprietary");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  char name[64] DOC("empty where a load failed");
};
EVENTS(module, module_row);

enum op { LOAD, UNLOAD, REQUEST };

static __always_inline void set_op(struct module_row *row, enum op op) {
  if (op == LOAD)
    __builtin_memcpy(row->op, "load", 5);
  else if (op == UNLOAD)
    __builtin_memcpy(row->op, "unload", 7);
  else
    __builtin_memcpy(row->op, "request", 8);
}

/* name  in the kernel; NULL: none */
static __always_inline int report(enum op op, const char *name, __u32 taints, wg_errno error) {
  if (!module_produced(!(param_failed && !error) && wg_task_wanted())) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  struct module_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.errno = error;
  set_op(&row, op);
  row.taints = taints;
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  if (name) bpf_probe_read_kernel_str(row.name, sizeof(row.name), name);
  module_submit(&row, sizeof(row));
  return 0;
}

ALWAYS("tp_btf/module_load")
int BPF_PROG(load_module, struct module *module) {
  return report(LOAD, module->name, BPF_CORE_READ(module, taints), 0);
}
ALWAYS("tp_btf/module_free")
int BPF_PROG(free_module, struct module *module) {
  return report(UNLOAD, module->name, BPF_CORE_READ(module, taints), 0);
}
ALWAYS("tp_btf/module_request")
int BPF_PROG(request_module, const char *name) { return report(REQUEST, name, 0, 0); }

ALWAYS("tracepoint/syscalls/sys_exit_init_module")
int leave_init_module(struct wg_sys_exit *ctx) { return ctx->ret < 0 ? report(LOAD, NULL, 0, -ctx->ret) : 0; }
ALWAYS("tracepoint/syscalls/sys_exit_finit_module")
int leave_finit_module(struct wg_sys_exit *ctx) { return ctx->ret < 0 ? report(LOAD, NULL, 0, -ctx->ret) : 0; }

/* The name is the caller's. */
ALWAYS("tracepoint/syscalls/sys_exit_delete_module")
int leave_delete_module(struct wg_sys_exit *ctx) {
  if (ctx->ret >= 0) return 0;
  struct wg_call_words arguments;
  wg_call_arguments(&arguments);
  if (!module_produced(wg_task_wanted())) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  struct module_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.errno = -ctx->ret;
  set_op(&row, UNLOAD);
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  bpf_probe_read_user_str(row.name, sizeof(row.name), (const char *)arguments.at[0]);
  module_submit(&row, sizeof(row));
  return 0;
}
