// Writes a Function (ir.h), instruction after instruction.
//
//   Builder b("count");
//   Register pid_tgid = b.call(BPF_FUNC_get_current_pid_tgid, {});
//   Label skip = b.label();
//   b.branch(Condition::kNotEqual, b.shift_right(pid_tgid, 32), 4242, skip);
//   …
//   b.bind(skip);
//   Function count = b.finish();
//
// Every function that yields a value puts it into a register of its own. A value that
// changes, in loops or branches, lives in a variable(): made once, assigned anywhere.
// To use it wrongly (a label bound twice or never, a size that does not exist) is a bug
// of the caller and ends the process.
// Threads: one at a time.
#pragma once

#include <linux/bpf.h>

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "codegen/ir.h"

namespace waggle::codegen {

class Builder {
 public:
  // parameters: at most kArgumentsMost. A program has one, its context.
  explicit Builder(std::string name, uint32_t parameters = 1);

  Register parameter(uint32_t index) const;
  Register context() const { return parameter(0); }

  // Of all that follows, until the next.
  void at(Position position) { position_ = position; }

  // A register without a value yet. REQUIRES: assigned before it is read, on every way.
  Register variable();
  void assign(Register to, Value value);
  Register copy(Value value);

  Register binary(Op op, Value left, Value right);  // kAdd … kShiftRightSigned
  Register add(Value left, Value right) { return binary(Op::kAdd, left, right); }
  Register sub(Value left, Value right) { return binary(Op::kSub, left, right); }
  Register mul(Value left, Value right) { return binary(Op::kMul, left, right); }
  Register div(Value left, Value right, bool is_signed = false);
  Register mod(Value left, Value right, bool is_signed = false);
  Register bit_and(Value left, Value right) { return binary(Op::kAnd, left, right); }
  Register bit_or(Value left, Value right) { return binary(Op::kOr, left, right); }
  Register bit_xor(Value left, Value right) { return binary(Op::kXor, left, right); }
  Register shift_left(Value left, Value count) { return binary(Op::kShiftLeft, left, count); }
  Register shift_right(Value left, Value count, bool is_signed = false);
  Register compare(Condition condition, Value left, Value right);  // 0 or 1
  Register negate(Value value) { return unary(Op::kNegate, Size::k8, value); }
  Register bit_not(Value value) { return unary(Op::kNot, Size::k8, value); }
  // The lowest `size` bytes, widened to 64 bits again.
  Register narrow(Size size, bool is_signed, Value value);
  Register byte_swap(Size size, Value value);  // k2, k4, k8

  // A base is an address: a register, a slot, a map value.
  Register load(Size size, Value base, int32_t offset = 0, bool is_signed = false);
  void store(Size size, Value base, int32_t offset, Value value);
  void atomic_add(Size size, Value base, int32_t offset, Value value);  // k4, k8

  // alignment: 1, 2, 4 or 8. What is in it is undefined at first; helpers and the verifier
  // of kernels before 6.3 want every byte written before it is read.
  Slot slot(uint32_t bytes, uint32_t alignment = 8);
  // The slot is not used in what follows. Later slots may take its bytes.
  void release(Slot slot);

  Register call(bpf_func_id helper, std::span<const Value> arguments);
  Register call(bpf_func_id helper, std::initializer_list<Value> arguments);
  Register call_function(FunctionId function, std::span<const Value> arguments);
  Register call_function(FunctionId function, std::initializer_list<Value> arguments);

  Label label();
  void bind(Label label);
  void jump(Label label);
  void branch(Condition condition, Value left, Value right, Label label);
  void branch_if(Value value, Label label) { branch(Condition::kNotEqual, value, 0, label); }
  void branch_unless(Value value, Label label) { branch(Condition::kEqual, value, 0, label); }
  void ret(Value value);

  // The function. Where its end can be reached it returns 0. The builder is spent.
  Function finish();

 private:
  Register unary(Op op, Size size, Value value);
  Register call(Op op, uint32_t target, std::span<const Value> arguments);
  Instruction &append(Op op, std::initializer_list<Value> in);
  void check(Value value) const;

  Function function_;
  std::vector<bool> bound_;
  Position position_;
};

}  // namespace waggle::codegen
