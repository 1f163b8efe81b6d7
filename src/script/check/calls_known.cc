// Calls whose answer is known while compiling, and those of small arithmetic.
#include <fmt/format.h>

#include <charconv>
#include <fstream>

#include "kernel/names.h"
#include "script/check/checker.h"
#include "script/check/config.h"
#include "script/check/type_rules.h"
#include "script/check/user_address.h"

namespace waggle::script {
namespace {

Type word() {
  return Type::integer(8, false);
}

// The address of a symbol, code or data.
std::optional<uint64_t> kernel_address(std::string_view name, std::string_view module) {
  std::ifstream symbols("/proc/kallsyms");
  std::string line, wanted = module.empty() ? std::string() : fmt::format("[{}]", module);
  while (std::getline(symbols, line)) {
    std::string_view rest = line;
    size_t space = rest.find(' ');
    if (space == std::string_view::npos || rest.size() < space + 3) continue;
    std::string_view digits = rest.substr(0, space);
    rest.remove_prefix(space + 3);
    size_t end = rest.find('\t');
    if (rest.substr(0, end) != name) continue;
    if (!wanted.empty() && (end == std::string_view::npos || rest.substr(end + 1) != wanted)) continue;
    uint64_t address = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), address, 16);
    if (address != 0) return address;
  }
  return std::nullopt;
}

}  // namespace

Value Checker::call_kaddr(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  std::string module;
  if (of.arguments.size() > 1 && of.name == "kaddr") {
    std::optional<std::string> given = literal_text(of, 1);
    if (!given) return {};
    module = *given;
  }
  auto [known, is_new] = kernel_addresses_.try_emplace(*name + " " + module);
  if (is_new) known->second = kernel_address(*name, module);
  std::optional<uint64_t> address = known->second;
  if (!address) return wrong(of.at, fmt::format("Failed to resolve kernel symbol: {}", *name));
  Type type = word();
  // A variable that BTF describes is a pointer to it.
  if (BtfTypes::Found found = types_.find(BtfKind::kVariable, *name); found.btf != nullptr) {
    Type of_it = types_.convert(*found.btf, found.btf->type(found.id).target);
    if (!of_it.is(TypeKind::kNone)) type = Type::pointer(of_it, AddressSpace::kKernel);
  }
  return number(static_cast<int64_t>(*address), type, of.at);
}

Value Checker::call_uaddr(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  if (!is_user_probe(unit_->provider()))
    return wrong(of.at, "uaddr() can only be used with u(ret)probes and usdt probes");
  const ConcreteProbe &first = unit_->first();
  if (unit_->provider() == Provider::kUretprobe)
    return wrong(of.at, "uaddr() needs the address of the probe, which a uretprobe does not know", "use a uprobe");
  is_specific_ = true;
  Result<UserAddress> found = find_user_address(first.place.path, first.place.offset, *name);
  if (!found) {
    if (found.error().code != ErrorCode::kNotFound) return wrong(of.at, found.error().what, found.error().why);
    return wrong(of.at, fmt::format("Could not resolve symbol: {}:{}", first.point.target, *name));
  }
  uint64_t bytes = found->bytes;
  bool is_plain = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  Type type = Type::pointer(Type::integer(is_plain ? static_cast<uint32_t>(bytes) : 8, false), AddressSpace::kUser);
  // Where the probe is now, from the program counter.
  Value here = register_word("ip", of.at, word());
  Value sum = value(Op::kAdd, word(), of.at, {here.node, number(found->distance, word(), of.at).node});
  return {convert(sum, type), false, {}, {}};
}

// config("max_map_keys")
Value Checker::call_config(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  std::optional<ConfigValue> found = config_value(script_.config, *name);
  if (!found) return wrong(of.at, fmt::format("Unrecognized config variable: {}", *name));
  if (found->is_flag) return boolean(found->number != 0, of.at);
  if (!found->text.empty()) return text(found->text, of.at);
  return number(static_cast<int64_t>(found->number), word(), of.at);
}

Value Checker::call_bswap(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  if (!given.type().is_integral())
    return wrong(of.arguments[0]->at,
                 fmt::format("bswap() only supports integer arguments ({} provided)", given.type().name()));
  Type type = Type::integer(given.type().bytes(), false);
  if (type.bytes() == 1) return {convert(given, type), false, {}, {}};
  return value(Op::kByteSwap, type, of.at, {convert(given, type)});
}

Value Checker::call_nsecs(const Call &of) {
  int64_t clock = 1;
  if (!of.arguments.empty()) {
    const Expression &mode = *of.arguments[0];
    std::string_view name = mode.kind == ExpressionKind::kIdentifier ? as<Identifier>(mode).name : "";
    if (name == "monotonic")
      clock = 0;
    else if (name == "boot")
      clock = 1;
    else if (name == "tai")
      clock = 2;
    else if (name == "sw_tai")
      clock = 3;
    else
      return wrong(mode.at, fmt::format("Invalid timestamp mode: {}", sources_.text(mode.at)));
  }
  return value(Op::kNanoseconds, word(), of.at, {}, clock);
}

// pid(init), tid(curr_ns)
Value Checker::call_pid(const Call &of) {
  int64_t in_initial = 0;
  if (!of.arguments.empty()) {
    const Expression &mode = *of.arguments[0];
    std::string_view name = mode.kind == ExpressionKind::kIdentifier ? as<Identifier>(mode).name : "";
    if (name == "init")
      in_initial = 1;
    else if (name != "curr_ns")
      return wrong(mode.at,
                   fmt::format("Invalid PID namespace mode: {} (expects: curr_ns or init)", sources_.text(mode.at)));
  }
  return value(of.name == "pid" ? Op::kPid : Op::kTid, Type::integer(4, false), of.at, {}, in_initial);
}

// comm(), ppid(task), pcomm(task), leader_comm(task)
Value Checker::call_task(const Call &of) {
  if (of.arguments.empty()) return call_name(of);
  Value task = expression(*of.arguments[0]);
  if (!task) return {};
  if (!task.type().is(TypeKind::kPointer))
    return wrong(of.arguments[0]->at,
                 fmt::format("{}() expects a pointer to task_struct ({} provided)", of.name, task.type().name()));
  Type number_type = Type::integer(4, false);
  auto as_number = [&](const Value &made) { return Value{convert(made, number_type), false, {}, {}}; };
  if (of.name == "comm") return task_member(task, {"comm"}, of.at);
  if (of.name == "ppid") return as_number(task_member(task, {"real_parent", "tgid"}, of.at));
  if (of.name == "pcomm") return task_member(task, {"real_parent", "comm"}, of.at);
  if (of.name == "leader_tid") return as_number(task_member(task, {"group_leader", "pid"}, of.at));
  return task_member(task, {"group_leader", "comm"}, of.at);
}

// getopt("name"), getopt("name", default), getopt("name", default, "what it is")
Value Checker::call_getopt(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  if (of.arguments.size() > 2 && !literal_text(of, 2)) return {};
  getopts_.insert(*name);
  auto given = options_.named.find(*name);
  bool is_given = given != options_.named.end();
  if (of.arguments.size() == 1) {
    if (!is_given || given->second == "false" || given->second == "0") return boolean(false, of.at);
    if (given->second.empty() || given->second == "true" || given->second == "1") return boolean(true, of.at);
    return wrong(of.at, fmt::format("Invalid value for boolean named parameter '{}': {}. Expected true/false", *name,
                                    given->second));
  }
  Value otherwise = expression(*of.arguments[1]);
  if (!otherwise) return {};
  if (otherwise.node->op != Op::kConstant && otherwise.node->op != Op::kText)
    return wrong(of.arguments[1]->at,
                 "Second argument to 'getopt' must be a string literal, integer literal, or a "
                 "boolean literal.");
  if (!is_given) return otherwise;
  const std::string &text_given = given->second;
  if (otherwise.is_text()) return text(text_given, of.at);
  if (otherwise.type().is(TypeKind::kBool)) {
    if (text_given.empty() || text_given == "true" || text_given == "1") return boolean(true, of.at);
    if (text_given == "false" || text_given == "0") return boolean(false, of.at);
    return wrong(of.at, fmt::format("Invalid value for boolean named parameter '{}': {}. Expected true/false", *name,
                                    text_given));
  }
  int64_t number_given = 0;
  std::string_view digits = text_given;
  int base = digits.starts_with("0x") ? 16 : 10;
  if (base == 16) digits.remove_prefix(2);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number_given, base);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size())
    return wrong(of.at, fmt::format("Invalid value for integer named parameter '{}': {}", *name, text_given));
  return number(number_given, Type::integer(8, true), of.at, true);
}

// A number that prints as its name.
Value Checker::call_number_name(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  if (!given.type().is_integral())
    return wrong(of.arguments[0]->at,
                 fmt::format("{}() only supports int arguments ({} provided)", of.name, given.type().name()));
  bool is_signal = of.name == "signal_name";
  std::vector<std::pair<std::string, int64_t>> names;
  for (uint32_t i = 0; i < 1024; i++) {
    std::string_view name = is_signal ? (i < 65 ? signal_name(i) : std::string_view()) : syscall_name(i);
    if (!name.empty()) names.emplace_back(std::string(name), i);
  }
  Type type = Type::enumeration(is_signal ? "signal" : "syscall", 8, std::move(names));
  if (given.is_constant()) return text(type.enumerator(given.node->number), of.at);
  return {convert(given, type), false, {}, {}};
}

Value Checker::call_is(const Call &of) {
  if (of.name == "is_literal") {
    Steps unused, *outer = std::exchange(steps_, &unused);
    Value made = expression(*of.arguments[0]);
    steps_ = outer;
    return made ? boolean(made.is_constant() || made.is_text(), of.at) : Value{};
  }
  Type type = type_of(*of.arguments[0]);
  if (type.is(TypeKind::kNone)) return {};
  bool holds = of.name == "is_array"     ? type.is(TypeKind::kArray)
               : of.name == "is_ptr"     ? type.is(TypeKind::kPointer)
               : of.name == "is_str"     ? type.is(TypeKind::kString)
               : of.name == "is_integer" ? type.is(TypeKind::kInteger)
                                         : type.is(TypeKind::kInteger) && !type.is_signed();
  return boolean(holds, of.at);
}

// As the kernel's IS_ERR(): the last page of addresses are errors.
Value Checker::call_is_err(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  constexpr int64_t kErrnoMost = 4095;
  return value(Op::kGreaterOrEqual, Type(TypeKind::kBool, 1), of.at,
               {to_u64(given), number(-kErrnoMost, word(), of.at).node});
}

Value Checker::call_static_assert(const Call &of) {
  Value holds = expression(*of.arguments[0]);
  std::string why = "static assert failed";
  if (of.arguments.size() > 1) {
    std::optional<std::string> given = literal_text(of, 1);
    if (!given) return {};
    why = *given;
  }
  if (!holds) return {};
  std::optional<bool> known = known_condition(holds);
  if (!known) return wrong(of.arguments[0]->at, "Unable to evaluate at compile time.");
  if (!*known) return wrong(of.at, why);
  return none(of.at);
}

Value Checker::call_kfunc(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  BtfTypes::Found found = types_.find(BtfKind::kFunction, *name);
  bool holds = found.btf != nullptr;
  if (of.name == "kfunc_allowed" && holds) {
    // The kernel tells its functions for BPF apart by a tag.
    holds = false;
    for (std::string_view tag : found.btf->tags(found.id)) holds |= tag == "bpf_kfunc";
  }
  return boolean(holds, of.at);
}

// --- strings ---------------------------------------------------------------------------

Value Checker::call_strncmp(const Call &of) {
  Value one = expression(*of.arguments[0]), other = expression(*of.arguments[1]);
  std::optional<int64_t> length = literal(of, 2);
  if (!one || !other || !length) return {};
  for (const auto &[each, at] : {std::pair(&one, of.arguments[0]->at), std::pair(&other, of.arguments[1]->at)})
    if (!each->type().is(TypeKind::kString))
      return wrong(at, fmt::format("strncmp() only supports string arguments ({} provided)", each->type().name()));
  if (*length < 0) return wrong(of.at, fmt::format("Builtin strncmp requires a non-negative size"));
  if (one.is_text() && other.is_text()) {
    auto most = static_cast<size_t>(*length);
    bool same = one.node->text.substr(0, most) == other.node->text.substr(0, most);
    return number(same ? 0 : 1, word(), of.at);
  }
  return value(Op::kStringsEqual, word(), of.at, {one.node, other.node}, *length);
}

Value Checker::call_strcontains(const Call &of) {
  Value in = expression(*of.arguments[0]), what = expression(*of.arguments[1]);
  if (!in || !what) return {};
  for (const auto &[each, at] : {std::pair(&in, of.arguments[0]->at), std::pair(&what, of.arguments[1]->at)})
    if (!each->type().is(TypeKind::kString))
      return wrong(at, fmt::format("{}() expects a string argument ({} provided)", of.name, each->type().name()));
  bool wants_place = of.name == "strstr";
  Type place = Type::integer(8, true);
  if (in.is_text() && what.is_text()) {
    size_t found = in.node->text.find(what.node->text);
    if (!wants_place) return boolean(found != std::string::npos, of.at);
    return number(found == std::string::npos ? -1 : static_cast<int64_t>(found), place, of.at);
  }
  Value at = value(Op::kStringFind, place, of.at, {in.node, what.node});
  if (wants_place) return at;
  return value(Op::kGreaterOrEqual, Type(TypeKind::kBool, 1), of.at, {at.node, number(0, place, of.at).node});
}

// strcap(): how many bytes it could have, with its NUL; with a number: cut to so many characters.
Value Checker::call_strlen(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  if (!given.type().is(TypeKind::kString))
    return wrong(of.arguments[0]->at,
                 fmt::format("{}() expects a string argument ({} provided)", of.name, given.type().name()));
  if (of.name == "strcap") {
    if (of.arguments.size() == 1) return number(given.type().bytes(), word(), of.at, true);
    std::optional<int64_t> most = literal(of, 1);
    if (!most) return {};
    if (*most < 0 || static_cast<uint64_t>(*most) + 1 >= given.type().bytes()) return given;
    return {convert(given, Type::string(static_cast<uint32_t>(*most) + 1)), false, {}, {}};
  }
  if (given.is_text()) return number(static_cast<int64_t>(given.node->text.size()), word(), of.at, true);
  return value(Op::kStringLength, word(), of.at, {given.node});
}

Value Checker::call_memcmp(const Call &of) {
  std::optional<int64_t> length = literal(of, 2);
  Value one = expression(*of.arguments[0]), other = expression(*of.arguments[1]);
  if (!length || !one || !other) return {};
  if (*length < 0) return wrong(of.arguments[2]->at, "memcmp() requires a non-negative size");
  std::vector<const Node *> in;
  for (const auto &[each, at] : {std::pair(&one, of.arguments[0]->at), std::pair(&other, of.arguments[1]->at)}) {
    in.push_back(each->type().is(TypeKind::kPointer) ? each->node : address_of_value(*each, at));
  }
  return value(Op::kMemoryCompare, Type::integer(8, true), of.at, std::move(in), *length);
}

}  // namespace waggle::script
