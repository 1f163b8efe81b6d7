#include "base/fd.h"

#include <unistd.h>

#include <cerrno>

namespace waggle {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Fd> open_file(const std::string &path, int flags, int mode) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return fail_errno(errno, "cannot open " + path);
  return Fd(fd);
}

Result<std::string> read_file(const std::string &path, size_t bytes_most) {
  Fd file = TRY(open_file(path));
  std::string content;
  size_t used = 0;
  while (true) {
    // Doubling keeps large /proc files (kallsyms, 10 MB) to a few dozen reads.
    content.resize(used == 0 ? 4096 : used * 2);
    ssize_t got = ::read(file.get(), content.data() + used, content.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot read " + path);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > bytes_most)
      return fail(ErrorCode::kExhausted, "cannot read " + path,
                  "it is larger than " + std::to_string(bytes_most) + " bytes");
  }
  content.resize(used);
  return content;
}

}  // namespace waggle
