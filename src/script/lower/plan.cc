#include "script/lower/plan.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "script/output/value.h"

namespace waggle::script {
namespace {

constexpr size_t kNameBytesMost = BPF_OBJ_NAME_LEN - 1;
// More than this is allocated only as it is used, where the kernel can do that from any
// context.
constexpr uint64_t kPreallocatedMost = 4u << 20;
constexpr uint32_t kStacksMost = 65536, kStacksPreallocated = 8192;

// "@start" is at_start, "@" is at.
std::string map_name(std::string_view name) {
  std::string made = name.size() > 1 ? "at_" : "at";
  for (char each : name)
    if (std::isalnum(static_cast<unsigned char>(each)) != 0 || each == '_') made += each;
  made.resize(std::min(made.size(), kNameBytesMost));
  return made;
}

bpf_map_type hash_type(const ScriptMap &map) {
  bool is_lru = map.kind == ScriptMap::Kind::kLruHash || map.kind == ScriptMap::Kind::kPerCpuLruHash;
  if (is_per_cpu(map)) return is_lru ? BPF_MAP_TYPE_LRU_PERCPU_HASH : BPF_MAP_TYPE_PERCPU_HASH;
  return is_lru ? BPF_MAP_TYPE_LRU_HASH : BPF_MAP_TYPE_HASH;
}

}  // namespace

bool is_array(const ScriptMap &map) {
  return map.shape.key.is(TypeKind::kNone) && map.kind == ScriptMap::Kind::kDefault;
}

bool is_per_cpu(const ScriptMap &map) {
  return map.shape.value.is_aggregate();
}

Plan::Plan(const Script &script, const LowerOptions &options) {
  for (uint32_t i = 0; i < script.maps.size(); i++) add_script_map(script, i, options);
  // A ring is a map even where the script says nothing: the runtime polls it all the same.
  uint64_t ring_bytes = options.ring_bytes == 0 ? 1u << 16 : options.ring_bytes;
  ring_ = add(MapPlan::Role::kRing, "ring", BPF_MAP_TYPE_RINGBUF, 0, 0, static_cast<uint32_t>(ring_bytes));
  lost_ = add(MapPlan::Role::kLost, "lost", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint32_t), kWordBytes, 1);
  globals_ = add(MapPlan::Role::kGlobals, "globals", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                 static_cast<uint32_t>(kGlobalWords) * kWordBytes, 1);
  zeros_ = add(MapPlan::Role::kScratch, "zeros", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), kWordBytes, 1);
  if (script.stack_frames_most > 0) {
    uint32_t bytes = kWordBytes * (1 + script.stack_frames_most);
    stacks_ = options.has_safe_allocation
                  ? add(MapPlan::Role::kStacks, "stacks", BPF_MAP_TYPE_HASH, kWordBytes, bytes, kStacksMost,
                        BPF_F_NO_PREALLOC)
                  : add(MapPlan::Role::kStacks, "stacks", BPF_MAP_TYPE_HASH, kWordBytes, bytes, kStacksPreallocated);
  }
}

void Plan::add_script_map(const Script &script, uint32_t index, const LowerOptions &options) {
  const ScriptMap &map = script.maps[index];
  const uint32_t value_bytes_ = std::max(rounded_to_words(value_bytes(map.shape.value)), kWordBytes);
  if (is_array(map)) {
    add(MapPlan::Role::kScript, map_name(map.shape.name),
        is_per_cpu(map) ? BPF_MAP_TYPE_PERCPU_ARRAY : BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), value_bytes_, 1);
  } else {
    uint32_t key_bytes = map.shape.key.is(TypeKind::kNone) ? kWordBytes : std::max(map.shape.key.bytes(), 1u);
    bpf_map_type type = hash_type(map);
    uint64_t copies = is_per_cpu(map) ? options.processors : 1;
    uint64_t all_bytes = map.entries * (copies * value_bytes_ + key_bytes);
    bool is_lru = type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    bool on_demand = options.has_safe_allocation && !is_lru && all_bytes > kPreallocatedMost;
    add(MapPlan::Role::kScript, map_name(map.shape.name), type, key_bytes, value_bytes_, std::max(map.entries, 1u),
        on_demand ? BPF_F_NO_PREALLOC : 0);
  }
  maps_.back().index = index;
}

void Plan::need_zeros(uint32_t bytes) {
  uint32_t &there = maps_[zeros_].value_bytes;
  there = std::max(there, rounded_to_words(bytes));
}

void Plan::add_scratch(const std::string &program, uint32_t bytes, uint32_t values) {
  // A cache line of two CPUs is one that both wait for.
  constexpr uint32_t kLine = 64;
  add(MapPlan::Role::kScratch, ("s_" + program).substr(0, kNameBytesMost), BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
      (bytes + kLine - 1) / kLine * kLine, values);
}

codegen::MapId Plan::add(MapPlan::Role role, std::string name, bpf_map_type type, uint32_t key_bytes,
                         uint32_t value_bytes, uint32_t entries, uint32_t flags) {
  MapPlan plan;
  plan.role = role;
  plan.name = std::move(name);
  plan.type = type;
  plan.key_bytes = key_bytes;
  plan.value_bytes = value_bytes;
  plan.entries = entries;
  plan.flags = flags;
  maps_.push_back(std::move(plan));
  return static_cast<codegen::MapId>(maps_.size() - 1);
}

}  // namespace waggle::script
