// waggle watch: one or more sensors, seen through the view that suits them.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "agent/session.h"
#include "base/quantity.h"
#include "base/text.h"
#include "cli/filters.h"
#include "cli/leave.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "cli/view_choice.h"
#include "filter/filter.h"
#include "kernel/bpf_stats.h"
#include "sensor/filter_place.h"
#include "view/slowest.h"
#include "view/view.h"

namespace waggle {

std::function<int()> configure_watch(CLI::App &app);

namespace {

using std::chrono::steady_clock;

constexpr size_t kSlowestUnasked = 5;
// So many rows between two looks say that the threshold of the slowest is too low.
constexpr size_t kManyOffered = 64;
// An interval that does not end before the watching does.
constexpr std::chrono::nanoseconds kNever = std::chrono::hours(24 * 365);

// As the options were typed.
struct WatchArguments : FilterArguments, ViewArguments {
  std::vector<std::string> sensors;
  std::string of, duration, frames;
  std::vector<std::string> where;
  bool cost = false, verbose = false;
};

// As they were meant.
struct WatchPlan {
  std::vector<SensorRequest> requests;
  // --where for each request, against its rows and the keys of its table. What the sensor's
  // programs cannot test is tested when those are read.
  std::vector<filter::Filter> row_filters, key_filters;
  ViewKind view = ViewKind::kAuto;
  ViewOptions view_options;
  std::optional<std::chrono::nanoseconds> interval, duration;
  uint64_t count = 0;   // 0: no end
  size_t slowest = 0;   // 0: none
  uint64_t min_ns = 0;  // of the slowest
  bool cost = false, verbose = false;
  bool knows_processes = false;
  bool watches_all = false;  // no filter at all: a process sensor that is watched tells of every process
  bool snapshot = false;
  Fd cgroup;
};

constexpr std::chrono::milliseconds kStackLook{500};

constexpr const char *kProcessSensors[] = {"fork", "exec", "exit"};

// Whether a watched row says first what its process is: another run of the same
// sensor tells it later. A fork told twice would be two processes.
bool tells_first(const WatchPlan &plan, std::string_view sensor) {
  if (!plan.knows_processes) return false;
  return sensor == "exec" || sensor == "exit" || (sensor == "fork" && plan.watches_all);
}

// Slow or failed ones are single events, not what a table adds up.
bool slow_rows(const WatchArguments &arguments) {
  return !arguments.min.empty() || arguments.failed;
}

const Schema *schema_or_null(const std::optional<Schema> &schema) {
  return schema ? &*schema : nullptr;
}

// Whether --set gives a parameter a value that is not 0.
bool is_set(const WatchArguments &arguments, std::string_view parameter) {
  return std::any_of(arguments.settings.begin(), arguments.settings.end(), [&](std::string_view setting) {
    return setting.starts_with(parameter) && setting.substr(parameter.size()).starts_with('=') &&
           setting.substr(parameter.size()) != "=0" && setting.substr(parameter.size()) != "=false";
  });
}

ViewWishes wishes_of(const WatchArguments &arguments, const Declaration &declaration) {
  // Stacks that are a sensor's choice are shown when somebody chooses them.
  bool without_stacks = declaration.parameter("stacks") != nullptr && !is_set(arguments, "stacks");
  return {!arguments.by.empty() || !arguments.sort.empty(), !arguments.columns.empty(), !arguments.stack.empty(),
          slow_rows(arguments), without_stacks};
}

ViewKind view_of(const Declaration &declaration, const WatchArguments &arguments) {
  if (!arguments.of.empty()) return ViewKind::kHistogram;
  if (declaration.snapshot) return arguments.by.empty() ? ViewKind::kSnapshot : ViewKind::kTop;
  return natural_view(schema_or_null(declaration.events), schema_or_null(declaration.table),
                      wishes_of(arguments, declaration));
}

// All of --where against one schema.
Result<filter::Filter> filter_of(const WatchArguments &arguments, const Schema &schema) {
  filter::Filter made;
  Host host;
  for (const std::string &text : arguments.where) TRY(made.add(text, schema, host));
  return made;
}

// Whether the sensor's table has what is asked to group by and of, and keys for what
// --where asks. It is cheaper than rows, because the kernel adds it up, but has
// fewer columns.
bool table_has(const Declaration &declaration, const WatchArguments &arguments) {
  if (!declaration.table) return false;
  Result<filter::Filter> filter = filter_of(arguments, *declaration.table);
  if (!filter) return false;
  for (const Column &column : filter->columns())
    if (column.is_text()) return false;
  if (!arguments.of.empty()) {
    const Column *column = declaration.table->find(arguments.of);
    if (column == nullptr || column->kind != Kind::kHistogram) return false;
  }
  return table_answers(&*declaration.table, arguments.by);
}

// Tables that can do without keep no row for each process, unless somebody asks
// for processes.
bool groups_by_process(const Declaration &declaration, const WatchArguments &arguments) {
  if (declaration.parameter("by_process") == nullptr) return false;
  auto tells_processes = [](const Column *column) {
    return column != nullptr && (column->kind == Kind::kPid || column->kind == Kind::kComm);
  };
  if (Result<filter::Filter> filter = filter_of(arguments, *declaration.table))
    for (const Column &column : filter->columns())
      if (tells_processes(&column)) return true;
  if (arguments.by.empty()) return false;
  Result<std::vector<Field>> by = parse_fields(*declaration.table, arguments.by, {});
  return by && std::any_of(by->begin(), by->end(), [&](const Field &field) { return tells_processes(field.column); });
}

// The slowest events beside what is added up of all. Where rows are asked for they
// are among these; a table's sensor sends only rows that can still be among them
// (decision 0007), so people get them unasked.
Result<void> plan_slowest(WatchPlan &plan, SensorRequest &request, const Declaration &declaration,
                          const WatchArguments &arguments) {
  SensorOptions &options = request.options;
  bool adds_up = plan.view == ViewKind::kTop || plan.view == ViewKind::kHistogram;
  bool has_durations = declaration.events && declaration.events->first_of(Kind::kDuration) != nullptr;
  bool can = has_durations && (options.want_events || declaration.parameter("min") != nullptr);
  bool by_default = adds_up && can && options.want_table && plan.view_options.format == Format::kPeople;
  plan.slowest = arguments.slowest.value_or(by_default ? kSlowestUnasked : 0);
  if (plan.slowest == 0) return {};
  if (!adds_up) return fail(ErrorCode::kMisuse, "--slowest goes with --view top or --view histogram");
  if (plan.view_options.format == Format::kCsv)
    return fail(ErrorCode::kMisuse, "a CSV has no place for the slowest events", {}, "use --json");
  if (!can)
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' cannot tell its slowest events", request.name),
                has_durations ? "its rows cannot be chosen by their duration" : "it has no rows with a duration");
  if (!options.want_table) return {};
  options.want_events = true;
  for (const auto &[name, value] : options.parameters)
    if (name == "min") plan.min_ns = TRY(parse_duration_ns(value, 1'000'000));
  // Nothing passes until there is a reader for it.
  options.parameters.emplace_back("min", "100000d");
  return {};
}

// Stacks are dear: sensors that can do without take them when they are shown.
bool shows_stacks(const Declaration &declaration, ViewKind view, const WatchArguments &arguments) {
  if (declaration.parameter("stacks") == nullptr) return false;
  auto names_stack = [](std::string_view list) {
    for (std::string_view name : split(list, ','))
      if (trim(name) == "stack" || trim(name) == "+stack") return true;
    return false;
  };
  return view == ViewKind::kStacks || names_stack(arguments.columns) || names_stack(arguments.by);
}

// --where: what programs can test is tested by the sensor's, the rest when rows or the table are read.
Result<void> add_filters(WatchPlan &plan, SensorRequest &request, const Declaration &declaration,
                         const WatchArguments &arguments) {
  SensorOptions &options = request.options;
  filter::Filter rows, keys;
  if (options.want_events) {
    rows = TRY(filter_of(arguments, *declaration.events));
    options.row_filter = TRY(rows.program(*declaration.events, kFilterInstructionsMost));
  }
  if (options.want_table) {
    keys = TRY(filter_of(arguments, *declaration.table));
    options.key_filter = TRY(keys.program(*declaration.table, kFilterInstructionsMost));
  }
  plan.row_filters.push_back(std::move(rows));
  plan.key_filters.push_back(std::move(keys));
  return {};
}

// A sensor whose rows are the slow calls only has all of them in its table. Rows
// that are grouped for want of a column there must be all of them too.
bool wants_all_rows(const Declaration &declaration, const WatchPlan &plan, const WatchArguments &arguments) {
  if (plan.view == ViewKind::kStream || !declaration.table || declaration.parameter("min") == nullptr) return false;
  return arguments.min.empty() && std::none_of(arguments.settings.begin(), arguments.settings.end(),
                                               [](const std::string &set) { return set.starts_with("min="); });
}

// "pid.cmdline" and the like, in --columns or --by.
bool follows_processes(const WatchArguments &arguments) {
  return arguments.columns.find("pid.") != std::string::npos || arguments.by.find("pid.") != std::string::npos;
}

// Processes come and go within milliseconds: only their own events tell what they
// were. A process sensor that is watched whole is not run twice.
void add_process_sensors(WatchPlan &plan, const WatchArguments &arguments) {
  plan.knows_processes = true;
  plan.watches_all = !arguments.any() && arguments.settings.empty() && arguments.where.empty();
  for (const char *name : kProcessSensors) {
    bool is_watched = std::any_of(plan.requests.begin(), plan.requests.end(), [&](const SensorRequest &request) {
      return request.name == name && request.options.want_events;
    });
    if (is_watched && plan.watches_all) continue;
    SensorRequest request{name, {}, false};
    request.options.want_table = false;
    plan.requests.push_back(std::move(request));
  }
}

// What there is, is shown at once, whole where a program reads it; and once, unless
// somebody looks on or names a time.
Result<void> plan_snapshot(WatchPlan &plan, const WatchArguments &arguments, const Declaration &declaration) {
  if (plan.view != ViewKind::kSnapshot && plan.view != ViewKind::kTop)
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' tells what there is, not what happens", declaration.name),
                {}, "use --view snapshot or top");
  if (slow_rows(arguments))
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no calls", declaration.name),
                "--min and --failed choose calls");
  if (arguments.slowest)
    return fail(ErrorCode::kMisuse, "--slowest goes with --view top or --view histogram of events");
  plan.snapshot = true;
  plan.row_filters.push_back(TRY(filter_of(arguments, *declaration.snapshot)));
  if (!arguments.top && plan.view_options.format != Format::kPeople) plan.view_options.top = 0;
  bool goes_on = plan.interval || plan.duration || isatty(STDOUT_FILENO) == 1;
  if (plan.count == 0 && !goes_on) plan.count = 1;
  return {};
}

Result<WatchPlan> make_plan(const WatchArguments &arguments) {
  WatchPlan plan;
  plan.view_options = TRY(view_options(arguments));
  if (!arguments.frames.empty() && arguments.frames != "user" && arguments.frames != "kernel")
    return fail(ErrorCode::kMisuse, fmt::format("no frames '{}'", arguments.frames), {}, "--frames user or kernel");
  plan.view = TRY(parse_view(arguments.view));
  if (std::optional<uint64_t> interval = TRY(interval_ns(arguments)))
    plan.interval = *interval == 0 ? kNever : std::chrono::nanoseconds(*interval);
  if (!arguments.duration.empty())
    plan.duration = std::chrono::nanoseconds(TRY(parse_duration_ns(arguments.duration, 1'000'000'000)));
  plan.count = arguments.count;
  plan.cost = arguments.cost;
  plan.verbose = arguments.verbose;

  ViewOptions &view = plan.view_options;
  view.of = arguments.of;
  view.kernel_frames = arguments.frames != "user";
  view.user_frames = arguments.frames != "kernel";
  view.name_sensor = arguments.sensors.size() > 1;

  SensorOptions common = TRY(sensor_options(arguments, plan.cgroup));
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
    if (!request.options.target.empty() && !declaration.takes_target())
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' traces no target", request.name), {},
                  fmt::format("waggle watch {}", request.name));
    if (several) {
      if (!arguments.by.empty() || !arguments.sort.empty())
        return fail(ErrorCode::kMisuse, "several sensors cannot be grouped or sorted together", {},
                    "watch one, or leave --by and --sort out");
      if ((plan.view != ViewKind::kAuto && plan.view != ViewKind::kStream) || arguments.slowest)
        return fail(ErrorCode::kMisuse, "several sensors share one view", {}, "watch one, or use --view stream");
      if (!declaration.events)
        return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no rows to mix with others", request.name), {},
                    fmt::format("waggle watch {}      alone", request.name));
    } else if (plan.view == ViewKind::kAuto) {
      plan.view = view_of(declaration, arguments);
    }
    if (declaration.snapshot) {
      TRY(plan_snapshot(plan, arguments, declaration));
      break;
    }
    if (plan.view == ViewKind::kSnapshot)
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' tells what happens, not what there is", request.name),
                  {}, "use --view stream or top");
    bool wants_rows = several || plan.view == ViewKind::kStream ||
                      (plan.view == ViewKind::kStacks &&
                       !stacks_in_table(schema_or_null(declaration.events), schema_or_null(declaration.table),
                                        wishes_of(arguments, declaration))) ||
                      slow_rows(arguments) || !table_has(declaration, arguments);
    request.options.want_events = wants_rows && declaration.events.has_value();
    request.options.want_table = !request.options.want_events;
    if (request.options.want_events && wants_all_rows(declaration, plan, arguments))
      request.options.parameters.emplace_back("min", "0");
    if (request.options.want_table && groups_by_process(declaration, arguments))
      request.options.parameters.emplace_back("by_process", "1");
    if (shows_stacks(declaration, plan.view, arguments) && !is_set(arguments, "stacks"))
      request.options.parameters.emplace_back("stacks", "1");
    if (!several) TRY(plan_slowest(plan, request, declaration, arguments));
    TRY(add_filters(plan, request, declaration, arguments));
    if (!declaration.events && plan.view == ViewKind::kStream)
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' keeps a table and has no rows", request.name), {},
                  "use --view top or histogram");
  }
  if (several) plan.view = ViewKind::kStream;
  if (follows_processes(arguments)) add_process_sensors(plan, arguments);
  return plan;
}

std::vector<const Schema *> schemas_shown(Session &session) {
  std::vector<const Schema *> schemas;
  for (Session::Member &member : session.members()) {
    if (member.sensor == nullptr || !member.request.is_asked_for) continue;
    const Declaration &declaration = member.sensor->declaration();
    schemas.push_back(declaration.snapshot      ? &*declaration.snapshot
                      : member.table == nullptr ? member.events
                                                : &*declaration.table);
  }
  return schemas;
}

// Intervals of a stream only flush it; other views print then. A view for which
// nobody named an interval prints every second on a terminal, and once, at the
// end, into a file.
std::chrono::nanoseconds interval_of(const WatchPlan &plan, const Output &output) {
  using namespace std::chrono_literals;
  if (plan.interval) return *plan.interval;
  if (plan.view == ViewKind::kStream) return 100ms;
  if (plan.view == ViewKind::kHeat || plan.snapshot || (output.is_terminal() && !plan.duration)) return 1s;
  return kNever;
}

// Keys of each member's table that --where turned away after they had been read.
using HiddenKeys = std::vector<std::set<std::string>>;

Result<void> read_tables(Session &session, const WatchPlan &plan, View &view, HiddenKeys &hidden) {
  for (size_t index = 0; index < session.members().size(); index++) {
    Session::Member &member = session.members()[index];
    if (member.sensor != nullptr && member.sensor->declaration().snapshot) {
      Batch all(*member.sensor->declaration().snapshot);
      TRY(member.sensor->read_snapshot(all));
      for (size_t i = 0; i < all.rows(); i++)
        if (plan.row_filters[index].holds(all.row(i))) view.add(all.schema(), all.row(i));
    }
    if (member.table == nullptr) continue;
    Batch changes(*member.sensor->declaration().table);
    TRY(member.table->read_changes(changes));
    for (size_t i = 0; i < changes.rows(); i++) {
      Row row = changes.row(i);
      if (plan.key_filters[index].rest_holds(row))
        view.add(changes.schema(), row);
      else
        hidden[index].emplace(reinterpret_cast<const char *>(row.data()), changes.schema().key_bytes);
    }
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

// What the kernel says the programs of a sensor took, of which `seconds` passed.
void say_cost(const Session::Member &member, const Counts &counts, double seconds) {
  Cost cost = member.sensor->cost();
  say(fmt::format("{}: {} program runs, {} ns each, {} ns an event, {:.2f}% of a core, {} instructions",
                  member.request.name, cost.runs, cost.runs == 0 ? 0 : cost.run_ns / cost.runs,
                  counts.produced == 0 ? 0 : cost.run_ns / counts.produced, cost.core_percent(seconds),
                  cost.instructions));
}

// hidden: rows of each member that --where turned away after they had been read.
void say_losses(Session &session, const WatchPlan &plan, double seconds, const std::vector<uint64_t> &hidden,
                const HiddenKeys &hidden_keys) {
  for (size_t i = 0; i < session.members().size(); i++) {
    const Session::Member &member = session.members()[i];
    if (member.sensor == nullptr || !member.request.is_asked_for) continue;
    Counts counts = member.table == nullptr ? member.sensor->stream_counts() : member.sensor->table_counts();
    if (member.table == nullptr) {
      counts.filtered += hidden[i];
      counts.delivered -= hidden[i];
    }
    say(loss_line(member.request.name, counts));
    // A group is many events, which the kernel has counted as delivered.
    if (!hidden_keys[i].empty())
      say(fmt::format("{}: --where turned away {} groups of its table", member.request.name, hidden_keys[i].size()));
    if (member.table != nullptr && member.events != nullptr)
      say(loss_line(member.request.name + " slowest", member.sensor->stream_counts()));
    if (plan.cost) say_cost(member, counts, seconds);
  }
}

int watch(const WatchArguments &arguments) {
  Result<WatchPlan> made = make_plan(arguments);
  if (!made) return report(made.error());
  WatchPlan plan = std::move(*made);
  StopSignals signals;
  Fd counts_runs;
  if (plan.cost) {
    Result<Fd> counting = count_program_runs();
    if (!counting) return report(counting.error());
    counts_runs = std::move(*counting);
  }
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
  Result<std::unique_ptr<View>> view_made =
      make_view(plan.view, schemas_shown(session), plan.view_options, renderer, output);
  if (!view_made) return leave(report(view_made.error()));
  View &view = **view_made;
  if (plan.verbose) say_hooks(session);

  // One sensor alone has them.
  Session::Member &first = session.members().front();
  std::optional<Slowest> slowest;
  if (plan.slowest > 0) {
    Result<Slowest> kept = Slowest::make(*first.events, plan.slowest, renderer);
    if (!kept) return leave(report(kept.error()));
    slowest = std::move(*kept);
  }
  bool threshold_follows = slowest && first.table != nullptr;
  auto set_threshold = [&] {
    if (threshold_follows) first.sensor->set_min(std::max(plan.min_ns, slowest->floor()));
  };
  set_threshold();

  auto now = steady_clock::now();
  auto began = now;
  auto interval = std::chrono::duration_cast<steady_clock::duration>(interval_of(plan, output));
  auto tick_next = plan.snapshot ? now : now + interval;
  // Processes end, and their stacks lose their names: those of a table are looked
  // at earlier than they are shown.
  auto look = plan.view == ViewKind::kStacks ? std::min<steady_clock::duration>(interval, kStackLook) : interval;
  auto look_next = now + look;
  auto end = plan.duration ? now + std::chrono::duration_cast<steady_clock::duration>(*plan.duration)
                           : steady_clock::time_point::max();
  std::vector<uint64_t> hidden(session.members().size());
  HiddenKeys hidden_keys(session.members().size());
  auto show = [&](Session::Member &member, Row row) {
    // What a process is from now on is known before its own row is shown.
    if (!member.request.is_asked_for || tells_first(plan, member.request.name)) host.observe(*member.events, row);
    if (!member.request.is_asked_for) return;
    auto index = static_cast<size_t>(&member - session.members().data());
    if (!plan.row_filters[index].rest_holds(row)) {
      hidden[index]++;
      return;
    }
    if (slowest) slowest->offer(row);
    if (member.table != nullptr) return;
    if (plan.view != ViewKind::kStream || plan.count == 0 || view.rows_shown() < plan.count)
      view.add(*member.events, row);
  };
  auto enough = [&] { return output.closed() || (plan.count != 0 && view.rows_shown() >= plan.count); };
  bool failed = false;
  auto read = [&] {
    Result<void> done = read_tables(session, plan, view, hidden_keys);
    // Once is enough: what cannot be read now could not be read before.
    if (!done && !std::exchange(failed, true)) fputs(done.error().text().c_str(), stderr);
  };
  auto tick = [&](bool last) {
    read();
    view.tick(last);
    if (slowest) slowest->print(output, plan.view_options.format);
    set_threshold();
  };
  bool interrupted = false;
  while (!interrupted && steady_clock::now() < end) {
    session.drain(show);
    set_threshold();
    if (steady_clock::now() >= tick_next) {
      tick(false);
      tick_next += interval;
      look_next = steady_clock::now() + look;
    } else if (steady_clock::now() >= look_next) {
      read();
      look_next = steady_clock::now() + look;
    } else if (plan.view == ViewKind::kStream) {
      output.flush();
    }
    if (enough()) break;
    auto until = std::min({tick_next, look_next, end});
    if (threshold_follows && slowest->take_offered() >= kManyOffered)
      until = std::min(until, steady_clock::now() + std::chrono::milliseconds(1));
    interrupted = session.wait(until, signals.fd());
    output.look_for_reader();
  }
  // Whoever has no patience for the last rows may end it for good.
  signals.seen();
  std::chrono::duration<double> watched = steady_clock::now() - began;
  session.stop();
  session.drain(show);
  if (!enough() && !plan.snapshot) tick(true);
  output.flush();
  say_losses(session, plan, watched.count(), hidden, hidden_keys);
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
  auto *filter = app.add_option_group("Filters");
  add_filter_options(*filter, a);
  filter
      ->add_option(
          "--where", a.where,
          "only rows that are so: errno!=0, port=80,443, flags&O_CREAT, 'latency > 10ms && path startswith /etc'")
      ->type_name("EXPR");
  auto *view = app.add_option_group("View");
  add_view_options(*view, a, "stream, top, histogram, heatmap, stacks or snapshot",
                   "print this often (1s); 0: once, at the end");
  view->add_option("--of", a.of, "the column whose distribution a histogram shows (bytes); without it all durations")
      ->type_name("COL");
  view->add_option("-d,--duration", a.duration, "stop after this time")->type_name("TIME");
  auto *output = app.add_option_group("Output");
  add_format_options(*output, a);
  output->add_option("--frames", a.frames, "user or kernel: only those frames of stacks")->type_name("WHICH");
  output->add_flag("--cost", a.cost, "what watching cost, at the end");
  output
      ->add_option("--ring", a.ring,
                   "size of the ring buffer, a power of two such as 8MiB; else the sensor's own choice")
      ->type_name("SIZE");
  output->add_flag("-v,--verbose", a.verbose, "say which hooks are used");
  // An empty value is a variable that was not set, not an option that was left out.
  for (CLI::App *group : {filter, view, output})
    for (CLI::Option *option : group->get_options())
      if (option->get_expected_max() > 0) option->check(not_empty());
  return [arguments] { return watch(*arguments); };
}

}  // namespace waggle
