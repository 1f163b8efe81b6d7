#include "script/check/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/text.h"

namespace waggle::script {
namespace {

struct NumberRow {
  std::string_view name;
  uint64_t Config::*number;
  uint64_t least, most;
};
constexpr NumberRow kNumbers[] = {
    {"max_strlen", &Config::max_strlen, 1, 1u << 20},        {"max_map_keys", &Config::max_map_keys, 1, UINT32_MAX},
    {"max_probes", &Config::max_probes, 0, UINT32_MAX},      {"max_bpf_progs", &Config::max_bpf_progs, 0, UINT32_MAX},
    {"max_cat_bytes", &Config::max_cat_bytes, 0, 16u << 20}, {"on_stack_limit", &Config::on_stack_limit, 0, 512},
    {"perf_rb_pages", &Config::perf_rb_pages, 0, 1u << 18},  // of 4 KiB: 1 GiB
    {"log_size", &Config::log_size, 0, UINT32_MAX},
};
struct FlagRow {
  std::string_view name;
  bool Config::*flag;
};
constexpr FlagRow kFlags[] = {
    {"print_maps_on_exit", &Config::print_maps_on_exit},
    {"cpp_demangle", &Config::cpp_demangle},
    {"lazy_symbolication", &Config::lazy_symbolication},
    {"show_debug_info", &Config::show_debug_info},
};
struct TextRow {
  std::string_view name;
  std::string Config::*text;
};
constexpr TextRow kTexts[] = {{"str_trunc_trailer", &Config::str_trunc_trailer}, {"license", &Config::license}};
// What has no effect here; some were bpftrace's own once.
constexpr std::string_view kIgnored[] = {"cache_user_symbols", "use_blazesym",      "unstable_tseries",
                                         "unstable_dw_ustack", "unstable_typeinfo", "unstable_import_statement",
                                         "unstable_import",    "unstable_addr",     "unstable_macro",
                                         "unstable_map_decl",  "symbol_source",     "max_type_res_iterations",
                                         "probe_inline"};
constexpr std::string_view kDeprecated[] = {"symbol_source",   "max_type_res_iterations", "unstable_addr",
                                            "unstable_import", "unstable_macro",          "unstable_map_decl"};
// Of bpftrace 0.17, and what they are called now.
struct OldRow {
  std::string_view old, now;
};
constexpr OldRow kOld[] = {{"strlen", "max_strlen"},
                           {"map_keys_max", "max_map_keys"},
                           {"cat_bytes_max", "max_cat_bytes"},
                           {"no_cpp_demangle", "cpp_demangle"}};

constexpr uint64_t kStringBytesMost = 1u << 20;

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), [](unsigned char c) { return std::tolower(c); });
  return made;
}

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t number = 0;
  int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> flag_of(std::string_view text) {
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

// Sets one of them. Returns what is wrong; "?" for a name that there is not.
std::string set(Config &config, std::string_view name, std::string_view text) {
  for (const NumberRow &row : kNumbers) {
    if (row.name != name) continue;
    std::optional<uint64_t> number = number_of(text);
    if (!number) return fmt::format("Invalid value '{}' for {}: a number is wanted", text, name);
    if (name == "max_strlen" && (*number == 0 || *number > kStringBytesMost))
      return fmt::format("max_strlen {} exceeds the current maximum of {} bytes", *number, kStringBytesMost);
    if (*number < row.least || *number > row.most)
      return fmt::format("Invalid value '{}' for {}: it is a number from {} to {}", text, name, row.least, row.most);
    config.*row.number = *number;
    return {};
  }
  for (const FlagRow &row : kFlags) {
    if (row.name != name) continue;
    std::optional<bool> flag = flag_of(text);
    if (!flag) return fmt::format("Invalid value for {}: valid values are true (1) or false (0)", name);
    config.*row.flag = *flag;
    return {};
  }
  for (const TextRow &row : kTexts) {
    if (row.name != name) continue;
    config.*row.text = text;
    return {};
  }
  if (name == "missing_probes") {
    using Missing = Config::MissingProbes;
    if (text == "error")
      config.missing_probes = Missing::kError;
    else if (text == "warn")
      config.missing_probes = Missing::kWarn;
    else if (text == "ignore")
      config.missing_probes = Missing::kIgnore;
    else
      return "Invalid value for missing_probes: valid values are \"ignore\", \"warn\", and \"error\".";
    return {};
  }
  if (name == "stack_mode") {
    if (text == "bpftrace")
      config.stack_mode = StackMode::kBpftrace;
    else if (text == "perf")
      config.stack_mode = StackMode::kPerf;
    else if (text == "raw")
      config.stack_mode = StackMode::kRaw;
    else if (text == "build_id")
      config.stack_mode = StackMode::kBuildId;
    else
      return fmt::format("Invalid value for stack_mode: valid values are bpftrace, perf, raw and build_id, not {}",
                         text);
    return {};
  }
  if (std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored)) return {};
  return "?";
}

std::string near(std::string_view name) {
  std::vector<std::string_view> names = {"missing_probes", "stack_mode"};
  for (const NumberRow &row : kNumbers) names.push_back(row.name);
  for (const FlagRow &row : kFlags) names.push_back(row.name);
  for (const TextRow &row : kTexts) names.push_back(row.name);
  std::string_view found = nearest(name, names);
  return found.empty() ? std::string() : fmt::format("did you mean '{}'?", found);
}

std::string text_of_value(const Expression &value) {
  switch (value.kind) {
    case ExpressionKind::kInteger:
      return fmt::format("{}", as<IntegerLiteral>(value).value);
    case ExpressionKind::kString:
      return std::string(as<StringLiteral>(value).text);
    case ExpressionKind::kBool:
      return as<BoolLiteral>(value).value ? "true" : "false";
    case ExpressionKind::kIdentifier:
      return std::string(as<Identifier>(value).name);
    default:
      return {};
  }
}

bool is_text_option(std::string_view name) {
  return std::any_of(std::begin(kTexts), std::end(kTexts), [&](const TextRow &row) { return row.name == name; });
}

}  // namespace

std::optional<ConfigValue> config_value(const Config &config, std::string_view name) {
  for (const NumberRow &row : kNumbers)
    if (row.name == name) return ConfigValue{false, config.*row.number, {}};
  for (const FlagRow &row : kFlags)
    if (row.name == name) return ConfigValue{true, config.*row.flag ? 1u : 0u, {}};
  for (const TextRow &row : kTexts)
    if (row.name == name) return ConfigValue{false, 0, config.*row.text};
  constexpr std::string_view kMissing[] = {"error", "warn", "ignore"};
  constexpr std::string_view kStacks[] = {"bpftrace", "perf", "raw", "build_id"};
  if (name == "missing_probes")
    return ConfigValue{false, 0, std::string(kMissing[static_cast<size_t>(config.missing_probes)])};
  if (name == "stack_mode") return ConfigValue{false, 0, std::string(kStacks[static_cast<size_t>(config.stack_mode)])};
  return std::nullopt;
}

Config read_config(const Tree &tree, const std::map<std::string, std::string, std::less<>> &environment,
                   Diagnostics &diagnostics) {
  Config config;
  for (const auto &[variable, text] : environment) {
    std::string name = lower(variable), value = text;
    for (const OldRow &row : kOld) {
      if (row.old != name) continue;
      if (name == "no_cpp_demangle") value = flag_of(text).value_or(false) ? "0" : "1";
      name = row.now;
    }
    std::string mistake = set(config, name, value);
    if (mistake.empty() || mistake == "?") continue;
    diagnostics.error({}, fmt::format("Env var 'BPFTRACE_{}' did not contain a valid value: {}", variable, mistake));
  }
  std::set<std::string> seen;
  for (const ConfigEntry &entry : tree.config) {
    if (!tree.probes.empty() && entry.at.source == tree.probes.front()->at.source &&
        entry.at.begin > tree.probes.front()->at.begin)
      diagnostics.error(entry.at, "the configuration has to come before all probes");
    if (!seen.insert(lower(entry.name)).second)
      diagnostics.error(entry.at, fmt::format("{} is configured twice", entry.name));
    std::string name = lower(entry.name);
    if (name.starts_with("bpftrace_")) name.erase(0, std::string_view("bpftrace_").size());
    if (std::find(std::begin(kDeprecated), std::end(kDeprecated), name) != std::end(kDeprecated))
      diagnostics.warning(entry.at, fmt::format("{} is deprecated and has no effect", name));
    bool is_string = entry.value->kind == ExpressionKind::kString;
    if (is_text_option(name) && !is_string && entry.value->kind == ExpressionKind::kInteger) {
      diagnostics.error(entry.at, fmt::format("Invalid type for {}. Type: int. Expected Type: string", name));
      continue;
    }
    bool wants_number =
        std::any_of(std::begin(kNumbers), std::end(kNumbers), [&](const NumberRow &row) { return row.name == name; });
    if (wants_number && entry.value->kind != ExpressionKind::kInteger) {
      diagnostics.error(entry.at, fmt::format("Invalid type for {}. Type: string. Expected Type: int", name));
      continue;
    }
    std::string mistake = set(config, name, text_of_value(*entry.value));
    if (mistake.empty()) continue;
    if (mistake == "?") {
      Diagnostic &made = diagnostics.error(entry.at, fmt::format("Unrecognized config variable: {}", entry.name));
      if (std::string hint = near(name); !hint.empty()) made.hints.push_back(std::move(hint));
    } else {
      diagnostics.error(entry.at, std::move(mistake));
    }
  }
  return config;
}

}  // namespace waggle::script
