// Operators: what their operands are converted to, and what they come to when both are known.
#include <fmt/format.h>

#include "base/check.h"
#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

struct Row {
  BinaryOperator op;
  Op node;
};
constexpr Row kRows[] = {
    {BinaryOperator::kMultiply, Op::kMultiply},
    {BinaryOperator::kDivide, Op::kDivide},
    {BinaryOperator::kModulo, Op::kModulo},
    {BinaryOperator::kAdd, Op::kAdd},
    {BinaryOperator::kSubtract, Op::kSubtract},
    {BinaryOperator::kShiftLeft, Op::kShiftLeft},
    {BinaryOperator::kShiftRight, Op::kShiftRight},
    {BinaryOperator::kLess, Op::kLess},
    {BinaryOperator::kLessOrEqual, Op::kLessOrEqual},
    {BinaryOperator::kGreater, Op::kGreater},
    {BinaryOperator::kGreaterOrEqual, Op::kGreaterOrEqual},
    {BinaryOperator::kEqual, Op::kEqual},
    {BinaryOperator::kNotEqual, Op::kNotEqual},
    {BinaryOperator::kBitAnd, Op::kBitAnd},
    {BinaryOperator::kBitXor, Op::kBitXor},
    {BinaryOperator::kBitOr, Op::kBitOr},
    {BinaryOperator::kAnd, Op::kAnd},
    {BinaryOperator::kOr, Op::kOr},
};

Op node_of(BinaryOperator op) {
  for (const Row &row : kRows)
    if (row.op == op) return row.node;
  CHECK(false);
}

bool is_comparison(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kLess:
    case BinaryOperator::kLessOrEqual:
    case BinaryOperator::kGreater:
    case BinaryOperator::kGreaterOrEqual:
    case BinaryOperator::kEqual:
    case BinaryOperator::kNotEqual:
      return true;
    default:
      return false;
  }
}

bool is_equality(BinaryOperator op) {
  return op == BinaryOperator::kEqual || op == BinaryOperator::kNotEqual;
}

bool is_shift(BinaryOperator op) {
  return op == BinaryOperator::kShiftLeft || op == BinaryOperator::kShiftRight;
}

// Of a sign in no particular way: a number that is not below 0.
bool is_of_either_sign(const Value &value) {
  return value.is_plain && value.is_constant() && value.node->number >= 0;
}

bool is_signed(const Value &value) {
  return value.type().is_signed() || value.type().is(TypeKind::kBool);
}

// Whether it matters how often it is evaluated.
bool has_effect(const Node &node) {
  if (node.op == Op::kIncrement || node.op == Op::kSequence || node.op == Op::kMapDelete || node.op == Op::kRandom)
    return true;
  for (const Node *each : node.in)
    if (has_effect(*each)) return true;
  return false;
}

}  // namespace

Value Checker::binary(const Binary &of) {
  // What never runs need not be checked against what does: has_cpid && cpid == 1.
  Value left = expression(*of.left);
  if (of.op == BinaryOperator::kAnd || of.op == BinaryOperator::kOr) {
    std::optional<bool> known = known_condition(left);
    if (known && *known == (of.op == BinaryOperator::kOr)) return boolean(*known, of.at);
  }
  return binary(of.op, left, expression(*of.right), of.at);
}

Value Checker::binary(BinaryOperator op, const Value &left, const Value &right, const Location &at) {
  if (!left || !right) {
    // A type that is not known yet may depend on this one: @x = @x + 1.
    const Value &one = left ? left : right;
    if (is_last_ || !one || !one.type().is_integral()) return {};
    return is_comparison(op) ? boolean(false, at) : number(0, Type::integer(8, one.type().is_signed()), at);
  }
  if (op == BinaryOperator::kAnd || op == BinaryOperator::kOr) {
    for (const Value *each : {&left, &right}) {
      if (each->type().is_integral() || each->type().is(TypeKind::kPointer)) continue;
      return wrong(at, fmt::format("The {} operator can not be used on expressions of types {}, {}", text_of(op),
                                   left.type().name(), right.type().name()));
    }
    std::optional<bool> one = known_condition(left), other = known_condition(right);
    if (one && other) return boolean(op == BinaryOperator::kAnd ? *one && *other : *one || *other, at);
    return value(node_of(op), Type(TypeKind::kBool, 1), at, {to_bool(left), to_bool(right)});
  }
  if (is_comparison(op)) return comparison(op, left, right, at);
  if (left.type().is(TypeKind::kPointer) || right.type().is(TypeKind::kPointer))
    return pointer_arithmetic(op, left, right, at);
  return arithmetic(op, left, right, at);
}

Value Checker::arithmetic(BinaryOperator op, const Value &left, const Value &right, const Location &at) {
  if (!left.type().is_integral() || !right.type().is_integral()) {
    bool is_mixed = left.type().is_integral() != right.type().is_integral();
    if (is_mixed)
      return wrong(at, fmt::format("Type mismatch for '{}': comparing '{}' with '{}'", text_of(op), left.type().name(),
                                   right.type().name()));
    return wrong(at, fmt::format("The {} operator can not be used on expressions of types {}, {}", text_of(op),
                                 left.type().name(), right.type().name()));
  }
  bool with_sign = is_shift(op)               ? is_signed(left)
                   : is_of_either_sign(left)  ? is_signed(right)
                   : is_of_either_sign(right) ? is_signed(left)
                                              : is_signed(left) && is_signed(right);
  Type type = Type::integer(8, with_sign);
  if (Value known = folded(op, left, right, type, at)) return known;
  if (!is_shift(op) && is_signed(left) != is_signed(right) && !is_of_either_sign(left) && !is_of_either_sign(right))
    warn(at, fmt::format("arithmetic on integers of different signs: '{}' and '{}' can lead to undefined behavior",
                         left.type().name(), right.type().name()));
  const Node *by = convert(right, type);
  Value made = value(node_of(op), type, at, {convert(left, type), by});
  bool is_division = op == BinaryOperator::kDivide || op == BinaryOperator::kModulo;
  if (!made || !is_division || (right.is_constant() && right.node->number != 0)) return made;
  if (has_effect(*by)) return made;
  // Nobody divides by 0 on purpose: it is told, and comes to 1.
  Steps telling, *outer = std::exchange(steps_, &telling);
  uint32_t error = runtime_error(at,
                                 "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used "
                                 "as the result.",
                                 "");
  if (error != kNoAction) emit(error, at, {number(0, Type::integer(8, true), at).node});
  steps_ = outer;
  Node &instead = make(Op::kSequence, type, at, {number(1, type, at).node});
  instead.body = std::move(telling);
  const Node *is_zero = value(Op::kEqual, Type(TypeKind::kBool, 1), at, {by, number(0, type, at).node}).node;
  return value(Op::kConditional, type, at, {is_zero, &instead, made.node});
}

Value Checker::folded(BinaryOperator op, const Value &left, const Value &right, const Type &type, const Location &at) {
  if (!left.is_constant() || !right.is_constant()) return {};
  int64_t one = left.node->number, other = right.node->number;
  auto a = static_cast<uint64_t>(one), b = static_cast<uint64_t>(other);
  uint64_t result = 0;
  switch (op) {
    case BinaryOperator::kAdd:
      result = a + b;
      break;
    case BinaryOperator::kSubtract:
      result = a - b;
      break;
    case BinaryOperator::kMultiply:
      result = a * b;
      break;
    case BinaryOperator::kDivide:
    case BinaryOperator::kModulo: {
      if (other == 0) return {};
      bool is_divide = op == BinaryOperator::kDivide;
      if (!type.is_signed())
        result = is_divide ? a / b : a % b;
      else if (other == -1)
        result = is_divide ? 0 - a : 0;
      else
        result = static_cast<uint64_t>(is_divide ? one / other : one % other);
      break;
    }
    case BinaryOperator::kShiftLeft:
      result = a << (b & 63);
      break;
    case BinaryOperator::kShiftRight:
      result = type.is_signed() ? static_cast<uint64_t>(one >> (b & 63)) : a >> (b & 63);
      break;
    case BinaryOperator::kBitAnd:
      result = a & b;
      break;
    case BinaryOperator::kBitXor:
      result = a ^ b;
      break;
    case BinaryOperator::kBitOr:
      result = a | b;
      break;
    default:
      return {};
  }
  return number(static_cast<int64_t>(result), type, at, left.is_plain && right.is_plain);
}

Value Checker::comparison(BinaryOperator op, const Value &left, const Value &right, const Location &at) {
  const Type &one = left.type(), &other = right.type();
  Type result(TypeKind::kBool, 1);
  bool is_number =
      (one.is_integral() || one.is(TypeKind::kPointer)) && (other.is_integral() || other.is(TypeKind::kPointer));
  if (!is_number) {
    if (one.kind() != other.kind())
      return wrong(
          at, fmt::format("Type mismatch for '{}': comparing {} with {}", text_of(op), one.name(), other.name()), {});
    std::optional<Type> common = common_type(one, other);
    bool may_order = false;
    if (!common || (!is_equality(op) && !may_order)) {
      return wrong(at, fmt::format("The {} operator can not be used on expressions of types {}, {}", text_of(op),
                                   one.name(), other.name()));
    }
    if (left.is_text() && right.is_text() && common->is(TypeKind::kString))
      return boolean((left.node->text == right.node->text) == (op == BinaryOperator::kEqual), at);
    return value(node_of(op), result, at, {convert(left, *common), convert(right, *common)});
  }
  bool of_pointers = one.is(TypeKind::kPointer) || other.is(TypeKind::kPointer);
  bool either = is_of_either_sign(left) || is_of_either_sign(right);
  if (!of_pointers && !either && is_signed(left) != is_signed(right))
    warn(at, fmt::format("comparison of integers of different signs: '{}' and '{}' can lead to undefined behavior",
                         one.name(), other.name()));
  bool with_sign = !of_pointers && (is_of_either_sign(left)    ? is_signed(right)
                                    : is_of_either_sign(right) ? is_signed(left)
                                                               : is_signed(left) && is_signed(right));
  Type type = Type::integer(8, with_sign);
  if (left.is_constant() && right.is_constant()) {
    int64_t a = left.node->number, b = right.node->number;
    bool less = with_sign ? a < b : static_cast<uint64_t>(a) < static_cast<uint64_t>(b);
    bool equal = a == b;
    bool holds = op == BinaryOperator::kEqual         ? equal
                 : op == BinaryOperator::kNotEqual    ? !equal
                 : op == BinaryOperator::kLess        ? less
                 : op == BinaryOperator::kLessOrEqual ? less || equal
                 : op == BinaryOperator::kGreater     ? !less && !equal
                                                      : !less;
    return boolean(holds, at);
  }
  return value(node_of(op), result, at, {convert(left, type), convert(right, type)});
}

Value Checker::pointer_arithmetic(BinaryOperator op, const Value &left, const Value &right, const Location &at) {
  bool is_sum = op == BinaryOperator::kAdd || op == BinaryOperator::kSubtract;
  const Value &pointer = left.type().is(TypeKind::kPointer) ? left : right;
  const Value &by = left.type().is(TypeKind::kPointer) ? right : left;
  bool pointer_first = &pointer == &left;
  if (!is_sum || !by.type().is_integral() || (op == BinaryOperator::kSubtract && !pointer_first)) {
    return wrong(at, fmt::format("The {} operator can not be used on expressions of types {}, {}", text_of(op),
                                 left.type().name(), right.type().name()));
  }
  Type word = Type::integer(8, false);
  uint32_t stride = complete(pointer.type().element()).bytes();
  if (stride == 0) stride = 1;
  const Node *step = to_u64(by);
  if (step == nullptr) return {};
  if (step->op == Op::kConstant)
    step = number(step->number * stride, word, at).node;
  else if (stride != 1)
    step = value(Op::kMultiply, word, at, {step, number(stride, word, at).node}).node;
  Value sum = value(node_of(op), word, at, {convert(pointer, word), step});
  return {convert(sum, pointer.type()), false, {}, {}};
}

Value Checker::unary(const Unary &of) {
  switch (of.op) {
    case UnaryOperator::kAddress:
      return address_of(of);
    case UnaryOperator::kIncrementBefore:
    case UnaryOperator::kIncrementAfter:
    case UnaryOperator::kDecrementBefore:
    case UnaryOperator::kDecrementAfter:
      return increment(of);
    default:
      break;
  }
  Value operand = expression(*of.operand);
  if (!operand) return {};
  const Type &type = operand.type();
  if (of.op == UnaryOperator::kDereference) return dereference(operand, of.at);
  bool is_number = type.is_integral() || (of.op == UnaryOperator::kNot && type.is(TypeKind::kPointer));
  if (!is_number) {
    const char *text = of.op == UnaryOperator::kNot      ? "!"
                       : of.op == UnaryOperator::kBitNot ? "~"
                       : of.op == UnaryOperator::kMinus  ? "-"
                                                         : "+";
    return wrong(of.at, fmt::format("The {} operator can not be used on expressions of type '{}'", text, type.name()));
  }
  switch (of.op) {
    case UnaryOperator::kNot: {
      if (std::optional<bool> known = known_condition(operand)) return boolean(!*known, of.at);
      return value(Op::kNot, Type(TypeKind::kBool, 1), of.at, {to_bool(operand)});
    }
    case UnaryOperator::kPlus:
      return operand;
    case UnaryOperator::kMinus: {
      if (operand.is_constant() && operand.is_plain) {
        auto negated = static_cast<int64_t>(0 - static_cast<uint64_t>(operand.node->number));
        uint64_t size = negated < 0 ? ~static_cast<uint64_t>(negated) : static_cast<uint64_t>(negated);
        return number(negated, type_of_number(size, false), of.at, true);
      }
      Type wide = Type::integer(8, true);
      return value(Op::kNegate, wide, of.at, {convert(operand, wide)});
    }
    default: {
      Type wide = operand.is_plain || !type.is(TypeKind::kInteger) ? Type::integer(8, is_signed(operand)) : type;
      if (operand.is_constant()) return number(~operand.node->number, wide, of.at, operand.is_plain);
      return value(Op::kBitNot, wide, of.at, {convert(operand, wide)});
    }
  }
}

Value Checker::increment(const Unary &of) {
  bool is_increment = of.op == UnaryOperator::kIncrementBefore || of.op == UnaryOperator::kIncrementAfter;
  bool is_before = of.op == UnaryOperator::kIncrementBefore || of.op == UnaryOperator::kDecrementBefore;
  std::string_view text = is_increment ? "++" : "--";
  Type type;
  Node *node = nullptr;
  if (of.operand->kind == ExpressionKind::kVariable) {
    const auto &name = as<Variable>(*of.operand);
    KnownVariable *known = find_variable(name.name);
    if (known == nullptr) return wrong(name.at, fmt::format("Undefined or undeclared variable: ${}", name.name));
    if (known->type.is(TypeKind::kNone)) {
      if (is_last_) return wrong(name.at, fmt::format("Undefined or undeclared variable: ${}", name.name));
      return {};
    }
    type = known->type;
    known->is_assigned = true;
    node = &make(Op::kIncrement, type, of.at, {}, use(*known));
  } else if (of.operand->kind == ExpressionKind::kMap) {
    const auto &access = as<MapAccess>(*of.operand);
    KnownMap *map = map_of(access);
    if (map == nullptr) return {};
    std::optional<const Node *> key = key_of(access, *map);
    if (map->value.is(TypeKind::kNone)) {
      map->value = Type::integer(8, true);
      changed_ = true;
    }
    if (!key) return {};
    type = map->value;
    node = &make(Op::kIncrement, type, of.at);
    if (*key != nullptr) node->in.push_back(*key);
    node->is_map = true;
    node->map = map->index;
  } else {
    return wrong(of.at, fmt::format("The {} operator must be applied to a map or variable", text));
  }
  if (!type.is(TypeKind::kInteger) && !type.is(TypeKind::kPointer))
    return wrong(of.at, fmt::format("The {} operator can not be used on expressions of type '{}'", text, type.name()));
  uint32_t stride = type.is(TypeKind::kPointer) ? std::max(complete(type.element()).bytes(), 1u) : 1;
  node->by = is_increment ? stride : -static_cast<int64_t>(stride);
  node->is_before = is_before;
  return {node, false, {}, {}};
}

}  // namespace waggle::script
