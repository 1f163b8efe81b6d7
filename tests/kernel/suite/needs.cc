// What a kernel may lack, found without asking waggle: else a waggle that cannot
// do a thing would excuse itself from its test.

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "activity.h"
#include "suite.h"

namespace waggle::suite {
namespace {

std::string tracefs() {
  for (const char *path : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"})
    if (access((std::string(path) + "/events").c_str(), F_OK) == 0) return path;
  return {};
}

std::string release() {
  utsname names = {};
  uname(&names);
  return names.release;
}

std::string lack_of_filesystem(const std::string &name) {
  // A module, on most kernels.
  run_program({"modprobe", name});
  if (read_file("/proc/filesystems").find("\t" + name + "\n") == std::string::npos)
    return fmt::format("kernel {} has no {}", release(), name);
  if (name != "overlay" && run_program({"mkfs." + name, "-V"}).status != 0) return "mkfs." + name + " is not installed";
  return {};
}

std::string lack_of_netem() {
  run_program({"modprobe", "sch_netem"});
  Output tried =
      run_program({"unshare", "-n", "sh", "-c", "ip link set lo up && tc qdisc add dev lo root netem loss 1%"});
  if (tried.status == 0) return {};
  std::string line = tried.text.substr(0, tried.text.find('\n'));
  return fmt::format("kernel {} cannot lose packets on purpose (sch_netem): {}", release(), line);
}

}  // namespace

std::string lack_of(Need need) {
  switch (need) {
    case Need::kFunctions:
      if (access((tracefs() + "/kprobe_events").c_str(), F_OK) == 0) return {};
      return fmt::format("kernel {} has no kprobes (no kprobe_events in tracefs)", release());
    case Need::kCgroups:
      return cgroup_root().empty() ? "no cgroup v2 hierarchy is mounted" : "";
    case Need::kLoop:
      run_program({"modprobe", "loop"});
      return access("/dev/loop-control", F_OK) == 0 ? "" : "no loop devices (/dev/loop-control)";
    case Need::kExt4:
      return lack_of_filesystem("ext4");
    case Need::kXfs:
      return lack_of_filesystem("xfs");
    case Need::kOverlay:
      return lack_of_filesystem("overlay");
    case Need::kNetem:
      return lack_of_netem();
    case Need::kDropReasons:
      if (read_file(tracefs() + "/events/skb/kfree_skb/format").find(" reason;") != std::string::npos) return {};
      return fmt::format("kernel {} gives no reason for a dropped packet (since 5.17)", release());
    case Need::kContention:
      if (access((tracefs() + "/events/lock/contention_begin").c_str(), F_OK) == 0) return {};
      return fmt::format("kernel {} has no tracepoint lock:contention_begin (added in 5.19)", release());
    case Need::kModules:
      return access("/proc/modules", F_OK) == 0 ? "" : "this kernel has no modules (no /proc/modules)";
    case Need::kSchedstat:
      return read_file("/proc/self/schedstat").empty() ? "no /proc/PID/schedstat (CONFIG_SCHED_INFO)" : "";
  }
  return {};
}

}  // namespace waggle::suite
