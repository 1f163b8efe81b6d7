// Calls that are made for their effect: printing, maps, the tasks of user space.
#include <fmt/format.h>

#include <csignal>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

struct FormatRow {
  std::string_view name;
  Action::Kind kind;
};
constexpr FormatRow kFormats[] = {{"printf", Action::Kind::kPrintf}, {"errorf", Action::Kind::kErrorf},
                                  {"warnf", Action::Kind::kWarnf},   {"debugf", Action::Kind::kDebugf},
                                  {"cat", Action::Kind::kCat},       {"system", Action::Kind::kSystem}};

struct SignalRow {
  std::string_view name;
  int number;
};
constexpr SignalRow kSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},   {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"PWR", SIGPWR},   {"SYS", SIGSYS}};

constexpr uint32_t kJoinWordsMost = 16;

}  // namespace

std::optional<uint32_t> Checker::format_action(Action::Kind kind, const Call &of, size_t first, Steps *into) {
  std::optional<std::string> format = literal_text(of, first);
  std::vector<Value> given;
  bool is_known = format.has_value();
  for (size_t i = first + 1; i < of.arguments.size(); i++) {
    Value made = expression(*of.arguments[i]);
    if (made && (made.type().is(TypeKind::kNone) || made.type().is(TypeKind::kVoid))) {
      wrong(of.arguments[i]->at, fmt::format("{}() cannot print a value of type '{}'", of.name, made.type().name()));
      made = {};
    }
    is_known &= static_cast<bool>(made);
    given.push_back(made);
  }
  if (!is_known) return std::nullopt;
  std::vector<Type> types;
  std::vector<const Node *> row;
  for (Value &each : given) {
    // Numbers that are written need no more room than others, and no conversion.
    Type type = each.is_plain ? widened(each.type()) : each.type();
    types.push_back(type);
    row.push_back(convert(each, type));
  }
  auto compiled = Format::compile(of.name, *format, types);
  if (!compiled) {
    int argument = compiled.error().argument;
    size_t at = first + 1 + static_cast<size_t>(std::max(argument, 0));
    bool of_argument = argument >= 0 && at < of.arguments.size();
    wrong(of_argument ? of.arguments[at]->at : of.at, compiled.error().message);
    return std::nullopt;
  }
  Steps *outer = steps_;
  if (into != nullptr) steps_ = into;
  uint32_t made = action(kind, of.at);
  script_.actions[made].row = compiled->row();
  script_.actions[made].format = std::move(*compiled);
  emit(made, of.at, std::move(row));
  steps_ = outer;
  return made;
}

Value Checker::call_printf(const Call &of) {
  for (const FormatRow &row : kFormats)
    if (row.name == of.name) format_action(row.kind, of, 0, nullptr);
  return none(of.at);
}

Value Checker::call_fail(const Call &of) {
  format_action(Action::Kind::kFail, of, 0, nullptr);
  return none(of.at);
}

// assert(condition, "why")
Value Checker::call_assert(const Call &of) {
  const Node *holds = condition(*of.arguments[0], "assert()");
  std::string why =
      of.name == "assert" ? fmt::format("assert failed: {}", sources_.text(of.arguments[0]->at)) : "assert failed";
  if (of.arguments.size() > 1) {
    std::optional<std::string> given = literal_text(of, 1);
    if (!given) return {};
    why = *given;
  }
  if (holds == nullptr) return {};
  std::string text;
  for (char c : why) text += c == '%' ? "%%" : std::string(1, c);
  auto compiled = Format::compile("fail", text, {});
  if (!compiled) return wrong(of.at, compiled.error().message);
  Step &made = step(Step::Kind::kIf, of.at);
  made.value = value(Op::kNot, Type(TypeKind::kBool, 1), of.at, {holds}).node;
  Steps body, *outer = std::exchange(steps_, &body);
  uint32_t failing = action(Action::Kind::kFail, of.at);
  script_.actions[failing].row = compiled->row();
  script_.actions[failing].format = std::move(*compiled);
  emit(failing, of.at, {});
  step(Step::Kind::kReturn, of.at);
  steps_ = outer;
  made.body = std::move(body);
  return none(of.at);
}

// print(@m), print(@m, top), print(@m, top, div), print(value)
Value Checker::call_print(const Call &of) {
  const Expression &what = *of.arguments[0];
  Type word = Type::integer(8, false);
  bool is_map = what.kind == ExpressionKind::kMap;
  std::vector<const Node *> limits;
  for (size_t i = 1; i < of.arguments.size(); i++) {
    std::optional<int64_t> limit = literal(of, i);
    if (!limit) return {};
    limits.push_back(number(*limit, word, of.at).node);
  }
  while (limits.size() < 2) limits.push_back(number(0, word, of.at).node);
  KnownMap *map = nullptr;
  if (is_map) {
    const auto &access = as<MapAccess>(what);
    map = map_of(access);
    if (map == nullptr) return {};
    if (map->value.is(TypeKind::kNone)) return wrong(what.at, fmt::format("Undefined map: @{}", map->name));
    if (!access.has_key) {
      if (loops_ > 0)
        warn(of.at,
             "Due to it's asynchronous nature using 'print()' in a loop can lead to unexpected behavior. The map will "
             "likely be updated before the runtime can 'print' it.");
      if (of.arguments.size() > 1 && map->value.is(TypeKind::kStats))
        warn(of.at, "print()'s top and div arguments are ignored when used on stats() maps.");
      uint32_t made = action(Action::Kind::kPrintMap, of.at);
      script_.actions[made].map = map->index;
      script_.actions[made].row = Type::tuple({{"", word}, {"", word}});
      emit(made, of.at, std::move(limits));
      return none(of.at);
    }
    bool is_number = map->value.is(TypeKind::kCount) || map->value.is(TypeKind::kSum) ||
                     map->value.is(TypeKind::kMin) || map->value.is(TypeKind::kMax) || map->value.is(TypeKind::kAvg);
    if (map->value.is_aggregate() && !is_number) {
      std::optional<const Node *> key = key_of(access, *map);
      if (!key || *key == nullptr) return {};
      uint32_t made = action(Action::Kind::kPrintEntry, of.at);
      script_.actions[made].map = map->index;
      script_.actions[made].row = Type::tuple({{"", (*key)->type}, {"", word}, {"", word}});
      emit(made, of.at, {*key, limits[0], limits[1]});
      return none(of.at);
    }
  }
  Value given = expression(what);
  if (!given) return {};
  if (of.arguments.size() > 1)
    return wrong(of.at, fmt::format("Non-map print() only takes 1 argument, {} found", of.arguments.size()));
  if (given.type().is(TypeKind::kNone) || given.type().is(TypeKind::kVoid))
    return wrong(what.at, fmt::format("{}() cannot print a value of type '{}'", of.name, given.type().name()));
  Type type = given.is_plain ? widened(given.type()) : given.type();
  uint32_t made = action(Action::Kind::kPrintValue, of.at);
  script_.actions[made].row = Type::tuple({{"", type}});
  emit(made, of.at, {convert(given, type)});
  return none(of.at);
}

Value Checker::call_exit(const Call &of) {
  const Node *code = number(0, Type::integer(8, false), of.at).node;
  if (!of.arguments.empty()) {
    Value given = expression(*of.arguments[0]);
    if (!given) return {};
    if (!given.type().is_integral())
      return wrong(of.arguments[0]->at,
                   fmt::format("exit() only supports int arguments ({} provided)", given.type().name()));
    code = to_u64(given);
  }
  uint32_t made = action(Action::Kind::kExit, of.at);
  script_.actions[made].row = Type::tuple({{"", Type::integer(8, false)}});
  emit(made, of.at, {code});
  // What follows it is not run.
  step(Step::Kind::kReturn, of.at);
  return none(of.at);
}

// --- maps ----------------------------------------------------------------------------

Value Checker::call_clear(const Call &of) {
  KnownMap *map = whole_map(*of.arguments[0], of.name);
  if (map == nullptr) return {};
  bool is_zero = of.name == "zero";
  uint32_t made = action(is_zero ? Action::Kind::kZero : Action::Kind::kClear, of.at);
  script_.actions[made].map = map->index;
  script_.actions[made].row = Type::tuple({});
  emit(made, of.at, {});
  return none(of.at);
}

// delete(@m, key); of older scripts delete(@m[key]), and of a scalar map delete(@m).
Value Checker::call_delete(const Call &of) {
  if (of.arguments[0]->kind != ExpressionKind::kMap)
    return wrong(of.arguments[0]->at, "delete() expects a map argument to be provided");
  const auto &access = as<MapAccess>(*of.arguments[0]);
  KnownMap *map = map_of(access);
  if (map == nullptr) return {};
  std::optional<const Node *> key;
  if (of.arguments.size() == 2) {
    if (access.has_key) return wrong(access.at, "delete() expects a map without a key as its first argument");
    if (map->access == KnownMap::Access::kScalar)
      return wrong(access.at, fmt::format("call to delete() expects a map with explicit keys (non-scalar map)"));
    Value given = expression(*of.arguments[1]);
    key = key_of(std::vector<Value>{given}, *map, of.arguments[1]->at);
  } else if (access.has_key) {
    key = key_of(access, *map);
  } else {
    if (map->access == KnownMap::Access::kKeyed)
      return wrong(access.at,
                   fmt::format("call to delete() expects a map with an explicit key: delete(@{}, key)", map->name));
    key = scalar_key(*map, access.at);
  }
  if (!key) return {};
  Node &node = make(Op::kMapDelete, Type(TypeKind::kBool, 1), of.at);
  if (*key != nullptr) node.in.push_back(*key);
  node.map = map->index;
  node.action = runtime_error(of.at, "Can't delete map element because it does not exist.", "map_delete_elem");
  return {&node, false, {}, {}};
}

Value Checker::call_has_key(const Call &of) {
  KnownMap *map = whole_map(*of.arguments[0], of.name);
  if (map == nullptr) return {};
  if (map->access == KnownMap::Access::kScalar)
    return wrong(of.arguments[0]->at, "has_key() only accepts maps that have keys. No scalar maps e.g. `@a = 1;`");
  Value given = expression(*of.arguments[1]);
  std::optional<const Node *> key = key_of(std::vector<Value>{given}, *map, of.arguments[1]->at);
  if (!key) return {};
  Node &node = make(Op::kMapHas, Type(TypeKind::kBool, 1), of.at, {*key});
  node.map = map->index;
  return {&node, false, {}, {}};
}

// find(@m, key, $value): whether it is there, and then its value.
Value Checker::call_find(const Call &of) {
  KnownMap *map = whole_map(*of.arguments[0], of.name);
  if (map == nullptr) return {};
  Value given = expression(*of.arguments[1]);
  std::optional<const Node *> key = key_of(std::vector<Value>{given}, *map, of.arguments[1]->at);
  if (!key) return {};
  if (of.arguments.size() == 3) {
    if (of.arguments[2]->kind != ExpressionKind::kVariable)
      return wrong(of.arguments[2]->at, "find() expects a variable for the value");
    assign_variable(as<Variable>(*of.arguments[2]), read_map(*map, *key, of.at), of.at);
  }
  Node &node = make(Op::kMapHas, Type(TypeKind::kBool, 1), of.at, {*key});
  node.map = map->index;
  return {&node, false, {}, {}};
}

// Of a map its entries, of a stack its frames.
Value Checker::call_len(const Call &of) {
  const Expression &what = *of.arguments[0];
  Type word = Type::integer(8, false);
  if (what.kind == ExpressionKind::kMap && !as<MapAccess>(what).has_key) {
    KnownMap *map = whole_map(what, of.name);
    if (map == nullptr) return {};
    bool is_stack = map->value.is(TypeKind::kKernelStack) || map->value.is(TypeKind::kUserStack);
    if (map->access != KnownMap::Access::kScalar || !is_stack) {
      if (map->access == KnownMap::Access::kScalar)
        return wrong(what.at, fmt::format("call to len() expects a map with explicit keys (non-scalar map)"));
      Node &node = make(Op::kMapLength, word, of.at);
      node.map = map->index;
      return {&node, false, {}, {}};
    }
  }
  Value given = expression(what);
  if (!given) return {};
  switch (given.type().kind()) {
    case TypeKind::kKernelStack:
    case TypeKind::kUserStack:
      return value(Op::kStackLength, word, of.at, {given.node});
    case TypeKind::kString:
      return value(Op::kStringLength, word, of.at, {given.node});
    case TypeKind::kArray:
      return number(given.type().count(), word, of.at, true);
    default:
      return wrong(what.at, fmt::format("len() expects a map or stack to be provided, not {}", given.type().name()));
  }
}

// --- other effects ---------------------------------------------------------------------

Value Checker::call_time(const Call &of) {
  std::string format;
  if (!of.arguments.empty()) {
    std::optional<std::string> given = literal_text(of, 0);
    if (!given) return {};
    format = *given;
  }
  uint32_t made = action(Action::Kind::kTime, of.at);
  script_.actions[made].text = std::move(format);
  script_.actions[made].row = Type::tuple({});
  emit(made, of.at, {});
  return none(of.at);
}

// join(argv, " "): the words behind an array of pointers that ends in a null.
Value Checker::call_join(const Call &of) {
  std::string between = " ";
  if (of.arguments.size() > 1) {
    std::optional<std::string> given = literal_text(of, 1);
    if (!given) return {};
    between = *given;
  }
  Value words = expression(*of.arguments[0]);
  if (!words) return {};
  if (!words.type().is(TypeKind::kPointer) && !words.type().is(TypeKind::kInteger))
    return wrong(of.arguments[0]->at,
                 fmt::format("join() only supports int or pointer arguments ({} provided)", words.type().name()));
  AddressSpace space = words.type().is(TypeKind::kPointer) && words.type().space() != AddressSpace::kNone
                           ? words.type().space()
                           : default_space();
  Type text = Type::pointer(Type::integer(1, true), space), word = Type::integer(8, false);
  Type list = Type::pointer(text, space);
  KnownVariable &argv = declare_variable("", of.at);
  argv.type = list;
  argv.is_assigned = true;
  Step &set = step(Step::Kind::kAssign, of.at);
  set.variable = use(argv);
  set.value = convert(words, list);
  uint32_t made = action(Action::Kind::kJoin, of.at);
  std::vector<std::pair<std::string, Type>> fields = {{"", word}};
  // Words are counted up to the first that is null.
  Value at{&make(Op::kVariable, list, of.at, {}, use(argv)), false, {}, {}};
  std::vector<const Node *> row;
  const Node *count = number(kJoinWordsMost, word, of.at).node;
  auto bytes = static_cast<uint32_t>(script_.config.max_strlen);
  for (uint32_t i = 0; i < kJoinWordsMost; i++) {
    Value place = binary(BinaryOperator::kAdd, at, number(i, word, of.at), of.at);
    Value each = dereference(place, of.at);
    if (!each) return {};
    row.push_back(value(Op::kString, Type::string(bytes), of.at, {each.node}).node);
    fields.emplace_back("", Type::string(bytes));
  }
  for (uint32_t i = kJoinWordsMost; i-- > 0;) {
    Value place = binary(BinaryOperator::kAdd, at, number(i, word, of.at), of.at);
    Value each = dereference(place, of.at);
    const Node *is_there = to_bool(each);
    count = value(Op::kConditional, word, of.at, {is_there, count, number(i, word, of.at).node}).node;
  }
  row.insert(row.begin(), count);
  script_.actions[made].text = std::move(between);
  script_.actions[made].row = Type::tuple(fields);
  emit(made, of.at, std::move(row));
  return none(of.at);
}

// skboutput("file.pcap", $skb, length, offset)
Value Checker::call_skboutput(const Call &of) {
  return wrong(of.at, "skboutput() is not possible: no event of the ring has room for a packet",
               "print what is of interest of it");
}

Value Checker::call_signal(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  const Node *number_of = nullptr;
  if (given.is_text()) {
    std::string_view name = given.node->text;
    if (name.starts_with("SIG")) name.remove_prefix(3);
    for (const SignalRow &row : kSignals)
      if (row.name == name) number_of = number(row.number, Type::integer(8, false), of.at).node;
    if (number_of == nullptr)
      return wrong(of.arguments[0]->at, fmt::format("{} is not a valid signal", given.node->text));
  } else if (given.type().is_integral()) {
    if (given.is_constant() && (given.node->number < 1 || given.node->number > 64))
      return wrong(of.arguments[0]->at,
                   fmt::format("{} is not a valid signal, allowed range: [1,64]", given.node->number));
    number_of = to_u64(given);
  } else {
    return wrong(of.arguments[0]->at, fmt::format("{} only accepts string literals or integers", of.name));
  }
  Node &node = make(Op::kSignal, Type(), of.at, {number_of}, of.name == "signal_thread" ? 1 : 0);
  step(Step::Kind::kEvaluate, of.at).value = &node;
  return none(of.at);
}

Value Checker::call_override(const Call &of) {
  if (unit_->provider() != Provider::kKprobe)
    return wrong(of.at, fmt::format("override can not be used with \"{}\" probes", probe_type()));
  const Node *code = integer_argument(of, 0);
  if (code == nullptr) return {};
  step(Step::Kind::kEvaluate, of.at).value = &make(Op::kOverride, Type(), of.at, {code});
  return none(of.at);
}

Value Checker::call_write_user(const Call &of) {
  const Node *to = pointer_argument(of, 0, "a pointer");
  Value what = expression(*of.arguments[1]);
  if (to == nullptr || !what) return {};
  // A number that is written is as wide as what is pointed at.
  const Node *written = what.node;
  const Type &element = to->type.element();
  if (of.arguments.size() == 3) {
    std::optional<int64_t> bytes = literal(of, 2);
    if (!bytes) return {};
    if (*bytes < 1 || *bytes > INT16_MAX) return wrong(of.arguments[2]->at, "write_user() cannot write so many bytes");
    auto count = static_cast<uint32_t>(*bytes);
    if (what.type().is_integral() && (count == 1 || count == 2 || count == 4 || count == 8)) {
      written = convert(what, Type::integer(count, false));
    } else {
      Type content = Type::array(Type::integer(1, false), count);
      Value from = what;
      if (!what.type().is(TypeKind::kPointer)) from = {address_of_value(what, of.at), false, {}, {}};
      AddressSpace space = from.type().space();
      written = value(Op::kDereference, content, of.at, {convert(from, Type::pointer(content, space))}).node;
    }
  } else if (what.type().is_integral() && element.is_integral())
    written = convert(what, element);
  return value(Op::kWriteUser, Type::integer(8, true), of.at, {to, written});
}

Value Checker::call_unwatch(const Call &of) {
  const Node *address = integer_argument(of, 0);
  if (address == nullptr) return {};
  uint32_t made = action(Action::Kind::kUnwatch, of.at);
  script_.actions[made].row = Type::tuple({{"", Type::integer(8, false)}});
  emit(made, of.at, {address});
  return none(of.at);
}

}  // namespace waggle::script
