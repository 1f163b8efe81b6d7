#include "script/output/value.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "script/output/fake_resolver.h"
#include "script/output/time_text.h"

namespace waggle::script {
namespace {

Type int32() {
  return Type::integer(4, true);
}
Type int64() {
  return Type::integer(8, true);
}

struct Case {
  Type type;
  std::vector<std::byte> bytes;
  std::string text, json;
};

void expect(const std::vector<Case> &cases, FakeResolver resolver = {}) {
  for (const Case &each : cases) {
    EXPECT_EQ(text_of(each.type, each.bytes, resolver), each.text) << each.type.name();
    EXPECT_EQ(json_of(each.type, each.bytes, resolver), each.json) << each.type.name();
  }
}

TEST(Value, OfNumbers) {
  Type color = Type::enumeration("color", 4, {{"red", 0}, {"blue", 7}});
  Type signed_enum = Type::enumeration("state", 4, {{"bad", -1}});
  expect({
      {Type::integer(1, true), bytes_of<int8_t>(-128), "-128", "-128"},
      {Type::integer(1, false), bytes_of<uint8_t>(255), "255", "255"},
      {Type::integer(2, true), bytes_of<int16_t>(-2), "-2", "-2"},
      {Type::integer(4, false), bytes_of<uint32_t>(~0u), "4294967295", "4294967295"},
      {int64(), bytes_of<int64_t>(INT64_MIN), "-9223372036854775808", "-9223372036854775808"},
      {Type::integer(8, false), bytes_of<uint64_t>(~0ull), "18446744073709551615", "18446744073709551615"},
      {Type(TypeKind::kBool, 1), bytes_of<uint8_t>(1), "true", "true"},
      {Type(TypeKind::kBool, 1), bytes_of<uint8_t>(0), "false", "false"},
      {color, bytes_of<uint32_t>(7), "blue", "\"blue\""},
      {color, bytes_of<uint32_t>(8), "8", "8"},
      {signed_enum, bytes_of<int32_t>(-1), "bad", "\"bad\""},
      {signed_enum, bytes_of<int32_t>(-2), "-2", "-2"},
      {Type::pointer(int32()), bytes_of<uint64_t>(0xffff8880), "0xffff8880", "\"0xffff8880\""},
      {Type::pointer(int32()), bytes_of<uint64_t>(0), "0x0", "\"0x0\""},
  });
}

TEST(Value, OfTextsAndBuffers) {
  expect({
      {Type::string(8), Bytes().text("abc", 8).take(), "abc", "\"abc\""},
      {Type::string(3), Bytes().text("abc", 3).take(), "abc", "\"abc\""},
      {Type::string(8), Bytes().text("a\"\n\\", 8).take(), "a\"\n\\", R"("a\"\n\\")"},
      {Type::string(4), Bytes().text("\xff", 4).take(), "\xff", R"("\udcff")"},
      {Type::buffer(8), Bytes().number<uint32_t>(3).text(std::string_view("a\0~", 3), 8).take(), "a\\x00~",
       R"("a\\x00~")"},
      // A length that says more than there is.
      {Type::buffer(2), Bytes().number<uint32_t>(99).text("ab", 2).take(), "ab", "\"ab\""},
  });
}

TEST(Value, OfAStringThatWasCutSaysSo) {
  FakeResolver resolver;
  resolver.cut_at = 3;
  expect({{Type::string(4), Bytes().text("abc", 4).take(), "abc..", "\"abc..\""},
          {Type::string(4), Bytes().text("ab", 4).take(), "ab", "\"ab\""}},
         resolver);
}

TEST(Value, OfArraysTuplesAndRecords) {
  auto inner = std::make_shared<Record>(Record{"", 4, {{"c", int32(), 0, 0, 0}}});
  auto record = std::make_shared<Record>(Record{"struct a",
                                                16,
                                                {{"a", int32(), 0, 0, 0},
                                                 {"low", Type::integer(4, false), 4, 0, 3},
                                                 {"high", int32(), 4, 3, 5},
                                                 {"", Type::record(inner), 8, 0, 0},
                                                 {"s", Type::string(4), 12, 0, 0}}});
  auto record_bytes = Bytes().number<int32_t>(-1).number<uint32_t>(0xfd).number<int32_t>(9).text("hi", 4).take();
  auto empty = std::make_shared<Record>(Record{"struct none", 0, {}});
  Type pair = Type::tuple({{"", int32()}, {"", Type::string(4)}});
  auto pair_bytes = Bytes().number<int32_t>(1).text("x", 4).take();
  expect({
      {Type::array(int32(), 3), Bytes().number<int32_t>(1).number<int32_t>(-2).number<int32_t>(3).take(), "[1,-2,3]",
       "[1,-2,3]"},
      {Type::array(int32(), 0), {}, "[]", "[]"},
      {pair, pair_bytes, "(1, x)", R"([1,"x"])"},
      {Type::tuple({{"", int32()}}), bytes_of<int32_t>(1), "(1,)", "[1]"},
      {Type::tuple({}), {}, "()", "[]"},
      {Type::tuple({{"", pair}, {"", int32()}}), Bytes().number<int32_t>(1).text("x", 4).number<int32_t>(2).take(),
       "((1, x), 2)", R"([[1,"x"],2])"},
      {Type::tuple({{"a", int32()}, {"b", int32()}}), Bytes().number<int32_t>(1).number<int32_t>(2).take(),
       "{ .a = 1, .b = 2 }", R"({ "a": 1, "b": 2 })"},
      {Type::record(record), record_bytes, "{ .a = -1, .low = 5, .high = -1, .c = 9, .s = hi }",
       R"({ "a": -1, "low": 5, "high": -1, "c": 9, "s": "hi" })"},
      {Type::record(empty), {}, "{ }", "{ }"},
  });
}

TEST(Value, OfWhatNumbersStandFor) {
  FakeResolver resolver;
  resolver.users[1000] = "ann";
  resolver.paths[7] = "unified:/a.slice";
  resolver.formats[2] = {"%s.%f %%f", Clock::kBoot};
  resolver.formats[3] = {"%s", Clock::kRealtime};
  resolver.boot_ns = 1'000'000'000;
  resolver.kernel[0x10] = {{"vfs_read", 3, "vmlinux", "", false}};
  resolver.user[0x20] = {{"tiny", 0, "", "", true}, {"main", 9, "/bin/a", "", false}};
  expect(
      {
          {Type(TypeKind::kInet, 24), Bytes().number<uint64_t>(2).text(std::string_view("\x7f\0\0\x1", 4), 16).take(),
           "127.0.0.1", "\"127.0.0.1\""},
          {Type(TypeKind::kInet, 24),
           Bytes().number<uint64_t>(10).text(std::string_view("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x1", 16), 16).take(),
           "fe80::1", "\"fe80::1\""},
          {Type(TypeKind::kInet, 24), Bytes().number<uint64_t>(99).text("", 16).take(), "", "\"\""},
          {Type(TypeKind::kMacAddress, 6), Bytes().text("\xaa\x01\x02\x03\x04\xff", 6).take(), "AA:01:02:03:04:FF",
           "\"AA:01:02:03:04:FF\""},
          {Type(TypeKind::kUsername, 8), bytes_of<uint64_t>(1000), "ann", "\"ann\""},
          {Type(TypeKind::kUsername, 8), bytes_of<uint64_t>(1001), "1001", "\"1001\""},
          {Type(TypeKind::kErrno, 8), bytes_of<uint64_t>(2), "No such file or directory",
           "\"No such file or directory\""},
          {Type(TypeKind::kErrno, 8), bytes_of<int64_t>(-2), "Unknown error -2", "\"Unknown error -2\""},
          {Type(TypeKind::kErrno, 8), bytes_of<uint64_t>(5000), "Unknown error 5000", "\"Unknown error 5000\""},
          {Type(TypeKind::kTimestamp, 16), Bytes().words({2'000'123'456, 2}).take(), "3.000123 %f", "\"3.000123 %f\""},
          {Type(TypeKind::kTimestamp, 16), Bytes().words({2'000'123'456, 3}).take(), "2", "\"2\""},
          {Type(TypeKind::kCgroupPath, 16), Bytes().words({1, 7}).take(), "unified:/a.slice", "\"unified:/a.slice\""},
          {Type(TypeKind::kKernelSymbol, 8), bytes_of<uint64_t>(0x10), "vfs_read", "\"vfs_read\""},
          {Type(TypeKind::kKernelSymbol, 8), bytes_of<uint64_t>(0x11), "0x11", "\"0x11\""},
          {Type(TypeKind::kUserSymbol, 16), Bytes().words({0x20, 1}).take(), "main", "\"main\""},
          {Type(TypeKind::kUserSymbol, 16), Bytes().words({0x21, 1}).take(), "0x21", "\"0x21\""},
      },
      resolver);
}

TEST(Value, OfStacksIsLaidOutByMode) {
  FakeResolver resolver;
  resolver.kernel[0xf0] = {{"tiny", 0, "vmlinux", "a/b.c:3", true}, {"vfs_read", 3, "vmlinux", "a/b.c:7", false}};
  resolver.kernel[0xf1] = {{"ksys_read", 155, "vmlinux", "", false}};
  resolver.stacks[1] = {{0xf0, "", 0}, {0xf1, "", 0}, {0xf2, "", 0}};
  resolver.stacks[2] = {{0xf0, "5fb0", 0x1234}, {0xf1, "", 0}};
  struct {
    StackMode mode;
    uint64_t id;
    const char *text;
  } cases[] = {
      {StackMode::kBpftrace, 1,
       "\n        [inlined] tiny@a/b.c:3\n        vfs_read+3@a/b.c:7\n        ksys_read+155\n        0xf2\n"},
      {StackMode::kPerf, 1,
       "\n\tf0 [inlined] tiny (vmlinux)@a/b.c:3\n\tf0 vfs_read+3 (vmlinux)@a/b.c:7\n\tf1 ksys_read+155 (vmlinux)\n"
       "\tf2 0xf2 ([unknown])\n"},
      {StackMode::kRaw, 1, "\n        f0\n        f1\n        f2\n"},
      {StackMode::kBuildId, 2, "\n        5fb0 0x1234\n        f1\n"},
      {StackMode::kBpftrace, 9, "\n"},
  };
  for (const auto &each : cases) {
    Type type = Type::stack(TypeKind::kKernelStack, each.mode, 127);
    EXPECT_EQ(text_of(type, bytes_of(each.id), resolver), each.text);
  }
  resolver.user[0xf0] = {{"main", 1, "/bin/a", "", false}};
  resolver.stacks[3] = {{0xf0, "", 0}};
  Type type = Type::stack(TypeKind::kUserStack, StackMode::kPerf, 127);
  EXPECT_EQ(text_of(type, Bytes().words({3, 42}).take(), resolver), "\n\tf0 main+1 (/bin/a)\n");
  EXPECT_EQ(json_of(type, Bytes().words({3, 42}).take(), resolver), "\"\\n\\tf0 main+1 (/bin/a)\\n\"");
}

TEST(Value, OfAggregates) {
  uint64_t negative = static_cast<uint64_t>(int64_t{-6});
  expect({
      {Type::aggregate(TypeKind::kCount, true), bytes_of<uint64_t>(3), "3", "3"},
      {Type::aggregate(TypeKind::kSum, true), bytes_of(negative), "-6", "-6"},
      {Type::aggregate(TypeKind::kSum, false), bytes_of(negative), "18446744073709551610", "18446744073709551610"},
      {Type::aggregate(TypeKind::kMin, true), Bytes().words({negative, 1}).take(), "-6", "-6"},
      {Type::aggregate(TypeKind::kAvg, true), Bytes().words({negative, 2}).take(), "-3", "-3"},
      {Type::aggregate(TypeKind::kStats, true), Bytes().words({6, 2}).take(), "count 2, average 3, total 6",
       R"({"count": 2, "average": 3, "total": 6})"},
      {Type::aggregate(TypeKind::kLhist, true, {0, 0, 2, 1}), Bytes().words({0, 4, 0, 0}).take(),
       "[0, 1)                 4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n",
       R"([{"min": 0, "max": 0, "count": 4}])"},
  });
}

TEST(Value, OfTimeSeriesIsAGraph) {
  setenv("TZ", "UTC", 1);
  tzset();
  FakeResolver resolver;
  AggregateParameters parameters;
  parameters.interval_ns = 100'000'000;
  parameters.buckets = 4;
  Type type = Type::aggregate(TypeKind::kTseries, true, parameters);
  auto bytes = Bytes().words({0, 1, 36000, 5, 1, 36001, 0, 0, 0, 10, 1, 36003}).take();
  EXPECT_EQ(text_of(type, bytes, resolver),
            "             0                                                   10\n"
            "hh:mm:ss.ms  |___________________________________________________|\n"
            "01:00:00.000 *                                                   | 0\n"
            "01:00:00.100 |                         *                         | 5\n"
            "01:00:00.200 |                                                   | -\n"
            "01:00:00.300 |                                                   * 10\n"
            "             v___________________________________________________v\n"
            "             0                                                   10\n");
  EXPECT_EQ(json_of(type, bytes, resolver),
            R"([{"interval_start": "01:00:00.000", "value": 0}, {"interval_start": "01:00:00.100", "value": 5}, )"
            R"({"interval_start": "01:00:00.200", "value": null}, {"interval_start": "01:00:00.300", "value": 10}])");
  EXPECT_EQ(text_of(type, Bytes().words({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).take(), resolver), "");
}

TEST(Time, IsCutAndNeverFails) {
  struct {
    std::string format;
    const char *text;
  } cases[] = {
      {"", ""}, {"%f", "000001"}, {"%%f", "%f"}, {"%", "%"}, {"%s", "0"}, {"%k|", " 0|"}, {"a%%%f", "a%000001"},
  };
  setenv("TZ", "UTC", 1);
  tzset();
  for (const auto &each : cases) {
    std::string text;
    append_time(text, each.format, 1500);
    EXPECT_EQ(text, each.text) << each.format;
  }
  std::string before;
  append_time(before, "%s.%f", -1000);
  EXPECT_EQ(before, "-1.999999");
  std::string text;
  append_time(text, std::string(5000, 'a'), 0);
  EXPECT_EQ(text.size(), kTimeFormatBytesMost);
}

TEST(Buffer, IsWrittenInThreeForms) {
  auto bytes = Bytes().text(std::string_view("a\0\xff", 3), 3).take();
  struct {
    BufferForm form;
    const char *text;
  } cases[] = {{BufferForm::kMixed, "a\\x00\\xff"},
               {BufferForm::kEscaped, "\\x61\\x00\\xff"},
               {BufferForm::kBlanks, "61 00 ff"}};
  for (const auto &each : cases) {
    std::string text;
    append_buffer(text, bytes, each.form);
    EXPECT_EQ(text, each.text);
  }
}

}  // namespace
}  // namespace waggle::script
