// The maps of a script, in the order of their ids. For lower() alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codegen/ir.h"
#include "script/lower/lower.h"
#include "script/program/program.h"

namespace waggle::script {

// A scalar map that `let` says nothing of: its only value lies at a known address.
bool is_array(const ScriptMap &map);
// Values are one a CPU.
bool is_per_cpu(const ScriptMap &map);

class Plan {
 public:
  Plan(const Script &script, const LowerOptions &options);

  codegen::MapId script_map(uint32_t map) const { return map; }
  codegen::MapId ring() const { return ring_; }
  codegen::MapId lost() const { return lost_; }
  codegen::MapId globals() const { return globals_; }
  codegen::MapId stacks() const { return stacks_; }
  // Zeros that nobody writes: what is read where a map has no value, and what new values
  // of aggregates are made of.
  codegen::MapId zeros() const { return zeros_; }
  // Programs say how many they want before the maps are taken.
  void need_zeros(uint32_t bytes);
  // Scratch memory for one program: `values` of them, each of `bytes`.
  codegen::MapId next_scratch() const { return static_cast<codegen::MapId>(maps_.size()); }
  void add_scratch(const std::string &program, uint32_t bytes, uint32_t values);

  std::vector<MapPlan> take() { return std::move(maps_); }

 private:
  void add_script_map(const Script &script, uint32_t index, const LowerOptions &options);
  codegen::MapId add(MapPlan::Role role, std::string name, bpf_map_type type, uint32_t key_bytes, uint32_t value_bytes,
                     uint32_t entries, uint32_t flags = 0);

  std::vector<MapPlan> maps_;
  codegen::MapId ring_ = 0, lost_ = 0, globals_ = 0, stacks_ = 0, zeros_ = 0;
};

}  // namespace waggle::script
