// Every sensor on this kernel: it attaches, or says precisely what is missing.

#include <signal.h>
#include <sys/wait.h>

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

std::string target_of(const std::string &sensor) {
  Ran columns = run_waggle({"list", "columns", sensor});
  expect_equal(columns.status, 0, "status of 'list columns " + sensor + "'");
  return columns.out.find("TARGET") == std::string::npos ? "" : "vfs_read";
}

void load(const std::string &sensor) {
  std::string target = target_of(sensor);
  std::string word = target.empty() ? sensor : sensor + ":" + target;
  Ran ran = run_waggle({"watch", word, "--json", "--duration", "100ms"});
  expect_no_innards(ran.err);
  if (WIFSIGNALED(ran.status)) fail_case(fmt::format("waggle was killed by signal {}", WTERMSIG(ran.status)));
  if (ran.status == 0) {
    expect(ran.err.find(sensor + ": ") != std::string::npos, "no count of losses: " + ran.err);
    // "note: NAME: what is missing"
    std::istringstream lines(ran.err);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("note: ")) note(line.substr(6));
    return;
  }
  expect_equal(WEXITSTATUS(ran.status), 1, "status of a sensor that cannot start: " + ran.err);
  expect(ran.err.starts_with("error: ") && ran.err.find("  why: ") != std::string::npos,
         "an error without its why: " + ran.err);
  // Functions are the one thing that a supported kernel may refuse to have traced.
  std::string lack = target.empty() ? "" : lack_of(Need::kFunctions);
  if (lack.empty()) fail_case("it should run here: " + ran.err);
  skip_case(ran.err.substr(7));
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
    bool excused = name == "func" && !lack_of(Need::kFunctions).empty();
    expect(state != "cannot" || excused, fmt::format("doctor: {} cannot run: {}", name, detail));
  }
  expect_equal(said["sensors"].size(), sensors, "sensors of doctor");
  for (const Json &feature : said["features"])
    expect(feature["available"] == true || !text(feature, "why_not").empty(),
           "doctor misses a feature without a reason: " + text(feature, "name"));
}

}  // namespace

void add_load_cases(std::vector<Case> &cases) {
  std::istringstream names(run_program({settings().waggle, "list", "sensors", "--names"}).text);
  for (std::string name; std::getline(names, name);)
    cases.push_back({"load: " + name, {}, [name] { load(name); }, seconds(30)});
  cases.push_back({"doctor: every sensor, and why not", {}, doctor_names_every_sensor, seconds(60)});
}

}  // namespace waggle::suite
