// Maps: their keys, and values that are not aggregates.
#include <algorithm>

#include "base/check.h"
#include "script/lower/callback.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

// New values of so many bytes are made on the stack.
constexpr uint32_t kNewOnStackMost = 16;
// Flags of bpf_map_update_elem, as numbers.
constexpr uint64_t kAny = BPF_ANY, kIfNew = BPF_NOEXIST;

}  // namespace

codegen::Value Writer::map_key(uint32_t map, const Node *key) {
  const ScriptMap &of = script_.maps[map];
  if (key == nullptr || of.shape.key.is(TypeKind::kNone)) {
    Memory none = temporary(kWordBytes);
    store(is_array(of) ? Size::k4 : Size::k8, none, 0);
    return address(none);
  }
  if (is_scalar(key->type)) {
    Value number = scalar(*key);
    Memory to = temporary(kWordBytes);
    store_number(is_scalar(of.shape.key) ? of.shape.key : key->type, to, number);
    return address(to);
  }
  return address(memory(*key, true));
}

Writer::Memory Writer::map_memory(uint32_t map) const {
  return {Value::map_value(plan_.script_map(map))};
}

codegen::Register Writer::lookup(uint32_t map, const Value &key) {
  return b().call(BPF_FUNC_map_lookup_elem, {Value::map(plan_.script_map(map)), key});
}

codegen::Value Writer::map_number(const Node &node) {
  const ScriptMap &map = script_.maps[node.map];
  const Node *key = node.in.empty() ? nullptr : node.in[0];
  if (is_per_cpu(map)) return reduced(node.map, map_key(node.map, key), node.at);
  if (is_array(map)) return load_number(map.shape.value, map_memory(node.map));
  Register found = lookup(node.map, map_key(node.map, key)), result = b().variable();
  Label end = b().label();
  b().assign(result, 0);
  b().branch_unless(found, end);
  b().assign(result, load_number(map.shape.value, {found}));
  b().bind(end);
  return result;
}

// Where the value is, or zeros.
Writer::Memory Writer::map_value_memory(const Node &node) {
  const ScriptMap &map = script_.maps[node.map];
  if (is_array(map)) return map_memory(node.map);
  Value key = map_key(node.map, node.in.empty() ? nullptr : node.in[0]);
  Register found = b().variable();
  Label end = b().label();
  b().assign(found, lookup(node.map, key));
  b().branch_if(found, end);
  b().assign(found, zeros(node.type.bytes()));
  b().bind(end);
  return {found};
}

codegen::Value Writer::map_has(const Node &node) {
  const ScriptMap &map = script_.maps[node.map];
  if (is_array(map)) return 1;
  Register found = lookup(node.map, map_key(node.map, node.in.empty() ? nullptr : node.in[0]));
  return b().compare(Condition::kNotEqual, found, 0);
}

codegen::Value Writer::map_delete(const Node &node) {
  const ScriptMap &map = script_.maps[node.map];
  Value key = map_key(node.map, node.in.empty() ? nullptr : node.in[0]);
  if (is_array(map)) {
    zero_scalar(node.map, key, node.at);
    return 1;
  }
  Register failed = b().call(BPF_FUNC_map_delete_elem, {Value::map(plan_.script_map(node.map)), key});
  if (node.action != kNoAction) {
    Label end = b().label();
    b().branch_unless(failed, end);
    emit_error(node.action, failed);
    b().bind(end);
  }
  return b().compare(Condition::kEqual, failed, 0);
}

// An array always has its value: what is deleted is 0 again.
void Writer::zero_scalar(uint32_t map, const Value &key, const Location &at) {
  const auto bytes = static_cast<uint32_t>(value_bytes(script_.maps[map].shape.value));
  if (!is_per_cpu(script_.maps[map])) return zero(map_memory(map), bytes);
  zero_copies(map, key, bytes, at);
}

codegen::Value Writer::map_length(const Node &node) {
  const ScriptMap &map = script_.maps[node.map];
  if (is_array(map)) return 1;
  if (!options_.has_for_each) {
    unsupported(node.at, "entries of a map cannot be counted", "bpf_for_each_map_elem", "5.13");
    return 0;
  }
  // It says how many it has called the function for.
  codegen::FunctionId id = callback("count_entries", 4, 3, [&] {});
  return b().call(BPF_FUNC_for_each_map_elem,
                  {Value::map(plan_.script_map(node.map)), Value::function(id), address(frame(0)), 0});
}

void Writer::assign_map(const Step &step) {
  const ScriptMap &map = script_.maps[step.map];
  const Type &type = map.shape.value;
  if (is_array(map)) {
    if (is_scalar(type)) return store_number(type, map_memory(step.map), scalar(*step.value));
    if (!reads_map(*step.value, step.map)) return write(*step.value, map_memory(step.map), false);
    Memory now = memory(*step.value);
    return copy_bytes(map_memory(step.map), now, type.bytes());
  }
  Value key = map_key(step.map, step.key);
  const uint32_t bytes = type.bytes(), whole = (bytes + kWordBytes - 1) / kWordBytes * kWordBytes;
  Memory value;
  if (bytes == whole && !is_scalar(type)) {
    value = memory(*step.value);
  } else {
    value = temporary(std::max(whole, kWordBytes));
    write(*step.value, value, false);
    zero(value.at(bytes), std::max(whole, kWordBytes) - bytes);
  }
  Register failed =
      b().call(BPF_FUNC_map_update_elem, {Value::map(plan_.script_map(step.map)), key, address(value), kAny});
  if (step.action == kNoAction) return;
  Label end = b().label();
  b().branch_unless(failed, end);
  emit_error(step.action, failed);
  b().bind(end);
}

codegen::Register Writer::find_or_insert(uint32_t map, const Value &key, uint32_t bytes, uint32_t action,
                                         const Label &failed) {
  Register found = b().variable();
  Label end = b().label();
  b().assign(found, lookup(map, key));
  if (is_array(script_.maps[map])) {
    b().branch_unless(found, failed);
    return found;
  }
  b().branch_if(found, end);
  Value nothing = 0;
  if (bytes <= kNewOnStackMost) {
    Memory zeroed = temporary(bytes);
    zero(zeroed, bytes);
    nothing = address(zeroed);
  } else {
    nothing = zeros(bytes);
  }
  // Another CPU may be first, and then its value is the one.
  Register error = b().call(BPF_FUNC_map_update_elem, {Value::map(plan_.script_map(map)), key, nothing, kIfNew});
  b().assign(found, lookup(map, key));
  b().branch_if(found, end);
  if (action != kNoAction) emit_error(action, error);
  b().jump(failed);
  b().bind(end);
  return found;
}

codegen::Value Writer::increment_map(const Node &node, bool wants_value) {
  const ScriptMap &map = script_.maps[node.map];
  const Type &type = map.shape.value;
  const auto bytes = static_cast<uint32_t>((value_bytes(type) + kWordBytes - 1) / kWordBytes * kWordBytes);
  Label end = b().label();
  Register result = b().variable();
  b().assign(result, 0);
  Memory value;
  if (is_array(map)) {
    value = map_memory(node.map);
  } else {
    Value key = map_key(node.map, node.in.empty() ? nullptr : node.in[0]);
    value = {find_or_insert(node.map, key, bytes, node.action, end)};
  }
  Register old = load_number(type, value);
  Value now = narrow(type, b().add(old, node.by));
  // Not one is missed, whoever else counts.
  if (type.bytes() >= 4)
    b().atomic_add(size_of(type), value.base, static_cast<int32_t>(value.offset), node.by);
  else
    store_number(type, value, now);
  if (wants_value) b().assign(result, node.is_before ? now : Value(old));
  b().bind(end);
  return result;
}

}  // namespace waggle::script
