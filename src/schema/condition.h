// A Condition says by one column's value which rows are wanted. Numbers and
// addresses are tested by the sensor's own programs, before a row costs ring space;
// text is tested by whoever reads the rows.
// Threads: pure functions.
#pragma once

#include <span>
#include <string>

#include "schema/batch.h"

namespace waggle {

// Bytes as struct wg_condition of sensor.bpf.h has them.
struct Condition {
  uint32_t offset = 0;
  uint8_t size = 0;        // 1, 2, 4 or 8; 16 for an address
  bool is_signed = false;  // the value's first bit is turned over before it is masked and compared
  bool negated = false;
  bool or_next = false;  // it is enough that this one or the next holds
  uint64_t mask[2] = {~uint64_t{0}, ~uint64_t{0}};
  uint64_t low[2] = {}, high[2] = {};  // of the masked value; an address must equal low
};
static_assert(sizeof(Condition) == 56);

// How many a sensor can test at a time.
inline constexpr size_t kConditionsMost = 16;

// What the programs of a sensor compute.
bool all_hold(std::span<const Condition> conditions, Row row);

struct TextCondition {
  Column column;
  std::string text;
  bool part = false;  // of the value, rather than all of it
  bool negated = false;
  bool or_next = false;
};
// argv is matched as one line, its arguments separated by blanks.
bool all_hold(std::span<const TextCondition> conditions, Row row);

}  // namespace waggle
