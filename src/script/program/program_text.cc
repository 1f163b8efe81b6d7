#include "script/program/program_text.h"

#include <fmt/format.h>

#include <iterator>

#include "base/check.h"
#include "base/text.h"

namespace waggle::script {
namespace {

constexpr std::string_view kOps[] = {"constant",
                                     "text",
                                     "variable",
                                     "zero",
                                     "convert",
                                     "add",
                                     "subtract",
                                     "multiply",
                                     "divide",
                                     "modulo",
                                     "bit and",
                                     "bit or",
                                     "bit xor",
                                     "shift left",
                                     "shift right",
                                     "negate",
                                     "bit not",
                                     "equal",
                                     "not equal",
                                     "less",
                                     "less or equal",
                                     "greater",
                                     "greater or equal",
                                     "not",
                                     "and",
                                     "or",
                                     "conditional",
                                     "tuple",
                                     "sequence",
                                     "increment",
                                     "dereference",
                                     "context",
                                     "field",
                                     "element",
                                     "address",
                                     "variable address",
                                     "map address",
                                     "context word",
                                     "context data",
                                     "register",
                                     "stack argument",
                                     "usdt argument",
                                     "map value",
                                     "map has",
                                     "map delete",
                                     "map length",
                                     "pid",
                                     "tid",
                                     "uid",
                                     "gid",
                                     "comm",
                                     "cpu",
                                     "numa node",
                                     "cgroup",
                                     "curtask",
                                     "random",
                                     "nanoseconds",
                                     "elapsed",
                                     "jiffies",
                                     "function",
                                     "context address",
                                     "user mode",
                                     "global",
                                     "kernel stack",
                                     "user stack",
                                     "socket cookie",
                                     "string",
                                     "buffer",
                                     "strings equal",
                                     "string find",
                                     "string length",
                                     "memory compare",
                                     "byte swap",
                                     "inet",
                                     "symbol",
                                     "mac address",
                                     "username",
                                     "cgroup path",
                                     "timestamp",
                                     "errno",
                                     "path",
                                     "per-cpu address",
                                     "stack length",
                                     "emit",
                                     "signal",
                                     "override",
                                     "write user"};

constexpr std::string_view kActions[] = {"exit",        "printf",    "errorf",      "warnf",         "debugf", "fail",
                                         "print value", "print map", "print entry", "clear",         "zero",   "time",
                                         "cat",         "system",    "join",        "runtime error", "unwatch"};
static_assert(std::size(kActions) == static_cast<size_t>(Action::Kind::kUnwatch) + 1);

class Writer {
 public:
  explicit Writer(const Script &script) : script_(script) {}

  void node(const Node &node, int depth) {
    begin(depth);
    text_ += name_of(node.op);
    switch (node.op) {
      case Op::kConstant:
        out(" {}", node.number);
        break;
      case Op::kText:
        text_ += ' ';
        append_json_string(text_, node.text);
        break;
      case Op::kVariable:
      case Op::kVariableAddress:
        variable(static_cast<uint32_t>(node.number));
        break;
      case Op::kIncrement:
        out(" {} by {}", node.is_before ? "before" : "after", node.by);
        if (node.is_map)
          map(node.map);
        else
          variable(static_cast<uint32_t>(node.number));
        break;
      case Op::kMapValue:
      case Op::kMapHas:
      case Op::kMapDelete:
      case Op::kMapLength:
      case Op::kMapAddress:
        map(node.map);
        break;
      case Op::kEmit:
        action(node.action);
        break;
      default:
        if (node.number != 0 || node.op == Op::kContext || node.op == Op::kField || node.op == Op::kRegister)
          out(" {}", node.number);
        break;
    }
    if (node.bit_size != 0) out(" bits {}+{}", node.bit_offset, node.bit_size);
    if (!node.type.is(TypeKind::kNone)) {
      out(" : {}", node.type.name());
      if (node.type.is(TypeKind::kPointer))
        text_ += node.type.space() == AddressSpace::kUser     ? " user"
                 : node.type.space() == AddressSpace::kKernel ? " kernel"
                                                              : "";
    }
    text_ += '\n';
    for (const Node *each : node.in) this->node(*each, depth + 1);
    steps(node.body, depth + 1);
  }

  void steps(const std::vector<const Step *> &all, int depth) {
    for (const Step *each : all) step(*each, depth);
  }

  void program(const Program &program) {
    text_ += "program";
    for (const ConcreteProbe &probe : program.probes) out(" {}", probe.name);
    text_ += '\n';
    if (program.predicate != nullptr) {
      text_ += "  predicate\n";
      node(*program.predicate, 2);
    }
    steps(program.body, 1);
  }

  void all() {
    for (size_t i = 0; i < script_.variables.size(); i++)
      out("variable ${} {} : {}\n", script_.variables[i].name, i, script_.variables[i].type.name());
    for (const ScriptMap &each : script_.maps)
      out("map {}[{}] : {}\n", each.shape.name, each.shape.key.is(TypeKind::kNone) ? "" : each.shape.key.name(),
          each.shape.value.name());
    for (const Program &each : script_.programs) program(each);
  }

  std::string take() { return std::move(text_); }

 private:
  template <typename... Arguments>
  void out(fmt::format_string<Arguments...> format, Arguments &&...arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
  }
  void begin(int depth) { text_.append(static_cast<size_t>(depth) * 2, ' '); }
  void variable(uint32_t number) {
    out(" ${}", number < script_.variables.size() ? script_.variables[number].name : "?");
  }
  void map(uint32_t number) { out(" {}", number < script_.maps.size() ? script_.maps[number].shape.name : "?"); }
  void action(uint32_t number) {
    const Action &action = script_.actions[number];
    out(" {}", name_of(action.kind));
    if (action.kind == Action::Kind::kPrintMap || action.kind == Action::Kind::kPrintEntry ||
        action.kind == Action::Kind::kClear || action.kind == Action::Kind::kZero)
      map(action.map);
    if (!action.text.empty()) {
      text_ += ' ';
      append_json_string(text_, action.text);
    }
    out(" {}", action.row.is(TypeKind::kTuple) ? action.row.name() : "()");
  }

  void step(const Step &step, int depth) {
    switch (step.kind) {
      case Step::Kind::kEvaluate:
        if (step.value != nullptr) node(*step.value, depth);
        return;
      case Step::Kind::kAssign:
        begin(depth);
        text_ += "assign";
        variable(step.variable);
        text_ += '\n';
        operand(step.value, depth + 1);
        return;
      case Step::Kind::kMapAssign:
      case Step::Kind::kMapCount:
        begin(depth);
        text_ += step.kind == Step::Kind::kMapAssign ? "assign" : "count";
        map(step.map);
        text_ += '\n';
        labelled("key", step.key, depth + 1);
        operand(step.value, depth + 1);
        labelled("times", step.times, depth + 1);
        return;
      case Step::Kind::kIf:
        line("if", depth);
        operand(step.value, depth + 2);
        line("then", depth + 1);
        steps(step.body, depth + 2);
        if (!step.otherwise.empty()) line("else", depth + 1);
        steps(step.otherwise, depth + 2);
        return;
      case Step::Kind::kWhile:
        line("while", depth);
        operand(step.value, depth + 2);
        line("do", depth + 1);
        steps(step.body, depth + 2);
        return;
      case Step::Kind::kForMap:
        begin(depth);
        text_ += "for";
        variable(step.variable);
        text_ += " of";
        map(step.map);
        text_ += '\n';
        steps(step.body, depth + 1);
        return;
      case Step::Kind::kForRange:
        begin(depth);
        text_ += "for";
        variable(step.variable);
        text_ += '\n';
        labelled("from", step.value, depth + 1);
        labelled("to", step.end, depth + 1);
        steps(step.body, depth + 1);
        return;
      case Step::Kind::kUnroll:
        begin(depth);
        out("unroll {}\n", step.times_known);
        steps(step.body, depth + 1);
        return;
      case Step::Kind::kReturn:
        line("return", depth);
        operand(step.value, depth + 1);
        return;
      case Step::Kind::kBreak:
        line("break", depth);
        return;
      case Step::Kind::kContinue:
        line("continue", depth);
        return;
      case Step::Kind::kBlock:
        line("block", depth);
        steps(step.body, depth + 1);
        return;
    }
  }
  void line(std::string_view word, int depth) {
    begin(depth);
    out("{}\n", word);
  }
  void operand(const Node *value, int depth) {
    if (value != nullptr) node(*value, depth);
  }
  void labelled(std::string_view word, const Node *value, int depth) {
    if (value == nullptr) return;
    line(word, depth);
    node(*value, depth + 1);
  }

  const Script &script_;
  std::string text_;
};

}  // namespace

std::string_view name_of(Op op) {
  static_assert(std::size(kOps) == static_cast<size_t>(Op::kWriteUser) + 1);
  return kOps[static_cast<size_t>(op)];
}

std::string_view name_of(Action::Kind kind) {
  return kActions[static_cast<size_t>(kind)];
}

std::string text_of(const Script &script) {
  Writer writer(script);
  writer.all();
  return writer.take();
}

std::string text_of(const Script &script, const Node &node) {
  Writer writer(script);
  writer.node(node, 0);
  return writer.take();
}

}  // namespace waggle::script
