// Macros and functions: their bodies take the place of the call.
#include <fmt/format.h>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

constexpr int kDepthMost = 64;

std::string_view kind_name(Parameter::Kind kind) {
  return kind == Parameter::Kind::kVariable ? "variable" : kind == Parameter::Kind::kMap ? "map" : "expression";
}

bool is_whole_map(const Expression &argument) {
  return argument.kind == ExpressionKind::kMap && !as<MapAccess>(argument).has_key;
}

bool takes(const Macro &macro, const Call &call) {
  if (macro.parameters.size() != call.arguments.size()) return false;
  for (size_t i = 0; i < call.arguments.size(); i++) {
    Parameter::Kind kind = macro.parameters[i].kind;
    if (kind == Parameter::Kind::kMap && !is_whole_map(*call.arguments[i])) return false;
    if (kind == Parameter::Kind::kVariable && call.arguments[i]->kind != ExpressionKind::kVariable) return false;
  }
  return true;
}

}  // namespace

const Macro *Checker::find_macro(const Call &call, bool &is_known) {
  const Macro *same_name = nullptr;
  for (const Macro *each : tree_.macros) {
    if (each->name != call.name) continue;
    same_name = each;
    is_known = true;
    if (takes(*each, call)) return each;
  }
  if (same_name == nullptr) return nullptr;
  if (same_name->parameters.size() != call.arguments.size()) {
    wrong(call.at, fmt::format("Call to macro has wrong number arguments. Expected: {} but got {}",
                               same_name->parameters.size(), call.arguments.size()));
    return nullptr;
  }
  for (size_t i = 0; i < call.arguments.size(); i++) {
    const Parameter &parameter = same_name->parameters[i];
    bool fits = parameter.kind == Parameter::Kind::kExpression ||
                (parameter.kind == Parameter::Kind::kMap ? is_whole_map(*call.arguments[i])
                                                         : call.arguments[i]->kind == ExpressionKind::kVariable);
    if (fits) continue;
    wrong(call.arguments[i]->at,
          fmt::format("Mismatched arg. macro '{}' expects a {} for parameter {}{} but got an expression.", call.name,
                      kind_name(parameter.kind), parameter.kind == Parameter::Kind::kMap ? "@" : "$", parameter.name));
  }
  return nullptr;
}

uint64_t Checker::expansion_of(const Expression &call) const {
  // FNV-1a over the calls that lead here.
  constexpr uint64_t kPrime = 0x100000001b3;
  uint64_t hash = frame_->expansion == 0 ? 0xcbf29ce484222325 : frame_->expansion;
  for (uint32_t word : {call.at.source, call.at.begin, call.id}) hash = (hash ^ word) * kPrime;
  return hash == 0 ? 1 : hash;
}

Value Checker::expand_macro(const Macro &macro, const Call &call) {
  for (const Expansion *frame = frame_; frame != nullptr; frame = frame->caller) {
    if (frame->name == macro.name)
      return wrong(call.at, fmt::format("Recursive macro call detected. Call chain: {} > {}", macro.name, macro.name));
  }
  if (depth_ >= kDepthMost) return wrong(call.at, "macros lie too deep in each other");
  Expansion frame;
  frame.caller = frame_;
  frame.name = macro.name;
  frame.is_macro = true;
  frame.expansion = expansion_of(call);
  frame.result = nullptr;
  for (size_t i = 0; i < macro.parameters.size(); i++) {
    const Parameter &parameter = macro.parameters[i];
    const Expression &argument = *call.arguments[i];
    switch (parameter.kind) {
      case Parameter::Kind::kVariable: {
        const auto &given = as<Variable>(argument);
        KnownVariable *known = find_variable(given.name);
        if (known == nullptr && frame_->expressions.contains(given.name)) {
          frame.expressions[parameter.name] = frame_->expressions[given.name];
          break;
        }
        if (known == nullptr) known = &declare_variable(given.name, given.at);
        frame.variables[parameter.name] = known;
        break;
      }
      case Parameter::Kind::kMap: {
        std::string_view name = as<MapAccess>(argument).name;
        auto renamed = frame_->maps.find(name);
        frame.maps[parameter.name] = renamed != frame_->maps.end() ? renamed->second : name;
        break;
      }
      case Parameter::Kind::kExpression:
        frame.expressions[parameter.name] = {&argument, frame_, scope_};
        break;
    }
  }
  Expansion *outer_frame = std::exchange(frame_, &frame);
  Scope *outer_scope = std::exchange(scope_, nullptr);
  depth_++;
  Value made = block_expression(*macro.body);
  depth_--;
  scope_ = outer_scope;
  frame_ = outer_frame;
  return made;
}

Value Checker::expand_function(const Function &function, const Call &call) {
  for (const Expansion *frame = frame_; frame != nullptr; frame = frame->caller)
    if (frame->name == function.name) return wrong(call.at, fmt::format("{}() calls itself", function.name));
  if (function.parameters.size() != call.arguments.size())
    return wrong(call.at, fmt::format("{}() requires {} arguments ({} provided)", function.name,
                                      function.parameters.size(), call.arguments.size()));
  std::vector<Value> given;
  for (const Expression *each : call.arguments) given.push_back(expression(*each));
  Expansion frame;
  frame.caller = frame_;
  frame.name = function.name;
  frame.expansion = expansion_of(call);
  Type returned = function.returned != nullptr ? type(*function.returned) : Type(TypeKind::kVoid);
  Scope scope;
  Steps steps, *outer_steps = std::exchange(steps_, &steps);
  Expansion *outer_frame = std::exchange(frame_, &frame);
  Scope *outer_scope = std::exchange(scope_, &scope);
  int outer_loops = std::exchange(loops_before_, loops_);
  for (size_t i = 0; i < given.size(); i++) {
    const Parameter &parameter = function.parameters[i];
    KnownVariable &variable = declare_variable(parameter.name, parameter.at);
    variable.is_declared = true;
    variable.type = type(*parameter.type);
    if (!given[i] || variable.type.is(TypeKind::kNone) || !grow(variable, given[i], call.arguments[i]->at)) continue;
    Step &made = step(Step::Kind::kAssign, call.at);
    made.variable = use(variable);
    made.value = convert(given[i], variable.type);
  }
  bool has_result = !returned.is(TypeKind::kVoid) && !returned.is(TypeKind::kNone);
  KnownVariable &result = declare_variable("", function.at);
  result.is_declared = true;
  result.type = has_result ? returned : Type::integer(8, true);
  result.is_assigned = true;
  frame.result = &result;
  block(*function.body, false);
  Value made = has_result ? value(Op::kVariable, result.type, call.at, {}, use(result)) : number(0, Type(), call.at);
  loops_before_ = outer_loops;
  scope_ = outer_scope;
  frame_ = outer_frame;
  steps_ = outer_steps;
  Node &node = make(Op::kSequence, made.type(), call.at);
  if (has_result) node.in.push_back(made.node);
  node.body = std::move(steps);
  return {&node, false, {}, {}};
}

}  // namespace waggle::script
