// The command of -c: a process that exists, and so can be traced, before it runs its program.
// Threads: one at a time.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace waggle::script {

class Child {
 public:
  // Makes the process, which waits for go(). Words of the command are separated by blanks,
  // which quotes and \ may hold.
  //   errors  NotFound  there is no such program
  static Result<Child> start(const std::string &command);
  Child(Child &&other) noexcept;
  Child &operator=(Child &&) = delete;
  // Ends the process if it has not ended.
  ~Child();

  pid_t pid() const { return pid_; }
  // It runs its program.
  Result<void> go();
  // Readable when it has ended.
  int end_fd() const { return end_.get(); }
  bool has_ended();

 private:
  Child() = default;

  pid_t pid_ = 0;
  Fd gate_, end_;
  bool has_ended_ = false;
};

// The words of a command line.  errors: Invalid  a quote that is not closed; no word
Result<std::vector<std::string>> command_words(const std::string &command);

}  // namespace waggle::script
