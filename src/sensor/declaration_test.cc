#include "sensor/declaration.h"

#include <gtest/gtest.h>

#include <set>

namespace waggle {
namespace {

// What holds for every sensor, so that a new one is held to it by being there.
TEST(Declaration, EverySensorIsWellFormed) {
  ASSERT_FALSE(sensor_objects().empty());
  for (const SensorObject &object : sensor_objects()) {
    Result<Declaration> read = declaration_of(object.name);
    ASSERT_TRUE(read) << object.name;
    EXPECT_FALSE(read->summary.empty()) << object.name;
    EXPECT_FALSE(read->hooks.empty()) << object.name;
    for (const char *common : {"pid", "comm"})
      EXPECT_NE(read->parameter(common), nullptr) << object.name << " " << common;
    for (const std::optional<Schema> &schema : {read->events, read->table, read->snapshot}) {
      if (!schema) continue;
      std::set<std::string> names;
      for (const Column &column : schema->columns) {
        EXPECT_TRUE(names.insert(column.name).second) << object.name << " has two columns " << column.name;
        EXPECT_LE(column.offset + column.size, schema->row_bytes) << object.name << " " << column.name;
        EXPECT_FALSE(column.help.empty()) << object.name << "." << column.name << " needs a DOC()";
        if (column.is_integer()) {
          EXPECT_TRUE(column.size == 1 || column.size == 2 || column.size == 4 || column.size == 8)
              << object.name << "." << column.name;
        }
      }
    }
    if (read->events) {
      EXPECT_NE(read->events->first_of(Kind::kTime), nullptr) << object.name << " rows need a time";
    }
  }
}

TEST(Declaration, ReadsColumnsFromTypes) {
  Result<Declaration> open = declaration_of("open");
  ASSERT_TRUE(open);
  ASSERT_TRUE(open->events);
  struct Case {
    const char *name;
    Kind kind;
    uint32_t size;
  };
  constexpr Case kCases[] = {{"when", Kind::kTime, 8},   {"latency", Kind::kDuration, 8}, {"pid", Kind::kPid, 4},
                             {"errno", Kind::kErrno, 4}, {"comm", Kind::kComm, 16},       {"path", Kind::kPath, 256}};
  for (const Case &c : kCases) {
    const Column *column = open->events->find(c.name);
    ASSERT_NE(column, nullptr) << c.name;
    EXPECT_EQ(column->kind, c.kind) << c.name;
    EXPECT_EQ(column->size, c.size) << c.name;
  }
  EXPECT_EQ(open->events->find("_pad"), nullptr);
  EXPECT_TRUE(open->events->find("errno")->is_signed);
}

TEST(Declaration, UnknownSensorsAreNearKnownOnes) {
  Result<Declaration> none = declaration_of("opne");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().what, "no sensor 'opne'");
  EXPECT_EQ(none.error().fix, "did you mean 'open'?");
}

}  // namespace
}  // namespace waggle
