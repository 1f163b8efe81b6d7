// Runs cases of the language's tests (case.h) with an executable that takes bpftrace's command
// line, which any of its versions does too:
//
//   conformance_script --bpftrace build/release/waggle --only 'map*: *sum*' CASES...
//   conformance_script --bpftrace /usr/bin/bpftrace --jobs 2 CASES...
//
// It writes a line for each case that did not pass, and one of totals; with --results also
// lines of case, pass|fail|skip, seconds, reason, with tabs between.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/fd.h"
#include "base/text.h"
#include "case.h"

namespace waggle::conformance {
namespace {

struct Options {
  Setting setting;
  std::vector<std::string> files, only;
  std::string results;
  unsigned jobs = 1;
  bool resumes = false, lists = false, tells_all = false;
};

class Report {
 public:
  // With `resumes`, cases that have a result in the file are done; one that two runs began
  // and did not end has failed.
  Report(const Options &options) : tells_all_(options.tells_all) {
    if (options.results.empty()) return;
    std::string begun = options.results + ".begun";
    if (options.resumes) {
      std::ifstream past(options.results);
      for (std::string line; std::getline(past, line);) {
        std::vector<std::string_view> parts = split(line, '\t');
        if (parts.size() < 2) continue;
        done_.insert(std::string(parts[0]));
        count(parts[1]);
      }
      std::ifstream first(begun);
      for (std::string line; std::getline(first, line);) begun_times_[line]++;
    }
    auto mode = options.resumes ? std::ios::app : std::ios::trunc;
    results_.open(options.results, mode);
    begun_.open(begun, mode);
  }

  bool is_done(const std::string &title) const { return done_.contains(title); }
  bool fell_twice(const std::string &title) const {
    auto found = begun_times_.find(title);
    return found != begun_times_.end() && found->second > 1;
  }
  void begin(const std::string &title) {
    std::scoped_lock lock(mutex_);
    begun_ << title << '\n' << std::flush;
  }
  void end(const std::string &title, const Outcome &outcome) {
    std::scoped_lock lock(mutex_);
    const char *word = outcome.word == Outcome::Word::kPass   ? "pass"
                       : outcome.word == Outcome::Word::kFail ? "fail"
                                                              : "skip";
    count(word);
    std::string reason;
    append_printable(reason, replace_all(outcome.reason, "\n", " ⏎ "));
    results_ << fmt::format("{}\t{}\t{:.2f}\t{}\n", title, word, outcome.seconds, reason.substr(0, 900)) << std::flush;
    if (!tells_all_ && outcome.word == Outcome::Word::kPass) return;
    fmt::print("{}  {}{}{}\n", word, title, reason.empty() ? "" : ": ", reason);
    fflush(stdout);
  }
  int total() const {
    fmt::print("{} passed, {} failed, {} skipped\n", passed_, failed_, skipped_);
    return failed_ > 0 ? 1 : 0;
  }

 private:
  void count(std::string_view word) { (word == "pass" ? passed_ : word == "skip" ? skipped_ : failed_)++; }

  bool tells_all_;
  std::mutex mutex_;
  std::ofstream results_, begun_;
  std::set<std::string> done_;
  std::map<std::string, int> begun_times_;
  size_t passed_ = 0, failed_ = 0, skipped_ = 0;
};

int misuse(const Error &error) {
  fputs(error.text().c_str(), stderr);
  return 2;
}

Result<std::vector<Case>> chosen_cases(const Options &options) {
  std::vector<Case> chosen;
  for (const std::string &file : options.files) {
    for (Case &each : TRY(read_cases(file))) {
      bool is_wanted = options.only.empty();
      for (const std::string &glob : options.only) is_wanted |= glob_match(glob, each.title());
      if (is_wanted) chosen.push_back(std::move(each));
    }
  }
  if (chosen.empty()) return fail(ErrorCode::kNotFound, "no case has such a name");
  return chosen;
}

int run_all(const Options &options) {
  Result<std::vector<Case>> cases = chosen_cases(options);
  if (!cases) return misuse(cases.error());
  if (options.lists) {
    for (const Case &each : *cases) fmt::print("{}\n", each.title());
    return 0;
  }
  Report report(options);
  std::atomic<size_t> next = 0;
  auto work = [&]() noexcept {
    for (size_t i = next++; i < cases->size(); i = next++) {
      const Case &made = (*cases)[i];
      if (report.is_done(made.title())) continue;
      if (report.fell_twice(made.title())) {
        report.end(made.title(), {Outcome::Word::kFail, "two machines fell in it"});
        continue;
      }
      report.begin(made.title());
      report.end(made.title(), run_case(made, options.setting));
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < options.jobs; i++) workers.emplace_back(work);
  work();
  for (std::thread &each : workers) each.join();
  return report.total();
}

int run(int argc, char **argv) {
  Options options;
  options.setting.slowness = 1;
  if (Result<std::string> cpus = read_file("/proc/cpuinfo"); cpus && cpus->find("QEMU TCG") != std::string::npos)
    options.setting.slowness = 6;
  CLI::App app("cases of the script language, run with any bpftrace");
  app.add_option("--bpftrace", options.setting.bpftrace, "the executable under test")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--programs", options.setting.programs, "the folder of the programs that cases trace")->required();
  app.add_option("--data", options.setting.data, "the folder of files that cases name")->required();
  app.add_option("--only", options.only, "cases whose 'FILE: NAME' matches")->allow_extra_args(false);
  app.add_option("--results", options.results, "a line for each case");
  app.add_option("--jobs", options.jobs, "cases at a time")->check(CLI::Range(1U, 64U));
  app.add_flag("--resume", options.resumes, "leave out what has a result");
  app.add_flag("--list", options.lists, "names only");
  app.add_flag("--all", options.tells_all, "tell those that passed, too");
  app.add_option("FILE", options.files, "files of cases")->required()->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  for (std::string *path : {&options.setting.bpftrace, &options.setting.programs, &options.setting.data})
    *path = std::filesystem::absolute(*path).lexically_normal().string();
  return run_all(options);
}

}  // namespace
}  // namespace waggle::conformance

int main(int argc, char **argv) {
  return waggle::conformance::run(argc, argv);
}
