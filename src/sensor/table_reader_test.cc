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

}  // namespace
}  // namespace waggle
