#include "base/quantity.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <iterator>

namespace waggle {
namespace {

struct UnitName {
  std::string_view name;
  double factor;
};

constexpr UnitName kDurations[] = {
    {"ns", 1},    {"us", 1e3}, {"µs", 1e3},   {"ms", 1e6},   {"s", 1e9},
    {"sec", 1e9}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};

constexpr UnitName kSizes[] = {
    {"", 1},
    {"b", 1},
    {"k", 1024.0},
    {"kib", 1024.0},
    {"kb", 1e3},
    {"m", 1048576.0},
    {"mib", 1048576.0},
    {"mb", 1e6},
    {"g", 1073741824.0},
    {"gib", 1073741824.0},
    {"gb", 1e9},
    {"t", 1099511627776.0},
    {"tib", 1099511627776.0},
    {"tb", 1e12},
};

struct NumberAndUnit {
  double number;
  std::string unit;  // lower case
};

Result<NumberAndUnit> split(std::string_view text, const char *what, const char *forms) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0)
    return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", what, text), {}, forms);
  std::string unit(end, text.data() + text.size());
  for (char &c : unit)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return NumberAndUnit{number, std::move(unit)};
}

constexpr char kDurationForms[] = "write it as 250us, 10ms, 1.5s, 2m or 1h";
constexpr char kSizeForms[] = "write it as 512, 4KiB, 10MB or 1GiB";

template <size_t N>
Result<uint64_t> scaled(const NumberAndUnit &value, const UnitName (&units)[N], std::string_view text, const char *what,
                        const char *forms) {
  for (const UnitName &unit : units) {
    if (unit.name != value.unit) continue;
    double scaled = std::round(value.number * unit.factor);
    if (scaled >= 9.2e18) return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", what, text), "it is too large");
    return static_cast<uint64_t>(scaled);
  }
  return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", what, text), fmt::format("no unit '{}'", value.unit),
              forms);
}

void append_three_digits(std::string &out, double value, std::string_view unit) {
  int decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  fmt::format_to(std::back_inserter(out), "{:.{}f}{}", value, decimals, unit);
}

}  // namespace

Result<uint64_t> parse_duration_ns(std::string_view text, uint64_t bare_unit_ns) {
  NumberAndUnit value = TRY(split(text, "duration", kDurationForms));
  if (value.unit.empty()) {
    value.number *= static_cast<double>(bare_unit_ns);
    value.unit = "ns";
  }
  return scaled(value, kDurations, text, "duration", kDurationForms);
}

Result<uint64_t> parse_bytes(std::string_view text) {
  NumberAndUnit value = TRY(split(text, "size", kSizeForms));
  return scaled(value, kSizes, text, "size", kSizeForms);
}

Result<int64_t> parse_integer(std::string_view text) {
  std::string_view digits = text;
  bool negative = !digits.empty() && digits[0] == '-';
  if (negative) digits.remove_prefix(1);
  int base = 10;
  if (digits.starts_with("0x")) {
    base = 16;
    digits.remove_prefix(2);
  }
  int64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty() || value < 0)
    return fail(ErrorCode::kInvalid, fmt::format("bad number '{}'", text), {}, "write a whole number, such as 42");
  return negative ? -value : value;
}

void append_duration(std::string &out, uint64_t ns) {
  auto value = static_cast<double>(ns);
  auto it = std::back_inserter(out);
  uint64_t seconds = ns / 1'000'000'000;
  if (ns < 1000)
    fmt::format_to(it, "{}ns", ns);
  else if (ns < 999'500)
    append_three_digits(out, value / 1e3, "us");
  else if (ns < 999'500'000)
    append_three_digits(out, value / 1e6, "ms");
  else if (seconds < 100)
    append_three_digits(out, value / 1e9, "s");
  else if (seconds < 3600)
    fmt::format_to(it, "{}m{:02}s", seconds / 60, seconds % 60);
  else if (seconds < 86400)
    fmt::format_to(it, "{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  else
    fmt::format_to(it, "{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

void append_bytes(std::string &out, uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) {
    fmt::format_to(std::back_inserter(out), "{}B", bytes);
    return;
  }
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) value /= 1024, unit++;
  append_three_digits(out, value, kUnits[unit]);
}

void append_count(std::string &out, uint64_t count) {
  static constexpr std::string_view kUnits[] = {"k", "M", "G", "T", "P", "E"};
  if (count < 10'000) {
    fmt::format_to(std::back_inserter(out), "{}", count);
    return;
  }
  double value = static_cast<double>(count) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) value /= 1000, unit++;
  append_three_digits(out, value, kUnits[unit]);
}

}  // namespace waggle
