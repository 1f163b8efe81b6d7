// A view turns batches into something to read. Each is fed the rows of one or
// more sensors, told when an interval ends, and writes to an Output.
// Threads: one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "enrich/render.h"
#include "view/output.h"

namespace waggle {

enum class Format : uint8_t { kPeople, kJson, kCsv };

class View {
 public:
  virtual ~View() = default;
  View() = default;
  View(const View &) = delete;
  View &operator=(const View &) = delete;

  virtual void add(const Schema &schema, Row row) = 0;
  // An interval is over; with `last` the watching is.
  virtual void tick(bool last) = 0;
  // Rows shown so far, for --count.
  virtual uint64_t rows_shown() const = 0;
};

struct ViewOptions {
  Format format = Format::kPeople;
  std::string columns;                            // --columns; empty: the view's choice
  std::string by;                                 // --by; empty: the view's choice
  std::string sort;                               // --sort; empty: the view's choice
  std::string of;                                 // --of: the column whose distribution is shown; empty: all durations
  size_t top = 20;                                // --top; 0: all
  bool folded = false;                            // --stack folded
  bool kernel_frames = true, user_frames = true;  // --frames: one of them only
  bool name_sensor = false;                       // several sensors share the output
  bool timestamps = false;                        // -T: a time line before each interval
};

// One line a row, as rows come. Several sensors may share it.
Result<std::unique_ptr<View>> make_stream_view(const std::vector<const Schema *> &schemas, const ViewOptions &options,
                                               Renderer &renderer, Output &output);
// What there is, a line a row: the whole of it once an interval.
Result<std::unique_ptr<View>> make_snapshot_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                                 Output &output);
// Groups and what was measured of them, largest first, once an interval.
Result<std::unique_ptr<View>> make_top_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                            Output &output);
// Distributions of durations, or of the column `of`, as bars, one for each group, once an interval.
Result<std::unique_ptr<View>> make_histogram_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                                  Output &output);
// The same over time: a line an interval, a cell a power of two, shaded by count.
Result<std::unique_ptr<View>> make_heat_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                             Output &output);
// Stacks and how often each was seen: the hottest ones once an interval, or all
// of them folded at the end.
Result<std::unique_ptr<View>> make_stack_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                              Output &output);

}  // namespace waggle
