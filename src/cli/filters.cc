#include "cli/filters.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/quantity.h"
#include "kernel/cgroup.h"

namespace waggle {
namespace {

Result<Fd> open_cgroup(const FilterArguments &arguments) {
  if (arguments.cgroup.empty() && arguments.container.empty()) return Fd();
  CgroupTree tree = TRY(CgroupTree::open());
  if (!arguments.container.empty()) return tree.open_container(arguments.container);
  // Both "/system.slice" and "/sys/fs/cgroup/system.slice" are what people type.
  std::string_view path = arguments.cgroup;
  if (path.starts_with(tree.mounts().v2)) path.remove_prefix(tree.mounts().v2.size());
  return tree.open_path(path.empty() ? "/" : path);
}

}  // namespace

void add_filter_options(CLI::App &group, FilterArguments &arguments) {
  group.add_option("-p,--pid", arguments.pid, "only this process")->type_name("PID")->check(positive());
  group.add_option("--comm", arguments.comm, "only tasks of this name")->type_name("NAME");
  group.add_option("--cgroup", arguments.cgroup, "only this cgroup and those below it")->type_name("PATH");
  group.add_option("--container", arguments.container, "only this container")->type_name("ID");
  group.add_option("--min", arguments.min, "only what took at least this long (10ms, 1.5s; bare numbers are ms)")
      ->type_name("TIME");
  group.add_flag("--failed", arguments.failed, "only calls that failed");
  group.add_option("--set", arguments.settings, "a parameter of the sensor (waggle list columns SENSOR)")
      ->type_name("NAME=VALUE");
}

Result<SensorOptions> sensor_options(const FilterArguments &arguments, Fd &cgroup) {
  cgroup = TRY(open_cgroup(arguments));
  SensorOptions options;
  options.pid = arguments.pid;
  options.comm = arguments.comm;
  options.cgroup_fd = cgroup.get();
  if (!arguments.ring.empty()) {
    uint64_t bytes = TRY(parse_bytes(arguments.ring));
    auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (bytes < page || bytes > (1u << 30) || (bytes & (bytes - 1)) != 0)
      return fail(ErrorCode::kMisuse, fmt::format("bad ring size '{}'", arguments.ring), "it must be a power of two",
                  fmt::format("between {} and 1GiB", page));
    options.ring_bytes = bytes;
  }
  for (const std::string &setting : arguments.settings) {
    size_t equals = setting.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::kMisuse, fmt::format("bad setting '{}'", setting), {}, "write it as --set name=value");
    options.parameters.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  if (!arguments.min.empty()) options.parameters.emplace_back("min", arguments.min);
  if (arguments.failed) options.parameters.emplace_back("failed", "1");
  return options;
}

}  // namespace waggle
