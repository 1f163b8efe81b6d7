// waggle list: sensors, their columns, familiar tools, and what can be probed.

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"
#include "cli/list_cost.h"
#include "cli/tools.h"
#include "cli/verb.h"
#include "enrich/field.h"
#include "kernel/probes.h"
#include "sensor/sensor.h"
#include "symbol/user_probes.h"
#include "view/layout.h"

namespace waggle {

std::function<int()> configure_list(CLI::App &app);

namespace {

struct ListArguments {
  bool here = false, names = false, json = false, cost = false;
  std::string sensor, pattern = "*", duration = "1s";
};

std::string state_here(const Declaration &declaration) {
  if (declaration.needs_target()) return fmt::format("runs on what you name: waggle watch {}:NAME", declaration.name);
  Result<Sensor> sensor = Sensor::load(declaration.name, {});
  if (!sensor) return "cannot: " + (sensor.error().why.empty() ? sensor.error().what : sensor.error().why);
  if (sensor->lacks().empty()) return "runs";
  std::string lacks;
  for (const std::string &lack : sensor->lacks()) lacks += (lacks.empty() ? "" : "; ") + lack;
  return "runs " + lacks;
}

int list_sensors(const ListArguments &arguments) {
  if (arguments.cost) {
    Result<uint64_t> duration = parse_duration_ns(arguments.duration, 1'000'000'000);
    return duration ? list_costs(arguments.json, std::chrono::nanoseconds(*duration)) : report(duration.error());
  }
  for (const SensorObject &object : sensor_objects()) {
    if (arguments.names) {
      fmt::print("{}\n", object.name);
      continue;
    }
    Declaration declaration = *declaration_of(object.name);
    std::string_view gives = declaration.events  ? (declaration.table ? "rows, table" : "rows")
                             : declaration.table ? "table"
                                                 : "snapshot";
    if (arguments.json) {
      std::string line = "{\"name\":";
      append_json_string(line, declaration.name);
      line += ",\"area\":";
      append_json_string(line, declaration.area);
      line += ",\"summary\":";
      append_json_string(line, declaration.summary);
      fmt::format_to(std::back_inserter(line), ",\"rows\":{},\"table\":{},\"snapshot\":{}",
                     declaration.events.has_value(), declaration.table.has_value(), declaration.snapshot.has_value());
      if (arguments.here) {
        line += ",\"here\":";
        append_json_string(line, state_here(declaration));
      }
      fmt::print("{}}}\n", line);
    } else {
      fmt::print("{:<15} {:<8} {:<12} {}\n", declaration.name, declaration.area, gives, declaration.summary);
      if (arguments.here) fmt::print("{:<15} {}\n", "", state_here(declaration));
    }
  }
  return kDone;
}

void print_columns(const Schema &schema, std::string_view title) {
  fmt::print("{}\n", title);
  for (const Column &column : schema.columns) {
    const KindInfo &kind = kind_info(column.kind);
    std::string_view role = column.role == Role::kKey ? "key" : column.role == Role::kValue ? "value" : "";
    fmt::print("  {:<14} {:<14} {:<6} {:<6} {}\n", column.name, kind.name, kind.unit, role, column.help);
  }
}

int list_columns(const ListArguments &arguments) {
  Result<Declaration> found = declaration_of(arguments.sensor);
  if (!found) return report(found.error());
  const Declaration &declaration = *found;
  fmt::print("{}: {}\n\n", declaration.name, declaration.summary);
  if (declaration.events) print_columns(*declaration.events, "rows");
  if (declaration.table) print_columns(*declaration.table, declaration.events ? "\ntable" : "table");
  if (declaration.snapshot) print_columns(*declaration.snapshot, "snapshot");
  fmt::print("\nparameters (--set NAME=VALUE)\n");
  for (const Parameter &parameter : declaration.parameters)
    fmt::print("  {:<14} {:<14} {}\n", parameter.name, kind_info(parameter.kind).name, parameter.help);
  fmt::print("\nhooks\n");
  for (const Hook &hook : declaration.hooks)
    fmt::print("  {:<42} {}\n", hook.section,
               hook.optional                 ? "optional, for " + hook.lack
               : hook.plan == Hook::kAnyPlan ? ""
                                             : fmt::format("plan {}", hook.plan));
  // What the columns lead to.
  bool headed = false;
  const Schema &schema = declaration.schema();
  for (const Column &column : schema.columns) {
    for (const FollowInfo &info : follows_of(column.kind)) {
      if (!headed) fmt::print("\nalso in --columns and --by\n");
      headed = true;
      fmt::print("  {:<20} {}\n", fmt::format("{}.{}", column.name, info.name), info.help);
    }
  }
  return kDone;
}

int list_probes(const ListArguments &arguments) {
  Result<std::vector<std::string>> probes = is_user_probe_pattern(arguments.pattern)
                                                ? user_probes_matching(arguments.pattern, 0)
                                                : probes_matching(arguments.pattern);
  if (!probes) return report(probes.error());
  std::string out;
  for (const std::string &probe : *probes) out += probe + "\n";
  fputs(out.c_str(), stdout);
  return kDone;
}

}  // namespace

std::function<int()> configure_list(CLI::App &app) {
  auto arguments = std::make_shared<ListArguments>();
  auto chosen = std::make_shared<std::function<int()>>();
  app.require_subcommand(1);
  CLI::App *sensors = app.add_subcommand("sensors", "every built-in sensor");
  sensors->add_flag("--here", arguments->here, "try each on this kernel");
  sensors->add_flag("--names", arguments->names, "names only");
  CLI::Option *cost = sensors->add_flag("--cost", arguments->cost, "run each and tell what it takes of a CPU");
  sensors->add_option("-d,--duration", arguments->duration, "with --cost: for so long (1s)")
      ->type_name("TIME")
      ->check(not_empty())
      ->needs(cost);
  sensors->add_flag("--json", arguments->json, "one JSON object a line");
  sensors->callback([=] { *chosen = [=] { return list_sensors(*arguments); }; });
  CLI::App *tools = app.add_subcommand("tools", "the tools people know by name, and what answers to them");
  tools->add_flag("--names", arguments->names, "names only, of those that waggle has");
  tools->add_flag("--json", arguments->json, "one JSON object a line");
  tools->callback([=] { *chosen = [=] { return list_tools(arguments->json, arguments->names); }; });
  CLI::App *columns = app.add_subcommand("columns", "columns, parameters and hooks of a sensor");
  columns->add_option("sensor", arguments->sensor, "its name")->required()->type_name("SENSOR");
  columns->callback([=] { *chosen = [=] { return list_columns(*arguments); }; });
  CLI::App *probes =
      app.add_subcommand("probes", "kernel functions, tracepoints, and what is in a file, that can be traced");
  probes
      ->add_option(
          "pattern", arguments->pattern,
          "shell pattern, such as 'tcp_*', 'tracepoint:sched:*', 'user:libc:get*' or 'usdt:/usr/bin/python3:*'")
      ->type_name("PATTERN");
  probes->callback([=] { *chosen = [=] { return list_probes(*arguments); }; });
  return [chosen] { return (*chosen)(); };
}

}  // namespace waggle
