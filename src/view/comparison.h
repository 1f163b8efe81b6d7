// Two states of the same table, before and after: what `waggle diff` tells. A
// Sample is read back from the lines that the top and histogram views print as
// JSON, or aggregated from a recording; compare() says what differs, and by how
// much more than chance would make it.
// Threads: any; these are values.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/batch.h"

namespace waggle {

class Aggregate;

// What is known of a column by its name. JSON says neither what a number means nor
// whether it groups.
struct ColumnMeaning {
  Kind kind = Kind::kNumber;
  bool is_gauge = false;
};
using MeaningOf = std::function<std::optional<ColumnMeaning>(std::string_view)>;

struct SampleGroup {
  std::vector<std::string> labels;       // JSON values, one for each of Sample::by
  std::vector<uint64_t> sums;            // one for each of Sample::sums
  std::vector<Histogram> distributions;  // one for each of Sample::distributions
};

struct Sample {
  std::vector<std::string> by, sums, distributions;  // names
  std::map<std::string, SampleGroup> groups;         // by labels, joined

  // The group of these labels, made when missing.
  SampleGroup &group(std::vector<std::string> labels);
};

// Lines of JSON as the top view prints them; intervals are added up, gauges are
// the last one's. Lines of the slowest events are passed over.
//   errors  Invalid  a line that is not of such a table, with its number; lines
//                    that differ in their columns
Result<Sample> parse_sample(std::string_view lines, const MeaningOf &meaning_of);

// The same of what an Aggregate holds.
Sample sample_of(const Aggregate &aggregate);

struct Change {
  const SampleGroup *before = nullptr, *after = nullptr;  // null: there is no such group
  // How far apart they are, in standard deviations of what chance does: below 3 it
  // may be chance. The largest of its measures'.
  double score = 0;
  const std::vector<std::string> &labels() const { return before != nullptr ? before->labels : after->labels; }
};

// Every group of either, the most significant change first. Points into both.
//   errors  Invalid  they are not grouped alike, or measure different things
Result<std::vector<Change>> compare(const Sample &before, const Sample &after);

}  // namespace waggle
