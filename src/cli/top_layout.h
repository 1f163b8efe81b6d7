// The pictures of `waggle top`: from what is known of an interval, and what the
// user has chosen, to lines of exactly the terminal's size. Saturation comes
// first; what the terminal has no room for is left out whole, never cut within a
// number; what is not known is a '-', and the line above the keys says why.
// Pure functions: no terminal, no clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/top_snapshot.h"
#include "view/aggregate.h"
#include "view/screen_text.h"

namespace waggle {

enum class TopSection : uint8_t { kCpu, kStarts, kDisks, kFiles, kTcp, kProcesses };
constexpr size_t kTopSections = 6;

// The sensors behind a section, the most telling first.
std::vector<std::string_view> sensors_of(TopSection section);

struct TopChoices {
  TopSection focus = TopSection::kProcesses;
  ProcessSort sort = ProcessSort::kCpu;
  bool paused = false;
  std::chrono::nanoseconds interval{std::chrono::seconds(1)};
};

// The whole host, in `rows` lines or fewer.
std::vector<Line> top_lines(const TopSnapshot &snapshot, const TopChoices &choices, size_t rows, size_t columns);

// The same as some 20 lines of text, without what only makes sense on a screen.
std::vector<Line> top_summary(const TopSnapshot &snapshot, const TopChoices &choices, size_t columns);

// What keys do, what the words mean, and each sensor's state.
std::vector<Line> top_help(const TopSnapshot &snapshot, size_t rows, size_t columns);

// What one sensor has told, as a table.
struct TopDrill {
  std::string sensor;
  std::string summary;                // of the sensor
  std::string since;                  // "12:03:07"
  bool forgets_idle = false;          // idle rows have left its table
  const Aggregate *groups = nullptr;  // null: it does not run, and `why` says why
  std::string why;
  std::optional<size_t> sort;  // measure; none: the one people look for first
  size_t first = 0;            // group at the top
};
std::vector<Line> drill_lines(const TopSnapshot &snapshot, const TopChoices &choices, const TopDrill &drill,
                              size_t rows, size_t columns);

}  // namespace waggle
