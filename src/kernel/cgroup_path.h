// Reads a cgroup's path: container runtimes, Kubernetes and systemd all write
// what they run into the names of directories, each in its own manner. This is
// the one place that knows the manners; the table in cgroup_path_test.cc has a
// line for each.
// Threads: pure functions.
// source: systemd.slice(5), cgroup naming in systemd's CGROUP_DELEGATION;
//   opencontainers runtime-spec, "cgroupsPath"; Kubernetes "cgroup drivers"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace waggle {

enum class ContainerRuntime : uint8_t {
  kNone,        // not in a container
  kUnknown,     // in one, but the path does not say whose
  kDocker,      // and Moby's other names: ECS tasks, GitHub runners
  kContainerd,  // cri-containerd, nerdctl, ctr
  kCrio,
  kPodman,
  kLxc,         // and LXD, Incus, Proxmox
  kKubernetes,  // a pod's container under the cgroupfs driver, which names no runtime
  kNspawn,      // systemd-nspawn
  kEcs,         // Fargate tasks, whose containers have ids of their own
  kGarden,      // Cloud Foundry
  kBuildkit,
};
// "docker"; empty for kNone, "container" for kUnknown.
std::string_view container_runtime_name(ContainerRuntime runtime);

// What a path says. Where containers nest, `container_id` is the innermost.
struct CgroupLabels {
  ContainerRuntime runtime = ContainerRuntime::kNone;
  std::string container_id;  // 64 hex digits for most; a name for LXC and nspawn
  std::string pod_uid;       // with dashes, as Kubernetes prints it; empty outside pods

  // systemd's view. A container's scope is a unit as well ("docker-<id>.scope").
  std::string unit;       // outermost service, scope, …: "ssh.service"; "" when directly in a slice
  std::string user_unit;  // a user manager's unit below user@UID.service: "firefox.service"
  std::string slice;      // innermost slice above `unit`: "system.slice"; "" on the root

  bool operator==(const CgroupLabels &) const = default;
};

// path: from the root of the hierarchy, "/a/b". Any bytes; at most the first
// 4096 are read.
CgroupLabels parse_cgroup_path(std::string_view path);

// The first 12 digits of a hexadecimal id, as `docker ps` shows it; names are whole.
std::string_view short_container_id(std::string_view container_id);

// A unit's name for people: "\x2d" and the like become their bytes. systemctl
// wants the name as it is in CgroupLabels.
std::string unescape_unit_name(std::string_view unit);

}  // namespace waggle
