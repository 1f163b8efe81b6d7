// Statements. Loops are functions that the kernel calls, where it does; else they end after
// kLoopsMost turns, because the verifier walks each of them.
#include <algorithm>

#include "base/check.h"
#include "script/lower/callback.h"

namespace waggle::script {
namespace {

constexpr uint64_t kBpfLoopsMost = 1u << 23;

}  // namespace

void Writer::block(const std::vector<const Step *> &steps) {
  for (const Step *each : steps) step(*each);
}

void Writer::step(const Step &step) {
  at(step.at);
  const Mark before = mark();
  switch (step.kind) {
    case Step::Kind::kEvaluate:
      if (step.value != nullptr) effect(*step.value);
      break;
    case Step::Kind::kAssign:
      assign_variable(step.variable, *step.value);
      break;
    case Step::Kind::kMapAssign:
      assign_map(step);
      break;
    case Step::Kind::kMapCount:
      count(step);
      break;
    case Step::Kind::kIf:
      if_step(step);
      break;
    case Step::Kind::kWhile:
      while_step(step);
      break;
    case Step::Kind::kForMap:
      for_map(step);
      break;
    case Step::Kind::kForRange:
      for_range(step);
      break;
    case Step::Kind::kUnroll:
      for (uint32_t i = 0; i < step.times_known; i++) block(step.body);
      break;
    case Step::Kind::kReturn:
      return_step(step);
      break;
    case Step::Kind::kBreak:
      leave_loop(false);
      break;
    case Step::Kind::kContinue:
      leave_loop(true);
      break;
    case Step::Kind::kBlock:
      block(step.body);
      break;
  }
  release(before);
}

void Writer::if_step(const Step &step) {
  Label otherwise = b().label();
  const Mark before = mark();
  branch(*step.value, otherwise, false);
  release(before);
  block(step.body);
  if (step.otherwise.empty()) return b().bind(otherwise);
  Label end = b().label();
  b().jump(end);
  b().bind(otherwise);
  block(step.otherwise);
  b().bind(end);
}

void Writer::body_of_callback(const Step &step) {
  part_->loops.push_back({true, {}, {}});
  block(step.body);
  part_->loops.pop_back();
}

// In a callback a loop goes on with 0 and ends with 1.
void Writer::leave_loop(bool continues) {
  CHECK(!part_->loops.empty());
  const Loop &loop = part_->loops.back();
  if (loop.is_callback)
    b().ret(continues ? 0 : 1);
  else
    b().jump(continues ? loop.next : loop.after);
}

void Writer::after_callback() {
  if (!is_rehearsal_ && !needs_.returned) return;
  Label goes_on = b().label();
  b().branch_unless(load_returned(), goes_on);
  if (is_callback())
    b().ret(1);
  else
    b().jump(leave_);
  b().bind(goes_on);
}

void Writer::return_step(const Step &step) {
  if (is_callback()) {
    if (step.value != nullptr) effect(*step.value);
    set_returned();
    return b().ret(1);
  }
  if (step.value != nullptr && is_scalar(step.value->type)) {
    Value value = scalar(*step.value);
    // What others than waggle itself are told is theirs to say: 0, the event is dealt with.
    if (mechanism_ == Mechanism::kItself) b().assign(returns_, value);
  }
  b().jump(leave_);
}

void Writer::while_step(const Step &step) {
  if (!loops_by_callback(step, options_)) {
    Register turns = b().variable();
    Label again = b().label(), next = b().label(), after = b().label();
    b().assign(turns, 0);
    b().bind(again);
    const Mark before = mark();
    branch(*step.value, after, false);
    release(before);
    part_->loops.push_back({false, after, next});
    block(step.body);
    part_->loops.pop_back();
    b().bind(next);
    b().assign(turns, b().add(turns, 1));
    b().branch(Condition::kBelow, turns, kLoopsMost, again);
    return b().bind(after);
  }
  codegen::FunctionId id = callback("while", 2, 1, [&] {
    Label stop = b().label();
    const Mark before = mark();
    branch(*step.value, stop, false);
    release(before);
    body_of_callback(step);
    b().ret(0);
    b().bind(stop);
    b().ret(1);
  });
  b().call(BPF_FUNC_loop, {kBpfLoopsMost, Value::function(id), address(frame(0)), 0});
  after_callback();
}

void Writer::for_range(const Step &step) {
  const Type &type = script_.variables[step.variable].type;
  Value first = scalar(*step.value), end = scalar(*step.end);
  const Condition is_over = type.is_signed() ? Condition::kGreaterEqual : Condition::kAboveEqual;
  Label after = b().label();
  if (!loops_by_callback(step, options_)) {
    Register index = b().variable(), turns = b().variable();
    Label again = b().label(), next = b().label();
    b().assign(index, first);
    b().assign(turns, 0);
    b().bind(again);
    b().branch(is_over, index, end, after);
    set_number(step.variable, index);
    part_->loops.push_back({false, after, next});
    block(step.body);
    part_->loops.pop_back();
    b().bind(next);
    b().assign(index, b().add(index, 1));
    b().assign(turns, b().add(turns, 1));
    b().branch(Condition::kBelow, turns, kLoopsMost, again);
    return b().bind(after);
  }
  b().branch(is_over, first, end, after);
  Register turns = b().variable();
  Label enough = b().label();
  b().assign(turns, b().sub(end, first));
  b().branch(Condition::kBelowEqual, turns, kBpfLoopsMost, enough);
  b().assign(turns, kBpfLoopsMost);
  b().bind(enough);
  const uint32_t first_word = first.is_constant() ? 0 : frame_word();
  if (!first.is_constant()) store(Size::k8, frame(first_word), first);
  codegen::FunctionId id = callback("for", 2, 1, [&] {
    Value from = first.is_constant() ? first : Value(load(Size::k8, frame(first_word)));
    set_number(step.variable, narrow(type, b().add(from, b().parameter(0))));
    body_of_callback(step);
  });
  b().call(BPF_FUNC_loop, {turns, Value::function(id), address(frame(0)), 0});
  after_callback();
  b().bind(after);
}

void Writer::for_map(const Step &step) {
  if (!options_.has_for_each)
    return unsupported(step.at, "for over a map is not possible", "bpf_for_each_map_elem", "5.13");
  const ScriptMap &map = script_.maps[step.map];
  const Type &type = script_.variables[step.variable].type;
  CHECK(type.fields().size() == 2);
  const Field &key = type.fields()[0], &value = type.fields()[1];
  codegen::FunctionId id = callback("for_map", 4, 3, [&] {
    constexpr uint32_t kKey = 1, kValue = 2;
    Memory entry = variable_memory(step.variable);
    const Memory key_at = entry.at(key.offset), value_at = entry.at(value.offset);
    zero_gaps(type, entry);
    copy_bytes(key_at, {b().parameter(kKey)}, key.type.bytes());
    const Mark before = mark();
    if (is_per_cpu(map))
      store_number(value.type, value_at, reduced(step.map, address(key_at), step.at));
    else
      copy_bytes(value_at, {b().parameter(kValue)}, value.type.bytes());
    release(before);
    body_of_callback(step);
  });
  b().call(BPF_FUNC_for_each_map_elem,
           {Value::map(plan_.script_map(step.map)), Value::function(id), address(frame(0)), 0});
  after_callback();
}

}  // namespace waggle::script
