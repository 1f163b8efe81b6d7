#include "cli/leave.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/verb.h"

namespace waggle {
namespace {
bool attached = false;

// Returns when a process has closed all it had: whichever of two holders of a
// program lets go last does the waiting. pidfd_open(2) is there since 5.3; its
// descriptor is readable after the kernel has put the process's files away.
void wait_for_end_of(pid_t process) {
  constexpr int kMost_ms = 10'000;
  int fd = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  if (fd < 0) return;
  pollfd end = {fd, POLLIN, 0};
  poll(&end, 1, kMost_ms);
}

}  // namespace

void note_attached() {
  attached = true;
}

namespace {

// A pipe whose reader went away shows POLLERR.
bool reader_is_gone() {
  pollfd out = {STDOUT_FILENO, 0, 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

}  // namespace

int say_unwritten(int error_number) {
  if (error_number == EPIPE || reader_is_gone()) return kDone;
  return report(
      Error{ErrorCode::kFailed, "cannot write the output", error_number == 0 ? "" : strerror(error_number), {}});
}

int leave(int status) {
  // An earlier write may have failed, of which only the mark is left.
  bool flushed = fflush(stdout) == 0;
  int why = flushed ? 0 : errno;
  if (!flushed || ferror(stdout) != 0)
    if (int failed = say_unwritten(why); status == kDone) status = failed;
  fflush(stderr);
  if (!attached) return status;
  // The end of a session's leader (ssh -t host waggle top) hangs up on the child,
  // which would then hold the terminal until all is detached.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    // Whoever reads our output must see its end now.
    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    wait_for_end_of(parent);
    _exit(0);
  }
  // _exit: destructors would detach, and wait, here.
  _exit(status);
}

}  // namespace waggle
