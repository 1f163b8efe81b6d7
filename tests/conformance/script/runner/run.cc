// One case from its setup to its end. Everything it starts is in a session of its own, and is
// ended with it.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "case.h"

namespace waggle::conformance {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kAttached = "__BPFTRACE_NOTIFY_PROBES_ATTACHED\n";
constexpr size_t kOutputMost = 8u << 20;

// A line of sh(1), running in a folder.
class Shell {
 public:
  Shell(const std::string &command, const std::string &folder, const std::vector<std::string> &environment,
        int output) {
    pid_ = fork();
    if (pid_ != 0) return;
    // Only calls that are safe in a child of a process with threads: vectors were made before.
    setsid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(output >= 0 ? output : null, 1);
    dup2(output >= 0 ? output : null, 2);
    if (chdir(folder.c_str()) != 0) _exit(126);
    for (const std::string &each : environment) putenv(const_cast<char *>(each.c_str()));
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  Shell(Shell &&other) noexcept : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}
  ~Shell() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    if (!has_ended()) wait_for_end();
  }

  pid_t pid() const { return pid_; }
  void signal(int number) const { kill(-pid_, number); }
  bool has_ended() {
    if (status_ < 0) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) keep(status);
    }
    return status_ >= 0;
  }
  // As sh(1) tells it: 128 and the number of the signal that ended it.
  int wait_for_end() {
    int status = 0;
    if (status_ < 0 && waitpid(pid_, &status, 0) == pid_) keep(status);
    return status_;
  }

 private:
  void keep(int status) { status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

  pid_t pid_ = -1;
  int status_ = -1;
};

std::string shell_word(const std::string &text) {
  return "'" + replace_all(text, "'", "'\\''") + "'";
}

class Running {
 public:
  Running(const Case &made, const Setting &setting) : case_(made), setting_(setting) {}
  ~Running() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  Outcome outcome() {
    if (std::string problem = make_folder(); !problem.empty()) return {Outcome::Word::kFail, problem};
    for (const std::string &each : case_.required)
      if (run_to_end(each) != 0) return {Outcome::Word::kSkip, fmt::format("needs: {}", each)};
    std::string problem;
    for (const std::string &each : case_.setup)
      if (problem.empty() && run_to_end(each) != 0) problem = fmt::format("SETUP failed: {}", each);
    if (problem.empty()) problem = run();
    before_.clear();
    after_.clear();
    for (const std::string &each : case_.cleanup) run_to_end(each);
    return {problem.empty() ? Outcome::Word::kPass : Outcome::Word::kFail, problem};
  }

 private:
  std::string make_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "waggle-case.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return fmt::format("no folder for the case: {}", strerror(errno));
    folder_ = pattern;
    std::error_code error;
    std::filesystem::create_directory(folder_ + "/bin", error);
    std::filesystem::create_symlink(setting_.bpftrace, folder_ + "/bin/bpftrace", error);
    // Its own copies: probes of files see every process that runs the file, other cases' too.
    std::filesystem::copy(setting_.programs, folder_ + "/programs", error);
    std::filesystem::create_symlink(setting_.data, folder_ + "/data", error);
    return error ? error.message() : "";
  }

  std::string filled(std::string text) const {
    text = replace_all(std::move(text), "{{BPFTRACE}}", folder_ + "/bin/bpftrace");
    return replace_all(std::move(text), "{{BEFORE_PID}}", before_pid_);
  }

  int run_to_end(const std::string &command) const { return Shell(filled(command), folder_, {}, -1).wait_for_end(); }

  // `exec`, so that the pid is the command's own; it is used once the shell is gone.
  void start_before() {
    for (const std::string &each : case_.before) {
      before_.emplace_back("exec " + filled(each), folder_, std::vector<std::string>(), -1);
      if (before_pid_.empty()) before_pid_ = fmt::format("{}", before_.back().pid());
      std::string link = fmt::format("/proc/{}/exe", before_.back().pid());
      std::error_code error;
      std::string shell = std::filesystem::canonical("/bin/sh", error).string();
      for (int i = 0; i < 500; i++) {
        std::string now = std::filesystem::read_symlink(link, error).string();
        if (!error && now != shell && now != std::filesystem::read_symlink("/proc/self/exe", error).string()) break;
        std::this_thread::sleep_for(milliseconds(2));
      }
      // What it maps and opens at its start is there when it is traced.
      std::this_thread::sleep_for(milliseconds(30) * setting_.slowness);
    }
  }

  std::string run() {
    start_before();
    std::string command = case_.run.empty()
                              ? fmt::format("{{{{BPFTRACE}}}} {} -e {}", case_.arguments, shell_word(case_.program))
                              : case_.run;
    command = filled(command);
    if (case_.in_pid_namespace) command = "unshare --fork --pid --mount-proc sh -c " + shell_word(command);
    std::vector<std::string> environment = {"__BPFTRACE_NOTIFY_PROBES_ATTACHED=1"};
    for (const std::string &each : case_.environment) environment.push_back(filled(each));
    std::array<int, 2> ends = {};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return fmt::format("no pipe: {}", strerror(errno));
    Fd output(ends[0]), input(ends[1]);
    Shell shell(command, folder_, environment, input.get());
    input.reset();
    bool in_time = read_all(output.get(), shell);
    if (!in_time) {
      shell.signal(SIGINT);
      deadline_ = Clock::now() + milliseconds(2000) * setting_.slowness;
      read_all(output.get(), shell);
      return fmt::format("not done after {} s: {}", case_.limit.count() * setting_.slowness, shown());
    }
    return judge(shell.wait_for_end());
  }

  // Whether it ended in time.
  bool read_all(int from, Shell &shell) {
    if (deadline_ == Clock::time_point()) deadline_ = Clock::now() + case_.limit * setting_.slowness;
    std::array<char, 65536> bytes;
    while (true) {
      auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now()).count();
      if (left <= 0) return false;
      pollfd waiting = {from, POLLIN, 0};
      int ready = poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 100)));
      if (ready > 0) {
        ssize_t got = read(from, bytes.data(), bytes.size());
        if (got <= 0) return wait_until_ended(shell);
        if (output_.size() < kOutputMost) output_.append(bytes.data(), static_cast<size_t>(got));
        start_after();
      } else if (shell.has_ended()) {
        // A process that outlives it may hold the pipe open.
        return true;
      }
    }
  }

  bool wait_until_ended(Shell &shell) const {
    while (!shell.has_ended()) {
      if (Clock::now() > deadline_) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

  void start_after() {
    size_t at = output_.find(kAttached);
    if (at == std::string::npos) return;
    output_.erase(at, kAttached.size());
    if (!after_.empty()) return;
    for (const std::string &each : case_.after)
      after_.emplace_back(filled(each), folder_, std::vector<std::string>(), -1);
  }

  std::string shown() const { return output_.size() > 600 ? output_.substr(0, 600) + "…" : output_; }

  std::string judge(int status) const {
    if (case_.status && *case_.status != status)
      return fmt::format("exit status {}, not {}: {}", status, *case_.status, shown());
    if (!case_.status && case_.will_fail && status == 0) return fmt::format("exit status 0: {}", shown());
    if (!case_.status && !case_.will_fail && status != 0) return fmt::format("exit status {}: {}", status, shown());
    std::string problem = unmet(case_, output_, setting_.data, before_pid_);
    return problem.empty() ? "" : problem + " in: " + shown();
  }

  const Case &case_;
  const Setting &setting_;
  std::string folder_, before_pid_, output_;
  std::vector<Shell> before_, after_;
  Clock::time_point deadline_;
};

}  // namespace

Outcome run_case(const Case &made, const Setting &setting) {
  if (std::string lack = lack_of(made); !lack.empty()) return {Outcome::Word::kSkip, lack};
  auto began = Clock::now();
  Outcome outcome = Running(made, setting).outcome();
  outcome.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  return outcome;
}

}  // namespace waggle::conformance
