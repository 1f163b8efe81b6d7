// Expressions: literals, variables, conditionals, tuples, and what is known while compiling.
#include <fmt/format.h>

#include <charconv>

#include "base/check.h"
#include "script/check/checker.h"
#include "script/check/type_rules.h"
#include "script/syntax/tree_text.h"

namespace waggle::script {
namespace {

// As the language writes numbers: decimal, 0x, with a sign.
std::optional<int64_t> number_of(std::string_view text) {
  bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.starts_with('0')) {
    base = 8;
    text.remove_prefix(1);
  }
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<int64_t>(is_negative ? 0 - value : value);
}

}  // namespace

Value Checker::expression(const Expression &of) {
  switch (of.kind) {
    case ExpressionKind::kInteger: {
      const auto &literal = as<IntegerLiteral>(of);
      Type type = type_of_number(literal.value, literal.is_unsigned);
      return number(static_cast<int64_t>(literal.value), type, of.at, /*is_plain=*/!literal.is_unsigned);
    }
    case ExpressionKind::kString:
      return text(as<StringLiteral>(of).text, of.at);
    case ExpressionKind::kBool:
      return boolean(as<BoolLiteral>(of).value, of.at);
    case ExpressionKind::kIdentifier:
      return identifier(as<Identifier>(of));
    case ExpressionKind::kPositional:
      return positional(as<Positional>(of).number, of.at);
    case ExpressionKind::kPositionalCount:
      return number(static_cast<int64_t>(options_.positional.size()), type_of_number(options_.positional.size(), false),
                    of.at, true);
    case ExpressionKind::kVariable:
      return variable(as<Variable>(of));
    case ExpressionKind::kMap:
      return map_value(as<MapAccess>(of));
    case ExpressionKind::kCall:
      return call(as<Call>(of));
    case ExpressionKind::kUnary:
      return unary(as<Unary>(of));
    case ExpressionKind::kBinary:
      return binary(as<Binary>(of));
    case ExpressionKind::kConditional:
      return conditional(as<Conditional>(of));
    case ExpressionKind::kCast:
      return cast(as<Cast>(of));
    case ExpressionKind::kField:
      return field(as<FieldAccess>(of));
    case ExpressionKind::kIndex:
      return index(as<Index>(of));
    case ExpressionKind::kTuple:
      return tuple(as<Tuple>(of));
    case ExpressionKind::kRecord:
      return record(as<RecordLiteral>(of));
    case ExpressionKind::kSizeof:
      return size_of(as<Sizeof>(of));
    case ExpressionKind::kOffsetof:
      return offset_of(as<Offsetof>(of));
    case ExpressionKind::kTypeinfo:
      return typeinfo(as<Typeinfo>(of));
    case ExpressionKind::kComptime:
      return comptime(as<Comptime>(of));
    case ExpressionKind::kBlock:
      return block_expression(*as<BlockExpression>(of).block);
    case ExpressionKind::kIf:
      return if_expression(as<IfExpression>(of));
  }
  CHECK(false);
}

Value Checker::evaluate(const Expansion::Lazy &lazy) {
  Expansion *frame = std::exchange(frame_, lazy.frame);
  Scope *scope = std::exchange(scope_, lazy.scope);
  Value value = expression(*lazy.expression);
  frame_ = frame;
  scope_ = scope;
  return value;
}

Value Checker::variable(const Variable &of) {
  KnownVariable *known = find_variable(of.name);
  if (known == nullptr) {
    // A macro's parameter that is given an expression.
    if (auto lazy = frame_->expressions.find(of.name); lazy != frame_->expressions.end()) return evaluate(lazy->second);
    return wrong(of.at, fmt::format("Undefined or undeclared variable: ${}", of.name));
  }
  known->is_read = true;
  if (known->type.is(TypeKind::kNone))
    return wrong(of.at, fmt::format("Undefined or undeclared variable: ${}", of.name));
  return value(Op::kVariable, known->type, of.at, {}, use(*known));
}

Value Checker::positional(uint32_t index, const Location &at) {
  if (index > options_.positional.size()) return number(0, type_of_number(0, false), at, true);
  const std::string &given = options_.positional[index - 1];
  if (std::optional<int64_t> known = number_of(given)) {
    uint64_t size =
        *known < 0 && given.starts_with('-') ? ~static_cast<uint64_t>(*known) : static_cast<uint64_t>(*known);
    return number(*known, type_of_number(size, false), at, true);
  }
  return text(given, at);
}

std::optional<bool> Checker::known_condition(const Value &value) const {
  if (!value || value.node->op != Op::kConstant || value.type().is(TypeKind::kNone)) return std::nullopt;
  return value.node->number != 0;
}

// --- branches ----------------------------------------------------------------------

Value Checker::branches(const Value &condition, const Value &yes, const Value &no, const Location &at) {
  if (!condition) return {};
  if (!condition.type().is_integral() && !condition.type().is(TypeKind::kPointer))
    return wrong(condition.node->at, fmt::format("Invalid condition in ternary: {}", condition.type().name()));
  if (!yes || !no) return is_last_ ? Value{} : yes ? yes : no;
  if (yes.type().is(TypeKind::kNone) && no.type().is(TypeKind::kNone))
    return value(Op::kConditional, Type(), at, {to_bool(condition), yes.node, no.node});
  std::optional<Type> common;
  bool both_integers = yes.type().is(TypeKind::kInteger) && no.type().is(TypeKind::kInteger);
  if (both_integers && (yes.is_plain || no.is_plain)) {
    bool is_signed = yes.is_plain && yes.node->number >= 0 ? no.type().is_signed() : yes.type().is_signed();
    common = Type::integer(8, is_signed);
  } else {
    common = common_type(yes.type(), no.type());
  }
  if (!common)
    return wrong(at, fmt::format("Ternary operator must return the same type: have '{}' and '{}'", yes.type().name(),
                                 no.type().name()));
  return value(Op::kConditional, *common, at, {to_bool(condition), convert(yes, *common), convert(no, *common)});
}

Value Checker::conditional(const Conditional &of) {
  Value condition = expression(*of.condition);
  if (std::optional<bool> known = known_condition(condition); known && condition.node->op == Op::kConstant)
    return expression(*known ? *of.yes : *of.no);
  // Each branch has its own statements, which run only with it.
  auto branch = [&](const Expression &part) {
    Steps steps, *outer = std::exchange(steps_, &steps);
    Value made = expression(part);
    steps_ = outer;
    if (!made || steps.empty()) return made;
    Node &node = make(Op::kSequence, made.type(), part.at);
    if (!made.type().is(TypeKind::kNone)) node.in.push_back(made.node);
    node.body = std::move(steps);
    return Value{&node, false, {}, {}};
  };
  Value yes = branch(*of.yes), no = branch(*of.no);
  return branches(condition, yes, no, of.at);
}

Value Checker::if_expression(const IfExpression &of) {
  Value condition = expression(*of.condition);
  if (std::optional<bool> known = known_condition(condition)) {
    const Block *taken = *known ? of.yes : of.no;
    return taken == nullptr ? number(0, Type(), of.at) : block_expression(*taken);
  }
  Value yes = block_expression(*of.yes);
  Value no = of.no != nullptr ? block_expression(*of.no) : number(0, Type(), of.at);
  return branches(condition, yes, no, of.at);
}

Value Checker::block_expression(const Block &of) {
  Steps steps, *outer = std::exchange(steps_, &steps);
  Scope scope;
  scope.outer = scope_;
  scope_ = &scope;
  bool ends = statements(of.statements);
  Value last = of.value != nullptr && !ends ? expression(*of.value) : number(0, Type(), of.at);
  scope_ = scope.outer;
  steps_ = outer;
  if (!last) return {};
  if (steps.empty()) return last;
  Node &node = make(Op::kSequence, last.type(), of.at);
  if (!last.type().is(TypeKind::kNone)) node.in.push_back(last.node);
  node.body = std::move(steps);
  return {&node, false, last.aggregate, last.map};
}

// --- several values ------------------------------------------------------------------

Value Checker::tuple(const Tuple &of) {
  std::vector<std::pair<std::string, Type>> fields;
  std::vector<const Node *> in;
  for (const Expression *each : of.fields) {
    Value made = expression(*each);
    if (!made) return {};
    if (made.type().is(TypeKind::kNone) || made.type().is(TypeKind::kVoid))
      return wrong(each->at, fmt::format("Tuple cannot contain a value of type '{}'", made.type().name()));
    Type type = made.is_plain ? widened(made.type()) : made.type();
    fields.emplace_back("", type);
    in.push_back(convert(made, type));
  }
  return value(Op::kTuple, Type::tuple(fields), of.at, std::move(in));
}

Value Checker::record(const RecordLiteral &of) {
  std::vector<std::pair<std::string, Type>> fields;
  std::vector<const Node *> in;
  for (const NamedValue &each : of.fields) {
    Value made = expression(*each.value);
    if (!made) return {};
    for (const auto &[name, type] : fields)
      if (name == each.name) return wrong(each.value->at, fmt::format("Duplicate field name: {}", each.name));
    if (made.type().is(TypeKind::kNone) || made.type().is(TypeKind::kVoid))
      return wrong(each.value->at, fmt::format("Record cannot contain a value of type '{}'", made.type().name()));
    Type type = made.is_plain ? widened(made.type()) : made.type();
    fields.emplace_back(each.name, type);
    in.push_back(convert(made, type));
  }
  return value(Op::kTuple, Type::tuple(fields), of.at, std::move(in));
}

// --- known while compiling -------------------------------------------------------------

Type Checker::type_of(const Expression &of) {
  Steps unused, *outer = std::exchange(steps_, &unused);
  Value made = expression(of);
  steps_ = outer;
  if (!made) return Type();
  return made.aggregate.is(TypeKind::kNone) ? made.type() : made.aggregate;
}

Value Checker::size_of(const Sizeof &of) {
  Type known = of.type != nullptr ? type(*of.type) : type_of(*of.operand);
  known = complete(known);
  if (known.is(TypeKind::kNone)) return {};
  return number(known.bytes(), Type::integer(8, false), of.at, true);
}

Value Checker::offset_of(const Offsetof &of) {
  Type known = of.type != nullptr ? type(*of.type) : type_of(*of.operand);
  if (known.is(TypeKind::kNone)) return {};
  uint32_t offset = 0;
  for (std::string_view name : of.fields) {
    known = complete(known);
    if (!known.is(TypeKind::kRecord)) return wrong(of.at, fmt::format("'{}' is not a record type.", known.name()));
    const Field *found = known.field(std::string(name));
    if (found == nullptr) return wrong(of.at, fmt::format("'{}' has no field named '{}'", known.name(), name));
    offset += found->offset;
    known = Type(found->type);
  }
  return number(offset, Type::integer(8, false), of.at, true);
}

// (id, base name, full name).
Value Checker::typeinfo(const Typeinfo &of) {
  Type known = of.type != nullptr ? type(*of.type) : type_of(*of.operand);
  if (known.is(TypeKind::kNone)) return {};
  std::string base = known.is(TypeKind::kInteger)   ? "int"
                     : known.is(TypeKind::kString)  ? "string"
                     : known.is(TypeKind::kPointer) ? "pointer"
                     : known.is(TypeKind::kRecord)  ? "record"
                     : known.is(TypeKind::kTuple)   ? "tuple"
                     : known.is(TypeKind::kArray)   ? "array"
                                                    : known.name();
  Value id = number(static_cast<int64_t>(known.kind()), Type::integer(8, false), of.at);
  Value one = text(base, of.at), full = text(known.name(), of.at);
  Type type = Type::tuple({{"btf_id", id.type()}, {"base_type", one.type()}, {"full_type", full.type()}});
  return value(Op::kTuple, type, of.at, {id.node, one.node, full.node});
}

Value Checker::comptime(const Comptime &of) {
  Steps steps, *outer = std::exchange(steps_, &steps);
  Value made = expression(*of.operand);
  steps_ = outer;
  if (!made) return {};
  auto is_known = [](const auto &self, const Node &node) -> bool {
    if (node.op == Op::kConstant || node.op == Op::kText) return true;
    if (node.op != Op::kTuple && node.op != Op::kConvert) return false;
    for (const Node *each : node.in)
      if (!self(self, *each)) return false;
    return true;
  };
  if (!steps.empty() || !is_known(is_known, *made.node)) return wrong(of.at, "Unable to evaluate at compile time.");
  return made;
}

}  // namespace waggle::script
