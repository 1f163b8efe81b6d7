#include "kernel/features_try.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <span>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/features.h"
#include "kernel/kernel_btf.h"
#include "kernel/procfs.h"

namespace waggle {

bool has_capability(unsigned number) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capget, &header, data) == 0 && (data[number / 32].effective >> number % 32 & 1) != 0;
}

namespace attempt {
namespace {

// Made by the kernel's authors to be traced in self-tests; nothing else calls it.
constexpr char kQuietFunction[] = "bpf_fentry_test1";
// Hit only when somebody writes to /proc/PID/oom_score_adj.
constexpr char kQuietCategory[] = "oom", kQuietTracepoint[] = "oom_score_adj_update";
// Kernels before 5.11 charge maps to RLIMIT_MEMLOCK, 64 KiB or 8 MiB by default.
constexpr uint32_t kMapBytes = 4u << 20;
// The kernel's own "not supported", which errno.h does not have.
constexpr int kErrnoNotSupported = 524;

constexpr bpf_insn instruction(int code, int to, int from = 0, int offset = 0, int32_t immediate = 0) {
  bpf_insn made = {};
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = static_cast<uint8_t>(to & 15);
  made.src_reg = static_cast<uint8_t>(from & 15);
  made.off = static_cast<int16_t>(offset);
  made.imm = immediate;
  return made;
}
constexpr bpf_insn kExit = instruction(BPF_JMP | BPF_EXIT, 0);
constexpr bpf_insn set(int to, int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn call(int32_t helper) {
  return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

constexpr bpf_insn kReturnZero[] = {set(BPF_REG_0, 0), kExit};

std::string_view words_for(int error_number) {
  if (error_number == kErrnoNotSupported) return "Operation not supported";
  return strerror(error_number);
}

// EPERM is what a missing capability looks like, and also what a policy of the
// kernel looks like to root.
Attempt refused(std::string_view what, int error_number) {
  bool may_trace = has_capability(CAP_SYS_ADMIN) || (has_capability(CAP_BPF) && has_capability(CAP_PERFMON));
  if ((error_number == EPERM || error_number == EACCES) && !may_trace)
    return {fmt::format("{} without root, or CAP_BPF and CAP_PERFMON", what), true};
  return {fmt::format("{}: {}", what, words_for(error_number)), false};
}

// The same of what only CAP_SYS_ADMIN allows.
Attempt refused_to_admin(std::string_view what, int error_number) {
  if ((error_number == EPERM || error_number == EACCES) && !has_capability(CAP_SYS_ADMIN))
    return {fmt::format("{} without root, or CAP_SYS_ADMIN", what), true};
  return {fmt::format("{}: {}", what, words_for(error_number)), false};
}

Attempt missing(std::string why) {
  return {std::move(why), false};
}

// An Fd, or the errno of the refusal.
struct Opened {
  Fd fd;
  int error_number = 0;
};

Opened opened(long fd) {
  if (fd >= 0) return {Fd(static_cast<int>(fd)), 0};
  // libbpf returns -errno, system calls set errno and return -1: with libbpf 1.0
  // and later errno is right for both.
  return {Fd(), errno};
}

Opened load_program(bpf_prog_type type, std::span<const bpf_insn> instructions, bpf_attach_type attach_type = {},
                    uint32_t attach_btf_id = 0) {
  bpf_prog_load_opts options = {};
  options.sz = sizeof(options);
  options.expected_attach_type = attach_type;
  options.attach_btf_id = attach_btf_id;
  return opened(bpf_prog_load(type, "waggle_try", "GPL", instructions.data(), instructions.size(), &options));
}

Opened open_event(perf_event_attr &attributes, int pid, int cpu) {
  attributes.size = sizeof(attributes);
  return opened(syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

// Loads a program and lets it run at an event. 0, or the errno of the refusal.
int attach_to_event(const Fd &event, bpf_prog_type type) {
  Opened program = load_program(type, kReturnZero);
  if (!program.fd.valid()) return program.error_number;
  if (ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.fd.get()) != 0) return errno;
  return ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0 ? errno : 0;
}

// A program that is attached by the type it was loaded for.
Attempt attach_traced(std::string_view what, const Opened &program) {
  if (!program.fd.valid()) return refused(fmt::format("the kernel does not load {}", what), program.error_number);
  Opened link = opened(bpf_raw_tracepoint_open(nullptr, program.fd.get()));
  if (!link.fd.valid()) return refused(fmt::format("the kernel does not attach {}", what), link.error_number);
  return {};
}

// The id of a type of vmlinux.
struct TypeId {
  uint32_t id = 0;
  Attempt failure;
};
TypeId type_id(uint32_t kind, const std::string &name) {
  Result<KernelBtf> types = KernelBtf::load();
  if (!types) return {0, missing(types.error().why)};
  uint32_t id = types->find(kind, name);
  if (id == 0) return {0, missing(fmt::format("the kernel's BTF has no {}", name))};
  return {id, {}};
}

// The number of a PMU in /sys/bus/event_source/devices, 0 when there is none.
uint32_t pmu_type(const char *name) {
  Result<std::string> text = read_file(fmt::format("/sys/bus/event_source/devices/{}/type", name), 4096);
  uint32_t type = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), type);
  return type;
}

// libbpf reads the verifier's words: "unknown func" when the helper is not there.
Attempt helper(bpf_func_id id, std::string_view name, std::string_view since) {
  if (Attempt any = load(); !any.worked()) return any;
  int known = libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, id, nullptr);
  if (known > 0) return {};
  return missing(fmt::format("this kernel has no {}() for tracing programs (added in {})", name, since));
}

Attempt map(bpf_map_type type, std::string_view name, std::string_view since) {
  if (Attempt any = load(); !any.worked()) return any;
  int known = libbpf_probe_bpf_map_type(type, nullptr);
  if (known > 0) return {};
  return missing(fmt::format("this kernel has no {} (added in {})", name, since));
}

// Where the first instruction of a function of ours is in our executable.
struct OwnCode {
  std::string path;
  uint64_t offset = 0;
};

[[gnu::noinline, gnu::used]] void never_called() {
  asm volatile("");
}

Result<OwnCode> own_code() {
  auto address = reinterpret_cast<uint64_t>(&never_called);
  ProcessFiles self = TRY(ProcessFiles::open(getpid()));
  for (const MapRange &range : TRY(self.maps()))
    if (range.executable && address >= range.start && address < range.end)
      return OwnCode{range.path, address - range.start + range.offset};
  return fail(ErrorCode::kNotFound, "no file holds waggle's own code");
}

// securityfs where it is mounted, or else a mount that only this process has and
// that ends with the descriptor.
Opened open_securityfs() {
  Opened usual = opened(open("/sys/kernel/security", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (usual.fd.valid() && faccessat(usual.fd.get(), "lsm", R_OK, 0) == 0) return usual;
  Opened context = opened(fsopen("securityfs", FSOPEN_CLOEXEC));
  if (!context.fd.valid()) return context;
  if (fsconfig(context.fd.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {Fd(), errno};
  return opened(fsmount(context.fd.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY));
}

Opened make_map(bpf_map_type type, uint32_t key_bytes, uint32_t value_bytes, uint32_t entries) {
  return opened(bpf_map_create(type, "waggle_try", key_bytes, value_bytes, entries, nullptr));
}

}  // namespace

Attempt load() {
  // Uprobes need this type too, so it is there without kprobes.
  Opened program = load_program(BPF_PROG_TYPE_KPROBE, kReturnZero);
  if (program.fd.valid()) return {};
  Attempt attempt = refused("the kernel does not load BPF programs", program.error_number);
  if (program.error_number == ENOSYS) attempt.why = "BPF is not compiled into this kernel (CONFIG_BPF_SYSCALL)";
  if (program.error_number == EINVAL)
    attempt.why = "tracing programs are not compiled into this kernel (CONFIG_BPF_EVENTS)";
  return attempt;
}

Attempt kprobe() {
  perf_event_attr attributes = {};
  attributes.type = pmu_type("kprobe");
  if (attributes.type == 0) return missing("kprobes are not compiled into this kernel (CONFIG_KPROBES)");
  attributes.config1 = reinterpret_cast<uint64_t>(kQuietFunction);
  Opened event = open_event(attributes, -1, 0);
  if (!event.fd.valid()) return refused("the kernel does not make kprobes", event.error_number);
  if (int error_number = attach_to_event(event.fd, BPF_PROG_TYPE_KPROBE))
    return refused("the kernel does not run programs at kprobes", error_number);
  return {};
}

Attempt kprobe_multi() {
  Opened program = load_program(BPF_PROG_TYPE_KPROBE, kReturnZero, BPF_TRACE_KPROBE_MULTI);
  if (!program.fd.valid()) return refused("the kernel does not load programs for many functions", program.error_number);
  const char *functions[] = {kQuietFunction};
  bpf_link_create_opts options = {};
  options.sz = sizeof(options);
  options.kprobe_multi.cnt = 1;
  options.kprobe_multi.syms = functions;
  Opened link = opened(bpf_link_create(program.fd.get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
  if (link.fd.valid()) return {};
  // Before 5.18 the attach type is not known, and the number names nothing: EINVAL.
  if (link.error_number == EOPNOTSUPP || link.error_number == EINVAL)
    return missing(
        "attaching to many functions at once is not compiled into this kernel (CONFIG_FPROBE; added in 5.18)");
  return refused("the kernel does not attach to many functions at once", link.error_number);
}

Attempt fentry() {
  TypeId function = type_id(BTF_KIND_FUNC, kQuietFunction);
  if (function.id == 0) return function.failure;
  return attach_traced("fentry programs",
                       load_program(BPF_PROG_TYPE_TRACING, kReturnZero, BPF_TRACE_FENTRY, function.id));
}

Attempt lsm() {
  TypeId hook = type_id(BTF_KIND_FUNC, "bpf_lsm_task_getpgid");
  if (hook.id == 0) return missing("LSM programs are not compiled into this kernel (CONFIG_BPF_LSM)");
  // The program notes that it ran: where "bpf" is missing from the boot parameter
  // lsm=, such programs load and attach and are never called.
  Opened ran_map = make_map(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t), 1);
  if (!ran_map.fd.valid()) return refused("the kernel does not make maps", ran_map.error_number);
  const bpf_insn note_run[] = {
      instruction(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
      instruction(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, ran_map.fd.get()),
      instruction(0, 0),  // the upper half of the immediate
      call(BPF_FUNC_map_lookup_elem),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 1, 0),
      instruction(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_0, 0, 0, 1),
      set(BPF_REG_0, 0),
      kExit,
  };
  Opened program = load_program(BPF_PROG_TYPE_LSM, note_run, BPF_LSM_MAC, hook.id);
  if (!program.fd.valid()) return refused("the kernel does not load LSM programs", program.error_number);
  Opened link = opened(bpf_raw_tracepoint_open(nullptr, program.fd.get()));
  if (!link.fd.valid()) return refused("the kernel does not attach LSM programs", link.error_number);
  (void)getpgid(getpid());
  uint32_t zero = 0;
  uint64_t ran = 0;
  if (bpf_map_lookup_elem(ran_map.fd.get(), &zero, &ran) == 0 && ran != 0) return {};
  return missing("LSM programs are never called: 'bpf' is missing from the boot parameter lsm=");
}

Attempt tp_btf() {
  TypeId tracepoint = type_id(BTF_KIND_TYPEDEF, std::string("btf_trace_") + kQuietTracepoint);
  if (tracepoint.id == 0) return tracepoint.failure;
  return attach_traced("typed tracepoint programs",
                       load_program(BPF_PROG_TYPE_TRACING, kReturnZero, BPF_TRACE_RAW_TP, tracepoint.id));
}

Attempt raw_tracepoint() {
  Opened program = load_program(BPF_PROG_TYPE_RAW_TRACEPOINT, kReturnZero);
  if (!program.fd.valid()) return refused("the kernel does not load raw tracepoint programs", program.error_number);
  Opened link = opened(bpf_raw_tracepoint_open(kQuietTracepoint, program.fd.get()));
  if (!link.fd.valid()) return refused("the kernel does not attach raw tracepoint programs", link.error_number);
  return {};
}

Attempt tracepoint(const Kernel &kernel) {
  if (!kernel.tracefs()) return {kernel.tracefs().error().why, kernel.tracefs().error().code == ErrorCode::kDenied};
  Result<uint32_t> id = kernel.tracefs()->id(kQuietCategory, kQuietTracepoint);
  if (!id) return missing(id.error().what);
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = *id;
  Opened event = open_event(attributes, -1, 0);
  if (!event.fd.valid()) return refused("the kernel does not open tracepoints", event.error_number);
  if (int error_number = attach_to_event(event.fd, BPF_PROG_TYPE_TRACEPOINT))
    return refused("the kernel does not run programs at tracepoints", error_number);
  return {};
}

Attempt uprobe() {
  perf_event_attr attributes = {};
  attributes.type = pmu_type("uprobe");
  if (attributes.type == 0) return missing("uprobes are not compiled into this kernel (CONFIG_UPROBE_EVENTS)");
  Result<OwnCode> code = own_code();
  if (!code) return missing(code.error().what);
  attributes.config1 = reinterpret_cast<uint64_t>(code->path.c_str());
  attributes.config2 = code->offset;
  Opened event = open_event(attributes, getpid(), -1);
  if (!event.fd.valid()) return refused("the kernel does not make uprobes", event.error_number);
  if (int error_number = attach_to_event(event.fd, BPF_PROG_TYPE_KPROBE))
    return refused("the kernel does not run programs at uprobes", error_number);
  return {};
}

Attempt usdt_semaphores() {
  if (access("/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset", F_OK) == 0) return {};
  return missing("this kernel's uprobes do not count references (added in 4.20)");
}

Attempt cpu_clock() {
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_freq = 1;
  attributes.freq = 1;
  attributes.disabled = 1;
  Opened event = open_event(attributes, -1, 0);
  if (!event.fd.valid()) return refused("the kernel does not sample its CPUs", event.error_number);
  if (int error_number = attach_to_event(event.fd, BPF_PROG_TYPE_PERF_EVENT))
    return refused("the kernel does not run programs at samples", error_number);
  return {};
}

Attempt cpu_cycles() {
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = PERF_COUNT_HW_CPU_CYCLES;
  attributes.disabled = 1;
  Opened event = open_event(attributes, -1, 0);
  if (event.fd.valid()) return {};
  if (event.error_number == ENOENT || event.error_number == EOPNOTSUPP)
    return missing("this machine offers no hardware counters, as most virtual machines do not");
  return refused("the kernel does not open hardware counters", event.error_number);
}

Attempt iterators() {
  TypeId tasks = type_id(BTF_KIND_FUNC, "bpf_iter_task");
  if (tasks.id == 0) return missing("this kernel has no BPF iterators (added in 5.8)");
  Opened program = load_program(BPF_PROG_TYPE_TRACING, kReturnZero, BPF_TRACE_ITER, tasks.id);
  if (!program.fd.valid()) return refused("the kernel does not load iterators", program.error_number);
  Opened link = opened(bpf_link_create(program.fd.get(), 0, BPF_TRACE_ITER, nullptr));
  if (!link.fd.valid()) return refused("the kernel does not attach iterators", link.error_number);
  Opened pass = opened(bpf_iter_create(link.fd.get()));
  if (!pass.fd.valid()) return refused("the kernel does not run iterators", pass.error_number);
  return {};
}

Attempt ring_buffer() {
  return map(BPF_MAP_TYPE_RINGBUF, "BPF ring buffer", "5.8");
}

Attempt task_storage() {
  if (Attempt no_map = map(BPF_MAP_TYPE_TASK_STORAGE, "task storage", "5.11"); !no_map.worked()) return no_map;
  return helper(BPF_FUNC_task_storage_get, "bpf_task_storage_get", "5.13");
}

Attempt cgroup_array() {
  if (Attempt no_map = map(BPF_MAP_TYPE_CGROUP_ARRAY, "map of cgroups", "4.8"); !no_map.worked()) return no_map;
  return helper(BPF_FUNC_current_task_under_cgroup, "bpf_current_task_under_cgroup", "4.9");
}

Attempt loop() {
  return helper(BPF_FUNC_loop, "bpf_loop", "5.17");
}

Attempt cookie() {
  return helper(BPF_FUNC_get_attach_cookie, "bpf_get_attach_cookie", "5.15");
}

Attempt stats() {
  Opened enabled = opened(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (enabled.fd.valid()) return {};
  if (enabled.error_number == EINVAL) return missing("this kernel cannot measure programs on demand (added in 5.8)");
  return refused_to_admin("the kernel does not measure programs", enabled.error_number);
}

Attempt memory() {
  // Where the limit may not be raised it need not be, if the kernel charges maps
  // to the cgroup (5.11 and later): only the map tells.
  const rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  bool raised = setrlimit(RLIMIT_MEMLOCK, &all) == 0;
  Opened made = make_map(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), kMapBytes, 1);
  if (made.fd.valid()) return {};
  Attempt attempt = refused("the kernel does not make a map of 4 MiB", made.error_number);
  if (made.error_number == EPERM && !raised) {
    attempt.why = "a map of 4 MiB is above RLIMIT_MEMLOCK, and raising that was refused";
    attempt.for_want_of_privilege = true;
  }
  return attempt;
}

Attempt no_lockdown() {
  Opened securityfs = open_securityfs();
  if (!securityfs.fd.valid())
    return refused_to_admin("securityfs, which tells, cannot be mounted", securityfs.error_number);
  Opened file = opened(openat(securityfs.fd.get(), "lockdown", O_RDONLY | O_CLOEXEC));
  if (!file.fd.valid()) {
    // A kernel without the lockdown module has no such file.
    if (file.error_number == ENOENT) return {};
    return refused_to_admin("securityfs, which tells, cannot be read", file.error_number);
  }
  char text[128] = {};  // "none [integrity] confidentiality"
  if (read(file.fd.get(), text, sizeof(text) - 1) < 0)
    return refused_to_admin("securityfs, which tells, cannot be read", errno);
  std::string_view mode = text;
  size_t open_at = mode.find('['), close_at = mode.find(']');
  if (open_at == std::string_view::npos || close_at == std::string_view::npos || close_at < open_at)
    return missing(fmt::format("the kernel says '{}'", trim(mode)));
  mode = mode.substr(open_at + 1, close_at - open_at - 1);
  if (mode == "none") return {};
  if (mode == "integrity")
    return missing("lockdown is 'integrity': lists of traceable functions and writing to user memory are refused");
  return missing(fmt::format("lockdown is '{}': reading kernel memory is refused", mode));
}

}  // namespace attempt
}  // namespace waggle
