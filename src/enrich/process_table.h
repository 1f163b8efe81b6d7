// ProcessTable knows every process: what it runs, who started it, where it
// belongs. Rows name processes by pid, arrive late, and are often of processes
// that lived for milliseconds; /proc can answer for the living only, and with
// another process once the pid is reused. So the table is filled from /proc
// once, follows fork, exec and exit from then on, keeps the dead for a while,
// and finds a process by pid and time together.
//
// Times are CLOCK_MONOTONIC nanoseconds, as bpf_ktime_get_ns() gives them. Pids
// are of processes (thread groups) in the initial pid namespace: a source that
// sees threads fork and exit leaves those out. Events may arrive late and, from
// several rings, out of order by milliseconds.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "kernel/cgroup.h"

namespace waggle {

// What a process runs. A fork shares its parent's until it calls execve(2).
struct Command {
  std::string exe;   // resolved when read from /proc, as passed to execve(2) when from an event; "" for kernel threads
  std::string argv;  // each argument ended by a NUL; cut off after Options::argv_bytes_most
};

// Where a process belongs; shared by all of a cgroup.
struct Placement {
  std::string path;     // the cgroup's, "" when unknown; v2, or v1 where only that says something
  CgroupLabels labels;  // container, pod, unit
};

struct Process {
  static constexpr uint32_t kUidUnknown = UINT32_MAX;

  int32_t pid = 0;
  int32_t ppid = 0;            // who forked it, or its parent when first read from /proc
  uint32_t uid = kUidUnknown;  // real uid at the last exec, or inherited
  uint64_t start_ns = 0;       // from /proc: up to 10 ms early
  uint64_t exit_ns = 0;        // 0 while it lives
  uint64_t cgroup_id = 0;      // v2; 0 when unknown
  std::string comm;
  std::shared_ptr<const Command> command;      // never null
  std::shared_ptr<const Placement> placement;  // never null

  bool alive() const { return exit_ns == 0; }
};

class ProcessTable {
 public:
  struct Options {
    std::chrono::seconds keep_exited{60};
    // Some 420 bytes for a process with a command of its own, 200 for one that
    // shares its parent's, so at most some 14 MB of dead processes.
    size_t exited_most = 32768;
    size_t argv_bytes_most = 4096;
    // Paths of cgroups by id. With them the table is of another host: it knows
    // what it is told, and asks neither this one's /proc nor its cgroups.
    const std::unordered_map<uint64_t, std::string> *told_cgroups = nullptr;
  };
  struct ForkEvent {
    int32_t parent_pid = 0, child_pid = 0;
    uint64_t when_ns = 0;
    std::string_view comm = {};
    uint64_t cgroup_id = 0;  // 0: the parent's
  };
  struct ExecEvent {
    int32_t pid = 0, ppid = 0;
    uint64_t when_ns = 0;
    std::string_view filename = {};
    std::string_view argv = {};  // each ended by a NUL; empty: read from /proc if the process still lives
    uint32_t uid = Process::kUidUnknown;
    uint64_t cgroup_id = 0;  // 0: unchanged
    std::string_view comm = {};
  };

  // cgroups: names the cgroups of events, and outlives the table; null where
  // there is no v2 hierarchy.
  explicit ProcessTable(CgroupTree *cgroups) : ProcessTable(cgroups, Options()) {}
  ProcessTable(CgroupTree *cgroups, Options options);
  ~ProcessTable();
  ProcessTable(ProcessTable &&) noexcept;

  // Reads all processes there are: 22 to 29 ms of cpu for 500. Attach the events
  // first and seed then, so that no process falls between. Returns how many were
  // read.
  // errors: Denied, Failed when /proc cannot be listed
  Result<size_t> seed();

  // Takes over a process that another table knew; `command` may be null, and
  // `placement` is found by cgroup id when it is.
  void add(Process process);
  // Every process that lives, in no order. The pointers are valid until the next on_*().
  std::vector<const Process *> living() const;

  void on_fork(const ForkEvent &event);
  void on_exec(const ExecEvent &event);
  void on_exit(int32_t pid, uint64_t when_ns);

  // The process that had this pid at that time; the latest to have it for
  // when_ns = 0. A pid not known yet is asked of /proc, at most once a second
  // each. Null when nobody knows. The pointer is valid until the next on_*() or
  // resync(); its process does not change meanwhile, except to learn its argv.
  const Process *find(int32_t pid, uint64_t when_ns = 0);

  // Its parent, the parent's parent, …, at the times when they forked; ends at
  // pid 1 or 2, or where nobody knows further. At most 64.
  std::vector<const Process *> ancestors(const Process &process);

  // Marks what is not in /proc any more as exited now: makes up for exits whose
  // events were lost. Done by itself whenever the living have doubled.
  void resync();

  size_t size() const { return alive_ + exited_.size(); }
  size_t alive() const { return alive_; }

 private:
  struct Node;

  Node *find_node(int32_t pid, uint64_t when_ns);
  Node &insert(Process process);
  void mark_exited(Node &node, uint64_t when_ns);
  void forget(const Node *node);
  void trim(uint64_t now_ns);
  bool read_process(int32_t pid, Process &process, bool &argv_pending);
  Node *find_in_proc(int32_t pid, uint64_t when_ns);
  void learn_argv(Node &node);
  std::shared_ptr<const Placement> placement_of(std::string_view path);
  std::shared_ptr<const Placement> placement_of_id(uint64_t cgroup_id);

  CgroupTree *cgroups_;
  Options options_;
  int64_t to_boottime_ns_ = 0;
  // By pid, the newest to have it; older ones hang behind, by start time.
  std::unordered_map<int32_t, std::unique_ptr<Node>> newest_;
  std::deque<const Node *> exited_;  // about in the order they exited
  size_t alive_ = 0;
  size_t resync_at_;
  std::unordered_map<int32_t, uint64_t> unknown_until_ns_;
  std::unordered_map<std::string, std::weak_ptr<const Placement>> placements_;
  size_t placements_sweep_at_;
};

}  // namespace waggle
