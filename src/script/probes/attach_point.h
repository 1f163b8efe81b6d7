// An attach point, what a script writes before its braces: "kprobe:vfs_read+16",
// "tracepoint:syscalls:sys_enter_*", "uprobe:libc:malloc", "interval:5s".
//
// Parsing looks at the text alone: whether there is such a probe, and which ones a
// wildcard means, is expand.h's to say. Positional parameters have been replaced.
// Threads: pure functions.
// source: bpftrace(8), "Probes"
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace waggle::script {

enum class Provider : uint8_t {
  kBegin,
  kEnd,
  kSelf,   // self:signal:SIGUSR1
  kBench,  // bench:NAME, run by --mode bench
  kTest,
  kKprobe,
  kKretprobe,
  kFentry,
  kFexit,
  kTracepoint,
  kRawTracepoint,
  kUprobe,
  kUretprobe,
  kUsdt,
  kProfile,
  kInterval,
  kSoftware,
  kHardware,
  kWatchpoint,
  kAsyncWatchpoint,  // of old scripts
  kIterator
};
constexpr size_t kProviders = static_cast<size_t>(Provider::kIterator) + 1;

std::string_view provider_name(Provider provider);  // "kprobe", as errors and the builtin `probetype` say it
bool is_return_probe(Provider provider);            // kretprobe, fexit, uretprobe
bool is_user_probe(Provider provider);              // uprobe, uretprobe, usdt

enum class RateUnit : uint8_t { kNone, kHz, kMicroseconds, kMilliseconds, kSeconds };

struct AttachPoint {
  Provider provider = Provider::kBegin;
  // Of a kernel function or raw tracepoint the module, "vmlinux" for the kernel itself
  // and "bpf" for BPF programs; of a tracepoint its category; of a user probe the file
  // or library, empty: the one of -p; of self "signal". Empty: not given.
  std::string target;
  // The function, tracepoint, USDT probe, iterator, event, signal, benchmark or test.
  std::string function;
  std::string usdt_provider;  // empty: any
  std::string language;       // of a uprobe: "cpp", or empty
  std::string pin;            // iter: the path to pin it at; empty: it is run once
  uint32_t program_id = 0;    // fentry:bpf:ID:NAME; 0: any
  uint64_t offset = 0;        // into the function
  uint64_t address = 0;       // of a uprobe in its file, of a watchpoint in memory
  uint64_t count = 0;         // profile, interval: units; software, hardware: events a sample; 0: not given
  RateUnit unit = RateUnit::kNone;
  uint32_t length = 0;  // of a watchpoint: bytes
  std::string mode;     // of a watchpoint: letters of "rwx"

  bool operator==(const AttachPoint &) const = default;

  // As the builtin `probe` has it: aliases spelled out, numbers decimal.
  std::string text() const;
  bool has_wildcard() const;
  uint64_t period_ns() const;  // of profile and interval; REQUIRES: a unit and a count
};

// What is wrong, in bpftrace's words, and where.
struct AttachPointError {
  std::string message;        // "kprobe probe type requires 1 or 2 arguments, found 0"
  std::string hint;           // "did you mean 'kprobe'?"; may be empty
  size_t begin = 0, end = 0;  // bytes of the text that are to be marked, end not included
};

struct AttachPointOptions {
  // There is a -p or -c: user probes may leave out their file.
  bool has_process = false;
  // For -l: what a program must say may be missing ("profile", "software:*").
  bool listing = false;
};

// One attach point; its provider must be a word, not a pattern.
tl::expected<AttachPoint, AttachPointError> parse_attach_point(std::string_view text,
                                                               const AttachPointOptions &options = {});

// The same where the provider may be a pattern: "k*:vfs_read". A pattern alone,
// "*open*", is looked for among the names of all providers. Those that cannot be
// written with as many parts are left out; at least one is returned.
tl::expected<std::vector<AttachPoint>, AttachPointError> parse_attach_points(std::string_view text,
                                                                             const AttachPointOptions &options = {});

// An event of perf_event_open(2) that software: or hardware: counts.
struct CountedEvent {
  std::string_view name, alias;  // "page-faults", "faults"; alias may be empty
  uint64_t config = 0;           // PERF_COUNT_SW_* or PERF_COUNT_HW_*
  uint64_t default_count = 0;    // events a sample where the script does not say
};
// Of kSoftware or kHardware, in the order of -l.
const std::vector<CountedEvent> &counted_events(Provider provider);
// By name or alias; null: there is none.
const CountedEvent *find_counted_event(Provider provider, std::string_view name);

// bpftrace's patterns: * and ?, and [abc], [a-z], [!a]. Brackets that are empty or
// not closed stand for themselves. The whole text must match.
bool wildcard_match(std::string_view pattern, std::string_view text);
bool has_wildcard(std::string_view text);
// A pattern of base/text.h that matches at least what this one does.
std::string wider_glob(std::string_view pattern);

}  // namespace waggle::script
