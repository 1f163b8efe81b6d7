// The tail with its causes: of the events whose durations a histogram adds up, the
// slowest few of an interval as they were, with their process, container, object
// and stack.
// Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "view/view.h"

namespace waggle {

class Slowest {
 public:
  //   schema   a stream's; it outlives the Slowest
  //   most     how many are kept; at least 1
  //   errors   Misuse  its rows have no duration
  static Result<Slowest> make(const Schema &schema, size_t most, Renderer &renderer);

  // Keeps a copy of the row if it is among the slowest so far.
  void offer(Row row);

  // Only a row that took at least this long, in ns, can still be among them.
  uint64_t floor() const;
  // Rows offered since the last call: many mean that whoever sends them should
  // hear of the new floor soon.
  size_t take_offered() { return std::exchange(offered_, 0); }

  // Appends them, the slowest first, and forgets them: for people a table with a
  // blank line before it, nothing where there are none; as JSON one line
  // {"when":…,"slowest":[{…},…]}.
  void print(Output &output, Format format);

 private:
  struct Kept {
    uint64_t duration;
    std::vector<std::byte> row;
  };
  Slowest(const Schema &schema, const Column &duration, size_t most, Renderer &renderer);
  void print_for_people(Output &output);
  void print_json(Output &output);

  const Schema *schema_;
  const Column *duration_;
  size_t most_;
  Renderer *renderer_;
  std::vector<Kept> kept_;  // a heap, the fastest first
  size_t offered_ = 0;
};

}  // namespace waggle
