#include "schema/batch.h"

#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
namespace {

Column column(Kind kind, uint32_t offset, uint32_t size, bool is_signed = false) {
  Column column;
  column.name = "c";
  column.kind = kind;
  column.offset = offset;
  column.size = size;
  column.is_signed = is_signed;
  return column;
}

Row row_of(std::string_view bytes) {
  return std::as_bytes(std::span(bytes));
}

TEST(Batch, ReadsIntegersOfEverySize) {
  struct Case {
    std::string_view bytes;
    uint32_t size;
    bool is_signed;
    int64_t value;
  };
  using namespace std::string_view_literals;
  constexpr Case kCases[] = {
      {"\xff"sv, 1, false, 255},
      {"\xff"sv, 1, true, -1},
      {"\xfe\xff"sv, 2, true, -2},
      {"\xfe\xff"sv, 2, false, 65534},
      {"\xfe\xff\xff\xff"sv, 4, true, -2},
      {"\x01\x00\x00\x80"sv, 4, false, 0x80000001},
      {"\x01\x00\x00\x00\x00\x00\x00\x00"sv, 8, false, 1},
      {"\x01\x00"sv, 4, false, 0},  // the row ends before the column does
  };
  for (const Case &c : kCases)
    EXPECT_EQ(integer(column(Kind::kNumber, 0, c.size, c.is_signed), row_of(c.bytes)), c.value);
}

TEST(Batch, ReadsTextToItsEnd) {
  struct Case {
    std::string_view bytes;
    Kind kind;
    std::string_view text;
  };
  using namespace std::string_view_literals;
  constexpr Case kCases[] = {
      {"..bash\0\0\0"sv, Kind::kComm, "bash"sv},
      {"..cut without a nul"sv, Kind::kPath, "cut without a nul"sv},
      {".."sv, Kind::kPath, ""sv},
      {"."sv, Kind::kPath, ""sv},  // the row ends before the column begins
      {"..ls\0-l\0"sv, Kind::kArgv, "ls\0-l\0"sv},
      {"..ls\0\0"sv, Kind::kArgv, "ls\0\0"sv},  // an empty last argument
      {"..\0"sv, Kind::kArgv, "\0"sv},          // one argument, empty
      {".."sv, Kind::kArgv, ""sv},              // none
      {"..ls\0-l"sv, Kind::kArgv, "ls\0-l"sv},  // cut off
  };
  for (const Case &c : kCases) EXPECT_EQ(text(column(c.kind, 2, 256), row_of(c.bytes)), c.text);
}

TEST(Batch, StackKeepsToWhatIsThere) {
  std::vector<uint64_t> words = {uint64_t{2} | uint64_t{3} << 32, 11, 12, 21, 22};  // one user frame short
  Row row = std::as_bytes(std::span(words));
  Stack frames = stack(column(Kind::kStack, 0, 8 + 8 * 254), row);
  EXPECT_EQ(frames.kernel, (std::vector<uint64_t>{11, 12}));
  EXPECT_EQ(frames.user, (std::vector<uint64_t>{21, 22}));
  EXPECT_TRUE(stack(column(Kind::kStack, 0, 8), Row()).user.empty());
}

TEST(Histogram, ObservesInPowersOfTwo) {
  Histogram histogram;
  for (uint64_t value : {0, 1, 2, 3, 4, 1000}) histogram.observe(value);
  histogram.observe(UINT64_MAX);
  EXPECT_EQ(histogram.count, 7u);
  EXPECT_EQ(histogram.slots[0], 2u);
  EXPECT_EQ(histogram.slots[1], 2u);
  EXPECT_EQ(histogram.slots[2], 1u);
  EXPECT_EQ(histogram.slots[9], 1u);
  EXPECT_EQ(histogram.slots[Histogram::kSlots - 1], 1u);
  EXPECT_EQ(histogram.most, UINT64_MAX);
}

TEST(Histogram, QuantilesLieWithinTheirSlot) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (int i = 0; i < 99; i++) histogram.observe(1500);
  histogram.observe(1'000'000);
  EXPECT_GE(histogram.quantile(0.5), 1024);
  EXPECT_LT(histogram.quantile(0.5), 2048);
  EXPECT_LE(histogram.quantile(1.0), 1'000'000);
  EXPECT_GE(histogram.quantile(0.999), 524'288);
}

TEST(Histogram, SubtractsAnOlderState) {
  Histogram older, newer;
  older.observe(100);
  newer.observe(100);
  newer.observe(5000);
  newer.subtract(older);
  EXPECT_EQ(newer.count, 1u);
  EXPECT_EQ(newer.sum, 5000u);
  EXPECT_EQ(newer.slots[6], 0u);
  EXPECT_EQ(newer.slots[12], 1u);
  EXPECT_EQ(newer.most, 5000u);
}

TEST(Histogram, SubtractingLeavesTheMostOfWhatIsLeft) {
  constexpr uint64_t kBeyond = uint64_t{1} << 45;
  struct Case {
    std::vector<uint64_t> before, since;
    uint64_t most;
  };
  const Case kCases[] = {
      {{100}, {5000}, 5000},                                                         // the largest so far: exact
      {{5000}, {100}, 127},                                                          // somewhere in [64, 128)
      {{100}, {99}, 100},                                                            // never above what ever was
      {{5000}, {}, 0},       {{5000}, {1}, 1}, {{kBeyond}, {kBeyond - 1}, kBeyond},  // both in the slot without an end
  };
  for (const Case &c : kCases) {
    Histogram older, newer;
    for (uint64_t value : c.before) older.observe(value), newer.observe(value);
    for (uint64_t value : c.since) newer.observe(value);
    newer.subtract(older);
    EXPECT_EQ(newer.most, c.most);
    EXPECT_EQ(newer.count, c.since.size());
  }
}

TEST(Kind, EveryTypedefHasOneKind) {
  EXPECT_EQ(kind_of_type("wg_pid"), Kind::kPid);
  EXPECT_EQ(kind_of_type("wg_nanoseconds"), Kind::kDuration);
  EXPECT_EQ(kind_of_type("pid_t"), std::nullopt);
  EXPECT_EQ(kind_of_type(""), std::nullopt);
}

}  // namespace
}  // namespace waggle
