// Which view shows rows or a table, by what they are and what was asked for: the
// same for sensors that run and for recordings of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "view/view.h"

namespace waggle {

enum class ViewKind { kAuto, kStream, kTop, kHistogram, kHeat, kStacks, kSnapshot };

// As it is typed; kAuto for "".  errors: Misuse
Result<ViewKind> parse_view(const std::string &name);

// The options that watch and replay have in common, as they were typed.
struct ViewArguments {
  std::string view, by, sort, columns, interval, stack;
  uint64_t count = 0;
  std::optional<size_t> top, slowest;
  bool json = false, csv = false, timestamps = false;
};

// The arguments outlive the parsing. `views` and `interval` are the help where the two differ.
void add_view_options(CLI::App &group, ViewArguments &arguments, const std::string &views, const std::string &interval);
void add_format_options(CLI::App &group, ViewArguments &arguments);

// What they ask of a view.  errors: Misuse
Result<ViewOptions> view_options(const ViewArguments &arguments);
// Nothing where none was named.  errors: Misuse, Invalid
Result<std::optional<uint64_t>> interval_ns(const ViewArguments &arguments);

struct ViewWishes {
  bool groups = false;          // --by or --sort
  bool columns = false;         // --columns
  bool folded = false;          // --stack
  bool chosen_rows = false;     // --min or --failed: single events, not what a table adds up
  bool without_stacks = false;  // the sensor can take them, and was not asked to
};

// Whether stacks are added up in the kernel. What is asked of single events is not.
bool stacks_in_table(const Schema *events, const Schema *table, const ViewWishes &wishes);

// The view a sensor asks for by what it has: stacks are stacks, a table of
// distributions is a histogram, another table a top list, and rows are a stream.
// events, table: null where it has none.
ViewKind natural_view(const Schema *events, const Schema *table, const ViewWishes &wishes);

// Whether the table has what is asked to group by. It is cheaper than rows, because
// the kernel adds it up, but has fewer columns.
bool table_answers(const Schema *table, const std::string &by);

// REQUIRES: kind is not kAuto; one schema, or kind is kStream
Result<std::unique_ptr<View>> make_view(ViewKind kind, const std::vector<const Schema *> &schemas,
                                        const ViewOptions &options, Renderer &renderer, Output &output);

}  // namespace waggle
