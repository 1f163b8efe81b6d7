#include "schema/batch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace waggle {
namespace {

template <typename T>
T load(const std::byte *at) {
  T value;
  memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

int64_t integer(const Column &column, Row row) {
  if (column.offset + column.size > row.size()) return 0;
  const std::byte *at = row.data() + column.offset;
  switch (column.size) {
    case 1:
      return column.is_signed ? load<int8_t>(at) : int64_t{load<uint8_t>(at)};
    case 2:
      return column.is_signed ? load<int16_t>(at) : int64_t{load<uint16_t>(at)};
    case 4:
      return column.is_signed ? load<int32_t>(at) : int64_t{load<uint32_t>(at)};
    default:
      CHECK(column.size == 8);
      return load<int64_t>(at);
  }
}

std::string_view text(const Column &column, Row row) {
  if (column.offset >= row.size()) return {};
  auto *at = reinterpret_cast<const char *>(row.data()) + column.offset;
  size_t room = std::min<size_t>(column.size, row.size() - column.offset);
  if (column.kind == Kind::kArgv) return {at, room};
  return {at, strnlen(at, room)};
}

std::span<const uint8_t, 16> ip(const Column &column, Row row) {
  static constexpr uint8_t kNone[16] = {};
  if (column.offset + 16 > row.size()) return std::span<const uint8_t, 16>(kNone);
  return std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t *>(row.data()) + column.offset, 16);
}

Stack stack(const Column &column, Row row) {
  Stack stack;
  if (column.offset + 8 > row.size()) return stack;
  const std::byte *at = row.data() + column.offset;
  size_t there = (row.size() - column.offset - 8) / 8;
  size_t kernel = std::min<size_t>(load<uint32_t>(at), there);
  size_t user = std::min<size_t>(load<uint32_t>(at + 4), there - kernel);
  const std::byte *frames = at + 8;
  for (size_t i = 0; i < kernel + user; i++)
    (i < kernel ? stack.kernel : stack.user).push_back(load<uint64_t>(frames + i * 8));
  return stack;
}

std::array<uint64_t, 6> arguments(const Column &column, Row row) {
  std::array<uint64_t, 6> registers = {};
  if (column.offset + sizeof(registers) <= row.size())
    memcpy(registers.data(), row.data() + column.offset, sizeof(registers));
  return registers;
}

void Histogram::observe(uint64_t value) {
  size_t slot = value == 0 ? 0 : std::bit_width(value) - 1;
  slots[std::min(slot, kSlots - 1)]++;
  count++;
  sum += value;
  most = std::max(most, value);
}

void Histogram::add(const Histogram &other) {
  count += other.count;
  sum += other.sum;
  most = std::max(most, other.most);
  for (size_t i = 0; i < kSlots; i++) slots[i] += other.slots[i];
}

void Histogram::subtract(const Histogram &older) {
  bool grew = most > older.most;
  count -= std::min(count, older.count);
  sum -= std::min(sum, older.sum);
  for (size_t i = 0; i < kSlots; i++) slots[i] -= std::min(slots[i], older.slots[i]);
  if (grew) return;
  size_t used = kSlots;
  while (used > 0 && slots[used - 1] == 0) used--;
  // The last slot has no end.
  if (used < kSlots) most = std::min(most, used == 0 ? 0 : (uint64_t{1} << used) - 1);
}

double Histogram::quantile(double share) const {
  uint64_t total = 0;
  for (uint64_t slot : slots) total += slot;
  if (total == 0) return 0;
  double wanted = share * static_cast<double>(total), seen = 0;
  for (size_t i = 0; i < kSlots; i++) {
    auto here = static_cast<double>(slots[i]);
    if (here > 0 && seen + here >= wanted) {
      double low = i == 0 ? 0 : std::ldexp(1.0, static_cast<int>(i));
      double high = std::ldexp(1.0, static_cast<int>(i) + 1);
      double value = low + (high - low) * (wanted - seen) / here;
      return most > 0 ? std::min(value, static_cast<double>(most)) : value;
    }
    seen += here;
  }
  return static_cast<double>(most);
}

Histogram histogram(const Column &column, Row row) {
  Histogram histogram;
  static_assert(sizeof(Histogram) == 8 * (3 + Histogram::kSlots));  // wg_latency_histogram
  if (column.offset + sizeof(histogram) <= row.size())
    memcpy(&histogram, row.data() + column.offset, sizeof(histogram));
  return histogram;
}

std::span<std::byte> Batch::add_owned(size_t bytes) {
  // A table of thousands of rows is read every second: blocks double, as vectors do.
  constexpr size_t kBlockLeast = 1u << 10, kBlockMost = 64u << 10;
  if (bytes > block_bytes_ - used_bytes_) {
    block_bytes_ = std::max(bytes, std::clamp(block_bytes_ * 2, kBlockLeast, kBlockMost));
    arena_.push_back(std::make_unique<std::byte[]>(block_bytes_));
    used_bytes_ = 0;
  }
  std::span<std::byte> row{arena_.back().get() + used_bytes_, bytes};
  // Rows begin where numbers may begin.
  used_bytes_ = std::min(block_bytes_, used_bytes_ + (bytes + 7) / 8 * 8);
  rows_.push_back(row);
  return row;
}

void Batch::clear() {
  rows_.clear();
  arena_.clear();
  block_bytes_ = used_bytes_ = 0;
}

}  // namespace waggle
