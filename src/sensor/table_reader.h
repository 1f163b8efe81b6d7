// What changed in a sensor's table since the last look.
//
// The kernel's rows only grow, because a row that is deleted while a program
// holds it may be given to another key under its hands. So the reader keeps the
// last snapshot and subtracts; rows that did not change are left out, and are
// dropped from the kernel's table only when it is nearly full, and never where the
// table has gauges: the same value then means that it is still held.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "schema/batch.h"
#include "sensor/sensor.h"

namespace waggle {

// The rows of a table as they were, to be found again by their keys. The kernel tells a
// table's rows in the same order each time, but for those that are new. So the row that
// followed the last one is looked at first: most are found by comparing bytes.
class KnownRows {
 public:
  KnownRows(size_t row_bytes, size_t key_bytes) : row_bytes_(row_bytes), key_bytes_(key_bytes) {}

  // The table is going to be told from its beginning.
  void begin();
  // The room of the row with that key, as long as a row: what it was last set to, of a
  // new one the key and zeros. Good until the row is erased.
  struct Known {
    std::byte *row = nullptr;
    bool is_new = false;
  };
  Known find(std::span<const std::byte> row);  // REQUIRES: row.size() is row_bytes
  void erase(std::span<const std::byte> key);

 private:
  struct Slot {
    std::unique_ptr<std::byte[]> row;  // null: free
    size_t place = 0;                  // in the order in which it was last told
  };
  Known visit(uint32_t number, bool is_new);

  size_t row_bytes_, key_bytes_;
  std::unordered_map<std::string, uint32_t> numbers_;  // of slots, by key
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> told_before_, told_;  // numbers, in the last order and in this one
  size_t next_ = 0;                           // in told_before_
};

class TableReader {
 public:
  // The sensor must outlive the reader and stay at its address.
  explicit TableReader(Sensor &sensor);

  // Appends one row for each key whose values changed: counters and histograms
  // by how much, gauges as they are.  errors: Failed, when the table cannot be read
  Result<void> read_changes(Batch &changes);

 private:
  bool rests();
  void forget_idle(const std::vector<std::vector<std::byte>> &idle_keys);

  Sensor *sensor_;
  Counts counts_;          // when the table was last read
  bool is_quiet_ = false;  // it has been read once more since they last changed
  KnownRows known_;
};

// Subtracts an older state of the same row's values, by the schema's columns.
// Returns whether anything had changed.
bool subtract_row(const Schema &schema, std::span<std::byte> row, std::span<const std::byte> older_value);

}  // namespace waggle
