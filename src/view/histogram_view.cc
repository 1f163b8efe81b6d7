// Distributions of durations, or of sizes and numbers: as bars, one chart for each group, or as a heat
// map over time, one line an interval.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantity.h"
#include "base/text.h"
#include "view/aggregate.h"
#include "view/layout.h"
#include "view/view.h"

namespace waggle {
namespace {

std::string measured_text(const Measure &measure, uint64_t value) {
  std::string text;
  append_measured(text, measure, value);
  return text;
}

// Powers of two of a nanosecond as people say them: 1us is 2^10 ns here, as in
// every BCC histogram; the exact bound is what the unit's prefix stands for.
std::string slot_text(const Measure &measure, size_t slot) {
  static constexpr std::string_view kTimes[] = {"ns", "us", "ms", "s"}, kSizes[] = {"B", "KiB", "MiB", "GiB"};
  std::string_view unit = kind_info(measure.column->kind).unit;
  uint64_t bound = slot == 0 ? 0 : uint64_t{1} << slot;
  if (unit.empty()) return std::to_string(bound);
  size_t step = std::min<size_t>(slot / 10, 3);
  return fmt::format("{}{}", bound >> step * 10, (unit == "ns" ? kTimes : kSizes)[step]);
}

struct Span {
  size_t first = Histogram::kSlots, last = 0;
  bool empty() const { return first > last; }
  void cover(const Histogram &histogram) {
    for (size_t i = 0; i < Histogram::kSlots; i++) {
      if (histogram.slots[i] == 0) continue;
      first = std::min(first, i);
      last = std::max(last, i);
    }
  }
};

class HistogramView : public View {
 public:
  HistogramView(Aggregate aggregate, std::vector<size_t> distributions, const ViewOptions &options, Renderer &renderer,
                Output &output)
      : aggregate_(std::move(aggregate)),
        distributions_(std::move(distributions)),
        options_(options),
        renderer_(&renderer),
        output_(&output) {}

  void add(const Schema &, Row row) override { aggregate_.add(row, *renderer_); }

  void tick(bool) override {
    std::string &out = output_->text();
    if (intervals_ > 0) out += '\n';
    if (options_.timestamps) out += clock_text(renderer_->host().wall_now_ns()) + "\n";
    bool any = false;
    for (const Group *group : aggregate_.sorted_by(aggregate_.default_measure(), options_.top)) {
      for (size_t measure : distributions_) any |= print_chart(*group, measure);
    }
    if (!any) out += "no events\n";
    aggregate_.clear();
    intervals_++;
    output_->flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  bool print_chart(const Group &group, size_t measure) {
    const Histogram &histogram = group.distributions[aggregate_.slot(measure)];
    const Measure &kind = aggregate_.measures()[measure];
    Span span;
    span.cover(histogram);
    if (span.empty()) return false;
    std::string &out = output_->text();
    auto it = std::back_inserter(out);
    std::string title = kind.name;
    for (size_t i = 0; i < group.labels.size(); i++)
      title += fmt::format("  {}={}", aggregate_.by()[i].name, group.labels[i]);
    if (output_->colors()) out += ansi::kBold;
    out += title;
    if (output_->colors()) out += ansi::kReset;
    fmt::format_to(it, "\n  count {}  avg {}  p50 {}  p99 {}  max {}\n", histogram.count,
                   measured_text(kind, histogram.count == 0 ? 0 : histogram.sum / histogram.count),
                   measured_text(kind, static_cast<uint64_t>(histogram.quantile(0.5))),
                   measured_text(kind, static_cast<uint64_t>(histogram.quantile(0.99))),
                   measured_text(kind, histogram.most));
    uint64_t most = *std::max_element(histogram.slots, histogram.slots + Histogram::kSlots);
    for (size_t slot = span.first; slot <= span.last; slot++) {
      uint64_t count = histogram.slots[slot];
      auto bar = static_cast<size_t>(std::lround(static_cast<double>(count) * kBarCells / static_cast<double>(most)));
      if (count > 0 && bar == 0) bar = 1;
      fmt::format_to(it, "{:>8} .. {:<8} {:>10} |{:<{}}|\n", slot_text(kind, slot), slot_text(kind, slot + 1), count,
                     std::string(bar, '*'), kBarCells);
    }
    return true;
  }

  static constexpr size_t kBarCells = 40;
  Aggregate aggregate_;
  std::vector<size_t> distributions_;
  ViewOptions options_;
  Renderer *renderer_;
  Output *output_;
  uint64_t intervals_ = 0;
};

// Each interval is a line, each power of two a cell: the darker, the more events.
class HeatView : public View {
 public:
  HeatView(Aggregate aggregate, size_t measure, Renderer &renderer, Output &output)
      : aggregate_(std::move(aggregate)), measure_(measure), renderer_(&renderer), output_(&output) {}

  void add(const Schema &, Row row) override { aggregate_.add(row, *renderer_); }

  void tick(bool) override {
    Histogram all;
    for (const Group *group : aggregate_.sorted_by(measure_, 0))
      all.add(group->distributions[aggregate_.slot(measure_)]);
    aggregate_.clear();
    std::string &out = output_->text();
    if (intervals_ % kLinesPerHead == 0) print_head();
    out += clock_text(renderer_->host().wall_now_ns()) + " |";
    uint64_t most = *std::max_element(all.slots, all.slots + Histogram::kSlots);
    for (size_t slot = kFirst; slot <= kLast; slot++) {
      uint64_t count = all.slots[slot];
      if (slot == kFirst)
        for (size_t below = 0; below < kFirst; below++) count += all.slots[below];
      if (slot == kLast)
        for (size_t above = kLast + 1; above < Histogram::kSlots; above++) count += all.slots[above];
      size_t shade = 0;
      if (count > 0) {
        shade = 1 + static_cast<size_t>(static_cast<double>(count) * (kShades - 2) / static_cast<double>(most));
        shade = std::min(shade, kShades - 1);
      }
      out += kShade[shade];
      out += kShade[shade];
    }
    fmt::format_to(std::back_inserter(out), "| {:>7}  p99 {}\n", all.count,
                   measured_text(aggregate_.measures()[measure_], static_cast<uint64_t>(all.quantile(0.99))));
    intervals_++;
    output_->flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  void print_head() {
    std::string &out = output_->text();
    out += "          ";
    for (size_t slot = kFirst; slot <= kLast; slot += 4) {
      std::string label = slot_text(aggregate_.measures()[measure_], slot);
      out += label;
      out.append(8 - std::min<size_t>(8, label.size()), ' ');
    }
    out += "   count\n";
  }

  // 256 ns to 8 s: what lies beyond is counted in the outermost cells.
  static constexpr size_t kFirst = 8, kLast = 33, kLinesPerHead = 20, kShades = 5;
  static constexpr std::string_view kShade[kShades] = {" ", "░", "▒", "▓", "█"};
  Aggregate aggregate_;
  size_t measure_;
  Renderer *renderer_;
  Output *output_;
  uint64_t intervals_ = 0;
};

Result<Aggregate> group_distributions(const Schema &schema, const ViewOptions &options) {
  std::vector<Field> by;
  if (!options.by.empty()) by = TRY(parse_fields(schema, options.by, {}));
  return Aggregate(schema, std::move(by), options.of);
}

// The measures to show: that of --of, else all that are distributions.
Result<std::vector<size_t>> distributions_of(const Aggregate &aggregate, const Schema &schema,
                                             const ViewOptions &options, const char *view) {
  std::vector<size_t> found;
  for (size_t i = 0; i < aggregate.measures().size(); i++) {
    const Measure &measure = aggregate.measures()[i];
    if (measure.is_distribution() && (options.of.empty() || measure.name == options.of)) found.push_back(i);
  }
  if (!found.empty()) return found;
  std::string fix = fmt::format("waggle list columns {}      shows what it has", schema.name);
  if (!options.of.empty())
    return fail(ErrorCode::kMisuse,
                fmt::format("sensor '{}' has no '{}' to show as a {}", schema.name, options.of, view),
                "it must be a number, and not what is grouped by", fix);
  return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no durations to show as a {}", schema.name, view), {},
              fix);
}

}  // namespace

Result<std::unique_ptr<View>> make_histogram_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                                  Output &output) {
  // Machines get the numbers of the same groups; bars are for people.
  if (options.format != Format::kPeople) return make_top_view(schema, options, renderer, output);
  Aggregate aggregate = TRY(group_distributions(schema, options));
  std::vector<size_t> distributions = TRY(distributions_of(aggregate, schema, options, "histogram"));
  return std::make_unique<HistogramView>(std::move(aggregate), std::move(distributions), options, renderer, output);
}

Result<std::unique_ptr<View>> make_heat_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                             Output &output) {
  if (options.format != Format::kPeople) return make_top_view(schema, options, renderer, output);
  ViewOptions ungrouped = options;
  ungrouped.by.clear();
  Aggregate aggregate = TRY(group_distributions(schema, ungrouped));
  size_t measure = TRY(distributions_of(aggregate, schema, options, "heat map")).front();
  return std::make_unique<HeatView>(std::move(aggregate), measure, renderer, output);
}

}  // namespace waggle
