// What the running kernel can do for waggle. Nothing is concluded from a version
// number: distributions backport, configure and forbid. Each feature is tried with
// a program or map of a few instructions, at most once, when it is first asked for.
//
// Attempts leave nothing behind but two things: RLIMIT_MEMLOCK is raised where that
// is allowed, and tracefs is mounted where it was not.
// Threads: all functions may be called from any number at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/tracefs.h"

namespace waggle {

enum class FeatureId : uint8_t {
  kLoad,  // BPF programs at all
  kBtf,   // /sys/kernel/btf/vmlinux
  kTracefs,
  kKprobe,  // kprobe and kretprobe through the perf PMU
  kKprobeMulti,
  kFentry,  // fentry, fexit and fmod_ret: loaded and attached
  kLsm,     // LSM programs: loaded, attached and seen to run
  kTpBtf,   // typed raw tracepoints
  kRawTracepoint,
  kTracepoint,      // tracepoints through perf; the attempt takes some 70 ms
  kUprobe,          // uprobe and uretprobe through the perf PMU
  kUsdtSemaphores,  // reference counters of USDT probes
  kCpuClock,        // sampling by a timer
  kCpuCycles,       // sampling by the hardware's counter
  kIterators,
  kRingBuffer,
  kTaskStorage,
  kCgroupArray,  // maps of cgroups, and the test whether a task is in one
  kLoop,         // bpf_loop()
  kCookie,       // a number given with each attachment
  kStats,        // BPF_ENABLE_STATS: run time of programs
  kMemory,       // maps of several MiB
  kNoLockdown,
  kKernelConfig,  // the build configuration can be read
  kCgroupV2,
  kPureCgroupV2,  // no v1 hierarchies beside it
  kCapBpf,
  kCapPerfmon,
  kCapSysAdmin,
  kCapSysResource,
  kUnprivilegedBpf  // users without privileges may load programs
};
constexpr size_t kFeatures = static_cast<size_t>(FeatureId::kUnprivilegedBpf) + 1;

// One row of the table that `waggle doctor` prints.
struct Feature {
  std::string_view name;  // "kprobe.multi"
  bool available = false;
  std::string why_not;                 // in the operator's words; empty when available
  std::string_view what_it_gives;      // "one attachment to thousands of functions"
  bool for_want_of_privilege = false;  // root, or a capability, would help
};

// The kernel's build configuration, from /proc/config.gz or the file config-RELEASE
// in /boot or the modules' directory.
class KernelConfig {
 public:
  // errors: NotFound  there is no such file; Invalid
  static Result<KernelConfig> read();
  explicit KernelConfig(std::string text, std::string path = {}) : text_(std::move(text)), path_(std::move(path)) {}

  // Of "CONFIG_KPROBES": "y", "m", a number or a text without its quotes; empty when
  // the option is not set. Valid while this object is.
  std::string_view value(std::string_view option) const;
  const std::string &path() const { return path_; }

 private:
  std::string text_, path_;
};

class Kernel {
 public:
  Kernel();
  Kernel(const Kernel &) = delete;
  Kernel &operator=(const Kernel &) = delete;
  ~Kernel();

  // The one this process runs on, with what has been learnt of it so far.
  static const Kernel &running();

  // Tries it the first time: microseconds to some milliseconds; kTracepoint, kLsm and
  // kFentry wait for the kernel to let go of their programs.
  const Feature &feature(FeatureId id) const;
  bool can(FeatureId id) const { return feature(id).available; }
  // Every row, in the order of FeatureId; some 100 ms the first time.
  std::vector<Feature> features() const;

  // What Tracefs::open() says, asked once.
  const Result<Tracefs> &tracefs() const;
  // Whether a typed or raw tracepoint of that name exists, in vmlinux or a module.
  // REQUIRES: can(kBtf)
  bool has_raw_tracepoint(std::string_view name) const;
  // Those of vmlinux, sorted by bytes, without a category: "sched_switch". Some
  // 1,000 names are read once and kept.  REQUIRES: can(kBtf)
  const std::vector<std::string> &raw_tracepoints() const;
  // Whether BTF describes a function of that name, in vmlinux or a module. Keeps
  // nothing; 1 to 3 ms.  REQUIRES: can(kBtf)
  bool has_btf_function(std::string_view name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether a sensor's or script's section can be attached to on this kernel, in the
// forms of libbpf:
//   fentry/F  fexit/F  fmod_ret/F  lsm/HOOK  (also with .s)
//   kprobe/F  kretprobe/F  ksyscall/NAME  kprobe.multi/PATTERN  kretprobe.multi/PATTERN
//   tp_btf/NAME  raw_tp/NAME  tracepoint/CATEGORY/NAME  and their long and short names
//   iter/TYPE  perf_event[/EVENT]  uprobe…  uretprobe…  usdt…
// Of other sections (xdp, tc, cgroup…) nothing is known and nothing said. In F the
// wildcards * and ? leave open which functions there are.
// Microseconds to 1 ms, besides the first attempt at what the form needs.
//   errors  Unsupported  `why` names what is missing: "this kernel has no tracepoint
//                        block:block_io_start (added in 6.5)"
//           Denied       privileges are missing
Result<void> hook_available(std::string_view section, const Kernel &kernel = Kernel::running());

}  // namespace waggle
