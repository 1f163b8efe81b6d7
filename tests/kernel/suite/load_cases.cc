// Every sensor on this kernel: its programs load, or it says precisely what is missing.
// That it attaches and tells the truth is for the cases of its own.

#include <sstream>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// What the verifier, the loader or a crash would leave in a message.
void expect_no_innards(const std::string &text) {
  for (const char *innard : {"libbpf:", "BEGIN PROG LOAD LOG", "R0 ", "processed ", " insns", "invalid argument",
                             "Invalid argument", "CHECK", "terminate called"})
    if (text.find(innard) != std::string::npos)
      fail_case(fmt::format("'{}' in what the operator is told: {}", innard, text));
}

// What a sensor cannot be without, though a supported kernel may lack it.
std::string excuse_of(const std::string &sensor) {
  constexpr std::pair<std::string_view, Need> kNeeds[] = {
      {"call", Need::kFunctions}, {"func", Need::kFunctions}, {"lock", Need::kContention}, {"module", Need::kModules},
      {"swapin", Need::kFunctions}};
  for (const auto &[name, need] : kNeeds)
    if (name == sensor) return lack_of(need);
  return "";
}

void doctor_names_every_sensor() {
  std::istringstream names(run_waggle({"list", "sensors", "--names"}).out);
  Ran ran = run_waggle({"doctor", "--json"});
  expect_equal(ran.status, 0, "status of doctor");
  expect_no_innards(ran.out);
  Json said = parse_line(ran.out.substr(0, ran.out.find('\n')));
  size_t sensors = 0;
  for (std::string name; std::getline(names, name); sensors++) {
    std::vector<Json> found = rows_where(said["sensors"], "name", name);
    expect_equal(found.size(), size_t{1}, "lines of doctor for " + name);
    std::string state = text(found[0], "state"), detail = text(found[0], "detail");
    bool known = state == "runs" || state == "runs with less" || state == "cannot";
    expect(known, fmt::format("doctor says '{}' of {}", state, name));
    expect(!detail.empty(), fmt::format("doctor says '{}' of {} without a reason", state, name));
    bool excused = !excuse_of(name).empty();
    expect(excused == (state == "cannot"), fmt::format("doctor: {}: {}: {}", name, state, detail));
    if (state != "runs") note(fmt::format("{}: {}", name, detail));
  }
  expect_equal(said["sensors"].size(), sensors, "sensors of doctor");
  for (const Json &feature : said["features"])
    expect(feature["available"] == true || !text(feature, "why_not").empty(),
           "doctor misses a feature without a reason: " + text(feature, "name"));
}

}  // namespace

void add_load_cases(std::vector<Case> &cases) {
  cases.push_back({"doctor: every sensor, and why not", {}, doctor_names_every_sensor, seconds(60)});
}

}  // namespace waggle::suite
