// waggle reference WHAT: the pages of docs/reference, made from the command table
// and from what the sensors say of themselves.

#include <fmt/format.h>

#include "base/text.h"
#include "cli/verb.h"
#include "enrich/field.h"
#include "sensor/declaration.h"

namespace waggle {

std::function<int()> configure_reference(CLI::App &app);

namespace {

constexpr std::string_view kMadeBy = "<!-- made by ./dev docs; do not edit -->\n";

// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string commands_page() {
  CLI::App app;
  std::function<int()> unused;
  build_command_line(app, unused);
  std::string page = fmt::format("{}# Commands\n", kMadeBy);
  for (const Verb &verb : verbs()) {
    CLI::App *sub = app.get_subcommand(std::string(verb.name));
    fmt::format_to(std::back_inserter(page), "\n## waggle {}\n\n```\n{}```\n", verb.name, sub->help("waggle"));
  }
  return page;
}

void append_columns(std::string &page, const Schema &schema, std::string_view title) {
  fmt::format_to(std::back_inserter(page), "\n{}\n\n| column | kind | unit | |\n|---|---|---|---|\n", title);
  for (const Column &column : schema.columns) {
    const KindInfo &kind = kind_info(column.kind);
    std::string_view role = column.role == Role::kKey ? "key: " : "";
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} | {}{} |\n", column.name, kind.name, kind.unit, role,
                   cell(column.help));
  }
}

std::string sensors_page() {
  std::string page = fmt::format("{}# Sensors\n", kMadeBy);
  for (const SensorObject &object : sensor_objects()) {
    Declaration declaration = *declaration_of(object.name);
    fmt::format_to(std::back_inserter(page), "\n## {}\n\n{} (`sensors/{}/{}.bpf.c`)\n", declaration.name,
                   declaration.summary, declaration.area, declaration.name);
    if (declaration.events) append_columns(page, *declaration.events, "Rows:");
    if (declaration.table) append_columns(page, *declaration.table, "Table:");
    page += "\nParameters:\n\n| parameter | kind | |\n|---|---|---|\n";
    for (const Parameter &parameter : declaration.parameters)
      fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} |\n", parameter.name, kind_info(parameter.kind).name,
                     cell(parameter.help));
    page += "\nHooks:\n\n";
    for (const Hook &hook : declaration.hooks)
      fmt::format_to(std::back_inserter(page), "- `{}`{}\n", hook.section,
                     hook.optional                 ? fmt::format(" (optional; without it: {})", hook.lack)
                     : hook.plan == Hook::kAnyPlan ? ""
                                                   : fmt::format(" (plan {})", hook.plan));
  }
  page += "\n## What columns lead to\n\n| kind | field | |\n|---|---|---|\n";
  for (Kind kind : {Kind::kPid, Kind::kCgroup, Kind::kUid, Kind::kGid, Kind::kDevice})
    for (const FollowInfo &info : follows_of(kind))
      fmt::format_to(std::back_inserter(page), "| {} | `.{}` | {} |\n", kind_info(kind).name, info.name, info.help);
  return page;
}

}  // namespace

std::function<int()> configure_reference(CLI::App &app) {
  auto page = std::make_shared<std::string>();
  app.add_option("page", *page, "commands or sensors")->required()->type_name("PAGE");
  return [page] {
    if (*page != "commands" && *page != "sensors")
      return report({ErrorCode::kMisuse, fmt::format("no reference page '{}'", *page), "", "use commands or sensors"});
    fputs((*page == "commands" ? commands_page() : sensors_page()).c_str(), stdout);
    return kDone;
  };
}

}  // namespace waggle
