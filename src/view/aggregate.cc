#include "view/aggregate.h"

#include <algorithm>
#include <iterator>

#include "base/quantity.h"

namespace waggle {

bool Measure::is_distribution() const {
  return column != nullptr &&
         (is_spread || column->kind == Kind::kHistogram || kind_info(column->kind).nature == Nature::kExtent);
}

void append_measured(std::string &out, const Measure &measure, uint64_t value) {
  std::string_view unit = kind_info(measure.column->kind).unit;
  if (unit == "ns")
    append_duration(out, value);
  else if (unit == "bytes")
    append_bytes(out, value);
  else
    append_count(out, value);
}

Aggregate::Aggregate(const Schema &schema, std::vector<Field> by, std::string_view of)
    : by_(std::move(by)), key_bytes_(schema.key_bytes) {
  auto grouped = [&](const Column &column) {
    return std::any_of(by_.begin(), by_.end(), [&](const Field &field) { return field.column == &column; });
  };
  // Calls that failed are some of the calls: how many there were is another number.
  bool counted = std::any_of(schema.columns.begin(), schema.columns.end(), [](const Column &column) {
    return column.role == Role::kValue && column.kind == Kind::kCount && column.name != "errors";
  });
  if (!counted) {
    const Column *histogram = schema.shape == Shape::kTable ? schema.first_of(Kind::kHistogram) : nullptr;
    measures_.push_back({"count", histogram, false});
  }
  for (const Column &column : schema.columns) {
    if (grouped(column) || column.role == Role::kKey) continue;
    if (column.role == Role::kField && column.is_integer() && column.name == of) {
      measures_.push_back({column.name, &column, true});
      continue;
    }
    Nature nature = kind_info(column.kind).nature;
    if (nature == Nature::kAmount || nature == Nature::kExtent || column.kind == Kind::kHistogram)
      measures_.push_back({column.name, &column, false});
  }
  for (size_t i = 0; i < measures_.size(); i++) {
    bool is_count = i == 0 && !counted;
    slots_.push_back(!is_count && measures_[i].is_distribution() ? distributions_++ : sums_++);
  }
  has_gauges_ = schema.shape == Shape::kTable &&
                std::any_of(measures_.begin(), measures_.end(), [](const Measure &each) { return each.is_gauge(); });
  // A histogram counts its own rows; the measure "count" then reads its count.
  if (!counted && measures_[0].column != nullptr) counts_from_ = measures_[0].column;
  if (!counted) measures_[0].column = nullptr;
}

void Aggregate::add(Row row, Renderer &renderer) {
  std::string key;
  for (const Field &field : by_) {
    renderer.append_key(key, field, row);
    key += '\0';
  }
  auto [it, is_new] = groups_.try_emplace(key);
  Group &group = it->second;
  if (is_new) {
    for (const Field &field : by_) {
      renderer.append_text(group.labels.emplace_back(), field, row);
      renderer.append_json(group.json_labels.emplace_back(), field, row);
      renderer.append_csv_value(group.csv_labels.emplace_back(), field, row);
    }
    group.sums.resize(sums_);
    group.distributions.resize(distributions_);
  }
  for (size_t i = 0; i < measures_.size(); i++) {
    const Measure &measure = measures_[i];
    if (measure.column == nullptr)
      group.sums[slots_[i]] += counts_from_ != nullptr ? histogram(*counts_from_, row).count : 1;
    else if (measure.column->kind == Kind::kHistogram)
      group.distributions[slots_[i]].add(histogram(*measure.column, row));
    else if (measure.is_distribution())
      group.distributions[slots_[i]].observe(natural(*measure.column, row));
    else if (!has_gauges_ || !measure.is_gauge())
      group.sums[slots_[i]] += natural(*measure.column, row);
  }
  if (has_gauges_) hold(row, key);
}

void Aggregate::hold(Row row, const std::string &group_key) {
  std::string row_key(reinterpret_cast<const char *>(row.data()), std::min<size_t>(key_bytes_, row.size()));
  auto [it, is_new] = held_.try_emplace(std::move(row_key), Held{group_key, std::vector<uint64_t>(measures_.size())});
  Held &held = it->second;
  // What a key leads to may have changed since, and the row's group with it.
  auto before = groups_.find(held.group);
  Group &group = groups_.at(group_key);
  bool any = false;
  for (size_t i = 0; i < measures_.size(); i++) {
    if (!measures_[i].is_gauge()) continue;
    if (before != groups_.end()) before->second.sums[slots_[i]] -= held.values[i];
    held.values[i] = natural(*measures_[i].column, row);
    group.sums[slots_[i]] += held.values[i];
    any |= held.values[i] != 0;
  }
  held.group = group_key;
  if (!any) held_.erase(it);
}

void Aggregate::clear() {
  if (!has_gauges_) return groups_.clear();
  for (auto it = groups_.begin(); it != groups_.end();) {
    Group &group = it->second;
    group.distributions.assign(distributions_, {});
    bool holds = false;
    for (size_t i = 0; i < measures_.size(); i++) {
      if (measures_[i].is_gauge())
        holds |= group.sums[slots_[i]] != 0;
      else if (!measures_[i].is_distribution())
        group.sums[slots_[i]] = 0;
    }
    it = holds ? std::next(it) : groups_.erase(it);
  }
}

uint64_t Aggregate::sort_value(const Group &group, size_t measure) const {
  size_t slot = slots_[measure];
  return measures_[measure].is_distribution() ? group.distributions[slot].sum : group.sums[slot];
}

std::vector<const Group *> Aggregate::sorted_by(size_t measure, size_t most) const {
  std::vector<const Group *> sorted;
  sorted.reserve(groups_.size());
  for (const auto &[key, group] : groups_) sorted.push_back(&group);
  size_t wanted = most == 0 ? sorted.size() : std::min(most, sorted.size());
  std::partial_sort(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(wanted), sorted.end(),
                    [&](const Group *a, const Group *b) {
                      uint64_t left = sort_value(*a, measure), right = sort_value(*b, measure);
                      return left != right ? left > right : a->labels < b->labels;
                    });
  sorted.resize(wanted);
  return sorted;
}

std::optional<size_t> Aggregate::find_measure(std::string_view name) const {
  for (size_t i = 0; i < measures_.size(); i++)
    if (measures_[i].name == name) return i;
  return std::nullopt;
}

size_t Aggregate::default_measure() const {
  for (size_t i = 0; i < measures_.size(); i++)
    if (measures_[i].column != nullptr && measures_[i].column->kind == Kind::kBytes) return i;
  return 0;
}

}  // namespace waggle
