// The words of attach points: providers, units, numbers. For parsing and writing them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "script/probes/attach_point.h"

namespace waggle::script {

struct ProviderRow {
  Provider provider;
  std::string_view name;
  std::string_view aliases[2];  // exactly as they are written
};
constexpr std::array<ProviderRow, kProviders> kProviderRows = {{
    {Provider::kBegin, "begin", {}},
    {Provider::kEnd, "end", {}},
    {Provider::kSelf, "self", {}},
    {Provider::kBench, "bench", {}},
    {Provider::kTest, "test", {}},
    {Provider::kKprobe, "kprobe", {"k"}},
    {Provider::kKretprobe, "kretprobe", {"kr"}},
    {Provider::kFentry, "fentry", {"f", "kfunc"}},
    {Provider::kFexit, "fexit", {"fr", "kretfunc"}},
    {Provider::kTracepoint, "tracepoint", {"t"}},
    {Provider::kRawTracepoint, "rawtracepoint", {"rt"}},
    {Provider::kUprobe, "uprobe", {"u"}},
    {Provider::kUretprobe, "uretprobe", {"ur"}},
    {Provider::kUsdt, "usdt", {"U"}},
    {Provider::kProfile, "profile", {"p"}},
    {Provider::kInterval, "interval", {"i"}},
    {Provider::kSoftware, "software", {"s"}},
    {Provider::kHardware, "hardware", {"h"}},
    {Provider::kWatchpoint, "watchpoint", {"w"}},
    {Provider::kAsyncWatchpoint, "asyncwatchpoint", {"aw"}},
    {Provider::kIterator, "iter", {"it"}},
}};

struct RateUnitRow {
  std::string_view name;
  RateUnit unit;
  uint64_t ns;  // 0: a frequency
};
// "hz", "us", "ms", "s"; null: no unit.
const RateUnitRow *find_rate_unit(std::string_view name);
std::string_view rate_unit_name(RateUnit unit);

// By its name in any case, or exactly by an alias: "U" and "u" differ.
std::optional<Provider> find_provider(std::string_view word);

std::string lower_case(std::string_view text);

// "16", "0x10", "1_000", "1e6".
std::optional<uint64_t> parse_attach_number(std::string_view text);

}  // namespace waggle::script
