#include "enrich/where.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/quantity.h"
#include "base/text.h"
#include "enrich/render.h"
#include "kernel/names.h"
#include "schema/named_numbers.h"

namespace waggle {
namespace {

constexpr uint64_t kFirstBit = uint64_t{1} << 63;
// REQ_OP_MASK of struct request's cmd_flags.
constexpr uint64_t kBlockOpBits = 0xff;
// Numbers with names are small; those of Ethernet protocols are the largest.
constexpr int64_t kNamedMost = 0xffff;

enum class Operator { kEqual, kUnequal, kLess, kLessEqual, kGreater, kGreaterEqual, kBits, kPart, kNoPart };

struct Parts {
  std::string_view column, value;
  Operator op = Operator::kEqual;
};

std::optional<Parts> parts_of(std::string_view text) {
  // The longer ones first: "<=" begins with "<".
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"!=", Operator::kUnequal},      {"!~", Operator::kNoPart}, {"<=", Operator::kLessEqual},
      {">=", Operator::kGreaterEqual}, {"==", Operator::kEqual},  {"=", Operator::kEqual},
      {"<", Operator::kLess},          {">", Operator::kGreater}, {"&", Operator::kBits},
      {"~", Operator::kPart},
  };
  size_t at = text.find_first_of("=!<>&~");
  if (at == 0 || at == std::string_view::npos) return std::nullopt;
  for (const auto &[word, op] : kOperators)
    if (text.substr(at).starts_with(word))
      return Parts{trim(text.substr(0, at)), trim(text.substr(at + word.size())), op};
  return std::nullopt;
}

tl::unexpected<Error> no_condition(std::string_view text) {
  return fail(ErrorCode::kMisuse, fmt::format("'{}' is no condition", text), {},
              "write COLUMN=VALUE[,VALUE...], or with !=, <, <=, >, >=, & (bits) or ~ (part of a text)");
}

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

Result<Condition> address_condition(const Column &column, std::string_view text) {
  Condition condition;
  if (same_word(text, "ipv6")) {
    // What is no mapped IPv4 address.
    condition = TRY(address_condition(column, "ipv4"));
    condition.negated = true;
    return condition;
  }
  std::optional<Prefix> prefix = parse_prefix(text);
  if (!prefix)
    return fail(ErrorCode::kInvalid, fmt::format("bad address '{}'", text), {},
                "write 10.0.0.1, 10.0.0.0/8, 2001:db8::/32, ipv4 or ipv6");
  uint8_t mask[16] = {};
  for (unsigned bit = 0; bit < prefix->bits; bit++) mask[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
  for (size_t i = 0; i < sizeof(mask); i++) prefix->bytes[i] &= mask[i];
  condition.offset = column.offset;
  condition.size = 16;
  memcpy(condition.mask, mask, sizeof(mask));
  memcpy(condition.low, prefix->bytes, sizeof(prefix->bytes));
  return condition;
}

Result<Condition> number_condition(const Column &column, const Parts &parts, std::string_view text,
                                   Renderer &renderer) {
  Condition condition;
  condition.offset = column.offset;
  condition.size = static_cast<uint8_t>(column.size);
  condition.is_signed = column.is_signed;
  auto value = static_cast<uint64_t>(TRY(parse_value(column, text, parts.op == Operator::kBits, renderer)));
  if (column.is_signed) value ^= kFirstBit;
  condition.high[0] = ~uint64_t{0};
  switch (parts.op) {
    case Operator::kLess:
    case Operator::kGreaterEqual:
      condition.low[0] = value;
      condition.negated = parts.op == Operator::kLess;
      break;
    case Operator::kGreater:
    case Operator::kLessEqual:
      condition.high[0] = value;
      condition.negated = parts.op == Operator::kGreater;
      break;
    case Operator::kBits:
      condition.mask[0] = value & ~kFirstBit;
      condition.high[0] = 0;
      condition.negated = true;
      break;
    default:
      condition.low[0] = condition.high[0] = value;
      // The name of an operation alone is that operation with any flags.
      if (column.kind == Kind::kBlockOp && block_op_number(text)) condition.mask[0] = kBlockOpBits;
  }
  return condition;
}

bool can_be_tested(const Column &column, Operator op) {
  if (column.is_text())
    return op == Operator::kEqual || op == Operator::kUnequal || op == Operator::kPart || op == Operator::kNoPart;
  if (op == Operator::kPart || op == Operator::kNoPart) return false;
  // The programs read addresses as four words.
  if (column.kind == Kind::kIp) return (op == Operator::kEqual || op == Operator::kUnequal) && column.offset % 4 == 0;
  // An address in the kernel is a pointer while the program runs, and those are not compared.
  return column.is_integer() && column.kind != Kind::kTime && column.kind != Kind::kKernelAddress;
}

}  // namespace

Result<std::string> column_of_condition(std::string_view text) {
  std::optional<Parts> parts = parts_of(text);
  if (!parts) return no_condition(text);
  return std::string(parts->column);
}

Result<void> add_condition(Where &where, const Schema &schema, std::string_view text, Host &host) {
  std::optional<Parts> parts = parts_of(text);
  if (!parts) return no_condition(text);
  Field field = TRY(parse_field(schema, parts->column));
  if (field.follow != Follow::kNothing)
    return fail(ErrorCode::kMisuse, fmt::format("'{}' cannot be tested", field.name),
                "rows are tested where they are made, by what they have themselves");
  const Column &column = *field.column;
  if (!can_be_tested(column, parts->op))
    return fail(ErrorCode::kMisuse, fmt::format("column '{}' cannot be tested so: '{}'", column.name, text),
                fmt::format("it is a {}", kind_info(column.kind).name));
  std::vector<std::string_view> values = split(parts->value, ',');
  if (values.empty()) values.emplace_back();
  bool negated = parts->op == Operator::kUnequal || parts->op == Operator::kNoPart;
  // Any of the values, or none of them.
  Renderer renderer(host);
  for (size_t i = 0; i < values.size(); i++) {
    bool or_next = !negated && i + 1 < values.size();
    std::string_view value = trim(values[i]);
    if (column.is_text()) {
      bool part = parts->op == Operator::kPart || parts->op == Operator::kNoPart;
      where.texts.push_back({column, std::string(value), part, negated, or_next});
      continue;
    }
    Condition condition = column.kind == Kind::kIp ? TRY(address_condition(column, value))
                                                   : TRY(number_condition(column, *parts, value, renderer));
    condition.negated ^= negated;
    condition.or_next = or_next;
    where.numbers.push_back(condition);
  }
  if (where.numbers.size() > kConditionsMost)
    return fail(ErrorCode::kMisuse, "too many conditions", {}, fmt::format("at most {} values", kConditionsMost));
  return {};
}

}  // namespace waggle
