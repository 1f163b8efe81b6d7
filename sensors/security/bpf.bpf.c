/* bpf: BPF programs and maps made, attached and looked up, by whom, and what failed.
 *
 * A row is one call of bpf(2). What the call is about is read from the caller's own
 * union bpf_attr when the call returns. Reading a map's values is a call each: PARAM
 * changes leaves those out.
 * source: tracepoint syscalls:sys_exit_bpf; bpf(2), include/uapi/linux/bpf.h union bpf_attr */
#include <waggle/call.h>

SENSOR("bpf(2): programs and maps made and used, by whom, and the result");

PARAM(bool, failed, "only calls that failed") = false;
PARAM(bool, changes, "only calls that make, pin, attach or detach something") = false;
PARAM(wg_bpf_command, command, "only this command, by name or number") = -1;

struct bpf_row {
  wg_ktime when;
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  wg_bpf_command command;
  wg_bpf_program program DOC("type of the program that PROG_LOAD loads, else UNSPEC");
  wg_bpf_map map DOC("type of the map that MAP_CREATE makes, else UNSPEC");
  __u32 size DOC("of PROG_LOAD instructions, of MAP_CREATE entries at most");
  wg_errno errno DOC("0 when it succeeded");
  wg_fd fd DOC("of what was made or opened; -1: nothing");
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  wg_path name DOC("of the program, map or tracepoint; the path of OBJ_PIN and OBJ_GET");
};
EVENTS(bpf, bpf_row);

/* The fields that commands have; libbpf and the kernel know more. */
#define FIELD(member) __builtin_offsetof(union bpf_attr, member)

static __always_inline bool is_change(__u32 command) {
  switch (command) {
    case BPF_MAP_CREATE:
    case BPF_PROG_LOAD:
    case BPF_OBJ_PIN:
    case BPF_PROG_ATTACH:
    case BPF_PROG_DETACH:
    case BPF_RAW_TRACEPOINT_OPEN:
    case BPF_BTF_LOAD:
    case BPF_MAP_FREEZE:
    case BPF_LINK_CREATE:
    case BPF_LINK_UPDATE:
    case BPF_ENABLE_STATS:
    case BPF_LINK_DETACH:
    case BPF_PROG_BIND_MAP:
    case 36: /* BPF_TOKEN_CREATE, 6.9 */ return true;
    default: return false;
  }
}

static __always_inline bool makes_descriptor(__u32 command) {
  switch (command) {
    case BPF_MAP_CREATE:
    case BPF_PROG_LOAD:
    case BPF_OBJ_GET:
    case BPF_PROG_GET_FD_BY_ID:
    case BPF_MAP_GET_FD_BY_ID:
    case BPF_RAW_TRACEPOINT_OPEN:
    case BPF_BTF_LOAD:
    case BPF_BTF_GET_FD_BY_ID:
    case BPF_LINK_CREATE:
    case BPF_LINK_GET_FD_BY_ID:
    case BPF_ENABLE_STATS:
    case BPF_ITER_CREATE:
    case 36: return true;
    default: return false;
  }
}

static __always_inline __u32 read_number(const char *attr, __u32 at) {
  __u32 number = 0;
  bpf_probe_read_user(&number, sizeof(number), attr + at);
  return number;
}

/* Of text that lies in the attributes, 16 bytes. Returns its length with the NUL. */
static __always_inline long read_name(char *name, const char *attr, __u32 at) {
  return bpf_probe_read_user_str(name, BPF_OBJ_NAME_LEN, attr + at);
}
/* Of text that they point to. */
static __always_inline long read_path(char *name, const char *attr, __u32 at) {
  const char *path = NULL;
  bpf_probe_read_user(&path, sizeof(path), attr + at);
  return path ? bpf_probe_read_user_str(name, sizeof(wg_path), path) : 0;
}

ALWAYS("tracepoint/syscalls/sys_exit_bpf")
int leave_bpf(struct wg_sys_exit *ctx) {
  struct wg_call_words arguments;
  wg_call_arguments(&arguments);
  __u32 command = arguments.at[0];
  bool wanted = !(param_failed && ctx->ret >= 0) && !(param_changes && !is_change(command)) &&
                (param_command == (wg_bpf_command)-1 || command == param_command) && wg_task_wanted();
  if (!bpf_produced(wanted)) return 0;
  const char *attr = (const char *)arguments.at[1];
  __u64 id = bpf_get_current_pid_tgid();
  struct bpf_row row = {};
  row.when = bpf_ktime_get_ns();
  row.pid = id >> 32;
  row.tid = id;
  row.uid = bpf_get_current_uid_gid();
  row.command = command;
  row.errno = wg_errno_of(ctx->ret);
  row.fd = ctx->ret >= 0 && makes_descriptor(command) ? ctx->ret : -1;
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  long length = 0;
  if (command == BPF_PROG_LOAD) {
    row.program = read_number(attr, FIELD(prog_type));
    row.size = read_number(attr, FIELD(insn_cnt));
    length = read_name(row.name, attr, FIELD(prog_name));
  } else if (command == BPF_MAP_CREATE) {
    row.map = read_number(attr, FIELD(map_type));
    row.size = read_number(attr, FIELD(max_entries));
    length = read_name(row.name, attr, FIELD(map_name));
  } else if (command == BPF_OBJ_PIN || command == BPF_OBJ_GET) {
    length = read_path(row.name, attr, FIELD(pathname));
  } else if (command == BPF_RAW_TRACEPOINT_OPEN) {
    length = read_path(row.name, attr, FIELD(raw_tracepoint.name));
  }
  bpf_submit(&row, WG_CUT(bpf_row, name, length > 0 ? length : 0));
  return 0;
}
