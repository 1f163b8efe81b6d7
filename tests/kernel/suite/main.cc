// The kernel suite: makes real activity, exactly counted, and compares what
// `waggle watch` says of it with what was done and with what the kernel itself
// counted. Nothing is mocked; the kernel is the one that runs.
//
//   kernel_suite --waggle build/waggle [--results FILE [--resume]] [--only GLOB] [--scale N] [--list]
//
// Results are lines of case, pass|fail|skip, seconds and reason, tab-separated. Beside
// them FILE.begun names each case as it begins, so that --resume, on a machine that
// stopped in the middle, knows which one it was.

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

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

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
  add_wait_cases(cases);
  add_interrupt_cases(cases);
  add_memory_cases(cases);
  add_md_cases(cases);
  add_net_cases(cases);
  add_signal_cases(cases);
  add_syscall_cases(cases);
  add_security_cases(cases);
  add_tcp_cases(cases);
  add_dns_cases(cases);
  add_function_cases(cases);
  add_snapshot_cases(cases);
  add_user_cases(cases);
  add_watch_cases(cases);
  add_tool_cases(cases);
  add_gadget_cases(cases);
  return cases;
}

[[noreturn]] void misuse(std::string_view what) {
  fmt::print(stderr,
             "error: {}\n"
             "  fix: kernel_suite --waggle build/waggle [--results FILE [--resume]] [--only GLOB] [--scale N] [--list]\n",
             what);
  exit(2);
}

struct Options {
  std::string only, results;
  bool list = false, resume = false;
};

// The lines of an earlier run, and where this one writes its own.
class Results {
 public:
  explicit Results(const Options &options) {
    if (options.results.empty()) return;
    std::string begun = options.results + ".begun";
    if (options.resume) {
      std::ifstream earlier(options.results), before(begun);
      for (std::string line; std::getline(earlier, line);) {
        size_t tab = line.find('\t');
        if (tab != std::string::npos) words_[line.substr(0, tab)] = line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1);
      }
      for (std::string line; std::getline(before, line);) begun_[line]++;
    }
    const char *mode = options.resume ? "ae" : "we";
    tsv_ = fopen(options.results.c_str(), mode);
    begun_tsv_ = fopen(begun.c_str(), mode);
    if (tsv_ == nullptr || begun_tsv_ == nullptr) misuse("cannot write " + options.results);
  }
  Results(const Results &) = delete;
  Results &operator=(const Results &) = delete;
  ~Results() {
    if (tsv_ != nullptr) fclose(tsv_);
    if (begun_tsv_ != nullptr) fclose(begun_tsv_);
  }

  // The verdict that an earlier run left, or empty.
  std::string word_of(const std::string &name) const {
    auto found = words_.find(name);
    return found == words_.end() ? "" : found->second;
  }
  // How often it began and the machine stopped in it.
  int stopped_in(const std::string &name) const {
    auto found = begun_.find(name);
    return found == begun_.end() || !word_of(name).empty() ? 0 : found->second;
  }
  void begin(const std::string &name) {
    if (begun_tsv_ == nullptr) return;
    fmt::print(begun_tsv_, "{}\n", name);
    fflush(begun_tsv_);
  }
  void end(const std::string &name, Verdict verdict, double took_s) {
    if (tsv_ == nullptr) return;
    std::replace(verdict.reason.begin(), verdict.reason.end(), '\t', ' ');
    fmt::print(tsv_, "{}\t{}\t{:.1f}\t{}\n", name, verdict.word, took_s, verdict.reason);
    fflush(tsv_);
  }

 private:
  std::map<std::string, std::string> words_;
  std::map<std::string, int> begun_;
  FILE *tsv_ = nullptr, *begun_tsv_ = nullptr;
};

int run_all(const Options &options) {
  Results results(options);
  int passed = 0, failed = 0, skipped = 0;
  auto count = [&](std::string_view word) { (word == "pass" ? passed : word == "skip" ? skipped : failed)++; };
  for (const Case &each : all_cases()) {
    if (!options.only.empty() && fnmatch(options.only.c_str(), each.name.c_str(), 0) != 0) continue;
    if (std::string word = results.word_of(each.name); !word.empty()) {
      count(word);
      continue;
    }
    uint64_t began = now_ns();
    Verdict verdict = {"fail", "the machine hung or died in it, twice"};
    if (results.stopped_in(each.name) < 2) {
      results.begin(each.name);
      verdict = run_case(each);
    }
    double took_s = static_cast<double>(now_ns() - began) / 1e9;
    count(verdict.word);
    fmt::print("{:<4} {:5.1f}s  {}{}{}\n", verdict.word, took_s, each.name, verdict.reason.empty() ? "" : ": ",
               verdict.reason);
    fflush(stdout);
    results.end(each.name, verdict, took_s);
  }
  fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  return failed > 0 ? 1 : 0;
}

int list_all(const Options &options) {
  for (const Case &each : all_cases())
    if (options.only.empty() || fnmatch(options.only.c_str(), each.name.c_str(), 0) == 0) fmt::print("{}\n", each.name);
  return 0;
}

int main_of(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    std::string_view option = argv[i];
    if (option == "--list" || option == "--resume") {
      (option == "--list" ? options.list : options.resume) = true;
      continue;
    }
    if (i + 1 == argc) misuse(fmt::format("'{}' needs a value, or is no option", option));
    std::string value = argv[++i];
    if (option == "--waggle")
      the_settings.waggle = std::filesystem::absolute(value);
    else if (option == "--results")
      options.results = value;
    else if (option == "--only")
      options.only = value;
    else if (option == "--scale")
      the_settings.scale = strtoull(value.c_str(), nullptr, 10);
    else
      misuse(fmt::format("no option '{}'", option));
  }
  if (the_settings.scale == 0) misuse("--scale takes a positive number");
  if (access(the_settings.waggle.c_str(), X_OK) != 0) misuse("--waggle takes the program under test");
  if (geteuid() != 0) misuse("watching a kernel takes root");
  if (options.resume && options.results.empty()) misuse("--resume goes on with --results");
  return options.list ? list_all(options) : run_all(options);
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
