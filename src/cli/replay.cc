// waggle replay: a recording, seen through any view, as if its sensors ran now.
//
// Time is the recording's: intervals end where they ended then, and "when" is what
// the clock showed there. So the same bytes give the same answers anywhere.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "agent/session.h"
#include "base/quantity.h"
#include "base/text.h"
#include "cli/verb.h"
#include "cli/view_choice.h"
#include "filter/filter.h"
#include "recording/player.h"
#include "view/slowest.h"

namespace waggle {

std::function<int()> configure_replay(CLI::App &app);

namespace {

using recording::PlayedStream;
using recording::Player;

// The slowest that people get beside a histogram unasked, as with watch.
constexpr size_t kSlowestUnasked = 5;

struct ReplayArguments : ViewArguments {
  std::string file, sensor, comm, container, min;
  std::vector<std::string> where;
  uint32_t pid = 0;
  bool failed = false, verbose = false;

  bool chooses_rows() const { return !min.empty() || failed; }
};

// What a sensor left: rows, a table, or both.
struct Recorded {
  std::string name;
  PlayedStream *events = nullptr, *table = nullptr;
};

const Schema *schema_of(const PlayedStream *stream) {
  return stream == nullptr ? nullptr : &stream->schema;
}

std::vector<Recorded> recorded_sensors(Player &player) {
  std::vector<Recorded> sensors;
  for (const std::unique_ptr<PlayedStream> &stream : player.streams()) {
    if (!stream->is_asked_for) continue;
    const std::string &name = stream->schema.name;
    auto known = std::find_if(sensors.begin(), sensors.end(), [&](const Recorded &each) { return each.name == name; });
    if (known == sensors.end()) known = sensors.insert(sensors.end(), Recorded{name, nullptr, nullptr});
    (stream->schema.shape == Shape::kTable ? known->table : known->events) = stream.get();
  }
  return sensors;
}

// The filters of `watch`, by the columns of the rows instead of in the kernel.
class RowFilter {
 public:
  //   host    gives the names that --where asks for
  //   errors  Misuse  the rows have no such column
  static Result<RowFilter> make(const ReplayArguments &arguments, const Schema &schema, Host &host) {
    RowFilter filter;
    for (const std::string &text : arguments.where) TRY(filter.where_.add(text, schema, host));
    auto column_for = [&](Kind kind, std::string_view option) -> Result<const Column *> {
      if (const Column *column = schema.first_of(kind)) return column;
      return fail(ErrorCode::kMisuse,
                  fmt::format("what was recorded of '{}' cannot be chosen by {}", schema.name, option),
                  fmt::format("its {} have no column of kind '{}'", schema.shape == Shape::kTable ? "groups" : "rows",
                              kind_info(kind).name));
    };
    if (arguments.pid != 0) {
      filter.pid_ = TRY(column_for(Kind::kPid, "--pid"));
      filter.wanted_pid_ = arguments.pid;
    }
    if (!arguments.comm.empty()) {
      filter.comm_ = TRY(column_for(Kind::kComm, "--comm"));
      filter.wanted_comm_ = arguments.comm.substr(0, filter.comm_->size - 1);
    }
    if (!arguments.min.empty()) {
      filter.duration_ = TRY(column_for(Kind::kDuration, "--min"));
      filter.min_ns_ = TRY(parse_duration_ns(arguments.min, 1'000'000));
    }
    if (arguments.failed) filter.errno_ = TRY(column_for(Kind::kErrno, "--failed"));
    if (!arguments.container.empty()) {
      const Column *cgroup = TRY(column_for(Kind::kCgroup, "--container"));
      filter.container_ = TRY(parse_field(schema, cgroup->name + ".container"));
      filter.wanted_container_ = arguments.container;
    }
    return filter;
  }

  bool wants(Row row, Renderer &renderer) const {
    if (pid_ != nullptr && natural(*pid_, row) != wanted_pid_) return false;
    if (comm_ != nullptr && text(*comm_, row) != wanted_comm_) return false;
    if (duration_ != nullptr && natural(*duration_, row) < min_ns_) return false;
    if (errno_ != nullptr && integer(*errno_, row) == 0) return false;
    if (!where_.holds(row)) return false;
    if (!container_) return true;
    std::string container;
    renderer.append_text(container, *container_, row);
    return container.starts_with(wanted_container_);
  }

 private:
  const Column *pid_ = nullptr, *comm_ = nullptr, *duration_ = nullptr, *errno_ = nullptr;
  std::optional<Field> container_;
  filter::Filter where_;
  uint64_t wanted_pid_ = 0, min_ns_ = 0;
  std::string wanted_comm_, wanted_container_;
};

// A stream that is shown, and what the filters here took from it.
struct Shown {
  PlayedStream *stream;
  RowFilter filter;
  bool is_beside = false;  // only the slowest of it, beside its table
  uint64_t passed = 0, filtered = 0;
};

struct ReplayPlan {
  ViewKind view = ViewKind::kAuto;
  ViewOptions options;
  uint64_t interval_ns = 0;  // 0: once, at the end
  size_t slowest = 0;
  std::vector<Shown> shown;
};

Result<std::vector<Recorded>> choose_sensors(Player &player, const ReplayArguments &arguments) {
  std::vector<Recorded> sensors = recorded_sensors(player);
  if (arguments.sensor.empty()) return sensors;
  std::string known;
  for (const Recorded &each : sensors) {
    if (each.name == arguments.sensor) return std::vector<Recorded>{each};
    known += (known.empty() ? "" : ", ") + each.name;
  }
  return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' was not recorded", arguments.sensor), {},
              "there is " + known);
}

Result<void> show_several(ReplayPlan &plan, const std::vector<Recorded> &sensors, const ReplayArguments &arguments,
                          Host &host) {
  std::string names;
  for (const Recorded &each : sensors) names += (names.empty() ? "" : ", ") + each.name;
  if ((plan.view != ViewKind::kAuto && plan.view != ViewKind::kStream) || !arguments.by.empty() ||
      !arguments.sort.empty() || arguments.slowest)
    return fail(ErrorCode::kMisuse, "several sensors share one stream", "the recording has " + names,
                "choose one with --sensor");
  plan.view = ViewKind::kStream;
  plan.options.name_sensor = true;
  for (const Recorded &each : sensors)
    if (each.events != nullptr)
      plan.shown.push_back({each.events, TRY(RowFilter::make(arguments, each.events->schema, host))});
  if (plan.shown.empty())
    return fail(ErrorCode::kMisuse, "the recording has tables only, which cannot be mixed", "it has " + names,
                "choose one with --sensor");
  return {};
}

// As `watch` chooses between the rows and the table of a sensor.
Result<void> show_one(ReplayPlan &plan, const Recorded &sensor, const ReplayArguments &arguments, Host &host) {
  const Schema *events = schema_of(sensor.events), *table = schema_of(sensor.table);
  ViewWishes wishes = {!arguments.by.empty() || !arguments.sort.empty(), !arguments.columns.empty(),
                       !arguments.stack.empty(), arguments.chooses_rows(),
                       (sensor.events != nullptr ? sensor.events : sensor.table)->without_stacks};
  if (plan.view == ViewKind::kAuto) plan.view = natural_view(events, table, wishes);
  bool needs_rows =
      plan.view == ViewKind::kStream || (plan.view == ViewKind::kStacks && !stacks_in_table(events, table, wishes));
  bool wants_rows = needs_rows || arguments.chooses_rows() || !table_answers(table, arguments.by);
  if (needs_rows && events == nullptr)
    return fail(ErrorCode::kMisuse, fmt::format("of sensor '{}' a table was recorded, and no rows", sensor.name), {},
                "use --view top or histogram");
  PlayedStream *main = wants_rows && events != nullptr ? sensor.events : sensor.table;
  if (main == nullptr) main = sensor.events;
  plan.shown.push_back({main, TRY(RowFilter::make(arguments, main->schema, host))});

  bool adds_up = plan.view == ViewKind::kTop || plan.view == ViewKind::kHistogram;
  bool can = adds_up && events != nullptr && events->first_of(Kind::kDuration) != nullptr;
  bool unasked = can && main == sensor.table && plan.options.format == Format::kPeople;
  plan.slowest = arguments.slowest.value_or(unasked ? kSlowestUnasked : 0);
  if (plan.slowest == 0) return {};
  if (!can || plan.options.format == Format::kCsv)
    return fail(ErrorCode::kMisuse, "--slowest goes with --view top or histogram, of rows that have a duration", {},
                "not as CSV");
  if (main == sensor.table) plan.shown.push_back({sensor.events, TRY(RowFilter::make(arguments, *events, host)), true});
  return {};
}

Result<ReplayPlan> make_plan(const ReplayArguments &arguments, Player &player) {
  ReplayPlan plan;
  plan.options = TRY(view_options(arguments));
  plan.view = TRY(parse_view(arguments.view));
  if (plan.view == ViewKind::kSnapshot)
    return fail(ErrorCode::kMisuse, "a recording holds what happened, not what there was", {},
                "use --view stream or top");
  plan.interval_ns = TRY(interval_ns(arguments)).value_or(0);
  Host &host = player.host();
  std::vector<Recorded> sensors = TRY(choose_sensors(player, arguments));
  if (sensors.empty()) return fail(ErrorCode::kInvalid, "the recording has no sensors");
  if (sensors.size() > 1)
    TRY(show_several(plan, sensors, arguments, host));
  else
    TRY(show_one(plan, sensors.front(), arguments, host));
  if (plan.view == ViewKind::kHeat && plan.interval_ns == 0) plan.interval_ns = 1'000'000'000;
  return plan;
}

// Plays the events into the view, and says when intervals end.
class Replay {
 public:
  Replay(Player &player, ReplayPlan &plan, View &view, std::optional<Slowest> slowest, Renderer &renderer,
         Output &output, uint64_t count)
      : player_(&player),
        plan_(&plan),
        view_(&view),
        slowest_(std::move(slowest)),
        renderer_(&renderer),
        output_(&output),
        count_(count) {
    shows_table_ = std::any_of(plan.shown.begin(), plan.shown.end(),
                               [](const Shown &each) { return each.stream->schema.shape == Shape::kTable; });
  }

  // errors: Invalid, when the recording is damaged: what came before was shown
  Result<void> run() {
    Result<void> played = play();
    if (!enough()) end_interval(true);
    output_->flush();
    return played;
  }

 private:
  Result<void> play() {
    while (!enough()) {
      std::optional<Player::Event> event = TRY(player_->next());
      if (!event) break;
      if (event->what == Player::Event::What::kTick)
        pass_time(event->tick_ns);
      else
        take_row(*event->stream, event->row);
    }
    return {};
  }

  void take_row(PlayedStream &stream, Row row) {
    for (Shown &shown : plan_->shown) {
      if (shown.stream != &stream) continue;
      // Rows of a table are told after the events of their interval.
      const Column *when = stream.schema.first_of(Kind::kTime);
      if (!shows_table_ && when != nullptr) pass_time(natural(*when, row));
      if (enough()) return;
      bool wanted = shown.filter.wants(row, *renderer_);
      (wanted ? shown.passed : shown.filtered)++;
      if (!wanted) return;
      bool has_duration = stream.schema.shape == Shape::kStream;
      if (slowest_ && has_duration) slowest_->offer(row);
      if (!shown.is_beside) view_->add(stream.schema, row);
    }
  }

  void pass_time(uint64_t monotonic_ns) {
    HostAnswers &answers = player_->answers();
    // Between streams rows may be a little out of order.
    auto wall_ns = static_cast<int64_t>(monotonic_ns + static_cast<uint64_t>(answers.wall_minus_monotonic_ns));
    answers.now_ns = std::max(answers.now_ns, wall_ns);
    if (plan_->interval_ns == 0) return;
    if (interval_ends_ns_ == 0) interval_ends_ns_ = monotonic_ns + plan_->interval_ns;
    if (monotonic_ns < interval_ends_ns_) return;
    end_interval(false);
    // Intervals in which nothing was seen are passed over.
    uint64_t late_ns = monotonic_ns - interval_ends_ns_;
    interval_ends_ns_ = monotonic_ns - late_ns % plan_->interval_ns + plan_->interval_ns;
  }

  void end_interval(bool last) {
    view_->tick(last);
    if (slowest_) slowest_->print(*output_, plan_->options.format);
  }

  bool enough() const { return output_->closed() || (count_ != 0 && view_->rows_shown() >= count_); }

  Player *player_;
  ReplayPlan *plan_;
  View *view_;
  std::optional<Slowest> slowest_;
  Renderer *renderer_;
  Output *output_;
  uint64_t count_;
  bool shows_table_ = false;
  uint64_t interval_ends_ns_ = 0;
};

// As `watch` says it, with what was filtered here.
void say_counts(const ReplayPlan &plan) {
  for (const Shown &shown : plan.shown) {
    const recording::StreamCounts &counts = shown.stream->counts;
    bool is_table = shown.stream->schema.shape == Shape::kTable;
    Counts sums{counts.produced, counts.filtered, counts.delivered, counts.lost};
    // A row of a table is many events: what is left out of it is not counted in events.
    uint64_t filtered = is_table ? 0 : std::min(shown.filtered, sums.delivered);
    sums.filtered += filtered;
    sums.delivered -= filtered;
    say(loss_line(shown.stream->schema.name + (shown.is_beside ? " slowest" : ""), sums));
  }
}

void say_origin(const recording::Origin &origin) {
  // It may come from anywhere, and say anything.
  std::string line;
  append_printable(line,
                   fmt::format("recorded on {} (Linux {}) by waggle {}", origin.host, origin.kernel, origin.waggle));
  say(line);
}

int replay(const ReplayArguments &arguments) {
  bool from_stdin = arguments.file == "-";
  Result<Fd> file = from_stdin ? Fd(STDIN_FILENO) : open_file(arguments.file, O_RDONLY);
  if (!file) return report(file.error());
  auto of_file = [&](Error error) {
    error.what = fmt::format("cannot replay '{}': {}", arguments.file, error.what);
    return error;
  };
  Result<std::unique_ptr<Player>> opened = Player::open(recording::source_of(file->get()));
  if (!opened) return report(of_file(opened.error()));
  Player &player = **opened;
  if (arguments.verbose) say_origin(player.origin());
  Result<ReplayPlan> plan = make_plan(arguments, player);
  if (!plan) return report(plan.error());

  Output output(STDOUT_FILENO);
  Renderer renderer(player.host());
  std::vector<const Schema *> schemas;
  for (const Shown &shown : plan->shown)
    if (!shown.is_beside) schemas.push_back(&shown.stream->schema);
  Result<std::unique_ptr<View>> view = make_view(plan->view, schemas, plan->options, renderer, output);
  if (!view) return report(view.error());
  std::optional<Slowest> slowest;
  if (plan->slowest > 0) {
    Result<Slowest> kept = Slowest::make(plan->shown.back().stream->schema, plan->slowest, renderer);
    if (!kept) return report(kept.error());
    slowest = std::move(*kept);
  }
  Result<void> played = Replay(player, *plan, **view, std::move(slowest), renderer, output, arguments.count).run();
  say_counts(*plan);
  if (!output.failure().empty())
    return report(Error{ErrorCode::kFailed, "cannot write the output", output.failure(), ""});
  if (!played) {
    report(of_file(played.error()));
    return kFailed;
  }
  if (!output.closed() && arguments.count == 0 && player.was_cut())
    say("note: the recording has no end: its writer was killed, and what it had not written yet is missing");
  return kDone;
}

}  // namespace

std::function<int()> configure_replay(CLI::App &app) {
  auto arguments = std::make_shared<ReplayArguments>();
  ReplayArguments &a = *arguments;
  app.add_option("file", a.file, "a recording; - is stdin")->required()->type_name("FILE");
  app.add_option("-s,--sensor", a.sensor, "of several sensors only this one")->type_name("SENSOR");
  app.add_flag("-v,--verbose", a.verbose, "say where it was recorded");
  auto *filter = app.add_option_group("Filters");
  filter->add_option("-p,--pid", a.pid, "only this process")->type_name("PID")->check(positive());
  filter->add_option("--comm", a.comm, "only tasks of this name")->type_name("NAME");
  filter->add_option("--where", a.where, "only rows that are so, as with watch: 'latency > 10ms && comm == nginx'")
      ->type_name("EXPR");
  filter->add_option("--container", a.container, "only this container")->type_name("ID");
  filter->add_option("--min", a.min, "only what took at least this long (10ms, 1.5s; bare numbers are ms)")
      ->type_name("TIME");
  filter->add_flag("--failed", a.failed, "only calls that failed");
  auto *view = app.add_option_group("View");
  add_view_options(*view, a, "stream, top, histogram, heatmap or stacks",
                   "print for each such interval of the recording; 0: once, at the end");
  auto *output = app.add_option_group("Output");
  add_format_options(*output, a);
  for (CLI::App *group :
       {&app, static_cast<CLI::App *>(filter), static_cast<CLI::App *>(view), static_cast<CLI::App *>(output)})
    for (CLI::Option *option : group->get_options())
      if (option->get_expected_max() > 0) option->check(not_empty());
  return [arguments] { return replay(*arguments); };
}

}  // namespace waggle
