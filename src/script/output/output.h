// Where what a script says goes: as text, or as one JSON object a line (-f json).
//
//   call             text                            JSON
//   printf           the text                        {"type": "printf", "data": "…"}
//   errorf, warnf    stderr: "stdin:1:9-20: ERROR: …", "… WARNING: …", and the source line
//                                                    {"type": "errorf", "data": "…", and where}
//   value            a line                          {"type": "value", "data": …}
//   map              map.h                           {"type": "map", "data": {"@": …}}
//   time join cat    the text                        {"type": "time", "data": "…"}, "join", "cat"
//   system           the text                        {"type": "syscall", "data": "…"}
//   attached_probes  stderr: "Attached 2 probes"     {"type": "attached_probes", "data": {"probes": 2}}
//   benchmarks       a table                         {"type": "benchmark_results", "data": {"a": 23}}
//   lost_events      "Lost 5 events"                 {"type": "lost_events", "data": {"events": 5}}
//   runtime_error    stderr: a warning with the source line
//                                                    {"type": "helper_error", "msg": "…", "helper": "…",
//                                                     "retcode": -2, and where}
// "and where" is "filename": "stdin", "line": 1, "col": 9.
//
// Each call writes its text at once and whole: what buffers, and what flushes, is the
// writer. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "script/output/map.h"
#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

struct Streams {
  std::function<void(std::string_view)> out, error;
};

// A place in a script.
struct Place {
  std::string file;               // "stdin", "opensnoop.bt"; empty: not known
  uint32_t line = 0, column = 0;  // from 1
  uint32_t end_line = 0, end_column = 0;
  std::string source;  // the line, to be shown; empty: none

  // "stdin:1:9-20"; "stdin:1-3" of several lines.
  std::string text() const;
};

// A helper of the kernel that failed, or a division by 0, while the script ran.
struct RuntimeError {
  Place place;
  std::string message;  // "Can't delete map element because it does not exist."
  std::string helper;   // "map_delete_elem"; empty: not a helper's
  int64_t code = 0;     // what the helper returned
};

// What a bench: probe cost.
struct Benchmark {
  std::string name;
  uint64_t nanoseconds = 0;  // of one run, on average
};

class Output {
 public:
  explicit Output(Streams streams) : streams_(std::move(streams)) {}
  virtual ~Output() = default;

  virtual void printf(std::string_view text) = 0;
  virtual void errorf(const Place &place, std::string_view text) = 0;
  virtual void warnf(const Place &place, std::string_view text) = 0;
  virtual void value(const Type &type, std::span<const std::byte> bytes, Resolver &resolver) = 0;
  virtual void map(const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits, Resolver &resolver) = 0;
  virtual void time(std::string_view text) = 0;
  virtual void join(std::span<const std::string_view> words, std::string_view delimiter) = 0;
  virtual void cat(std::string_view text) = 0;
  virtual void system(std::string_view text) = 0;
  virtual void attached_probes(uint64_t probes) = 0;
  virtual void benchmarks(std::span<const Benchmark> results) = 0;
  virtual void lost_events(uint64_t events) = 0;
  virtual void runtime_error(const RuntimeError &error) = 0;
  // After the last event, before the maps that are printed at exit.
  virtual void end() = 0;

 protected:
  void out(std::string_view text) const {
    if (streams_.out && !text.empty()) streams_.out(text);
  }
  void error(std::string_view text) const {
    if (streams_.error && !text.empty()) streams_.error(text);
  }

 private:
  Streams streams_;
};

std::unique_ptr<Output> make_text_output(Streams streams);
std::unique_ptr<Output> make_json_output(Streams streams);

}  // namespace waggle::script
