#include "codegen/ir.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "base/check.h"

namespace waggle::codegen {
namespace {

struct OpName {
  Op op;
  std::string_view name;
};
constexpr OpName kOpNames[] = {
    {Op::kMove, "move"},
    {Op::kAdd, "add"},
    {Op::kSub, "sub"},
    {Op::kMul, "mul"},
    {Op::kDiv, "div"},
    {Op::kMod, "mod"},
    {Op::kSignedDiv, "sdiv"},
    {Op::kSignedMod, "smod"},
    {Op::kAnd, "and"},
    {Op::kOr, "or"},
    {Op::kXor, "xor"},
    {Op::kShiftLeft, "shl"},
    {Op::kShiftRight, "shr"},
    {Op::kShiftRightSigned, "sar"},
    {Op::kCompare, "compare"},
    {Op::kNegate, "neg"},
    {Op::kNot, "not"},
    {Op::kZeroExtend, "zext"},
    {Op::kSignExtend, "sext"},
    {Op::kByteSwap, "bswap"},
    {Op::kLoad, "load"},
    {Op::kStore, "store"},
    {Op::kAtomicAdd, "atomic_add"},
    {Op::kCallHelper, "call_helper"},
    {Op::kCallFunction, "call"},
    {Op::kLabel, "label"},
    {Op::kJump, "jump"},
    {Op::kBranch, "branch"},
    {Op::kReturn, "return"},
};
static_assert(std::size(kOpNames) == static_cast<size_t>(Op::kReturn) + 1);

constexpr std::string_view kConditionNames[] = {"==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>="};

std::string text_of(const Value &value) {
  switch (value.kind) {
    case Value::Kind::kConstant:
      return fmt::format("{}", value.number);
    case Value::Kind::kRegister:
      return fmt::format("v{}", value.id);
    case Value::Kind::kSlot:
      return fmt::format("slot{}{:+}", value.id, value.number);
    case Value::Kind::kMap:
      return fmt::format("map{}", value.id);
    case Value::Kind::kMapValue:
      return fmt::format("map{}.value{:+}", value.id, value.number);
    case Value::Kind::kFunction:
      return fmt::format("function{}", value.id);
  }
  CHECK(false);
}

uint64_t swap_bytes(Size size, uint64_t value) {
  switch (size) {
    case Size::k1:
      return value & 0xff;
    case Size::k2:
      return __builtin_bswap16(static_cast<uint16_t>(value));
    case Size::k4:
      return __builtin_bswap32(static_cast<uint32_t>(value));
    case Size::k8:
      return __builtin_bswap64(value);
  }
  CHECK(false);
}

uint64_t signed_quotient(uint64_t left, uint64_t right) {
  if (right == 0) return 0;
  if (right == UINT64_MAX) return 0 - left;
  return static_cast<uint64_t>(static_cast<int64_t>(left) / static_cast<int64_t>(right));
}

}  // namespace

Condition inverse(Condition condition) {
  switch (condition) {
    case Condition::kEqual:
      return Condition::kNotEqual;
    case Condition::kNotEqual:
      return Condition::kEqual;
    case Condition::kBelow:
      return Condition::kAboveEqual;
    case Condition::kBelowEqual:
      return Condition::kAbove;
    case Condition::kAbove:
      return Condition::kBelowEqual;
    case Condition::kAboveEqual:
      return Condition::kBelow;
    case Condition::kLess:
      return Condition::kGreaterEqual;
    case Condition::kLessEqual:
      return Condition::kGreater;
    case Condition::kGreater:
      return Condition::kLessEqual;
    case Condition::kGreaterEqual:
      return Condition::kLess;
  }
  CHECK(false);
}

Condition mirrored(Condition condition) {
  switch (condition) {
    case Condition::kEqual:
    case Condition::kNotEqual:
      return condition;
    case Condition::kBelow:
      return Condition::kAbove;
    case Condition::kBelowEqual:
      return Condition::kAboveEqual;
    case Condition::kAbove:
      return Condition::kBelow;
    case Condition::kAboveEqual:
      return Condition::kBelowEqual;
    case Condition::kLess:
      return Condition::kGreater;
    case Condition::kLessEqual:
      return Condition::kGreaterEqual;
    case Condition::kGreater:
      return Condition::kLess;
    case Condition::kGreaterEqual:
      return Condition::kLessEqual;
  }
  CHECK(false);
}

bool holds(Condition condition, uint64_t left, uint64_t right) {
  auto signed_left = static_cast<int64_t>(left), signed_right = static_cast<int64_t>(right);
  switch (condition) {
    case Condition::kEqual:
      return left == right;
    case Condition::kNotEqual:
      return left != right;
    case Condition::kBelow:
      return left < right;
    case Condition::kBelowEqual:
      return left <= right;
    case Condition::kAbove:
      return left > right;
    case Condition::kAboveEqual:
      return left >= right;
    case Condition::kLess:
      return signed_left < signed_right;
    case Condition::kLessEqual:
      return signed_left <= signed_right;
    case Condition::kGreater:
      return signed_left > signed_right;
    case Condition::kGreaterEqual:
      return signed_left >= signed_right;
  }
  CHECK(false);
}

uint64_t evaluate(const Instruction &instruction, uint64_t left, uint64_t right) {
  unsigned bits = static_cast<unsigned>(instruction.size) * 8;
  switch (instruction.op) {
    case Op::kAdd:
      return left + right;
    case Op::kSub:
      return left - right;
    case Op::kMul:
      return left * right;
    case Op::kDiv:
      return right == 0 ? 0 : left / right;
    case Op::kMod:
      return right == 0 ? left : left % right;
    case Op::kSignedDiv:
      return signed_quotient(left, right);
    case Op::kSignedMod:
      return left - signed_quotient(left, right) * right;
    case Op::kAnd:
      return left & right;
    case Op::kOr:
      return left | right;
    case Op::kXor:
      return left ^ right;
    case Op::kShiftLeft:
      return left << (right & 63);
    case Op::kShiftRight:
      return left >> (right & 63);
    case Op::kShiftRightSigned:
      return static_cast<uint64_t>(static_cast<int64_t>(left) >> (right & 63));
    case Op::kCompare:
      return holds(instruction.condition, left, right) ? 1 : 0;
    case Op::kNegate:
      return 0 - left;
    case Op::kNot:
      return ~left;
    case Op::kZeroExtend:
      return left << (64 - bits) >> (64 - bits);
    case Op::kSignExtend:
      return static_cast<uint64_t>(static_cast<int64_t>(left << (64 - bits)) >> (64 - bits));
    case Op::kByteSwap:
      return swap_bytes(instruction.size, left);
    default:
      CHECK(false);
  }
}

std::string text(const Instruction &instruction) {
  std::string out;
  if (instruction.to != kNoRegister) out += fmt::format("v{} = ", instruction.to);
  out += kOpNames[static_cast<size_t>(instruction.op)].name;
  if (instruction.op == Op::kCompare || instruction.op == Op::kBranch)
    out += fmt::format(" {}", kConditionNames[static_cast<size_t>(instruction.condition)]);
  if (instruction.size != Size::k8) out += fmt::format(" {}", static_cast<int>(instruction.size));
  for (size_t i = 0; i < instruction.inputs; i++)
    out += fmt::format("{}{}", i == 0 ? " " : ", ", text_of(instruction.in[i]));
  if (instruction.offset != 0) out += fmt::format(" at {:+}", instruction.offset);
  if (instruction.is_jump() || instruction.op == Op::kLabel) out += fmt::format(" L{}", instruction.target);
  if (instruction.op == Op::kCallHelper || instruction.op == Op::kCallFunction)
    out += fmt::format(" #{}", instruction.target);
  return out;
}

std::string text(const Function &function) {
  std::string out = fmt::format("{}({})\n", function.name, function.parameters);
  for (const Instruction &each : function.body)
    out += fmt::format("{}{}\n", each.op == Op::kLabel ? "" : "  ", text(each));
  return out;
}

}  // namespace waggle::codegen
