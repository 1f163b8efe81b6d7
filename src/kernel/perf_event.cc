#include "kernel/perf_event.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/check.h"

namespace waggle {
namespace {

std::optional<uint64_t> software_event(std::string_view name) {
  if (name == "major-faults") return PERF_COUNT_SW_PAGE_FAULTS_MAJ;
  if (name == "minor-faults") return PERF_COUNT_SW_PAGE_FAULTS_MIN;
  return std::nullopt;
}

// `verb` completes "cannot ... the CPUs".
Result<std::vector<Fd>> open_on_each_cpu(perf_event_attr attributes, std::string_view verb) {
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  std::vector<Fd> events;
  long cpus = sysconf(_SC_NPROCESSORS_CONF);
  for (int cpu = 0; cpu < cpus; cpu++) {
    long fd = syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0) {
      events.emplace_back(static_cast<int>(fd));
      continue;
    }
    if (errno == ENODEV || errno == ENXIO) continue;  // this CPU is offline
    if (errno == EINVAL && attributes.freq)
      return fail(ErrorCode::kUnsupported, fmt::format("cannot {} {} times a second", verb, attributes.sample_freq),
                  "it is above the kernel's limit", "cat /proc/sys/kernel/perf_event_max_sample_rate");
    return fail_errno(errno, fmt::format("cannot {} the CPUs", verb), "run it as root, or with CAP_PERFMON");
  }
  if (events.empty()) return fail(ErrorCode::kUnsupported, fmt::format("cannot {} the CPUs", verb), "none is online");
  return events;
}

}  // namespace

Result<std::vector<Fd>> open_cpu_clocks(uint64_t hz) {
  perf_event_attr attributes = {};
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_freq = hz;
  attributes.freq = 1;
  return open_on_each_cpu(attributes, "sample");
}

bool is_software_event(std::string_view name) {
  return software_event(name).has_value();
}

Result<std::vector<Fd>> open_software_events(std::string_view name) {
  std::optional<uint64_t> event = software_event(name);
  CHECK(event.has_value());
  perf_event_attr attributes = {};
  attributes.config = *event;
  // A period of one is never throttled (kernel/events/core.c perf_swevent_event()).
  attributes.sample_period = 1;
  return open_on_each_cpu(attributes, fmt::format("count {} of", name));
}

}  // namespace waggle
