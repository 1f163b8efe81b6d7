#include "script/probes/attach_point_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/check.h"

namespace waggle::script {
namespace {

constexpr RateUnitRow kUnits[] = {
    {"hz", RateUnit::kHz, 0},
    {"us", RateUnit::kMicroseconds, 1'000},
    {"ms", RateUnit::kMilliseconds, 1'000'000},
    {"s", RateUnit::kSeconds, 1'000'000'000},
};

std::optional<uint64_t> parse_digits(std::string_view digits, int base) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  return value;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char &c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::optional<Provider> find_provider(std::string_view word) {
  // Of the aliases, "U" and "u" differ.
  for (const ProviderRow &row : kProviderRows)
    for (std::string_view alias : row.aliases)
      if (!alias.empty() && alias == word) return row.provider;
  std::string name = lower_case(word);
  for (const ProviderRow &row : kProviderRows)
    if (row.name == name || (name.size() > 2 && (row.aliases[1] == name))) return row.provider;
  return std::nullopt;
}

const RateUnitRow *find_rate_unit(std::string_view name) {
  const auto *found =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const RateUnitRow &each) { return each.name == name; });
  return found == std::end(kUnits) ? nullptr : found;
}

std::string_view rate_unit_name(RateUnit unit) {
  for (const RateUnitRow &each : kUnits)
    if (each.unit == unit) return each.name;
  return {};
}

std::optional<uint64_t> parse_attach_number(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '_')
      digits += text[i];
    else if (i == 0 || i + 1 == text.size())
      return std::nullopt;
  }
  if (digits.starts_with("0x") || digits.starts_with("0X")) return parse_digits(std::string_view(digits).substr(2), 16);
  size_t e = digits.find('e');
  if (e == std::string::npos) return parse_digits(digits, 10);
  std::optional<uint64_t> value = parse_digits(std::string_view(digits).substr(0, e), 10);
  std::optional<uint64_t> exponent = parse_digits(std::string_view(digits).substr(e + 1), 10);
  if (!value || !exponent || *exponent > 19) return std::nullopt;
  for (uint64_t i = 0; i < *exponent; i++)
    if (__builtin_mul_overflow(*value, uint64_t{10}, &*value)) return std::nullopt;
  return value;
}

std::string_view provider_name(Provider provider) {
  const ProviderRow &row = kProviderRows[static_cast<size_t>(provider)];
  CHECK(row.provider == provider);
  return row.name;
}

bool is_return_probe(Provider provider) {
  return provider == Provider::kKretprobe || provider == Provider::kFexit || provider == Provider::kUretprobe;
}

bool is_user_probe(Provider provider) {
  return provider == Provider::kUprobe || provider == Provider::kUretprobe || provider == Provider::kUsdt;
}

std::string AttachPoint::text() const {
  std::string text(provider_name(provider));
  if (!target.empty()) text += ":" + target;
  if (program_id != 0) text += fmt::format(":{}", program_id);
  if (!language.empty()) text += ":" + language;
  if (!usdt_provider.empty()) text += ":" + usdt_provider;
  if (!function.empty()) text += ":" + function;
  if (offset != 0) text += fmt::format("+{}", offset);
  if (address != 0) text += fmt::format(":{}", address);
  if (unit != RateUnit::kNone) text += fmt::format(":{}", rate_unit_name(unit));
  if (count != 0) text += fmt::format(":{}", count);
  if (length != 0) text += fmt::format(":{}:{}", length, mode);
  if (!pin.empty()) text += ":" + pin;
  return text;
}

bool AttachPoint::has_wildcard() const {
  return script::has_wildcard(target) || script::has_wildcard(function) || script::has_wildcard(usdt_provider);
}

uint64_t AttachPoint::period_ns() const {
  CHECK(unit != RateUnit::kNone && count != 0);
  uint64_t ns = find_rate_unit(rate_unit_name(unit))->ns;
  return ns == 0 ? 1'000'000'000 / count : count * ns;
}

}  // namespace waggle::script
