#include "cli/top_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantity.h"

namespace waggle::top_text {

std::string duration_text(double ns) {
  std::string text;
  append_duration(text, static_cast<uint64_t>(std::max(0.0, ns)));
  return text;
}

std::string bytes_text(double bytes) {
  std::string text;
  append_bytes(text, static_cast<uint64_t>(std::llround(std::max(0.0, bytes))));
  return text;
}

std::string count_text(uint64_t count) {
  std::string text;
  append_count(text, count);
  return text;
}

std::string percent_text(double percent) {
  if (percent <= 0) return "0%";
  return percent < 9.95 ? fmt::format("{:.1f}%", std::max(percent, 0.1)) : fmt::format("{:.0f}%", percent);
}

std::string rate_text(double per_second) {
  if (per_second <= 0) return "0/s";
  if (per_second < 9.95) return fmt::format("{:.1f}/s", std::max(per_second, 0.1));
  return count_text(static_cast<uint64_t>(std::llround(per_second))) + "/s";
}

std::string bytes_rate_text(double per_second) {
  return bytes_text(per_second) + "/s";
}

std::string rate_text(const TopSnapshot &snapshot, const std::optional<uint64_t> &count) {
  return count && snapshot.sensor_seconds > 0 ? rate_text(snapshot.per_second(*count)) : std::string(kUnknown);
}

std::string quantile_text(const Histogram &histogram, double share) {
  return histogram.count == 0 ? std::string(kUnknown) : duration_text(histogram.quantile(share));
}

Facts &Facts::add(std::string_view label, std::string_view value, Style style) {
  size_t gap = any_ ? 2 : 0, blank = label.empty() || value.empty() ? 0 : 1;
  size_t needed = gap + columns_of(printable(label)) + blank + columns_of(printable(value));
  // The first is cut rather than left out: a label alone says nothing.
  if (full_ || (any_ && line_.columns() + needed > columns_)) {
    full_ = true;
    return *this;
  }
  line_.to(line_.columns() + gap);
  line_.put(label, Style::kDim);
  line_.to(line_.columns() + blank);
  line_.put(value, style);
  any_ = true;
  return *this;
}

Line note_line(const TopSnapshot &s) {
  using Is = TopSnapshot::SensorState::Is;
  uint64_t produced = 0, lost = 0;
  std::string losers, absent, why;
  bool starting = false;
  size_t absent_count = 0;
  for (const TopSnapshot::SensorState &sensor : s.sensors) {
    produced += sensor.produced;
    lost += sensor.lost;
    if (sensor.lost > 0) losers += (losers.empty() ? "" : ", ") + sensor.name;
    starting |= sensor.is == Is::kStarting;
    if (sensor.is != Is::kAbsent) continue;
    if (absent_count++ < 3) absent += (absent.empty() ? "" : ", ") + sensor.name;
    if (why.empty()) why = sensor.why;
  }
  Line line;
  if (s.sensors.empty()) return line.put("no sensors: only what /proc says, and '-' what it does not", Style::kDim);
  if (starting) return line.put("sensors are starting: what they will tell is '-'", Style::kDim);
  if (absent_count < s.sensors.size()) {
    line.put(fmt::format("{} events, ", count_text(produced)), Style::kDim);
    if (lost == 0)
      line.put("none lost", Style::kDim);
    else
      line.put(fmt::format("{} LOST ({})", count_text(lost), losers), Style::kSevere);
  }
  if (absent_count > 0) {
    if (!line.empty()) line.put("  ");
    if (absent_count > 3) absent += fmt::format(" and {} more", absent_count - 3);
    line.put(fmt::format("'-': no {}: {}", absent, why), Style::kWarning);
  } else if (!s.has_pressure) {
    line.put("  '-': this kernel keeps no pressure (CONFIG_PSI)", Style::kDim);
  } else {
    line.put("  * bytes of TCP connections when they end", Style::kDim);
  }
  return line;
}

}  // namespace waggle::top_text
