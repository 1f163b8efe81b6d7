// The maps of a script in the kernel: made from their plans, read, cleared, zeroed.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "script/lower/lower.h"
#include "script/output/map.h"
#include "script/program/program.h"

namespace waggle::script {

class Maps {
 public:
  // `script` and `lowered` must outlive it.
  //   errors  Denied     privileges are missing
  //           Exhausted  the kernel has no memory for a map
  static Result<Maps> create(const Script &script, const Lowered &lowered);

  // By codegen::MapId; behind those of the plans the one whose word says that the run is over.
  const std::vector<int> &descriptors() const { return descriptors_; }
  // Sets that word: programs that events run return at once from now on (programs.h).
  Result<void> stop() const;
  // The first map of a role; -1: there is none.
  int of(MapPlan::Role role) const;
  const MapPlan *plan_of(MapPlan::Role role) const;

  // All entries of Script::maps[map], in no order.
  std::vector<MapEntry> entries(uint32_t map) const;
  // The one at a key, laid out as the type of the map's keys; none: there is no such entry.
  std::vector<MapEntry> entry(uint32_t map, std::span<const std::byte> key) const;
  void clear(uint32_t map) const;  // no entries any more; of an array: zeros
  void zero(uint32_t map) const;   // the entries stay, their values are 0

  // kGlobals' words.
  Result<void> set_globals(std::span<const uint64_t> words) const;
  // What kLost has counted since the script began.
  uint64_t lost() const;
  // The addresses of a stack, innermost first; empty: there is none of that id.
  std::vector<uint64_t> stack(uint64_t id) const;
  // Bytes of memory that the kernel takes for the entries of all maps, filled.
  static uint64_t bytes_of(const MapPlan &plan, uint32_t processors);

 private:
  Maps(const Script &script, const Lowered &lowered) : script_(&script), lowered_(&lowered) {}
  size_t place_of(uint32_t map) const;  // in lowered_->maps
  size_t copies_bytes(const MapPlan &plan) const;
  std::vector<std::vector<std::byte>> keys_of(size_t place) const;
  MapEntry entry_of(uint32_t map, const MapPlan &plan, std::span<const std::byte> key,
                    std::span<const std::byte> copies) const;

  const Script *script_;
  const Lowered *lowered_;
  std::vector<Fd> owned_;
  std::vector<int> descriptors_;
  std::vector<size_t> places_;  // of each of Script::maps
  uint32_t processors_ = 1;
};

bool is_array(const MapPlan &plan);
bool is_per_cpu(const MapPlan &plan);

}  // namespace waggle::script
