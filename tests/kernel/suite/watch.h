// One run of `waggle watch SENSOR… --json`: what it wrote and what it counted.
#pragma once

#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "suite.h"

namespace waggle::suite {

using Json = nlohmann::json;

// produced = filtered + delivered + lost, as the program says at the end.
struct Losses {
  uint64_t produced = 0, filtered = 0, delivered = 0, lost = 0;
};

struct Seen {
  int status = 0;                        // as waitpid(2) gives it
  std::vector<Json> rows;                // of --json
  std::string out, err;                  // as written
  std::map<std::string, Losses> losses;  // by sensor
};

class Watch {
 public:
  // Starts waggle with these arguments after `watch`, and `-v --json` before them,
  // and waits until all sensors are attached (-v names their hooks then).
  explicit Watch(std::vector<std::string> arguments);
  // The same for a command of another name, such as {"execsnoop", "-x"}, which
  // watches these sensors.
  Watch(std::vector<std::string> command, std::vector<std::string> sensors);
  ~Watch();
  Watch(const Watch &) = delete;
  Watch &operator=(const Watch &) = delete;

  pid_t pid() const { return pid_; }
  // Waits for a program that ends by itself, with --duration or --count.
  Seen wait_for_end();
  // Ctrl-C. Expects status 0, valid JSON in each line, as many lines as rows were
  // delivered, and sums that add up: those hold for every run of a stream.
  Seen stop();
  // The same without looking into the rows, for those that are many; `out` is set.
  Seen stop_unparsed();

 private:
  void start(const std::vector<std::string> &command);
  Seen end(bool parse);

  std::vector<std::string> sensors_;
  pid_t pid_ = -1;
  bool sums_ = false;  // a line is not a row: --view top or stacks, --by, or --count ends it early
  std::string out_path_, err_path_;
};

// A run of waggle with any arguments, to its end.
struct Ran {
  int status = 0;
  std::string out, err;
};
Ran run_waggle(const std::vector<std::string> &arguments);

// Bytes of a JSON string as the program had them: waggle writes a byte that is
// not UTF-8 as \udcXX, and rows hold that as U+F7XX.
std::string bytes_of(const Json &text);
std::vector<std::string> all_bytes_of(const Json &texts);

// Parses one line of output; a line that is not JSON fails the case.
Json parse_line(std::string_view line);

uint64_t number(const Json &row, const char *column);
std::string text(const Json &row, const char *column);

// Rows whose column equals a value.
std::vector<Json> rows_where(const std::vector<Json> &rows, const char *column, const Json &value);

// Wall clock of a "when", in ns since the epoch.
uint64_t when_ns(const Json &row);

// Whether the kernel may take the CPU from a running BPF program (preempt=full or
// lazy). It then skips runs of the same program on that CPU until the first one has
// ended, and waggle counts them as lost.
bool programs_are_preempted();

// That `got` is all there was: exactly, with nothing lost; where programs are
// preempted, got and lost together.
void expect_all(uint64_t got, const Losses &losses, uint64_t all, std::string_view what);

}  // namespace waggle::suite
