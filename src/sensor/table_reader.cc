#include "sensor/table_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

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

TableReader::TableReader(Sensor &sensor)
    : sensor_(&sensor), known_(sensor.declaration().table->row_bytes, sensor.table_key_bytes()) {}

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
  known_.begin();
  std::vector<std::vector<std::byte>> idle_keys;
  std::vector<std::byte> change;
  for (size_t i = 0; i < now.rows(); i++) {
    Row row = now.row(i);
    auto [older, is_new] = known_.find(row);
    std::span<const std::byte> older_value{older + schema.key_bytes, schema.row_bytes - schema.key_bytes};
    // Most rows of a large table rest: they are told by their bytes, without a copy.
    bool rests = !is_new && memcmp(row.data() + schema.key_bytes, older_value.data(), older_value.size()) == 0;
    if (!rests) change.assign(row.begin(), row.end());
    bool changed = !rests && (is_new || subtract_row(schema, change, older_value));
    if (!changed) {
      if (nearly_full && !is_held) idle_keys.emplace_back(row.begin(), row.begin() + static_cast<ptrdiff_t>(key_bytes));
      continue;
    }
    std::span<std::byte> out = changes.add_owned(change.size());
    memcpy(out.data(), change.data(), change.size());
    memcpy(older, row.data(), row.size());
  }
  forget_idle(idle_keys);
  return {};
}

void TableReader::forget_idle(const std::vector<std::vector<std::byte>> &idle_keys) {
  sensor_->drop_rows(idle_keys);
  for (const std::vector<std::byte> &key : idle_keys) known_.erase(key);
}

void KnownRows::begin() {
  told_before_.swap(told_);
  told_.clear();
  next_ = 0;
}

KnownRows::Known KnownRows::visit(uint32_t number, bool is_new) {
  Slot &slot = slots_[number];
  if (!is_new) next_ = slot.place + 1;
  slot.place = told_.size();
  told_.push_back(number);
  return {slot.row.get(), is_new};
}

KnownRows::Known KnownRows::find(std::span<const std::byte> row) {
  CHECK(row.size() == row_bytes_);
  if (next_ < told_before_.size()) {
    uint32_t number = told_before_[next_];
    const std::byte *there = slots_[number].row.get();
    if (there != nullptr && memcmp(there, row.data(), key_bytes_) == 0) return visit(number, false);
  }
  std::string key(reinterpret_cast<const char *>(row.data()), key_bytes_);
  if (auto known = numbers_.find(key); known != numbers_.end()) return visit(known->second, false);
  auto number = static_cast<uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  slots_[number].row = std::make_unique<std::byte[]>(row_bytes_);
  memcpy(slots_[number].row.get(), row.data(), key_bytes_);
  numbers_.emplace(std::move(key), number);
  return visit(number, true);
}

void KnownRows::erase(std::span<const std::byte> key) {
  CHECK(key.size() == key_bytes_);
  auto known = numbers_.find(std::string(reinterpret_cast<const char *>(key.data()), key.size()));
  if (known == numbers_.end()) return;
  slots_[known->second].row.reset();
  free_.push_back(known->second);
  numbers_.erase(known);
}

}  // namespace waggle
