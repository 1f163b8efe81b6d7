// Statements, which only have an effect.
#include <fmt/format.h>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

constexpr uint32_t kUnrollMost = 100;

}  // namespace

void Checker::in_steps(Steps &steps, const Block &body) {
  Steps *outer = steps_;
  steps_ = &steps;
  block(body, /*with_value=*/false);
  steps_ = outer;
}

// The statements of a block, and its last expression for its effect.
bool Checker::block(const Block &block, bool with_value) {
  Scope scope;
  scope.outer = scope_;
  scope_ = &scope;
  bool ends = statements(block.statements);
  if (block.value != nullptr && !with_value && !ends) evaluate_for_effect(*block.value);
  scope_ = scope.outer;
  return ends;
}

bool Checker::statements(std::span<const Statement *const> all) {
  for (size_t i = 0; i < all.size(); i++) {
    if (frame_->result != nullptr && all[i]->kind == StatementKind::kExpression) {
      // In a function, what follows an `if` that returns is that one's else.
      const Expression &expression = *as<ExpressionStatement>(*all[i]).expression;
      if (expression.kind == ExpressionKind::kIf) {
        const auto &condition_of = as<IfExpression>(expression);
        const Node *holds = condition(*condition_of.condition, "if()");
        Step &made = step(Step::Kind::kIf, expression.at);
        made.value = holds;
        Steps yes, no, *outer = steps_;
        steps_ = &yes;
        bool yes_ends = block(*condition_of.yes, false);
        steps_ = &no;
        bool no_ends = condition_of.no != nullptr && block(*condition_of.no, false);
        bool ends = yes_ends && no_ends;
        if (yes_ends != no_ends) {
          steps_ = yes_ends ? &no : &yes;
          ends = statements(all.subspan(i + 1));
        }
        steps_ = outer;
        made.body = std::move(yes);
        made.otherwise = std::move(no);
        if (ends) return true;
        if (yes_ends != no_ends) return false;
        continue;
      }
    }
    std::string_view jump = all[i]->kind == StatementKind::kBreak      ? "break"
                            : all[i]->kind == StatementKind::kContinue ? "continue"
                            : all[i]->kind == StatementKind::kReturn   ? "return"
                                                                       : "";
    if (!jump.empty() && i + 1 < all.size())
      warn(all[i]->at, fmt::format("All code after a '{}' is unreachable.", jump));
    if (statement(*all[i])) return true;
  }
  return false;
}

bool Checker::statement(const Statement &statement) {
  switch (statement.kind) {
    case StatementKind::kExpression:
      evaluate_for_effect(*as<ExpressionStatement>(statement).expression);
      return false;
    case StatementKind::kAssign:
      assign(as<Assign>(statement));
      return false;
    case StatementKind::kLet:
      let(as<Let>(statement));
      return false;
    case StatementKind::kWhile:
      loop_while(as<While>(statement));
      return false;
    case StatementKind::kFor:
      loop_for(as<For>(statement));
      return false;
    case StatementKind::kUnroll:
      loop_unroll(as<Unroll>(statement));
      return false;
    case StatementKind::kReturn:
      leave(as<Return>(statement));
      return true;
    case StatementKind::kBreak:
    case StatementKind::kContinue: {
      bool is_break = statement.kind == StatementKind::kBreak;
      if (loops_ == 0)
        wrong(statement.at, fmt::format("{} used outside of a loop", is_break ? "break" : "continue"));
      else
        step(is_break ? Step::Kind::kBreak : Step::Kind::kContinue, statement.at);
      return false;
    }
  }
  return false;
}

void Checker::evaluate_for_effect(const Expression &of) {
  if (of.kind == ExpressionKind::kIf) {
    const auto &condition_of = as<IfExpression>(of);
    Value holds = expression(*condition_of.condition);
    if (std::optional<bool> known = known_condition(holds); known && holds.node->op == Op::kConstant) {
      // Only one of them will ever run; the other need not even have types.
      const Block *taken = *known ? condition_of.yes : condition_of.no;
      if (taken != nullptr) block(*taken, false);
      return;
    }
    const Node *node = nullptr;
    if (holds) {
      const Type &type = holds.type();
      if (!type.is_integral() && !type.is(TypeKind::kPointer))
        wrong(condition_of.condition->at, fmt::format("Invalid condition in if(): {}", type.name()));
      else
        node = to_bool(holds);
    }
    Step &made = step(Step::Kind::kIf, of.at);
    made.value = node;
    Steps yes, no;
    in_steps(yes, *condition_of.yes);
    if (condition_of.no != nullptr) in_steps(no, *condition_of.no);
    made.body = std::move(yes);
    made.otherwise = std::move(no);
    return;
  }
  if (of.kind == ExpressionKind::kBlock) {
    Step &made = step(Step::Kind::kBlock, of.at);
    Steps body;
    in_steps(body, *as<BlockExpression>(of).block);
    made.body = std::move(body);
    return;
  }
  Value value = expression(of);
  // A call that emitted has no value, and nothing more is to be done.
  if (!value || value.node->op == Op::kConstant || value.node->op == Op::kText) return;
  step(Step::Kind::kEvaluate, of.at).value = value.node;
}

const Node *Checker::condition(const Expression &of, std::string_view where) {
  Value holds = expression(of);
  if (!holds) return nullptr;
  const Type &type = holds.type();
  if (type.is_integral() || type.is(TypeKind::kPointer)) return to_bool(holds);
  if (where == "predicate")
    wrong(of.at, fmt::format("Invalid type for predicate: {}", type.name()));
  else
    wrong(of.at, fmt::format("Invalid condition in {}: {}", where, type.name()));
  return nullptr;
}

// --- assignment ----------------------------------------------------------------------

void Checker::assign(const Assign &assign) {
  const Expression &target = *assign.target;
  if (target.kind != ExpressionKind::kVariable && target.kind != ExpressionKind::kMap) {
    wrong(target.at, "Only variables and maps can be assigned to");
    return;
  }
  if (target.kind == ExpressionKind::kMap && !assign.is_compound && assign.value->kind == ExpressionKind::kCall &&
      aggregate(assign, as<MapAccess>(target), as<Call>(*assign.value)))
    return;
  if (target.kind == ExpressionKind::kMap) {
    const auto &access = as<MapAccess>(target);
    Value given;
    if (assign.is_compound) {
      Value before = map_value(access), by = expression(*assign.value);
      given = binary(assign.op, before, by, assign.at);
      KnownMap *map = map_of(access);
      // What is first added to counts from 0.
      bool is_first = map != nullptr && map->value.is(TypeKind::kNone);
      if (!given && by && is_first && by.type().is_integral()) given = by;
      if (given && map != nullptr && !before.aggregate.is(TypeKind::kNone)) given.aggregate = before.aggregate;
    } else {
      given = expression(*assign.value);
    }
    assign_map(access, given, assign.at);
    return;
  }
  const auto &target_variable = as<Variable>(target);
  Value given;
  if (assign.is_compound) {
    Value before = variable(target_variable);
    given = binary(assign.op, before, expression(*assign.value), assign.at);
    // What is computed of it stays what it is.
    if (given && before && before.type().is(TypeKind::kInteger) && given.type().is(TypeKind::kInteger))
      given = {convert(given, before.type()), false, {}, {}};
  } else {
    given = expression(*assign.value);
  }
  assign_variable(target_variable, given, assign.at);
}

void Checker::assign_variable(const Variable &target, const Value &given, const Location &at) {
  KnownVariable *known = find_variable(target.name);
  // A macro's parameter, or one of this block or around it; else it begins here.
  if (known == nullptr) known = &declare_variable(target.name, target.at);
  known->is_assigned = true;
  if (!given) return;
  if (!given.aggregate.is(TypeKind::kNone) && given.type().is_aggregate()) {
    wrong(at, fmt::format("Map value '{}' cannot be assigned to a scratch variable.", given.aggregate.name()));
    return;
  }
  if (!grow(*known, given, at)) return;
  const Node *node = convert(given, known->type);
  if (node == nullptr) return;
  Step &made = step(Step::Kind::kAssign, at);
  made.variable = use(*known);
  made.value = node;
}

void Checker::assign_map(const MapAccess &target, const Value &given, const Location &at) {
  KnownMap *map = map_of(target);
  if (map == nullptr) return;
  std::optional<const Node *> key = key_of(target, *map);
  if (!grow_value(*map, given, at) || !key) return;
  Step &made = step(Step::Kind::kMapAssign, at);
  made.map = map->index;
  made.key = *key;
  made.value = convert(given, map->value);
  made.action = map_full(at);
}

uint32_t Checker::map_full(const Location &at) {
  return runtime_error(at,
                       "Map full; can't update element. Try increasing max_map_keys config or manually setting "
                       "the max entries in a map declaration e.g. `let @a = hash(5000)`",
                       "map_update_elem");
}

void Checker::let(const Let &let) {
  const Variable &name = *let.variable;
  if (scope_->variables.contains(name.name) || find_variable(name.name) != nullptr) {
    wrong(let.at, fmt::format("Variable ${} was already declared. Variable shadowing is not allowed.", name.name));
    return;
  }
  Value given;
  if (let.value != nullptr) given = expression(*let.value);
  KnownVariable &known = declare_variable(name.name, name.at);
  if (let.type != nullptr) {
    Type declared = type(*let.type);
    if (declared.is(TypeKind::kNone)) return;
    if (declared.is(TypeKind::kVoid)) {
      wrong(let.at, fmt::format("Invalid variable declaration type: {}", declared.name()));
      return;
    }
    known.is_declared = true;
    known.type = declared;
  }
  if (let.value != nullptr) {
    assign_variable(name, given, let.at);
    return;
  }
  if (known.type.is(TypeKind::kNone)) return;
  // In a loop it is a new one each time.
  Step &made = step(Step::Kind::kAssign, let.at);
  made.variable = use(known);
  made.value = &make(Op::kZero, known.type, let.at);
}

// --- loops ---------------------------------------------------------------------------

void Checker::loop_while(const While &loop) {
  warn(loop.at, "While loops are deprecated. Use `for` loops instead e.g. `for $i : 0..100 { ... }`");
  loops_++;
  // What the condition needs to be computed is computed each time.
  Steps before, *outer = steps_;
  steps_ = &before;
  const Node *holds = condition(*loop.condition, "while()");
  steps_ = outer;
  Step &made = step(Step::Kind::kWhile, loop.at);
  Steps body;
  if (before.empty()) {
    made.value = holds;
  } else {
    made.value = boolean(true, loop.at).node;
    body = std::move(before);
    steps_ = &body;
    Step &check = step(Step::Kind::kIf, loop.at);
    check.value = holds;
    Steps leave;
    steps_ = &leave;
    step(Step::Kind::kBreak, loop.at);
    check.otherwise = std::move(leave);
    steps_ = outer;
  }
  in_steps(body, *loop.body);
  made.body = std::move(body);
  loops_--;
}

void Checker::loop_for(const For &loop) {
  Step::Kind kind = loop.over != nullptr ? Step::Kind::kForMap : Step::Kind::kForRange;
  const Node *first = nullptr, *end = nullptr;
  Type each;
  uint32_t index = 0;
  if (find_variable(loop.variable->name) != nullptr) {
    wrong(loop.variable->at, fmt::format("Loop declaration shadows existing variable: ${}", loop.variable->name));
    return;
  }
  if (loop.over != nullptr) {
    if (loop.over->kind != ExpressionKind::kMap || as<MapAccess>(*loop.over).has_key) {
      Type over = type_of(*loop.over);
      wrong(loop.over->at, fmt::format("Loop expression does not support type: {}", over.name()));
      return;
    }
    const auto &access = as<MapAccess>(*loop.over);
    KnownMap *map = whole_map(*loop.over, "for");
    if (map == nullptr) return;
    if (map->access == KnownMap::Access::kScalar) {
      wrong(access.at,
            fmt::format("@{} has no explicit keys (scalar map), and cannot be used for iteration", map->name));
      return;
    }
    if (map->key.is(TypeKind::kNone) || map->value.is(TypeKind::kNone)) {
      wrong(access.at, fmt::format("Undefined map: @{}", map->name));
      return;
    }
    Type value = map->value;
    if (value.is_aggregate()) {
      bool is_number = !value.is(TypeKind::kHist) && !value.is(TypeKind::kLhist) && !value.is(TypeKind::kTseries);
      if (!is_number) {
        wrong(access.at, fmt::format("Loop expression does not support type: {}", value.name()));
        return;
      }
      value = Type::integer(8, value.is_signed());
    }
    each = Type::tuple({{"", map->key}, {"", value}});
    index = map->index;
  } else {
    Value from = expression(*loop.first), to = expression(*loop.end);
    if (!from || !to) return;
    for (const auto &[value, at] : {std::pair(&from, loop.first->at), std::pair(&to, loop.end->at)}) {
      if (value->type().is_integral()) continue;
      wrong(at, fmt::format("Loop range requires an integer for the {} value", value == &from ? "start" : "end"));
      return;
    }
    each = Type::integer(8, true);
    first = convert(from, each);
    end = convert(to, each);
  }
  Scope scope;
  scope.outer = scope_;
  scope_ = &scope;
  KnownVariable &variable = declare_variable(loop.variable->name, loop.variable->at);
  if (!(variable.type == each)) changed_ = true;
  variable.type = each;
  variable.is_assigned = true;
  variable.is_declared = true;
  Step &made = step(kind, loop.at);
  made.variable = use(variable);
  made.map = index;
  made.value = first;
  made.end = end;
  loops_++;
  Steps body;
  in_steps(body, *loop.body);
  made.body = std::move(body);
  loops_--;
  scope_ = scope.outer;
}

void Checker::loop_unroll(const Unroll &loop) {
  Value times = expression(*loop.times);
  if (!times) return;
  if (!times.is_constant() || !times.type().is_integral()) {
    wrong(loop.times->at, "unroll times must be an integer literal or a positional parameter");
    return;
  }
  int64_t count = times.node->number;
  if (count < 1) {
    wrong(loop.times->at, "unroll minimum value is 1");
    return;
  }
  if (count > kUnrollMost) {
    wrong(loop.times->at, fmt::format("unroll maximum value is {}", kUnrollMost));
    return;
  }
  Step &made = step(Step::Kind::kUnroll, loop.at);
  made.times_known = static_cast<uint32_t>(count);
  loops_++;
  Steps body;
  in_steps(body, *loop.body);
  made.body = std::move(body);
  loops_--;
}

void Checker::leave(const Return &leave) {
  if (frame_->result != nullptr) {
    if (loops_ > loops_before_) {
      wrong(leave.at, "a function cannot return from inside of a loop");
      return;
    }
    if (leave.value == nullptr) return;
    Value given = expression(*leave.value);
    if (!given || !grow(*frame_->result, given, leave.at)) return;
    Step &made = step(Step::Kind::kAssign, leave.at);
    made.variable = use(*frame_->result);
    made.value = convert(given, frame_->result->type);
    return;
  }
  const Node *value = nullptr;
  if (leave.value != nullptr) {
    Value given = expression(*leave.value);
    if (given && !given.type().is_integral()) {
      wrong(leave.at, fmt::format("Unable to cast to return type: {}", given.type().name()));
      return;
    }
    value = to_u64(given);
  }
  step(Step::Kind::kReturn, leave.at).value = value;
}

}  // namespace waggle::script
