// What programs do: run in the kernel, on a context that the test gives.
#include "script/lower/lower.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codegen/disassemble.h"
#include "script/lower/script_for_test.h"
#include "script/output/aggregate.h"
#include "script/output/histogram.h"

namespace waggle::script {
namespace {

// Skips where programs cannot be loaded at all.
#define RUN(run, test)                                                                                         \
  Result<TestRun> run##_made = TestRun::make((test).script, (test).sources, modern_options());                 \
  if (!run##_made && run##_made.error().code == ErrorCode::kDenied) GTEST_SKIP() << run##_made.error().text(); \
  ASSERT_TRUE(run##_made.has_value()) << run##_made.error().text();                                            \
  TestRun &run = *run##_made

std::string text_in(const Bytes &bytes, size_t offset, size_t length) {
  std::string text(reinterpret_cast<const char *>(bytes.data()) + offset, length);
  return text.substr(0, text.find('\0'));
}

TEST(ScriptLower, CountsByComm) {
  TestScript test;
  uint32_t map = test.add_map(Type::string(16), Type::aggregate(TypeKind::kCount, false));
  test.add(&test.count(map, &test.make(Op::kComm, Type::string(16))));
  RUN(run, test);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(run.run().has_value());
  std::vector<Bytes> keys = run.keys(map);
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(text_in(keys[0], 0, 16).substr(0, 15), "script_test");
  Bytes value = reduce(test.script.maps[map].shape.value, *run.value(map, keys[0]));
  EXPECT_EQ(value_at<uint64_t>(value), 3u);
}

TEST(ScriptLower, SendsWhatIsPrinted) {
  TestScript test;
  uint32_t action = test.add_action(Action::Kind::kPrintf, {kI64, Type::string(16), Type::string(64)});
  test.add(
      test.emit(action, {test.word(0), &test.make(Op::kComm, Type::string(16)), test.string_at(test.word(1), 64)}));
  RUN(run, test);
  const char *text = "a string of the user";
  ASSERT_TRUE(run.run({42, reinterpret_cast<uint64_t>(text)}).has_value());
  std::vector<Bytes> events = run.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].size(), 8u + 8 + 16 + 64);
  EXPECT_EQ(value_at<uint64_t>(events[0]), action);
  EXPECT_EQ(value_at<uint64_t>(events[0], 8), 42u);
  EXPECT_EQ(text_in(events[0], 16, 16), "script_test");
  EXPECT_EQ(text_in(events[0], 32, 64), text);
}

TEST(ScriptLower, EndsWhereThePredicateIsFalse) {
  TestScript test;
  uint32_t map = test.add_map(Type(), kI64);
  test.script.programs[0].predicate = &test.make(Op::kEqual, kBoolean, {test.word(0), test.number(7)});
  test.add(&test.assign_map(map, nullptr, test.word(1)));
  RUN(run, test);
  ASSERT_TRUE(run.run({6, 1}).has_value());
  EXPECT_EQ(value_at<int64_t>(run.value(map)), 0);
  ASSERT_TRUE(run.run({7, 2}).has_value());
  EXPECT_EQ(value_at<int64_t>(run.value(map)), 2);
}

TEST(ScriptLower, CountsInTheBucketsOfHistograms) {
  for (uint32_t bits : {0u, 3u, 5u}) {
    TestScript test;
    AggregateParameters parameters;
    parameters.bits = bits;
    uint32_t hist = test.add_map(Type(), Type::aggregate(TypeKind::kHist, true, parameters));
    parameters = {};
    parameters.low = -10;
    parameters.high = 1000;
    parameters.step = 70;
    uint32_t lhist = test.add_map(kI64, Type::aggregate(TypeKind::kLhist, true, parameters));
    test.add(&test.count(hist, nullptr, test.word(0)));
    test.add(&test.count(lhist, test.number(1), test.word(0)));
    RUN(run, test);
    std::vector<uint64_t> expected(hist_buckets(bits)), expected_linear(lhist_buckets(-10, 1000, 70));
    std::vector<int64_t> values{INT64_MIN, -11, -10, -1, 0, 1, INT64_MAX, 999, 1000};
    for (int i = 1; i < 63; i++) {
      values.push_back((int64_t{1} << i) - 1);
      values.push_back(int64_t{1} << i);
      values.push_back((int64_t{3} << i) / 2);
    }
    for (int64_t value : values) {
      ASSERT_TRUE(run.run({static_cast<uint64_t>(value)}).has_value());
      expected[hist_index(value, bits)]++;
      expected_linear[lhist_index(value, -10, 1000, 70)]++;
    }
    EXPECT_EQ(words_of(reduce(test.script.maps[hist].shape.value, run.value(hist))), expected) << bits;
    EXPECT_EQ(words_of(reduce(test.script.maps[lhist].shape.value, *run.value(lhist, int64_t{1}))), expected_linear);
  }
}

}  // namespace
}  // namespace waggle::script
