#include "kernel/features.h"

#include <fmt/format.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/fd.h"
#include "base/text.h"
#include "kernel/cgroup.h"
#include "kernel/features_try.h"
#include "kernel/kernel_btf.h"
#include "kernel/procfs.h"

namespace waggle {
namespace {

constexpr std::string_view kRawTracepointPrefix = "btf_trace_";

std::optional<CgroupMounts> cgroup_mounts() {
  Result<std::vector<Mount>> mounts = read_mounts();
  if (!mounts) return std::nullopt;
  return find_cgroup_mounts(*mounts);
}

Attempt has_btf(const Kernel &) {
  Result<KernelBtf> types = KernelBtf::load();
  return types ? Attempt{} : Attempt{types.error().why, false};
}

Attempt has_tracefs(const Kernel &kernel) {
  if (kernel.tracefs()) return {};
  return {kernel.tracefs().error().why, kernel.tracefs().error().code == ErrorCode::kDenied && geteuid() != 0};
}

Attempt has_config(const Kernel &) {
  Result<KernelConfig> config = KernelConfig::read();
  return config ? Attempt{} : Attempt{config.error().why, false};
}

Attempt has_cgroup_v2(const Kernel &) {
  std::optional<CgroupMounts> mounts = cgroup_mounts();
  if (mounts && !mounts->v2.empty()) return {};
  return {"no cgroup v2 hierarchy is mounted", false};
}

Attempt has_pure_cgroup_v2(const Kernel &) {
  std::optional<CgroupMounts> mounts = cgroup_mounts();
  if (mounts && !mounts->v2.empty() && mounts->v1.empty()) return {};
  if (mounts && mounts->hybrid())
    return {fmt::format("{} v1 hierarchies are mounted beside v2 ({}), which may hold no containers", mounts->v1.size(),
                        mounts->v2),
            false};
  return {"no cgroup v2 hierarchy is mounted", false};
}

Attempt unprivileged_may_load(const Kernel &) {
  Result<std::string> text = read_file("/proc/sys/kernel/unprivileged_bpf_disabled", 4096);
  if (!text) return {text.error().why, false};
  if (trim(*text) == "0") return {};
  return {fmt::format("kernel.unprivileged_bpf_disabled is {}, as it should be", trim(*text)), false};
}

template <Attempt (*attempt)()>
Attempt alone(const Kernel &) {
  return attempt();
}
template <unsigned number>
Attempt capability(const Kernel &) {
  return has_capability(number) ? Attempt{} : Attempt{"this process does not have it", true};
}

struct Row {
  FeatureId id;
  std::string_view name, what_it_gives;
  Attempt (*attempt)(const Kernel &);
};

constexpr Row kRows[] = {
    {FeatureId::kLoad, "load", "BPF programs at all", alone<attempt::load>},
    {FeatureId::kBtf, "btf", "fields of the kernel's structures, typed tracepoints, fentry", has_btf},
    {FeatureId::kTracefs, "tracefs", "the list of tracepoints and their fields", has_tracefs},
    {FeatureId::kKprobe, "kprobe", "entry and return of kernel functions", alone<attempt::kprobe>},
    {FeatureId::kKprobeMulti, "kprobe.multi", "thousands of functions attached at once", alone<attempt::kprobe_multi>},
    {FeatureId::kFentry, "fentry", "the cheapest entry and return of kernel functions", alone<attempt::fentry>},
    {FeatureId::kLsm, "lsm", "prevention: a program may say no", alone<attempt::lsm>},
    {FeatureId::kTpBtf, "tp_btf", "the cheapest tracepoints, with types", alone<attempt::tp_btf>},
    {FeatureId::kRawTracepoint, "raw_tp", "cheap tracepoints", alone<attempt::raw_tracepoint>},
    {FeatureId::kTracepoint, "tracepoint", "system calls and other stable tracepoints", attempt::tracepoint},
    {FeatureId::kUprobe, "uprobe", "functions of programs and libraries, USDT", alone<attempt::uprobe>},
    {FeatureId::kUsdtSemaphores, "usdt.semaphore", "USDT probes that are off until somebody listens",
     alone<attempt::usdt_semaphores>},
    {FeatureId::kCpuClock, "perf.cpu-clock", "CPU profiles by a timer", alone<attempt::cpu_clock>},
    {FeatureId::kCpuCycles, "perf.cycles", "CPU profiles by the hardware's counters", alone<attempt::cpu_cycles>},
    {FeatureId::kIterators, "iter", "lists of tasks, files and sockets straight from the kernel",
     alone<attempt::iterators>},
    {FeatureId::kRingBuffer, "ringbuf", "records in order from all CPUs", alone<attempt::ring_buffer>},
    {FeatureId::kTaskStorage, "task_storage", "state of a thread without a hash map", alone<attempt::task_storage>},
    {FeatureId::kCgroupArray, "cgroup_array", "--cgroup and --container, decided in the kernel",
     alone<attempt::cgroup_array>},
    {FeatureId::kLoop, "bpf_loop", "long loops in scripts and unwinding", alone<attempt::loop>},
    {FeatureId::kCookie, "bpf_cookie", "one program for many probes", alone<attempt::cookie>},
    {FeatureId::kStats, "bpf_stats", "what waggle's own programs cost", alone<attempt::stats>},
    {FeatureId::kMemory, "memory", "maps of several MiB", alone<attempt::memory>},
    {FeatureId::kNoLockdown, "no_lockdown", "nothing withheld by the lockdown module", alone<attempt::no_lockdown>},
    {FeatureId::kKernelConfig, "kernel_config", "reasons for what is missing", has_config},
    {FeatureId::kCgroupV2, "cgroup2", "container and unit of each process", has_cgroup_v2},
    {FeatureId::kPureCgroupV2, "cgroup2.pure", "containers told apart in the kernel", has_pure_cgroup_v2},
    {FeatureId::kCapBpf, "CAP_BPF", "loading programs without being root", capability<CAP_BPF>},
    {FeatureId::kCapPerfmon, "CAP_PERFMON", "tracing and sampling without being root", capability<CAP_PERFMON>},
    {FeatureId::kCapSysAdmin, "CAP_SYS_ADMIN", "everything on kernels before 5.8; mounting tracefs",
     capability<CAP_SYS_ADMIN>},
    {FeatureId::kCapSysResource, "CAP_SYS_RESOURCE", "raising RLIMIT_MEMLOCK, needed before 5.11 only",
     capability<CAP_SYS_RESOURCE>},
    {FeatureId::kUnprivilegedBpf, "unprivileged_bpf", "users without privileges load socket filters",
     unprivileged_may_load},
};
static_assert(std::size(kRows) == kFeatures);

// The text of a gzip file, or of one that is not compressed.
Result<std::string> read_unzipped(const std::string &path) {
  constexpr size_t kBytesMost = 4u << 20;
  Fd file = TRY(open_file(path));
  gzFile zipped = gzdopen(file.get(), "rb");
  if (zipped == nullptr) return fail(ErrorCode::kFailed, "cannot read " + path);
  file.release();
  std::string text;
  int got = 0;
  do {
    size_t used = text.size();
    text.resize(used + (64u << 10));
    got = gzread(zipped, text.data() + used, 64u << 10);
    text.resize(used + static_cast<size_t>(std::max(got, 0)));
  } while (got > 0 && text.size() < kBytesMost);
  gzclose(zipped);
  if (got != 0) return fail(ErrorCode::kInvalid, "cannot read " + path, "it is damaged or too large");
  return text;
}

}  // namespace

Result<KernelConfig> KernelConfig::read() {
  utsname name = {};
  CHECK(uname(&name) == 0);
  const std::string kPaths[] = {"/proc/config.gz", fmt::format("/boot/config-{}", name.release),
                                fmt::format("/lib/modules/{}/config", name.release),
                                fmt::format("/usr/lib/modules/{}/config", name.release)};
  for (const std::string &path : kPaths) {
    Result<std::string> text = read_unzipped(path);
    if (text) return KernelConfig(std::move(*text), path);
    if (text.error().code != ErrorCode::kNotFound) return tl::unexpected(text.error());
  }
  return fail(ErrorCode::kNotFound, "cannot read the kernel's configuration",
              fmt::format("there is neither /proc/config.gz nor /boot/config-{}", name.release));
}

std::string_view KernelConfig::value(std::string_view option) const {
  // Lines are "CONFIG_X=y" or "# CONFIG_X is not set".
  for (size_t at = text_.find(option); at != std::string::npos; at = text_.find(option, at + 1)) {
    size_t after = at + option.size();
    if ((at != 0 && text_[at - 1] != '\n') || after >= text_.size() || text_[after] != '=') continue;
    std::string_view value = std::string_view(text_).substr(after + 1);
    value = value.substr(0, value.find('\n'));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

struct Kernel::State {
  struct Slot {
    std::once_flag tried;
    Feature feature;
  };
  std::array<Slot, kFeatures> slots;

  std::once_flag tracefs_asked;
  std::optional<Result<Tracefs>> tracefs;

  std::once_flag raw_tracepoints_read;
  std::vector<std::string> raw_tracepoints;  // of vmlinux, sorted
};

Kernel::Kernel() : state_(std::make_unique<State>()) {}
Kernel::~Kernel() = default;

const Kernel &Kernel::running() {
  static const Kernel kernel;
  return kernel;
}

const Feature &Kernel::feature(FeatureId id) const {
  const Row &row = kRows[static_cast<size_t>(id)];
  CHECK(row.id == id);
  State::Slot &slot = state_->slots[static_cast<size_t>(id)];
  std::call_once(slot.tried, [&] {
    Attempt attempt = row.attempt(*this);
    slot.feature = {row.name, attempt.worked(), std::move(attempt.why), row.what_it_gives,
                    attempt.for_want_of_privilege};
  });
  return slot.feature;
}

std::vector<Feature> Kernel::features() const {
  std::vector<Feature> all;
  all.reserve(kFeatures);
  for (const Row &row : kRows) all.push_back(feature(row.id));
  return all;
}

const Result<Tracefs> &Kernel::tracefs() const {
  std::call_once(state_->tracefs_asked, [&] { state_->tracefs = Tracefs::open(); });
  return *state_->tracefs;
}

const std::vector<std::string> &Kernel::raw_tracepoints() const {
  std::call_once(state_->raw_tracepoints_read, [&] {
    Result<KernelBtf> types = KernelBtf::load();
    CHECK(types.has_value());
    // Only tracepoints have such typedefs, and only these strings begin so.
    state_->raw_tracepoints = types->names_after(kRawTracepointPrefix);
    std::sort(state_->raw_tracepoints.begin(), state_->raw_tracepoints.end());
  });
  return state_->raw_tracepoints;
}

bool Kernel::has_raw_tracepoint(std::string_view name) const {
  const std::vector<std::string> &known = raw_tracepoints();
  if (std::binary_search(known.begin(), known.end(), name)) return true;
  Result<KernelBtf> vmlinux = KernelBtf::load();
  if (!vmlinux) return false;
  const std::string type_name = std::string(kRawTracepointPrefix) + std::string(name);
  for (const std::string &module : modules_with_btf()) {
    Result<KernelBtf> types = KernelBtf::load_module(module, *vmlinux);
    if (types && types->find(BTF_KIND_TYPEDEF, type_name) != 0) return true;
  }
  return false;
}

bool Kernel::has_btf_function(std::string_view name) const {
  Result<KernelBtf> vmlinux = KernelBtf::load();
  if (!vmlinux) return false;
  if (vmlinux->find(BTF_KIND_FUNC, name) != 0) return true;
  for (const std::string &module : modules_with_btf()) {
    Result<KernelBtf> types = KernelBtf::load_module(module, *vmlinux);
    if (types && types->find(BTF_KIND_FUNC, name) != 0) return true;
  }
  return false;
}

}  // namespace waggle
