// Column and Schema: the shape of what leaves the kernel. A schema is read from
// a sensor's BTF or made by the script compiler, never written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/kind.h"

namespace waggle {

// A row of a stream is one event; a row of a table is a key and what was
// aggregated under it.
enum class Role : uint8_t { kField, kKey, kValue };

struct Column {
  std::string name;
  std::string help;  // the sensor's words, or the kind's
  Kind kind = Kind::kNumber;
  Role role = Role::kField;
  bool is_signed = false;
  bool is_gauge = false;  // a table's value that may fall
  uint32_t offset = 0;    // bytes from the start of the row
  uint32_t size = 0;      // bytes, at most: the last text of a row may be cut
  bool is_aside = false;  // people see it only when they name it

  bool is_integer() const;  // reads as integer(): 1, 2, 4 or 8 bytes
  bool is_text() const;     // reads as text(): comm, path, argv, text
};

// What happened, what was added up, what there is.
enum class Shape : uint8_t { kStream, kTable, kSnapshot };

struct Schema {
  std::string name;     // the sensor's, or the script map's
  std::string summary;  // one line
  Shape shape = Shape::kStream;
  uint32_t row_bytes = 0;  // at most
  uint32_t key_bytes = 0;  // tables: the value begins here
  std::vector<Column> columns;

  const Column *find(std::string_view column_name) const;  // nullptr when there is none
  const Column *first_of(Kind kind) const;                 // nullptr when there is none
};

}  // namespace waggle
