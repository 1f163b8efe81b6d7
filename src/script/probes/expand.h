// From an attach point to the probes that it means on this host, and how each will
// be attached on this kernel.
//
// Where the kernel lacks the hook that is asked for and another gives the same
// information, the other is taken and `instead` says why: kprobe:f ↔ kprobe.multi ↔
// fentry:f, rawtracepoint ↔ tp_btf. Where nothing can, the Error names the probe,
// what is missing, and the tracepoints whose names come nearest.
// Threads: any number at once.
// source: bpftrace(8), "Probes" and "Wildcards"
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/features.h"
#include "script/probes/attach_point.h"
#include "symbol/user_probes.h"

namespace waggle::script {

enum class Mechanism : uint8_t {
  kItself,         // waggle runs the program: begin, end, self, bench, test
  kTracepoint,     // a perf event of the tracepoint
  kRawTracepoint,  // context: u64 args[], untyped
  kTpBtf,          // the same, typed by BTF
  kKprobe,         // a perf event of the kprobe PMU; context: struct pt_regs
  kKprobeMulti,    // one link for all functions; context: struct pt_regs
  kFentry,         // fentry or fexit; context: u64 args[] and the value returned
  kUprobe,         // a perf event of the uprobe PMU; context: struct pt_regs
  kUprobeMulti,    // one link for all places in a file
  kUsdt,           // a uprobe with a semaphore
  kPerfEvent,      // profile, interval, software, hardware
  kWatchpoint,     // a perf event of the processor's debug registers
  kIterator
};
std::string_view mechanism_name(Mechanism mechanism);  // "kprobe.multi"
// Whether the context of its programs begins with struct pt_regs.
bool has_registers(Mechanism mechanism);

struct ConcreteProbe {
  // Without wildcards. Of a user probe the target is the file's path as its users see
  // it; of fentry and rawtracepoint the module is filled in.
  AttachPoint point;
  std::string name;  // what the builtin `probe` is, and -l prints
  Mechanism mechanism = Mechanism::kItself;
  std::string instead;  // for -v: why it is not the hook that is asked for; empty: it is
  UserProbe place;      // of user probes
};

struct ExpandOptions {
  int32_t pid = 0;            // of -p or -c; 0: none
  size_t probes_most = 1024;  // config max_probes
  // A file of names to take instead of the kernel's available_filter_functions; empty: none.
  std::string traceable_functions;
  // For -l: names alone. Nothing is chosen and nothing is too much.
  bool listing = false;
};

// At least one, sorted by name. A name costs microseconds; a wildcard over kernel
// functions reads /proc/kallsyms or available_filter_functions, 50 to 100 ms; one over
// tracepoints 1 to 10 ms; over a file's functions as symbol/user_probes.h says.
//   errors  NotFound     no such probe; `fix` has near names
//           Unsupported  this kernel cannot attach it by any mechanism
//           Denied       privileges are missing
//           Exhausted    more than probes_most
Result<std::vector<ConcreteProbe>> expand(const AttachPoint &point, const ExpandOptions &options = {},
                                          const Kernel &kernel = Kernel::running());

// How an attach point will be attached; `instead` as in ConcreteProbe. Does not ask whether
// the probe exists.  errors: Unsupported, Denied
struct Choice {
  Mechanism mechanism = Mechanism::kItself;
  std::string instead;
};
Result<Choice> choose_mechanism(const AttachPoint &point, const Kernel &kernel = Kernel::running());

// What of the features the choice depends on: for tests, and for kernels that are not
// the running one.
struct Hooks {
  bool kprobe = false, kprobe_multi = false, fentry = false, tp_btf = false, raw_tracepoint = false;
  std::string why_no_kprobe, why_no_fentry, why_no_raw_tracepoint;
};
Result<Choice> choose_mechanism(const AttachPoint &point, const Hooks &hooks);

// Of the tracepoints ("sched:sched_switch") the `most` whose names have most in common
// with a function's: vfs_read → syscalls:sys_enter_read.
std::vector<std::string> similar_tracepoints(std::string_view function, const std::vector<std::string> &tracepoints,
                                             size_t most);

}  // namespace waggle::script
