#include "script/run/child.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace waggle::script {
namespace {

constexpr int kEndWait_ms = 200;

bool is_program(const std::string &path) {
  return access(path.c_str(), X_OK) == 0;
}

// Where execvp(3) would find it; empty: nowhere.
std::string find_program(const std::string &name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : std::string();
  const char *path = getenv("PATH");
  for (std::string_view directory : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    std::string whole = std::string(directory) + "/" + name;
    if (is_program(whole)) return whole;
  }
  return {};
}

[[noreturn]] void wait_and_run(int gate, const std::string &path, const std::vector<std::string> &words) {
  std::vector<char *> arguments;
  for (const std::string &word : words) arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  char byte = 0;
  // Without a byte the parent has gone.
  if (read(gate, &byte, 1) != 1) _exit(0);
  execv(path.c_str(), arguments.data());
  std::string failed = fmt::format("ERROR: Failed to execute: {}: {}\n", path, strerror(errno));
  if (write(STDERR_FILENO, failed.data(), failed.size()) < 0) _exit(126);
  _exit(127);
}

}  // namespace

Result<std::vector<std::string>> command_words(const std::string &command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (size_t i = 0; i < command.size(); i++) {
    char c = command[i];
    if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n')) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == quote)
      quote = '\0';
    else if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
    else if (c == '\\' && quote != '\'' && i + 1 < command.size())
      word += command[++i];
    else
      word += c;
  }
  if (quote != '\0') return fail(ErrorCode::kInvalid, fmt::format("a {} is not closed in '{}'", quote, command));
  if (in_word) words.push_back(std::move(word));
  if (words.empty()) return fail(ErrorCode::kInvalid, "the command is empty");
  return words;
}

Result<Child> Child::start(const std::string &command) {
  std::vector<std::string> words = TRY(command_words(command));
  std::string path = find_program(words[0]);
  if (path.empty())
    return fail(ErrorCode::kNotFound, fmt::format("path '{}' does not exist or is not executable", words[0]));
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return fail_errno(errno, "cannot start the command");
  Fd reader(gate[0]), writer(gate[1]);
  Child child;
  child.pid_ = fork();
  if (child.pid_ < 0) return fail_errno(errno, "cannot start the command");
  if (child.pid_ == 0) {
    writer.reset();
    wait_and_run(reader.get(), path, words);
  }
  child.gate_ = std::move(writer);
  child.end_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, child.pid_, 0)));
  if (!child.end_.valid()) return fail_errno(errno, "cannot watch the command");
  return child;
}

Child::Child(Child &&other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      gate_(std::move(other.gate_)),
      end_(std::move(other.end_)),
      has_ended_(other.has_ended_) {}

Child::~Child() {
  if (pid_ == 0 || has_ended()) return;
  // One that waits for go() ends when its gate closes.
  bool has_begun = !gate_.valid();
  gate_.reset();
  if (has_begun) kill(pid_, SIGTERM);
  pollfd end = {end_.get(), POLLIN, 0};
  if (poll(&end, 1, kEndWait_ms) != 1) kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Result<void> Child::go() {
  char byte = 1;
  if (write(gate_.get(), &byte, 1) != 1) return fail_errno(errno, "cannot run the command");
  gate_.reset();
  return {};
}

bool Child::has_ended() {
  if (!has_ended_) has_ended_ = waitpid(pid_, nullptr, WNOHANG) == pid_;
  return has_ended_;
}

}  // namespace waggle::script
