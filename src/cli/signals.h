// Ctrl-C and SIGTERM as something to poll: the loop ends, prints what it has
// gathered, and exits like any other time.
#pragma once

#include "base/fd.h"

namespace waggle {

// From its making on, SIGINT and SIGTERM make fd() readable instead of ending the
// process, SIGPIPE is an error of write(2), and a second SIGINT ends it at once.
// REQUIRES: made before any other thread, so that all inherit the mask.
class StopSignals {
 public:
  StopSignals();
  int fd() const { return fd_.get(); }
  // Call when fd() was readable: the next SIGINT or SIGTERM ends the process.
  void seen();

 private:
  Fd fd_;
};

}  // namespace waggle
