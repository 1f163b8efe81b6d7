// Text in columns.
#pragma once

#include <string>
#include <string_view>

#include "enrich/field.h"
#include "schema/batch.h"

namespace waggle {

struct Cell {
  int width = 0;  // 0: as wide as the text, for the last column
  bool right = false;
};

// The place a field takes on a terminal line, by its kind.
Cell cell_of(const Field &field);

// Appends text padded to the cell and one blank. Text that is too long pushes
// the rest of the line aside rather than being cut: a wrong pid is worse than a
// crooked line.
void append_cell(std::string &out, std::string_view text, Cell cell);

// Columns a text takes on a terminal: its code points.
size_t display_width(std::string_view text);

std::string upper(std::string_view text);

// "12:03:07" of the local clock, for the line before an interval. wall_ns: CLOCK_REALTIME
std::string clock_text(int64_t wall_ns);
std::string clock_now();

// "2026-11-21T12:03:07.123456789Z", for machines.
std::string rfc3339_text(int64_t wall_ns);

// {"1024":3,…}: the lower bound of each slot that is not empty, in ns, and its count.
std::string slots_json(const Histogram &histogram);

// A field of a CSV record (RFC 4180): in quotes where it must be.
void append_csv(std::string &out, std::string_view text);

namespace ansi {
inline constexpr std::string_view kBold = "\x1b[1m", kDim = "\x1b[2m", kReset = "\x1b[0m";
}

}  // namespace waggle
