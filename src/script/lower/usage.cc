#include "script/lower/usage.h"

#include <algorithm>

namespace waggle::script {
namespace {

class Walk {
 public:
  Walk(const LowerOptions &options, Usage &usage)
      : options_(options), usage_(usage), block_of_(usage.variables.size()) {}

  void program(const Program &program) {
    if (program.predicate != nullptr) node(*program.predicate);
    block(program.body);
  }

 private:
  // Blocks are numbered; a variable that is first mentioned as the target of an assignment
  // in a block, and later only inside of it, has a value wherever it is read.
  void block(const std::vector<const Step *> &steps) {
    open_.push_back(next_block_++);
    for (const Step *each : steps) step(*each);
    open_.pop_back();
  }

  void step(const Step &step) {
    for (const Node *each : {step.key, step.value, step.end, step.times})
      if (each != nullptr && !(step.kind == Step::Kind::kWhile && each == step.value)) node(*each);
    switch (step.kind) {
      case Step::Kind::kAssign:
        assign(step.variable, step.value);
        return;
      case Step::Kind::kForMap:
        callback([&] {
          mention(step.variable, true);
          usage_.variables[step.variable].is_clean = false;
          block(step.body);
        });
        return;
      case Step::Kind::kForRange:
        loop(step, [&] {
          mention(step.variable, true);
          block(step.body);
        });
        return;
      case Step::Kind::kWhile:
        loop(step, [&] {
          node(*step.value);
          block(step.body);
        });
        return;
      default:
        block(step.body);
        block(step.otherwise);
    }
  }

  template <typename Body>
  void loop(const Step &step, Body body) {
    if (loops_by_callback(step, options_))
      callback(body);
    else
      body();
  }

  template <typename Body>
  void callback(Body body) {
    usage_.has_callbacks = true;
    callbacks_++;
    body();
    callbacks_--;
  }

  void assign(uint32_t variable, const Node *value) {
    mention(variable, true);
    VariableUsage &usage = usage_.variables[variable];
    if (value != nullptr && !is_clean(*value, usage_.variables)) usage.is_clean = false;
  }

  void mention(uint32_t variable, bool assigns) {
    VariableUsage &usage = usage_.variables[variable];
    if (!usage.is_used) {
      usage.is_used = true;
      usage.needs_zero = !assigns;
      block_of_[variable] = open_.empty() ? 0 : open_.back();
    }
    bool inside = std::find(open_.begin(), open_.end(), block_of_[variable]) != open_.end();
    if (!inside) usage.needs_zero = true;
    if (callbacks_ > 0) usage.in_callback = true;
  }

  void node(const Node &node) {
    for (const Node *each : node.in) this->node(*each);
    if (!node.body.empty()) block(node.body);
    bool is_variable =
        node.op == Op::kVariable || node.op == Op::kVariableAddress || (node.op == Op::kIncrement && !node.is_map);
    if (!is_variable) return;
    auto variable = static_cast<uint32_t>(node.number);
    mention(variable, false);
    if (node.op == Op::kVariableAddress) usage_.variables[variable].has_address = true;
  }

  const LowerOptions &options_;
  Usage &usage_;
  std::vector<uint32_t> block_of_, open_;
  uint32_t next_block_ = 1, callbacks_ = 0;
};

}  // namespace

Usage usage_of(const Script &script, const Program &program, const LowerOptions &options) {
  Usage usage;
  usage.variables.resize(script.variables.size());
  // A variable that gets another's value is only as clean: once more sees what was found
  // later in the text.
  for (int round = 0; round < 2; round++) {
    for (VariableUsage &each : usage.variables) each = {.is_clean = each.is_clean};
    Walk(options, usage).program(program);
  }
  return usage;
}

bool loops_by_callback(const Step &step, const LowerOptions &options) {
  if (step.kind == Step::Kind::kForMap) return true;
  return (step.kind == Step::Kind::kForRange || step.kind == Step::Kind::kWhile) && options.has_loop;
}

bool has_text(const Type &type) {
  switch (type.kind()) {
    case TypeKind::kString:
    case TypeKind::kBuffer:
      return true;
    case TypeKind::kArray:
      return has_text(type.element());
    case TypeKind::kTuple:
    case TypeKind::kRecord:
      return std::any_of(type.fields().begin(), type.fields().end(),
                         [](const Field &field) { return has_text(field.type); });
    default:
      return false;
  }
}

bool is_clean(const Node &node, const std::vector<VariableUsage> &variables) {
  if (!has_text(node.type)) return true;
  switch (node.op) {
    case Op::kText:
    case Op::kComm:
    case Op::kZero:
      return true;
    case Op::kVariable:
      return variables[static_cast<size_t>(node.number)].is_clean;
    case Op::kTuple:
      return std::all_of(node.in.begin(), node.in.end(), [&](const Node *each) { return is_clean(*each, variables); });
    case Op::kConditional:
      return is_clean(*node.in[1], variables) && is_clean(*node.in[2], variables);
    case Op::kSequence:
      return is_clean(*node.in[0], variables);
    case Op::kConvert:
      return node.type.is(TypeKind::kString) && node.in[0]->op == Op::kText;
    default:
      return false;
  }
}

}  // namespace waggle::script
