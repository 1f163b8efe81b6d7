// Things a case does to the kernel, each exactly as often as it says.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::suite {

std::string read_file(const std::string &path);
void write_file(const std::string &path, std::string_view bytes, mode_t mode = 0644);

// A child that runs `work` and exits with its result; fork(2) without exec.
pid_t start_child(const std::function<int()> &work);
// waitpid(2), and what it said.
int wait_for(pid_t pid);

// Writes the smallest program there is: one that exits with `code`. It needs no
// libraries, so starting it is all that is measured.
void write_tiny_program(const std::string &path, int code = 0);

// vfork(2) and execve(2); the process id, which has not been waited for.
pid_t spawn(const std::string &path, const std::vector<std::string> &arguments);
// The same for a call that must fail; its errno.
int spawn_failing(const std::string &path, const std::vector<std::string> &arguments);

// Runs a program of the system to its end. Returns its output, stderr included.
struct Output {
  int status = 0;
  std::string text;
};
Output run_program(const std::vector<std::string> &arguments);
// The same; a status other than 0 fails the case.
void must_run(const std::vector<std::string> &arguments);

// A loop device over a new file of the case's folder. Detached at the end of the case.
class LoopDevice {
 public:
  explicit LoopDevice(uint64_t bytes);
  ~LoopDevice();
  LoopDevice(const LoopDevice &) = delete;
  LoopDevice &operator=(const LoopDevice &) = delete;
  const std::string &path() const { return path_; }  // "/dev/loop3"
  std::string name() const { return path_.substr(5); }

 private:
  std::string path_;
  int fd_ = -1;
};

// The rest of the case runs in a network namespace of its own, with lo up.
void enter_new_network();

// A cgroup of its own, below the root of the v2 hierarchy.
class Cgroup {
 public:
  explicit Cgroup(std::string_view name);
  ~Cgroup();
  Cgroup(const Cgroup &) = delete;
  Cgroup &operator=(const Cgroup &) = delete;
  const std::string &path() const { return path_; }
  void take(pid_t pid);

 private:
  std::string path_;
};
// Where cgroup v2 is mounted; empty when it is not.
std::string cgroup_root();

uint64_t now_ns();                     // CLOCK_MONOTONIC
void set_name(std::string_view name);  // the comm of this thread
void pin_to_cpu(pid_t tid, int cpu);
int last_cpu();  // the highest one this process may use

}  // namespace waggle::suite
