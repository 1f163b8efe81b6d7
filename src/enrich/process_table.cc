#include "enrich/process_table.h"

#include <algorithm>
#include <ctime>

#include "base/check.h"
#include "base/clock.h"
#include "kernel/procfs.h"

namespace waggle {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
// A start time from /proc is cut to 10 ms; the same process seen by an event
// differs by no more than that and the rounding of the clocks' offset.
constexpr uint64_t kStartSlackNs = 20'000'000;
constexpr size_t kUnknownMost = 4096;
constexpr size_t kResyncFirst = 8192;
constexpr size_t kPlacementsFirst = 1024;
constexpr int kAncestorsMost = 64;
constexpr int32_t kKthreadd = 2;

const std::shared_ptr<const Command> &no_command() {
  static const auto none = std::make_shared<const Command>();
  return none;
}

const std::shared_ptr<const Placement> &no_placement() {
  static const auto none = std::make_shared<const Placement>();
  return none;
}

}  // namespace

struct ProcessTable::Node {
  Process process;
  std::unique_ptr<Node> older;
  bool forked = false;         // its fork was seen: start_ns and ppid are exact
  uint64_t argv_retry_ns = 0;  // 0: argv is known
};

ProcessTable::ProcessTable(CgroupTree *cgroups, Options options)
    : cgroups_(cgroups),
      options_(options),
      to_boottime_ns_(read_clock_offsets().to_boottime_ns),
      resync_at_(kResyncFirst),
      placements_sweep_at_(kPlacementsFirst) {}

ProcessTable::~ProcessTable() = default;
ProcessTable::ProcessTable(ProcessTable &&) noexcept = default;

Result<size_t> ProcessTable::seed() {
  if (options_.told_cgroups != nullptr) return size_t{0};
  std::vector<int32_t> pids = TRY(list_processes());
  newest_.reserve(pids.size() * 2);
  size_t read = 0;
  for (int32_t pid : pids) {
    // An event may have told of it already.
    if (auto known = newest_.find(pid); known != newest_.end() && known->second->process.alive()) continue;
    if (find_in_proc(pid, 0)) ++read;
  }
  unknown_until_ns_.clear();
  resync_at_ = std::max(kResyncFirst, alive_ * 2);
  return read;
}

void ProcessTable::add(Process process) {
  if (!process.command) process.command = no_command();
  if (!process.placement) process.placement = placement_of_id(process.cgroup_id);
  process.exit_ns = 0;
  insert(std::move(process));
}

std::vector<const Process *> ProcessTable::living() const {
  std::vector<const Process *> living;
  for (const auto &[pid, node] : newest_)
    if (node->process.alive()) living.push_back(&node->process);
  return living;
}

void ProcessTable::on_fork(const ForkEvent &event) {
  trim(event.when_ns);
  if (Node *known = find_node(event.child_pid, event.when_ns + kStartSlackNs)) {
    Process &process = known->process;
    bool seen_meanwhile = !known->forked && process.start_ns + kStartSlackNs >= event.when_ns;
    if (seen_meanwhile || process.start_ns == event.when_ns) {
      // Read from /proc, or its exec overtook its fork.
      process.start_ns = event.when_ns;
      process.ppid = event.parent_pid;
      known->forked = true;
      return;
    }
  }

  Process child;
  child.pid = event.child_pid;
  child.ppid = event.parent_pid;
  child.start_ns = event.when_ns;
  child.cgroup_id = event.cgroup_id;
  child.comm = event.comm;
  if (const Process *parent = find(event.parent_pid, event.when_ns)) {
    child.uid = parent->uid;
    child.command = parent->command;
    if (child.cgroup_id == 0) child.cgroup_id = parent->cgroup_id;
    if (child.cgroup_id == parent->cgroup_id) child.placement = parent->placement;
    if (child.comm.empty()) child.comm = parent->comm;
  }
  if (!child.command) child.command = no_command();
  if (!child.placement) child.placement = placement_of_id(child.cgroup_id);
  insert(std::move(child)).forked = true;
  if (alive_ >= resync_at_) resync();
}

void ProcessTable::on_exec(const ExecEvent &event) {
  trim(event.when_ns);
  Node *node = find_node(event.pid, event.when_ns);
  if (!node || !node->process.alive()) {
    Process fresh;
    fresh.pid = event.pid;
    fresh.ppid = event.ppid;
    fresh.start_ns = event.when_ns;
    fresh.command = no_command();
    fresh.placement = no_placement();
    node = &insert(std::move(fresh));
  }
  Process &process = node->process;
  auto command = std::make_shared<Command>();
  command->exe = event.filename;
  command->argv = event.argv.substr(0, options_.argv_bytes_most);
  process.command = std::move(command);
  node->argv_retry_ns = 0;
  if (event.argv.empty()) learn_argv(*node);
  if (event.ppid != 0 && !node->forked) process.ppid = event.ppid;
  if (event.uid != Process::kUidUnknown) process.uid = event.uid;
  if (!event.comm.empty()) process.comm = event.comm;

  bool moved = event.cgroup_id != 0 && event.cgroup_id != process.cgroup_id;
  if (event.cgroup_id != 0) process.cgroup_id = event.cgroup_id;
  // A runtime on a hybrid host moves its process in the v1 hierarchies, which
  // the id does not show, and then calls execve(2).
  bool hybrid = cgroups_ && cgroups_->mounts().hybrid();
  if ((hybrid || !cgroups_) && options_.told_cgroups == nullptr) {
    if (Result<ProcessFiles> files = ProcessFiles::open(event.pid)) {
      if (Result<std::vector<CgroupLine>> lines = files->cgroup(); lines && !lines->empty()) {
        process.placement = placement_of(choose_cgroup(*lines)->path);
        return;
      }
    }
  }
  if (moved || process.placement->path.empty()) process.placement = placement_of_id(process.cgroup_id);
}

void ProcessTable::on_exit(int32_t pid, uint64_t when_ns) {
  if (Node *node = find_node(pid, when_ns)) {
    if (node->process.alive())
      mark_exited(*node, when_ns);
    else if (when_ns < node->process.exit_ns)
      node->process.exit_ns = when_ns;  // resync() or the next fork had guessed
  }
  trim(when_ns);
}

const Process *ProcessTable::find(int32_t pid, uint64_t when_ns) {
  Node *node = find_node(pid, when_ns);
  // Rows of a process's last breath come after its exit: its memory may take
  // seconds to free. Long after, the pid may be another's whose fork was lost.
  bool stale = node && !node->process.alive() && when_ns > node->process.exit_ns + kSecondNs;
  if (!node || stale)
    if (Node *found = find_in_proc(pid, when_ns)) node = found;
  if (!node) return nullptr;
  if (node->argv_retry_ns != 0 && node->process.alive() && clock_ns(CLOCK_MONOTONIC) >= node->argv_retry_ns)
    learn_argv(*node);
  return &node->process;
}

std::vector<const Process *> ProcessTable::ancestors(const Process &process) {
  std::vector<const Process *> chain;
  const Process *child = &process;
  while (child->ppid > 0 && chain.size() < kAncestorsMost) {
    const Process *parent = find(child->ppid, child->start_ns);
    // A parent read from /proc may be an adopter that is younger than its child.
    if (!parent) parent = find(child->ppid);
    if (!parent || parent == child || std::find(chain.begin(), chain.end(), parent) != chain.end()) break;
    chain.push_back(parent);
    child = parent;
  }
  return chain;
}

void ProcessTable::resync() {
  resync_at_ = std::max(kResyncFirst, alive_ * 2);
  if (options_.told_cgroups != nullptr) return;
  to_boottime_ns_ = read_clock_offsets().to_boottime_ns;
  Result<std::vector<int32_t>> pids = list_processes();
  if (!pids) return;  // nothing is known to have ended
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  for (auto &[pid, node] : newest_)
    if (node->process.alive() && !std::binary_search(pids->begin(), pids->end(), pid)) mark_exited(*node, now);
  resync_at_ = std::max(kResyncFirst, alive_ * 2);
  trim(now);
}

// The newest that had started by then; of any time for 0.
ProcessTable::Node *ProcessTable::find_node(int32_t pid, uint64_t when_ns) {
  auto chain = newest_.find(pid);
  if (chain == newest_.end()) return nullptr;
  Node *node = chain->second.get();
  while (node && when_ns != 0 && node->process.start_ns > when_ns) node = node->older.get();
  return node;
}

ProcessTable::Node &ProcessTable::insert(Process process) {
  CHECK(process.command && process.placement);
  unknown_until_ns_.erase(process.pid);
  auto node = std::make_unique<Node>();
  node->process = std::move(process);
  Node &inserted = *node;
  std::unique_ptr<Node> *place = &newest_[inserted.process.pid];
  uint64_t next_start_ns = 0;
  while (*place && (*place)->process.start_ns > inserted.process.start_ns) {
    next_start_ns = (*place)->process.start_ns;
    place = &(*place)->older;
  }
  node->older = std::move(*place);
  *place = std::move(node);
  ++alive_;
  if (inserted.older && inserted.older->process.alive()) mark_exited(*inserted.older, inserted.process.start_ns);
  // Told of after its successor: it must have ended before that began.
  if (next_start_ns != 0) mark_exited(inserted, next_start_ns);
  return inserted;
}

void ProcessTable::mark_exited(Node &node, uint64_t when_ns) {
  CHECK(node.process.alive());
  node.process.exit_ns = std::max<uint64_t>(when_ns, 1);
  exited_.push_back(&node);
  --alive_;
}

void ProcessTable::forget(const Node *node) {
  auto chain = newest_.find(node->process.pid);
  CHECK(chain != newest_.end());
  std::unique_ptr<Node> *place = &chain->second;
  while (place->get() != node) {
    CHECK(*place);
    place = &(*place)->older;
  }
  *place = std::move((*place)->older);
  if (!chain->second) newest_.erase(chain);
}

void ProcessTable::trim(uint64_t now) {
  uint64_t keep_ns = static_cast<uint64_t>(std::chrono::nanoseconds(options_.keep_exited).count());
  while (!exited_.empty()) {
    const Node *oldest = exited_.front();
    if (exited_.size() <= options_.exited_most && oldest->process.exit_ns + keep_ns >= now) break;
    exited_.pop_front();
    forget(oldest);
  }
}

bool ProcessTable::read_process(int32_t pid, Process &process, bool &argv_pending) {
  Result<ProcessFiles> files = ProcessFiles::open(pid);
  if (!files) return false;
  Result<ProcessStat> stat = files->stat();
  Result<ProcessStatus> status = files->status();
  // /proc/TID opens for threads as well.
  if (!stat || !status || status->tgid != pid) return false;
  process.pid = pid;
  process.ppid = stat->ppid;
  process.uid = status->uid;
  process.comm = std::move(stat->comm);
  int64_t start_ns = static_cast<int64_t>(stat->start_boot_ns) - to_boottime_ns_;
  process.start_ns = static_cast<uint64_t>(std::max<int64_t>(start_ns, 1));
  process.command = no_command();
  process.placement = no_placement();

  bool kernel_thread = pid == kKthreadd || stat->ppid == kKthreadd;
  // Reading the arguments of a process that is stuck with its mmap lock held
  // would stick as well.
  argv_pending = !kernel_thread && stat->state == 'D';
  if (!kernel_thread) {
    auto command = std::make_shared<Command>();
    command->exe = files->exe().value_or("");
    if (!argv_pending) command->argv = files->argv(options_.argv_bytes_most).value_or("");
    process.command = std::move(command);
  }
  if (Result<std::vector<CgroupLine>> lines = files->cgroup(); lines && !lines->empty()) {
    process.placement = placement_of(choose_cgroup(*lines)->path);
    for (const CgroupLine &line : *lines)
      if (line.hierarchy == 0 && cgroups_) process.cgroup_id = cgroups_->id_of(line.path).value_or(0);
  }
  return true;
}

ProcessTable::Node *ProcessTable::find_in_proc(int32_t pid, uint64_t when_ns) {
  if (pid <= 0 || options_.told_cgroups != nullptr) return nullptr;
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  if (auto unknown = unknown_until_ns_.find(pid); unknown != unknown_until_ns_.end() && now < unknown->second)
    return nullptr;
  Process process;
  bool argv_pending = false;
  bool found = read_process(pid, process, argv_pending);
  Node *newest = find_node(pid, 0);
  if (found && newest && newest->process.start_ns + kStartSlackNs >= process.start_ns) {
    // Known, then: perhaps from its exec only, which came later than its start.
    // One that exited is not raised from the dead while the kernel still lists it.
    if (!newest->forked) newest->process.start_ns = std::min(newest->process.start_ns, process.start_ns);
    if (newest->process.start_ns <= when_ns) return newest;
  } else if (found) {
    Node &inserted = insert(std::move(process));
    inserted.argv_retry_ns = argv_pending ? now + kSecondNs : 0;
    if (when_ns == 0 || inserted.process.start_ns <= when_ns) return &inserted;
  }
  // Nobody can say who had the pid before; ask again later for who comes after.
  if (unknown_until_ns_.size() >= kUnknownMost) unknown_until_ns_.clear();
  unknown_until_ns_[pid] = now + kSecondNs;
  return nullptr;
}

void ProcessTable::learn_argv(Node &node) {
  if (options_.told_cgroups != nullptr) return;
  node.argv_retry_ns = clock_ns(CLOCK_MONOTONIC) + kSecondNs;
  Result<ProcessFiles> files = ProcessFiles::open(node.process.pid);
  Result<ProcessStat> stat = files ? files->stat() : fail(ErrorCode::kNotFound, "");
  if (!stat) {
    node.argv_retry_ns = 0;
    return;
  }
  if (stat->state == 'D') return;
  Command command = *node.process.command;
  command.argv = files->argv(options_.argv_bytes_most).value_or("");
  node.process.command = std::make_shared<const Command>(std::move(command));
  node.argv_retry_ns = 0;
}

std::shared_ptr<const Placement> ProcessTable::placement_of(std::string_view path) {
  if (path.empty()) return no_placement();
  if (placements_.size() >= placements_sweep_at_) {
    std::erase_if(placements_, [](const auto &entry) { return entry.second.expired(); });
    placements_sweep_at_ = std::max(kPlacementsFirst, placements_.size() * 2);
  }
  std::weak_ptr<const Placement> &known = placements_[std::string(path)];
  if (std::shared_ptr<const Placement> shared = known.lock()) return shared;
  auto fresh = std::make_shared<const Placement>(Placement{std::string(path), parse_cgroup_path(path)});
  known = fresh;
  return fresh;
}

std::shared_ptr<const Placement> ProcessTable::placement_of_id(uint64_t cgroup_id) {
  if (options_.told_cgroups != nullptr) {
    auto told = options_.told_cgroups->find(cgroup_id);
    return told == options_.told_cgroups->end() ? no_placement() : placement_of(told->second);
  }
  return placement_of(cgroup_id != 0 && cgroups_ ? cgroups_->path_of(cgroup_id) : std::string_view());
}

}  // namespace waggle
