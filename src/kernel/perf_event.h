// Perf events that a BPF program is attached to: sampling clocks, and what the
// kernel's software counts.
// source: perf_event_open(2)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace waggle {

// One cpu-clock event (a timer, no hardware counter) for each online CPU,
// firing `hz` times a second, not yet enabled.
//   errors  Denied       perf_event_paranoid or missing CAP_PERFMON
//           Unsupported  hz is above kernel.perf_event_max_sample_rate
Result<std::vector<Fd>> open_cpu_clocks(uint64_t hz);

// The words that open_software_events() knows: "major-faults", "minor-faults".
bool is_software_event(std::string_view name);

// One event for each online CPU that fires each time the kernel counts `name`, not
// yet enabled.
//   REQUIRES is_software_event(name)
//   errors  Denied  perf_event_paranoid or missing CAP_PERFMON
Result<std::vector<Fd>> open_software_events(std::string_view name);

}  // namespace waggle
