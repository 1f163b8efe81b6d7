#include "script/run/host_resolver.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/clock.h"
#include "kernel/procfs.h"
#include "script/probes/attach_point.h"

namespace waggle::script {
namespace {

constexpr uint32_t kForksMost = 8;
constexpr size_t kNotedMost = 65536;

// The directory of a v1 hierarchy whose inode is a cgroup's id; empty: there is none.
std::string path_in(const std::string &point, uint64_t id) {
  std::error_code ignored;
  struct stat status {};
  if (stat(point.c_str(), &status) == 0 && status.st_ino == id) return "/";
  std::filesystem::recursive_directory_iterator at(point, std::filesystem::directory_options::skip_permission_denied,
                                                   ignored);
  for (; at != std::filesystem::recursive_directory_iterator(); at.increment(ignored)) {
    if (ignored) break;
    if (!at->is_directory(ignored) || stat(at->path().c_str(), &status) != 0) continue;
    if (status.st_ino == id) return at->path().string().substr(point.size());
  }
  return {};
}

}  // namespace

void HostResolver::follow() {
  bool has_addresses = std::any_of(script_.nodes.begin(), script_.nodes.end(), [](const Node &node) {
    return node.op == Op::kUserStack || (node.op == Op::kSymbol && node.type.is(TypeKind::kUserSymbol));
  });
  if (!has_addresses) return;
  if (Result<Mappings> followed = Mappings::open(); followed) followed_.emplace(std::move(*followed));
}

void HostResolver::catch_up() {
  if (followed_) followed_->read();
}

void HostResolver::note(uint32_t pid) {
  if (noted_.size() >= kNotedMost) noted_.clear();
  if (!noted_.insert(pid).second) return;
  if (!user_) user_ = std::make_unique<UserSymbols>();
  user_->note(static_cast<int32_t>(pid));
}

std::vector<Symbol> HostResolver::kernel_symbols(uint64_t address) {
  if (!kernel_) kernel_ = KernelSymbols::load();
  if (!*kernel_) return {};
  std::optional<waggle::KernelSymbol> found = (*kernel_)->find(address);
  if (!found) return {};
  return {Symbol{std::string(found->name),
                 found->offset,
                 found->module.empty() ? "vmlinux" : std::string(found->module),
                 {},
                 false}};
}

std::vector<Symbol> HostResolver::user_symbols(uint32_t pid, uint64_t address) {
  if (!user_) user_ = std::make_unique<UserSymbols>();
  // Of a process that has ended what the kernel told of it; a fork that executed nothing has
  // the mappings of who made it.
  for (uint32_t depth = 0; pid != 0 && depth < kForksMost; depth++) {
    UserFrame frame = user_->resolve(static_cast<int32_t>(pid), address, FrameAddress::kInstruction);
    if (!frame.symbol.empty())
      return {Symbol{std::move(frame.symbol), frame.offset, frame.path.empty() ? frame.object : frame.path, {}, false}};
    if (!followed_) break;
    if (std::optional<Mappings::Symbol> found = followed_->find(pid, address); found)
      return {Symbol{std::move(found->name), found->offset, std::move(found->path), {}, false}};
    pid = followed_->parent_of(pid);
  }
  return {};
}

std::vector<Frame> HostResolver::kernel_stack(uint64_t id) {
  std::vector<Frame> frames;
  for (uint64_t address : maps_.stack(id)) frames.push_back({address, {}, 0});
  return frames;
}

std::vector<Frame> HostResolver::user_stack(uint64_t id, uint32_t pid) {
  std::vector<Frame> frames;
  for (uint64_t address : maps_.stack(id)) {
    Frame frame{address, {}, 0};
    if (wants_build_ids()) {
      if (!user_) user_ = std::make_unique<UserSymbols>();
      frame.build_id = user_->resolve(static_cast<int32_t>(pid), address, FrameAddress::kInstruction).build_id;
      std::optional<uint64_t> offset = file_offset(pid, address);
      if (offset)
        frame.file_offset = *offset;
      else
        frame.build_id.clear();
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

bool HostResolver::wants_build_ids() {
  if (!wants_build_ids_)
    wants_build_ids_ = std::any_of(script_.nodes.begin(), script_.nodes.end(), [](const Node &node) {
      return node.op == Op::kUserStack && node.type.is(TypeKind::kUserStack) &&
             node.type.stack_mode() == StackMode::kBuildId;
    });
  return *wants_build_ids_;
}

std::optional<uint64_t> HostResolver::file_offset(uint32_t pid, uint64_t address) {
  auto found = mappings_.find(pid);
  if (found == mappings_.end()) {
    std::vector<Mapping> mappings;
    if (Result<ProcessFiles> files = ProcessFiles::open(static_cast<int32_t>(pid)); files)
      if (Result<std::vector<MapRange>> maps = files->maps(); maps)
        for (const MapRange &each : *maps)
          if (each.executable && each.inode != 0) mappings.push_back({each.start, each.end, each.offset});
    found = mappings_.emplace(pid, std::move(mappings)).first;
  }
  for (const Mapping &each : found->second)
    if (address >= each.start && address < each.end) return address - each.start + each.offset;
  return std::nullopt;
}

std::string HostResolver::user_name(uint64_t uid) {
  auto found = users_.find(uid);
  if (found != users_.end()) return found->second;
  passwd entry = {};
  passwd *answer = nullptr;
  std::vector<char> text(16384);
  std::string name;
  if (getpwuid_r(static_cast<uid_t>(uid), &entry, text.data(), text.size(), &answer) == 0 && answer != nullptr)
    name = entry.pw_name;
  return users_.emplace(uid, std::move(name)).first->second;
}

std::string HostResolver::cgroup_path(uint64_t pattern_id, uint64_t cgroup_id) {
  std::string pattern =
      pattern_id < script_.cgroup_patterns.size() ? script_.cgroup_patterns[pattern_id] : std::string();
  std::string text;
  auto add = [&](const std::string &hierarchy, std::string_view path) {
    if (path.empty()) return;
    std::string whole = fmt::format("{}:{}", hierarchy, path);
    if (!pattern.empty() && !wildcard_match(pattern, whole) && !wildcard_match(pattern, hierarchy)) return;
    text += (text.empty() ? "" : ",") + whole;
  };
  if (!cgroups_) cgroups_ = CgroupTree::open();
  if (*cgroups_) {
    add("unified", (*cgroups_)->path_of(cgroup_id));
    for (const CgroupMounts::V1 &each : (*cgroups_)->mounts().v1) add(each.controllers, path_in(each.point, cgroup_id));
  } else if (Result<std::vector<Mount>> mounts = read_mounts(); mounts) {
    for (const CgroupMounts::V1 &each : find_cgroup_mounts(*mounts).v1)
      add(each.controllers, path_in(each.point, cgroup_id));
  }
  return text;
}

TimeFormat HostResolver::time_format(uint64_t id) {
  return id < script_.time_formats.size() ? script_.time_formats[id] : TimeFormat();
}

int64_t HostResolver::wall_ns(Clock clock, uint64_t reading_ns) {
  auto reading = static_cast<int64_t>(reading_ns);
  switch (clock) {
    case Clock::kRealtime:
      return reading;
    case Clock::kMonotonic:
      return reading + now_ns() - static_cast<int64_t>(clock_ns(CLOCK_MONOTONIC));
    case Clock::kTai:
      return reading + now_ns() - static_cast<int64_t>(clock_ns(CLOCK_TAI));
    case Clock::kBoot:
      return reading + now_ns() - static_cast<int64_t>(clock_ns(CLOCK_BOOTTIME));
  }
  return reading;
}

int64_t HostResolver::now_ns() {
  return static_cast<int64_t>(clock_ns(CLOCK_REALTIME));
}

std::string_view HostResolver::trailer(size_t length) {
  // A string that fills its room to the last character is taken for one that was cut.
  return length + 1 == script_.config.max_strlen ? std::string_view(script_.config.str_trunc_trailer)
                                                 : std::string_view();
}

}  // namespace waggle::script
