#include "script/output/histogram.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace waggle::script {
namespace {

TEST(Hist, PutsValuesInBuckets) {
  struct Case {
    int64_t value;
    uint32_t bits, index;
  };
  constexpr Case kCases[] = {
      {-1, 0, 0},
      {INT64_MIN, 0, 0},
      {0, 0, 1},
      {1, 0, 2},
      {2, 0, 3},
      {3, 0, 3},
      {4, 0, 4},
      {1023, 0, 11},
      {1024, 0, 12},
      {0, 2, 1},
      {3, 2, 4},
      {4, 2, 5},
      {7, 2, 8},
      {8, 2, 9},
      {9, 2, 9},
      {10, 2, 10},
      {15, 2, 12},
      {16, 2, 13},
      {31, 5, 32},
      {32, 5, 33},
      {63, 5, 64},
      {64, 5, 65},
      {65, 5, 65},
      {66, 5, 66},
      {INT64_MAX, 0, hist_buckets(0) - 1},
      {INT64_MAX, 5, hist_buckets(5) - 1},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(hist_index(each.value, each.bits), each.index) << each.value << " with " << each.bits << " bits";
}

TEST(Hist, BucketsJoinWithoutGaps) {
  for (uint32_t bits = 0; bits <= kHistBitsMost; bits++) {
    EXPECT_EQ(hist_lower(1, bits), 0u);
    EXPECT_EQ(hist_lower(hist_buckets(bits), bits), uint64_t{1} << 63);
    for (uint32_t i = 1; i < hist_buckets(bits); i++) {
      ASSERT_LT(hist_lower(i, bits), hist_lower(i + 1, bits));
      ASSERT_EQ(hist_index(static_cast<int64_t>(hist_lower(i, bits)), bits), i);
      ASSERT_EQ(hist_index(static_cast<int64_t>(hist_lower(i + 1, bits) - 1), bits), i);
    }
  }
}

TEST(Lhist, PutsValuesInBuckets) {
  struct Case {
    int64_t value, low, high, step;
    uint32_t index;
  };
  constexpr Case kCases[] = {
      {-1, 0, 10, 1, 0},
      {0, 0, 10, 1, 1},
      {9, 0, 10, 1, 10},
      {10, 0, 10, 1, 11},
      {99, 0, 10, 1, 11},
      {5, 0, 10, 3, 2},
      {9, 0, 10, 3, 4},
      {10, 0, 10, 3, 4},
      {-7, -10, 10, 5, 1},
      {-5, -10, 10, 5, 2},
      {INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX, 1},
      {INT64_MAX, INT64_MIN, INT64_MAX, INT64_MAX, 3},
      {3, 3, 3, 1, 1},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(lhist_index(each.value, each.low, each.high, each.step), each.index) << each.value;
  EXPECT_EQ(lhist_buckets(0, 10, 1), 12u);
  EXPECT_EQ(lhist_buckets(0, 10, 3), 5u);
  EXPECT_EQ(lhist_lower(2, 0, 10, 3), 3);
  EXPECT_EQ(lhist_lower(4, 0, 10, 3), 10);
}

std::string hist(uint32_t bits, const std::vector<int64_t> &values, bool is_json = false, uint32_t div = 1) {
  std::vector<uint64_t> buckets(hist_buckets(bits));
  for (int64_t value : values) buckets[hist_index(value, bits)]++;
  std::string text;
  is_json ? append_hist_json(text, buckets, bits, div) : append_hist_text(text, buckets, bits, div);
  return text;
}

std::string lhist(LinearBuckets linear, const std::vector<int64_t> &values, bool is_json = false) {
  std::vector<uint64_t> buckets(lhist_buckets(linear.low, linear.high, linear.step));
  for (int64_t value : values) buckets[lhist_index(value, linear.low, linear.high, linear.step)]++;
  std::string text;
  is_json ? append_lhist_json(text, buckets, linear, 1) : append_lhist_text(text, buckets, linear, 1);
  return text;
}

TEST(Hist, IsPrintedWithBars) {
  EXPECT_EQ(hist(0, {}), "");
  EXPECT_EQ(hist(0, {5}), "[4, 8)                 1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n");
  EXPECT_EQ(hist(0, {-5, 0, 0, 0, 2}),
            "(..., 0)               1 |@@@@@@@@@@@@@@@@@                                   |\n"
            "[0]                    3 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
            "[1]                    0 |                                                    |\n"
            "[2, 4)                 1 |@@@@@@@@@@@@@@@@@                                   |\n");
}

TEST(Hist, LabelsBoundsWithTheUnitThatSaysThemExactly) {
  struct Case {
    int64_t value;
    uint32_t bits;
    std::string_view label;
  };
  constexpr Case kCases[] = {
      {512, 0, "[512, 1K) "},
      {1024, 0, "[1K, 2K) "},
      {1 << 20, 0, "[1M, 2M) "},
      {int64_t{1} << 30, 0, "[1G, 2G) "},
      {int64_t{1} << 40, 0, "[1T, 2T) "},
      {INT64_MAX, 0, "[4E, 8E) "},
      {9, 2, "[8, 10) "},
      {7, 2, "[7] "},
      {1024, 2, "[1K, 1280) "},
      {1800, 2, "[1792, 2K) "},
      {1 << 20, 2, "[1M, 1280K) "},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(hist(each.bits, {each.value}).substr(0, each.label.size()), each.label) << each.value;
}

TEST(Hist, AsJsonHasBounds) {
  EXPECT_EQ(hist(0, {}, true), "[]");
  EXPECT_EQ(hist(0, {-1, 2, 4, 5}, true),
            R"([{"max": -1, "count": 1}, {"min": 0, "max": 0, "count": 0}, {"min": 1, "max": 1, "count": 0}, )"
            R"({"min": 2, "max": 3, "count": 1}, {"min": 4, "max": 7, "count": 2}])");
  EXPECT_EQ(hist(2, {9}, true), R"([{"min": 8, "max": 9, "count": 1}])");
}

TEST(Hist, IsDivided) {
  EXPECT_EQ(hist(0, {1, 1, 1, 1, 1, 1}, true, 4), R"([{"min": 1, "max": 1, "count": 1}])");
  EXPECT_EQ(hist(0, {1, 1, 1, 1}, false, 0).substr(0, 24), "[1]                    4");
}

TEST(Lhist, IsPrintedWithBars) {
  EXPECT_EQ(lhist({0, 10, 5}, {}), "");
  EXPECT_EQ(lhist({0, 10, 5}, {-1, 7, 10}),
            "(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
            "[0, 5)                 0 |                                                    |\n"
            "[5, 10)                1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
            "[10, ...)              1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n");
}

TEST(Lhist, LabelsWithAUnitOnlyWhereTheStepHasIt) {
  EXPECT_EQ(lhist({0, 200000, 1000}, {128000}).substr(0, 17), "[128000, 129000) ");
  EXPECT_EQ(lhist({0, 8192, 1024}, {2048}).substr(0, 9), "[2K, 3K) ");
  EXPECT_EQ(lhist({0, 8192, 1024}, {5}).substr(0, 8), "[0, 1K) ");
  EXPECT_EQ(lhist({0, 10 << 20, 1 << 20}, {1 << 20}).substr(0, 9), "[1M, 2M) ");
}

TEST(Lhist, AsJsonHasBounds) {
  EXPECT_EQ(lhist({0, 10, 5}, {-1, 7, 10}, true),
            R"([{"max": -1, "count": 1}, {"min": 0, "max": 4, "count": 0}, {"min": 5, "max": 9, "count": 1}, )"
            R"({"min": 10, "count": 1}])");
}

}  // namespace
}  // namespace waggle::script
