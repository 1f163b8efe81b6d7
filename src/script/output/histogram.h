// Histograms: which bucket a value falls in, and how they are printed.
//
// hist(n, bits): bucket 0 counts negative values. Then each power of two is cut into
// 2^bits buckets of equal width; values below 2^(bits + 1) have one each. With 0 bits:
// negative, 0, 1, [2, 4), [4, 8), ...
// lhist(n, low, high, step): bucket 0 counts values below low, the last those at or above
// high; between them are (high - low) / step buckets of step. When step does not divide
// high - low, the last also counts what is above the last whole step.
//
// In BPF memory both are one u64 a bucket, in order, for each CPU. The compiler emits the
// arithmetic of the functions here; they are the one definition of it.
// Threads: any number at once.
// source: bpftrace(8), hist and lhist
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>

namespace waggle::script {

inline constexpr uint32_t kHistBitsMost = 5;
inline constexpr uint32_t kLhistBucketsMost = 1000;  // without the two at the ends

constexpr uint32_t hist_buckets(uint32_t bits) {
  return ((64 - bits) << bits) + 1;
}

constexpr uint32_t hist_index(int64_t value, uint32_t bits) {
  if (value < 0) return 0;
  auto n = static_cast<uint64_t>(value);
  if (n < (uint64_t{1} << bits)) return static_cast<uint32_t>(n) + 1;
  auto power = static_cast<uint32_t>(63 - std::countl_zero(n));
  auto part = static_cast<uint32_t>(n >> (power - bits)) & ((1u << bits) - 1);
  return ((power - bits + 1) << bits) + part + 1;
}

// The least value of a bucket; of hist_buckets(bits): 2^63, where the last one ends.
// REQUIRES: 1 <= index <= hist_buckets(bits)
constexpr uint64_t hist_lower(uint32_t index, uint32_t bits) {
  uint32_t at = index - 1, parts = 1u << bits, power = at >> bits;
  if (power == 0) return at;
  return static_cast<uint64_t>(parts + (at & (parts - 1))) << (power - 1);
}

// REQUIRES, of all lhist functions: step > 0, low <= high
constexpr uint32_t lhist_buckets(int64_t low, int64_t high, int64_t step) {
  return static_cast<uint32_t>((static_cast<uint64_t>(high) - static_cast<uint64_t>(low)) /
                               static_cast<uint64_t>(step)) +
         2;
}

constexpr uint32_t lhist_index(int64_t value, int64_t low, int64_t high, int64_t step) {
  if (value < low) return 0;
  if (value >= high) return lhist_buckets(low, high, step) - 1;
  return static_cast<uint32_t>((static_cast<uint64_t>(value) - static_cast<uint64_t>(low)) /
                               static_cast<uint64_t>(step)) +
         1;
}

// Where a bucket is said to begin. REQUIRES: 1 <= index < lhist_buckets(...)
constexpr int64_t lhist_lower(uint32_t index, int64_t low, int64_t high, int64_t step) {
  if (index + 1 >= lhist_buckets(low, high, step)) return high;
  return low + static_cast<int64_t>(index - 1) * step;
}

struct LinearBuckets {
  int64_t low = 0, high = 0, step = 1;
};

// Lines "[4, 8)                 1 |@@@@      |\n", from the first bucket that counted
// something to the last; nothing when none did. Counts are divided by div (0: by 1).
// REQUIRES: as many buckets as hist_buckets() or lhist_buckets() says
void append_hist_text(std::string &out, std::span<const uint64_t> buckets, uint32_t bits, uint32_t div);
void append_lhist_text(std::string &out, std::span<const uint64_t> buckets, LinearBuckets linear, uint32_t div);

// [{"min": 4, "max": 7, "count": 1}], of the same buckets; at the ends min or max is left out.
void append_hist_json(std::string &out, std::span<const uint64_t> buckets, uint32_t bits, uint32_t div);
void append_lhist_json(std::string &out, std::span<const uint64_t> buckets, LinearBuckets linear, uint32_t div);

}  // namespace waggle::script
