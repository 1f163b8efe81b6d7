// Builtins without parentheses, enumerators, and macros' parameters.
#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "script/check/checker.h"

namespace waggle::script {
namespace {

struct Register {
  std::string_view name;
  uint32_t offset;
};
#if defined(__aarch64__)
constexpr Register kRegisters[] = {
    {"x0", 0},    {"x1", 8},       {"x2", 16},   {"x3", 24},   {"x4", 32},   {"x5", 40},   {"x6", 48},   {"x7", 56},
    {"x8", 64},   {"x9", 72},      {"x10", 80},  {"x11", 88},  {"x12", 96},  {"x13", 104}, {"x14", 112}, {"x15", 120},
    {"x16", 128}, {"x17", 136},    {"x18", 144}, {"x19", 152}, {"x20", 160}, {"x21", 168}, {"x22", 176}, {"x23", 184},
    {"x24", 192}, {"x25", 200},    {"x26", 208}, {"x27", 216}, {"x28", 224}, {"x29", 232}, {"x30", 240}, {"sp", 248},
    {"pc", 256},  {"pstate", 264}, {"r0", 0},    {"lr", 240},  {"ip", 256}};
constexpr std::string_view kArguments[] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};
constexpr std::string_view kReturned = "x0";
#else
constexpr Register kRegisters[] = {{"r15", 0},     {"r14", 8},  {"r13", 16}, {"r12", 24},      {"bp", 32},  {"bx", 40},
                                   {"r11", 48},    {"r10", 56}, {"r9", 64},  {"r8", 72},       {"ax", 80},  {"cx", 88},
                                   {"dx", 96},     {"si", 104}, {"di", 112}, {"orig_ax", 120}, {"ip", 128}, {"cs", 136},
                                   {"flags", 144}, {"sp", 152}, {"ss", 160}};
constexpr std::string_view kArguments[] = {"di", "si", "dx", "cx", "r8", "r9"};
constexpr std::string_view kReturned = "ax";
#endif

constexpr uint32_t kFramesDefault = 127;
constexpr uint32_t kCommBytes = 16;

Type word() {
  return Type::integer(8, false);
}

}  // namespace

Value Checker::identifier(const Identifier &of) {
  if (auto lazy = frame_->expressions.find(of.name); lazy != frame_->expressions.end()) return evaluate(lazy->second);
  static constexpr NameRow kNames[] = {
      {"args", &Checker::name_args},
      {"retval", &Checker::name_retval},
      {"func", &Checker::name_func},
      {"probe", &Checker::name_probe},
      {"probetype", &Checker::name_probetype},
      {"__builtin_probetype", &Checker::name_probetype},
      {"pid", &Checker::name_pid},
      {"tid", &Checker::name_tid},
      {"uid", &Checker::name_uid},
      {"gid", &Checker::name_gid},
      {"comm", &Checker::name_comm},
      {"cpu", &Checker::name_cpu},
      {"numaid", &Checker::name_numaid},
      {"cgroup", &Checker::name_cgroup},
      {"curtask", &Checker::name_curtask},
      {"rand", &Checker::name_rand},
      {"nsecs", &Checker::name_nsecs},
      {"elapsed", &Checker::name_elapsed},
      {"jiffies", &Checker::name_jiffies},
      {"ctx", &Checker::name_ctx},
      {"usermode", &Checker::name_usermode},
      {"ncpus", &Checker::name_ncpus},
      {"cpid", &Checker::name_cpid},
      {"has_cpid", &Checker::name_has_cpid},
      {"username", &Checker::name_username},
      {"kstack", &Checker::name_kstack},
      {"ustack", &Checker::name_ustack},
      {"dw_ustack", &Checker::name_ustack},
      {"ppid", &Checker::name_ppid},
      {"pcomm", &Checker::name_pcomm},
      {"leader_tid", &Checker::name_leader_tid},
      {"leader_comm", &Checker::name_leader_comm},
      {"default_str_length", &Checker::name_string_length},
  };
  for (const NameRow &row : kNames)
    if (row.name == of.name) return (this->*row.rule)(of);
  if (of.name.starts_with("arg") || of.name.starts_with("sarg")) {
    bool on_stack = of.name.starts_with("sarg");
    std::string_view digits = of.name.substr(on_stack ? 4 : 3);
    uint32_t number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (!digits.empty() && error == std::errc() && end == digits.data() + digits.size())
      return name_argument(of, number, on_stack);
  }
  for (const Macro *macro : tree_.macros) {
    if (macro->name != of.name || !macro->parameters.empty()) continue;
    Call call{Expression{ExpressionKind::kCall, of.id, of.at}, of.name, {}, of.at};
    return expand_macro(*macro, call);
  }
  if (const CTypes::Constant *constant = c_types_.constant(of.name))
    return number(constant->value, constant->type, of.at);
  std::vector<std::string_view> names;
  for (const NameRow &row : kNames) names.push_back(row.name);
  std::string_view near = nearest(of.name, names);
  return wrong(of.at, fmt::format("Unknown identifier: '{}'", of.name),
               near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
}

// --- what the probe says -----------------------------------------------------------------

Value Checker::register_word(std::string_view name, const Location &at, Type type) {
  for (const Register &each : kRegisters)
    if (each.name == name) return value(Op::kRegister, std::move(type), at, {}, each.offset);
  return {};
}

Value Checker::argument_value(const Argument &argument, const Location &at) {
  Mechanism mechanism = unit_->first().mechanism;
  Type type = in_space(complete(argument.type), default_space());
  switch (argument.place) {
    case Argument::Place::kFromRecord:
    case Argument::Place::kFromWord: {
      Node &node = make(Op::kContextData, in_space(type, AddressSpace::kKernel), at, {}, argument.offset);
      node.is_relative = argument.place == Argument::Place::kFromWord;
      return {&node, false, {}, {}};
    }
    case Argument::Place::kNowhere:
      return wrong(at, fmt::format("the argument '{}' is a floating point number and cannot be read", argument.name));
    case Argument::Place::kContext:
      break;
  }
  if (mechanism == Mechanism::kTracepoint) return value(Op::kContext, type, at, {}, argument.offset);
  if (type.is(TypeKind::kRecord) || type.is(TypeKind::kArray))
    return wrong(at, fmt::format("the argument '{}' is passed by value and cannot be read", argument.name));
  bool is_function_of_program = mechanism == Mechanism::kUprobe || mechanism == Mechanism::kUprobeMulti;
  if (mechanism == Mechanism::kKprobe || mechanism == Mechanism::kKprobeMulti || is_function_of_program) {
    // fentry's arguments, where a kprobe stands in for it; and those of a program's functions.
    if (argument.name == "retval") return register_word(kReturned, at, type);
    uint32_t slot = argument.offset / 8;
    if (slot < std::size(kArguments)) return register_word(kArguments[slot], at, type);
    return value(Op::kStackArgument, type, at, {}, slot - static_cast<int64_t>(std::size(kArguments)) + 1);
  }
  return value(Op::kContextWord, type, at, {}, argument.offset);
}

// All of them at once, with their names.
Value Checker::name_args(const Identifier &of) {
  Provider provider = unit_->provider();
  bool has_them = provider == Provider::kTracepoint || provider == Provider::kFentry || provider == Provider::kFexit ||
                  provider == Provider::kRawTracepoint || provider == Provider::kIterator ||
                  provider == Provider::kUprobe;
  if (!has_them)
    return wrong(of.at, fmt::format("The args builtin can only be used with tracepoint/fentry/uprobe probes ({} used "
                                    "here)",
                                    probe_type()));
  const Arguments *known = arguments();
  if (known == nullptr) {
    const Error &error = unit_->arguments->error();
    return wrong(of.at, error.what, error.why);
  }
  std::vector<std::pair<std::string, Type>> fields;
  std::vector<const Node *> in;
  for (const Argument &each : known->parameters) {
    if (!each.is_listed) continue;
    Value made = argument_value(each, of.at);
    if (!made) return {};
    fields.emplace_back(each.name, made.type());
    in.push_back(made.node);
  }
  return value(Op::kTuple, Type::tuple(fields), of.at, std::move(in));
}

Value Checker::name_argument(const Identifier &of, uint32_t index, bool on_stack) {
  Provider provider = unit_->provider();
  bool is_entry = provider == Provider::kKprobe || provider == Provider::kUprobe || provider == Provider::kUsdt ||
                  provider == Provider::kWatchpoint || provider == Provider::kAsyncWatchpoint ||
                  provider == Provider::kRawTracepoint;
  if (!is_entry || (on_stack && provider == Provider::kUsdt))
    return wrong(of.at,
                 fmt::format("The {} builtin can only be used with 'kprobes', 'uprobes' and 'usdt' probes", of.name));
  if (provider == Provider::kUsdt) {
    // Places of one probe keep their arguments where it suits them.
    is_specific_ = true;
    const std::vector<UsdtArgument> &known = unit_->first().place.arguments;
    if (index >= known.size())
      return wrong(of.at, fmt::format("The probe has {} arguments: {} is not one of them", known.size(), of.name));
    return value(Op::kUsdtArgument, word(), of.at, {}, index);
  }
  Mechanism mechanism = unit_->first().mechanism;
  if (provider == Provider::kRawTracepoint)
    return value(Op::kContextWord, word(), of.at, {}, static_cast<int64_t>(index) * 8);
  if (mechanism == Mechanism::kFentry)
    return value(Op::kContextWord, word(), of.at, {}, static_cast<int64_t>(index) * 8);
  // The return address lies between the stack pointer and what is passed there.
  if (on_stack) return value(Op::kStackArgument, word(), of.at, {}, static_cast<int64_t>(index) + 1);
  if (index < std::size(kArguments)) return register_word(kArguments[index], of.at, word());
  if (index > 9) return wrong(of.at, fmt::format("Unknown identifier: '{}'", of.name));
  return wrong(of.at, fmt::format("{} doesn't support {}", "x86_64", of.name),
               "arguments behind the sixth lie on the stack: *(reg(\"sp\") + 8)");
}

Value Checker::name_retval(const Identifier &of) {
  switch (unit_->provider()) {
    case Provider::kKretprobe:
    case Provider::kUretprobe: {
      if (unit_->first().mechanism != Mechanism::kFentry) return register_word(kReturned, of.at, word());
      [[fallthrough]];
    }
    case Provider::kFexit: {
      const ConcreteProbe &first = unit_->first();
      is_specific_ = true;
      if (!unit_->arguments) unit_->arguments = function_arguments(first.point.function, first.point.target, types_);
      if (!*unit_->arguments) return wrong(of.at, unit_->arguments->error().what, unit_->arguments->error().why);
      const Arguments &known = **unit_->arguments;
      if (!known.returned) return wrong(of.at, fmt::format("{}() returns nothing", first.point.function));
      Value made = argument_value(*known.returned, of.at);
      if (unit_->provider() == Provider::kKretprobe) return {convert(made, word()), false, {}, {}};
      return made;
    }
    default:
      return wrong(of.at, fmt::format("The retval builtin can only be used with 'kretprobe' and 'uretprobe' and "
                                      "'fexit' probes ({} used here)",
                                      probe_type()));
  }
}

Value Checker::name_func(const Identifier &of) {
  Type kernel(TypeKind::kKernelSymbol, 8), user(TypeKind::kUserSymbol, 16);
  switch (unit_->provider()) {
    case Provider::kKprobe:
    case Provider::kKretprobe:
    case Provider::kFentry:
    case Provider::kFexit:
      return value(Op::kSymbol, kernel, of.at, {value(Op::kFunction, word(), of.at).node});
    case Provider::kUprobe:
      return value(Op::kSymbol, user, of.at, {value(Op::kFunction, word(), of.at).node});
    case Provider::kUretprobe: {
      // Where it returns to says nothing of it.
      is_specific_ = true;
      const std::string &name = unit_->first().place.name;
      return text(name.empty() ? unit_->first().point.function : name, of.at);
    }
    default:
      return wrong(of.at, fmt::format("The func builtin can not be used with '{}' probes", probe_type()));
  }
}

Value Checker::name_probe(const Identifier &of) {
  is_specific_ = true;
  return text(unit_->first().name, of.at);
}

Value Checker::name_probetype(const Identifier &of) {
  return text(probe_type(), of.at);
}

Value Checker::name_ctx(const Identifier &of) {
  Mechanism mechanism = unit_->first().mechanism;
  std::string_view of_what = "void";
  if (mechanism == Mechanism::kPerfEvent)
    of_what = "struct bpf_perf_event_data";
  else if (has_registers(mechanism))
    of_what = "struct pt_regs";
  Type type = Type::pointer(Type(TypeKind::kVoid), AddressSpace::kKernel);
  if (unit_->provider() == Provider::kIterator) {
    Type context = c_types_.resolve(TypeSyntax::Base::kStruct, "bpf_iter__" + unit_->first().point.function);
    is_specific_ = true;
    if (!context.is(TypeKind::kNone)) type = Type::pointer(context, AddressSpace::kKernel);
  } else if (of_what != "void") {
    Type context = c_types_.resolve(TypeSyntax::Base::kStruct, of_what.substr(7));
    if (!context.is(TypeKind::kNone)) type = Type::pointer(context, AddressSpace::kKernel);
  }
  return value(Op::kContextAddress, type, of.at);
}

Value Checker::name_usermode(const Identifier &of) {
  switch (unit_->provider()) {
    case Provider::kProfile:
    case Provider::kInterval:
    case Provider::kSoftware:
    case Provider::kHardware:
      return value(Op::kUserMode, Type::integer(1, false), of.at);
    default:
      return wrong(of.at, fmt::format("The usermode builtin can only be used with profile, interval, software and "
                                      "hardware probes ({} used here)",
                                      probe_type()));
  }
}

// --- what the kernel says ------------------------------------------------------------------

Value Checker::name_pid(const Identifier &of) {
  return value(Op::kPid, Type::integer(4, false), of.at);
}
Value Checker::name_tid(const Identifier &of) {
  return value(Op::kTid, Type::integer(4, false), of.at);
}
Value Checker::name_uid(const Identifier &of) {
  return value(Op::kUid, word(), of.at);
}
Value Checker::name_gid(const Identifier &of) {
  return value(Op::kGid, word(), of.at);
}
Value Checker::name_comm(const Identifier &of) {
  return value(Op::kComm, Type::string(kCommBytes), of.at);
}
Value Checker::name_cpu(const Identifier &of) {
  return value(Op::kCpu, word(), of.at);
}
Value Checker::name_numaid(const Identifier &of) {
  return value(Op::kNumaNode, word(), of.at);
}
Value Checker::name_cgroup(const Identifier &of) {
  return value(Op::kCgroup, word(), of.at);
}
Value Checker::name_rand(const Identifier &of) {
  return value(Op::kRandom, Type::integer(4, false), of.at);
}
Value Checker::name_nsecs(const Identifier &of) {
  return value(Op::kNanoseconds, word(), of.at, {}, 1);
}
Value Checker::name_elapsed(const Identifier &of) {
  return value(Op::kElapsed, word(), of.at);
}
Value Checker::name_jiffies(const Identifier &of) {
  return value(Op::kJiffies, word(), of.at);
}
Value Checker::name_ncpus(const Identifier &of) {
  return value(Op::kGlobal, word(), of.at, {}, static_cast<int64_t>(Global::kProcessors));
}
Value Checker::name_cpid(const Identifier &of) {
  if (options_.child == 0) return wrong(of.at, "cpid cannot be used without child command");
  return value(Op::kGlobal, Type::integer(8, false), of.at, {}, static_cast<int64_t>(Global::kChild));
}
Value Checker::name_has_cpid(const Identifier &of) {
  return boolean(options_.child != 0, of.at);
}
Value Checker::name_username(const Identifier &of) {
  return value(Op::kUsername, Type(TypeKind::kUsername, 8), of.at, {value(Op::kUid, word(), of.at).node});
}
Value Checker::name_string_length(const Identifier &of) {
  return number(static_cast<int64_t>(script_.config.max_strlen), word(), of.at, true);
}

Value Checker::stack(TypeKind kind, StackMode mode, uint32_t frames, const Location &at) {
  script_.stack_frames_most = std::max(script_.stack_frames_most, frames);
  return value(kind == TypeKind::kKernelStack ? Op::kKernelStack : Op::kUserStack, Type::stack(kind, mode, frames), at);
}
Value Checker::name_kstack(const Identifier &of) {
  return stack(TypeKind::kKernelStack, script_.config.stack_mode, kFramesDefault, of.at);
}
Value Checker::name_ustack(const Identifier &of) {
  return stack(TypeKind::kUserStack, script_.config.stack_mode, kFramesDefault, of.at);
}

// --- of the task's record -----------------------------------------------------------------

Value Checker::curtask(const Location &at) {
  Type task = types_.resolve("struct task_struct *");
  if (!task.is(TypeKind::kPointer))
    return value(Op::kCurtask, Type::pointer(Type(TypeKind::kVoid), AddressSpace::kKernel), at);
  return value(Op::kCurtask, in_space(task, AddressSpace::kKernel), at);
}

Value Checker::name_curtask(const Identifier &of) {
  return curtask(of.at);
}

Value Checker::task_member(Value task, std::initializer_list<std::string_view> path, const Location &at) {
  for (std::string_view name : path) {
    if (!task) return {};
    task = field_of(task, name, at, at);
  }
  return task;
}

Value Checker::name_ppid(const Identifier &of) {
  Value made = task_member(curtask(of.at), {"real_parent", "tgid"}, of.at);
  return {convert(made, Type::integer(4, false)), false, {}, {}};
}
Value Checker::name_pcomm(const Identifier &of) {
  return task_member(curtask(of.at), {"real_parent", "comm"}, of.at);
}
Value Checker::name_leader_tid(const Identifier &of) {
  Value made = task_member(curtask(of.at), {"group_leader", "pid"}, of.at);
  return {convert(made, Type::integer(4, false)), false, {}, {}};
}
Value Checker::name_leader_comm(const Identifier &of) {
  return task_member(curtask(of.at), {"group_leader", "comm"}, of.at);
}

// reg("ip")
Value Checker::call_reg(const Call &call) {
  std::optional<std::string> name = literal_text(call, 0);
  if (!name) return {};
  if (!has_registers(unit_->first().mechanism))
    return wrong(call.at, fmt::format("The reg function can not be used with '{}' probes", probe_type()));
  if (Value made = register_word(*name, call.at, word())) return made;
  std::string names;
  for (const Register &each : kRegisters) names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
  return wrong(call.at, fmt::format("'{}' is not a valid register on this architecture (x86_64)", *name),
               "they are " + names);
}

}  // namespace waggle::script
