#include "codegen/builder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace waggle::codegen {

Builder::Builder(std::string name, uint32_t parameters) {
  CHECK(parameters <= kArgumentsMost);
  function_.name = std::move(name);
  function_.parameters = parameters;
  function_.registers = parameters;
}

Register Builder::parameter(uint32_t index) const {
  CHECK(index < function_.parameters);
  return {index};
}

Register Builder::variable() {
  return {function_.registers++};
}

void Builder::assign(Register to, Value value) {
  CHECK(to.id < function_.registers);
  append(Op::kMove, {value}).to = to.id;
}

Register Builder::copy(Value value) {
  return unary(Op::kMove, Size::k8, value);
}

Register Builder::unary(Op op, Size size, Value value) {
  Register to = variable();
  Instruction &made = append(op, {value});
  made.size = size;
  made.to = to.id;
  return to;
}

Register Builder::binary(Op op, Value left, Value right) {
  CHECK(op >= Op::kAdd && op < Op::kCompare);
  Register to = variable();
  append(op, {left, right}).to = to.id;
  return to;
}

Register Builder::div(Value left, Value right, bool is_signed) {
  return binary(is_signed ? Op::kSignedDiv : Op::kDiv, left, right);
}

Register Builder::mod(Value left, Value right, bool is_signed) {
  return binary(is_signed ? Op::kSignedMod : Op::kMod, left, right);
}

Register Builder::shift_right(Value left, Value count, bool is_signed) {
  return binary(is_signed ? Op::kShiftRightSigned : Op::kShiftRight, left, count);
}

Register Builder::compare(Condition condition, Value left, Value right) {
  Register to = variable();
  Instruction &made = append(Op::kCompare, {left, right});
  made.condition = condition;
  made.to = to.id;
  return to;
}

Register Builder::narrow(Size size, bool is_signed, Value value) {
  return unary(is_signed ? Op::kSignExtend : Op::kZeroExtend, size, value);
}

Register Builder::byte_swap(Size size, Value value) {
  CHECK(size != Size::k1);
  return unary(Op::kByteSwap, size, value);
}

Register Builder::load(Size size, Value base, int32_t offset, bool is_signed) {
  Register to = unary(Op::kLoad, size, base);
  function_.body.back().offset = offset;
  return is_signed && size != Size::k8 ? narrow(size, true, to) : to;
}

void Builder::store(Size size, Value base, int32_t offset, Value value) {
  Instruction &made = append(Op::kStore, {base, value});
  made.size = size;
  made.offset = offset;
}

void Builder::atomic_add(Size size, Value base, int32_t offset, Value value) {
  CHECK(size == Size::k4 || size == Size::k8);
  Instruction &made = append(Op::kAtomicAdd, {base, value});
  made.size = size;
  made.offset = offset;
}

Slot Builder::slot(uint32_t bytes, uint32_t alignment) {
  CHECK(bytes > 0 && (alignment == 1 || alignment == 2 || alignment == 4 || alignment == 8));
  function_.slots.push_back({bytes, alignment, static_cast<uint32_t>(function_.body.size()), UINT32_MAX});
  return {static_cast<uint32_t>(function_.slots.size() - 1)};
}

void Builder::release(Slot slot) {
  CHECK(slot.id < function_.slots.size());
  function_.slots[slot.id].dead = static_cast<uint32_t>(function_.body.size());
}

Register Builder::call(Op op, uint32_t target, std::span<const Value> arguments) {
  CHECK(arguments.size() <= kArgumentsMost);
  Register to = variable();
  Instruction &made = append(op, {});
  for (const Value &each : arguments) {
    check(each);
    made.in[made.inputs++] = each;
  }
  made.target = target;
  made.to = to.id;
  return to;
}

Register Builder::call(bpf_func_id helper, std::span<const Value> arguments) {
  return call(Op::kCallHelper, static_cast<uint32_t>(helper), arguments);
}

Register Builder::call(bpf_func_id helper, std::initializer_list<Value> arguments) {
  return call(helper, std::span<const Value>(arguments.begin(), arguments.size()));
}

Register Builder::call_function(FunctionId function, std::span<const Value> arguments) {
  return call(Op::kCallFunction, function, arguments);
}

Register Builder::call_function(FunctionId function, std::initializer_list<Value> arguments) {
  return call_function(function, std::span<const Value>(arguments.begin(), arguments.size()));
}

Label Builder::label() {
  bound_.push_back(false);
  return {function_.labels++};
}

void Builder::bind(Label label) {
  CHECK(label.id < function_.labels && !bound_[label.id]);
  bound_[label.id] = true;
  append(Op::kLabel, {}).target = label.id;
}

void Builder::jump(Label label) {
  CHECK(label.id < function_.labels);
  append(Op::kJump, {}).target = label.id;
}

void Builder::branch(Condition condition, Value left, Value right, Label label) {
  CHECK(label.id < function_.labels);
  Instruction &made = append(Op::kBranch, {left, right});
  made.condition = condition;
  made.target = label.id;
}

void Builder::ret(Value value) {
  append(Op::kReturn, {value});
}

Function Builder::finish() {
  ret(0);
  for (const Instruction &each : function_.body) CHECK(!each.is_jump() || bound_[each.target]);
  return std::move(function_);
}

Instruction &Builder::append(Op op, std::initializer_list<Value> in) {
  Instruction made;
  made.op = op;
  made.inputs = static_cast<uint8_t>(in.size());
  std::copy(in.begin(), in.end(), made.in.begin());
  for (const Value &each : in) check(each);
  made.position = position_;
  function_.body.push_back(made);
  return function_.body.back();
}

void Builder::check(Value value) const {
  if (value.kind == Value::Kind::kRegister) CHECK(value.id < function_.registers);
  if (value.kind == Value::Kind::kSlot) CHECK(value.id < function_.slots.size());
}

}  // namespace waggle::codegen
