// Opens the kernel's hooks that are perf events: tracepoints, kprobes, uprobes, USDT probes,
// clocks, counters and watchpoints. None fires before a program is attached to it.
// Threads: any number at once.
// source: perf_event_open(2); kernel/events/core.c; kernel/trace/trace_event_perf.c
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "script/probes/expand.h"

namespace waggle::script {

// The events of one probe: one for each online CPU where the kernel counts so, else one.
//   pid     only of this process; 0: of all
//   errors  NotFound, Denied, Unsupported, Failed; `why` has the kernel's reason
// REQUIRES: opens_perf_event(probe.mechanism)
Result<std::vector<Fd>> open_events(const ConcreteProbe &probe, int32_t pid);

bool opens_perf_event(Mechanism mechanism);

// Online CPUs, ascending; at least one.
const std::vector<int> &online_cpus();

}  // namespace waggle::script
