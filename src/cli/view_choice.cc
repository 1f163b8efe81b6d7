#include "cli/view_choice.h"

#include <fmt/format.h>

#include "base/check.h"

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
