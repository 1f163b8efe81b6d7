#include "script/output/map.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "script/output/aggregate.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

constexpr uint32_t kKeyStackIndent = 4;

using Bytes = std::span<const std::byte>;

std::strong_ordering compare_numbers(bool is_signed, uint64_t one, uint64_t two) {
  return is_signed ? static_cast<int64_t>(one) <=> static_cast<int64_t>(two) : one <=> two;
}

std::strong_ordering compare_keys(const Type &type, Bytes one, Bytes two) {
  if (type.is_integral() || type.is(TypeKind::kPointer))
    return compare_numbers(type.is_signed(), read_number(type, one), read_number(type, two));
  if (type.is(TypeKind::kTuple)) {
    for (const Field &field : type.fields()) {
      std::strong_ordering order = compare_keys(field.type, one.subspan(field.offset), two.subspan(field.offset));
      if (order != 0) return order;
    }
    return std::strong_ordering::equal;
  }
  size_t bytes = type.bytes();
  int order = type.is(TypeKind::kString) ? std::strncmp(reinterpret_cast<const char *>(one.data()),
                                                        reinterpret_cast<const char *>(two.data()), bytes)
              : bytes == 0               ? 0
                                         : std::memcmp(one.data(), two.data(), bytes);
  return order <=> 0;
}

// What entries are ordered by before their keys; nothing where only keys count.
std::optional<uint64_t> number_of(const Type &type, Bytes value) {
  if (type.is(TypeKind::kInteger) || type.is(TypeKind::kEnum)) return read_number(type, value);
  if (type.is(TypeKind::kTseries) || !type.is_aggregate()) return std::nullopt;
  return aggregate_number(type, value);
}

void append_key_text(std::string &out, const Type &type, Bytes key, std::string_view separator, Resolver &resolver) {
  ValueStyle style{.stack_indent = kKeyStackIndent, .div = 1};
  bool has_several = type.is(TypeKind::kTuple) && !type.fields().empty() && type.fields()[0].name.empty();
  if (!has_several) return append_text(out, type, key, resolver, style);
  bool is_first = true;
  for (const Field &field : type.fields()) {
    if (!is_first) out += separator;
    is_first = false;
    append_text(out, field.type, key.subspan(field.offset), resolver, style);
  }
}

// The entries to print, in order.
std::span<const MapEntry> chosen(std::span<const MapEntry> sorted, const MapLimits &limits) {
  bool is_cut = limits.top > 0 && sorted.size() > limits.top;
  return is_cut ? sorted.last(limits.top) : sorted;
}

bool is_histogram(const Type &type) {
  return type.is(TypeKind::kHist) || type.is(TypeKind::kLhist) || type.is(TypeKind::kTseries);
}

std::string_view json_type(const Type &value) {
  switch (value.kind()) {
    case TypeKind::kHist:
    case TypeKind::kLhist:
      return "hist";
    case TypeKind::kAvg:
    case TypeKind::kStats:
      return "stats";
    case TypeKind::kTseries:
      return "tseries";
    default:
      return "map";
  }
}

}  // namespace

void sort_entries(const MapShape &shape, std::vector<MapEntry> &entries) {
  // Numbers once an entry: a histogram's is the sum of all its buckets.
  std::vector<std::pair<uint64_t, MapEntry>> numbered;
  numbered.reserve(entries.size());
  for (MapEntry &entry : entries) {
    CHECK(entry.key.size() >= shape.key.bytes() && entry.value.size() >= value_bytes(shape.value));
    uint64_t number = number_of(shape.value, entry.value).value_or(0);
    numbered.emplace_back(number, std::move(entry));
  }
  bool is_signed = shape.value.is_signed() && !shape.value.is(TypeKind::kHist) && !shape.value.is(TypeKind::kLhist);
  std::sort(numbered.begin(), numbered.end(), [&](const auto &one, const auto &two) {
    std::strong_ordering order = compare_numbers(is_signed, one.first, two.first);
    if (order == 0) order = compare_keys(shape.key, one.second.key, two.second.key);
    return order < 0;
  });
  for (size_t i = 0; i < entries.size(); i++) entries[i] = std::move(numbered[i].second);
}

void append_map_text(std::string &out, const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits,
                     Resolver &resolver) {
  if (shape.value.is(TypeKind::kStats)) limits = {};
  sort_entries(shape, entries);
  for (const MapEntry &entry : chosen(entries, limits)) {
    out += shape.name;
    if (!shape.key.is(TypeKind::kNone)) {
      out += '[';
      append_key_text(out, shape.key, entry.key, ", ", resolver);
      out += ']';
    }
    // The blank is there also before the lines of a histogram.
    out += ": ";
    if (is_histogram(shape.value)) out += '\n';
    append_text(out, shape.value, entry.value, resolver, {.stack_indent = 8, .div = limits.div});
    // After a histogram, whose last line has ended: an empty line.
    out += '\n';
  }
  if (entries.empty()) out += '\n';
  if (shape.value.is(TypeKind::kAvg) || shape.value.is(TypeKind::kStats)) out += '\n';
}

void append_map_json(std::string &out, const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits,
                     Resolver &resolver) {
  if (entries.empty()) return;
  if (shape.value.is(TypeKind::kStats)) limits = {};
  sort_entries(shape, entries);
  fmt::format_to(std::back_inserter(out), "{{\"type\": \"{}\", \"data\": {{", json_type(shape.value));
  append_json_string(out, shape.name);
  out += ": ";
  bool has_keys = !shape.key.is(TypeKind::kNone);
  if (has_keys) out += '{';
  bool is_first = true;
  for (const MapEntry &entry : chosen(entries, limits)) {
    if (!is_first) out += ", ";
    is_first = false;
    if (has_keys) {
      std::string key;
      append_key_text(key, shape.key, entry.key, ",", resolver);
      append_json_string(out, key);
      out += ": ";
    }
    append_json(out, shape.value, entry.value, resolver, {.stack_indent = 8, .div = limits.div});
  }
  if (has_keys) out += '}';
  out += "}}\n";
}

}  // namespace waggle::script
