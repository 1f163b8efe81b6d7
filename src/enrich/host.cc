#include "enrich/host.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "base/fd.h"
#include "base/quantity.h"
#include "base/text.h"
#include "enrich/host_answers.h"
#include "enrich/host_names.h"
#include "enrich/process_table.h"
#include "enrich/render.h"
#include "kernel/cgroup.h"
#include "symbol/kernel_symbols.h"
#include "symbol/user_symbols.h"

namespace waggle {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kClockAge{5};

std::string_view text_or_nothing(const std::string *text) {
  return text == nullptr ? std::string_view{} : *text;
}

// The columns of the process sensors by the names they have there. A recording may
// have others under these names.
uint64_t number_of(const Schema &schema, Row row, std::string_view column) {
  const Column *found = schema.find(column);
  return found == nullptr || !found->is_integer() ? 0 : natural(*found, row);
}

std::string_view text_of(const Schema &schema, Row row, std::string_view column) {
  const Column *found = schema.find(column);
  return found == nullptr || !found->is_text() ? std::string_view{} : text(*found, row);
}

}  // namespace

struct Host::State {
  const HostAnswers *answers = nullptr;  // where this is another host
  int64_t wall_minus_monotonic_ns = 0;
  steady_clock::time_point clock_read{};
  HostNames names;
  std::optional<CgroupTree> cgroups;
  bool cgroups_tried = false;
  std::unique_ptr<ProcessTable> processes;
  std::optional<KernelSymbols> kernel_symbols;
  bool kernel_symbols_tried = false;
  std::unordered_map<uint64_t, std::optional<std::vector<FunctionParameter>>> kernel_parameters;
  std::unique_ptr<UserSymbols> user_symbols;

  CgroupTree *cgroup_tree();
  ProcessTable &process_table();
  KernelSymbols *kernel_symbol_table();
  UserSymbols &user_symbol_tables();
};

Host::Host() : state_(std::make_unique<State>()) {}
Host::Host(const HostAnswers &answers) : Host() {
  state_->answers = &answers;
}
Host::~Host() = default;

int64_t Host::wall_now_ns() {
  return state_->answers != nullptr ? state_->answers->now_ns : static_cast<int64_t>(clock_ns(CLOCK_REALTIME));
}

int64_t Host::wall_minus_monotonic_ns() {
  if (state_->answers != nullptr) return state_->answers->wall_minus_monotonic_ns;
  auto now = steady_clock::now();
  if (state_->wall_minus_monotonic_ns == 0 || now - state_->clock_read > kClockAge) {
    state_->clock_read = now;
    state_->wall_minus_monotonic_ns = static_cast<int64_t>(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
  }
  return state_->wall_minus_monotonic_ns;
}

const std::string *Host::told_name(Kind kind, uint64_t value) {
  if (state_->answers == nullptr) return nullptr;
  auto told = state_->answers->names.find({kind, value});
  return told == state_->answers->names.end() ? nullptr : &told->second;
}

std::string_view Host::user_name(uint32_t uid) {
  if (state_->answers != nullptr) return text_or_nothing(told_name(Kind::kUid, uid));
  return state_->names.user(uid);
}
std::string_view Host::group_name(uint32_t gid) {
  if (state_->answers != nullptr) return text_or_nothing(told_name(Kind::kGid, gid));
  return state_->names.group(gid);
}
std::string Host::device_name(uint32_t device) {
  DeviceNumber number = DeviceNumber::from_kernel(device);
  if (state_->answers != nullptr) {
    const std::string *told = told_name(Kind::kDevice, device);
    return told == nullptr ? number.text() : *told;
  }
  std::string_view disk = state_->names.disk(number);
  return disk.empty() ? number.text() : std::string(disk);
}

std::optional<uint32_t> Host::uid_of(std::string_view user) {
  return state_->names.uid_of(user);
}
std::optional<uint32_t> Host::gid_of(std::string_view group) {
  return state_->names.gid_of(group);
}
std::optional<uint32_t> Host::device_of(std::string_view disk) {
  std::string number(disk);
  if (disk.find(':') == std::string_view::npos) {
    std::string_view name = disk.starts_with("/dev/") ? disk.substr(strlen("/dev/")) : disk;
    // A '!' stands for a '/' in the names of sysfs: cciss!c0d0.
    std::string in_sysfs(name);
    std::replace(in_sysfs.begin(), in_sysfs.end(), '/', '!');
    Result<std::string> read = read_file("/sys/class/block/" + in_sysfs + "/dev", 64);
    if (!read) return std::nullopt;
    number = trim(*read);
  }
  size_t colon = number.find(':');
  if (colon == std::string::npos) return std::nullopt;
  Result<int64_t> major = parse_integer(std::string_view(number).substr(0, colon));
  Result<int64_t> minor = parse_integer(std::string_view(number).substr(colon + 1));
  if (!major || !minor || *major < 0 || *minor < 0) return std::nullopt;
  return DeviceNumber{static_cast<uint32_t>(*major), static_cast<uint32_t>(*minor)}.to_kernel();
}

std::string Host::mount_point(uint32_t device) {
  if (state_->answers != nullptr) {
    auto told = state_->answers->mount_points.find(device);
    return told == state_->answers->mount_points.end() ? std::string() : told->second;
  }
  return std::string(state_->names.mount_point(DeviceNumber::from_kernel(device)));
}

CgroupTree *Host::State::cgroup_tree() {
  if (!cgroups_tried && answers == nullptr) {
    cgroups_tried = true;
    if (Result<CgroupTree> tree = CgroupTree::open()) cgroups.emplace(std::move(*tree));
  }
  return cgroups ? &*cgroups : nullptr;
}

ProcessTable &Host::State::process_table() {
  if (processes == nullptr) {
    ProcessTable::Options options;
    if (answers != nullptr) options.told_cgroups = &answers->cgroup_paths;
    processes = std::make_unique<ProcessTable>(cgroup_tree(), options);
  }
  return *processes;
}

void Host::know_processes() {
  // A /proc that cannot be read leaves the rows without what they would lead to.
  (void)state_->process_table().seed();
}

void Host::observe(const Schema &schema, Row row) {
  ProcessTable &processes = state_->process_table();
  uint64_t when = number_of(schema, row, "when");
  auto pid = static_cast<int32_t>(number_of(schema, row, "pid"));
  if (schema.name == "exec" && number_of(schema, row, "errno") == 0) {
    ProcessTable::ExecEvent event;
    event.pid = pid;
    event.ppid = static_cast<int32_t>(number_of(schema, row, "ppid"));
    event.when_ns = when;
    event.filename = text_of(schema, row, "path");
    event.argv = text_of(schema, row, "argv");
    event.uid = static_cast<uint32_t>(number_of(schema, row, "uid"));
    event.cgroup_id = number_of(schema, row, "cgroup");
    event.comm = text_of(schema, row, "comm");
    processes.on_exec(event);
  } else if (schema.name == "fork" && number_of(schema, row, "thread") == 0) {
    ProcessTable::ForkEvent event;
    event.parent_pid = static_cast<int32_t>(number_of(schema, row, "ppid"));
    event.child_pid = pid;
    event.when_ns = when;
    event.comm = text_of(schema, row, "comm");
    event.cgroup_id = number_of(schema, row, "cgroup");
    processes.on_fork(event);
  } else if (schema.name == "exit") {
    processes.on_exit(pid, when);
  }
}

void Host::append_of_process(std::string &out, Follow follow, uint32_t pid, uint64_t when_ns) {
  ProcessTable &processes = state_->process_table();
  const Process *process = processes.find(static_cast<int32_t>(pid), when_ns);
  if (process == nullptr) return;
  switch (follow) {
    case Follow::kComm:
      append_printable(out, process->comm);
      return;
    case Follow::kExe:
      append_printable(out, process->command->exe);
      return;
    case Follow::kCmdline:
      append_command_line(out, process->command->argv);
      return;
    case Follow::kParent:
      out += std::to_string(process->ppid);
      return;
    case Follow::kAncestors: {
      bool first = true;
      for (const Process *ancestor : processes.ancestors(*process)) {
        if (!first) out += " < ";
        first = false;
        append_printable(out, ancestor->comm);
      }
      return;
    }
    case Follow::kUser:
      out += process->uid == Process::kUidUnknown ? std::string_view{} : user_name(process->uid);
      return;
    case Follow::kContainer:
      out += process->placement->labels.container_id;
      return;
    case Follow::kUnit:
      out += process->placement->labels.unit;
      return;
    case Follow::kCgroupPath:
      out += process->placement->path;
      return;
    default:
      return;
  }
}

std::vector<const Process *> Host::living_processes() {
  return state_->process_table().living();
}

void Host::add_process(Process process) {
  state_->process_table().add(std::move(process));
}

std::string_view Host::cgroup_path(uint64_t cgroup_id) {
  if (state_->answers != nullptr) {
    auto told = state_->answers->cgroup_paths.find(cgroup_id);
    return told == state_->answers->cgroup_paths.end() ? std::string_view{} : told->second;
  }
  CgroupTree *tree = state_->cgroup_tree();
  return tree == nullptr ? std::string_view{} : tree->path_of(cgroup_id);
}

void Host::append_of_cgroup(std::string &out, Follow follow, uint64_t cgroup_id) {
  std::string_view path = cgroup_path(cgroup_id);
  if (follow == Follow::kContainer)
    out += parse_cgroup_path(path).container_id;
  else if (follow == Follow::kUnit)
    out += parse_cgroup_path(path).unit;
  else
    out += path;
}

KernelSymbols *Host::State::kernel_symbol_table() {
  if (!kernel_symbols_tried) {
    kernel_symbols_tried = true;
    if (Result<KernelSymbols> loaded = KernelSymbols::load()) kernel_symbols.emplace(std::move(*loaded));
  }
  return kernel_symbols ? &*kernel_symbols : nullptr;
}

std::string Host::kernel_symbol(uint64_t address, bool with_offset) {
  if (state_->answers != nullptr) {
    auto told = state_->answers->kernel_symbols.find(address);
    if (told == state_->answers->kernel_symbols.end()) return fmt::format("{:#x}", address);
    return with_offset ? told->second.with_offset : told->second.name;
  }
  KernelSymbols *table = state_->kernel_symbol_table();
  std::optional<KernelSymbol> found = table == nullptr ? std::nullopt : table->find(address);
  if (!found) return fmt::format("{:#x}", address);
  std::string name(found->name);
  if (with_offset && found->offset != 0) fmt::format_to(std::back_inserter(name), "+{:#x}", found->offset);
  if (!found->module.empty()) fmt::format_to(std::back_inserter(name), " [{}]", found->module);
  return name;
}

const std::vector<FunctionParameter> *Host::kernel_parameters(uint64_t function) {
  // This host's functions may take something else.
  if (state_->answers != nullptr) return nullptr;
  auto [it, is_new] = state_->kernel_parameters.try_emplace(function);
  if (is_new) {
    KernelSymbols *table = state_->kernel_symbol_table();
    std::optional<KernelSymbol> found = table == nullptr ? std::nullopt : table->find(function);
    if (found) {
      Result<std::vector<FunctionParameter>> read =
          read_function_parameters(std::string(found->name), std::string(found->module));
      if (read) it->second = std::move(*read);
    }
  }
  return it->second ? &*it->second : nullptr;
}

UserSymbols &Host::State::user_symbol_tables() {
  if (user_symbols == nullptr) user_symbols = std::make_unique<UserSymbols>();
  return *user_symbols;
}

std::string Host::user_symbol(uint32_t pid, uint64_t address, bool is_return_address) {
  if (state_->answers != nullptr) {
    auto told = state_->answers->user_symbols.find({pid, address, is_return_address});
    return told == state_->answers->user_symbols.end() ? fmt::format("{:#x}", address) : told->second;
  }
  FrameAddress kind = is_return_address ? FrameAddress::kReturn : FrameAddress::kInstruction;
  return state_->user_symbol_tables().resolve(static_cast<int32_t>(pid), address, kind).text(false);
}

void Host::note_mappings(uint32_t pid) {
  if (state_->answers != nullptr) return;
  state_->user_symbol_tables().note(static_cast<int32_t>(pid));
}

}  // namespace waggle
