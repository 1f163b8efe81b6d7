// waggle watch: one or more sensors, seen through the view that suits them.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "agent/session.h"
#include "base/quantity.h"
#include "base/text.h"
#include "cli/leave.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "kernel/cgroup.h"
#include "view/view.h"

namespace waggle {

std::function<int()> configure_watch(CLI::App &app);

namespace {

using std::chrono::steady_clock;

enum class ViewKind { kAuto, kStream, kTop, kHistogram, kHeat, kStacks };

// As the options were typed.
struct WatchArguments {
  std::vector<std::string> sensors;
  std::string view, by, sort, columns, interval, duration, min, comm, cgroup, container, stack, ring;
  std::vector<std::string> settings;
  uint64_t count = 0;
  size_t top = 20;
  uint32_t pid = 0;
  bool json = false, csv = false, failed = false, timestamps = false, cost = false, verbose = false;
};

// As they were meant.
struct WatchPlan {
  std::vector<SensorRequest> requests;
  ViewKind view = ViewKind::kAuto;
  ViewOptions view_options;
  std::optional<std::chrono::nanoseconds> interval, duration;
  uint64_t count = 0;  // 0: no end
  bool cost = false, verbose = false;
  bool knows_processes = false;
  Fd cgroup;
};

Result<ViewKind> parse_view(const std::string &name) {
  static constexpr std::pair<std::string_view, ViewKind> kViews[] = {
      {"", ViewKind::kAuto},        {"stream", ViewKind::kStream},       {"top", ViewKind::kTop},
      {"table", ViewKind::kTop},    {"histogram", ViewKind::kHistogram}, {"hist", ViewKind::kHistogram},
      {"heatmap", ViewKind::kHeat}, {"heat", ViewKind::kHeat},           {"stacks", ViewKind::kStacks},
  };
  for (const auto &[known, view] : kViews)
    if (known == name) return view;
  return fail(ErrorCode::kMisuse, fmt::format("no view '{}'", name), {},
              "the views are stream, top, histogram, heatmap and stacks");
}

Result<Fd> open_cgroup(const WatchArguments &arguments) {
  if (arguments.cgroup.empty() && arguments.container.empty()) return Fd();
  CgroupTree tree = TRY(CgroupTree::open());
  if (!arguments.container.empty()) return tree.open_container(arguments.container);
  // Both "/system.slice" and "/sys/fs/cgroup/system.slice" are what people type.
  std::string_view path = arguments.cgroup;
  if (path.starts_with(tree.mounts().v2)) path.remove_prefix(tree.mounts().v2.size());
  return tree.open_path(path.empty() ? "/" : path);
}

// Slow or failed ones are single events, not what a table adds up.
bool slow_rows(const WatchArguments &arguments) {
  return !arguments.min.empty() || arguments.failed;
}

// The view a sensor asks for by what it has: a table of distributions is a
// histogram, another table a top list, stacks are stacks, and rows are a stream.
ViewKind natural_view(const Declaration &declaration, const WatchArguments &arguments) {
  bool grouped = !arguments.by.empty() || !arguments.sort.empty();
  if (!arguments.stack.empty()) return ViewKind::kStacks;
  bool has_stacks = declaration.events && declaration.events->first_of(Kind::kStack) != nullptr;
  if (has_stacks && !grouped && arguments.columns.empty()) return ViewKind::kStacks;
  if (declaration.table && !(slow_rows(arguments) && declaration.events) && arguments.columns.empty()) {
    if (grouped) return ViewKind::kTop;
    return declaration.table->first_of(Kind::kHistogram) != nullptr ? ViewKind::kHistogram : ViewKind::kTop;
  }
  return grouped ? ViewKind::kTop : ViewKind::kStream;
}

// Whether the sensor's table has what is asked to group by. It is cheaper than
// rows, because the kernel adds it up, but has fewer columns.
bool table_answers(const Declaration &declaration, const WatchArguments &arguments) {
  if (!declaration.table) return false;
  return arguments.by.empty() || parse_fields(*declaration.table, arguments.by, {}).has_value();
}

// Tables that can do without keep no row for each process, unless somebody asks
// for processes.
bool groups_by_process(const Declaration &declaration, const WatchArguments &arguments) {
  if (declaration.parameter("by_process") == nullptr || arguments.by.empty()) return false;
  Result<std::vector<Field>> by = parse_fields(*declaration.table, arguments.by, {});
  return by && std::any_of(by->begin(), by->end(), [](const Field &field) {
           return field.column->kind == Kind::kPid || field.column->kind == Kind::kComm;
         });
}

// "pid.cmdline" and the like, in --columns or --by.
bool follows_processes(const WatchArguments &arguments) {
  return arguments.columns.find("pid.") != std::string::npos || arguments.by.find("pid.") != std::string::npos;
}

// Processes come and go within milliseconds: only their own events tell what they were.
void add_process_sensors(WatchPlan &plan) {
  plan.knows_processes = true;
  for (const char *name : {"fork", "exec", "exit"}) {
    SensorRequest request{name, {}, false};
    request.options.want_table = false;
    plan.requests.push_back(std::move(request));
  }
}

Result<WatchPlan> make_plan(const WatchArguments &arguments) {
  WatchPlan plan;
  if (arguments.json && arguments.csv) return fail(ErrorCode::kMisuse, "--json and --csv exclude each other");
  if (!arguments.stack.empty() && arguments.stack != "folded")
    return fail(ErrorCode::kMisuse, fmt::format("no stack format '{}'", arguments.stack), {}, "--stack folded");
  plan.view = TRY(parse_view(arguments.view));
  if (!arguments.interval.empty())
    plan.interval = std::chrono::nanoseconds(TRY(parse_duration_ns(arguments.interval, 1'000'000'000)));
  if (plan.interval && plan.interval->count() < 10'000'000)
    return fail(ErrorCode::kMisuse, "the interval is too short", {}, "at least 10ms");
  if (!arguments.duration.empty())
    plan.duration = std::chrono::nanoseconds(TRY(parse_duration_ns(arguments.duration, 1'000'000'000)));
  plan.count = arguments.count;
  plan.cost = arguments.cost;
  plan.verbose = arguments.verbose;
  plan.cgroup = TRY(open_cgroup(arguments));

  ViewOptions &view = plan.view_options;
  view.format = arguments.json ? Format::kJson : arguments.csv ? Format::kCsv : Format::kPeople;
  view.columns = arguments.columns;
  view.by = arguments.by;
  view.sort = arguments.sort;
  view.top = arguments.top;
  view.folded = arguments.stack == "folded";
  view.name_sensor = arguments.sensors.size() > 1;
  view.timestamps = arguments.timestamps;

  SensorOptions common;
  common.pid = arguments.pid;
  common.comm = arguments.comm;
  common.cgroup_fd = plan.cgroup.get();
  if (!arguments.ring.empty()) {
    uint64_t bytes = TRY(parse_bytes(arguments.ring));
    auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (bytes < page || bytes > (1u << 30) || (bytes & (bytes - 1)) != 0)
      return fail(ErrorCode::kMisuse, fmt::format("bad ring size '{}'", arguments.ring), "it must be a power of two",
                  fmt::format("between {} and 1GiB", page));
    common.ring_bytes = bytes;
  }
  for (const std::string &setting : arguments.settings) {
    size_t equals = setting.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::kMisuse, fmt::format("bad setting '{}'", setting), {}, "write it as --set name=value");
    common.parameters.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  if (!arguments.min.empty()) common.parameters.emplace_back("min", arguments.min);
  if (arguments.failed) common.parameters.emplace_back("failed", "1");
  for (const std::string &text : arguments.sensors) {
    size_t colon = text.find(':');
    SensorRequest request{text.substr(0, colon), common, true};
    if (colon != std::string::npos) request.options.target = text.substr(colon + 1);
    plan.requests.push_back(std::move(request));
  }

  // One sensor gets the view that suits it; several share a stream.
  bool several = plan.requests.size() > 1;
  for (SensorRequest &request : plan.requests) {
    Declaration declaration = TRY(declaration_of(request.name));
    if (!request.options.target.empty() && !declaration.needs_target())
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' traces no target", request.name), {},
                  fmt::format("waggle watch {}", request.name));
    if (several) {
      if (!arguments.by.empty() || !arguments.sort.empty())
        return fail(ErrorCode::kMisuse, "several sensors cannot be grouped or sorted together", {},
                    "watch one, or leave --by and --sort out");
      if (plan.view != ViewKind::kAuto && plan.view != ViewKind::kStream)
        return fail(ErrorCode::kMisuse, "several sensors share one view", {}, "watch one, or use --view stream");
      if (!declaration.events)
        return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no rows to mix with others", request.name), {},
                    fmt::format("waggle watch {}      alone", request.name));
    } else if (plan.view == ViewKind::kAuto) {
      plan.view = natural_view(declaration, arguments);
    }
    bool wants_rows = several || plan.view == ViewKind::kStream || plan.view == ViewKind::kStacks ||
                      slow_rows(arguments) || !table_answers(declaration, arguments);
    request.options.want_events = wants_rows && declaration.events.has_value();
    request.options.want_table = !request.options.want_events;
    if (request.options.want_table && groups_by_process(declaration, arguments))
      request.options.parameters.emplace_back("by_process", "1");
    if (!declaration.events && plan.view == ViewKind::kStream)
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' keeps a table and has no rows", request.name), {},
                  "use --view top or histogram");
  }
  if (several) plan.view = ViewKind::kStream;
  if (follows_processes(arguments)) add_process_sensors(plan);
  return plan;
}

Result<std::unique_ptr<View>> make_view(const WatchPlan &plan, Session &session, Renderer &renderer, Output &output) {
  std::vector<const Schema *> schemas;
  for (Session::Member &member : session.members()) {
    if (member.sensor == nullptr || !member.request.is_asked_for) continue;
    schemas.push_back(member.events != nullptr ? member.events : &*member.sensor->declaration().table);
  }
  CHECK(!schemas.empty());
  switch (plan.view) {
    case ViewKind::kTop:
      return make_top_view(*schemas[0], plan.view_options, renderer, output);
    case ViewKind::kHistogram:
      return make_histogram_view(*schemas[0], plan.view_options, renderer, output);
    case ViewKind::kHeat:
      return make_heat_view(*schemas[0], plan.view_options, renderer, output);
    case ViewKind::kStacks:
      return make_stack_view(*schemas[0], plan.view_options, renderer, output);
    default:
      return make_stream_view(schemas, plan.view_options, renderer, output);
  }
}

// Intervals of a stream only flush it; other views print then. A view for which
// nobody named an interval prints every second on a terminal, and once, at the
// end, into a file.
std::chrono::nanoseconds interval_of(const WatchPlan &plan, const Output &output) {
  using namespace std::chrono_literals;
  if (plan.interval) return *plan.interval;
  if (plan.view == ViewKind::kStream) return 100ms;
  if (plan.view == ViewKind::kHeat || (output.is_terminal() && !plan.duration)) return 1s;
  return 24h * 365;
}

Result<void> read_tables(Session &session, View &view) {
  for (Session::Member &member : session.members()) {
    if (member.table == nullptr) continue;
    Batch changes(*member.sensor->declaration().table);
    TRY(member.table->read_changes(changes));
    for (size_t i = 0; i < changes.rows(); i++) view.add(changes.schema(), changes.row(i));
  }
  return {};
}

// With -v: which hooks each sensor uses.
void say_hooks(Session &session) {
  for (const Session::Member &member : session.members()) {
    if (member.sensor == nullptr) continue;
    for (const std::string &hook : member.sensor->hooks()) say(fmt::format("{}: {}", member.request.name, hook));
  }
}

void say_losses(Session &session, const WatchPlan &plan) {
  for (const Session::Member &member : session.members()) {
    if (member.sensor == nullptr || !member.request.is_asked_for) continue;
    Counts counts = member.events != nullptr ? member.sensor->stream_counts() : member.sensor->table_counts();
    say(loss_line(member.request.name, counts));
    if (!plan.cost) continue;
    Cost cost = member.sensor->cost();
    say(fmt::format("{}: {} program runs, {} ns each, {} instructions", member.request.name, cost.runs,
                    cost.runs == 0 ? 0 : cost.run_ns / cost.runs, cost.instructions));
  }
}

int watch(const WatchArguments &arguments) {
  Result<WatchPlan> made = make_plan(arguments);
  if (!made) return report(made.error());
  WatchPlan plan = std::move(*made);
  StopSignals signals;
  Result<Session> started = Session::start(plan.requests);
  if (!started) return report(started.error());
  Session session = std::move(*started);
  note_attached();
  for (const Session::Member &member : session.members()) {
    if (member.sensor == nullptr)
      fputs(member.error.text().c_str(), stderr);
    else
      for (const std::string &lack : member.sensor->lacks())
        say(fmt::format("note: {}: {}", member.request.name, lack));
  }

  auto shown = [](const Session::Member &member) { return member.sensor != nullptr && member.request.is_asked_for; };
  if (std::none_of(session.members().begin(), session.members().end(), shown)) return leave(kFailed);

  Output output(STDOUT_FILENO);
  Host host;
  if (plan.knows_processes) host.know_processes();
  Renderer renderer(host);
  Result<std::unique_ptr<View>> view_made = make_view(plan, session, renderer, output);
  if (!view_made) return leave(report(view_made.error()));
  View &view = **view_made;
  if (plan.verbose) say_hooks(session);

  auto now = steady_clock::now();
  auto interval = std::chrono::duration_cast<steady_clock::duration>(interval_of(plan, output));
  auto tick_next = now + interval;
  auto end = plan.duration ? now + std::chrono::duration_cast<steady_clock::duration>(*plan.duration)
                           : steady_clock::time_point::max();
  auto show = [&](Session::Member &member, Row row) {
    if (!member.request.is_asked_for) return host.observe(*member.events, row);
    if (plan.view != ViewKind::kStream || plan.count == 0 || view.rows_shown() < plan.count)
      view.add(*member.events, row);
  };
  auto enough = [&] { return output.closed() || (plan.count != 0 && view.rows_shown() >= plan.count); };
  auto tick = [&](bool last) {
    if (Result<void> read = read_tables(session, view); !read) fputs(read.error().text().c_str(), stderr);
    view.tick(last);
  };
  bool failed = false, interrupted = false;
  while (!interrupted && !enough() && steady_clock::now() < end) {
    session.drain(show);
    if (steady_clock::now() >= tick_next) {
      tick(false);
      tick_next += interval;
    } else if (plan.view == ViewKind::kStream) {
      output.flush();
    }
    interrupted = session.wait(std::min(tick_next, end), signals.fd());
    output.look_for_reader();
  }
  // Whoever has no patience for the last rows may end it for good.
  signals.seen();
  session.stop();
  session.drain(show);
  if (!enough()) tick(true);
  output.flush();
  say_losses(session, plan);
  if (!output.failure().empty()) {
    fputs(Error{ErrorCode::kFailed, "cannot write the output", output.failure(), ""}.text().c_str(), stderr);
    failed = true;
  }
  return leave(failed ? kFailed : kDone);
}

}  // namespace

std::function<int()> configure_watch(CLI::App &app) {
  auto arguments = std::make_shared<WatchArguments>();
  WatchArguments &a = *arguments;
  app.add_option("sensor", a.sensors, "sensors by name; SENSOR:TARGET for those that trace what you name")
      ->required()
      ->type_name("SENSOR...");
  auto *filter = app.add_option_group("Filters, in the kernel");
  filter->add_option("-p,--pid", a.pid, "only this process")->type_name("PID");
  filter->add_option("--comm", a.comm, "only tasks of this name")->type_name("NAME");
  filter->add_option("--cgroup", a.cgroup, "only this cgroup and those below it")->type_name("PATH");
  filter->add_option("--container", a.container, "only this container")->type_name("ID");
  filter->add_option("--min", a.min, "only what took at least this long (10ms, 1.5s; bare numbers are ms)")
      ->type_name("TIME");
  filter->add_flag("--failed", a.failed, "only calls that failed");
  filter->add_option("--set", a.settings, "a parameter of the sensor (waggle list columns SENSOR)")
      ->type_name("NAME=VALUE");
  auto *view = app.add_option_group("View");
  view->add_option("--view", a.view, "stream, top, histogram, heatmap or stacks")->type_name("VIEW");
  view->add_option("--by", a.by, "group by these columns")->type_name("COL,...");
  view->add_option("--sort", a.sort, "largest first by this column")->type_name("COL");
  view->add_option("--top", a.top, "how many groups to show; 0 for all")->type_name("N")->check(not_negative());
  view->add_option("--columns", a.columns, "these columns; +COL adds one (pid.cmdline, cgroup.container, …)")
      ->type_name("COL,...");
  view->add_option("-i,--interval", a.interval, "print this often (1s)")->type_name("TIME");
  view->add_option("-d,--duration", a.duration, "stop after this time")->type_name("TIME");
  view->add_option("-c,--count", a.count, "stop after so many rows, or intervals")
      ->type_name("N")
      ->check(not_negative());
  view->add_flag("-T,--timestamps", a.timestamps, "the time before each interval");
  auto *output = app.add_option_group("Output");
  output->add_flag("--json", a.json, "one JSON object a line, raw values");
  output->add_flag("--csv", a.csv, "comma-separated, raw values");
  output->add_option("--stack", a.stack, "folded: one line a stack, for flame graphs")->type_name("FORMAT");
  output->add_flag("--cost", a.cost, "what watching cost, at the end");
  output->add_option("--ring", a.ring, "size of the ring buffer (8MiB), a power of two")->type_name("SIZE");
  output->add_flag("-v,--verbose", a.verbose, "say which hooks are used");
  // An empty value is a variable that was not set, not an option that was left out.
  for (CLI::App *group : {filter, view, output})
    for (CLI::Option *option : group->get_options())
      if (option->get_expected_max() > 0) option->check(not_empty());
  return [arguments] { return watch(*arguments); };
}

}  // namespace waggle
