// waggle doctor: what this kernel can do, and what becomes of each sensor on it.
// Nothing is concluded from version numbers: features are tried, sensors loaded.

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "base/version.h"
#include "cli/verb.h"
#include "kernel/features.h"
#include "sensor/core_types.h"
#include "sensor/sensor.h"

namespace waggle {

std::function<int()> configure_doctor(CLI::App &app);

namespace {

struct Finding {
  std::string name;
  std::string state;  // "runs", "runs with less", "cannot", "runs on a target"
  std::string detail;
};

Finding examine(const SensorObject &object) {
  Declaration declaration = *declaration_of(object.name);
  SensorOptions options;
  if (declaration.needs_target()) options.target = declaration.target_everywhere();
  Result<Sensor> sensor = Sensor::load(object.name, options);
  if (!sensor)
    return {std::string(object.name), "cannot", sensor.error().why.empty() ? sensor.error().what : sensor.error().why};
  if (sensor->lacks().empty()) {
    std::string through = sensor->hooks().empty() ? "" : sensor->hooks().front();
    size_t more = sensor->hooks().size() - 1;
    return {std::string(object.name), "runs", more == 0 ? through : fmt::format("{} and {} more", through, more)};
  }
  std::string lacks;
  for (const std::string &lack : sensor->lacks()) lacks += (lacks.empty() ? "" : "; ") + lack;
  return {std::string(object.name), "runs with less", lacks};
}

std::vector<Finding> examine_sensors() {
  LoadingLease lease;
  std::vector<Finding> findings;
  for (const SensorObject &object : sensor_objects()) findings.push_back(examine(object));
  return findings;
}

// What the operator can do about it, most useful first.
std::vector<std::string> advice(const Kernel &kernel) {
  std::vector<std::string> lines;
  if (geteuid() != 0) lines.push_back("run it as root: sudo waggle doctor (or give it CAP_BPF and CAP_PERFMON)");
  if (!kernel.can(FeatureId::kBtf))
    lines.push_back("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF): sensors need it; Debian's kernels have it");
  if (!kernel.can(FeatureId::kTracefs)) lines.push_back("mount tracefs: mount -t tracefs tracefs /sys/kernel/tracing");
  if (kernel.can(FeatureId::kLoad) && !kernel.can(FeatureId::kFentry) && !kernel.can(FeatureId::kKprobe))
    lines.push_back("functions of the kernel cannot be traced here (neither fentry nor kprobes): tracepoints can");
  if (!kernel.can(FeatureId::kMemory))
    lines.push_back("large maps are refused: raise RLIMIT_MEMLOCK (ulimit -l unlimited) or the cgroup's memory.max");
  return lines;
}

void print_json(const Kernel &kernel, const std::vector<Finding> &findings) {
  utsname names = {};
  uname(&names);
  std::string out = fmt::format("{{\"version\":\"{}\",\"kernel\":\"{}\",\"features\":[", kVersion, names.release);
  bool first = true;
  for (const Feature &feature : kernel.features()) {
    fmt::format_to(std::back_inserter(out), "{}{{\"name\":\"{}\",\"available\":{},\"why_not\":", first ? "" : ",",
                   feature.name, feature.available);
    append_json_string(out, feature.why_not);
    out += '}';
    first = false;
  }
  out += "],\"sensors\":[";
  first = true;
  for (const Finding &finding : findings) {
    fmt::format_to(std::back_inserter(out), "{}{{\"name\":\"{}\",\"state\":\"{}\",\"detail\":", first ? "" : ",",
                   finding.name, finding.state);
    append_json_string(out, finding.detail);
    out += '}';
    first = false;
  }
  fmt::print("{}]}}\n", out);
}

int doctor(bool json) {
  const Kernel &kernel = Kernel::running();
  std::vector<Finding> findings = examine_sensors();
  size_t able = 0;
  for (const Finding &finding : findings) able += finding.state != "cannot";
  if (json) {
    print_json(kernel, findings);
  } else {
    utsname names = {};
    uname(&names);
    fmt::print("waggle {} on Linux {} ({})\n\nkernel\n", kVersion, names.release, names.machine);
    for (const Feature &feature : kernel.features())
      fmt::print("  {:<3} {:<18} {}\n", feature.available ? "yes" : "no", feature.name,
                 feature.available ? feature.what_it_gives : feature.why_not);
    fmt::print("\nsensors\n");
    for (const Finding &finding : findings)
      fmt::print("  {:<15} {:<15} {}\n", finding.name, finding.state, finding.detail);
    std::vector<std::string> lines = advice(kernel);
    fmt::print("\n{} of {} sensors run here\n", able, findings.size());
    for (const std::string &line : lines) fmt::print("  fix: {}\n", line);
  }
  return able > 0 ? kDone : kFailed;
}

}  // namespace

std::function<int()> configure_doctor(CLI::App &app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "as one JSON object");
  return [json] { return doctor(*json); };
}

}  // namespace waggle
