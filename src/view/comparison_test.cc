#include "view/comparison.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

std::optional<ColumnMeaning> meaning_of(std::string_view name) {
  if (name == "pid") return ColumnMeaning{Kind::kPid, false};
  if (name == "latency") return ColumnMeaning{Kind::kDuration, false};
  if (name == "bytes") return ColumnMeaning{Kind::kBytes, false};
  if (name == "size") return ColumnMeaning{Kind::kBytes, true};
  return std::nullopt;
}

Sample must_parse(std::string_view lines) {
  Result<Sample> sample = parse_sample(lines, meaning_of);
  EXPECT_TRUE(sample.has_value()) << (sample ? "" : sample.error().text());
  return sample ? *sample : Sample{};
}

TEST(Comparison, ReadsWhatTheTopViewPrints) {
  Sample sample = must_parse(
      R"({"when":"t","comm":"dd","pid":7,"count":3,"bytes":100,"latency_avg":10,"latency_p50":8,"latency_p99":15,"latency_max":15,"latency_slots":{"0":1,"8":2}})"
      "\n"
      R"({"when":"u","comm":"dd","pid":7,"count":1,"bytes":50,"latency_avg":40,"latency_p50":8,"latency_p99":15,"latency_max":40,"latency_slots":{"32":1}})"
      "\n");
  EXPECT_EQ(sample.by, (std::vector<std::string>{"comm", "pid"}));
  EXPECT_EQ(sample.sums, (std::vector<std::string>{"count", "bytes"}));
  EXPECT_EQ(sample.distributions, (std::vector<std::string>{"latency"}));
  ASSERT_EQ(sample.groups.size(), 1u);
  const SampleGroup &group = sample.groups.begin()->second;
  EXPECT_EQ(group.labels, (std::vector<std::string>{"\"dd\"", "7"}));
  EXPECT_EQ(group.sums, (std::vector<uint64_t>{4, 150}));
  EXPECT_EQ(group.distributions[0].count, 4u);
  EXPECT_EQ(group.distributions[0].sum, 70u);
  EXPECT_EQ(group.distributions[0].most, 40u);
  EXPECT_EQ(group.distributions[0].slots[0], 1u);
  EXPECT_EQ(group.distributions[0].slots[3], 2u);
  EXPECT_EQ(group.distributions[0].slots[5], 1u);
}

TEST(Comparison, GaugesAreTheLastOnes) {
  Sample sample = must_parse("{\"comm\":\"a\",\"size\":5}\n{\"comm\":\"a\",\"size\":3}\n");
  EXPECT_EQ(sample.groups.begin()->second.sums, (std::vector<uint64_t>{3}));
}

TEST(Comparison, RefusesOtherLines) {
  struct Case {
    const char *lines, *what, *why;
  };
  constexpr Case kCases[] = {
      {"nonsense", "line 1 is not a JSON object", ""},
      {"{\"count\":1}\n[1]", "line 2 is not a JSON object", ""},
      {"{\"pid\":1,\"latency\":3}", "line 1 is not of a table",
       "'latency' is a single duration: this is a row, not a group"},
      {"{\"comm\":\"a\"}", "line 1 is not of a table", "it measures nothing"},
      {"{\"comm\":\"a\",\"count\":1}\n{\"comm\":\"a\",\"count\":1,\"bytes\":2}", "line 2 is not of a table",
       "its columns are not those of the lines before it"},
      {"{\"latency_slots\":3}", "line 1 is not of a table", "'latency_slots' is no object"},
      {"{\"latency_slots\":{\"-8\":3}}", "line 1 is not of a table", "'latency_slots' has no slot '-8'"},
      {"{\"latency_slots\":{\"2199023255552\":3}}", "line 1 is not of a table",
       "'latency_slots' has no slot '2199023255552'"},
  };
  for (const Case &each : kCases) {
    Result<Sample> sample = parse_sample(each.lines, meaning_of);
    ASSERT_FALSE(sample.has_value()) << each.lines;
    EXPECT_EQ(sample.error().what, each.what) << each.lines;
    EXPECT_EQ(sample.error().why, each.why) << each.lines;
  }
}

TEST(Comparison, TheMostSignificantChangeIsFirst) {
  Sample before = must_parse(
      "{\"comm\":\"same\",\"count\":1000}\n{\"comm\":\"twice\",\"count\":1000}\n{\"comm\":\"gone\",\"count\":4}\n"
      "{\"comm\":\"few\",\"count\":1}\n");
  Sample after = must_parse(
      "{\"comm\":\"same\",\"count\":1000}\n{\"comm\":\"twice\",\"count\":2000}\n{\"comm\":\"new\",\"count\":900}\n"
      "{\"comm\":\"few\",\"count\":2}\n");
  Result<std::vector<Change>> changes = compare(before, after);
  ASSERT_TRUE(changes.has_value());
  std::vector<std::string> order;
  for (const Change &change : *changes) order.push_back(change.labels()[0]);
  EXPECT_EQ(order, (std::vector<std::string>{"\"new\"", "\"twice\"", "\"gone\"", "\"few\"", "\"same\""}));
  EXPECT_DOUBLE_EQ((*changes)[0].score, 30.0);
  EXPECT_EQ((*changes)[0].before, nullptr);
  EXPECT_EQ((*changes)[2].after, nullptr);
  EXPECT_LT((*changes)[3].score, 1.0);
  EXPECT_EQ((*changes)[4].score, 0.0);
}

TEST(Comparison, AMovedDistributionIsAChange) {
  Sample before = must_parse(R"({"latency_avg":1000,"latency_max":1023,"latency_slots":{"512":1000}})");
  Sample after = must_parse(R"({"latency_avg":2000,"latency_max":2047,"latency_slots":{"512":500,"1024":500}})");
  Result<std::vector<Change>> changes = compare(before, after);
  ASSERT_TRUE(changes.has_value());
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_NEAR((*changes)[0].score, 0.5 * 22.36, 0.01);
}

TEST(Comparison, WhatDoesNotMatchIsAnError) {
  Sample by_comm = must_parse("{\"comm\":\"a\",\"count\":1}"), by_path = must_parse("{\"path\":\"a\",\"count\":1}"),
         bytes = must_parse("{\"comm\":\"a\",\"bytes\":1}"), nothing = must_parse("");
  EXPECT_EQ(compare(by_comm, by_path).error().why, "the first is by comm, the second by path");
  EXPECT_EQ(compare(by_comm, bytes).error().what, "the two do not measure the same");
  EXPECT_EQ(compare(by_comm, nothing)->size(), 1u);
  EXPECT_EQ(compare(nothing, nothing)->size(), 0u);
}

}  // namespace
}  // namespace waggle
