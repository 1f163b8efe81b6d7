#include "filter/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/quantity.h"
#include "base/text.h"
#include "kernel/names.h"
#include "schema/named_numbers.h"

namespace waggle::filter {
namespace {

// REQ_OP_MASK of struct request's cmd_flags.
constexpr int64_t kBlockOpBits = 0xff;
// Numbers with names are small; those of Ethernet protocols are the largest.
constexpr int64_t kNamedMost = 0xffff;

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return tolower(x) == tolower(y); });
}

// The name of a number of that kind, as columns show it.
std::string shown(Kind kind, int64_t number, Renderer &renderer) {
  Column column;
  column.kind = kind;
  column.size = sizeof(number);
  column.is_signed = true;
  Field field;
  field.column = &column;
  std::string text;
  renderer.append_text(text, field, std::as_bytes(std::span(&number, 1)));
  return text;
}

// What is in no table is found by showing numbers until one is so called: whatever kinds there
// are, what can be read can be typed.
std::optional<int64_t> number_named(Kind kind, std::string_view name, Renderer &renderer) {
  if (NumberOf number_of = named_numbers(kind))
    if (std::optional<int64_t> number = number_of(name)) return number;
  switch (kind) {
    case Kind::kSignal:
    case Kind::kErrno:
    case Kind::kSyscall:
    case Kind::kFilesystem:
      return std::nullopt;
    case Kind::kUid:
      if (std::optional<uint32_t> uid = renderer.host().uid_of(name)) return *uid;
      return std::nullopt;
    case Kind::kGid:
      if (std::optional<uint32_t> gid = renderer.host().gid_of(name)) return *gid;
      return std::nullopt;
    case Kind::kDevice:
      if (std::optional<uint32_t> device = renderer.host().device_of(name)) return *device;
      return std::nullopt;
    case Kind::kPid:
    case Kind::kTid:
    case Kind::kPort:
    case Kind::kNumber:
      return std::nullopt;
    default:
      for (int64_t number = 0; number <= kNamedMost; number++)
        if (same_word(shown(kind, number, renderer), name)) return number;
      return std::nullopt;
  }
}

// The bit that a flag's name stands for.
std::optional<int64_t> bit_named(Kind kind, std::string_view name, Renderer &renderer) {
  auto has = [&](int64_t number) {
    std::string text = shown(kind, number, renderer);
    std::vector<std::string_view> words = split(text, '|');
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return same_word(word, name); });
  };
  if (has(0)) return std::nullopt;
  for (int bit = 0; bit < 32; bit++)
    if (has(int64_t{1} << bit)) return int64_t{1} << bit;
  return std::nullopt;
}

struct Prefix {
  uint8_t bytes[16] = {};
  unsigned bits = 128;
};

// An address, a prefix ("10.0.0.0/8"), or all of a family ("ipv4", "ipv6").
std::optional<Prefix> parse_prefix(std::string_view text) {
  Prefix prefix;
  std::string address(text.substr(0, text.find('/')));
  if (same_word(address, "ipv4")) {
    prefix.bytes[10] = prefix.bytes[11] = 0xff;
    prefix.bits = 96;
    return prefix;
  }
  unsigned family_bits = 0;
  if (inet_pton(AF_INET, address.c_str(), prefix.bytes + 12) == 1) {
    prefix.bytes[10] = prefix.bytes[11] = 0xff;
    family_bits = 96;
  } else if (inet_pton(AF_INET6, address.c_str(), prefix.bytes) != 1) {
    return std::nullopt;
  }
  if (size_t slash = text.find('/'); slash != std::string_view::npos) {
    Result<int64_t> bits = parse_integer(text.substr(slash + 1));
    if (!bits || *bits < 0 || *bits > 128 - family_bits) return std::nullopt;
    prefix.bits = family_bits + static_cast<unsigned>(*bits);
  }
  return prefix;
}

}  // namespace

Result<int64_t> parse_value(const Column &column, std::string_view text, bool is_bits, Renderer &renderer) {
  if (column.kind == Kind::kDuration) return static_cast<int64_t>(TRY(parse_duration_ns(text, 1'000'000)));
  if (column.kind == Kind::kBytes) return static_cast<int64_t>(TRY(parse_bytes(text)));
  if (column.kind == Kind::kMode && text.starts_with('0')) {
    int64_t mode = 0;
    for (char digit : text) {
      if (digit < '0' || digit > '7')
        return fail(ErrorCode::kInvalid, fmt::format("bad mode '{}'", text), "it is octal");
      mode = mode * 8 + (digit - '0');
    }
    return mode;
  }
  if (Result<int64_t> number = parse_integer(text)) return *number;
  std::optional<int64_t> named =
      is_bits ? bit_named(column.kind, text, renderer) : number_named(column.kind, text, renderer);
  if (named) return *named;
  std::string_view kind = kind_info(column.kind).name;
  return fail(ErrorCode::kInvalid, fmt::format("bad value '{}' of column '{}'", text, column.name),
              fmt::format("there is no {} of that name", kind));
}

Result<Node> address_test(const Column &column, std::string_view text) {
  // What is no mapped IPv4 address.
  if (same_word(text, "ipv6")) return not_node(TRY(address_test(column, "ipv4")));
  std::optional<Prefix> prefix = parse_prefix(text);
  if (!prefix)
    return fail(ErrorCode::kInvalid, fmt::format("bad address '{}'", text), {},
                "write 10.0.0.1, 10.0.0.0/8, 2001:db8::/32, ipv4 or ipv6");
  Node node;
  node.op = Op::kAddress;
  node.column = column;
  for (unsigned bit = 0; bit < prefix->bits; bit++) node.mask[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
  for (size_t i = 0; i < node.mask.size(); i++) node.address[i] = prefix->bytes[i] & node.mask[i];
  return node;
}

Result<Node> equality_test(const Column &column, std::string_view text, Renderer &renderer) {
  Node left = column_node(column);
  Node right = constant_node(TRY(parse_value(column, text, false, renderer)));
  if (column.kind == Kind::kBlockOp && block_op_number(text))
    left = binary_node(codegen::Op::kAnd, std::move(left), constant_node(kBlockOpBits));
  return compare_node(codegen::Condition::kEqual, std::move(left), std::move(right));
}

Node column_node(const Column &column) {
  Node node;
  node.op = Op::kColumn;
  node.column = column;
  node.is_signed = column.is_signed;
  return node;
}

Node constant_node(int64_t number) {
  Node node;
  node.op = Op::kConstant;
  node.number = number;
  node.is_signed = number < 0;
  return node;
}

Node unary_node(codegen::Op arithmetic, Node operand) {
  Node node;
  node.op = Op::kCompute;
  node.arithmetic = arithmetic;
  node.is_signed = operand.is_signed || arithmetic == codegen::Op::kNegate;
  node.in.push_back(std::move(operand));
  return node;
}

Node binary_node(codegen::Op arithmetic, Node left, Node right) {
  Node node;
  node.op = Op::kCompute;
  node.arithmetic = arithmetic;
  node.is_signed = left.is_signed || right.is_signed;
  node.in.push_back(std::move(left));
  node.in.push_back(std::move(right));
  return node;
}

Node compare_node(codegen::Condition condition, Node left, Node right) {
  Node node;
  node.op = Op::kCompare;
  node.condition = condition;
  node.in.push_back(std::move(left));
  node.in.push_back(std::move(right));
  return node;
}

Node not_node(Node node) {
  Node made;
  made.op = Op::kNot;
  made.in.push_back(std::move(node));
  return made;
}

}  // namespace waggle::filter
