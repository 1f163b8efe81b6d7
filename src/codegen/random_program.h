// Well-formed programs of random content, for tests: every choice is a byte of a sequence,
// so that a fuzzer can make them too. They read 64 bytes of input with skb_load_bytes(),
// compute, branch, loop a few times, use the stack, call each other, and return a digest
// of all that they have computed.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "codegen/builder.h"

namespace waggle::codegen {

constexpr uint32_t kRandomInputBytes = 64;

class RandomProgram {
 public:
  // choose(n): a number below n
  explicit RandomProgram(std::function<uint32_t(uint32_t n)> choose) : choose_(std::move(choose)) {}

  std::vector<Function> make() {
    uint32_t functions = choose_(3);
    std::vector<Function> program;
    program.push_back(make_main(functions));
    for (uint32_t i = 0; i < functions; i++) program.push_back(make_function(1 + choose_(kArgumentsMost)));
    // Calls were written before the callee was: they are made to agree.
    for (Instruction &each : program[0].body)
      if (each.op == Op::kCallFunction) each.inputs = static_cast<uint8_t>(program[each.target].parameters);
    return program;
  }

 private:
  static constexpr uint32_t kWords = kRandomInputBytes / 8;

  Function make_main(uint32_t callees) {
    Builder b("main");
    variables_.clear();
    callees_ = callees;
    Slot input = b.slot(kRandomInputBytes);
    for (uint32_t i = 0; i < kWords; i++) b.store(Size::k8, input, static_cast<int32_t>(i * 8), 0);
    b.call(BPF_FUNC_skb_load_bytes, {b.context(), 0, input, kRandomInputBytes});
    uint32_t count = 2 + choose_(16);
    for (uint32_t i = 0; i < count; i++) {
      Register made = b.variable();
      b.assign(made, b.load(Size::k8, input, static_cast<int32_t>(choose_(kWords) * 8)));
      variables_.push_back(made);
    }
    slot_ = input;
    finish_body(b, 4 + choose_(24));
    return b.finish();
  }

  Function make_function(uint32_t parameters) {
    Builder b("function", parameters);
    variables_.clear();
    callees_ = 0;
    for (uint32_t i = 0; i < parameters; i++) variables_.push_back(b.parameter(i));
    slot_ = b.slot(16);
    for (int32_t at : {0, 8}) b.store(Size::k8, slot_, at, b.add(variables_[0], at));
    slot_bytes_ = 16;
    finish_body(b, 2 + choose_(8));
    slot_bytes_ = kRandomInputBytes;
    return b.finish();
  }

  void finish_body(Builder &b, uint32_t statements) {
    for (uint32_t i = 0; i < statements; i++) statement(b, 0);
    Register digest = b.variable();
    b.assign(digest, 0);
    for (Register each : variables_) b.assign(digest, b.add(b.mul(digest, 31), each));
    for (uint32_t at = 0; at < slot_bytes_; at += 8)
      b.assign(digest, b.add(b.mul(digest, 33), b.load(Size::k8, slot_, static_cast<int32_t>(at))));
    b.ret(b.bit_xor(digest, b.shift_right(digest, 32)));
  }

  Register pick() { return variables_[choose_(static_cast<uint32_t>(variables_.size()))]; }

  Value constant() {
    static constexpr int64_t kInteresting[] = {0,
                                               1,
                                               2,
                                               3,
                                               7,
                                               8,
                                               10,
                                               63,
                                               64,
                                               255,
                                               256,
                                               4096,
                                               65535,
                                               -1,
                                               -2,
                                               -8,
                                               -100,
                                               INT32_MAX,
                                               INT32_MIN,
                                               1ll << 31,
                                               0xffffffffll,
                                               1ll << 32,
                                               1ll << 40,
                                               INT64_MAX,
                                               INT64_MIN,
                                               0x0123456789abcdefll};
    if (choose_(4) == 0) return static_cast<int64_t>(choose_(1u << 16)) - (1 << 15);
    return kInteresting[choose_(std::size(kInteresting))];
  }

  Value operand() {
    if (choose_(3) == 0) return constant();
    return pick();
  }

  Size size() { return static_cast<Size>(1u << choose_(4)); }
  Condition condition() { return static_cast<Condition>(choose_(10)); }

  Register expression(Builder &b, uint32_t depth) {
    Value left = operand(), right = operand();
    if (depth < 3 && choose_(2) == 0) left = expression(b, depth + 1);
    if (depth < 3 && choose_(4) == 0) right = expression(b, depth + 1);
    switch (choose_(8)) {
      case 0:
        return b.compare(condition(), left, right);
      case 1:
        return b.narrow(size(), choose_(2) == 0, left);
      case 2:
        return choose_(2) == 0 ? b.negate(left) : b.bit_not(left);
      case 3:
        return b.byte_swap(static_cast<Size>(2u << choose_(3)), left);
      case 4:
        return load(b);
      default: {
        constexpr uint32_t kBinary = static_cast<uint32_t>(Op::kCompare) - static_cast<uint32_t>(Op::kAdd);
        return b.binary(static_cast<Op>(static_cast<uint32_t>(Op::kAdd) + choose_(kBinary)), left, right);
      }
    }
  }

  int32_t place(Size bytes) {
    auto step = static_cast<uint32_t>(bytes);
    return static_cast<int32_t>(choose_(slot_bytes_ / step) * step);
  }

  Register load(Builder &b) {
    Size bytes = size();
    return b.load(bytes, slot_, place(bytes), choose_(2) == 0);
  }

  void statement(Builder &b, uint32_t depth) {
    switch (choose_(12)) {
      case 0:
      case 1:
        if (depth < 3) return branch(b, depth);
        break;
      case 2:
        if (depth < 2) return loop(b, depth);
        break;
      case 3: {
        Size bytes = size();
        return b.store(bytes, slot_, place(bytes), operand());
      }
      case 4: {
        Size bytes = choose_(2) == 0 ? Size::k4 : Size::k8;
        return b.atomic_add(bytes, slot_, place(bytes), operand());
      }
      case 5:
        return call(b);
      case 6: {
        Register base = b.add(slot_, 8);
        return b.store(Size::k8, base, choose_(2) == 0 ? 0 : -8, operand());
      }
      default:
        break;
    }
    b.assign(pick(), expression(b, 0));
  }

  void branch(Builder &b, uint32_t depth) {
    Label otherwise = b.label(), done = b.label();
    if (choose_(3) == 0)
      b.branch_unless(b.compare(condition(), operand(), operand()), otherwise);
    else
      b.branch(condition(), operand(), operand(), otherwise);
    for (uint32_t i = choose_(3); i > 0; i--) statement(b, depth + 1);
    b.jump(done);
    b.bind(otherwise);
    for (uint32_t i = choose_(3); i > 0; i--) statement(b, depth + 1);
    b.bind(done);
  }

  void loop(Builder &b, uint32_t depth) {
    Register count = b.variable();
    b.assign(count, 0);
    Label again = b.label(), out = b.label();
    b.bind(again);
    for (uint32_t i = 1 + choose_(2); i > 0; i--) statement(b, depth + 1);
    if (choose_(3) == 0) b.branch(condition(), operand(), operand(), out);
    b.assign(count, b.add(count, 1));
    b.branch(Condition::kBelow, count, 1 + choose_(5), again);
    b.bind(out);
  }

  // A helper that says nothing new, or a function of the program.
  void call(Builder &b) {
    if (callees_ == 0 || choose_(3) == 0) {
      b.assign(pick(), b.narrow(Size::k1, false, b.bit_and(b.call(BPF_FUNC_ktime_get_ns, {}), 0)));
      return;
    }
    std::vector<Value> arguments;
    for (uint32_t i = 0; i < kArgumentsMost; i++) arguments.push_back(operand());
    b.assign(pick(), b.call_function(1 + choose_(callees_), arguments));
  }

  std::function<uint32_t(uint32_t)> choose_;
  std::vector<Register> variables_;
  Slot slot_;
  uint32_t slot_bytes_ = kRandomInputBytes;
  uint32_t callees_ = 0;
};

}  // namespace waggle::codegen
