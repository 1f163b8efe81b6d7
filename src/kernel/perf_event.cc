#include "kernel/perf_event.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace waggle {

Result<std::vector<Fd>> open_cpu_clocks(uint64_t hz) {
  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_freq = hz;
  attributes.freq = 1;
  std::vector<Fd> events;
  long cpus = sysconf(_SC_NPROCESSORS_CONF);
  for (int cpu = 0; cpu < cpus; cpu++) {
    long fd = syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0) {
      events.emplace_back(static_cast<int>(fd));
      continue;
    }
    if (errno == ENODEV || errno == ENXIO) continue;  // this CPU is offline
    if (errno == EINVAL)
      return fail(ErrorCode::kUnsupported, fmt::format("cannot sample {} times a second", hz),
                  "it is above the kernel's limit", "cat /proc/sys/kernel/perf_event_max_sample_rate");
    return fail_errno(errno, "cannot sample the CPUs", "run it as root, or with CAP_PERFMON");
  }
  if (events.empty()) return fail(ErrorCode::kUnsupported, "cannot sample the CPUs", "none is online");
  return events;
}

}  // namespace waggle
