// Rows grouped by some columns and added up: what `--by` and every table view
// show. Works on streams and tables alike, because it goes by what a column
// means: amounts are summed, durations become distributions, histograms merge.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "enrich/field.h"
#include "enrich/render.h"
#include "schema/batch.h"

namespace waggle {

// One thing measured for each group.
struct Measure {
  std::string name;
  const Column *column = nullptr;  // null: the number of rows
  bool is_spread = false;          // an amount whose distribution is wanted rather than its sum
  bool is_distribution() const;
  bool is_gauge() const { return column != nullptr && column->is_gauge && !is_distribution(); }
};

struct Group {
  std::vector<std::string> labels;       // as text, one for each field grouped by
  std::vector<std::string> json_labels;  // the same as JSON values
  std::vector<std::string> csv_labels;   // the same as CSV has them, not yet quoted
  std::vector<uint64_t> sums;            // one for each measure that adds up
  std::vector<Histogram> distributions;  // one for each that does not
};

// Threads: one at a time.
class Aggregate {
 public:
  // Groups by `by`; measures every other column that can be measured, and counts
  // rows where the schema has no count of its own.
  //   of  a column of a stream whose distribution is wanted, whatever it means
  Aggregate(const Schema &schema, std::vector<Field> by, std::string_view of = {});

  void add(Row row, Renderer &renderer);
  // For the next interval. What gauges of a table hold stays until their row says otherwise.
  void clear();

  const std::vector<Field> &by() const { return by_; }
  const std::vector<Measure> &measures() const { return measures_; }
  size_t groups() const { return groups_.size(); }

  // The index among sums or distributions of a measure.
  size_t slot(size_t measure) const { return slots_[measure]; }

  // Groups by falling value of a measure (a distribution by its sum); all of them when `most` is 0.
  std::vector<const Group *> sorted_by(size_t measure, size_t most) const;
  // The measure of a name, or the one people look for first: bytes, else count.
  std::optional<size_t> find_measure(std::string_view name) const;
  size_t default_measure() const;

  uint64_t sort_value(const Group &group, size_t measure) const;

 private:
  std::vector<Field> by_;
  std::vector<Measure> measures_;
  std::vector<size_t> slots_;
  size_t sums_ = 0, distributions_ = 0;
  // What the gauges of a table's row were last, and in which group that is: rows
  // that do not change are not told again.
  struct Held {
    std::string group;
    std::vector<uint64_t> values;  // one for each measure, 0 where it is no gauge
  };
  void hold(Row row, const std::string &group_key);

  size_t key_bytes_;
  bool has_gauges_ = false;
  std::unordered_map<std::string, Held> held_;  // by the key of the table's row
  const Column *counts_from_ = nullptr;         // a histogram that counts the rows of a table
  std::unordered_map<std::string, Group> groups_;
};

// A value of a distribution, in the unit of its column.
void append_measured(std::string &out, const Measure &measure, uint64_t value);

}  // namespace waggle
