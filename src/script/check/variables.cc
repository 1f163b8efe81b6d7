// Variables, their blocks, and what they grow to.
#include <fmt/format.h>

#include <algorithm>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

// Of an integer the bytes of what it is computed of: arithmetic is done in 64 bits.
uint32_t natural_bytes(const Node &node) {
  switch (node.op) {
    case Op::kConstant: {
      auto value = static_cast<uint64_t>(node.number < 0 ? ~node.number : node.number);
      return std::min(type_of_number(value, false).bytes(), node.type.bytes());
    }
    case Op::kConvert:
      if (!node.in.front()->type.is_integral()) return node.type.bytes();
      return std::min(natural_bytes(*node.in.front()), node.type.bytes());
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide:
    case Op::kModulo:
    case Op::kBitAnd:
    case Op::kBitOr:
    case Op::kBitXor:
      return std::max(natural_bytes(*node.in[0]), natural_bytes(*node.in[1]));
    case Op::kShiftLeft:
    case Op::kShiftRight:
    case Op::kNegate:
      return natural_bytes(*node.in[0]);
    default:
      return node.type.bytes();
  }
}

}  // namespace

KnownVariable *Checker::find_variable(std::string_view name) {
  for (const Scope *scope = scope_; scope != nullptr; scope = scope->outer)
    if (auto found = scope->variables.find(name); found != scope->variables.end()) return found->second;
  if (auto found = frame_->variables.find(name); found != frame_->variables.end()) return found->second;
  return nullptr;
}

KnownVariable &Checker::declare_variable(std::string_view name, const Location &at) {
  VariableKey key{unit_->id, frame_->expansion, at.begin, at.source};
  KnownVariable &variable = variables_[key];
  variable.name = name;
  variable.at = at;
  scope_->variables[name] = &variable;
  return variable;
}

// Its number in Script::variables.
uint32_t Checker::use(KnownVariable &variable) {
  if (variable.index == UINT32_MAX) {
    variable.index = static_cast<uint32_t>(script_.variables.size());
    script_.variables.push_back({variable.name, variable.type});
  }
  return variable.index;
}

bool Checker::grow(KnownVariable &variable, const Value &value, const Location &at) {
  const Type &given = value.type();
  variable.is_assigned = true;
  if (given.is(TypeKind::kNone) || given.is(TypeKind::kVoid)) {
    wrong(at, fmt::format("Invalid expression for assignment: '{}' has no value", sources_.text(value.node->at)));
    return false;
  }
  if (variable.type.is(TypeKind::kNone)) {
    variable.type = value.is_plain ? widened(given) : given;
    variable.is_plain = value.is_plain;
    changed_ = true;
    return true;
  }
  const Type &known = variable.type;
  bool both_integers = known.is(TypeKind::kInteger) && given.is(TypeKind::kInteger);
  if (both_integers && value.is_plain && value.is_constant()) {
    bool is_above = !given.is_signed() && value.node->number < 0;
    if (fits(value.node->number, is_above, known)) return true;
  }
  std::optional<Type> common;
  if (both_integers && variable.is_plain && !variable.is_declared) {
    // It only was given numbers, which are of no type in particular.
    common = Type::integer(8, given.is_signed());
    variable.is_plain = value.is_plain;
  } else {
    common = common_type(known, given);
  }
  if (common && *common == known) return true;
  // What is computed of narrow numbers may be kept as one.
  bool may_cut =
      variable.is_declared && both_integers && !value.is_constant() && natural_bytes(*value.node) <= known.bytes();
  if (may_cut) return true;
  if (!common || variable.is_declared) {
    if (variable.is_declared)
      wrong(at, fmt::format("Type mismatch for ${}: trying to assign value of type '{}' when variable already has a "
                            "type '{}'",
                            variable.name, given.name(), known.name()));
    else
      wrong(at, fmt::format("Type mismatch for ${}: trying to assign value of type '{}' when variable already contains "
                            "a value of type '{}'",
                            variable.name, given.name(), known.name()));
    return false;
  }
  variable.type = *common;
  changed_ = true;
  return true;
}

}  // namespace waggle::script
