#include "script/output/value.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/check.h"
#include "base/text.h"
#include "script/output/aggregate.h"
#include "script/output/histogram.h"
#include "script/output/stack_text.h"
#include "script/output/time_text.h"
#include "script/output/tseries.h"

namespace waggle::script {
namespace {

constexpr size_t kWordBytes = 8;

uint64_t read_word(std::span<const std::byte> bytes, size_t index) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + index * kWordBytes, sizeof(word));
  return word;
}

uint64_t extended(uint64_t value, uint32_t bits, bool is_signed) {
  if (bits >= 64) return value;
  uint32_t shift = 64 - bits;
  if (is_signed) return static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
  return value << shift >> shift;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

void append_number(std::string &out, uint64_t value, bool is_signed, uint32_t div) {
  div = std::max(div, 1u);
  if (is_signed)
    out += std::to_string(static_cast<int64_t>(value) / div);
  else
    out += std::to_string(value / div);
}

void append_inet(std::string &out, std::span<const std::byte> bytes) {
  auto family = static_cast<int>(read_word(bytes, 0));
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_INET || family == AF_INET6) inet_ntop(family, bytes.data() + kWordBytes, text, sizeof(text));
  out += text;
}

void append_mac(std::string &out, std::span<const std::byte> bytes) {
  for (size_t i = 0; i < 6; i++)
    fmt::format_to(std::back_inserter(out), "{}{:02X}", i > 0 ? ":" : "", std::to_integer<unsigned>(bytes[i]));
}

void append_error_text(std::string &out, int64_t number) {
  // Not strerror(3): its text depends on the locale.
  const char *text = number >= 0 && number <= 4095 ? strerrordesc_np(static_cast<int>(number)) : nullptr;
  out += text ? text : fmt::format("Unknown error {}", number);
}

// Values that stand for something and are one text, in JSON in quotes.
void append_meaning(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                    const ValueStyle &style) {
  switch (type.kind()) {
    case TypeKind::kString: {
      std::string_view text = text_of(bytes.first(type.bytes()));
      out += text;
      out += resolver.trailer(text.size());
      return;
    }
    case TypeKind::kBuffer:
      return append_buffer(out, buffer_content(type, bytes), BufferForm::kMixed);
    case TypeKind::kPointer:
      fmt::format_to(std::back_inserter(out), "0x{:x}", read_word(bytes, 0));
      return;
    case TypeKind::kKernelStack:
    case TypeKind::kUserStack:
      return append_stack(out, type, bytes, resolver, style.stack_indent);
    case TypeKind::kKernelSymbol:
    case TypeKind::kUserSymbol:
      return append_symbol(out, type, bytes, resolver);
    case TypeKind::kInet:
      return append_inet(out, bytes);
    case TypeKind::kMacAddress:
      return append_mac(out, bytes);
    case TypeKind::kUsername: {
      std::string name = resolver.user_name(read_word(bytes, 0));
      out += name.empty() ? std::to_string(read_word(bytes, 0)) : name;
      return;
    }
    case TypeKind::kTimestamp: {
      TimeFormat format = resolver.time_format(read_word(bytes, 1));
      return append_time(out, format.text, resolver.wall_ns(format.clock, read_word(bytes, 0)));
    }
    case TypeKind::kCgroupPath:
      out += resolver.cgroup_path(read_word(bytes, 0), read_word(bytes, 1));
      return;
    case TypeKind::kErrno:
      return append_error_text(out, static_cast<int64_t>(read_word(bytes, 0)));
    default:
      CHECK(type.is(TypeKind::kNone) || type.is(TypeKind::kVoid));
  }
}

// Which of the two forms is written: they differ in little more than their brackets.
class Writer {
 public:
  Writer(std::string &out, Resolver &resolver, ValueStyle style, bool is_json)
      : out_(out), resolver_(resolver), style_(style), is_json_(is_json) {}

  void value(const Type &type, std::span<const std::byte> bytes) {
    CHECK(bytes.size() >= value_bytes(type));
    switch (type.kind()) {
      case TypeKind::kBool:
      case TypeKind::kInteger:
      case TypeKind::kEnum:
        return number(type, read_number(type, bytes));
      case TypeKind::kArray:
        return array(type, bytes);
      case TypeKind::kRecord:
        return record(type, bytes);
      case TypeKind::kTuple:
        return has_names(type) ? record(type, bytes) : tuple(type, bytes);
      default:
        if (type.is_aggregate()) return aggregate(type, bytes);
        return meaning(type, bytes);
    }
  }

 private:
  static bool has_names(const Type &tuple) {
    const std::vector<Field> &fields = tuple.fields();
    return std::any_of(fields.begin(), fields.end(), [](const Field &field) { return !field.name.empty(); });
  }

  void number(const Type &type, uint64_t value) {
    if (type.is(TypeKind::kBool)) {
      out_ += value != 0 ? "true" : "false";
      return;
    }
    std::string name = type.is(TypeKind::kEnum) ? type.enumerator(static_cast<int64_t>(value)) : "";
    if (name.empty())
      append_number(out_, value, type.is_signed(), type.is(TypeKind::kEnum) ? 1 : style_.div);
    else if (is_json_)
      append_json_string(out_, name);
    else
      out_ += name;
  }

  void meaning(const Type &type, std::span<const std::byte> bytes) {
    if (!is_json_) return append_meaning(out_, type, bytes, resolver_, style_);
    std::string text;
    append_meaning(text, type, bytes, resolver_, style_);
    append_json_string(out_, text);
  }

  void array(const Type &type, std::span<const std::byte> bytes) {
    const Type &element = type.element();
    out_ += '[';
    for (uint32_t i = 0; i < type.count(); i++) {
      if (i > 0) out_ += ',';
      value(element, bytes.subspan(size_t{i} * element.bytes()));
    }
    out_ += ']';
  }

  void tuple(const Type &type, std::span<const std::byte> bytes) {
    out_ += is_json_ ? '[' : '(';
    bool is_first = true;
    for (const Field &field : type.fields()) {
      if (!is_first) out_ += is_json_ ? "," : ", ";
      is_first = false;
      value(field.type, bytes.subspan(field.offset));
    }
    // As a tuple of one is written in the language.
    if (!is_json_ && type.fields().size() == 1) out_ += ',';
    out_ += is_json_ ? ']' : ')';
  }

  void record(const Type &type, std::span<const std::byte> bytes) {
    out_ += "{ ";
    size_t begin = out_.size();
    fields(type, bytes, begin);
    if (out_.size() > begin) out_ += ' ';
    out_ += '}';
  }

  void fields(const Type &type, std::span<const std::byte> bytes, size_t begin) {
    for (const Field &field : type.fields()) {
      std::span<const std::byte> at = bytes.subspan(field.offset);
      bool is_looked_through = field.name.empty() && field.type.is(TypeKind::kRecord);
      if (is_looked_through) {
        fields(field.type, at, begin);
        continue;
      }
      if (out_.size() > begin) out_ += ", ";
      if (is_json_) {
        append_json_string(out_, field.name);
        out_ += ": ";
      } else {
        fmt::format_to(std::back_inserter(out_), ".{} = ", field.name);
      }
      if (field.bit_size > 0)
        number(field.type, bit_field(field, at));
      else
        value(field.type, at);
    }
  }

  static uint64_t bit_field(const Field &field, std::span<const std::byte> bytes) {
    CHECK(field.bit_offset + field.bit_size <= 64);
    uint64_t word = 0;
    // A field of the last bits of a record may begin in less than a word of it.
    std::memcpy(&word, bytes.data(), std::min<size_t>({sizeof(word), field.type.bytes(), bytes.size()}));
    return extended(word >> field.bit_offset, field.bit_size, field.type.is_signed());
  }

  void aggregate(const Type &type, std::span<const std::byte> bytes) {
    bytes = bytes.first(value_bytes(type));
    const AggregateParameters &parameters = type.parameters();
    LinearBuckets linear{parameters.low, parameters.high, parameters.step};
    switch (type.kind()) {
      case TypeKind::kHist:
        return is_json_ ? append_hist_json(out_, words_of(bytes), parameters.bits, style_.div)
                        : append_hist_text(out_, words_of(bytes), parameters.bits, style_.div);
      case TypeKind::kLhist:
        return is_json_ ? append_lhist_json(out_, words_of(bytes), linear, style_.div)
                        : append_lhist_text(out_, words_of(bytes), linear, style_.div);
      case TypeKind::kTseries:
        return is_json_ ? append_tseries_json(out_, type, bytes, resolver_, style_.div)
                        : append_tseries_text(out_, type, bytes, resolver_, style_.div);
      case TypeKind::kStats:
        return stats(type, stats_of(type, bytes));
      default:
        append_number(out_, aggregate_number(type, bytes), type.is_signed(), style_.div);
    }
  }

  void stats(const Type &type, const Stats &stats) {
    out_ += is_json_ ? "{\"count\": " : "count ";
    append_number(out_, stats.count, false, 1);
    out_ += is_json_ ? ", \"average\": " : ", average ";
    append_number(out_, stats.average, type.is_signed(), style_.div);
    out_ += is_json_ ? ", \"total\": " : ", total ";
    append_number(out_, stats.total, type.is_signed(), style_.div);
    if (is_json_) out_ += '}';
  }

  std::string &out_;
  Resolver &resolver_;
  ValueStyle style_;
  bool is_json_;
};

}  // namespace

size_t value_bytes(const Type &type) {
  return type.is_aggregate() ? size_t{aggregate_words(type)} * kWordBytes : type.bytes();
}

uint64_t read_number(const Type &type, std::span<const std::byte> bytes) {
  CHECK(type.is_integral() || type.is(TypeKind::kPointer));
  CHECK(type.bytes() <= kWordBytes && bytes.size() >= type.bytes());
  uint64_t value = 0;
  // Little-endian, as every kernel that scripts run on is here.
  std::memcpy(&value, bytes.data(), type.bytes());
  return extended(value, type.bytes() * 8, type.is_signed());
}

void append_text(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                 ValueStyle style) {
  Writer(out, resolver, style, false).value(type, bytes);
}

void append_json(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                 ValueStyle style) {
  Writer(out, resolver, style, true).value(type, bytes);
}

std::span<const std::byte> buffer_content(const Type &type, std::span<const std::byte> bytes) {
  CHECK(type.is(TypeKind::kBuffer) && bytes.size() >= type.bytes());
  uint32_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return bytes.subspan(sizeof(length), std::min<size_t>(length, type.bytes() - sizeof(length)));
}

void append_buffer(std::string &out, std::span<const std::byte> content, BufferForm form) {
  bool is_first = true;
  for (std::byte each : content) {
    auto value = std::to_integer<unsigned>(each);
    bool is_plain = form == BufferForm::kMixed && value >= 0x20 && value < 0x7f;
    if (is_plain)
      out += static_cast<char>(value);
    else if (form == BufferForm::kBlanks)
      fmt::format_to(std::back_inserter(out), "{}{:02x}", is_first ? "" : " ", value);
    else
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", value);
    is_first = false;
  }
}

}  // namespace waggle::script
