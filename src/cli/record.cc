// waggle record: what sensors see, into a file that `waggle replay` shows anywhere.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "agent/session.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "base/version.h"
#include "cli/filters.h"
#include "cli/leave.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "recording/recorder.h"

namespace waggle {

std::function<int()> configure_record(CLI::App &app);

namespace {

using recording::Recorder;
using std::chrono::steady_clock;

struct RecordArguments : FilterArguments {
  std::vector<std::string> sensors;
  std::string file, interval = "1s", duration;
  bool without_processes = false, verbose = false;
};

// Only their own events tell what processes were that came and went meanwhile.
constexpr const char *kProcessSensors[] = {"fork", "exec", "exit"};

Result<std::vector<SensorRequest>> make_requests(const RecordArguments &arguments, Fd &cgroup) {
  SensorOptions common = TRY(sensor_options(arguments, cgroup));
  std::vector<SensorRequest> requests;
  for (const std::string &text : arguments.sensors) {
    size_t colon = text.find(':');
    SensorRequest request{text.substr(0, colon), common, true};
    if (colon != std::string::npos) request.options.target = text.substr(colon + 1);
    Declaration declaration = TRY(declaration_of(request.name));
    if (!request.options.target.empty() && !declaration.takes_target())
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' traces no target", request.name), {},
                  fmt::format("waggle record {}", request.name));
    if (declaration.snapshot)
      return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' tells what there is, not what happens", request.name),
                  "a recording holds what happened", fmt::format("waggle watch {} --json      keeps it", request.name));
    for (const SensorRequest &other : requests)
      if (other.name == request.name)
        return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' is named twice", request.name));
    request.options.want_events = declaration.events.has_value();
    request.options.want_table = declaration.table.has_value();
    requests.push_back(std::move(request));
  }
  if (arguments.without_processes) return requests;
  for (const char *name : kProcessSensors) {
    bool is_recorded = std::any_of(requests.begin(), requests.end(),
                                   [&](const SensorRequest &request) { return request.name == name; });
    if (is_recorded && !arguments.any()) continue;
    SensorRequest request{name, {}, false};
    request.options.want_table = false;
    requests.push_back(std::move(request));
  }
  return requests;
}

// Whether --set gives a switch another value than its "no".
bool is_set(const SensorOptions &options, std::string_view parameter) {
  return std::any_of(options.parameters.begin(), options.parameters.end(), [&](const auto &set) {
    return set.first == parameter && set.second != "0" && set.second != "false";
  });
}

recording::Origin origin_here() {
  utsname names = {};
  uname(&names);
  return {names.nodename, names.release, std::string(kVersion)};
}

recording::StreamCounts recorded(const Counts &counts) {
  return {counts.produced, counts.filtered, counts.delivered, counts.lost};
}

// The sensors' streams and tables, and where their rows go.
class Tape {
 public:
  Tape(Session &session, Recorder recorder) : session_(&session), recorder_(std::move(recorder)) {
    for (Session::Member &member : session.members()) {
      if (member.sensor == nullptr) continue;
      bool asked = member.request.is_asked_for;
      const Declaration &declaration = member.sensor->declaration();
      bool without_stacks = declaration.parameter("stacks") != nullptr && !is_set(member.request.options, "stacks");
      if (member.events != nullptr) events_[&member] = recorder_.add_stream(*member.events, asked, without_stacks);
      if (member.table != nullptr) tables_[&member] = recorder_.add_stream(*declaration.table, asked, without_stacks);
    }
  }

  Recorder &recorder() { return recorder_; }
  uint64_t rows() const { return rows_; }

  // The first failure stays; nothing is written after it.
  const std::optional<Error> &failure() const { return failure_; }
  void keep(Result<void> result) {
    if (!result && !failure_) failure_ = std::move(result).error();
  }

  void drain() {
    session_->drain([&](Session::Member &member, Row row) {
      rows_ += member.request.is_asked_for;
      if (!failure_) keep(recorder_.row(events_[&member], row));
    });
  }

  // What the tables have by now, and the counts.
  void tick() {
    for (auto &[member, stream] : tables_) {
      Batch changes(*member->sensor->declaration().table);
      keep(member->table->read_changes(changes));
      for (size_t i = 0; i < changes.rows() && !failure_; i++) keep(recorder_.row(stream, changes.row(i)));
      rows_ += changes.rows();
      if (!failure_) recorder_.counts(stream, recorded(member->sensor->table_counts()));
    }
    for (auto &[member, stream] : events_)
      if (!failure_) recorder_.counts(stream, recorded(member->sensor->stream_counts()));
    if (!failure_) keep(recorder_.tick(clock_ns(CLOCK_MONOTONIC)));
  }

 private:
  Session *session_;
  Recorder recorder_;
  std::map<Session::Member *, uint16_t> events_, tables_;
  std::optional<Error> failure_;
  uint64_t rows_ = 0;
};

void say_counts(Session &session) {
  for (const Session::Member &member : session.members()) {
    if (member.sensor == nullptr || !member.request.is_asked_for) continue;
    if (member.table != nullptr) say(loss_line(member.request.name, member.sensor->table_counts()));
    if (member.events != nullptr)
      say(loss_line(member.request.name + (member.table != nullptr ? " rows" : ""), member.sensor->stream_counts()));
  }
}

int record(const RecordArguments &arguments) {
  Result<uint64_t> interval = parse_duration_ns(arguments.interval, 1'000'000'000);
  if (!interval) return report(interval.error());
  if (*interval < 10'000'000)
    return report(Error{ErrorCode::kMisuse, "the interval is too short", "", "at least 10ms"});
  std::optional<uint64_t> duration;
  if (!arguments.duration.empty()) {
    Result<uint64_t> parsed = parse_duration_ns(arguments.duration, 1'000'000'000);
    if (!parsed) return report(parsed.error());
    duration = *parsed;
  }
  Fd cgroup;
  Result<std::vector<SensorRequest>> requests = make_requests(arguments, cgroup);
  if (!requests) return report(requests.error());
  bool to_stdout = arguments.file == "-";
  if (to_stdout && isatty(STDOUT_FILENO) == 1)
    return report(Error{ErrorCode::kMisuse, "a recording is not for a terminal", "", "waggle record -o FILE …"});
  // What the file holds is kept until there is something to take its place.
  Result<Fd> file = to_stdout ? Fd(STDOUT_FILENO) : open_file(arguments.file, O_WRONLY | O_CREAT, 0644);
  if (!file) return report(file.error());

  StopSignals signals;
  Result<Session> started = Session::start(std::move(*requests));
  if (!started) return report(started.error());
  Session session = std::move(*started);
  note_attached();
  bool any = false;
  for (const Session::Member &member : session.members()) {
    any |= member.sensor != nullptr && member.request.is_asked_for;
    if (member.sensor == nullptr) fputs(member.error.text().c_str(), stderr);
    if (member.sensor == nullptr) continue;
    for (const std::string &lack : member.sensor->lacks()) say(fmt::format("note: {}: {}", member.request.name, lack));
    if (!arguments.verbose) continue;
    for (const std::string &hook : member.sensor->hooks()) say(fmt::format("{}: {}", member.request.name, hook));
  }
  if (!any) return leave(kFailed);
  // Pipes and devices have no length: EINVAL.
  if (!to_stdout && ftruncate(file->get(), 0) != 0 && errno != EINVAL)
    return leave(
        report(Error{ErrorCode::kFailed, fmt::format("cannot write '{}'", arguments.file), strerror(errno), ""}));

  Host host;
  Result<Recorder> recorder = Recorder::begin(file->get(), host, origin_here());
  if (!recorder) return leave(report(recorder.error()));
  Tape tape(session, std::move(*recorder));
  if (!arguments.without_processes) {
    host.know_processes();
    tape.keep(tape.recorder().add_processes());
  }
  tape.tick();

  auto tick_every = std::chrono::nanoseconds(*interval);
  auto began = steady_clock::now(), tick_next = began + tick_every;
  auto end = duration ? began + std::chrono::nanoseconds(*duration) : steady_clock::time_point::max();
  bool interrupted = false;
  while (!interrupted && !tape.failure() && steady_clock::now() < end) {
    tape.drain();
    if (steady_clock::now() >= tick_next) {
      tape.tick();
      tick_next += tick_every;
    }
    interrupted = session.wait(std::min(tick_next, end), signals.fd());
  }
  signals.seen();
  session.stop();
  tape.drain();
  tape.tick();
  // A recording that is full is whole.
  if (!tape.failure() || tape.failure()->code == ErrorCode::kExhausted) tape.keep(tape.recorder().end());
  say_counts(session);
  if (tape.failure()) return leave(report(*tape.failure()));
  std::string bytes;
  append_bytes(bytes, tape.recorder().written_bytes());
  say(fmt::format("{} rows in {}{}", tape.rows(), bytes, to_stdout ? "" : ": waggle replay " + arguments.file));
  return leave(kDone);
}

}  // namespace

std::function<int()> configure_record(CLI::App &app) {
  auto arguments = std::make_shared<RecordArguments>();
  RecordArguments &a = *arguments;
  app.add_option("sensor", a.sensors, "sensors by name; SENSOR:TARGET for those that trace what you name")
      ->required()
      ->type_name("SENSOR...");
  app.add_option("-o,--output", a.file, "the file to write; - is stdout")->required()->type_name("FILE");
  app.add_option("-d,--duration", a.duration, "stop after this time")->type_name("TIME");
  app.add_option("-i,--interval", a.interval, "read tables, and write, this often (1s)")->type_name("TIME");
  app.add_flag("--without-processes", a.without_processes,
               "not what pid.* columns lead to, which is a row for each program started");
  app.add_option("--ring", a.ring, "size of the ring buffer, a power of two such as 8MiB; else the sensor's own choice")
      ->type_name("SIZE");
  app.add_flag("-v,--verbose", a.verbose, "say which hooks are used");
  auto *filter = app.add_option_group("Filters");
  add_filter_options(*filter, a);
  for (CLI::App *group : {&app, static_cast<CLI::App *>(filter)})
    for (CLI::Option *option : group->get_options())
      if (option->get_expected_max() > 0) option->check(not_empty());
  return [arguments] { return record(*arguments); };
}

}  // namespace waggle
