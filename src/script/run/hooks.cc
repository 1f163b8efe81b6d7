#include "script/run/hooks.h"

#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/quantity.h"
#include "base/text.h"
#include "kernel/features.h"

namespace waggle::script {
namespace {

constexpr uint64_t kReturnBit = 1;        // of kprobe and uprobe events: format/retprobe is config:0
constexpr unsigned kSemaphoreShift = 32;  // of uprobe events: format/ref_ctr_offset is config:32-63
constexpr const char *kSources = "/sys/bus/event_source/devices/";

Result<uint32_t> type_of_source(const char *name) {
  Result<std::string> text = read_file(std::string(kSources) + name + "/type");
  if (!text) return fail(ErrorCode::kUnsupported, {}, fmt::format("this kernel has no {}s", name));
  return static_cast<uint32_t>(TRY(parse_integer(trim(*text))));
}

// Asked once: a wildcard opens a thousand of them.
const Result<uint32_t> &kprobe_type() {
  static const Result<uint32_t> type = type_of_source("kprobe");
  return type;
}
const Result<uint32_t> &uprobe_type() {
  static const Result<uint32_t> type = type_of_source("uprobe");
  return type;
}

tl::unexpected<Error> cannot_open(const ConcreteProbe &probe, int error_number) {
  std::string why = strerror(error_number);
  switch (error_number) {
    case EACCES:
    case EPERM:
      return fail(ErrorCode::kDenied, fmt::format("Unable to attach probe: {}", probe.name), std::move(why),
                  "run it as root, or with CAP_PERFMON");
    case EMFILE:
      return fail(ErrorCode::kExhausted, fmt::format("Unable to attach probe: {}", probe.name), std::move(why),
                  "ulimit -n sets how many files a process may open");
    case ENOENT:
    case ESRCH:
      return fail(ErrorCode::kNotFound, fmt::format("Unable to attach probe: {}", probe.name), std::move(why));
    case EILSEQ:
      why = "this is not where an instruction begins";
      break;
    case ENOSPC:
      if (probe.mechanism == Mechanism::kWatchpoint) why = "the processor has no more debug registers";
      break;
    default:
      break;
  }
  return fail(ErrorCode::kFailed, fmt::format("Unable to attach probe: {}", probe.name), std::move(why));
}

int open_event(perf_event_attr attributes, int32_t pid, int cpu) {
  attributes.size = sizeof(attributes);
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

// The kernel runs the program for all CPUs, whichever one the event is of.
Result<std::vector<Fd>> open_one(const ConcreteProbe &probe, const perf_event_attr &attributes, int32_t pid) {
  Fd event(open_event(attributes, pid == 0 ? -1 : pid, pid == 0 ? online_cpus().front() : -1));
  if (!event.valid()) return cannot_open(probe, errno);
  std::vector<Fd> events;
  events.push_back(std::move(event));
  return events;
}

Result<std::vector<Fd>> open_on_each_cpu(const ConcreteProbe &probe, const perf_event_attr &attributes, int32_t pid) {
  std::vector<Fd> events;
  for (int cpu : online_cpus()) {
    Fd event(open_event(attributes, pid == 0 ? -1 : pid, cpu));
    if (event.valid()) {
      events.push_back(std::move(event));
      continue;
    }
    if (errno != ENODEV && errno != ENXIO) return cannot_open(probe, errno);
  }
  if (events.empty()) return cannot_open(probe, ENODEV);
  return events;
}

Result<std::vector<Fd>> open_tracepoint(const ConcreteProbe &probe) {
  const Result<Tracefs> &tracefs = Kernel::running().tracefs();
  if (!tracefs) return tl::unexpected(tracefs.error());
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = TRY(tracefs->id(probe.point.target, probe.point.function));
  attributes.sample_period = 1;
  return open_one(probe, attributes, 0);
}

Result<std::vector<Fd>> open_kprobe(const ConcreteProbe &probe) {
  if (!kprobe_type()) return tl::unexpected(kprobe_type().error());
  const AttachPoint &point = probe.point;
  std::string function =
      point.target.empty() || point.target == "vmlinux" ? point.function : point.target + ":" + point.function;
  perf_event_attr attributes = {};
  attributes.type = *kprobe_type();
  attributes.config = is_return_probe(point.provider) ? kReturnBit : 0;
  attributes.config1 = reinterpret_cast<uint64_t>(function.c_str());
  attributes.config2 = point.offset;
  return open_one(probe, attributes, 0);
}

Result<std::vector<Fd>> open_uprobe(const ConcreteProbe &probe, int32_t pid) {
  if (!uprobe_type()) return tl::unexpected(uprobe_type().error());
  perf_event_attr attributes = {};
  attributes.type = *uprobe_type();
  attributes.config = is_return_probe(probe.point.provider) ? kReturnBit : 0;
  attributes.config |= probe.place.semaphore << kSemaphoreShift;
  attributes.config1 = reinterpret_cast<uint64_t>(probe.place.path.c_str());
  attributes.config2 = probe.place.offset;
  return open_one(probe, attributes, pid);
}

Result<std::vector<Fd>> open_clock(const ConcreteProbe &probe) {
  const AttachPoint &point = probe.point;
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  if (point.unit == RateUnit::kHz && point.provider == Provider::kProfile) {
    attributes.freq = 1;
    attributes.sample_freq = point.count;
  } else {
    attributes.sample_period = point.period_ns();
  }
  if (point.provider == Provider::kInterval) return open_one(probe, attributes, 0);
  return open_on_each_cpu(probe, attributes, 0);
}

Result<std::vector<Fd>> open_counter(const ConcreteProbe &probe, int32_t pid) {
  const AttachPoint &point = probe.point;
  const CountedEvent *event = find_counted_event(point.provider, point.function);
  CHECK(event != nullptr);
  perf_event_attr attributes = {};
  attributes.type = point.provider == Provider::kSoftware ? PERF_TYPE_SOFTWARE : PERF_TYPE_HARDWARE;
  attributes.config = event->config;
  attributes.sample_period = point.count != 0 ? point.count : event->default_count;
  return open_on_each_cpu(probe, attributes, pid);
}

Result<std::vector<Fd>> open_watchpoint(const ConcreteProbe &probe, int32_t pid) {
  const AttachPoint &point = probe.point;
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_BREAKPOINT;
  attributes.bp_addr = point.address;
  attributes.bp_len = point.length;
  for (char each : point.mode) {
    if (each == 'r') attributes.bp_type |= HW_BREAKPOINT_R;
    if (each == 'w') attributes.bp_type |= HW_BREAKPOINT_W;
    // The kernel takes the size of a word for an instruction's, whatever its bytes.
    if (each == 'x') attributes.bp_type |= HW_BREAKPOINT_X, attributes.bp_len = sizeof(long);
  }
  attributes.sample_period = 1;
  if (pid != 0) return open_one(probe, attributes, pid);
  return open_on_each_cpu(probe, attributes, 0);
}

std::vector<int> read_online_cpus() {
  std::vector<int> cpus;
  Result<std::string> text = read_file("/sys/devices/system/cpu/online");
  for (std::string_view range : split(text ? trim(*text) : std::string_view(), ',')) {
    size_t dash = range.find('-');
    Result<int64_t> first = parse_integer(range.substr(0, dash));
    Result<int64_t> last = dash == std::string_view::npos ? first : parse_integer(range.substr(dash + 1));
    if (!first || !last) continue;
    for (int64_t cpu = *first; cpu <= *last; cpu++) cpus.push_back(static_cast<int>(cpu));
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

}  // namespace

const std::vector<int> &online_cpus() {
  static const std::vector<int> cpus = read_online_cpus();
  return cpus;
}

bool opens_perf_event(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kTracepoint:
    case Mechanism::kKprobe:
    case Mechanism::kUprobe:
    case Mechanism::kUsdt:
    case Mechanism::kPerfEvent:
    case Mechanism::kWatchpoint:
      return true;
    default:
      return false;
  }
}

Result<std::vector<Fd>> open_events(const ConcreteProbe &probe, int32_t pid) {
  switch (probe.mechanism) {
    case Mechanism::kTracepoint:
      return open_tracepoint(probe);
    case Mechanism::kKprobe:
      return open_kprobe(probe);
    case Mechanism::kUprobe:
    case Mechanism::kUsdt:
      return open_uprobe(probe, pid);
    case Mechanism::kPerfEvent:
      if (probe.point.provider == Provider::kProfile || probe.point.provider == Provider::kInterval)
        return open_clock(probe);
      return open_counter(probe, pid);
    case Mechanism::kWatchpoint:
      return open_watchpoint(probe, pid);
    default:
      CHECK(false);
  }
}

}  // namespace waggle::script
