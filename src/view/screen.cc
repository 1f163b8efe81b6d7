#include "view/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace waggle {
namespace {

// Alternate screen, cursor hidden, no wrapping at the right margin.
constexpr std::string_view kAlternate = "\x1b[?1049h", kPicture = "\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
// Terminals send a special key's bytes at once; a slow line within this time.
constexpr int kEscapeMost_ms = 40;

// What a signal handler needs to give the terminal back. Plain data, because a
// handler may interrupt anything.
struct Rescue {
  volatile sig_atomic_t armed = 0;
  int out_fd = -1, mode_fd = -1;
  termios before = {};
};
Rescue rescue;

// write(2) and tcsetattr(3) are safe in handlers (signal-safety(7)).
void give_back(const Rescue &what) {
  if (what.mode_fd >= 0) tcsetattr(what.mode_fd, TCSADRAIN, &what.before);
  ssize_t ignored = ::write(what.out_fd, kLeave.data(), kLeave.size());
  (void)ignored;
}

extern "C" void rescue_terminal(int signal_number) {
  if (rescue.armed) {
    rescue.armed = 0;
    give_back(rescue);
  }
  // SA_RESETHAND: what the signal does by itself happens now.
  raise(signal_number);
}

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGSYS};

void catch_fatal_signals() {
  struct sigaction action = {};
  action.sa_handler = rescue_terminal;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (int number : kFatal) sigaction(number, &action, nullptr);
}

void let_fatal_signals() {
  for (int number : kFatal) signal(number, SIG_DFL);
}

sigset_t screen_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGWINCH, SIGTSTP, SIGCONT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// Stops as the terminal asked; returns when somebody says SIGCONT.
void stop_here() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  raise(SIGTSTP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

winsize size_of(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = {};
  if (size.ws_col == 0) size.ws_col = 80;
  if (size.ws_row == 0) size.ws_row = 24;
  return size;
}

}  // namespace

bool can_draw(int fd) {
  const char *term = getenv("TERM");
  return isatty(fd) == 1 && term != nullptr && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

Result<std::unique_ptr<Screen>> Screen::open(int out_fd, bool colors) {
  CHECK(rescue.armed == 0);
  std::unique_ptr<Screen> screen(new Screen(out_fd, colors));
  if (isatty(STDIN_FILENO) == 1) {
    screen->key_fd_ = STDIN_FILENO;
  } else if (Result<Fd> tty = open_file("/dev/tty", O_RDONLY | O_NOCTTY)) {
    screen->key_tty_ = std::move(*tty);
    screen->key_fd_ = screen->key_tty_.get();
  }
  if (screen->key_fd_ >= 0 && tcgetattr(screen->key_fd_, &screen->before_) != 0)
    return fail_errno(errno, "the terminal does not say how it is set", "waggle top | cat      prints text");
  sigset_t set = screen_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  screen->signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  CHECK(screen->signals_.valid());
  TRY(screen->enter());
  return screen;
}

Screen::~Screen() {
  close();
}

Result<void> Screen::enter() {
  rescue.out_fd = out_fd_;
  rescue.mode_fd = key_fd_;
  rescue.before = before_;
  catch_fatal_signals();
  if (key_fd_ >= 0) {
    termios raw = before_;
    // Keys come one by one and unseen. ISIG stays: Ctrl-C and Ctrl-Z are signals,
    // as they are when somebody sends them with kill(1).
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(key_fd_, TCSADRAIN, &raw) != 0)
      return fail_errno(errno, "the terminal cannot be set", "waggle top | cat      prints text");
  }
  // Asked for twice, it would forget where the shell's cursor was.
  if (!open_) write_all(kAlternate);
  rescue.armed = 1;
  open_ = true;
  drawn_.clear();
  write_all(kPicture);
  return {};
}

void Screen::leave() {
  if (!open_) return;
  open_ = false;
  rescue.armed = 0;
  give_back(rescue);
  let_fatal_signals();
}

void Screen::close() {
  leave();
  sigset_t set = screen_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

size_t Screen::rows() const {
  return size_of(out_fd_).ws_row;
}
size_t Screen::columns() const {
  return size_of(out_fd_).ws_col;
}

void Screen::draw(std::vector<Line> lines) {
  if (!open_) return;
  winsize size = size_of(out_fd_);
  lines.resize(size.ws_row);
  std::string bytes = frame_bytes(drawn_, lines, size.ws_row, size.ws_col, colors_);
  drawn_ = std::move(lines);
  write_all(bytes);
}

void Screen::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t wrote = ::write(out_fd_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      // The terminal is shared with a program that made it non-blocking.
      pollfd out = {out_fd_, POLLOUT, 0};
      poll(&out, 1, 100);
      continue;
    }
    // A terminal that is gone is noticed by wait().
    if (wrote < 0) return;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
}

Screen::Happened Screen::wait(int timeout_ms, int extra_fd, int rows_fd) {
  Happened happened;
  pollfd waited[] = {{signals_.get(), POLLIN, 0}, {key_fd_, POLLIN, 0}, {extra_fd, POLLIN, 0}, {rows_fd, POLLIN, 0}};
  if (decoder_.undecided()) timeout_ms = std::min(timeout_ms, kEscapeMost_ms);
  int ready = poll(waited, std::size(waited), timeout_ms);
  if (ready <= 0) {
    happened.keys = decoder_.settle();
    return happened;
  }
  if (waited[0].revents != 0) attend_signals(happened);
  if ((waited[1].revents & POLLIN) != 0) read_keys(happened);
  if ((waited[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) happened.gone = true;
  happened.extra = waited[2].revents != 0;
  return happened;
}

void Screen::attend_signals(Happened &happened) {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    switch (info.ssi_signo) {
      case SIGHUP:
        happened.gone = true;
        break;
      case SIGTSTP:
        leave();
        stop_here();
        [[fallthrough]];
      case SIGCONT:
        // The shell has had the terminal: what it left there is not ours.
        if (Result<void> entered = enter(); !entered) happened.gone = true;
        happened.resized = true;
        break;
      default:
        drawn_.clear();
        happened.resized = true;
    }
  }
}

void Screen::read_keys(Happened &happened) {
  char bytes[256];
  ssize_t got = ::read(key_fd_, bytes, sizeof(bytes));
  if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) happened.gone = true;
  if (got > 0) happened.keys = decoder_.feed({bytes, static_cast<size_t>(got)});
}

}  // namespace waggle
