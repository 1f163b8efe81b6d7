// Runs a script: makes its maps, loads and attaches its programs, does what they ask for,
// and prints its maps at the end, in the order that bpftrace has:
//
//   begin; the other probes; "Attached N probes"; the command of -c is let go; events, until
//   exit(), SIGINT, SIGTERM, or the end of the process of -c or -p; programs are
//   stopped; events that are left; end; maps
//
// Events wait in the ring for a few milliseconds: waking up for each would cost the traced
// programs ten times what the event does.
// Threads: one. SIGINT and SIGTERM are blocked while it runs; a second one ends the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "script/lower/lower.h"
#include "script/output/output.h"
#include "script/program/program.h"
#include "script/run/child.h"
#include "script/run/sink.h"
#include "script/syntax/source.h"

namespace waggle::script {

struct RunOptions {
  int32_t pid = 0;         // -p: its end ends the run; 0: none
  Child *child = nullptr;  // -c; null: none
  bool is_quiet = false, is_verbose = false;
  bool is_dry = false;                           // attach, then stop
  bool is_test = false, is_bench = false;        // --mode
  bool says_attached = false;                    // __BPFTRACE_NOTIFY_PROBES_ATTACHED, a line on stdout
  std::optional<std::chrono::nanoseconds> most;  // how long it runs; none: until something ends it
};

struct RunResult {
  int exit_code = 0;         // what exit() was given
  bool ends_slowly = false;  // closing what was attached takes the kernel time
};

class Attachments;

class Run {
 public:
  Run(const Script &script, const Sources &sources, const Lowered &lowered, RunOptions options);
  ~Run();
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  // What cannot be attached is said on stderr in bpftrace's words, as missing_probes asks.
  //   errors  of loading and of attaching, said already where `what` is empty
  Result<RunResult> run(Output &output, Sink &sink);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What lower() is told of the running kernel; only what the script needs is tried.
LowerOptions lower_options_for(const Script &script);

}  // namespace waggle::script
