// waggle top: the whole host on one screen, or as text or JSON once an interval.

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <optional>
#include <thread>

#include "agent/session.h"
#include "base/quantity.h"
#include "cli/leave.h"
#include "cli/signals.h"
#include "cli/top_gather.h"
#include "cli/top_json.h"
#include "cli/top_layout.h"
#include "cli/verb.h"
#include "view/output.h"
#include "view/screen.h"

namespace waggle {

std::function<int()> configure_top(CLI::App &app);

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

struct TopArguments {
  std::string interval, duration, sort;
  uint64_t count = 0;
  bool json = false, no_sensors = false;
};

struct TopPlan {
  nanoseconds interval = 1s;
  std::optional<nanoseconds> duration;
  uint64_t count = 0;  // 0: no end
  ProcessSort sort = ProcessSort::kCpu;
  bool json = false, sensors = true;
};

constexpr size_t kSummaryColumns = 110;
constexpr nanoseconds kIntervalLeast = 100ms, kIntervalMost = 1h;

Result<TopPlan> make_plan(const TopArguments &arguments) {
  constexpr uint64_t kSecond = 1'000'000'000;
  TopPlan plan;
  if (!arguments.interval.empty()) plan.interval = nanoseconds(TRY(parse_duration_ns(arguments.interval, kSecond)));
  if (plan.interval < kIntervalLeast || plan.interval > kIntervalMost)
    return fail(ErrorCode::kMisuse, fmt::format("bad interval '{}'", arguments.interval), {}, "between 100ms and 1h");
  if (!arguments.duration.empty()) plan.duration = nanoseconds(TRY(parse_duration_ns(arguments.duration, kSecond)));
  static constexpr std::pair<std::string_view, ProcessSort> kSorts[] = {{"", ProcessSort::kCpu},
                                                                        {"cpu", ProcessSort::kCpu},
                                                                        {"io", ProcessSort::kIo},
                                                                        {"network", ProcessSort::kNetwork}};
  auto sort = std::find_if(std::begin(kSorts), std::end(kSorts),
                           [&](const auto &known) { return known.first == arguments.sort; });
  if (sort == std::end(kSorts))
    return fail(ErrorCode::kMisuse, fmt::format("cannot sort by '{}'", arguments.sort), {},
                "sort by cpu, io or network");
  plan.sort = sort->second;
  plan.count = arguments.count;
  plan.json = arguments.json;
  plan.sensors = !arguments.no_sensors;
  return plan;
}

// Without privileges no sensor can start, and half a screen of '-' helps nobody
// who has not asked for it.
std::optional<Error> privileges_missing(const Result<Session> &started) {
  if (started || started.error().code != ErrorCode::kDenied) return std::nullopt;
  Error error = started.error();
  error.what = "waggle top cannot start its sensors";
  error.fix = "sudo waggle top, or: waggle top --no-sensors      shows what /proc alone says";
  return error;
}

void take(TopGatherer &gatherer, Result<Session> started) {
  if (started) {
    gatherer.use(std::move(*started));
    note_attached();
    // Loading has read the kernel's types and thrown most of them away again.
    malloc_trim(0);
  } else {
    gatherer.do_without(started.error());
  }
}

// How long rows may wait in the rings: they come by thousands or hardly at all. On an
// idle host none comes, and the next one wakes us: looking ten times a second whether
// there is one took a sixth of what top takes there.
struct DrainPause {
  nanoseconds most;
  int rows_fd;  // readable earlier; -1: never
};
DrainPause drain_pause(TopGatherer &gatherer, size_t rows_last) {
  Session *session = gatherer.session();
  if (session == nullptr) return {1h, -1};
  if (rows_last == 0) return {1h, session->fall_asleep()};
  return {rows_last > 100 ? 30ms : 100ms, -1};
}

int finish(TopGatherer &gatherer, int status) {
  if (Session *session = gatherer.session()) {
    session->stop();
    gatherer.drain();
    for (const Session::Member &member : session->members()) {
      if (member.sensor == nullptr) continue;
      Counts counts = member.events != nullptr ? member.sensor->stream_counts() : member.sensor->table_counts();
      fmt::print(stderr, "{}\n", loss_line(member.request.name, counts));
    }
  }
  return leave(status);
}

// --- text and JSON ------------------------------------------------------------------

int print_intervals(const TopPlan &plan, Output &output) {
  StopSignals signals;
  TopGatherer gatherer;
  if (plan.sensors) {
    Result<Session> started = Session::start(TopGatherer::requests());
    if (std::optional<Error> error = privileges_missing(started)) return report(*error);
    take(gatherer, std::move(started));
  }
  if (Session *session = gatherer.session())
    for (const Session::Member &member : session->members())
      if (member.sensor == nullptr) fputs(member.error.text().c_str(), stderr);
  TopChoices choices;
  choices.sort = plan.sort;
  choices.interval = plan.interval;
  Result<TopSnapshot> first = gatherer.look(true);
  if (!first) return leave(report(first.error()));

  auto begin = steady_clock::now(), last = begin, next = begin + plan.interval;
  auto end = plan.duration ? begin + *plan.duration : steady_clock::time_point::max();
  uint64_t printed = 0;
  bool interrupted = false;
  while (!interrupted && !output.closed() && (plan.count == 0 || printed < plan.count)) {
    size_t rows = gatherer.drain();
    auto now = steady_clock::now();
    bool over = now >= end;
    // What is left when the duration is not a whole number of intervals counts too.
    if (now >= next || (over && now - last >= kIntervalLeast)) {
      Result<TopSnapshot> snapshot = gatherer.look(plan.sort == ProcessSort::kIo);
      if (!snapshot) return finish(gatherer, report(snapshot.error()));
      if (plan.json) {
        append_top_json(output.text(), *snapshot);
      } else {
        if (printed > 0) output.text() += '\n';
        for (const Line &line : top_summary(*snapshot, choices, kSummaryColumns))
          output.text() += line.plain(kSummaryColumns) + "\n";
      }
      output.flush();
      printed++;
      last = now;
      next = std::max(next + plan.interval, now);
    }
    if (over) break;
    DrainPause pause = drain_pause(gatherer, rows);
    auto wake = std::min({next, end, now + pause.most});
    auto left = std::chrono::ceil<milliseconds>(wake - steady_clock::now());
    pollfd waited[] = {{signals.fd(), POLLIN, 0}, {pause.rows_fd, POLLIN, 0}};
    poll(waited, std::size(waited), static_cast<int>(std::max<int64_t>(0, left.count())));
    interrupted = waited[0].revents != 0;
  }
  if (!output.failure().empty())
    return finish(gatherer, report(Error{ErrorCode::kFailed, "cannot write the output", output.failure(), ""}));
  return finish(gatherer, kDone);
}

// --- the screen ------------------------------------------------------------------------

// Sensors take a few tenths of a second to start; the screen shows /proc meanwhile.
class Starter {
 public:
  Starter() : thread_([this]() noexcept { run(); }) {}
  ~Starter() {
    if (thread_.joinable()) thread_.join();
  }
  Starter(const Starter &) = delete;
  Starter &operator=(const Starter &) = delete;

  bool done() const { return done_; }
  // Waits for it, if need be. REQUIRES: not called before
  Result<Session> take() {
    thread_.join();
    return std::move(*started_);
  }
  bool taken() const { return !thread_.joinable(); }

 private:
  void run() {
    started_.emplace(Session::start(TopGatherer::requests()));
    done_ = true;
  }

  std::optional<Result<Session>> started_;
  std::atomic<bool> done_{false};
  std::thread thread_;  // last: it uses the others
};

class LiveTop {
 public:
  LiveTop(const TopPlan &plan, Screen &screen, const StopSignals &signals)
      : plan_(plan), screen_(&screen), signals_(&signals) {
    choices_.sort = plan.sort;
    choices_.interval = plan.interval;
  }

  int run();

 private:
  // The first rates come soon after the start of whoever tells them.
  static constexpr nanoseconds kFirstInterval = 300ms;

  Result<void> look();
  void draw();
  void press(const Key &key);
  void press_letter(char letter);
  void press_in_drill(const Key &key);
  void open_drill(size_t sibling);
  void refresh_drill();
  void change_interval(int steps);

  TopPlan plan_;
  Screen *screen_;
  const StopSignals *signals_;
  TopGatherer gatherer_;
  TopChoices choices_;
  TopSnapshot shown_;
  bool help_ = false, quit_ = false;
  bool changed_ = true;  // since it was drawn
  std::optional<TopDrill> drill_;
  size_t sibling_ = 0;  // of the sensors of the section in focus
  steady_clock::time_point next_;
  uint64_t frames_ = 0;
};

int LiveTop::run() {
  std::optional<Starter> starter;
  if (plan_.sensors) {
    gatherer_.expect_sensors();
    starter.emplace();
  }
  std::optional<Error> failure;
  auto begin = steady_clock::now();
  if (Result<void> looked = look(); !looked) failure = looked.error();
  next_ = begin + std::min(kFirstInterval, choices_.interval);
  auto end = plan_.duration ? begin + *plan_.duration : steady_clock::time_point::max();
  frames_ = 0;  // the first frame has no rates: --count means those that have
  while (!failure && !quit_ && steady_clock::now() < end && (plan_.count == 0 || frames_ < plan_.count)) {
    if (changed_) draw();
    changed_ = false;
    size_t rows = gatherer_.drain();
    auto now = steady_clock::now();
    bool starting = starter && !starter->taken();
    DrainPause pause = starting ? DrainPause{20ms, -1} : drain_pause(gatherer_, rows);
    auto wake = std::min({next_, end, now + pause.most});
    auto left = std::chrono::ceil<milliseconds>(wake - now);
    Screen::Happened happened =
        screen_->wait(static_cast<int>(std::max<int64_t>(0, left.count())), signals_->fd(), pause.rows_fd);
    if (happened.extra || happened.gone) break;
    for (const Key &key : happened.keys) press(key);
    changed_ = happened.resized || !happened.keys.empty();
    if (starting && starter->done()) {
      Result<Session> started = starter->take();
      failure = privileges_missing(started);
      if (!failure) take(gatherer_, std::move(started));
      next_ = std::min(next_, steady_clock::now() + kFirstInterval);
    }
    if (!failure && steady_clock::now() >= next_) {
      if (Result<void> looked = look(); !looked) failure = looked.error();
      next_ = std::max(next_ + choices_.interval, steady_clock::now());
    }
  }
  screen_->close();
  if (starter && !starter->taken()) take(gatherer_, starter->take());
  return finish(gatherer_, failure ? report(*failure) : kDone);
}

Result<void> LiveTop::look() {
  TopSnapshot snapshot = TRY(gatherer_.look(choices_.sort == ProcessSort::kIo));
  frames_++;
  if (!choices_.paused) {
    changed_ = true;
    shown_ = std::move(snapshot);
    refresh_drill();
  }
  return {};
}

void LiveTop::draw() {
  size_t rows = screen_->rows(), columns = screen_->columns();
  if (help_)
    screen_->draw(top_help(shown_, rows, columns));
  else if (drill_)
    screen_->draw(drill_lines(shown_, choices_, *drill_, rows, columns));
  else
    screen_->draw(top_lines(shown_, choices_, rows, columns));
}

void LiveTop::press(const Key &key) {
  if (key.name == Key::Name::kLetter && key.letter == 'q') {
    quit_ = true;
    return;
  }
  if (help_) {
    help_ = false;
    return;
  }
  auto focus = static_cast<size_t>(choices_.focus);
  if (key.name == Key::Name::kLetter) {
    press_letter(key.letter);
  } else if (drill_) {
    press_in_drill(key);
  } else if (key.name == Key::Name::kTab || key.name == Key::Name::kDown) {
    choices_.focus = static_cast<TopSection>((focus + 1) % kTopSections);
  } else if (key.name == Key::Name::kBackTab || key.name == Key::Name::kUp) {
    choices_.focus = static_cast<TopSection>((focus + kTopSections - 1) % kTopSections);
  } else if (key.name == Key::Name::kEnter || key.name == Key::Name::kRight) {
    open_drill(0);
  }
}

void LiveTop::press_letter(char letter) {
  switch (letter) {
    case '?':
    case 'h':
      help_ = true;
      return;
    case 'p':
    case ' ':
      choices_.paused = !choices_.paused;
      return;
    case '+':
    case '=':
      return change_interval(1);
    case '-':
      return change_interval(-1);
    case 's':
      if (drill_ && drill_->groups != nullptr) {
        size_t measures = drill_->groups->measures().size();
        drill_->sort = (drill_->sort.value_or(drill_->groups->default_measure()) + 1) % measures;
        drill_->first = 0;
      } else if (!drill_) {
        choices_.sort = static_cast<ProcessSort>((static_cast<int>(choices_.sort) + 1) % 3);
      }
      return;
    default:
      if (letter < '1' || letter > '6') return;
      choices_.focus = static_cast<TopSection>(letter - '1');
      if (drill_) open_drill(0);
  }
}

void LiveTop::press_in_drill(const Key &key) {
  size_t siblings = sensors_of(choices_.focus).size();
  size_t page = screen_->rows() > 6 ? screen_->rows() - 6 : 1;
  size_t last = drill_->groups != nullptr && drill_->groups->groups() > page ? drill_->groups->groups() - page : 0;
  size_t &first = drill_->first;
  switch (key.name) {
    case Key::Name::kEscape:
    case Key::Name::kBackspace:
      drill_.reset();
      return;
    case Key::Name::kRight:
    case Key::Name::kTab:
      return open_drill((sibling_ + 1) % siblings);
    case Key::Name::kLeft:
    case Key::Name::kBackTab:
      return open_drill((sibling_ + siblings - 1) % siblings);
    case Key::Name::kDown:
      first = std::min(first + 1, last);
      return;
    case Key::Name::kUp:
      first -= std::min<size_t>(first, 1);
      return;
    case Key::Name::kPageDown:
      first = std::min(first + page, last);
      return;
    case Key::Name::kPageUp:
      first -= std::min(first, page);
      return;
    case Key::Name::kHome:
      first = 0;
      return;
    case Key::Name::kEnd:
      first = last;
      return;
    default:
      return;
  }
}

void LiveTop::open_drill(size_t sibling) {
  sibling_ = sibling;
  drill_.emplace();
  drill_->sensor = sensors_of(choices_.focus)[sibling];
  refresh_drill();
}

void LiveTop::refresh_drill() {
  if (!drill_) return;
  drill_->groups = nullptr;
  drill_->why = "it is not asked for";
  for (const TopSnapshot::SensorState &sensor : shown_.sensors)
    if (sensor.name == drill_->sensor)
      drill_->why = sensor.is == TopSnapshot::SensorState::Is::kStarting ? "it is starting" : sensor.why;
  std::optional<TopGatherer::Gathered> gathered = gatherer_.gathered(drill_->sensor);
  if (!gathered) return;
  drill_->groups = gathered->groups;
  // Of events, how many there were comes before how large.
  if (!drill_->sort && gathered->schema->shape == Shape::kStream)
    drill_->sort = gathered->groups->find_measure("count");
  drill_->summary = gathered->summary;
  drill_->since = gathered->since;
  drill_->forgets_idle = gathered->forgets_idle;
}

void LiveTop::change_interval(int steps) {
  static constexpr nanoseconds kIntervals[] = {200ms, 500ms, 1s, 2s, 5s, 10s, 30s, 1min};
  auto at = std::lower_bound(std::begin(kIntervals), std::end(kIntervals), choices_.interval);
  if (steps > 0) {
    at = std::upper_bound(std::begin(kIntervals), std::end(kIntervals), choices_.interval);
    if (at == std::end(kIntervals)) return;
  } else {
    if (at == std::begin(kIntervals)) return;
    --at;
  }
  choices_.interval = *at;
  next_ = std::min(next_, steady_clock::now() + choices_.interval);
}

int top(const TopArguments &arguments) {
  Result<TopPlan> plan = make_plan(arguments);
  if (!plan) return report(plan.error());
  Output output(STDOUT_FILENO);
  if (plan->json || !can_draw(STDOUT_FILENO)) return print_intervals(*plan, output);
  StopSignals signals;
  Result<std::unique_ptr<Screen>> screen = Screen::open(STDOUT_FILENO, output.colors());
  if (!screen) return report(screen.error());
  return LiveTop(*plan, **screen, signals).run();
}

}  // namespace

std::function<int()> configure_top(CLI::App &app) {
  auto arguments = std::make_shared<TopArguments>();
  TopArguments &a = *arguments;
  app.add_option("-i,--interval", a.interval, "look this often (1s)")->type_name("TIME");
  app.add_option("-d,--duration", a.duration, "stop after this time")->type_name("TIME");
  app.add_option("-c,--count", a.count, "stop after so many intervals")->type_name("N");
  app.add_option("--sort", a.sort, "processes by cpu, io or network")->type_name("KEY");
  app.add_flag("--no-sensors", a.no_sensors, "only what /proc says; needs no privileges");
  app.add_flag("--json", a.json, "one JSON object an interval");
  return [arguments] { return top(*arguments); };
}

}  // namespace waggle
