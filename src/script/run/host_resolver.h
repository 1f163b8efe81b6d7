// What values of a running script stand for, asked of this host: the kernel's symbols, those
// of processes, stacks in the script's maps, users, cgroups and clocks.
//
// Nothing is read before it is asked for: /proc/kallsyms takes 50 ms and 5 MB.
// Threads: one at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernel/cgroup.h"
#include "script/output/resolver.h"
#include "script/program/program.h"
#include "script/run/mappings.h"
#include "script/run/maps.h"
#include "symbol/kernel_symbols.h"
#include "symbol/user_symbols.h"

namespace waggle::script {

class HostResolver : public Resolver {
 public:
  // Both must outlive it.
  HostResolver(const Script &script, const Maps &maps) : script_(script), maps_(maps) {}

  // Begins to follow what processes map, if the script prints addresses of user space.
  void follow();
  // Takes in what has happened since: before the events that come of it are printed.
  void catch_up();
  // Remembers the mappings of a process the first time, so that its symbols have names
  // when it has ended.
  void note(uint32_t pid);

  std::vector<Symbol> kernel_symbols(uint64_t address) override;
  std::vector<Symbol> user_symbols(uint32_t pid, uint64_t address) override;
  std::vector<Frame> kernel_stack(uint64_t id) override;
  std::vector<Frame> user_stack(uint64_t id, uint32_t pid) override;
  std::string user_name(uint64_t uid) override;
  std::string cgroup_path(uint64_t pattern_id, uint64_t cgroup_id) override;
  TimeFormat time_format(uint64_t id) override;
  int64_t wall_ns(Clock clock, uint64_t reading_ns) override;
  int64_t now_ns() override;
  std::string_view trailer(size_t length) override;

 private:
  struct Mapping {
    uint64_t start = 0, end = 0, offset = 0;
  };

  bool wants_build_ids();
  std::optional<uint64_t> file_offset(uint32_t pid, uint64_t address);

  const Script &script_;
  const Maps &maps_;
  std::optional<Result<KernelSymbols>> kernel_;
  std::unique_ptr<UserSymbols> user_;
  std::optional<Mappings> followed_;
  std::unordered_set<uint32_t> noted_;
  std::map<uint32_t, std::vector<Mapping>> mappings_;  // for build ids
  std::unordered_map<uint64_t, std::string> users_;
  std::optional<Result<CgroupTree>> cgroups_;
  std::optional<bool> wants_build_ids_;
};

}  // namespace waggle::script
