#include "view/output.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace waggle {
namespace {

winsize terminal_size(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

}  // namespace

Output::Output(int fd) : fd_(fd), is_terminal_(isatty(fd) == 1) {
  // https://no-color.org: set and not empty means no colours.
  const char *no_color = getenv("NO_COLOR");
  const char *term = getenv("TERM");
  bool dumb = term == nullptr || strcmp(term, "dumb") == 0;
  colors_ = is_terminal_ && !dumb && (no_color == nullptr || no_color[0] == '\0');
}

void Output::flush() {
  std::string_view left = text_;
  while (!left.empty() && !closed_) {
    ssize_t wrote = ::write(fd_, left.data(), left.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      closed_ = true;
      if (errno != EPIPE) failure_ = strerror(errno);
      break;
    }
    left.remove_prefix(static_cast<size_t>(wrote));
  }
  text_.clear();
}

void Output::look_for_reader() {
  // A pipe without a reader shows POLLERR; terminals and files never do.
  pollfd out = {fd_, 0, 0};
  if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0) closed_ = true;
}

int Output::columns() const {
  int columns = terminal_size(fd_).ws_col;
  return columns > 0 ? columns : 80;
}

int Output::rows() const {
  int rows = terminal_size(fd_).ws_row;
  return rows > 0 ? rows : 24;
}

}  // namespace waggle
