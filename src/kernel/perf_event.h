// Sampling clocks: perf events that a BPF program is attached to.
// source: perf_event_open(2)
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace waggle {

// One cpu-clock event (a timer, no hardware counter) for each online CPU,
// firing `hz` times a second, not yet enabled.
//   errors  Denied       perf_event_paranoid or missing CAP_PERFMON
//           Unsupported  hz is above kernel.perf_event_max_sample_rate
Result<std::vector<Fd>> open_cpu_clocks(uint64_t hz);

}  // namespace waggle
