#include "sensor/table_reader.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace waggle {
namespace {

template <typename T>
bool subtract_number(std::byte *at, const std::byte *older) {
  T now, then;
  memcpy(&now, at, sizeof(T));
  memcpy(&then, older, sizeof(T));
  // Wraps like the kernel's own counter does.
  T change = static_cast<T>(now - then);
  memcpy(at, &change, sizeof(T));
  return change != 0;
}

bool subtract_histogram(std::byte *at, const std::byte *older) {
  Histogram now, then;
  memcpy(static_cast<void *>(&now), at, sizeof(now));
  memcpy(static_cast<void *>(&then), older, sizeof(then));
  bool changed = now.count != then.count;
  now.subtract(then);
  memcpy(at, &now, sizeof(now));
  return changed;
}

// Counters grow; names, flags and addresses kept in a value are states.
bool grows(const Column &column) {
  return !column.is_gauge && column.is_integer() && kind_info(column.kind).nature == Nature::kAmount;
}

}  // namespace

bool subtract_row(const Schema &schema, std::span<std::byte> row, std::span<const std::byte> older_value) {
  bool changed = false;
  for (const Column &column : schema.columns) {
    if (column.role != Role::kValue) continue;
    CHECK(column.offset + column.size <= row.size());
    std::byte *at = row.data() + column.offset;
    const std::byte *older = older_value.data() + (column.offset - schema.key_bytes);
    if (column.kind == Kind::kHistogram)
      changed |= subtract_histogram(at, older);
    else if (!grows(column))
      changed |= memcmp(at, older, column.size) != 0;
    else if (column.size == 8)
      changed |= subtract_number<uint64_t>(at, older);
    else
      changed |= subtract_number<uint32_t>(at, older);
  }
  return changed;
}

// Whether nothing was counted since the table was read. An event is counted before its
// row is written, so the table is read once more after the last one.
bool TableReader::rests() {
  Counts counts = sensor_->table_counts();
  bool same = counts.produced == counts_.produced && counts.delivered == counts_.delivered;
  counts_ = counts;
  bool was_quiet = is_quiet_;
  is_quiet_ = same;
  return same && was_quiet;
}

Result<void> TableReader::read_changes(Batch &changes) {
  const Schema &schema = *sensor_->declaration().table;
  // What a gauge holds rests for as long as it is held: a row of it is never done. It may
  // fall without an event.
  bool is_held =
      std::any_of(schema.columns.begin(), schema.columns.end(), [](const Column &column) { return column.is_gauge; });
  if (!is_held && rests()) return {};
  Batch now(schema);
  TRY(sensor_->read_table(now));
  size_t capacity = sensor_->table_capacity();
  bool nearly_full = now.rows() > capacity / 4 * 3;
  size_t key_bytes = sensor_->table_key_bytes();
  std::vector<std::vector<std::byte>> idle_keys;
  for (size_t i = 0; i < now.rows(); i++) {
    Row row = now.row(i);
    std::string key(reinterpret_cast<const char *>(row.data()), key_bytes);
    std::span<const std::byte> value = row.subspan(schema.key_bytes);
    auto known = last_.find(key);
    // Most rows of a large table rest: they are told by their bytes, without a copy.
    bool rests = known != last_.end() && memcmp(value.data(), known->second.data(), value.size()) == 0;
    std::vector<std::byte> change;
    if (!rests) change.assign(row.begin(), row.end());
    bool changed = !rests && (known == last_.end() || subtract_row(schema, change, known->second));
    if (!changed) {
      if (nearly_full && !is_held) idle_keys.emplace_back(row.begin(), row.begin() + static_cast<ptrdiff_t>(key_bytes));
      continue;
    }
    std::span<std::byte> out = changes.add_owned(change.size());
    memcpy(out.data(), change.data(), change.size());
    last_[key].assign(value.begin(), value.end());
  }
  forget_idle(idle_keys);
  return {};
}

void TableReader::forget_idle(const std::vector<std::vector<std::byte>> &idle_keys) {
  sensor_->drop_rows(idle_keys);
  for (const std::vector<std::byte> &key : idle_keys)
    last_.erase(std::string(reinterpret_cast<const char *>(key.data()), key.size()));
}

}  // namespace waggle
