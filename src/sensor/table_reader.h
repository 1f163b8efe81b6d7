// What changed in a sensor's table since the last look.
//
// The kernel's rows only grow, because a row that is deleted while a program
// holds it may be given to another key under its hands. So the reader keeps the
// last snapshot and subtracts; rows that did not change are left out, and are
// dropped from the kernel's table only when it is nearly full, and never where the
// table has gauges: the same value then means that it is still held.
// Threads: one at a time.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "schema/batch.h"
#include "sensor/sensor.h"

namespace waggle {

class TableReader {
 public:
  // The sensor must outlive the reader and stay at its address.
  explicit TableReader(Sensor &sensor) : sensor_(&sensor) {}

  // Appends one row for each key whose values changed: counters and histograms
  // by how much, gauges as they are.  errors: Failed, when the table cannot be read
  Result<void> read_changes(Batch &changes);

 private:
  bool rests();
  void forget_idle(const std::vector<std::vector<std::byte>> &idle_keys);

  Sensor *sensor_;
  Counts counts_;                                                 // when the table was last read
  bool is_quiet_ = false;                                         // it has been read once more since they last changed
  std::unordered_map<std::string, std::vector<std::byte>> last_;  // key bytes → value bytes
};

// Subtracts an older state of the same row's values, by the schema's columns.
// Returns whether anything had changed.
bool subtract_row(const Schema &schema, std::span<std::byte> row, std::span<const std::byte> older_value);

}  // namespace waggle
