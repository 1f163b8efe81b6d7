#include "kernel/cgroup_path.h"

#include <algorithm>
#include <vector>

#include "kernel/procfs_fields.h"

namespace waggle {
namespace {

using procfs::take_until;

constexpr size_t kPathBytesMost = 4096;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_hex_digit);
}

bool is_full_id(std::string_view text) {
  return text.size() == 64 && is_hex(text);
}
// Behind a runtime's own prefix a short id is believed as well.
bool is_id(std::string_view text) {
  return text.size() >= 12 && text.size() <= 64 && is_hex(text);
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex_digit(text[i])) return false;
  }
  return true;
}

bool cut_prefix(std::string_view &text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool cut_suffix(std::string_view &text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

struct Found {
  ContainerRuntime runtime = ContainerRuntime::kNone;
  std::string_view id;
};

// "<prefix><id>", as systemd scopes and the cgroupfs drivers have it.
struct Prefix {
  std::string_view text;
  ContainerRuntime runtime;
};
constexpr Prefix kPrefixes[] = {
    {"docker-", ContainerRuntime::kDocker},
    {"cri-containerd-", ContainerRuntime::kContainerd},
    {"containerd-", ContainerRuntime::kContainerd},
    {"nerdctl-", ContainerRuntime::kContainerd},
    {"crio-", ContainerRuntime::kCrio},
    {"libpod-payload-", ContainerRuntime::kPodman},
    {"libpod-", ContainerRuntime::kPodman},
};

// The runtimes' words in systemd's own notation, "slice:prefix:id", which runc
// takes for a plain name when it is told the cgroupfs driver.
constexpr Prefix kWords[] = {
    {"docker", ContainerRuntime::kDocker},      {"cri-containerd", ContainerRuntime::kContainerd},
    {"nerdctl", ContainerRuntime::kContainerd}, {"crio", ContainerRuntime::kCrio},
    {"libpod", ContainerRuntime::kPodman},
};

// Directories whose children are containers named by their bare id.
constexpr Prefix kParents[] = {
    {"docker", ContainerRuntime::kDocker},      {"actions_job", ContainerRuntime::kDocker},
    {"k8s.io", ContainerRuntime::kContainerd},  {"moby", ContainerRuntime::kDocker},
    {"default", ContainerRuntime::kContainerd}, {"libpod_parent", ContainerRuntime::kPodman},
    {"garden", ContainerRuntime::kGarden},
};

Found find_prefixed(std::string_view name) {
  cut_suffix(name, ".scope");
  for (const Prefix &prefix : kPrefixes) {
    std::string_view id = name;
    // "crio-conmon-<id>" is the monitor outside the container: not hexadecimal, so not an id.
    if (cut_prefix(id, prefix.text)) return is_id(id) ? Found{prefix.runtime, id} : Found{};
  }
  return {};
}

Found find_colons(std::string_view name) {
  size_t last = name.rfind(':');
  if (last == std::string_view::npos || last == 0) return {};
  size_t first = name.rfind(':', last - 1);
  if (first == std::string_view::npos) return {};
  std::string_view word = name.substr(first + 1, last - first - 1), id = name.substr(last + 1);
  if (!is_id(id)) return {};
  for (const Prefix &known : kWords)
    if (word == known.text) return {known.runtime, id};
  return {ContainerRuntime::kUnknown, id};
}

// LXC names its containers freely: "lxc.payload.web", "lxc/web", "lxc.payload/web".
Found find_lxc(std::string_view name, std::string_view parent) {
  if (cut_prefix(name, "lxc.payload.") && !name.empty()) return {ContainerRuntime::kLxc, name};
  if (parent == "lxc" || parent == "lxc.payload") return {ContainerRuntime::kLxc, name};
  return {};
}

// "machine-web.scope" and "systemd-nspawn@web.service". libvirt registers its
// virtual machines in the same way: "machine-qemu\x2d1\x2dweb.scope".
Found find_nspawn(std::string_view name) {
  if (cut_prefix(name, "systemd-nspawn@") && cut_suffix(name, ".service") && !name.empty())
    return {ContainerRuntime::kNspawn, name};
  if (cut_prefix(name, "machine-") && cut_suffix(name, ".scope") && !name.empty() && !name.starts_with("qemu\\x2d"))
    return {ContainerRuntime::kNspawn, name};
  return {};
}

// "<32 hex of the task>-<number>" under /ecs/<task>.
bool is_fargate_id(std::string_view name) {
  return name.size() > 33 && name[32] == '-' && is_hex(name.substr(0, 32)) &&
         std::all_of(name.begin() + 33, name.end(), is_digit);
}

// parents: the components above this one, outermost first.
Found find_bare(std::string_view name, const std::vector<std::string_view> &parents, bool in_pod) {
  std::string_view parent = parents.empty() ? std::string_view() : parents.back();
  bool ecs = std::find(parents.begin(), parents.end(), "ecs") != parents.end();
  if (ecs && is_fargate_id(name)) return {ContainerRuntime::kEcs, name};
  if (parent == "garden" && is_uuid(name)) return {ContainerRuntime::kGarden, name};
  if (parent == "buildkit" && name.size() == 25) return {ContainerRuntime::kBuildkit, name};
  if (!is_full_id(name)) return {};
  if (ecs) return {ContainerRuntime::kDocker, name};
  for (const Prefix &known : kParents)
    if (parent == known.text) return {known.runtime, name};
  return {in_pod ? ContainerRuntime::kKubernetes : ContainerRuntime::kUnknown, name};
}

// "pod<uid>", "kubepods-burstable-pod<uid>.slice", both also before a colon.
// systemd slices cannot hold dashes in the uid and have underscores; static pods
// have the 32 digits of a hash. Returns the uid with dashes, or nothing.
std::string find_pod(std::string_view name) {
  name = take_until(name, ':');
  bool slice = cut_suffix(name, ".slice");
  if (slice) {
    size_t pod = name.rfind("-pod");
    if (pod == std::string_view::npos || name.find("kubepods") == std::string_view::npos) return {};
    name.remove_prefix(pod + 1);
  }
  if (!cut_prefix(name, "pod")) return {};
  std::string uid(name);
  if (slice) std::replace(uid.begin(), uid.end(), '_', '-');
  return is_uuid(uid) || (uid.size() == 32 && is_hex(uid)) ? uid : std::string();
}

// systemd puts "_" before a unit's name that could be taken for a kernel file.
std::string_view unescape_component(std::string_view name) {
  cut_prefix(name, "_");
  return name;
}

bool is_unit(std::string_view name) {
  for (std::string_view suffix : {".service", ".scope", ".mount", ".swap", ".socket"})
    if (name.size() > suffix.size() && name.ends_with(suffix)) return true;
  return false;
}

void find_units(const std::vector<std::string_view> &components, CgroupLabels &labels) {
  size_t at = 0;
  for (; at < components.size() && components[at].ends_with(".slice"); ++at) labels.slice = components[at];
  if (at == components.size() || !is_unit(unescape_component(components[at]))) return;
  labels.unit = unescape_component(components[at++]);
  if (!labels.unit.starts_with("user@")) return;
  while (at < components.size() && components[at].ends_with(".slice")) ++at;
  if (at < components.size() && is_unit(unescape_component(components[at])))
    labels.user_unit = unescape_component(components[at]);
}

}  // namespace

std::string_view container_runtime_name(ContainerRuntime runtime) {
  switch (runtime) {
    case ContainerRuntime::kNone:
      return "";
    case ContainerRuntime::kUnknown:
      return "container";
    case ContainerRuntime::kDocker:
      return "docker";
    case ContainerRuntime::kContainerd:
      return "containerd";
    case ContainerRuntime::kCrio:
      return "cri-o";
    case ContainerRuntime::kPodman:
      return "podman";
    case ContainerRuntime::kLxc:
      return "lxc";
    case ContainerRuntime::kKubernetes:
      return "kubernetes";
    case ContainerRuntime::kNspawn:
      return "systemd-nspawn";
    case ContainerRuntime::kEcs:
      return "ecs";
    case ContainerRuntime::kGarden:
      return "garden";
    case ContainerRuntime::kBuildkit:
      return "buildkit";
  }
  return "";
}

CgroupLabels parse_cgroup_path(std::string_view path) {
  CgroupLabels labels;
  std::vector<std::string_view> components;
  Found container;
  bool in_machine = false;
  path = path.substr(0, kPathBytesMost);
  while (!path.empty()) {
    std::string_view name = take_until(path, '/');
    if (name.empty() || name == "..") continue;
    std::string_view parent = components.empty() ? std::string_view() : components.back();
    if (std::string pod = find_pod(name); !pod.empty()) labels.pod_uid = std::move(pod);
    Found found = find_prefixed(name);
    if (found.id.empty()) found = find_colons(name);
    if (found.id.empty()) found = find_lxc(name, parent);
    if (found.id.empty() && (in_machine || name.starts_with("systemd-nspawn@"))) found = find_nspawn(name);
    if (found.id.empty()) found = find_bare(name, components, !labels.pod_uid.empty());
    if (!found.id.empty()) container = found;
    in_machine = name == "machine.slice";
    components.push_back(name);
  }
  labels.runtime = container.runtime;
  labels.container_id = container.id;
  find_units(components, labels);
  return labels;
}

std::string_view short_container_id(std::string_view container_id) {
  return is_full_id(container_id) ? container_id.substr(0, 12) : container_id;
}

std::string unescape_unit_name(std::string_view unit) {
  std::string plain;
  plain.reserve(unit.size());
  for (size_t i = 0; i < unit.size(); ++i) {
    unsigned value = 0;
    if (unit.substr(i).starts_with("\\x") && i + 3 < unit.size() &&
        procfs::to_number(unit.substr(i + 2, 2), value, 16)) {
      plain += static_cast<char>(value);
      i += 3;
    } else {
      plain += unit[i];
    }
  }
  return plain;
}

}  // namespace waggle
