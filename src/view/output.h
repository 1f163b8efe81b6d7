// Where a view writes: one file descriptor, buffered, so that a million rows a
// second leave in few system calls. Data goes here; talk goes to stderr.
// Threads: one.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace waggle {

class Output {
 public:
  // fd is borrowed.
  explicit Output(int fd);
  ~Output() { flush(); }

  // Append to this, then call written() now and then.
  std::string &text() { return text_; }
  // Writes when enough has gathered.
  void written() {
    if (text_.size() >= kEnoughBytes) flush();
  }
  void flush();

  // Notices a reader that went away while there was nothing to write.
  void look_for_reader();
  // The reader is gone (EPIPE) or the disk is full: nothing more will arrive.
  bool closed() const { return closed_; }
  // Why, once closed; empty for a reader that simply went away.
  const std::string &failure() const { return failure_; }

  bool is_terminal() const { return is_terminal_; }
  bool colors() const { return colors_; }
  int columns() const;  // of the terminal; 80 where there is none
  int rows() const;     // 24 where there is none

 private:
  static constexpr size_t kEnoughBytes = 64 << 10;

  int fd_;
  bool is_terminal_, colors_;
  bool closed_ = false;
  std::string failure_;
  std::string text_;
};

}  // namespace waggle
