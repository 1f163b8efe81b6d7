#include "cli/view_choice.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/quantity.h"

namespace waggle {

Result<ViewKind> parse_view(const std::string &name) {
  static constexpr std::pair<std::string_view, ViewKind> kViews[] = {
      {"", ViewKind::kAuto},
      {"stream", ViewKind::kStream},
      {"top", ViewKind::kTop},
      {"table", ViewKind::kTop},
      {"histogram", ViewKind::kHistogram},
      {"hist", ViewKind::kHistogram},
      {"heatmap", ViewKind::kHeat},
      {"heat", ViewKind::kHeat},
      {"stacks", ViewKind::kStacks},
      {"snapshot", ViewKind::kSnapshot},
  };
  for (const auto &[known, view] : kViews)
    if (known == name) return view;
  return fail(ErrorCode::kMisuse, fmt::format("no view '{}'", name), {},
              "the views are stream, top, histogram, heatmap, stacks and snapshot");
}

void add_view_options(CLI::App &group, ViewArguments &arguments, const std::string &views,
                      const std::string &interval) {
  ViewArguments &a = arguments;
  group.add_option("--view", a.view, views)->type_name("VIEW");
  group.add_option("--by", a.by, "group by these columns")->type_name("COL,...");
  group.add_option("--sort", a.sort, "largest first by this column")->type_name("COL");
  group.add_option("--top", a.top, "how many groups to show; 0 for all")->type_name("N")->check(not_negative());
  group.add_option("--slowest", a.slowest, "the slowest events of each interval (5 beside a histogram for people)")
      ->type_name("N")
      ->check(not_negative());
  group.add_option("--columns", a.columns, "these columns; +COL adds one (pid.cmdline, cgroup.container, …)")
      ->type_name("COL,...");
  group.add_option("-i,--interval", a.interval, interval)->type_name("TIME");
  group.add_option("-c,--count", a.count, "stop after so many rows, or intervals")
      ->type_name("N")
      ->check(not_negative());
  group.add_flag("-T,--timestamps", a.timestamps, "the time before each interval");
}

void add_format_options(CLI::App &group, ViewArguments &arguments) {
  group.add_flag("--json", arguments.json, "one JSON object a line, raw values");
  group.add_flag("--csv", arguments.csv, "comma-separated, raw values");
  group.add_option("--stack", arguments.stack, "folded: one line a stack, for flame graphs")->type_name("FORMAT");
}

Result<ViewOptions> view_options(const ViewArguments &arguments) {
  if (arguments.json && arguments.csv) return fail(ErrorCode::kMisuse, "--json and --csv exclude each other");
  if (!arguments.stack.empty() && arguments.stack != "folded")
    return fail(ErrorCode::kMisuse, fmt::format("no stack format '{}'", arguments.stack), {}, "--stack folded");
  ViewOptions options;
  options.format = arguments.json ? Format::kJson : arguments.csv ? Format::kCsv : Format::kPeople;
  options.columns = arguments.columns;
  options.by = arguments.by;
  options.sort = arguments.sort;
  options.top = arguments.top.value_or(options.top);
  options.folded = arguments.stack == "folded";
  options.timestamps = arguments.timestamps;
  return options;
}

Result<std::optional<uint64_t>> interval_ns(const ViewArguments &arguments) {
  if (arguments.interval.empty()) return std::optional<uint64_t>();
  uint64_t ns = TRY(parse_duration_ns(arguments.interval, 1'000'000'000));
  if (ns != 0 && ns < 10'000'000) return fail(ErrorCode::kMisuse, "the interval is too short", {}, "at least 10ms");
  return std::optional<uint64_t>(ns);
}

namespace {

bool has_stacks(const Schema *schema) {
  return schema != nullptr && schema->first_of(Kind::kStack) != nullptr;
}

}  // namespace

bool stacks_in_table(const Schema *events, const Schema *table, const ViewWishes &wishes) {
  return has_stacks(table) && !(wishes.chosen_rows && events != nullptr);
}

ViewKind natural_view(const Schema *events, const Schema *table, const ViewWishes &wishes) {
  if (wishes.folded) return ViewKind::kStacks;
  bool stacks = has_stacks(table) ? stacks_in_table(events, table, wishes) : has_stacks(events);
  if (stacks && !wishes.without_stacks && !wishes.groups && !wishes.columns) return ViewKind::kStacks;
  if (table != nullptr && !(wishes.chosen_rows && events != nullptr) && !wishes.columns) {
    if (wishes.groups) return ViewKind::kTop;
    return table->first_of(Kind::kHistogram) != nullptr ? ViewKind::kHistogram : ViewKind::kTop;
  }
  return wishes.groups ? ViewKind::kTop : ViewKind::kStream;
}

bool table_answers(const Schema *table, const std::string &by) {
  return table != nullptr && (by.empty() || parse_fields(*table, by, {}).has_value());
}

Result<std::unique_ptr<View>> make_view(ViewKind kind, const std::vector<const Schema *> &schemas,
                                        const ViewOptions &options, Renderer &renderer, Output &output) {
  CHECK(!schemas.empty() && kind != ViewKind::kAuto);
  switch (kind) {
    case ViewKind::kTop:
      return make_top_view(*schemas[0], options, renderer, output);
    case ViewKind::kHistogram:
      return make_histogram_view(*schemas[0], options, renderer, output);
    case ViewKind::kHeat:
      return make_heat_view(*schemas[0], options, renderer, output);
    case ViewKind::kSnapshot:
      return make_snapshot_view(*schemas[0], options, renderer, output);
    case ViewKind::kStacks:
      return make_stack_view(*schemas[0], options, renderer, output);
    default:
      return make_stream_view(schemas, options, renderer, output);
  }
}

}  // namespace waggle
