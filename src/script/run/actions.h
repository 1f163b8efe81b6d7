// What a program asks user space to do, done: the records of the ring, one at a time.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/fd.h"
#include "script/output/output.h"
#include "script/program/program.h"
#include "script/run/maps.h"
#include "script/run/sink.h"
#include "script/syntax/source.h"

namespace waggle::script {

class Attachments;
class HostResolver;

class Actions {
 public:
  struct Parts {
    const Script &script;
    const Sources &sources;
    const Maps &maps;
    Attachments &attachments;
    HostResolver &resolver;
    Output &output;
    Sink &sink;
  };
  explicit Actions(const Parts &parts) : parts_(parts) {}

  // A record is {u32 action, u32 0}, then the action's row. Others are passed over: nothing
  // that programs write is trusted to be whole.
  void perform(std::span<const std::byte> record);

  // Of exit(): what comes after it is not done until reset().
  bool has_exited() const { return has_exited_; }
  int exit_code() const { return exit_code_; }
  void reset() { has_exited_ = false; }
  // Whether the last record took long: a process was started, a file read.
  bool was_slow() const { return was_slow_; }

 private:
  void perform(const Action &action, std::span<const std::byte> row);
  void exit(std::span<const std::byte> row);
  void print_map(const Action &action, std::span<const std::byte> row);
  void print_entry(const Action &action, std::span<const std::byte> row);
  void print_value(const Action &action, std::span<const std::byte> row);
  void cat(const Action &action, std::span<const std::byte> row);
  void system(const Action &action, std::span<const std::byte> row);
  void join(const Action &action, std::span<const std::byte> row);
  void debug(const Action &action, std::span<const std::byte> row);
  std::string text_of(const Action &action, std::span<const std::byte> row);
  void note_processes(const Type &row_type, std::span<const std::byte> row);

  Parts parts_;
  bool has_exited_ = false, was_slow_ = false;
  int exit_code_ = 0;
  std::optional<Fd> trace_marker_;
};

// Where in the script something is, with its line.
Place place_of(const Sources &sources, const Location &at);

}  // namespace waggle::script
