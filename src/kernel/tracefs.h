// tracefs: where the kernel lists its tracepoints and describes their records.
//
// Threads: a Tracefs may be asked by any number at once.
// source: Documentation/trace/events.rst; Documentation/trace/ftrace.rst
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kernel/procfs.h"

namespace waggle {

// A tracepoint's two names, "sched" and "sched_switch" of "sched:sched_switch".
// Views into the text.  errors: Invalid
struct TracepointName {
  std::string_view category, name;
};
Result<TracepointName> parse_tracepoint_name(std::string_view text);

// The mount point of tracefs among `mounts`: /sys/kernel/tracing where there are
// several. Where only debugfs is mounted, its directory "tracing", which the
// kernel mounts when it is first looked into. Empty when there is neither.
std::string find_tracefs(std::span<const Mount> mounts);

class Tracefs {
 public:
  // Finds tracefs; where it is not mounted, mounts it at /sys/kernel/tracing, which
  // stays so, as it does on hosts that mount it at boot.
  //   errors  Denied       it may not be mounted or not be looked into; `fix` has the command
  //           Unsupported  this kernel has no tracefs
  static Result<Tracefs> open();

  // A directory that looks like tracefs, for tests.
  static Tracefs at(std::string path) { return Tracefs(std::move(path)); }

  const std::string &path() const { return path_; }

  // All tracepoints that programs can be attached to, "category:name", sorted by
  // bytes. Some 2,000; takes 1 ms, and 10 ms where the kernel is locked down and
  // the directories are walked instead.
  // errors: Denied, Failed
  Result<std::vector<std::string>> tracepoints() const;

  // Some 10 us each.
  bool has(std::string_view category, std::string_view name) const;
  // What perf_event_open(2) wants for PERF_TYPE_TRACEPOINT. errors: NotFound, Denied
  Result<uint32_t> id(std::string_view category, std::string_view name) const;
  // The text that format/tracefs_format.h parses. errors: NotFound, Denied
  Result<std::string> format(std::string_view category, std::string_view name) const;

 private:
  explicit Tracefs(std::string path) : path_(std::move(path)) {}
  Result<std::string> read_event_file(std::string_view category, std::string_view name, const char *file) const;
  Result<std::vector<std::string>> walk_events() const;

  std::string path_;
};

}  // namespace waggle
