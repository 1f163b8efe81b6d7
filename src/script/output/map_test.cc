#include "script/output/map.h"

#include <gtest/gtest.h>

#include "script/output/fake_resolver.h"

namespace waggle::script {
namespace {

Type int64() {
  return Type::integer(8, true);
}
Type count() {
  return Type::aggregate(TypeKind::kCount, true);
}

MapEntry entry(std::string_view key, std::vector<std::byte> value) {
  return {Bytes().text(key, 8).take(), std::move(value)};
}
MapEntry numbered(int64_t key, std::vector<std::byte> value) {
  return {bytes_of(key), std::move(value)};
}
std::vector<std::byte> number(int64_t value) {
  return bytes_of(value);
}
std::vector<std::byte> words(std::initializer_list<uint64_t> values) {
  return Bytes().words(values).take();
}

constexpr const char *kBar = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

TEST(Map, IsPrintedInOrder) {
  Type lhist = Type::aggregate(TypeKind::kLhist, true, {0, 0, 2, 1});
  Type pair = Type::tuple({{"", int64()}, {"", Type::string(8)}});
  Type named = Type::tuple({{"a", int64()}, {"b", int64()}});
  Type stack = Type::stack(TypeKind::kKernelStack, StackMode::kBpftrace, 127);
  auto pair_key = [](int64_t one, std::string_view two) { return Bytes().number(one).text(two, 8).take(); };
  struct Case {
    const char *what;
    MapShape shape;
    std::vector<MapEntry> entries;
    MapLimits limits;
    std::string text, json;
  };
  const Case kCases[] = {
      {"a scalar", {"@", Type(), int64()}, {{{}, number(-1)}}, {}, "@: -1\n", R"("map", "data": {"@": -1})"},
      {"an empty map", {"@a", int64(), int64()}, {}, {}, "\n", ""},
      {"by value",
       {"@a", Type::string(8), count()},
       {entry("z", number(3)), entry("b", number(1)), entry("a", number(3)), entry("c", number(2))},
       {},
       "@a[b]: 1\n@a[c]: 2\n@a[a]: 3\n@a[z]: 3\n",
       R"("map", "data": {"@a": {"b": 1, "c": 2, "a": 3, "z": 3}})"},
      {"by signed value",
       {"@", int64(), int64()},
       {numbered(1, number(5)), numbered(2, number(-5))},
       {},
       "@[2]: -5\n@[1]: 5\n",
       R"("map", "data": {"@": {"2": -5, "1": 5}})"},
      {"by key where values are no numbers",
       {"@", int64(), Type::string(8)},
       {numbered(10, Bytes().text("a", 8).take()), numbered(-1, Bytes().text("c", 8).take()),
        numbered(9, Bytes().text("b", 8).take())},
       {},
       "@[-1]: c\n@[9]: b\n@[10]: a\n",
       R"("map", "data": {"@": {"-1": "c", "9": "b", "10": "a"}})"},
      {"by several keys",
       {"@", pair, Type(TypeKind::kBool, 1)},
       {{pair_key(2, "a"), bytes_of<uint8_t>(1)},
        {pair_key(1, "b"), bytes_of<uint8_t>(0)},
        {pair_key(1, "a\"b"), bytes_of<uint8_t>(1)}},
       {},
       "@[1, a\"b]: true\n@[1, b]: false\n@[2, a]: true\n",
       R"("map", "data": {"@": {"1,a\"b": true, "1,b": false, "2,a": true}})"},
      {"with names",
       {"@", named, int64()},
       {{words({1, 2}), number(3)}},
       {},
       "@[{ .a = 1, .b = 2 }]: 3\n",
       R"("map", "data": {"@": {"{ .a = 1, .b = 2 }": 3}})"},
      {"the last two, divided",
       {"@", int64(), Type::aggregate(TypeKind::kAvg, true)},
       {numbered(1, words({10, 1})), numbered(2, words({90, 3})), numbered(3, words({20, 1}))},
       {2, 10},
       "@[3]: 2\n@[2]: 3\n\n",
       R"("stats", "data": {"@": {"3": 2, "2": 3}})"},
      {"stats",
       {"@", Type(), Type::aggregate(TypeKind::kStats, true)},
       {{{}, words({6, 2})}},
       {},
       "@: count 2, average 3, total 6\n\n",
       R"("stats", "data": {"@": {"count": 2, "average": 3, "total": 6}})"},
      {"stats are neither cut nor divided",
       {"@", int64(), Type::aggregate(TypeKind::kStats, true)},
       {numbered(1, words({60, 2})), numbered(2, words({8, 1}))},
       {1, 10},
       "@[2]: count 1, average 8, total 8\n@[1]: count 2, average 30, total 60\n\n",
       R"("stats", "data": {"@": {"2": {"count": 1, "average": 8, "total": 8}, )"
       R"("1": {"count": 2, "average": 30, "total": 60}}})"},
      {"histograms, by how many they counted",
       {"@", int64(), lhist},
       {numbered(1, words({0, 8, 0, 0})), numbered(2, words({0, 0, 4, 0}))},
       {},
       std::string("@[2]: \n[1, 2)                 4 |") + kBar + "|\n\n@[1]: \n[0, 1)                 8 |" + kBar +
           "|\n\n",
       R"("hist", "data": {"@": {"2": [{"min": 1, "max": 1, "count": 4}], "1": [{"min": 0, "max": 0, "count": 8}]}})"},
      {"a histogram without keys",
       {"@", Type(), lhist},
       {{{}, words({0, 4, 0, 0})}},
       {},
       std::string("@: \n[0, 1)                 4 |") + kBar + "|\n\n",
       R"("hist", "data": {"@": [{"min": 0, "max": 0, "count": 4}]})"},
      {"by stack",
       {"@", stack, count()},
       {{words({1}), number(2)}},
       {},
       "@[\n    0xf0\n]: 2\n",
       R"("map", "data": {"@": {"\n    0xf0\n": 2}})"},
  };
  FakeResolver resolver;
  resolver.stacks[1] = {{0xf0, "", 0}};
  for (const Case &each : kCases) {
    std::string text, json;
    append_map_text(text, each.shape, each.entries, each.limits, resolver);
    append_map_json(json, each.shape, each.entries, each.limits, resolver);
    EXPECT_EQ(text, each.text) << each.what;
    EXPECT_EQ(json, each.json.empty() ? "" : "{\"type\": " + each.json + "}\n") << each.what;
  }
}

}  // namespace
}  // namespace waggle::script
