// The bench's measuring hand: loops whose speed is compared, bursts of known size,
// and the time from starting a tracer until it catches an event. Standard library
// and system calls only; each script builds it with g++.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double ns_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::nano>(to - from).count();
}

// ns a call, the median of seven rounds.
int loop(const std::string &call, long calls) {
  std::vector<double> rounds;
  for (int round = 0; round < 7; round++) {
    auto begin = Clock::now();
    for (long i = 0; i < calls; i++) {
      if (call == "getppid") {
        syscall(SYS_getppid);
      } else {
        int fd = open("/etc/passwd", O_RDONLY);
        close(fd);
      }
    }
    rounds.push_back(ns_between(begin, Clock::now()) / static_cast<double>(calls));
  }
  std::sort(rounds.begin(), rounds.end());
  printf("%.1f\n", rounds[rounds.size() / 2]);
  return 0;
}

int burst(long opens) {
  for (long i = 0; i < opens; i++) {
    int fd = open("/etc/passwd", O_RDONLY);
    close(fd);
  }
  return 0;
}

int execs(long count) {
  for (long i = 0; i < count; i++) {
    pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", static_cast<char *>(nullptr));
      _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
  }
  return 0;
}

long resident_kib(pid_t pid, const char *field) {
  std::string path = "/proc/" + std::to_string(pid) + "/status";
  FILE *file = fopen(path.c_str(), "r");
  if (file == nullptr) return 0;
  char line[256];
  long kib = 0;
  while (fgets(line, sizeof(line), file) != nullptr)
    if (strncmp(line, field, strlen(field)) == 0) kib = atol(line + strlen(field) + 1);
  fclose(file);
  return kib;
}

// Starts a tracer of opens and opens "/waggle-marker-<µs since the start>" over and
// over: the first marker in its output was opened when it had begun to see.
//   prints  ms until it sees, ms from SIGINT to its end, VmRSS and VmHWM in KiB
int startup(char **command) {
  int out[2];
  if (pipe(out) != 0) return 1;
  auto begin = Clock::now();
  pid_t child = fork();
  if (child == 0) {
    dup2(out[1], 1);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    close(out[0]);
    execvp(command[0], command);
    _exit(127);
  }
  close(out[1]);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  std::string seen;
  double first_us = -1;
  while (first_us < 0 && ns_between(begin, Clock::now()) < 20e9) {
    char marker[64];
    snprintf(marker, sizeof(marker), "/waggle-marker-%.0f-", ns_between(begin, Clock::now()) / 1e3);
    int fd = open(marker, O_RDONLY);
    if (fd >= 0) close(fd);
    char text[65536];
    ssize_t got;
    while ((got = read(out[0], text, sizeof(text))) > 0) seen.append(text, static_cast<size_t>(got));
    size_t at = seen.find("/waggle-marker-");
    if (at != std::string::npos && seen.find('-', at + 15) != std::string::npos) first_us = atof(seen.c_str() + at + 15);
    usleep(200);
  }
  usleep(300000);
  long rss = resident_kib(child, "VmRSS:"), peak = resident_kib(child, "VmHWM:");
  auto stop = Clock::now();
  kill(child, SIGINT);
  int status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    char text[65536];
    while (read(out[0], text, sizeof(text)) > 0) {
    }
    usleep(500);
  }
  printf("%.1f %.1f %ld %ld\n", first_us / 1e3, ns_between(stop, Clock::now()) / 1e6, rss, peak);
  return first_us < 0 ? 1 : 0;
}

}  // namespace

// "STATUS SECONDS CPU_SECONDS PEAK_KIB" of a command that ends by itself; of its output
// nothing is kept.
int run(char **command) {
  auto begin = Clock::now();
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_RDWR);
    for (int fd : {0, 1, 2}) dup2(null, fd);
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  rusage used = {};
  if (child < 0 || wait4(child, &status, 0, &used) != child) return 1;
  auto seconds = [](const timeval &time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  printf("%d %.3f %.3f %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 255, ns_between(begin, Clock::now()) / 1e9,
         seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss);
  return 0;
}

int main(int count, char **words) {
  std::string verb = count > 1 ? words[1] : "";
  if (verb == "loop" && count == 4) return loop(words[2], atol(words[3]));
  if (verb == "burst" && count == 3) return burst(atol(words[2]));
  if (verb == "execs" && count == 3) return execs(atol(words[2]));
  if (verb == "startup" && count > 2) return startup(words + 2);
  if (verb == "run" && count > 2) return run(words + 2);
  fprintf(stderr, "usage: meter loop getppid|openat CALLS | burst OPENS | execs COUNT | startup COMMAND... | run COMMAND...\n");
  return 2;
}
