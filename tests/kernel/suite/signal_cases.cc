// signal, oom: what is sent to processes, by whom, and what becomes of it.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// --- signal ----------------------------------------------------------------------

// A child that is ready for signals and lives until it is killed.
class Target {
 public:
  explicit Target(const std::function<void()> &prepare) {
    int ends[2];
    must(pipe2(ends, O_CLOEXEC), "pipe");
    pid_ = start_child([&] {
      set_name("wg-target");
      prepare();
      if (write(ends[1], "r", 1) != 1) return 1;
      while (true) pause();
      return 0;
    });
    close(ends[1]);
    char ready;
    if (read(ends[0], &ready, 1) != 1) fail_case("the target of signals did not start");
    close(ends[0]);
  }
  ~Target() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Target(const Target &) = delete;
  Target &operator=(const Target &) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

void block_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int each : signals) sigaddset(&set, each);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

int send_queued(pid_t pid, int signal_number) {
  siginfo_t info = {};
  info.si_signo = signal_number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  return static_cast<int>(syscall(SYS_rt_sigqueueinfo, pid, signal_number, &info));
}

struct Sent {
  int signal, error;
  const char *code, *result;
  uint64_t group;
};

void expect_sent(const Json &row, const Sent &sent, std::string_view what) {
  expect_equal(number(row, "signal"), static_cast<uint64_t>(sent.signal), fmt::format("signal of {}", what));
  expect_equal(number(row, "errno"), static_cast<uint64_t>(sent.error), fmt::format("errno of {}", what));
  expect_equal(text(row, "code"), sent.code, fmt::format("code of {}", what));
  expect_equal(text(row, "result"), sent.result, fmt::format("result of {}", what));
  expect_equal(number(row, "group"), sent.group, fmt::format("group of {}", what));
  expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), fmt::format("pid of {}", what));
  expect_equal(number(row, "tid"), static_cast<uint64_t>(gettid()), fmt::format("tid of {}", what));
  expect_equal(number(row, "uid"), 0u, fmt::format("uid of {}", what));
  expect_equal(text(row, "comm"), "wg-sender", fmt::format("comm of {}", what));
}

void signal_each_way() {
  set_name("wg-sender");
  Target target([] {
    block_signals({SIGUSR1, SIGUSR2, SIGRTMIN});
    rlimit none = {0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
  });
  pid_t pid = target.pid();
  int pidfd = static_cast<int>(must(syscall(SYS_pidfd_open, pid, 0), "pidfd_open"));
  Watch watch({"signal"});
  must(kill(pid, SIGUSR1), "kill");
  must(kill(pid, SIGUSR1), "kill");
  must(syscall(SYS_tgkill, pid, pid, SIGUSR2), "tgkill");
  must(kill(pid, SIGWINCH), "kill");
  must(syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, nullptr, 0), "pidfd_send_signal");
  must(kill(pid, 0), "kill");
  // Nothing may be queued for the target: a standard signal goes without its sender
  // then, and a queued one does not go.
  expect(send_queued(pid, SIGRTMIN) < 0 && errno == EAGAIN, "a signal was queued beyond RLIMIT_SIGPENDING");
  must(syscall(SYS_tkill, pid, SIGURG), "tkill");
  Seen seen = watch.stop();
  Sent table[] = {
      {SIGUSR1, 0, "SI_USER", "delivered", 1},
      {SIGUSR1, 0, "SI_USER", "already_pending", 1},
      {SIGUSR2, 0, "SI_TKILL", "lose_info", 0},
      {SIGWINCH, 0, "SI_USER", "ignored", 1},
      {SIGCONT, 0, "SI_USER", "ignored", 1},
      {0, 0, "SI_USER", "checked", 1},
      {SIGRTMIN, EAGAIN, "SI_QUEUE", "overflow_fail", 1},
      {SIGURG, 0, "SI_TKILL", "ignored", 0},
  };
  std::vector<Json> rows = rows_where(seen.rows, "target", pid);
  expect_equal(rows.size(), std::size(table), "rows of signals to the target");
  for (size_t i = 0; i < rows.size(); i++) {
    std::string what = fmt::format("row {}", i);
    expect_sent(rows[i], table[i], what);
    expect_equal(number(rows[i], "target_tid"), static_cast<uint64_t>(pid), "target_tid of " + what);
    bool fired = table[i].signal != 0;
    expect_equal(text(rows[i], "target_comm"), fired ? "wg-target" : "", "target_comm of " + what);
  }
}

void signal_failed() {
  set_name("wg-sender");
  Target target([] {});
  constexpr pid_t kNobody = 0x7ffffff0;
  Watch watch({"signal", "--failed"});
  must(kill(target.pid(), SIGWINCH), "kill");
  expect(kill(kNobody, SIGTERM) < 0 && errno == ESRCH, "kill of nobody");
  expect(kill(target.pid(), 65) < 0 && errno == EINVAL, "kill with signal 65");
  expect(kill(-kNobody, SIGHUP) < 0 && errno == ESRCH, "kill of no group");
  expect(syscall(SYS_tgkill, getpid(), kNobody, SIGUSR1) < 0 && errno == ESRCH, "tgkill of no thread");
  expect(syscall(SYS_tkill, kNobody, SIGUSR2) < 0 && errno == ESRCH, "tkill of no thread");
  expect(send_queued(kNobody, SIGRTMIN) < 0 && errno == ESRCH, "rt_sigqueueinfo of nobody");
  expect(syscall(SYS_pidfd_send_signal, -1, SIGINT, nullptr, 0) < 0 && errno == EBADF, "pidfd_send_signal to nothing");
  pid_t other = start_child([&] {
    if (setresuid(65534, 65534, 65534) != 0) return 1;
    return kill(target.pid(), SIGTERM) < 0 && errno == EPERM ? 0 : 2;
  });
  expect_equal(wait_for(other), 0, "status of a sender who may not");
  Seen seen = watch.stop();
  auto nobody = static_cast<uint64_t>(kNobody), of_target = static_cast<uint64_t>(target.pid());
  struct Table {
    Sent sent;
    uint64_t target, target_tid, target_group;
  } table[] = {
      {{SIGTERM, ESRCH, "SI_USER", "failed", 1}, nobody, nobody, 0},
      {{65, EINVAL, "SI_USER", "failed", 1}, of_target, of_target, 0},
      {{SIGHUP, ESRCH, "SI_USER", "failed", 1}, 0, 0, nobody},
      {{SIGUSR1, ESRCH, "SI_TKILL", "failed", 0}, static_cast<uint64_t>(getpid()), nobody, 0},
      {{SIGUSR2, ESRCH, "SI_TKILL", "failed", 0}, 0, nobody, 0},
      {{SIGRTMIN, ESRCH, "SI_QUEUE", "failed", 1}, nobody, nobody, 0},
      {{SIGINT, EBADF, "SI_USER", "failed", 1}, 0, 0, 0},
  };
  std::vector<Json> rows = rows_where(seen.rows, "pid", getpid());
  expect_equal(rows.size(), std::size(table), "rows of failed calls");
  for (size_t i = 0; i < rows.size(); i++) {
    std::string what = fmt::format("row {}", i);
    expect_sent(rows[i], table[i].sent, what);
    expect_equal(number(rows[i], "target"), table[i].target, "target of " + what);
    expect_equal(number(rows[i], "target_tid"), table[i].target_tid, "target_tid of " + what);
    expect_equal(number(rows[i], "target_group"), table[i].target_group, "target_group of " + what);
    expect_equal(text(rows[i], "target_comm"), "", "target_comm of " + what);
  }
  rows = rows_where(seen.rows, "pid", other);
  expect_equal(rows.size(), size_t{1}, "rows of the sender who may not");
  expect_equal(number(rows[0], "errno"), static_cast<uint64_t>(EPERM), "errno of the sender who may not");
  expect_equal(number(rows[0], "uid"), 65534u, "uid of the sender who may not");
  expect_equal(number(rows[0], "target"), of_target, "target of the sender who may not");
  expect(seen.losses["signal"].filtered > 0, "the signal that was sent is not filtered");
}

void signal_from_the_kernel() {
  Watch watch({"signal"});
  pid_t faulting = start_child([] {
    signal(SIGSEGV, SIG_DFL);
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    volatile uintptr_t nowhere = 16;
    *reinterpret_cast<volatile int *>(nowhere) = 1;
    return 1;
  });
  expect(WTERMSIG(wait_for(faulting)) == SIGSEGV, "a fault did not end its process");
  pid_t timed = start_child([] {
    itimerval soon = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    while (true) pause();
    return 1;
  });
  expect(WTERMSIG(wait_for(timed)) == SIGALRM, "a timer did not end its process");
  pid_t timed_too = start_child([] {
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return 1;
    itimerspec soon = {{0, 0}, {0, 1'000'000}};
    timer_settime(timer, 0, &soon, nullptr);
    while (true) pause();
    return 1;
  });
  expect(WTERMSIG(wait_for(timed_too)) == SIGUSR1, "a POSIX timer did not end its process");
  Seen seen = watch.stop();
  auto one = [&](pid_t target) {
    std::vector<Json> rows = rows_where(seen.rows, "target", target);
    expect_equal(rows.size(), size_t{1}, "rows of signals to one process");
    return rows[0];
  };
  Json fault = one(faulting), timer = one(timed), posix_timer = one(timed_too);
  expect_equal(number(fault, "signal"), static_cast<uint64_t>(SIGSEGV), "signal of a fault");
  expect_equal(number(fault, "pid"), static_cast<uint64_t>(faulting), "sender of a fault");
  expect_equal(text(fault, "code"), "1", "code of a fault (SEGV_MAPERR)");
  expect_equal(number(timer, "signal"), static_cast<uint64_t>(SIGALRM), "signal of setitimer");
  expect_equal(number(timer, "pid"), 0u, "sender of setitimer's signal");
  expect_equal(text(timer, "code"), "SI_KERNEL", "code of setitimer's signal");
  expect_equal(number(posix_timer, "signal"), static_cast<uint64_t>(SIGUSR1), "signal of a POSIX timer");
  expect_equal(number(posix_timer, "pid"), 0u, "sender of a POSIX timer's signal");
  expect_equal(text(posix_timer, "code"), "SI_TIMER", "code of a POSIX timer's signal");
  // The child that ends tells its parent.
  std::vector<Json> told = rows_where(rows_where(seen.rows, "signal", SIGCHLD), "target", getpid());
  expect_equal(told.size(), size_t{3}, "rows of SIGCHLD");
  expect_equal(number(told[0], "pid"), static_cast<uint64_t>(faulting), "sender of SIGCHLD");
}

void signal_counts() {
  uint64_t count = scaled(20000);
  Target target([] {}), other([] {});
  Watch watch({"signal", "--set", fmt::format("target={}", target.pid()), "--set", "signal=winch"});
  for (uint64_t i = 0; i < count; i++) {
    kill(target.pid(), SIGWINCH);
    kill(other.pid(), SIGWINCH);
    kill(target.pid(), SIGURG);
  }
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["signal"], count, "rows");
  for (const Json &row : seen.rows) {
    expect_equal(number(row, "signal"), static_cast<uint64_t>(SIGWINCH), "signal");
    expect_equal(number(row, "target"), static_cast<uint64_t>(target.pid()), "target");
  }
  expect(seen.losses["signal"].filtered + seen.losses["signal"].lost >= 2 * count, "other signals are not filtered");
}

// --- oom -------------------------------------------------------------------------

// A cgroup whose memory is limited, of either version.
class MemoryCgroup {
 public:
  explicit MemoryCgroup(uint64_t bytes) {
    std::string root = cgroup_root(), limit = "memory.max", swap = "memory.swap.max";
    std::string controllers = read_file(root + "/cgroup.controllers");
    if (!root.empty() && controllers.find("memory") != std::string::npos) {
      write_file(root + "/cgroup.subtree_control", "+memory");
    } else {
      root = "/sys/fs/cgroup/memory";
      limit = "memory.limit_in_bytes";
      swap = "memory.memsw.limit_in_bytes";
      if (access((root + "/" + limit).c_str(), F_OK) != 0 && access((root + "/cgroup.procs").c_str(), F_OK) != 0)
        skip_case("no hierarchy of cgroups has the memory controller");
    }
    path_ = fmt::format("{}/waggle-suite-oom-{}", root, getpid());
    if (mkdir(path_.c_str(), 0755) != 0)
      skip_case(fmt::format("cannot make a memory cgroup: {}: {}", path_, strerror(errno)));
    write_file(path_ + "/" + limit, std::to_string(bytes));
    if (access((path_ + "/" + swap).c_str(), F_OK) == 0)
      write_file(path_ + "/" + swap, swap == "memory.swap.max" ? "0" : std::to_string(bytes));
  }
  ~MemoryCgroup() {
    for (int tries = 0; tries < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; tries++) usleep(10000);
  }
  MemoryCgroup(const MemoryCgroup &) = delete;
  MemoryCgroup &operator=(const MemoryCgroup &) = delete;
  void take_self() const { write_file(path_ + "/cgroup.procs", "0"); }

 private:
  std::string path_;
};

char *fill_memory(size_t bytes) {
  auto *memory = static_cast<char *>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
  return memory;
}

// The kernel's own line about a victim; empty where its log cannot be read.
std::string kernel_line_about(pid_t victim) {
  int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return {};
  std::string wanted = fmt::format("Killed process {} ", victim), found;
  char record[8192];
  ssize_t got;
  // EPIPE: records were overwritten, and reading goes on after them.
  while ((got = read(fd, record, sizeof(record))) > 0 || (got < 0 && errno == EPIPE)) {
    std::string_view line(record, got > 0 ? static_cast<size_t>(got) : 0);
    if (line.find(wanted) != std::string_view::npos) found = line;
  }
  close(fd);
  return found;
}

constexpr uint64_t kLimit = 24 << 20;

void oom_victim_by_itself(const char *tool) {
  MemoryCgroup cgroup(kLimit);
  Watch watch({tool}, {"oom"});
  pid_t victim = start_child([&] {
    set_name("wg-glutton");
    cgroup.take_self();
    write_file("/proc/self/oom_score_adj", "321");
    if (setresuid(65534, 65534, 65534) != 0) return 2;
    fill_memory(4 * kLimit);
    return 1;
  });
  int status = wait_for(victim);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, fmt::format("the limit did not kill: {:#x}", status));
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "pid", victim);
  expect_equal(rows.size(), size_t{1}, "rows of the victim");
  const Json &row = rows[0];
  expect_equal(text(row, "comm"), "wg-glutton", "comm");
  expect_equal(number(row, "uid"), 65534u, "uid");
  expect_equal(row["score_adj"].get<int64_t>(), 321, "score_adj");
  expect_equal(number(row, "trigger"), static_cast<uint64_t>(victim), "trigger");
  expect_equal(number(row, "trigger_tid"), static_cast<uint64_t>(victim), "trigger_tid");
  expect_equal(text(row, "trigger_comm"), "wg-glutton", "trigger_comm");
  expect_between(number(row, "anon_rss"), kLimit / 2, kLimit + (4 << 20), "anon_rss");
  expect(number(row, "total_vm") >= 4 * kLimit, "total_vm is less than what was mapped");
  expect_equal(seen.losses["oom"].lost, 0u, "lost");

  std::string line = kernel_line_about(victim);
  if (line.empty()) return note("the kernel's log cannot be read: sizes are not compared with it");
  auto kilobytes = [&](const char *name) {
    size_t at = line.find(name);
    expect(at != std::string::npos, fmt::format("no '{}' in the kernel's line: {}", name, line));
    return strtoull(line.c_str() + at + strlen(name), nullptr, 10) * 1024;
  };
  expect_equal(number(row, "total_vm"), kilobytes("total-vm:"), "total_vm against the kernel's log");
  // Newer kernels add up all CPUs' shares for their log: each has a batch of 64 pages at most.
  uint64_t shares = static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_CONF)) * 64 * 4096;
  for (const char *kind : {"anon", "file", "shmem"}) {
    uint64_t logged = kilobytes(fmt::format("{}-rss:", kind).c_str());
    std::string column = fmt::format("{}_rss", kind);
    expect_between(number(row, column.c_str()), logged - std::min(logged, shares), logged + shares,
                   column + " against the kernel's log");
  }
  expect_equal(number(row, "pgtables"), kilobytes("pgtables:"), "pgtables against the kernel's log");
}

void oom_victim_of_another() {
  MemoryCgroup cgroup(kLimit);
  Watch watch({"oom"});
  Target victim([&] {
    cgroup.take_self();
    write_file("/proc/self/oom_score_adj", "1000");
    fill_memory(kLimit / 2);
  });
  pid_t asking = start_child([&] {
    set_name("wg-asking");
    cgroup.take_self();
    fill_memory(kLimit * 3 / 4);
    return 0;
  });
  int status = wait_for(asking);
  Seen seen = watch.stop();
  // While the victim ends, the kernel no longer counts it among its cgroup but has not
  // all of its memory yet; the one that asks may be next. Then that is a row as well.
  bool died = status != 0;
  if (died)
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, fmt::format("the asking one ended: {:#x}", status));
  expect_equal(rows_where(seen.rows, "pid", asking).size(), size_t{died}, "rows of the one that asked as a victim");
  std::vector<Json> rows = rows_where(seen.rows, "trigger", asking);
  expect_equal(rows.size(), size_t{1} + size_t{died}, "rows that the one that asked caused");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(victim.pid()), "pid");
  expect_equal(text(rows[0], "comm"), "wg-target", "comm");
  expect_equal(text(rows[0], "trigger_comm"), "wg-asking", "trigger_comm");
  expect_equal(number(rows[0], "uid"), 0u, "uid");
  expect_equal(number(rows[0], "score_adj"), 1000u, "score_adj");
  expect_between(number(rows[0], "anon_rss"), kLimit / 2 - (2 << 20), kLimit / 2 + (4 << 20), "anon_rss");
}

}  // namespace

void add_signal_cases(std::vector<Case> &cases) {
  cases.push_back({"signal: each way to send one, and its result", {}, signal_each_way});
  cases.push_back({"signal: calls that fail, with their errno", {}, signal_failed});
  cases.push_back({"signal: of faults, timers and children that end", {}, signal_from_the_kernel});
  cases.push_back({"signal: 60,000 signals, those to one process", {}, signal_counts});
  cases.push_back({"oom: a process that outgrows its cgroup, as the kernel's log has it", {}, [] { oom_victim_by_itself("oomkill"); }});
  cases.push_back({"oom: the same, by the name of trace_oomkill", {}, [] { oom_victim_by_itself("trace_oomkill"); }});
  cases.push_back({"oom: a process that dies for another", {}, oom_victim_of_another});
}

}  // namespace waggle::suite
