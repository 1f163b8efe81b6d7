// Rows with their schema, as the kernel wrote them: a batch of a stream points
// into the ring buffer and is valid until the reader moves on; nothing is copied
// until somebody asks for text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "schema/schema.h"

namespace waggle {

// One row. It may be shorter than Schema::row_bytes: the text that ends it is
// cut, and a column beyond the end reads as 0 or "".
using Row = std::span<const std::byte>;

// The value of an integer column; signed columns are sign-extended.
// REQUIRES: column.is_integer()
int64_t integer(const Column &column, Row row);
inline uint64_t natural(const Column &column, Row row) {
  return static_cast<uint64_t>(integer(column, row));
}

// The text of a column up to its first NUL; for argv, all arguments with their
// NULs, the last one's too unless it was cut off: one empty argument is "\0".
// REQUIRES: column.is_text()
std::string_view text(const Column &column, Row row);

// The 16 bytes of an IP address (IPv4 is mapped).  REQUIRES: kind is kIp
std::span<const uint8_t, 16> ip(const Column &column, Row row);

// Frames of a stack, innermost first.  REQUIRES: kind is kStack
struct Stack {
  std::vector<uint64_t> kernel, user;
};
Stack stack(const Column &column, Row row);

// Registers with the arguments of a function.  REQUIRES: kind is kArguments
std::array<uint64_t, 6> arguments(const Column &column, Row row);

// slots[i] counts [2^i, 2^(i+1)) ns; slot 0 holds 0 and 1 ns.
struct Histogram {
  static constexpr size_t kSlots = 40;
  uint64_t count = 0, sum = 0, most = 0;
  uint64_t slots[kSlots] = {};

  void observe(uint64_t value);
  void add(const Histogram &other);
  // Removes an older state of the same histogram. Where `most` did not grow since,
  // the largest of what is left is known to a power of two: `most` becomes the end
  // of the last slot that is not empty.
  void subtract(const Histogram &older);
  // The value below which `share` (0 to 1) of the counts lie,
  // interpolated within its slot; 0 for an empty histogram.
  double quantile(double share) const;
};
// REQUIRES: kind is kHistogram
Histogram histogram(const Column &column, Row row);

class Batch {
 public:
  explicit Batch(const Schema &schema) : schema_(&schema) {}

  const Schema &schema() const { return *schema_; }
  size_t rows() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  Row row(size_t index) const {
    CHECK(index < rows_.size());
    return rows_[index];
  }
  // The bytes must stay where they are for as long as the batch is used.
  void add(Row row) { rows_.push_back(row); }
  // A row of the batch's own, to be filled now: the pointer is good until the next call.
  std::span<std::byte> add_owned(size_t bytes);
  void clear();

 private:
  const Schema *schema_;
  std::vector<Row> rows_;
  std::vector<std::unique_ptr<std::byte[]>> arena_;  // blocks, of which the last has room
  size_t block_bytes_ = 0, used_bytes_ = 0;          // of that one
};

}  // namespace waggle
