// The values of aggregates: one copy a CPU in BPF memory, one value when printed.
//
// Layout of a copy, all words u64 in host order (type.h: TypeKind):
//   count, sum      the number
//   min, max        value, 1 when there is one
//   avg, stats      sum, count
//   hist, lhist     a count for each bucket (histogram.h)
//   tseries         { value or sum, count, epoch } for each bucket. An epoch is the time
//                   divided by the interval; it is kept in bucket epoch % buckets. Where
//                   the last value counts, the word count is the time it was written at.
// Threads: any number at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "script/types/type.h"

namespace waggle::script {

// Words of one copy. REQUIRES, here and below: type.is_aggregate()
uint32_t aggregate_words(const Type &type);

// One value of the copies of all CPUs, which lie one after the other.
//   copies   a multiple of aggregate_words() * 8 bytes; none: a value that counted nothing
//   returns  aggregate_words() * 8 bytes
std::vector<std::byte> reduce(const Type &type, std::span<const std::byte> copies);

// What a map is sorted by, and what %d prints: the number itself, of avg and stats the
// average, of histograms how many values they counted, of tseries 0.
// Compare it as the type's sign says.
uint64_t aggregate_number(const Type &type, std::span<const std::byte> value);

struct Stats {
  uint64_t count = 0, average = 0, total = 0;  // average and total: as the type's sign says
};
// Of avg and stats.
Stats stats_of(const Type &type, std::span<const std::byte> value);

struct Interval {
  uint64_t epoch = 0;             // times the interval: when it began, by the clock of the script
  std::optional<uint64_t> value;  // nothing was written in it
};
// Of tseries: from the oldest that is kept to the newest, without gaps; at most `buckets`.
std::vector<Interval> intervals_of(const Type &type, std::span<const std::byte> value);

// The words of a value, which need not be aligned.
std::vector<uint64_t> words_of(std::span<const std::byte> value);

}  // namespace waggle::script
