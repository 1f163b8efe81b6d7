#include "script/output/aggregate.h"

#include <gtest/gtest.h>

#include "script/output/fake_resolver.h"
#include "script/output/histogram.h"

namespace waggle::script {
namespace {

using Words = std::vector<uint64_t>;

uint64_t negative(int64_t value) {
  return static_cast<uint64_t>(value);
}

std::vector<std::byte> bytes(const Words &words) {
  Bytes made;
  for (uint64_t each : words) made.number(each);
  return made.take();
}

TEST(Reduce, JoinsTheCopiesOfCpus) {
  struct Case {
    const char *what;
    TypeKind kind;
    bool is_signed;
    Words copies, value;
  };
  const Case kCases[] = {
      {"counts add", TypeKind::kCount, true, {1, 2, 3}, {6}},
      {"signed sums add", TypeKind::kSum, true, {5, negative(-7)}, {negative(-2)}},
      {"the least of two", TypeKind::kMin, true, {5, 1, negative(-3), 1}, {negative(-3), 1}},
      {"the least without a sign", TypeKind::kMin, false, {5, 1, negative(-3), 1}, {5, 1}},
      {"the least of one that is there", TypeKind::kMin, true, {0, 0, 9, 1, 0, 0}, {9, 1}},
      {"the greatest of two", TypeKind::kMax, true, {5, 1, negative(-3), 1}, {5, 1}},
      {"the greatest of negative ones", TypeKind::kMax, true, {0, 0, negative(-3), 1}, {negative(-3), 1}},
      {"the greatest without a sign", TypeKind::kMax, false, {5, 1, negative(-3), 1}, {negative(-3), 1}},
      {"none is there", TypeKind::kMax, true, {0, 0, 0, 0}, {0, 0}},
      {"averages", TypeKind::kAvg, true, {10, 2, 20, 1}, {30, 3}},
      {"stats", TypeKind::kStats, true, {10, 2, 0, 0}, {10, 2}},
      {"no copies", TypeKind::kStats, true, {}, {0, 0}},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(words_of(reduce(Type::aggregate(each.kind, each.is_signed), bytes(each.copies))), each.value)
        << each.what;
}

TEST(Reduce, AddsHistogramsBucketByBucket) {
  Type type = Type::aggregate(TypeKind::kLhist, true, {0, 0, 10, 5});
  EXPECT_EQ(words_of(reduce(type, bytes({1, 2, 3, 4, 10, 20, 30, 40}))), (Words{11, 22, 33, 44}));
  EXPECT_EQ(aggregate_words(Type::aggregate(TypeKind::kHist, true, {2, 0, 0, 0})), hist_buckets(2));
}

Type tseries(TypeKind each, uint32_t buckets, bool is_signed = true) {
  AggregateParameters parameters;
  parameters.interval_ns = 1'000'000'000;
  parameters.buckets = buckets;
  parameters.each = each;
  return Type::aggregate(TypeKind::kTseries, is_signed, parameters);
}

TEST(Reduce, JoinsTheSameIntervalOfATimeSeries) {
  struct Case {
    const char *what;
    TypeKind each;
    Words copies, value;
  };
  const Case kCases[] = {
      {"the last that was written", TypeKind::kNone, {7, 100, 4, 8, 90, 4}, {7, 100, 4}},
      {"the newer interval", TypeKind::kSum, {7, 1, 4, 8, 2, 5}, {8, 2, 5}},
      {"sums", TypeKind::kSum, {7, 1, 4, 8, 2, 4}, {15, 3, 4}},
      {"the least", TypeKind::kMin, {7, 1, 4, 8, 2, 4}, {7, 3, 4}},
      {"the greatest", TypeKind::kMax, {7, 1, 4, 8, 2, 4}, {8, 3, 4}},
      {"one that is empty", TypeKind::kMax, {0, 0, 0, negative(-8), 2, 4}, {negative(-8), 2, 4}},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(words_of(reduce(tseries(each.each, 1), bytes(each.copies))), each.value) << each.what;
}

TEST(Intervals, HaveNoGapsAndNothingTooOld) {
  Type type = tseries(TypeKind::kAvg, 4);
  // Epoch 10 in bucket 2, 12 in bucket 0; in bucket 1 is 5, which is too old.
  std::vector<Interval> intervals = intervals_of(type, bytes({9, 2, 12, 1, 1, 5, 10, 5, 10, 0, 0, 0}));
  ASSERT_EQ(intervals.size(), 3u);
  EXPECT_EQ(intervals[0].epoch, 10u);
  EXPECT_EQ(intervals[0].value, 2u);
  EXPECT_EQ(intervals[1].value, std::nullopt);
  EXPECT_EQ(intervals[2].epoch, 12u);
  EXPECT_EQ(intervals[2].value, 4u);
  EXPECT_TRUE(intervals_of(type, bytes(Words(12))).empty());
}

TEST(Stats, DivideAsTheirSignSays) {
  Stats stats = stats_of(Type::aggregate(TypeKind::kStats, true), bytes({negative(-7), 2}));
  EXPECT_EQ(stats.average, negative(-3));
  stats = stats_of(Type::aggregate(TypeKind::kStats, false), bytes({negative(-7), 2}));
  EXPECT_EQ(stats.average, negative(-7) / 2);
  stats = stats_of(Type::aggregate(TypeKind::kAvg, true), bytes({7, 0}));
  EXPECT_EQ(stats.average, 0u);
}

}  // namespace
}  // namespace waggle::script
