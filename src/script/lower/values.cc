// Numbers, and conditions: these become branches, without a 0 or 1 in a register, wherever
// nobody asks for one.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

codegen::Op operation(const Node &node) {
  switch (node.op) {
    case Op::kAdd:
      return codegen::Op::kAdd;
    case Op::kSubtract:
      return codegen::Op::kSub;
    case Op::kMultiply:
      return codegen::Op::kMul;
    case Op::kBitAnd:
      return codegen::Op::kAnd;
    case Op::kBitOr:
      return codegen::Op::kOr;
    case Op::kBitXor:
      return codegen::Op::kXor;
    case Op::kShiftLeft:
      return codegen::Op::kShiftLeft;
    default:
      CHECK(node.op == Op::kShiftRight);
      return node.type.is_signed() ? codegen::Op::kShiftRightSigned : codegen::Op::kShiftRight;
  }
}

std::optional<codegen::Condition> condition_of(Op op, bool is_signed) {
  using codegen::Condition;
  switch (op) {
    case Op::kEqual:
      return Condition::kEqual;
    case Op::kNotEqual:
      return Condition::kNotEqual;
    case Op::kLess:
      return is_signed ? Condition::kLess : Condition::kBelow;
    case Op::kLessOrEqual:
      return is_signed ? Condition::kLessEqual : Condition::kBelowEqual;
    case Op::kGreater:
      return is_signed ? Condition::kGreater : Condition::kAbove;
    case Op::kGreaterOrEqual:
      return is_signed ? Condition::kGreaterEqual : Condition::kAboveEqual;
    default:
      return std::nullopt;
  }
}

// Whether every value of one type is the same number in the other.
bool holds_all(const Type &to, const Type &from) {
  if (to.bytes() == 8) return true;
  if (from.is_signed() == to.is_signed()) return from.bytes() <= to.bytes();
  return !from.is_signed() && from.bytes() < to.bytes();
}

}  // namespace

codegen::Value Writer::narrow(const Type &type, const Value &value) {
  if (type.bytes() == 8 || type.is(TypeKind::kBool)) return value;
  if (value.is_constant()) {
    const uint32_t above = 64 - type.bytes() * 8;
    auto shifted = static_cast<uint64_t>(value.number) << above;
    return type.is_signed() ? static_cast<int64_t>(shifted) >> above : static_cast<int64_t>(shifted >> above);
  }
  return b().narrow(size_of(type), type.is_signed(), value);
}

codegen::Value Writer::scalar(const Node &node) {
  at(node.at);
  Value value;
  switch (node.op) {
    case Op::kConstant:
      return narrow(node.type, node.number);
    case Op::kZero:
      return 0;
    case Op::kVariable: {
      const auto variable = static_cast<uint32_t>(node.number);
      const Storage &storage = storage_[variable];
      // A copy: what follows may change the variable before the value is used.
      if (storage.kind == Storage::Kind::kRegister) return b().copy(storage.in);
      return load_number(node.type, variable_memory(variable));
    }
    case Op::kConvert:
      return convert_number(node);
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kBitAnd:
    case Op::kBitOr:
    case Op::kBitXor:
    case Op::kShiftLeft:
    case Op::kShiftRight:
      return arithmetic(node);
    case Op::kDivide:
    case Op::kModulo:
      return divide(node);
    case Op::kNegate:
      return narrow(node.type, b().negate(scalar(*node.in[0])));
    case Op::kBitNot:
      return narrow(node.type, b().bit_not(scalar(*node.in[0])));
    case Op::kEqual:
    case Op::kNotEqual:
    case Op::kLess:
    case Op::kLessOrEqual:
    case Op::kGreater:
    case Op::kGreaterOrEqual:
      if (is_scalar(node.in[0]->type)) {
        Value left = scalar(*node.in[0]), right = scalar(*node.in[1]);
        return b().compare(*condition_of(node.op, node.in[0]->type.is_signed()), left, right);
      }
      return truth(node);
    case Op::kNot:
      return b().bit_xor(scalar(*node.in[0]), 1);
    case Op::kAnd:
    case Op::kOr:
      return truth(node);
    case Op::kConditional:
      return conditional(node);
    case Op::kSequence:
      block(node.body);
      return scalar(*node.in[0]);
    case Op::kIncrement:
      return increment(node, true);
    case Op::kDereference:
    case Op::kContext:
    case Op::kField:
    case Op::kElement:
      return read_field(node);
    case Op::kMapValue:
      return map_number(node);
    case Op::kMapHas:
      return map_has(node);
    case Op::kMapDelete:
      return map_delete(node);
    case Op::kMapLength:
      return map_length(node);
    default:
      CHECK(builtin(node, value));
      return value;
  }
}

codegen::Value Writer::arithmetic(const Node &node) {
  Value left = scalar(*node.in[0]), right = scalar(*node.in[1]);
  return narrow(node.type, b().binary(operation(node), left, right));
}

codegen::Value Writer::divide(const Node &node) {
  Value left = scalar(*node.in[0]), right = scalar(*node.in[1]);
  if (node.action != kNoAction && (!right.is_constant() || right.number == 0)) {
    Label fine = b().label();
    b().branch_if(right, fine);
    emit_error(node.action, 0);
    b().bind(fine);
  }
  const bool is_signed = node.type.is_signed();
  Register result = node.op == Op::kDivide ? b().div(left, right, is_signed) : b().mod(left, right, is_signed);
  return narrow(node.type, result);
}

codegen::Value Writer::convert_number(const Node &node) {
  const Node &from = *node.in[0];
  // Bytes in the host's order.
  if (!is_scalar(from.type)) {
    Place bytes = place(from);
    return read(bytes, node.type);
  }
  if (node.type.is(TypeKind::kBool)) {
    if (from.type.is(TypeKind::kBool)) return scalar(from);
    return b().compare(Condition::kNotEqual, scalar(from), 0);
  }
  Value value = scalar(from);
  return holds_all(node.type, from.type) ? value : narrow(node.type, value);
}

codegen::Value Writer::conditional(const Node &node) {
  Label otherwise = b().label(), end = b().label();
  Register result = b().variable();
  branch(*node.in[0], otherwise, false);
  b().assign(result, scalar(*node.in[1]));
  b().jump(end);
  b().bind(otherwise);
  b().assign(result, scalar(*node.in[2]));
  b().bind(end);
  return result;
}

codegen::Value Writer::truth(const Node &node) {
  Register result = b().variable();
  Label end = b().label();
  b().assign(result, 0);
  branch(node, end, false);
  b().assign(result, 1);
  b().bind(end);
  return result;
}

void Writer::branch(const Node &node, const Label &target, bool when) {
  at(node.at);
  switch (node.op) {
    case Op::kNot:
      return branch(*node.in[0], target, !when);
    case Op::kAnd:
    case Op::kOr: {
      // a && b is false as soon as a is; a || b is true then.
      const bool decides = node.op == Op::kOr;
      if (when == decides) {
        branch(*node.in[0], target, when);
        return branch(*node.in[1], target, when);
      }
      Label skip = b().label();
      branch(*node.in[0], skip, decides);
      branch(*node.in[1], target, when);
      return b().bind(skip);
    }
    case Op::kConvert:
      if (node.type.is(TypeKind::kBool) && is_scalar(node.in[0]->type)) {
        Value value = scalar(*node.in[0]);
        return b().branch(when ? Condition::kNotEqual : Condition::kEqual, value, 0, target);
      }
      break;
    case Op::kEqual:
    case Op::kNotEqual:
      if (!is_scalar(node.in[0]->type)) return branch_equal(node, target, when == (node.op == Op::kEqual));
      break;
    default:
      break;
  }
  if (std::optional<Condition> condition = condition_of(node.op, !node.in.empty() && node.in[0]->type.is_signed())) {
    Value left = scalar(*node.in[0]), right = scalar(*node.in[1]);
    return b().branch(when ? *condition : codegen::inverse(*condition), left, right, target);
  }
  Value value = scalar(node);
  b().branch(when ? Condition::kNotEqual : Condition::kEqual, value, 0, target);
}

// To target if the operands are equal, or else if `when` is false.
void Writer::branch_equal(const Node &node, const Label &target, bool when) {
  const Node &one = *node.in[0], &two = *node.in[1];
  if (one.type.is(TypeKind::kString) && two.type.is(TypeKind::kString))
    return branch_strings(one, two, std::nullopt, target, when);
  Memory left = memory(one), right = memory(two);
  Label different = when ? b().label() : target;
  compare_bytes(one.type, left, right, different);
  if (!when) return;
  b().jump(target);
  b().bind(different);
}

void Writer::compare_bytes(const Type &type, const Memory &one, const Memory &two, const Label &different) {
  switch (type.kind()) {
    case TypeKind::kString:
      return compare_strings(one, two, type.bytes(), different);
    case TypeKind::kTuple:
    case TypeKind::kRecord:
      for (const Field &field : type.fields())
        compare_bytes(field.type, one.at(field.offset), two.at(field.offset), different);
      return;
    case TypeKind::kArray:
      if (has_text(type.element())) {
        for (uint32_t i = 0; i < type.count(); i++) {
          int64_t offset = int64_t{i} * type.element().bytes();
          compare_bytes(type.element(), one.at(offset), two.at(offset), different);
        }
        return;
      }
      break;
    default:
      break;
  }
  for (uint32_t at = 0; at < type.bytes();) {
    uint64_t offsets = static_cast<uint64_t>(one.offset) | static_cast<uint64_t>(two.offset);
    Size size = chunk_at(offsets | at, type.bytes() - at);
    b().branch(Condition::kNotEqual, load(size, one.at(at)), load(size, two.at(at)), different);
    at += static_cast<uint32_t>(size);
  }
}

codegen::Value Writer::increment(const Node &node, bool wants_value) {
  if (node.is_map) return increment_map(node, wants_value);
  const auto variable = static_cast<uint32_t>(node.number);
  const Storage &storage = storage_[variable];
  const Type &type = script_.variables[variable].type;
  const bool is_register = storage.kind == Storage::Kind::kRegister;
  Value old = is_register ? Value(b().copy(storage.in)) : Value(load_number(type, variable_memory(variable)));
  Value now = narrow(type, b().add(old, node.by));
  set_number(variable, now);
  return node.is_before ? now : old;
}

void Writer::set_number(uint32_t variable, const Value &value) {
  if (storage_[variable].kind == Storage::Kind::kRegister)
    b().assign(storage_[variable].in, value);
  else
    store_number(script_.variables[variable].type, variable_memory(variable), value);
}

Writer::Memory Writer::variable_memory(uint32_t variable) {
  const Storage &storage = storage_[variable];
  switch (storage.kind) {
    case Storage::Kind::kSlot:
      return {storage.slot};
    case Storage::Kind::kFrame:
      return frame(storage.offset);
    case Storage::Kind::kScratch:
      return scratch_at(storage.offset);
    case Storage::Kind::kRegister:
      break;
  }
  CHECK(false);
}

void Writer::effect(const Node &node) {
  at(node.at);
  switch (node.op) {
    case Op::kEmit:
      return emit(node);
    case Op::kSequence:
      block(node.body);
      if (!node.in.empty()) effect(*node.in[0]);
      return;
    case Op::kConditional: {
      Label otherwise = b().label(), end = b().label();
      branch(*node.in[0], otherwise, false);
      effect(*node.in[1]);
      b().jump(end);
      b().bind(otherwise);
      effect(*node.in[2]);
      b().bind(end);
      return;
    }
    case Op::kIncrement:
      increment(node, false);
      return;
    case Op::kAnd:
    case Op::kOr: {
      Label end = b().label();
      branch(*node.in[0], end, node.op == Op::kOr);
      effect(*node.in[1]);
      b().bind(end);
      return;
    }
    default:
      break;
  }
  if (is_scalar(node.type)) {
    scalar(node);
    return;
  }
  Value ignored;
  if (node.type.is(TypeKind::kNone)) {
    // A block of statements, or a function without a value.
    if (node.op != Op::kConstant && node.op != Op::kZero && !builtin(node, ignored))
      for (const Node *each : node.in) effect(*each);
    return;
  }
  memory(node);
}

}  // namespace waggle::script
