// The events of software: and hardware:, with the names that scripts have for them.
// source: bpftrace(8), "software" and "hardware"; perf_event_open(2)
#include <linux/perf_event.h>

#include "base/check.h"
#include "script/probes/attach_point.h"

namespace waggle::script {
namespace {

const std::vector<CountedEvent> &software_events() {
  static const std::vector<CountedEvent> events = {
      {"alignment-faults", "", PERF_COUNT_SW_ALIGNMENT_FAULTS, 1},
      {"bpf-output", "", PERF_COUNT_SW_BPF_OUTPUT, 1},
      {"context-switches", "cs", PERF_COUNT_SW_CONTEXT_SWITCHES, 1000},
      {"cpu-clock", "cpu", PERF_COUNT_SW_CPU_CLOCK, 1'000'000},
      {"cpu-migrations", "", PERF_COUNT_SW_CPU_MIGRATIONS, 1},
      {"dummy", "", PERF_COUNT_SW_DUMMY, 1},
      {"emulation-faults", "", PERF_COUNT_SW_EMULATION_FAULTS, 1},
      {"major-faults", "", PERF_COUNT_SW_PAGE_FAULTS_MAJ, 1},
      {"minor-faults", "", PERF_COUNT_SW_PAGE_FAULTS_MIN, 100},
      {"page-faults", "faults", PERF_COUNT_SW_PAGE_FAULTS, 100},
      {"task-clock", "", PERF_COUNT_SW_TASK_CLOCK, 1},
  };
  return events;
}

const std::vector<CountedEvent> &hardware_events() {
  static const std::vector<CountedEvent> events = {
      {"backend-stalls", "", PERF_COUNT_HW_STALLED_CYCLES_BACKEND, 1'000'000},
      {"branch-instructions", "branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 100'000},
      {"branch-misses", "", PERF_COUNT_HW_BRANCH_MISSES, 100'000},
      {"bus-cycles", "", PERF_COUNT_HW_BUS_CYCLES, 100'000},
      {"cache-misses", "", PERF_COUNT_HW_CACHE_MISSES, 1'000'000},
      {"cache-references", "", PERF_COUNT_HW_CACHE_REFERENCES, 1'000'000},
      {"cpu-cycles", "cycles", PERF_COUNT_HW_CPU_CYCLES, 1'000'000},
      {"frontend-stalls", "", PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, 1'000'000},
      {"instructions", "", PERF_COUNT_HW_INSTRUCTIONS, 1'000'000},
      {"ref-cycles", "", PERF_COUNT_HW_REF_CPU_CYCLES, 1'000'000},
  };
  return events;
}

}  // namespace

const std::vector<CountedEvent> &counted_events(Provider provider) {
  CHECK(provider == Provider::kSoftware || provider == Provider::kHardware);
  return provider == Provider::kSoftware ? software_events() : hardware_events();
}

const CountedEvent *find_counted_event(Provider provider, std::string_view name) {
  for (const CountedEvent &event : counted_events(provider))
    if (event.name == name || (!event.alias.empty() && event.alias == name)) return &event;
  return nullptr;
}

}  // namespace waggle::script
