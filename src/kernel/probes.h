// What can be traced on this kernel, by shell patterns: for `waggle list probes`
// and for wildcards in what a sensor or script listens to.
// Threads: all functions may be called from any number at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

struct KernelFunction {
  std::string name;         // "vfs_read"
  std::string module;       // "nf_tables"; empty for the kernel itself
  uint32_t parameters = 0;  // by BTF
};

// Functions that match a shell pattern, sorted by name: those in /proc/kallsyms
// that BTF describes and whose code can have a probe. Where the kernel shows
// available_filter_functions (not when it is locked down), exactly those in it.
// Whether this kernel has kprobes or fentry at all is FeatureId's to say.
// Takes 0.1 s for any pattern.
//   errors  NotFound     no function matches
//           Unsupported  this kernel has no BTF
//           Denied       /proc/kallsyms cannot be read
Result<std::vector<KernelFunction>> find_kernel_functions(std::string_view pattern);

// Their names alone.  errors: the same
Result<std::vector<std::string>> kernel_functions_matching(std::string_view pattern);

// "category:name" of the tracepoints that match "category:name" or only "name",
// sorted.  errors: NotFound, and those of Tracefs
Result<std::vector<std::string>> tracepoints_matching(std::string_view pattern);

// Everything this kernel can trace that matches, as scripts write it and grouped by
// kind: "fentry:vfs_read", "kprobe:vfs_read", "rawtracepoint:sched_switch",
// "tracepoint:sched:sched_switch". A pattern matches the whole, or what follows the
// kind; one without a colon also the last name alone.
//   errors  NotFound     nothing matches
//           Unsupported  the pattern names a kind that this kernel does not have
Result<std::vector<std::string>> probes_matching(std::string_view pattern);

// Whether a probe ("tracepoint:tcp:tcp_probe") matches by the rule above.
bool probe_matches(std::string_view pattern, std::string_view probe);

// The names in the text of available_filter_functions, sorted; views into it.
std::vector<std::string_view> parse_filter_functions(std::string_view text);

}  // namespace waggle
