// A case of the language's tests, as bpftrace's runtime tests write them: so that its own
// suite runs here unchanged, and ours with any executable that says it is bpftrace.
//
//   NAME    a sum                         # begins a case; '#' begins a comment, blank lines are nothing
//   PROG    begin { @ = sum(3); exit(); } # {{BPFTRACE}} -e 'PROG'; or RUN, a line for sh(1)
//   EXPECT  @: 3
//
// A line that begins with white space goes on with the one before.
//
//   EXPECT TEXT, EXPECT_NONE TEXT         stdout and stderr together have (not) this in them
//   EXPECT_REGEX RE, EXPECT_REGEX_NONE RE the same; ECMAScript's, ^ and $ are ends of lines
//   EXPECT_FILE PATH                      have what this file has
//   EXPECT_JSON VALUE or PATH             have lines equal to these values
//   TIMEOUT SECONDS                       default 5; longer where the processor is emulated
//   SETUP, CLEANUP COMMAND                before and after all else
//   BEFORE COMMAND                        started first, ended last; {{BEFORE_PID}} is its pid
//   AFTER COMMAND                         started when the probes are attached
//   ENV NAME=VALUE…                       of RUN and PROG
//   ARG, ARGS WORDS                       options of PROG
//   ARCH A|B, MIN_KERNEL 5.15, MAX_KERNEL 6.1, REQUIRES COMMAND, REQUIRES_FEATURE NAME…
//   SKIP_IF_ENV_HAS NAME=VALUE            else the case is skipped
//   WILL_FAIL                             the exit status is not 0
//   RETURN_CODE N                         it is N
//   NEW_PIDNS                             runs in a pid namespace of its own
//
// Commands run in an empty folder that has programs/ (the built ones) and data/.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle::conformance {

struct Expectation {
  enum class Kind { kText, kNoText, kRegex, kNoRegex, kFile, kJson } kind = Kind::kText;
  std::string text;
};

struct Case {
  std::string suite, name;  // the file's name, and the case's
  size_t line = 0;
  std::string program, run, arguments;
  std::vector<Expectation> expectations;
  std::vector<std::string> setup, cleanup, before, after, environment;
  std::string architectures, least_kernel, most_kernel;
  std::vector<std::string> required, features, excluded_environment;
  bool will_fail = false, in_pid_namespace = false;
  std::optional<int> status;
  std::chrono::seconds limit = std::chrono::seconds(5);

  std::string title() const { return suite + ": " + name; }
};

// The cases of one file.  errors: Invalid, which says the line; as read_file
Result<std::vector<Case>> read_cases(const std::string &path);

// Why this machine cannot run the case; empty when it can.
std::string lack_of(const Case &made);

struct Setting {
  std::string bpftrace;        // the executable under test
  std::string programs, data;  // folders
  unsigned slowness = 1;       // limits are so many times as long
};
struct Outcome {
  enum class Word { kPass, kFail, kSkip } word = Word::kPass;
  std::string reason;
  double seconds = 0;
};
// Threads: any number at once.
Outcome run_case(const Case &made, const Setting &setting);

// What of the expectations `output` does not meet; empty when it meets all.
std::string unmet(const Case &made, const std::string &output, const std::string &data, const std::string &before_pid);

std::string replace_all(std::string text, std::string_view from, std::string_view to);

}  // namespace waggle::conformance
