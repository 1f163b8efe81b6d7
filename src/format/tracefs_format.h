// The description of a tracepoint's record, as tracefs gives it in
// events/CATEGORY/NAME/format:
//   name: sched_process_exec
//   ID: 365
//   format:
//   	field:int common_pid;	offset:4;	size:4;	signed:1;
//
//   	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
//
//   print fmt: "filename=%s", __get_str(filename)
// Threads: parsing is a pure function.
// source: Documentation/trace/events.rst; kernel/trace/trace_events.c, f_show()
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

struct TracepointField {
  // Where the value is. Of a dynamic array the record holds one 32-bit word: its
  // length in bytes in the upper half, and in the lower half where it begins.
  enum class Place : uint8_t {
    kHere,
    kFromRecord,  // __data_loc: counted from the beginning of the record
    kFromField,   // __rel_loc: counted from the end of the word
  };

  std::string name;
  std::string type;                // of an element: "unsigned long", "const char *", "struct in6_addr"
  uint32_t offset = 0, bytes = 0;  // in the record
  uint32_t length = 0;             // elements of an array; 0 also for arrays whose length the record tells
  bool is_array = false;
  bool is_signed = false;
  bool is_common = false;  // one of those that all records begin with
  Place place = Place::kHere;

  bool operator==(const TracepointField &) const = default;
};

struct TracepointFormat {
  std::string name;
  uint32_t id = 0;
  std::vector<TracepointField> fields;  // the common ones first, in the order of the record
  std::string print_format;             // what follows "print fmt:"; for people

  const TracepointField *field(std::string_view field_name) const;  // null when there is none
};

// Lines it does not know are passed over: kernels add some.
// errors: Invalid  a field without a name, offset or size, no name, or no id
Result<TracepointFormat> parse_tracepoint_format(std::string_view text);

}  // namespace waggle
