// Fd owns one file descriptor and closes it on every way out.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace waggle {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd &operator=(Fd &&other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC added. errors: NotFound, Denied, Failed (errno in `why`).
Result<Fd> open_file(const std::string &path, int flags = O_RDONLY, int mode = 0644);

// The whole content of a file of at most `bytes_most` bytes; works on /proc and
// sysfs files, whose size is not known before they are read.
// errors: as open_file; Exhausted when the file is larger.
Result<std::string> read_file(const std::string &path, size_t bytes_most = 64u << 20);

}  // namespace waggle
