#include "script/output/tseries.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <vector>

#include "base/check.h"
#include "script/output/aggregate.h"
#include "script/output/time_text.h"

namespace waggle::script {
namespace {

constexpr size_t kGraphWidth = 53;  // with the two lines at its sides

// How times are written: what follows the seconds, and its name in the head.
struct Precision {
  uint64_t unit_ns;
  int digits;
  std::string_view head;
};

constexpr Precision kPrecisions[] = {
    {1'000'000'000, 0, "hh:mm:ss"},
    {1'000'000, 3, "hh:mm:ss.ms"},
    {1'000, 6, "hh:mm:ss.us"},
    {1, 9, "hh:mm:ss.ns"},
};

const Precision &precision_of(uint64_t interval_ns) {
  for (const Precision &each : kPrecisions)
    if (interval_ns % each.unit_ns == 0) return each;
  return kPrecisions[0];
}

std::string time_of(uint64_t start_ns, const Precision &precision, Resolver &resolver) {
  int64_t wall_ns = resolver.wall_ns(Clock::kBoot, start_ns);
  std::string text;
  append_time(text, "%H:%M:%S", wall_ns);
  if (precision.digits == 0) return text;
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t nanoseconds = (wall_ns % kSecond + kSecond) % kSecond;
  return text + fmt::format(".{:0{}}", nanoseconds / static_cast<int64_t>(precision.unit_ns), precision.digits);
}

struct Row {
  std::string time;
  std::optional<uint64_t> value;
};

struct Series {
  std::vector<Row> rows;
  std::string_view head;
  bool is_signed = false;

  std::string text_of(uint64_t value) const {
    return is_signed ? std::to_string(static_cast<int64_t>(value)) : std::to_string(value);
  }
  double number_of(uint64_t value) const {
    return is_signed ? static_cast<double>(static_cast<int64_t>(value)) : static_cast<double>(value);
  }
};

Series series_of(const Type &type, std::span<const std::byte> value, Resolver &resolver, uint32_t div) {
  uint64_t interval_ns = type.parameters().interval_ns;
  CHECK(interval_ns > 0);
  const Precision &precision = precision_of(interval_ns);
  Series series;
  series.head = precision.head;
  series.is_signed = type.is_signed();
  div = std::max(div, 1u);
  for (const Interval &each : intervals_of(type, value)) {
    Row row{time_of(each.epoch * interval_ns, precision, resolver), each.value};
    if (row.value)
      row.value = series.is_signed ? static_cast<uint64_t>(static_cast<int64_t>(*row.value) / div) : *row.value / div;
    series.rows.push_back(std::move(row));
  }
  return series;
}

// The least and the greatest value. REQUIRES: there is one
std::pair<uint64_t, uint64_t> range_of(const Series &series) {
  std::optional<uint64_t> least, most;
  for (const Row &row : series.rows) {
    if (!row.value) continue;
    if (!least || series.number_of(*row.value) < series.number_of(*least)) least = row.value;
    if (!most || series.number_of(*row.value) > series.number_of(*most)) most = row.value;
  }
  CHECK(least && most);
  return {*least, *most};
}

}  // namespace

void append_tseries_text(std::string &out, const Type &type, std::span<const std::byte> value, Resolver &resolver,
                         uint32_t div) {
  Series series = series_of(type, value, resolver, div);
  if (series.rows.empty()) return;
  auto [least, most] = range_of(series);
  std::string low = series.text_of(least), high = series.text_of(most);
  // Both under the line that they are of, the greater to the right of the less.
  std::string scale = low;
  scale.resize(std::max(kGraphWidth - 1, low.size() + 1), ' ');
  scale += high;
  size_t label = std::max(series.rows[0].time.size(), series.head.size());
  std::string line(kGraphWidth - 2, '_');
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{:{}} {}\n", "", label, scale);
  fmt::format_to(to, "{:<{}} |{}|\n", series.head, label, line);
  double range = series.number_of(most) - series.number_of(least);
  for (const Row &row : series.rows) {
    std::string graph(kGraphWidth, ' ');
    graph.front() = graph.back() = '|';
    if (row.value) {
      double part = range > 0 ? (series.number_of(*row.value) - series.number_of(least)) / range : 0;
      auto at = static_cast<size_t>(std::lround(part * static_cast<double>(kGraphWidth - 1)));
      graph[std::min(at, kGraphWidth - 1)] = '*';
    }
    fmt::format_to(to, "{:<{}} {} {}\n", row.time, label, graph, row.value ? series.text_of(*row.value) : "-");
  }
  fmt::format_to(to, "{:{}} v{}v\n", "", label, line);
  fmt::format_to(to, "{:{}} {}\n", "", label, scale);
}

void append_tseries_json(std::string &out, const Type &type, std::span<const std::byte> value, Resolver &resolver,
                         uint32_t div) {
  Series series = series_of(type, value, resolver, div);
  out += '[';
  for (const Row &row : series.rows) {
    if (out.back() != '[') out += ", ";
    fmt::format_to(std::back_inserter(out), "{{\"interval_start\": \"{}\", \"value\": {}}}", row.time,
                   row.value ? series.text_of(*row.value) : "null");
  }
  out += ']';
}

}  // namespace waggle::script
