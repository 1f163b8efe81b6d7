// Making nodes, and values of one type out of values of another.
#include <fmt/format.h>

#include "base/check.h"
#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

// A number as an integer type has it: cut to its bytes, the sign extended.
int64_t cut(int64_t number, const Type &type) {
  if (type.is(TypeKind::kBool)) return number != 0 ? 1 : 0;
  if (type.bytes() >= 8 || type.bytes() == 0) return number;
  uint32_t shift = 64 - type.bytes() * 8;
  auto bits = static_cast<uint64_t>(number) << shift;
  return type.is_signed() ? static_cast<int64_t>(bits) >> shift : static_cast<int64_t>(bits >> shift);
}

bool is_number(const Type &type) {
  return type.is_integral() || type.is(TypeKind::kPointer);
}

}  // namespace

Value Checker::wrong(const Location &at, std::string message, std::string hint) {
  Diagnostic &made = (is_last_ ? diagnostics_ : ignored_).error(at, std::move(message));
  if (!hint.empty() && made.hints.empty()) made.hints.push_back(std::move(hint));
  return {};
}

void Checker::warn(const Location &at, std::string message, std::string hint) {
  if (!is_last_) return;
  Diagnostic &made = diagnostics_.warning(at, std::move(message));
  if (!hint.empty() && made.hints.empty()) made.hints.push_back(std::move(hint));
}

Node &Checker::make(Op op, Type type, const Location &at, std::vector<const Node *> in, int64_t number) {
  Node &node = script_.nodes.emplace_back();
  node.op = op;
  node.type = std::move(type);
  node.at = at;
  node.in = std::move(in);
  node.number = number;
  return node;
}

Value Checker::value(Op op, Type type, const Location &at, std::vector<const Node *> in, int64_t number) {
  for (const Node *each : in)
    if (each == nullptr) return {};
  return {&make(op, std::move(type), at, std::move(in), number), false, {}, {}};
}

Value Checker::number(int64_t number, Type type, const Location &at, bool is_plain) {
  number = cut(number, type);
  return {&make(Op::kConstant, std::move(type), at, {}, number), is_plain, {}, {}};
}

Value Checker::boolean(bool value, const Location &at) {
  return number(value ? 1 : 0, Type(TypeKind::kBool, 1), at);
}

Value Checker::text(std::string_view text, const Location &at) {
  Node &node = make(Op::kText, Type::string(static_cast<uint32_t>(text.size()) + 1), at);
  node.text = text;
  return {&node, false, {}, {}};
}

Step &Checker::step(Step::Kind kind, const Location &at) {
  Step &step = script_.steps.emplace_back();
  step.kind = kind;
  step.at = at;
  if (steps_ != nullptr) steps_->push_back(&step);
  return step;
}

const Node *Checker::convert(const Value &value, const Type &to) {
  return value ? convert(value.node, to) : nullptr;
}

const Node *Checker::convert(const Node *node, const Type &to) {
  if (node == nullptr) return nullptr;
  const Type &from = node->type;
  if (from == to) return node;
  if (from.is(TypeKind::kNone)) return nullptr;
  if (node->op == Op::kConstant && is_number(from) && is_number(to)) return number(node->number, to, node->at).node;
  if (node->op == Op::kText && to.is(TypeKind::kString)) {
    Node &made = make(Op::kText, to, node->at);
    made.text = node->text.substr(0, std::max(to.bytes(), 1u) - 1);
    return &made;
  }
  if (node->op == Op::kTuple && to.is(TypeKind::kTuple) && node->in.size() == to.fields().size()) {
    std::vector<const Node *> fields;
    for (size_t i = 0; i < node->in.size(); i++) fields.push_back(convert(node->in[i], to.fields()[i].type));
    return value(Op::kTuple, to, node->at, std::move(fields)).node;
  }
  return &make(Op::kConvert, to, node->at, {node});
}

const Node *Checker::to_bool(const Value &value) {
  if (!value) return nullptr;
  return convert(value.node, Type(TypeKind::kBool, 1));
}

uint32_t Checker::action(Action::Kind kind, const Location &at) {
  Action &action = script_.actions.emplace_back();
  action.kind = kind;
  action.at = at;
  return static_cast<uint32_t>(script_.actions.size() - 1);
}

Place Checker::place_of(const Location &at) const {
  const Source &source = sources_.at(at.source);
  LineColumn begin = source.place(at.begin), end = source.place(at.end);
  return {source.name, begin.line, begin.column, end.line, end.column, std::string(source.line(begin.line))};
}

uint32_t Checker::runtime_error(const Location &at, std::string message, std::string helper) {
  if (!options_.with_warnings) return kNoAction;
  uint32_t made = action(Action::Kind::kRuntimeError, at);
  script_.actions[made].row = Type::tuple({{"", Type::integer(8, true)}});
  script_.actions[made].error = {place_of(at), std::move(message), std::move(helper), 0};
  return made;
}

uint32_t Checker::read_error(const Location &at, AddressSpace space, bool is_text) {
  if (!options_.with_read_warnings || space == AddressSpace::kNone) return kNoAction;
  std::string helper = space == AddressSpace::kUser ? "probe_read_user" : "probe_read_kernel";
  return runtime_error(at, "Bad address", is_text ? helper + "_str" : helper);
}

const Node *Checker::address_of_value(const Value &of, const Location &at) {
  switch (of.node->op) {
    case Op::kVariable:
      return value(Op::kVariableAddress, Type::pointer(of.type()), at, {}, of.node->number).node;
    case Op::kField:
    case Op::kElement:
    case Op::kDereference:
    case Op::kContext: {
      // Of a value's field the value has an address.
      const Node *root = of.node;
      while ((root->op == Op::kField || root->op == Op::kElement) && !root->in.empty()) root = root->in.front();
      if (root->op == Op::kDereference || root->op == Op::kContext)
        return value(Op::kAddress, Type::pointer(of.type(), space_of(*of.node)), at, {of.node}).node;
      break;
    }
    default:
      break;
  }
  KnownVariable &kept = declare_variable("", at);
  kept.type = of.type();
  kept.is_assigned = true;
  Step &set = step(Step::Kind::kAssign, at);
  set.variable = use(kept);
  set.value = of.node;
  return value(Op::kVariableAddress, Type::pointer(of.type()), at, {}, set.variable).node;
}

void Checker::emit(uint32_t action, const Location &at, std::vector<const Node *> row) {
  for (const Node *each : row)
    if (each == nullptr) return;
  Step &made = step(Step::Kind::kEvaluate, at);
  Node &node = make(Op::kEmit, Type(), at, std::move(row));
  node.action = action;
  made.value = &node;
}

}  // namespace waggle::script
