#include "script/run/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "script/output/aggregate.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

constexpr uint32_t kBatchKeys = 1024;
constexpr size_t kBatchBytesMost = 4u << 20;

Result<Fd> create_map(const MapPlan &plan) {
  bpf_map_create_opts options = {};
  options.sz = sizeof(options);
  options.map_flags = plan.flags;
  Fd map(bpf_map_create(plan.type, plan.name.c_str(), plan.key_bytes, plan.value_bytes, plan.entries, &options));
  if (map.valid()) return map;
  int error_number = errno;
  std::string what = fmt::format("cannot make the map '{}'", plan.name);
  // Older kernels, 5.10 among them, bound keys by the stack of a program.
  constexpr uint32_t kStackBytes = 512;
  if (error_number == E2BIG && plan.key_bytes > kStackBytes)
    return fail(ErrorCode::kUnsupported, std::move(what),
                fmt::format("its keys have {} bytes, and this kernel takes {} at most", plan.key_bytes, kStackBytes),
                "shorter strings: BPFTRACE_MAX_STRLEN=200, or config = { max_strlen = 200 }");
  if (error_number == ENOMEM || error_number == E2BIG)
    return fail(ErrorCode::kExhausted, std::move(what), strerror(error_number),
                "fewer keys (BPFTRACE_MAX_MAP_KEYS) or shorter strings (BPFTRACE_MAX_STRLEN) take less memory");
  return fail_errno(error_number, std::move(what), "run it as root, or with CAP_BPF");
}

}  // namespace

bool is_array(const MapPlan &plan) {
  return plan.type == BPF_MAP_TYPE_ARRAY || plan.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool is_per_cpu(const MapPlan &plan) {
  return plan.type == BPF_MAP_TYPE_PERCPU_ARRAY || plan.type == BPF_MAP_TYPE_PERCPU_HASH ||
         plan.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

Result<Maps> Maps::create(const Script &script, const Lowered &lowered) {
  Maps maps(script, lowered);
  maps.processors_ = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
  maps.places_.assign(script.maps.size(), SIZE_MAX);
  for (size_t i = 0; i < lowered.maps.size(); i++) {
    const MapPlan &plan = lowered.maps[i];
    Fd map = TRY(create_map(plan));
    maps.descriptors_.push_back(map.get());
    maps.owned_.push_back(std::move(map));
    if (plan.role != MapPlan::Role::kScript) continue;
    CHECK(plan.index < script.maps.size());
    maps.places_[plan.index] = i;
  }
  MapPlan stop;
  stop.name = "stop";
  stop.type = BPF_MAP_TYPE_ARRAY;
  stop.key_bytes = sizeof(uint32_t);
  stop.value_bytes = sizeof(uint64_t);
  stop.entries = 1;
  Fd map = TRY(create_map(stop));
  maps.descriptors_.push_back(map.get());
  maps.owned_.push_back(std::move(map));
  return maps;
}

Result<void> Maps::stop() const {
  uint32_t zero = 0;
  uint64_t is_over = 1;
  if (bpf_map_update_elem(descriptors_.back(), &zero, &is_over, BPF_ANY) != 0)
    return fail_errno(errno, "cannot stop the programs");
  return {};
}

const MapPlan *Maps::plan_of(MapPlan::Role role) const {
  for (const MapPlan &plan : lowered_->maps)
    if (plan.role == role) return &plan;
  return nullptr;
}

int Maps::of(MapPlan::Role role) const {
  const MapPlan *plan = plan_of(role);
  return plan == nullptr ? -1 : descriptors_[static_cast<size_t>(plan - lowered_->maps.data())];
}

size_t Maps::place_of(uint32_t map) const {
  CHECK(map < places_.size());
  return places_[map];
}

size_t Maps::copies_bytes(const MapPlan &plan) const {
  return size_t{rounded_to_words(plan.value_bytes)} * (is_per_cpu(plan) ? processors_ : 1);
}

std::vector<std::vector<std::byte>> Maps::keys_of(size_t place) const {
  const MapPlan &plan = lowered_->maps[place];
  std::vector<std::vector<std::byte>> keys;
  std::vector<std::byte> key(plan.key_bytes), next(plan.key_bytes);
  const void *after = nullptr;
  // A key that is deleted meanwhile makes the kernel begin anew: no more than there can be.
  while (keys.size() < plan.entries && bpf_map_get_next_key(descriptors_[place], after, next.data()) == 0) {
    keys.push_back(next);
    key = next;
    after = key.data();
  }
  return keys;
}

MapEntry Maps::entry_of(uint32_t map, const MapPlan &plan, std::span<const std::byte> key,
                        std::span<const std::byte> copies) const {
  const MapShape &shape = script_->maps[map].shape;
  MapEntry entry;
  if (!shape.key.is(TypeKind::kNone)) entry.key.assign(key.begin(), key.end());
  size_t bytes = value_bytes(shape.value);
  CHECK(bytes <= rounded_to_words(plan.value_bytes));
  if (!shape.value.is_aggregate()) {
    entry.value.assign(copies.begin(), copies.begin() + static_cast<long>(bytes));
    return entry;
  }
  // A map that is not per CPU has one copy, and reduce() takes any number of them.
  std::vector<std::byte> packed;
  size_t stride = rounded_to_words(plan.value_bytes);
  for (size_t at = 0; at + stride <= copies.size(); at += stride)
    packed.insert(packed.end(), copies.begin() + static_cast<long>(at), copies.begin() + static_cast<long>(at + bytes));
  entry.value = reduce(shape.value, packed);
  return entry;
}

std::vector<MapEntry> Maps::entries(uint32_t map) const {
  std::vector<MapEntry> made;
  size_t place = place_of(map);
  if (place == SIZE_MAX) return made;
  const MapPlan &plan = lowered_->maps[place];
  std::vector<std::byte> copies(copies_bytes(plan));
  if (is_array(plan)) {
    uint32_t zero = 0;
    if (bpf_map_lookup_elem(descriptors_[place], &zero, copies.data()) == 0)
      made.push_back(entry_of(map, plan, {}, copies));
    return made;
  }
  // Many at a time: a thousand keys cost as much as a few.
  // Histograms on a host with many CPUs are large: the buffer has a bound, too.
  const auto batch =
      static_cast<uint32_t>(std::clamp<size_t>(kBatchBytesMost / std::max<size_t>(copies.size(), 1), 16, kBatchKeys));
  std::vector<std::byte> keys(size_t{batch} * plan.key_bytes), values(size_t{batch} * copies.size());
  uint64_t in = 0, out = 0;
  bool is_first = true, is_last = false;
  while (!is_last) {
    uint32_t count = batch;
    bpf_map_batch_opts options = {};
    options.sz = sizeof(options);
    int result = bpf_map_lookup_batch(descriptors_[place], is_first ? nullptr : &in, &out, keys.data(), values.data(),
                                      &count, &options);
    is_last = result != 0;
    if (result != 0 && errno != ENOENT) break;
    for (uint32_t i = 0; i < count; i++)
      made.push_back(entry_of(map, plan, std::span(keys).subspan(size_t{i} * plan.key_bytes, plan.key_bytes),
                              std::span(values).subspan(size_t{i} * copies.size(), copies.size())));
    if (result != 0) return made;
    in = out;
    is_first = false;
  }
  // One bucket holds more than a batch, or the kernel reads no batches of this kind.
  made.clear();
  for (const std::vector<std::byte> &key : keys_of(place))
    if (bpf_map_lookup_elem(descriptors_[place], key.data(), copies.data()) == 0)
      made.push_back(entry_of(map, plan, key, copies));
  return made;
}

std::vector<MapEntry> Maps::entry(uint32_t map, std::span<const std::byte> key) const {
  size_t place = place_of(map);
  if (place == SIZE_MAX) return {};
  const MapPlan &plan = lowered_->maps[place];
  std::vector<std::byte> whole(plan.key_bytes), copies(copies_bytes(plan));
  std::copy_n(key.begin(), std::min(key.size(), whole.size()), whole.begin());
  if (bpf_map_lookup_elem(descriptors_[place], whole.data(), copies.data()) != 0) return {};
  std::vector<MapEntry> made;
  made.push_back(entry_of(map, plan, whole, copies));
  return made;
}

void Maps::clear(uint32_t map) const {
  size_t place = place_of(map);
  if (place == SIZE_MAX) return;
  if (is_array(lowered_->maps[place])) return zero(map);
  for (const std::vector<std::byte> &key : keys_of(place)) bpf_map_delete_elem(descriptors_[place], key.data());
}

void Maps::zero(uint32_t map) const {
  size_t place = place_of(map);
  if (place == SIZE_MAX) return;
  const MapPlan &plan = lowered_->maps[place];
  std::vector<std::byte> zeros(copies_bytes(plan));
  if (is_array(plan)) {
    uint32_t only = 0;
    bpf_map_update_elem(descriptors_[place], &only, zeros.data(), BPF_ANY);
    return;
  }
  // BPF_EXIST: what the script deleted meanwhile stays deleted.
  for (const std::vector<std::byte> &key : keys_of(place))
    bpf_map_update_elem(descriptors_[place], key.data(), zeros.data(), BPF_EXIST);
}

Result<void> Maps::set_globals(std::span<const uint64_t> words) const {
  const MapPlan *plan = plan_of(MapPlan::Role::kGlobals);
  if (plan == nullptr) return {};
  std::vector<std::byte> value(rounded_to_words(plan->value_bytes));
  std::memcpy(value.data(), words.data(), std::min(value.size(), words.size_bytes()));
  uint32_t zero = 0;
  if (bpf_map_update_elem(of(MapPlan::Role::kGlobals), &zero, value.data(), BPF_ANY) != 0)
    return fail_errno(errno, "cannot tell the script what it runs on");
  return {};
}

uint64_t Maps::lost() const {
  int map = of(MapPlan::Role::kLost);
  if (map < 0) return 0;
  std::vector<uint64_t> counts(processors_);
  uint32_t zero = 0;
  if (bpf_map_lookup_elem(map, &zero, counts.data()) != 0) return 0;
  uint64_t sum = 0;
  for (uint64_t each : counts) sum += each;
  return sum;
}

std::vector<uint64_t> Maps::stack(uint64_t id) const {
  const MapPlan *plan = plan_of(MapPlan::Role::kStacks);
  if (plan == nullptr) return {};
  std::vector<uint64_t> words(rounded_to_words(plan->value_bytes) / 8);
  if (bpf_map_lookup_elem(of(MapPlan::Role::kStacks), &id, words.data()) != 0) return {};
  uint64_t frames = std::min<uint64_t>(static_cast<uint32_t>(words[0]), words.size() - 1);
  return {words.begin() + 1, words.begin() + 1 + static_cast<long>(frames)};
}

uint64_t Maps::bytes_of(const MapPlan &plan, uint32_t processors) {
  if (plan.type == BPF_MAP_TYPE_RINGBUF) return plan.entries;
  uint64_t copies = is_per_cpu(plan) ? processors : 1;
  uint64_t value = uint64_t{rounded_to_words(plan.value_bytes)} * copies;
  // A hash has a node of some 64 bytes for each entry.
  return plan.entries * (is_array(plan) ? value : value + rounded_to_words(plan.key_bytes) + 64);
}

}  // namespace waggle::script
