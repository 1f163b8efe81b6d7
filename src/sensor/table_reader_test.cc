#include "sensor/table_reader.h"

#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
namespace {

struct Value {
  uint64_t count, gauge;
  Histogram latency;
};

Schema table_schema() {
  auto value = [](const char *name, Kind kind, uint32_t offset, uint32_t size) {
    Column column;
    column.name = name;
    column.kind = kind;
    column.role = Role::kValue;
    column.offset = 8 + offset;
    column.size = size;
    return column;
  };
  Schema schema{"t", "", Shape::kTable, 8 + sizeof(Value), 8, {}};
  schema.columns = {value("count", Kind::kCount, 0, 8), value("gauge", Kind::kBytes, 8, 8),
                    value("latency", Kind::kHistogram, 16, sizeof(Histogram))};
  schema.columns[1].is_gauge = true;
  return schema;
}

TEST(TableReader, SubtractsCountersAndKeepsGauges) {
  Schema schema = table_schema();
  Value then = {10, 500, {}}, now = {15, 400, {}};
  then.latency.observe(1000);
  now.latency.observe(1000);
  now.latency.observe(9);
  std::vector<std::byte> row(schema.row_bytes), older(sizeof(Value));
  memcpy(row.data() + 8, static_cast<const void *>(&now), sizeof(now));
  memcpy(older.data(), static_cast<const void *>(&then), sizeof(then));
  EXPECT_TRUE(subtract_row(schema, row, older));
  EXPECT_EQ(natural(schema.columns[0], row), 5u);
  EXPECT_EQ(natural(schema.columns[1], row), 400u);
  Histogram change = histogram(schema.columns[2], row);
  EXPECT_EQ(change.count, 1u);
  EXPECT_EQ(change.slots[3], 1u);

  memcpy(row.data() + 8, static_cast<const void *>(&now), sizeof(now));
  memcpy(older.data(), static_cast<const void *>(&now), sizeof(now));
  EXPECT_FALSE(subtract_row(schema, row, older));
}

// A row of the test: one byte of key, padding to 8, a number.
std::vector<std::byte> keyed_row(uint8_t key, uint64_t value) {
  std::vector<std::byte> row(16);
  row[0] = std::byte{key};
  memcpy(row.data() + 8, &value, sizeof(value));
  return row;
}

// Returns what was known of the keys, which it sets to `value`; UINT64_MAX: new.
std::vector<uint64_t> tell(KnownRows &known, const std::vector<uint8_t> &keys, uint64_t value) {
  std::vector<uint64_t> before;
  known.begin();
  for (uint8_t key : keys) {
    std::vector<std::byte> row = keyed_row(key, value);
    KnownRows::Known found = known.find(row);
    uint64_t last = 0;
    memcpy(&last, found.row + 8, sizeof(last));
    EXPECT_EQ(found.row[0], std::byte{key});
    EXPECT_TRUE(!found.is_new || last == 0);
    before.push_back(found.is_new ? UINT64_MAX : last);
    memcpy(found.row, row.data(), row.size());
  }
  return before;
}

TEST(KnownRows, AreFoundInAnyOrder) {
  constexpr uint64_t kNew = UINT64_MAX;
  struct Case {
    std::vector<uint8_t> keys;
    std::vector<uint64_t> before;
  };
  const Case kCases[] = {
      {{1, 2, 3}, {kNew, kNew, kNew}},                    // 1
      {{1, 2, 3}, {1, 1, 1}},                             // 2
      {{4, 1, 2, 5, 3}, {kNew, 2, 2, kNew, 2}},           // 3
      {{4, 1, 2, 5, 3}, {3, 3, 3, 3, 3}},                 // 4
      {{3, 5, 4}, {4, 4, 4}},                             // 5
      {{1, 2, 3, 4, 5, 6}, {4, 4, 5, 5, 5, kNew}},        // 6
      {{}, {}},                                           // 7
      {{6, 5, 4, 3, 2, 1, 0}, {6, 6, 6, 6, 6, 6, kNew}},  // 8
  };
  KnownRows known(16, 1);
  uint64_t round = 0;
  for (const Case &each : kCases) EXPECT_EQ(tell(known, each.keys, ++round), each.before) << "round " << round;
}

TEST(KnownRows, ErasedOnesAreNew) {
  KnownRows known(16, 1);
  tell(known, {1, 2, 3}, 7);
  known.erase(std::vector{std::byte{2}});
  known.erase(std::vector{std::byte{9}});
  EXPECT_EQ(tell(known, {1, 2, 3}, 8), (std::vector<uint64_t>{7, UINT64_MAX, 7}));
  known.erase(std::vector{std::byte{1}});
  EXPECT_EQ(tell(known, {4, 1, 2}, 9), (std::vector<uint64_t>{UINT64_MAX, UINT64_MAX, 8}));
}

}  // namespace
}  // namespace waggle
