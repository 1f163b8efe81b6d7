// Where a script's text goes: gathered, and written in large pieces. What is for stderr is
// written at once, after what was gathered before it, so that both stay in order where they
// meet.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace waggle::script {

enum class Buffering : uint8_t {
  kLine,  // whole lines, as they come
  kFull,  // when there is much, and at the end
  kNone,  // whatever there is, as it comes
};

class Sink {
 public:
  // To stdout.
  explicit Sink(Buffering buffering) : buffering_(buffering) {}
  // errors: as open_file()
  static Result<Sink> to_file(const std::string &path, Buffering buffering);

  void out(std::string_view text);
  void error(std::string_view text);
  // After a batch of events: writes what is due.
  void settle();
  // Writes all there is.
  void flush();

  // The errno of the first write that failed, after which nothing is written; 0: none has.
  int failure() const { return failure_; }

 private:
  void write_out(size_t bytes);
  int descriptor() const { return file_.valid() ? file_.get() : 1; }

  Buffering buffering_;
  Fd file_;
  std::string gathered_;
  int failure_ = 0;
};

}  // namespace waggle::script
