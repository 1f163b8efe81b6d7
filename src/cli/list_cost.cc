// What each sensor costs, by the kernel's own accounting of its programs.
//
// A sensor runs as it would by itself: with its table where it has one, else with
// its rows, which are read and thrown away. All run at once, because a second for
// each would be a minute; the kernel measures each program alone, so they cost the
// same together.

#include "cli/list_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/session.h"
#include "base/text.h"
#include "cli/leave.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "kernel/bpf_stats.h"

namespace waggle {
namespace {

using std::chrono::steady_clock;

struct SensorCost {
  std::string name;
  std::string why_not;  // empty: it ran
  uint64_t events = 0, lost = 0;
  Cost cost;

  uint64_t event_ns() const { return events == 0 ? 0 : cost.run_ns / events; }
  uint64_t run_ns() const { return cost.runs == 0 ? 0 : cost.run_ns / cost.runs; }
};

std::vector<SensorRequest> requests_without_target(std::vector<SensorCost> &costs) {
  std::vector<SensorRequest> requests;
  for (const SensorObject &object : sensor_objects()) {
    Declaration declaration = *declaration_of(object.name);
    if (declaration.needs_target()) {
      costs.push_back({declaration.name, "its cost is that of the target that you name", 0, 0, {}});
      continue;
    }
    if (declaration.snapshot) {
      costs.push_back({declaration.name, "it runs only while a snapshot is read", 0, 0, {}});
      continue;
    }
    SensorRequest request{declaration.name, {}, true};
    request.options.want_table = declaration.table.has_value();
    request.options.want_events = !request.options.want_table;
    requests.push_back(std::move(request));
  }
  return requests;
}

SensorCost cost_of(const Session::Member &member) {
  SensorCost cost;
  cost.name = member.request.name;
  if (member.sensor == nullptr) {
    cost.why_not = member.error.why.empty() ? member.error.what : member.error.why;
    return cost;
  }
  // The cost first: what it is spread over may only be more, never less.
  cost.cost = member.sensor->cost();
  Counts counts = member.events != nullptr ? member.sensor->stream_counts() : member.sensor->table_counts();
  cost.events = counts.produced;
  cost.lost = counts.lost;
  return cost;
}

void print_json(const SensorCost &each, double seconds) {
  std::string line = "{\"name\":";
  append_json_string(line, each.name);
  if (!each.why_not.empty()) {
    line += ",\"why_not\":";
    append_json_string(line, each.why_not);
  } else {
    fmt::format_to(std::back_inserter(line),
                   R"(,"seconds":{:.3f},"events":{},"events_per_s":{:.1f},"lost":{},"event_ns":{})"
                   R"(,"runs":{},"run_ns":{},"core_percent":{:.4f},"instructions":{})",
                   seconds, each.events, static_cast<double>(each.events) / seconds, each.lost, each.event_ns(),
                   each.cost.runs, each.run_ns(), each.cost.core_percent(seconds), each.cost.instructions);
  }
  fmt::print("{}}}\n", line);
}

void print_for_people(const std::vector<SensorCost> &costs, double seconds) {
  fmt::print("{:<16} {:>10} {:>9} {:>10} {:>7} {:>9}\n", "SENSOR", "EVENTS/S", "NS/EVENT", "RUNS/S", "NS/RUN",
             "% OF CORE");
  double all = 0;
  for (const SensorCost &each : costs) {
    if (!each.why_not.empty()) {
      fmt::print("{:<16} not run: {}\n", each.name, each.why_not);
      continue;
    }
    all += each.cost.core_percent(seconds);
    fmt::print("{:<16} {:>10.0f} {:>9} {:>10.0f} {:>7} {:>9.3f}\n", each.name,
               static_cast<double>(each.events) / seconds, each.event_ns(),
               static_cast<double>(each.cost.runs) / seconds, each.run_ns(), each.cost.core_percent(seconds));
  }
  fmt::print("{:<16} {:>10} {:>9} {:>10} {:>7} {:>9.3f}\n", "all together", "", "", "", "", all);
}

}  // namespace

int list_costs(bool json, std::chrono::nanoseconds duration) {
  Result<Fd> counting = count_program_runs();
  if (!counting) return report(counting.error());
  std::vector<SensorCost> costs;
  StopSignals signals;
  Result<Session> started = Session::start(requests_without_target(costs));
  if (!started) return report(started.error());
  Session session = std::move(*started);
  note_attached();

  auto began = steady_clock::now();
  auto end = began + std::chrono::duration_cast<steady_clock::duration>(duration);
  bool interrupted = false;
  while (!interrupted && steady_clock::now() < end) {
    session.drain([](Session::Member &, Row) {});
    interrupted = session.wait(end, signals.fd());
  }
  signals.seen();
  std::chrono::duration<double> ran = steady_clock::now() - began;
  for (const Session::Member &member : session.members()) costs.push_back(cost_of(member));
  session.stop();

  std::sort(costs.begin(), costs.end(), [](const SensorCost &a, const SensorCost &b) {
    return a.cost.run_ns != b.cost.run_ns ? a.cost.run_ns > b.cost.run_ns : a.name < b.name;
  });
  if (json)
    for (const SensorCost &each : costs) print_json(each, ran.count());
  else
    print_for_people(costs, ran.count());
  return leave(kDone);
}

}  // namespace waggle
