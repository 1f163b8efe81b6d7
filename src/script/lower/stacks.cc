// Stacks: taken into scratch memory, and kept once each in the map of stacks, under a number
// that is made of their addresses.
#include <algorithm>

#include "base/check.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

constexpr uint64_t kIfNew = BPF_NOEXIST;
constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / the golden ratio

}  // namespace

// Its id; 0 if there is none.
codegen::Value Writer::stack(const Node &node) {
  const uint32_t most = std::min(node.type.count(), script_.stack_frames_most);
  const uint64_t flags = node.op == Op::kUserStack ? uint64_t{BPF_F_USER_STACK} : 0;
  Register id = b().variable();
  Label end = b().label();
  b().assign(id, 0);
  if (most == 0) {
    b().bind(end);
    return id;
  }
  Memory record = temporary(kWordBytes * (1 + script_.stack_frames_most));
  const Memory frames = record.at(kWordBytes);
  // For typed programs kernels before 6.9 declare this memory as read, and want it written.
  if (record.base.kind == Value::Kind::kSlot) zero(frames, most * kWordBytes);
  Register bytes = b().call(BPF_FUNC_get_stack, {context(), address(frames), most * kWordBytes, flags});
  b().branch(Condition::kLess, bytes, kWordBytes, end);
  Register count = b().shift_right(bytes, 3);
  store(Size::k8, record, count);
  Value hash = stack_hash(frames, count, most);
  Memory key = temporary(kWordBytes);
  store(Size::k8, key, hash);
  Label known = b().label();
  const Value map = Value::map(plan_.stacks());
  b().branch_if(b().call(BPF_FUNC_map_lookup_elem, {map, address(key)}), known);
  Register failed = b().call(BPF_FUNC_map_update_elem, {map, address(key), address(record), kIfNew});
  b().branch_unless(failed, known);
  // Another CPU has put it there meanwhile, or there is no room.
  b().branch_unless(b().call(BPF_FUNC_map_lookup_elem, {map, address(key)}), end);
  b().bind(known);
  b().assign(id, hash);
  b().bind(end);
  return id;
}

codegen::Value Writer::stack_hash(const Memory &frames, const Value &count, uint32_t most) {
  Register hash = b().variable(), index = b().variable();
  Label again = b().label(), end = b().label();
  Value first = address(frames);
  b().assign(hash, count);
  b().assign(index, 0);
  b().bind(again);
  b().branch(Condition::kAboveEqual, index, count, end);
  Register frame = b().load(Size::k8, b().add(first, b().shift_left(index, 3)));
  Register mixed = b().mul(b().bit_xor(hash, frame), kMultiplier);
  b().assign(hash, b().bit_xor(mixed, b().shift_right(mixed, 32)));
  b().assign(index, b().add(index, 1));
  b().branch(Condition::kBelow, index, most, again);
  b().bind(end);
  // 0 is no stack.
  Label is_number = b().label();
  b().branch_if(hash, is_number);
  b().assign(hash, 1);
  b().bind(is_number);
  return hash;
}

codegen::Value Writer::stack_length(const Node &node) {
  const Node &of = *node.in[0];
  Memory key = temporary(kWordBytes);
  if (is_scalar(of.type))
    store(Size::k8, key, scalar(of));
  else
    copy_bytes(key, memory(of), kWordBytes);
  Register frames = b().variable();
  Label end = b().label();
  b().assign(frames, 0);
  Register found = b().call(BPF_FUNC_map_lookup_elem, {Value::map(plan_.stacks()), address(key)});
  b().branch_unless(found, end);
  b().assign(frames, b().load(Size::k4, found));
  b().bind(end);
  return frames;
}

}  // namespace waggle::script
