// waggle reference WHAT: the pages of docs/reference, made from the tables of commands
// and tools and from what the sensors say of themselves.

#include <fmt/format.h>

#include "base/text.h"
#include "cli/tools.h"
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
    if (declaration.snapshot) append_columns(page, *declaration.snapshot, "Snapshot:");
    page += "\nParameters:\n\n| parameter | kind | |\n|---|---|---|\n";
    for (const Parameter &parameter : declaration.parameters)
      fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} |\n", parameter.name, kind_info(parameter.kind).name,
                     cell(parameter.help));
    page += "\nHooks:\n\n";
    for (const Hook &hook : declaration.hooks)
      fmt::format_to(std::back_inserter(page), "- `{}`{}\n", hook.section,
                     hook.optional                 ? fmt::format(" (optional, for {})", hook.lack)
                     : hook.plan == Hook::kAnyPlan ? ""
                                                   : fmt::format(" (plan {})", hook.plan));
  }
  page += "\n## What columns lead to\n\n| kind | field | |\n|---|---|---|\n";
  for (Kind kind : {Kind::kPid, Kind::kCgroup, Kind::kUid, Kind::kGid, Kind::kDevice})
    for (const FollowInfo &info : follows_of(kind))
      fmt::format_to(std::back_inserter(page), "| {} | `.{}` | {} |\n", kind_info(kind).name, info.name, info.help);
  return page;
}

std::string tools_page() {
  std::string page = fmt::format(
      "{}# Familiar tools\n\nThe tools of BCC, libbpf-tools and Inspektor Gadget, each with the command that answers "
      "what it answers. "
      "`waggle NAME` takes the\noptions that people type from habit (`waggle NAME --help`), and so does a link to "
      "waggle of that name.\n\n"
      "| tool | from | what it shows | command |\n|---|---|---|---|\n",
      kMadeBy);
  for (const Tool &tool : tools())
    fmt::format_to(
        std::back_inserter(page), "| {} | {} | {} | {} |\n", tool.name, tool.origin, cell(tool.summary),
        tool.command.empty() ? "none: " + cell(tool.reason) : fmt::format("`waggle {}`", cell(tool.command)));
  for (const Tool &tool : tools())
    if (!tool.command.empty())
      fmt::format_to(std::back_inserter(page), "\n## {}\n\n```\n{}```\n", tool.name, help_of(tool));
  return page;
}

struct Page {
  std::string_view name;
  std::string (*make)();
};
constexpr Page kPages[] = {{"commands", commands_page}, {"sensors", sensors_page}, {"tools", tools_page}};

}  // namespace

std::function<int()> configure_reference(CLI::App &app) {
  auto page = std::make_shared<std::string>();
  app.add_option("page", *page, "commands, sensors or tools")->required()->type_name("PAGE");
  return [page] {
    for (const Page &known : kPages) {
      if (known.name != *page) continue;
      fputs(known.make().c_str(), stdout);
      return kDone;
    }
    return report(
        {ErrorCode::kMisuse, fmt::format("no reference page '{}'", *page), "", "use commands, sensors or tools"});
  };
}

}  // namespace waggle
