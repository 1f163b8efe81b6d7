// Calls that read strings, buffers, addresses and what values stand for.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

constexpr uint32_t kMacBytes = 6, kInetBytes = 24;
constexpr uint32_t kFramesMost = 1024;

Type word() {
  return Type::integer(8, false);
}

bool is_place(const Node &node) {
  return node.op == Op::kField || node.op == Op::kElement || node.op == Op::kDereference || node.op == Op::kContext;
}

}  // namespace

// str(pointer, length). Of an array of characters: its text.
Value Checker::call_str(const Call &of) {
  const Expression &what = *of.arguments[0];
  if (what.kind == ExpressionKind::kPositional) {
    uint32_t number_of = as<Positional>(what).number;
    std::string given = number_of <= options_.positional.size() ? options_.positional[number_of - 1] : std::string();
    if (of.arguments.size() > 1) {
      std::optional<int64_t> most = literal(of, 1);
      if (!most) return {};
      given.resize(std::min(given.size(), static_cast<size_t>(std::max<int64_t>(*most, 0))));
    }
    return text(given, of.at);
  }
  if (what.kind == ExpressionKind::kPositionalCount) return text(fmt::format("{}", options_.positional.size()), of.at);
  // str($1 + 3): of a parameter, from the fourth character on.
  if (what.kind == ExpressionKind::kBinary && as<Binary>(what).op == BinaryOperator::kAdd &&
      as<Binary>(what).left->kind == ExpressionKind::kPositional) {
    uint32_t number_of = as<Positional>(*as<Binary>(what).left).number;
    Value from = expression(*as<Binary>(what).right);
    if (number_of <= options_.positional.size() && from.is_constant() && from.node->number >= 0) {
      const std::string &given = options_.positional[number_of - 1];
      if (static_cast<size_t>(from.node->number) > given.size())
        return wrong(of.at, fmt::format("cannot use offset that exceeds string size ({} > {})", from.node->number,
                                        given.size()));
      return text(given.substr(static_cast<size_t>(from.node->number)), of.at);
    }
  }
  Value given = expression(what);
  if (!given) return {};
  auto most = static_cast<uint32_t>(script_.config.max_strlen);
  uint32_t bytes = most;
  const Node *length = nullptr;
  if (of.arguments.size() > 1) {
    Value limit = expression(*of.arguments[1]);
    if (!limit) return {};
    if (!limit.type().is_integral())
      return wrong(of.arguments[1]->at,
                   fmt::format("str() only supports int arguments ({} provided)", limit.type().name()));
    if (limit.is_constant()) {
      if (limit.node->number < 0) return wrong(of.arguments[1]->at, "str cannot use negative length");
      auto wanted = static_cast<uint64_t>(limit.node->number) + 1;  // with the NUL
      if (wanted > most)
        warn(of.at, fmt::format("length param ({}) is too long and will be shortened to {} bytes (see "
                                "BPFTRACE_MAX_STRLEN)",
                                limit.node->number, most));
      else
        bytes = static_cast<uint32_t>(wanted);
    } else {
      length = value(Op::kAdd, word(), of.at, {to_u64(limit), number(1, word(), of.at).node}).node;
    }
  }
  const Type &type = given.type();
  if (type.is(TypeKind::kString)) {
    if (bytes < type.bytes() && of.arguments.size() > 1) return {convert(given, Type::string(bytes)), false, {}, {}};
    return {given.node, false, {}, {}};
  }
  if (type.is(TypeKind::kArray) && type.element().is_integral() && type.element().bytes() == 1) {
    bytes = std::min(bytes, type.count() + 1);
    const Node *at = address_of_value(given, of.at);
    const Node *begin = convert(at, Type::pointer(type.element(), at->type.space()));
    return value(Op::kString, Type::string(bytes), of.at, {begin});
  }
  const Node *from = nullptr;
  if (type.is(TypeKind::kPointer)) {
    const Type &element = type.element();
    // A pointer to an array or string is a pointer to its characters.
    Type to = element.bytes() == 1 || element.is(TypeKind::kVoid) ? type
                                                                  : Type::pointer(Type::integer(1, true), type.space());
    if (element.is(TypeKind::kString)) bytes = std::min(bytes, element.bytes() + 1);
    from = convert(given, in_space(to, default_space()));
    // In BPF memory it is read where it is.
    if (type.space() == AddressSpace::kNone && element.is(TypeKind::kString))
      return value(Op::kDereference, element, of.at, {given.node});
  } else if (type.is(TypeKind::kInteger)) {
    from = convert(given, Type::pointer(Type::integer(1, true), default_space()));
  } else {
    return wrong(what.at, fmt::format("str() expects an integer or a pointer type as first argument ({} provided)",
                                      type.name()));
  }
  std::vector<const Node *> in = {from};
  if (length != nullptr) in.push_back(length);
  Value made = value(Op::kString, Type::string(bytes), of.at, std::move(in));
  if (made) script_.nodes.back().action = read_error(of.at, from->type.space(), /*is_text=*/true);
  return made;
}

// buf(pointer, length)
Value Checker::call_buf(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  const Type &type = given.type();
  uint32_t most = static_cast<uint32_t>(script_.config.max_strlen), bytes = most;
  const Node *from = nullptr, *length = nullptr;
  bool of_bytes = type.is(TypeKind::kArray) || type.is(TypeKind::kString);
  if (of_bytes) {
    most = std::min(type.bytes(), most);
    bytes = most;
    const Node *at = address_of_value(given, of.at);
    from = convert(at, Type::pointer(Type::integer(1, false), at->type.space()));
  } else if (type.is(TypeKind::kPointer)) {
    from = convert(given, in_space(Type::pointer(Type::integer(1, false), type.space()), default_space()));
  } else if (type.is(TypeKind::kInteger)) {
    from = convert(given, Type::pointer(Type::integer(1, false), default_space()));
  } else {
    return wrong(of.arguments[0]->at, fmt::format("buf() only supports array, integer, or pointer arguments ({} "
                                                  "provided)",
                                                  type.name()));
  }
  if (of.arguments.size() > 1) {
    Value limit = expression(*of.arguments[1]);
    if (!limit) return {};
    if (!limit.type().is_integral())
      return wrong(of.arguments[1]->at,
                   fmt::format("buf() only supports int arguments ({} provided)", limit.type().name()));
    if (limit.is_constant()) {
      if (limit.node->number < 1) return wrong(of.at, "buf cannot use negative length");
      if (static_cast<uint64_t>(limit.node->number) > most)
        warn(of.at,
             fmt::format("length param is too long and will be shortened to {} bytes (see BPFTRACE_MAX_STRLEN)", most));
      else
        bytes = static_cast<uint32_t>(limit.node->number);
    }
    length = to_u64(limit);
  } else if (!of_bytes) {
    return wrong(of.at, "buf() expects a length argument for non-array type");
  }
  if (length == nullptr || (length->op == Op::kConstant && static_cast<uint64_t>(length->number) > bytes))
    length = number(bytes, word(), of.at).node;
  return value(Op::kBuffer, Type::buffer(bytes), of.at, {from, length});
}

Value Checker::call_symbol(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  bool is_kernel = of.name == "ksym";
  const Type &type = given.type();
  if (type.is(TypeKind::kKernelSymbol) || type.is(TypeKind::kUserSymbol)) return given;
  if (!type.is_integral() && !type.is(TypeKind::kPointer))
    return wrong(of.arguments[0]->at,
                 fmt::format("{}() expects an integer or pointer argument ({} provided)", of.name, type.name()));
  Type symbol = is_kernel ? Type(TypeKind::kKernelSymbol, 8) : Type(TypeKind::kUserSymbol, 16);
  return value(Op::kSymbol, symbol, of.at, {to_u64(given)});
}

// ntop(address), ntop(AF_INET, address)
Value Checker::call_ntop(const Call &of) {
  size_t at = of.arguments.size() - 1;
  const Node *family = nullptr;
  if (of.arguments.size() == 2) {
    family = integer_argument(of, 0);
    if (family == nullptr) return {};
  }
  Value given = expression(*of.arguments[at]);
  if (!given) return {};
  const Type &type = given.type();
  bool is_bytes = (type.is(TypeKind::kArray) && type.element().bytes() == 1) || type.is(TypeKind::kString);
  bool is_address = type.is_integral() || (is_bytes && (type.bytes() == 4 || type.bytes() == 16));
  if (is_bytes && !is_address)
    return wrong(of.at, fmt::format("ntop() argument must be 4 or 16 bytes in size: got {}", type.name()));
  if (type.is(TypeKind::kArray) && type.bytes() == 16) is_address = true;
  if (type.is(TypeKind::kRecord) && (type.bytes() == 4 || type.bytes() == 16)) is_address = true;
  if (!is_address) return wrong(of.at, fmt::format("ntop() expects an integer or array argument, got {}", type.name()));
  if (family == nullptr) family = number(type.bytes() == 16 ? AF_INET6 : AF_INET, word(), of.at).node;
  const Node *address = given.node;
  if (type.is_integral()) address = convert(given, Type::integer(4, false));
  return value(Op::kInet, Type(TypeKind::kInet, kInetBytes), of.at, {family, address});
}

// pton("127.0.0.1"): the bytes, known while compiling.
Value Checker::call_pton(const Call &of) {
  std::optional<std::string> given = literal_text(of, 0);
  if (!given) return {};
  std::array<uint8_t, 16> bytes = {};
  bool is_six = given->find(':') != std::string::npos;
  if (inet_pton(is_six ? AF_INET6 : AF_INET, given->c_str(), bytes.data()) != 1)
    return wrong(of.at, fmt::format("pton() expects a string argument of an IPv4 or IPv6 address, got {}", *given));
  uint32_t count = is_six ? 16 : 4;
  Type byte = Type::integer(1, false), type = Type::array(byte, count);
  if (!is_six) {
    uint32_t whole = 0;
    for (size_t i = 4; i-- > 0;) whole = whole << 8 | bytes[i];
    return {convert(number(whole, Type::integer(4, false), of.at), type), false, {}, {}};
  }
  std::vector<std::pair<std::string, Type>> fields;
  std::vector<const Node *> in;
  for (size_t i = 0; i < count; i++) {
    fields.emplace_back("", byte);
    in.push_back(number(bytes[i], byte, of.at).node);
  }
  Value tuple = value(Op::kTuple, Type::tuple(fields), of.at, std::move(in));
  return value(Op::kConvert, type, of.at, {tuple.node});
}

// kstack(perf, 3), kstack(3)
Value Checker::call_stack(const Call &of) {
  TypeKind kind = of.name == "kstack" ? TypeKind::kKernelStack : TypeKind::kUserStack;
  StackMode mode = script_.config.stack_mode;
  uint32_t frames = 127;
  for (size_t i = 0; i < of.arguments.size(); i++) {
    const Expression &argument = *of.arguments[i];
    std::string_view name = argument.kind == ExpressionKind::kIdentifier ? as<Identifier>(argument).name : "";
    bool is_mode = true;
    if (name == "bpftrace")
      mode = StackMode::kBpftrace;
    else if (name == "perf")
      mode = StackMode::kPerf;
    else if (name == "raw")
      mode = StackMode::kRaw;
    else if (name == "build_id")
      mode = StackMode::kBuildId;
    else
      is_mode = false;
    if (is_mode && i == 0) continue;
    if (is_mode) return wrong(argument.at, fmt::format("{}: limit must be an integer literal", of.name));
    Value limit = expression(argument);
    if (!limit) return {};
    if (!limit.is_constant() || !limit.type().is_integral()) {
      bool is_first = i == 0 && of.arguments.size() == 2;
      return wrong(argument.at, is_first ? fmt::format("Invalid stack mode: {}", sources_.text(argument.at))
                                         : fmt::format("{}: limit must be an integer literal", of.name));
    }
    if (limit.node->number < 0 || limit.node->number > kFramesMost)
      return wrong(argument.at, fmt::format("{}([int limit]): limit shouldn't exceed {}, {} given", of.name,
                                            kFramesMost, limit.node->number));
    frames = static_cast<uint32_t>(limit.node->number);
  }
  return stack(kind, mode, frames, of.at);
}

Value Checker::call_percpu_kaddr(const Call &of) {
  std::optional<std::string> name = literal_text(of, 0);
  if (!name) return {};
  Value address = call_kaddr(of);
  if (!address) return {};
  // Of the kernel's BTF, so that it can be looked into.
  Type type = address.type().is(TypeKind::kPointer) ? address.type()
                                                    : Type::pointer(Type(TypeKind::kVoid), AddressSpace::kKernel);
  std::vector<const Node *> in = {to_u64(address)};
  if (of.arguments.size() > 1) {
    const Node *cpu = integer_argument(of, 1);
    if (cpu == nullptr) return {};
    in.push_back(cpu);
  }
  return value(Op::kPerCpuAddress, type, of.at, std::move(in));
}

Value Checker::call_cgroup_path(const Call &of) {
  const Node *id = integer_argument(of, 0);
  std::string pattern;
  if (of.arguments.size() > 1) {
    std::optional<std::string> given = literal_text(of, 1);
    if (!given) return {};
    pattern = *given;
  }
  if (id == nullptr) return {};
  script_.cgroup_patterns.push_back(pattern);
  return value(Op::kCgroupPath, Type(TypeKind::kCgroupPath, 16), of.at, {id},
               static_cast<int64_t>(script_.cgroup_patterns.size()) - 1);
}

// cgroupid("/sys/fs/cgroup/…"): of cgroup2 it is the directory's inode.
Value Checker::call_cgroupid(const Call &of) {
  std::optional<std::string> path = literal_text(of, 0);
  if (!path) return {};
  struct stat found = {};
  if (stat(path->c_str(), &found) != 0)
    return wrong(of.at, fmt::format("Failed to get `cgroupid` for path: \"{}\"", *path));
  return number(static_cast<int64_t>(found.st_ino), word(), of.at);
}

Value Checker::call_macaddr(const Call &of) {
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  const Type &type = given.type();
  const Node *bytes = given.node;
  Type wanted = Type::array(Type::integer(1, false), kMacBytes);
  if (type.is(TypeKind::kPointer) && type.element().is_integral()) {
    Value at{convert(given, Type::pointer(wanted, in_space(type, default_space()).space())), false, {}, {}};
    bytes = dereference(at, of.at).node;
  } else if (!type.is(TypeKind::kArray) && !type.is(TypeKind::kString)) {
    return wrong(of.arguments[0]->at,
                 fmt::format("macaddr() only supports array or pointer arguments ({} provided)", type.name()));
  } else if (type.bytes() < kMacBytes) {
    return wrong(of.at, "macaddr() argument must be 6 bytes in size");
  }
  return value(Op::kMacAddress, Type(TypeKind::kMacAddress, kMacBytes), of.at, {bytes});
}

Value Checker::call_path(const Call &of) {
  Provider provider = unit_->provider();
  if (provider != Provider::kFentry && provider != Provider::kFexit && provider != Provider::kIterator)
    return wrong(of.at, fmt::format("The path function can only be used with fentry, fexit and iter probes ({} used "
                                    "here)",
                                    probe_type()));
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  auto bytes = static_cast<uint32_t>(script_.config.max_strlen);
  if (of.arguments.size() > 1) {
    std::optional<int64_t> most = literal(of, 1);
    if (!most) return {};
    if (*most > 0 && static_cast<uint64_t>(*most) < bytes) bytes = static_cast<uint32_t>(*most);
  }
  const Node *pointer = given.node;
  if (given.type().is(TypeKind::kRecord) && is_place(*given.node))
    pointer = value(Op::kAddress, Type::pointer(given.type(), AddressSpace::kKernel), of.at, {given.node}).node;
  if (!pointer->type.is(TypeKind::kPointer))
    return wrong(of.arguments[0]->at,
                 fmt::format("path() only supports pointer arguments ({} provided)", given.type().name()));
  return value(Op::kPath, Type::string(bytes), of.at, {pointer});
}

Value Checker::call_socket_cookie(const Call &of) {
  Provider provider = unit_->provider();
  if (provider != Provider::kFentry && provider != Provider::kFexit)
    return wrong(of.at, fmt::format("The socket_cookie function can only be used with fentry and fexit probes ({} used "
                                    "here)",
                                    probe_type()));
  const Node *socket = pointer_argument(of, 0, "a pointer to sock");
  return value(Op::kSocketCookie, word(), of.at, {socket});
}

Value Checker::call_strerror(const Call &of) {
  return value(Op::kErrno, Type(TypeKind::kErrno, 8), of.at, {integer_argument(of, 0)});
}

Value Checker::call_pointer_space(const Call &of) {
  AddressSpace space = of.name == "kptr" ? AddressSpace::kKernel : AddressSpace::kUser;
  Value given = expression(*of.arguments[0]);
  if (!given) return {};
  if (given.type().is(TypeKind::kPointer))
    return {&make(Op::kConvert, Type::pointer(given.type().element(), space), of.at, {given.node}), false, {}, {}};
  if (given.type().is_integral()) return {convert(given, Type::pointer(Type::integer(1, true), space)), false, {}, {}};
  return wrong(of.arguments[0]->at,
               fmt::format("{}() only supports int or pointer arguments ({} provided)", of.name, given.type().name()));
}

Value Checker::call_strftime(const Call &of) {
  std::optional<std::string> format = literal_text(of, 0);
  Value when = expression(*of.arguments[1]);
  if (!format || !when) return {};
  if (!when.type().is_integral())
    return wrong(of.arguments[1]->at,
                 fmt::format("strftime() only supports int arguments ({} provided)", when.type().name()));
  Clock clock = Clock::kBoot;
  if (when.node->op == Op::kNanoseconds) {
    clock = when.node->number == 0 ? Clock::kMonotonic : when.node->number == 1 ? Clock::kBoot : Clock::kTai;
  }
  script_.time_formats.push_back({*format, clock});
  return value(Op::kTimestamp, Type(TypeKind::kTimestamp, 16), of.at, {to_u64(when)},
               static_cast<int64_t>(script_.time_formats.size()) - 1);
}

}  // namespace waggle::script
