#include "view/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "base/text.h"
#include "view/aggregate.h"

namespace waggle {
namespace {

// In the order of the line: groups are told by it.
using Json = nlohmann::ordered_json;

std::string joined(const std::vector<std::string> &names) {
  std::string all;
  for (const std::string &name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "nothing" : all;
}

// "latency_p99" is a part of the distribution that has "latency_slots".
bool is_part_of_distribution(const Json &line, const std::string &name) {
  for (std::string_view suffix : {"_avg", "_p50", "_p99", "_max", "_slots"}) {
    if (!name.ends_with(suffix)) continue;
    if (line.contains(name.substr(0, name.size() - suffix.size()) + "_slots")) return true;
  }
  return false;
}

// The columns of a line, by what each is.
//   errors  Invalid  it is a row of a stream, not of a table
Result<Sample> shape_of(const Json &line, const MeaningOf &meaning_of) {
  Sample shape;
  for (const auto &[name, value] : line.items()) {
    if (name == "when") continue;
    if (is_part_of_distribution(line, name)) {
      if (name.ends_with("_slots")) shape.distributions.push_back(name.substr(0, name.size() - strlen("_slots")));
      continue;
    }
    std::optional<ColumnMeaning> meaning = meaning_of(name);
    Nature nature = meaning ? kind_info(meaning->kind).nature : Nature::kOther;
    if (value.is_number() && nature == Nature::kExtent)
      return fail(ErrorCode::kInvalid, {}, fmt::format("'{}' is a single duration: this is a row, not a group", name),
                  "compare what --by, --view top or --view histogram prints with --json");
    bool is_label = !value.is_number() || (meaning && nature == Nature::kIdentity);
    (is_label ? shape.by : shape.sums).push_back(name);
  }
  if (shape.sums.empty() && shape.distributions.empty())
    return fail(ErrorCode::kInvalid, {}, "it measures nothing",
                "compare what --by, --view top or --view histogram prints with --json");
  return shape;
}

uint64_t natural_of(const Json &line, const std::string &name) {
  auto found = line.find(name);
  if (found == line.end() || !found->is_number()) return 0;
  if (found->is_number_unsigned()) return found->get<uint64_t>();
  double value = found->get<double>();
  return value > 0 && value < 1e19 ? static_cast<uint64_t>(value) : 0;
}

Result<Histogram> distribution_of(const Json &line, const std::string &name) {
  Histogram histogram;
  const Json &slots = line[name + "_slots"];
  if (!slots.is_object()) return fail(ErrorCode::kInvalid, {}, fmt::format("'{}_slots' is no object", name));
  for (const auto &[bound, count] : slots.items()) {
    int64_t low = TRY(parse_integer(bound));
    size_t slot = low <= 1 ? 0 : static_cast<size_t>(std::bit_width(static_cast<uint64_t>(low)) - 1);
    if (low < 0 || slot >= Histogram::kSlots || !count.is_number_unsigned())
      return fail(ErrorCode::kInvalid, {}, fmt::format("'{}_slots' has no slot '{}'", name, bound));
    histogram.slots[slot] += count.get<uint64_t>();
    histogram.count += count.get<uint64_t>();
  }
  // The mean is printed in whole nanoseconds.
  histogram.sum = natural_of(line, name + "_avg") * histogram.count;
  histogram.most = natural_of(line, name + "_max");
  return histogram;
}

Result<void> add_line(Sample &sample, const Json &line, const MeaningOf &meaning_of) {
  Sample shape = TRY(shape_of(line, meaning_of));
  if (sample.sums.empty() && sample.distributions.empty()) {
    sample.by = shape.by;
    sample.sums = shape.sums;
    sample.distributions = shape.distributions;
  }
  if (shape.by != sample.by || shape.sums != sample.sums || shape.distributions != sample.distributions)
    return fail(ErrorCode::kInvalid, {}, "its columns are not those of the lines before it");
  std::vector<std::string> labels;
  for (const std::string &name : sample.by) labels.push_back(line[name].dump(-1, ' ', true));
  SampleGroup &group = sample.group(std::move(labels));
  for (size_t i = 0; i < sample.sums.size(); i++) {
    std::optional<ColumnMeaning> meaning = meaning_of(sample.sums[i]);
    uint64_t value = natural_of(line, sample.sums[i]);
    group.sums[i] = meaning && meaning->is_gauge ? value : group.sums[i] + value;
  }
  for (size_t i = 0; i < sample.distributions.size(); i++)
    group.distributions[i].add(TRY(distribution_of(line, sample.distributions[i])));
  return {};
}

// How many events stand behind a group's sums.
uint64_t events_of(const Sample &sample, const SampleGroup &group) {
  uint64_t events = 0;
  for (const Histogram &histogram : group.distributions) events = std::max(events, histogram.count);
  for (size_t i = 0; i < sample.sums.size(); i++)
    if (sample.sums[i] == "count") events = std::max(events, group.sums[i]);
  if (events == 0)
    for (uint64_t sum : group.sums) events = std::max(events, sum);
  return events;
}

// Counts of independent events differ by chance by the root of their sum.
double score_of_counts(uint64_t before, uint64_t after) {
  if (before + after == 0) return 0;
  return std::abs(static_cast<double>(after) - static_cast<double>(before)) /
         std::sqrt(static_cast<double>(before) + static_cast<double>(after));
}

// Bytes and the like: the relative difference, weighed by the events behind it.
double score_of_amounts(uint64_t before, uint64_t after, uint64_t events) {
  if (before + after == 0) return 0;
  double left = static_cast<double>(before), right = static_cast<double>(after);
  return std::abs(right - left) / (left + right) * std::sqrt(static_cast<double>(events));
}

// Kolmogorov and Smirnov: the largest distance between the two cumulative shares.
double score_of_shapes(const Histogram &before, const Histogram &after) {
  if (before.count == 0 || after.count == 0) return 0;
  auto left_all = static_cast<double>(before.count), right_all = static_cast<double>(after.count);
  double left = 0, right = 0, most = 0;
  for (size_t i = 0; i < Histogram::kSlots; i++) {
    left += static_cast<double>(before.slots[i]) / left_all;
    right += static_cast<double>(after.slots[i]) / right_all;
    most = std::max(most, std::abs(left - right));
  }
  return most * std::sqrt(left_all * right_all / (left_all + right_all));
}

double score_of(const Sample &sample, const SampleGroup &before, const SampleGroup &after) {
  uint64_t events = events_of(sample, before) + events_of(sample, after);
  double score = 0;
  for (size_t i = 0; i < sample.sums.size(); i++)
    score = std::max(score, score_of_amounts(before.sums[i], after.sums[i], events));
  for (size_t i = 0; i < sample.distributions.size(); i++) {
    const Histogram &left = before.distributions[i], &right = after.distributions[i];
    score = std::max({score, score_of_counts(left.count, right.count), score_of_shapes(left, right)});
  }
  return score;
}

bool measures_nothing(const Sample &sample) {
  return sample.sums.empty() && sample.distributions.empty();
}

}  // namespace

SampleGroup &Sample::group(std::vector<std::string> labels) {
  std::string key;
  for (const std::string &label : labels) key += label + '\n';
  auto [it, is_new] = groups.try_emplace(std::move(key));
  if (is_new) {
    it->second.labels = std::move(labels);
    it->second.sums.resize(sums.size());
    it->second.distributions.resize(distributions.size());
  }
  return it->second;
}

Result<Sample> parse_sample(std::string_view lines, const MeaningOf &meaning_of) {
  Sample sample;
  size_t number = 0;
  for (std::string_view text : split(lines, '\n')) {
    number++;
    if (trim(text).empty()) continue;
    // \udcXX stands for a byte that is not UTF-8; the parser refuses it, and any
    // other code point serves to compare.
    std::string mended(text);
    for (size_t at = 0; (at = mended.find("\\udc", at)) != std::string::npos; at += 4) mended.replace(at, 4, "\\uf7");
    Json line = Json::parse(mended, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object())
      return fail(ErrorCode::kInvalid, fmt::format("line {} is not a JSON object", number), {},
                  "compare what --by, --view top or --view histogram prints with --json");
    if (line.contains("slowest")) continue;
    if (Result<void> added = add_line(sample, line, meaning_of); !added) {
      added.error().what = fmt::format("line {} is not of a table", number);
      return tl::unexpected(std::move(added).error());
    }
  }
  return sample;
}

Sample sample_of(const Aggregate &aggregate) {
  Sample sample;
  for (const Field &field : aggregate.by()) sample.by.push_back(field.name);
  const std::vector<Measure> &measures = aggregate.measures();
  for (const Measure &measure : measures)
    (measure.is_distribution() ? sample.distributions : sample.sums).push_back(measure.name);
  for (const Group *from : aggregate.sorted_by(0, 0)) {
    SampleGroup &to = sample.group(from->json_labels);
    size_t sum = 0, distribution = 0;
    for (size_t i = 0; i < measures.size(); i++) {
      if (measures[i].is_distribution())
        to.distributions[distribution++] = from->distributions[aggregate.slot(i)];
      else
        to.sums[sum++] = from->sums[aggregate.slot(i)];
    }
  }
  return sample;
}

Result<std::vector<Change>> compare(const Sample &before, const Sample &after) {
  bool both = !measures_nothing(before) && !measures_nothing(after);
  if (both && before.by != after.by)
    return fail(ErrorCode::kInvalid, "the two are not grouped alike",
                fmt::format("the first is by {}, the second by {}", joined(before.by), joined(after.by)),
                "take both with the same sensor and the same --by");
  if (both && (before.sums != after.sums || before.distributions != after.distributions))
    return fail(
        ErrorCode::kInvalid, "the two do not measure the same",
        fmt::format("the first has {} and distributions of {}, the second {} and distributions of {}",
                    joined(before.sums), joined(before.distributions), joined(after.sums), joined(after.distributions)),
        "take both with the same sensor");
  const Sample &shape = measures_nothing(before) ? after : before;
  SampleGroup nothing;
  nothing.sums.resize(shape.sums.size());
  nothing.distributions.resize(shape.distributions.size());
  std::vector<Change> changes;
  for (const auto &[key, group] : before.groups) {
    auto found = after.groups.find(key);
    const SampleGroup *other = found == after.groups.end() ? nullptr : &found->second;
    changes.push_back({&group, other, score_of(shape, group, other == nullptr ? nothing : *other)});
  }
  for (const auto &[key, group] : after.groups)
    if (!before.groups.contains(key)) changes.push_back({nullptr, &group, score_of(shape, nothing, group)});
  std::stable_sort(changes.begin(), changes.end(), [](const Change &a, const Change &b) { return a.score > b.score; });
  return changes;
}

}  // namespace waggle
