/* hostname: names looked up by the C library's resolver: which, how long it took,
 * and what came of it; in every process, whichever server answered, and also when
 * /etc/hosts or a cache did.
 *
 * A library may implement one of its functions by another of them (musl's
 * gethostbyname by gethostbyname2): the outermost call is the row.
 * `waggle watch hostname:FILE` traces another C library than the host's own.
 * source: getaddrinfo(3), gethostbyname(3); <netdb.h> EAI_* */
#include <waggle/user.h>

SENSOR("host names looked up through the C library: latency and error (hostname, hostname:/path/libc.so)");

PARAM(wg_nanoseconds, min, "only lookups that took at least this long") = 0;
PARAM(bool, failed, "only lookups that failed") = false;

struct hostname_row {
  wg_ktime when DOC("when the answer was there");
  wg_nanoseconds latency DOC("from call to return");
  wg_pid pid;
  wg_tid tid;
  wg_uid uid;
  __u32 _pad;
  wg_cgroup cgroup;
  wg_comm comm;
  char function[16] DOC("getaddrinfo, gethostbyname or gethostbyname2");
  char error[16] DOC("empty: found; else EAI_…, or 'not found' from gethostbyname, which tells no more");
  wg_path host DOC("as the program asked for it; empty: an address of this host");
};
EVENTS(hostname, hostname_row);

enum { GETADDRINFO, GETHOSTBYNAME, GETHOSTBYNAME2 };
static const char functions[3][16] = {"getaddrinfo", "gethostbyname", "gethostbyname2"};

#define ERRORS 16
static const char errors[ERRORS][16] = {
    "",           "EAI_BADFLAGS", "EAI_NONAME",  "EAI_AGAIN",      "EAI_FAIL",   "EAI_NODATA",
    "EAI_FAMILY", "EAI_SOCKTYPE", "EAI_SERVICE", "EAI_ADDRFAMILY", "EAI_MEMORY", "EAI_SYSTEM",
    "EAI_OVERFLOW", "EAI_OTHER",  "EAI_OTHER",   "EAI_OTHER"};
static const char not_found[16] = "not found";

struct lookup {
  __u64 stack; /* pointer at entry */
  wg_ktime began;
  __u64 function;
  wg_path host;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct lookup);
} lookups SEC(".maps");

static __always_inline int begin(struct pt_regs *ctx, __u32 function) {
  if (!wg_task_wanted()) {
    hostname_produced(false);
    return 0;
  }
  __u32 tid = bpf_get_current_pid_tgid();
  __u64 stack = PT_REGS_SP(ctx);
  struct lookup *outer = bpf_map_lookup_elem(&lookups, &tid);
  /* Within a call that has not returned; what lies deeper did not return at all. */
  if (outer && stack < outer->stack && wg_same_stack(stack, outer->stack)) return 0;
  struct lookup lookup = {.stack = stack, .function = function};
  const char *host = (const char *)PT_REGS_PARM1(ctx);
  if (host) bpf_probe_read_user_str(lookup.host, sizeof(lookup.host), host);
  lookup.began = bpf_ktime_get_ns();
  if (bpf_map_update_elem(&lookups, &tid, &lookup, BPF_ANY)) hostname_lost();
  return 0;
}

static __always_inline void name_error(struct hostname_row *row, __u64 function, __s64 result) {
  if (function != GETADDRINFO) {
    if (!result) __builtin_memcpy(row->error, not_found, sizeof(row->error));
    return;
  }
  __u64 number = -result;
  if (number >= ERRORS) number = ERRORS - 1;
  /* The verifier of 5.10 has to see the bound at the very index. */
  barrier_var(number);
  bpf_probe_read_kernel(row->error, sizeof(row->error), errors[number % ERRORS]);
}

static __always_inline int end(struct pt_regs *ctx, __u32 function) {
  __u64 now = bpf_ktime_get_ns();
  __u32 tid = bpf_get_current_pid_tgid();
  struct lookup *lookup = bpf_map_lookup_elem(&lookups, &tid);
  if (!lookup || lookup->stack != PT_REGS_SP(ctx) - WG_RETURN_POPS || lookup->function != function) return 0;
  __s64 result = function == GETADDRINFO ? (__s32)PT_REGS_RC(ctx) : (__s64)PT_REGS_RC(ctx);
  bool failed = function == GETADDRINFO ? result != 0 : result == 0;
  wg_nanoseconds latency = now - lookup->began;
  if (hostname_produced(latency >= param_min && (failed || !param_failed))) {
    struct hostname_row row = {.when = now, .latency = latency};
    __u64 id = bpf_get_current_pid_tgid();
    row.pid = id >> 32;
    row.tid = id;
    row.uid = bpf_get_current_uid_gid();
    row.cgroup = bpf_get_current_cgroup_id();
    bpf_get_current_comm(row.comm, sizeof(row.comm));
    __builtin_memcpy(row.function, functions[function], sizeof(row.function));
    name_error(&row, function, result);
    __builtin_memcpy(row.host, lookup->host, sizeof(row.host));
    hostname_submit(&row, sizeof(row));
  }
  bpf_map_delete_elem(&lookups, &tid);
  return 0;
}

HOOK(1, "uretprobe/TARGET=libc:getaddrinfo")
int getaddrinfo_returned(struct pt_regs *ctx) { return end(ctx, GETADDRINFO); }
HOOK(1, "uprobe/TARGET=libc:getaddrinfo")
int getaddrinfo_called(struct pt_regs *ctx) { return begin(ctx, GETADDRINFO); }

OPTIONAL("uretprobe/TARGET=libc:gethostbyname", "calls of gethostbyname")
int gethostbyname_returned(struct pt_regs *ctx) { return end(ctx, GETHOSTBYNAME); }
OPTIONAL("uprobe/TARGET=libc:gethostbyname", "calls of gethostbyname")
int gethostbyname_called(struct pt_regs *ctx) { return begin(ctx, GETHOSTBYNAME); }

OPTIONAL("uretprobe/TARGET=libc:gethostbyname2", "calls of gethostbyname2")
int gethostbyname2_returned(struct pt_regs *ctx) { return end(ctx, GETHOSTBYNAME2); }
OPTIONAL("uprobe/TARGET=libc:gethostbyname2", "calls of gethostbyname2")
int gethostbyname2_called(struct pt_regs *ctx) { return begin(ctx, GETHOSTBYNAME2); }

static __always_inline int forget(void) {
  __u32 tid = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&lookups, &tid);
  return 0;
}
ALWAYS("tp_btf/sched_process_exit")
int exited(void *ctx) { return forget(); }
ALWAYS("tp_btf/sched_process_exec")
int executed(void *ctx) { return forget(); }
