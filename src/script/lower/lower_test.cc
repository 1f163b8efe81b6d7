// What programs do: run in the kernel, on a context that the test gives.
#include "script/lower/lower.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string_view>

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

// ---- numbers: an expression of two words of the context, and what it yields

struct NumberCase {
  const char *name;
  std::function<const Node *(TestScript &)> make;
  uint64_t first, second;
  uint64_t expect;  // as 64 bits, extended as the type's sign says
};

const Type kI32 = Type::integer(4, true), kU32 = Type::integer(4, false), kI8 = Type::integer(1, true),
           kU8 = Type::integer(1, false), kI16 = Type::integer(2, true);

const Node *converted(TestScript &t, const Node *from, const Type &to) {
  return &t.make(Op::kConvert, to, {from});
}
// Both words, of that type.
const Node *binary(TestScript &t, Op op, const Type &type) {
  return &t.make(op, type, {converted(t, t.word(0), type), converted(t, t.word(1), type)});
}
const Node *compared(TestScript &t, Op op, const Type &type) {
  return &t.make(op, kBoolean, {converted(t, t.word(0), type), converted(t, t.word(1), type)});
}

const NumberCase kNumbers[] = {
    {"int32 wraps", [](TestScript &t) { return binary(t, Op::kAdd, kI32); }, 0x7fffffff, 1, 0xffffffff80000000},
    {"uint8 wraps", [](TestScript &t) { return binary(t, Op::kSubtract, kU8); }, 3, 5, 254},
    {"signed division", [](TestScript &t) { return binary(t, Op::kDivide, kI64); }, uint64_t(-7), 2, uint64_t(-3)},
    {"unsigned division", [](TestScript &t) { return binary(t, Op::kDivide, kU64); }, uint64_t(-7), 2,
     uint64_t(-7) / 2},
    {"by zero", [](TestScript &t) { return binary(t, Op::kDivide, kI64); }, 7, 0, 0},
    {"modulo zero", [](TestScript &t) { return binary(t, Op::kModulo, kI64); }, 7, 0, 7},
    {"signed modulo", [](TestScript &t) { return binary(t, Op::kModulo, kI64); }, uint64_t(-7), 3, uint64_t(-1)},
    {"shift of int8", [](TestScript &t) { return binary(t, Op::kShiftLeft, kI8); }, 0x41, 1, uint64_t(-126)},
    {"signed shift", [](TestScript &t) { return binary(t, Op::kShiftRight, kI32); }, uint64_t(-8), 1, uint64_t(-4)},
    {"unsigned shift", [](TestScript &t) { return binary(t, Op::kShiftRight, kU32); }, uint64_t(-8), 1, 0x7ffffffc},
    {"not of uint8", [](TestScript &t) { return &t.make(Op::kBitNot, kU8, {converted(t, t.word(0), kU8)}); }, 1, 0,
     254},
    {"negative uint32", [](TestScript &t) { return &t.make(Op::kNegate, kU32, {converted(t, t.word(0), kU32)}); }, 1, 0,
     0xffffffff},
    {"int8 to int64", [](TestScript &t) { return converted(t, converted(t, t.word(0), kI8), kI64); }, 0xff, 0,
     uint64_t(-1)},
    {"int8 to uint32", [](TestScript &t) { return converted(t, converted(t, t.word(0), kI8), kU32); }, 0xff, 0,
     0xffffffff},
    {"uint8 to int64", [](TestScript &t) { return converted(t, converted(t, t.word(0), kU8), kI64); }, 0xff, 0, 0xff},
    {"to a bool", [](TestScript &t) { return converted(t, t.word(0), kBoolean); }, 256, 0, 1},
    {"less, signed", [](TestScript &t) { return compared(t, Op::kLess, kI64); }, uint64_t(-1), 1, 1},
    {"less, unsigned", [](TestScript &t) { return compared(t, Op::kLess, kU64); }, uint64_t(-1), 1, 0},
    {"not", [](TestScript &t) { return &t.make(Op::kNot, kBoolean, {compared(t, Op::kEqual, kI64)}); }, 1, 1, 0},
    {"and",
     [](TestScript &t) {
       return &t.make(Op::kAnd, kBoolean, {compared(t, Op::kEqual, kI64), compared(t, Op::kLess, kI64)});
     },
     1, 1, 0},
    {"or",
     [](TestScript &t) {
       return &t.make(Op::kOr, kBoolean, {compared(t, Op::kEqual, kI64), compared(t, Op::kLess, kI64)});
     },
     1, 2, 1},
    {"conditional",
     [](TestScript &t) {
       return &t.make(Op::kConditional, kI64, {compared(t, Op::kLess, kI64), t.number(5), t.word(1)});
     },
     4, 3, 3},
    {"byte swap", [](TestScript &t) { return &t.make(Op::kByteSwap, kU32, {converted(t, t.word(0), kU32)}); },
     0x01020304, 0, 0x04030201},
    {"a field of a tuple",
     [](TestScript &t) {
       return t.field(t.tuple({t.word(0), t.word(1)}), 1);
     },
     4, 3, 3},
    {"tuples are equal",
     [](TestScript &t) {
       const Node *text = t.text("abc", 8);
       return &t.make(Op::kEqual, kBoolean, {t.tuple({t.word(0), text}), t.tuple({t.word(1), text})});
     },
     4, 4, 1},
    {"tuples are not equal",
     [](TestScript &t) {
       return &t.make(Op::kNotEqual, kBoolean,
                      {t.tuple({t.word(0), t.text("abc", 8)}), t.tuple({t.word(1), t.text("abd", 8)})});
     },
     4, 4, 1},
    {"an array's element",
     [](TestScript &t) {
       const Type bytes = Type::array(kU8, 8);
       return &t.make(Op::kElement, kU8, {converted(t, t.word(0), bytes), converted(t, t.word(1), kU64)});
     },
     0x0807060504030201, 2, 3},
    {"beyond an array",
     [](TestScript &t) {
       const Type bytes = Type::array(kU8, 8);
       return &t.make(Op::kElement, kU8, {converted(t, t.word(0), bytes), converted(t, t.word(1), kU64)});
     },
     0x0807060504030201, 8, 0},
    {"an array as a number",
     [](TestScript &t) { return converted(t, converted(t, t.word(0), Type::array(kU8, 8)), kU64); }, 0x0807060504030201,
     0, 0x0807060504030201},
    {"a bit field",
     [](TestScript &t) {
       Node &field = t.make(Op::kField, kI16, {t.tuple({converted(t, t.word(0), kI16)})});
       field.bit_offset = 3;
       field.bit_size = 4;
       return &field;
     },
     0x48, 0, uint64_t(-7)},
    {"what user memory has",
     [](TestScript &t) {
       const Node *pointer = converted(t, t.word(0), Type::pointer(kI16, AddressSpace::kUser));
       return &t.make(Op::kDereference, kI16, {pointer});
     },
     uint64_t(-2), 0, uint64_t(-2)},  // the first word is made its address
    {"the length of a string",
     [](TestScript &t) { return &t.make(Op::kStringLength, kU64, {&t.make(Op::kComm, Type::string(16))}); }, 0, 0, 11},
};

TEST(ScriptLower, Calculates) {
  for (const NumberCase &each : kNumbers) {
    TestScript test;
    const Node *value = each.make(test);
    const Type stored = value->type.is_signed() ? kI64 : kU64;
    uint32_t map = test.add_map(Type(), stored);
    // In the branches of an `if` as well.
    uint32_t branched = test.add_map(Type(), stored);
    test.add(&test.assign_map(map, nullptr, converted(test, value, stored)));
    Step &condition = test.step(Step::Kind::kIf);
    condition.value = value->type.is(TypeKind::kBool) ? value : converted(test, value, kBoolean);
    condition.body = {&test.assign_map(branched, nullptr, test.number(1, stored))};
    condition.otherwise = {&test.assign_map(branched, nullptr, test.number(2, stored))};
    test.add(&condition);
    RUN(run, test);
    uint64_t first = each.first;
    bool by_address = std::string_view(each.name) == "what user memory has";
    Result<int64_t> ran = run.run({by_address ? reinterpret_cast<uint64_t>(&first) : first, each.second});
    ASSERT_TRUE(ran.has_value()) << each.name;
    EXPECT_EQ(value_at<uint64_t>(run.value(map)), each.expect) << each.name;
    EXPECT_EQ(value_at<uint64_t>(run.value(branched)), each.expect != 0 ? 1u : 2u) << each.name;
  }
}

// ---- strings

struct StringCase {
  const char *first, *second;
  uint32_t first_bytes, second_bytes;
};
constexpr StringCase kStrings[] = {
    {"", "", 8, 8},
    {"a", "a", 8, 8},
    {"a", "b", 8, 8},
    {"abcdefg", "abcdefg", 8, 8},
    {"abcdefgh", "abcdefgi", 16, 16},
    {"abcdefghijklmnop", "abcdefghijklmnop", 32, 32},
    {"abcdefghijklmnop", "abcdefghijklmnopq", 32, 32},
    {"0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789", 64, 64},
    {"0123456789012345678901234567890123456789x", "0123456789012345678901234567890123456789y", 128, 128},
    {"needle", "needle in hay", 200, 1024},
    {"a needle in hay", "needle", 100, 64},
    {"a needl in hay", "needle", 1024, 1024},
    {"xxx needle", "needle", 11, 7},
    {"xxx a long needle", "a long needle", 1024, 64},
    {"xxx a long needle", "a long needle", 40000, 64},
};

const Node *user_pointer(TestScript &t, uint32_t word) {
  return converted(t, t.word(word), Type::pointer(kI8, AddressSpace::kUser));
}

TEST(ScriptLower, ComparesStrings) {
  for (const StringCase &each : kStrings)
    for (bool is_known : {false, true}) {
      TestScript test;
      const Node *first = &test.make(Op::kString, Type::string(each.first_bytes), {user_pointer(test, 0)});
      const Node *second = is_known ? test.text(each.second, static_cast<uint32_t>(strlen(each.second)) + 1)
                                    : &test.make(Op::kString, Type::string(each.second_bytes), {user_pointer(test, 1)});
      const Type longer = Type::string(std::max(first->type.bytes(), second->type.bytes()));
      auto as_long = [&](const Node *string) {
        return string->type == longer ? string : converted(test, string, longer);
      };
      uint32_t equal = test.add_map(Type(), kI64), unequal = test.add_map(Type(), kI64);
      uint32_t prefix = test.add_map(Type(), kI64), found = test.add_map(Type(), kI64);
      uint32_t length = test.add_map(Type(), kI64);
      auto keep = [&](uint32_t map, const Node *value) {
        test.add(&test.assign_map(map, nullptr, converted(test, value, kI64)));
      };
      keep(equal, &test.make(Op::kEqual, kBoolean, {as_long(first), as_long(second)}));
      keep(unequal, &test.make(Op::kNotEqual, kBoolean, {as_long(second), as_long(first)}));
      keep(prefix, &test.make(Op::kStringsEqual, kU64, {first, second}, 5));
      keep(found, &test.make(Op::kStringFind, kI64, {first, second}));
      keep(length, &test.make(Op::kStringLength, kU64, {first}));
      RUN(run, test);
      ASSERT_TRUE(
          run.run({reinterpret_cast<uint64_t>(each.first), reinterpret_cast<uint64_t>(each.second)}).has_value());
      std::string one = each.first, two = each.second;
      std::string what = fmt::format("'{}' '{}' known: {}", one, two, is_known);
      EXPECT_EQ(value_at<int64_t>(run.value(equal)), one == two) << what;
      EXPECT_EQ(value_at<int64_t>(run.value(unequal)), one != two) << what;
      EXPECT_EQ(value_at<int64_t>(run.value(prefix)), strncmp(each.first, each.second, 5) != 0) << what;
      size_t at = one.find(two);
      EXPECT_EQ(value_at<int64_t>(run.value(found)), at == std::string::npos ? -1 : static_cast<int64_t>(at)) << what;
      EXPECT_EQ(value_at<int64_t>(run.value(length)), static_cast<int64_t>(one.size())) << what;
    }
}

TEST(ScriptLower, KeysHaveNothingBehindTheirStrings) {
  for (uint32_t bytes : {16u, 20u, 64u, 100u, 1024u, 40000u}) {
    TestScript test;
    const Type key = Type::tuple({{"", Type::integer(4, false)}, {"", Type::string(bytes)}, {"", kI64}});
    uint32_t map = test.add_map(key, Type::aggregate(TypeKind::kCount, false));
    uint32_t variable = test.add_variable(Type::string(bytes));
    test.add(test.assign(variable, &test.make(Op::kString, Type::string(bytes), {user_pointer(test, 0)})));
    test.add(&test.count(map, test.tuple({test.number(1, kU32), test.variable(variable), test.number(2)})));
    RUN(run, test);
    for (const char *text : {"a longer text", "short", "another"}) {
      ASSERT_TRUE(run.run({reinterpret_cast<uint64_t>(text)}).has_value());
      ASSERT_TRUE(run.run({reinterpret_cast<uint64_t>(text)}).has_value());
    }
    std::vector<Bytes> keys = run.keys(map);
    ASSERT_EQ(keys.size(), 3u) << bytes;
    for (const Bytes &each : keys) {
      std::string text = text_in(each, 4, bytes);
      for (size_t i = 4 + text.size(); i < 4 + bytes; i++) ASSERT_EQ(each[i], std::byte{0}) << bytes << " " << i;
      EXPECT_EQ(value_at<uint64_t>(reduce(test.script.maps[map].shape.value, *run.value(map, each))), 2u);
    }
  }
}

// ---- aggregates

TEST(ScriptLower, KeepsAggregates) {
  TestScript test;
  uint32_t sum = test.add_map(Type(), Type::aggregate(TypeKind::kSum, true));
  uint32_t min = test.add_map(kI64, Type::aggregate(TypeKind::kMin, true));
  uint32_t max = test.add_map(kI64, Type::aggregate(TypeKind::kMax, true));
  uint32_t avg = test.add_map(kI64, Type::aggregate(TypeKind::kAvg, true));
  uint32_t stats = test.add_map(Type(), Type::aggregate(TypeKind::kStats, true));
  AggregateParameters series;
  series.interval_ns = 1'000'000'000'000'000;
  series.buckets = 5;
  series.each = TypeKind::kMax;
  uint32_t tseries = test.add_map(Type(), Type::aggregate(TypeKind::kTseries, true, series));
  std::vector<uint32_t> read;
  test.add(&test.count(sum, nullptr, test.word(0)));
  test.add(&test.count(min, test.number(1), test.word(0)));
  test.add(&test.count(max, test.number(1), test.word(0)));
  test.add(&test.count(avg, test.number(1), test.word(0)));
  test.add(&test.count(stats, nullptr, test.word(0)));
  test.add(&test.count(tseries, nullptr, test.word(0)));
  for (uint32_t each : {sum, min, max, avg, stats}) {
    const Node *key = test.script.maps[each].shape.key.is(TypeKind::kNone) ? nullptr : test.number(1);
    read.push_back(test.add_map(Type(), kI64));
    test.add(&test.assign_map(read.back(), nullptr, test.map_value(each, key)));
  }
  RUN(run, test);
  for (int64_t value : {-4, 9, -5, 20}) ASSERT_TRUE(run.run({static_cast<uint64_t>(value)}).has_value());
  const int64_t expect[] = {20, -5, 20, 5, 5};
  for (size_t i = 0; i < read.size(); i++) EXPECT_EQ(value_at<int64_t>(run.value(read[i])), expect[i]) << i;
  const Type &type = test.script.maps[tseries].shape.value;
  std::vector<Interval> intervals = intervals_of(type, reduce(type, run.value(tseries)));
  ASSERT_EQ(intervals.size(), 1u);
  EXPECT_EQ(intervals[0].value, 20u);
}

TEST(ScriptLower, SaysThatAMapIsFull) {
  TestScript test;
  uint32_t counts = test.add_map(kI64, Type::aggregate(TypeKind::kCount, false), 2);
  uint32_t values = test.add_map(kI64, kI64, 2);
  uint32_t action = test.add_action(Action::Kind::kRuntimeError, {kI64});
  Step &count = test.count(counts, test.word(0));
  count.action = action;
  test.add(&count);
  Step &assign = test.assign_map(values, test.word(0), test.number(1));
  assign.action = action;
  test.add(&assign);
  RUN(run, test);
  for (uint64_t key = 0; key < 3; key++) ASSERT_TRUE(run.run({key}).has_value());
  std::vector<Bytes> events = run.events();
  ASSERT_EQ(events.size(), 2u);
  for (const Bytes &each : events) {
    EXPECT_EQ(value_at<uint64_t>(each), action);
    EXPECT_EQ(value_at<int64_t>(each, 8), -E2BIG);
  }
}

TEST(ScriptLower, CountsWhatIsLost) {
  TestScript test;
  uint32_t action = test.add_action(Action::Kind::kPrintf, {Type::string(1000)});
  test.add(test.emit(action, {test.string_at(test.word(0), 1000)}));
  RUN(run, test);
  constexpr int kRuns = 100;
  for (int i = 0; i < kRuns; i++) ASSERT_TRUE(run.run({reinterpret_cast<uint64_t>("x")}).has_value());
  Bytes lost = *run.look_up(run.map_of(MapPlan::Role::kLost), Bytes(4));
  uint64_t sum = 0;
  for (size_t at = 0; at < lost.size(); at += 8) sum += value_at<uint64_t>(lost, at);
  EXPECT_GT(sum, 0u);
  EXPECT_EQ(run.events().size() + sum, static_cast<size_t>(kRuns));
}

// ---- maps

TEST(ScriptLower, DeletesAndFinds) {
  TestScript test;
  uint32_t map = test.add_map(kI64, Type::string(40));
  uint32_t had = test.add_map(Type(), kI64), deleted = test.add_map(Type(), kI64), again = test.add_map(Type(), kI64),
           length = test.add_map(Type(), kI64), missing = test.add_map(Type(), Type::string(40));
  auto of_map = [&](Op op, const Type &type, const Node *key) {
    Node &node = test.make(op, type);
    node.map = map;
    if (key != nullptr) node.in = {key};
    return &node;
  };
  auto keep = [&](uint32_t to, const Node *value) {
    test.add(&test.assign_map(to, nullptr, converted(test, value, kI64)));
  };
  test.add(&test.assign_map(map, test.number(1), test.text("one", 40)));
  test.add(&test.assign_map(map, test.number(2), test.text("two", 40)));
  keep(had, of_map(Op::kMapHas, kBoolean, test.number(1)));
  keep(length, of_map(Op::kMapLength, kU64, nullptr));
  keep(deleted, of_map(Op::kMapDelete, kBoolean, test.number(1)));
  keep(again, of_map(Op::kMapDelete, kBoolean, test.number(1)));
  test.add(&test.assign_map(missing, nullptr, test.text("something", 40)));
  test.add(&test.assign_map(missing, nullptr, test.map_value(map, test.number(1))));
  RUN(run, test);
  ASSERT_TRUE(run.run().has_value());
  EXPECT_EQ(value_at<int64_t>(run.value(had)), 1);
  EXPECT_EQ(value_at<int64_t>(run.value(length)), 2);
  EXPECT_EQ(value_at<int64_t>(run.value(deleted)), 1);
  EXPECT_EQ(value_at<int64_t>(run.value(again)), 0);
  EXPECT_EQ(text_in(run.value(missing), 0, 40), "");
  EXPECT_EQ(text_in(*run.value(map, int64_t{2}), 0, 40), "two");
}

TEST(ScriptLower, Increments) {
  TestScript test;
  uint32_t map = test.add_map(kI64, kI64), scalar = test.add_map(Type(), kI64), seen = test.add_map(Type(), kI64),
           before = test.add_map(Type(), kI64);
  uint32_t variable = test.add_variable(kI8);
  auto increment = [&](std::optional<uint32_t> of_map, const Node *key, int64_t by, bool is_before) {
    Node &node = test.make(Op::kIncrement, of_map ? kI64 : kI8);
    node.is_map = of_map.has_value();
    node.map = of_map.value_or(0);
    node.number = variable;
    node.by = by;
    node.is_before = is_before;
    if (key != nullptr) node.in = {key};
    return &node;
  };
  test.add(test.evaluate(increment(map, test.word(0), 1, false)));
  test.add(&test.assign_map(seen, nullptr, increment(scalar, nullptr, -1, false)));
  test.add(test.assign(variable, test.number(127, kI8)));
  test.add(&test.assign_map(before, nullptr, converted(test, increment({}, nullptr, 1, true), kI64)));
  RUN(run, test);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(run.run({5}).has_value());
  EXPECT_EQ(value_at<int64_t>(*run.value(map, int64_t{5})), 3);
  EXPECT_EQ(value_at<int64_t>(run.value(scalar)), -3);
  EXPECT_EQ(value_at<int64_t>(run.value(seen)), -2);
  EXPECT_EQ(value_at<int64_t>(run.value(before)), -128);
}

// ---- loops

LowerOptions old_options() {
  LowerOptions options = modern_options();
  options.has_loop = options.has_for_each = options.has_function_address = options.has_tai = false;
  options.has_per_cpu_lookup = options.has_safe_allocation = false;
  return options;
}

TEST(ScriptLower, Loops) {
  for (bool is_old : {false, true}) {
    TestScript test;
    uint32_t sum = test.add_map(Type(), kI64), after = test.add_map(Type(), kI64);
    uint32_t i = test.add_variable(kI64), j = test.add_variable(kI64), total = test.add_variable(kI64);
    auto add = [&](const Node *value) {
      return test.assign(total, &test.make(Op::kAdd, kI64, {test.variable(total), value}));
    };
    auto when = [&](Op op, uint32_t variable, const Node *other, std::vector<const Step *> body) {
      Step &step = test.step(Step::Kind::kIf);
      step.value = &test.make(op, kBoolean, {test.variable(variable), other});
      step.body = std::move(body);
      return &step;
    };
    test.add(test.assign(total, test.number(0)));
    // for $i : 2..word(0) { if ($i == 3) { continue } if ($i == 7) { break }
    //   $j = 0; while ($j < $i) { $j++; if ($i == word(1)) { return } total += $j } }
    Step &outer = test.step(Step::Kind::kForRange);
    outer.variable = i;
    outer.value = test.number(2);
    outer.end = test.word(0);
    Step &inner = test.step(Step::Kind::kWhile);
    inner.value = &test.make(Op::kLess, kBoolean, {test.variable(j), test.variable(i)});
    Node &increment = test.make(Op::kIncrement, kI64);
    increment.number = j;
    increment.by = 1;
    inner.body = {test.evaluate(&increment), when(Op::kEqual, i, test.word(1), {&test.step(Step::Kind::kReturn)}),
                  add(test.variable(j))};
    outer.body = {when(Op::kEqual, i, test.number(3), {&test.step(Step::Kind::kContinue)}),
                  when(Op::kEqual, i, test.number(7), {&test.step(Step::Kind::kBreak)}), test.assign(j, test.number(0)),
                  &inner, &test.assign_map(sum, nullptr, test.variable(total))};
    test.add(&outer);
    test.add(&test.assign_map(after, nullptr, test.variable(total)));
    Result<TestRun> run = TestRun::make(test.script, test.sources, is_old ? old_options() : modern_options());
    if (!run && run.error().code == ErrorCode::kDenied) GTEST_SKIP();
    ASSERT_TRUE(run.has_value()) << run.error().text();
    ASSERT_TRUE(run->run({100, 100}).has_value());
    // 2: 1+2; 4: 10; 5: 15; 6: 21
    EXPECT_EQ(value_at<int64_t>(run->value(sum)), 49) << is_old;
    EXPECT_EQ(value_at<int64_t>(run->value(after)), 49) << is_old;
    ASSERT_TRUE(run->run({5, 100}).has_value());
    EXPECT_EQ(value_at<int64_t>(run->value(after)), 13) << is_old;
    // Returns in the first turn for 4.
    ASSERT_TRUE(run->run({100, 4}).has_value());
    EXPECT_EQ(value_at<int64_t>(run->value(sum)), 3) << is_old;
    EXPECT_EQ(value_at<int64_t>(run->value(after)), 13) << is_old;
  }
}

TEST(ScriptLower, LoopsOverMaps) {
  TestScript test;
  const Type key = Type::tuple({{"", kI64}, {"", Type::string(40)}});
  uint32_t map = test.add_map(key, kI64), counts = test.add_map(kI64, Type::aggregate(TypeKind::kCount, false));
  uint32_t sum = test.add_map(Type(), kI64), texts = test.add_map(Type::string(40), kI64);
  uint32_t entry = test.add_variable(Type::tuple({{"", key}, {"", kI64}}));
  uint32_t count_entry = test.add_variable(Type::tuple({{"", kI64}, {"", kU64}}));
  uint32_t total = test.add_variable(kI64);
  for (int i = 1; i <= 3; i++) {
    test.add(&test.assign_map(map, test.tuple({test.number(i), test.text(fmt::format("key {}", i), 40)}),
                              test.number(i * 10)));
    test.add(&test.count(counts, test.number(i)));
    test.add(&test.count(counts, test.number(i)));
  }
  test.add(test.assign(total, test.number(0)));
  auto add = [&](const Node *value) {
    return test.assign(total, &test.make(Op::kAdd, kI64, {test.variable(total), value}));
  };
  Step &loop = test.step(Step::Kind::kForMap);
  loop.map = map;
  loop.variable = entry;
  const Node *entry_key = test.field(test.variable(entry), 0), *entry_value = test.field(test.variable(entry), 1);
  loop.body = {add(entry_value), add(test.field(entry_key, 0)),
               &test.assign_map(texts, test.field(entry_key, 1), test.word(0))};
  test.add(&loop);
  Step &count_loop = test.step(Step::Kind::kForMap);
  count_loop.map = counts;
  count_loop.variable = count_entry;
  count_loop.body = {add(converted(test, test.field(test.variable(count_entry), 1), kI64))};
  test.add(&count_loop);
  test.add(&test.assign_map(sum, nullptr, test.variable(total)));
  RUN(run, test);
  ASSERT_TRUE(run.run({77}).has_value());
  EXPECT_EQ(value_at<int64_t>(run.value(sum)), 60 + 6 + 6);
  Bytes text(40);
  std::memcpy(text.data(), "key 2", 5);
  ASSERT_TRUE(run.value(texts, text).has_value());
  EXPECT_EQ(value_at<int64_t>(*run.value(texts, text)), 77);
}

TEST(ScriptLower, KeepsEachStackOnce) {
  TestScript test;
  const Type kernel = Type::stack(TypeKind::kKernelStack, StackMode::kBpftrace, 127);
  const Type user = Type::stack(TypeKind::kUserStack, StackMode::kBpftrace, 20);
  test.script.stack_frames_most = 127;
  uint32_t counts = test.add_map(kernel, Type::aggregate(TypeKind::kCount, false));
  uint32_t users = test.add_map(user, Type::aggregate(TypeKind::kCount, false));
  uint32_t length = test.add_map(Type(), kU64);
  test.add(&test.count(counts, &test.make(Op::kKernelStack, kernel)));
  test.add(&test.count(users, &test.make(Op::kUserStack, user)));
  test.add(
      &test.assign_map(length, nullptr, &test.make(Op::kStackLength, kU64, {&test.make(Op::kKernelStack, kernel)})));
  RUN(run, test);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(run.run().has_value());
  std::vector<Bytes> keys = run.keys(counts), stacks = run.keys(run.map_of(MapPlan::Role::kStacks));
  ASSERT_FALSE(keys.empty());
  for (const Bytes &each : keys) {
    if (value_at<uint64_t>(each) == 0) continue;
    std::optional<Bytes> stack = run.look_up(run.map_of(MapPlan::Role::kStacks), each);
    ASSERT_TRUE(stack.has_value());
    uint32_t frames = value_at<uint32_t>(*stack);
    EXPECT_GT(frames, 0u);
    EXPECT_LE(frames, 127u);
    EXPECT_EQ(value_at<uint64_t>(run.value(length)) > 0, true);
  }
  EXPECT_LE(stacks.size(), 10u);
  EXPECT_EQ(value_at<uint32_t>(run.keys(users).front(), 8), static_cast<uint32_t>(getpid()));
}

// ---- every kind of program is one that the kernel takes

struct MechanismCase {
  const char *name;
  Mechanism mechanism;
  Provider provider;
  bpf_prog_type type;
  bpf_attach_type attach_type;
  const char *attach_to;
};

const MechanismCase kMechanisms[] = {
    {"tracepoint", Mechanism::kTracepoint, Provider::kTracepoint, BPF_PROG_TYPE_TRACEPOINT, {}, nullptr},
    {"rawtracepoint", Mechanism::kRawTracepoint, Provider::kRawTracepoint, BPF_PROG_TYPE_RAW_TRACEPOINT, {}, nullptr},
    {"tp_btf", Mechanism::kTpBtf, Provider::kRawTracepoint, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, "sched_switch"},
    {"fentry", Mechanism::kFentry, Provider::kFentry, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "vfs_open"},
    {"iter", Mechanism::kIterator, Provider::kIterator, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, "task"},
    {"kprobe", Mechanism::kKprobe, Provider::kKprobe, BPF_PROG_TYPE_KPROBE, {}, nullptr},
    {"uprobe", Mechanism::kUprobe, Provider::kUprobe, BPF_PROG_TYPE_KPROBE, {}, nullptr},
    {"uretprobe", Mechanism::kUprobe, Provider::kUretprobe, BPF_PROG_TYPE_KPROBE, {}, nullptr},
    {"profile", Mechanism::kPerfEvent, Provider::kProfile, BPF_PROG_TYPE_PERF_EVENT, {}, nullptr},
    {"begin", Mechanism::kItself, Provider::kBegin, BPF_PROG_TYPE_RAW_TRACEPOINT, {}, nullptr},
};

// A bit of everything, as far as the mechanism has it.
void write_much(TestScript &t, const MechanismCase &of) {
  const bool has_registers = of.type == BPF_PROG_TYPE_KPROBE || of.type == BPF_PROG_TYPE_PERF_EVENT;
  const bool has_words = of.type == BPF_PROG_TYPE_TRACING || of.type == BPF_PROG_TYPE_RAW_TRACEPOINT;
  const Type task = Type::record(std::make_shared<Record>(Record{"struct task_struct", 4096, {}}));
  const Type pointer = Type::pointer(task, AddressSpace::kKernel);
  const Type kernel = Type::stack(TypeKind::kKernelStack, StackMode::kBpftrace, 127);
  const Type user = Type::stack(TypeKind::kUserStack, StackMode::kBpftrace, 127);
  t.script.stack_frames_most = 127;
  std::vector<const Node *> values = {&t.make(Op::kPid, kU32),
                                      &t.make(Op::kTid, kU32),
                                      &t.make(Op::kUid, kU64),
                                      &t.make(Op::kGid, kU64),
                                      &t.make(Op::kCpu, kU64),
                                      &t.make(Op::kNumaNode, kU64),
                                      &t.make(Op::kCgroup, kU64),
                                      &t.make(Op::kCurtask, pointer),
                                      &t.make(Op::kRandom, kU32),
                                      &t.make(Op::kNanoseconds, kU64),
                                      &t.make(Op::kNanoseconds, kU64, {}, 1),
                                      &t.make(Op::kNanoseconds, kU64, {}, 2),
                                      &t.make(Op::kNanoseconds, kU64, {}, 3),
                                      &t.make(Op::kElapsed, kU64),
                                      &t.make(Op::kJiffies, kU64),
                                      &t.make(Op::kContextAddress, kU64),
                                      &t.make(Op::kGlobal, kU64, {}, 1)};
  const Node *anything = &t.make(Op::kCurtask, pointer);
  if (has_registers) {
    values.push_back(&t.make(Op::kRegister, kU64, {}, 112));
    values.push_back(&t.make(Op::kStackArgument, kU64, {}, 1));
    values.push_back(&t.make(Op::kUserMode, kU8));
    values.push_back(&t.make(Op::kFunction, kU64));
    anything = &t.make(Op::kRegister, pointer, {}, 112);
  } else if (has_words) {
    anything = &t.make(Op::kContextWord, pointer, {}, 8);
    values.push_back(&t.make(Op::kAdd, kU64, {&t.make(Op::kConvert, kU64, {anything}), t.number(4096, kU64)}));
  } else {
    values.push_back(&t.make(Op::kContext, kI32, {}, 12));
  }
  values.push_back(&t.make(Op::kField, kI32, {&t.make(Op::kDereference, task, {anything})}, 1200));
  uint32_t sums = t.add_map(Type(), kU64), strings = t.add_map(Type::string(64), kU64),
           stacks = t.add_map(kernel, Type::aggregate(TypeKind::kCount, false)),
           users = t.add_map(user, Type::aggregate(TypeKind::kHist, true));
  for (const Node *each : values) {
    const Node *value = each->type == kU64 ? each : &t.make(Op::kConvert, kU64, {each});
    t.add(&t.assign_map(sums, nullptr, &t.make(Op::kAdd, kU64, {t.map_value(sums), value})));
  }
  // Strings in the kernel's records, and behind pointers, in keys; loops around them.
  Step &loop = t.step(Step::Kind::kForRange);
  loop.variable = t.add_variable(kI64);
  loop.value = t.number(0);
  loop.end = &t.make(Op::kConvert, kI64, {values[4]});
  const Node *name = &t.make(Op::kField, Type::string(16), {&t.make(Op::kDereference, task, {anything})}, 1300);
  const Node *long_name = &t.make(Op::kString, Type::string(64), {anything});
  loop.body = {&t.assign_map(strings, converted(t, name, Type::string(64)), values[9]),
               &t.assign_map(strings, long_name, values[9])};
  t.add(&loop);
  t.add(&t.count(stacks, &t.make(Op::kKernelStack, kernel)));
  t.add(&t.count(users, &t.make(Op::kUserStack, user), t.number(3)));
  uint32_t action = t.add_action(Action::Kind::kPrintf, {kU64, Type::string(1024), user});
  t.add(
      t.emit(action, {values[9], &t.make(Op::kString, Type::string(1024), {anything}), &t.make(Op::kUserStack, user)}));
}

TEST(ScriptLower, SuitsEveryMechanism) {
  for (const MechanismCase &each : kMechanisms)
    for (bool is_old : {false, true}) {
      TestScript test(each.mechanism, each.provider);
      write_much(test, each);
      Result<TestRun> run = TestRun::make(test.script, test.sources, is_old ? old_options() : modern_options(),
                                          each.type, each.attach_type, each.attach_to);
      // Some hosts refuse some of them, whatever they do.
      if (!run && run.error().code == ErrorCode::kDenied) continue;
      EXPECT_TRUE(run.has_value()) << each.name << " " << is_old << "\n" << run.error().text();
    }
}

// ---- what scripts cost

struct CostCase {
  const char *name;
  std::function<void(TestScript &)> write;
  size_t instructions_most;
};

const CostCase kCosts[] = {
    {"@[comm] = count()",
     [](TestScript &t) {
       uint32_t map = t.add_map(Type::string(16), Type::aggregate(TypeKind::kCount, false));
       t.add(&t.count(map, &t.make(Op::kComm, Type::string(16))));
     },
     31},
    {"@ = count()",
     [](TestScript &t) { t.add(&t.count(t.add_map(Type(), Type::aggregate(TypeKind::kCount, false)), nullptr)); }, 12},
    {"/pid == 1/ { @ = count() }",
     [](TestScript &t) {
       t.script.programs[0].predicate = &t.make(Op::kEqual, kBoolean, {&t.make(Op::kPid, kU32), t.number(1, kU32)});
       t.add(&t.count(t.add_map(Type(), Type::aggregate(TypeKind::kCount, false)), nullptr));
     },
     16},
    {"@ = hist(args.id)",
     [](TestScript &t) {
       uint32_t map = t.add_map(Type(), Type::aggregate(TypeKind::kHist, true));
       t.add(&t.count(map, nullptr, &t.make(Op::kContext, kI64, {}, 8)));
     },
     64},
    {"@start[tid] = nsecs",
     [](TestScript &t) {
       uint32_t map = t.add_map(kU32, kU64);
       t.add(&t.assign_map(map, &t.make(Op::kTid, kU32), &t.make(Op::kNanoseconds, kU64)));
     },
     20},
    {"printf(\"%d\", pid)",
     [](TestScript &t) {
       uint32_t action = t.add_action(Action::Kind::kPrintf, {kU32});
       t.add(t.emit(action, {&t.make(Op::kPid, kU32)}));
     },
     42},
};

TEST(ScriptLower, TakesFewInstructions) {
  for (const CostCase &each : kCosts) {
    TestScript test(Mechanism::kTracepoint, Provider::kTracepoint);
    each.write(test);
    Result<Lowered> lowered = lower(test.script, test.sources, modern_options());
    ASSERT_TRUE(lowered.has_value()) << lowered.error().text();
    const codegen::Code &code = lowered->programs[0].code;
    EXPECT_LE(code.instructions.size(), each.instructions_most) << each.name << "\n" << codegen::listing(code);
  }
}

}  // namespace
}  // namespace waggle::script
