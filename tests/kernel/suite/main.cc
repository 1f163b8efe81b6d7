// The kernel suite: makes real activity, exactly counted, and compares what
// `waggle watch` says of it with what was done and with what the kernel itself
// counted. Nothing is mocked; the kernel is the one that runs.
//
//   kernel_suite --waggle build/waggle [--results FILE] [--only GLOB] [--scale N] [--list]
//
// Results are lines of case, pass|fail|skip, seconds and reason, tab-separated.

#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "activity.h"
#include "suite.h"

namespace waggle::suite {
namespace {

Settings the_settings;
std::string the_folder;
int verdict_fd = -1;  // of a case: where its verdict goes
std::string notes;

[[noreturn]] void end_case(std::string_view verdict, std::string_view why) {
  std::string message = fmt::format("{}\t{}", verdict, why);
  for (char &c : message)
    if (c == '\n' || c == '\r') c = ' ';
  if (write(verdict_fd, message.data(), message.size()) < 0) _exit(3);
  // Destructors do not run: what the case made ends with its process group, its
  // mount namespace and its folder. A cgroup is the exception, see sweep().
  _exit(0);
}

struct Verdict {
  std::string word, reason;
};

// What a case has left behind in a cgroup hierarchy.
void sweep(pid_t pid) {
  std::string root = cgroup_root();
  if (root.empty()) return;
  std::error_code ignored;
  for (const auto &entry : std::filesystem::directory_iterator(root, ignored)) {
    std::string name = entry.path().filename();
    if (name.starts_with("waggle-suite-") && name.ends_with(fmt::format("-{}", pid)))
      for (int tries = 0; tries < 100 && rmdir(entry.path().c_str()) != 0 && errno == EBUSY; tries++) usleep(10000);
  }
}

[[noreturn]] void run_inside(const Case &each, int fd) {
  verdict_fd = fd;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    fail_case(fmt::format("no mount namespace of its own: {}", strerror(errno)));
  if (chdir(the_folder.c_str()) != 0) fail_case("cannot enter " + the_folder);
  for (Need need : each.needs)
    if (std::string lack = lack_of(need); !lack.empty()) skip_case(lack);
  each.run();
  end_case("pass", notes);
}

// Reads the verdict of a case until it ends or its time is over.
Verdict judge(int fd, pid_t pid, seconds limit) {
  std::string message;
  uint64_t end = now_ns() + static_cast<uint64_t>(limit.count()) * 1'000'000'000;
  for (;;) {
    uint64_t now = now_ns();
    int left_ms = now >= end ? 0 : static_cast<int>((end - now) / 1'000'000) + 1;
    pollfd readable = {fd, POLLIN, 0};
    int ready = poll(&readable, 1, left_ms);
    if (ready == 0) {
      kill(-pid, SIGKILL);
      wait_for(pid);
      return {"fail", fmt::format("it was not done after {} s", limit.count())};
    }
    char block[4096];
    ssize_t got = read(fd, block, sizeof(block));
    if (got <= 0) break;
    message.append(block, static_cast<size_t>(got));
    // The case has spoken; children that hold the pipe do not matter.
    break;
  }
  // Its children, never those of others: the group is the case's own.
  int status = 0;
  for (int tries = 0; tries < 200; tries++) {
    if (waitpid(pid, &status, WNOHANG) == pid) break;
    if (tries == 199) {
      kill(-pid, SIGKILL);
      wait_for(pid);
    }
    usleep(1000);
  }
  kill(-pid, SIGKILL);
  size_t tab = message.find('\t');
  if (tab == std::string::npos) return {"fail", fmt::format("the case ended with status {:#x}", status)};
  return {message.substr(0, tab), message.substr(tab + 1)};
}

Verdict run_case(const Case &each) {
  char pattern[] = "/tmp/waggle-suite.XXXXXX";
  expect(mkdtemp(pattern) != nullptr, "mkdtemp");
  the_folder = pattern;
  chmod(pattern, 0755);
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  fflush(nullptr);
  pid_t pid = must(fork(), "fork");
  if (pid == 0) {
    close(ends[0]);
    run_inside(each, ends[1]);
  }
  setpgid(pid, pid);
  close(ends[1]);
  Verdict verdict = judge(ends[0], pid, each.limit * (the_settings.scale > 1 ? 4 : 1));
  close(ends[0]);
  sweep(pid);
  std::error_code ignored;
  std::filesystem::remove_all(the_folder, ignored);
  return verdict;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_slowest_cases(cases);
  add_record_cases(cases);
  add_load_cases(cases);
  add_process_cases(cases);
  add_file_cases(cases);
  add_filesystem_cases(cases);
  add_block_cases(cases);
  add_sched_cases(cases);
  add_net_cases(cases);
  add_function_cases(cases);
  add_watch_cases(cases);
  return cases;
}

[[noreturn]] void misuse(std::string_view what) {
  fmt::print(stderr,
             "error: {}\n"
             "  fix: kernel_suite --waggle build/waggle [--results FILE] [--only GLOB] [--scale N] [--list]\n",
             what);
  exit(2);
}

int run_all(const std::string &only, const std::string &results, bool list) {
  FILE *tsv = results.empty() ? nullptr : fopen(results.c_str(), "we");
  if (!results.empty() && tsv == nullptr) misuse("cannot write " + results);
  int passed = 0, failed = 0, skipped = 0;
  for (const Case &each : all_cases()) {
    if (!only.empty() && fnmatch(only.c_str(), each.name.c_str(), 0) != 0) continue;
    if (list) {
      fmt::print("{}\n", each.name);
      continue;
    }
    uint64_t began = now_ns();
    Verdict verdict = run_case(each);
    double took = static_cast<double>(now_ns() - began) / 1e9;
    (verdict.word == "pass" ? passed : verdict.word == "skip" ? skipped : failed)++;
    fmt::print("{:<4} {:5.1f}s  {}{}{}\n", verdict.word, took, each.name, verdict.reason.empty() ? "" : ": ",
               verdict.reason);
    fflush(stdout);
    if (tsv != nullptr) {
      for (char &c : verdict.reason)
        if (c == '\t') c = ' ';
      fmt::print(tsv, "{}\t{}\t{:.1f}\t{}\n", each.name, verdict.word, took, verdict.reason);
      fflush(tsv);
    }
  }
  if (!list) fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  if (tsv != nullptr) fclose(tsv);
  return failed > 0 ? 1 : 0;
}

int main_of(int argc, char **argv) {
  std::string only, results;
  bool list = false;
  for (int i = 1; i < argc; i++) {
    std::string_view option = argv[i];
    if (option == "--list") {
      list = true;
      continue;
    }
    if (i + 1 == argc) misuse(fmt::format("'{}' needs a value, or is no option", option));
    std::string value = argv[++i];
    if (option == "--waggle")
      the_settings.waggle = std::filesystem::absolute(value);
    else if (option == "--results")
      results = value;
    else if (option == "--only")
      only = value;
    else if (option == "--scale")
      the_settings.scale = strtoull(value.c_str(), nullptr, 10);
    else
      misuse(fmt::format("no option '{}'", option));
  }
  if (the_settings.scale == 0) misuse("--scale takes a positive number");
  if (access(the_settings.waggle.c_str(), X_OK) != 0) misuse("--waggle takes the program under test");
  if (geteuid() != 0) misuse("watching a kernel takes root");
  return run_all(only, results, list);
}

}  // namespace

const Settings &settings() {
  return the_settings;
}
const std::string &folder() {
  return the_folder;
}
uint64_t scaled(uint64_t count, uint64_t least) {
  return std::max(count / the_settings.scale, std::min(count, least));
}

void fail_case(std::string_view why) {
  if (verdict_fd >= 0) end_case("fail", why);
  fmt::print(stderr, "kernel_suite: {}\n", why);
  exit(3);
}
void skip_case(std::string_view why) {
  end_case("skip", why);
}
void note(std::string_view what) {
  notes += fmt::format("{}{}", notes.empty() ? "" : "; ", what);
}

}  // namespace waggle::suite

int main(int argc, char **argv) {
  return waggle::suite::main_of(argc, argv);
}
