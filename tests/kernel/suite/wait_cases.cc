// offcpu, oncpu, wakeup, runqlen, futex and lock: who waited, where, how long and
// how often, of waits that a case makes itself.

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sstream>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// Without a function of libc between: those have no frame pointers.
__attribute__((always_inline)) inline long call_kernel(long number, const volatile void *a, long b, long c,
                                                       const void *d) {
  long result;
  register const void *fourth asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace

// Known by their names in stacks: not inlined, not folded into one, and with a
// variable each, as gcc makes no frame for a function that has none and calls none.
extern "C" {
__attribute__((noinline, used)) long suite_sleeps_innermost(const timespec *time) {
  volatile long number = SYS_nanosleep;
  return call_kernel(number, time, 0, 0, nullptr);
}
__attribute__((noinline, used)) long suite_sleeps_outermost(uint64_t times, uint64_t each_ns) {
  timespec time = {static_cast<time_t>(each_ns / 1'000'000'000), static_cast<long>(each_ns % 1'000'000'000)};
  long failed = 0;
  for (uint64_t i = 0; i < times; i++) failed += suite_sleeps_innermost(&time) != 0;
  return failed;
}
__attribute__((noinline, used)) long suite_waits_innermost(const volatile uint32_t *word, uint32_t value,
                                                           const timespec *time) {
  volatile long number = SYS_futex;
  return call_kernel(number, word, FUTEX_WAIT_PRIVATE, value, time);
}
__attribute__((noinline, used)) long suite_waits_outermost(const volatile uint32_t *word, uint64_t times,
                                                           uint32_t value, const timespec *time, long result) {
  long others = 0;
  for (uint64_t i = 0; i < times; i++) others += suite_waits_innermost(word, value, time) != result;
  return others;
}
}

namespace {

bool has_frame(const Json &frames, std::string_view name) {
  for (const Json &frame : frames)
    if (bytes_of(frame).find(name) != std::string::npos) return true;
  return false;
}

// Of stacks that were added up: those with a frame.
struct Summed {
  uint64_t count = 0, time = 0;
};
Summed sum_of(const std::vector<Json> &rows, const char *time, std::string_view frame) {
  Summed sum;
  for (const Json &row : rows) {
    if (!has_frame(row["frames"], frame)) continue;
    sum.count += number(row, "count");
    sum.time += number(row, time);
  }
  return sum;
}

// A child whose work begins when it is told; it stops afterwards, so that its
// mappings can still be read.
class Worker {
 public:
  Worker(const char *name, const std::function<long()> &work) {
    must(pipe2(start_, O_CLOEXEC), "pipe");
    pid_ = start_child([&] {
      set_name(name);
      char go;
      if (read(start_[0], &go, 1) != 1) return 1;
      if (work() != 0) return 1;
      raise(SIGSTOP);
      return 0;
    });
  }
  ~Worker() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker &) = delete;
  Worker &operator=(const Worker &) = delete;

  void run() {
    begin();
    int status = 0;
    must(waitpid(pid_, &status, WUNTRACED), "waitpid");
    expect(WIFSTOPPED(status), "the work of the child failed");
  }
  void begin() { must(write(start_[1], "", 1), "write"); }
  pid_t pid() const { return pid_; }

 private:
  int start_[2];
  pid_t pid_ = -1;
};

// --- offcpu ----------------------------------------------------------------------

constexpr uint64_t kSleep_ns = 50'000'000;

// The timer of a sleep starts before the task leaves its CPU, and an emulated CPU may
// stand still between the two.
uint64_t least_away_ns() {
  return settings().scale > 1 ? kSleep_ns / 2 : kSleep_ns * 9 / 10;
}

void offcpu_stacks() {
  uint64_t count = scaled(20, 10);
  Worker sleeper("wg-sleeps", [count] { return suite_sleeps_outermost(count, kSleep_ns); });
  Watch watch({"offcpu", "--comm", "wg-sleeps", "--view", "stacks", "--by", "comm,state", "--top", "0"});
  uint64_t began = now_ns();
  sleeper.run();
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  std::vector<Json> asleep = rows_where(rows_where(seen.rows, "comm", "wg-sleeps"), "state", "sleeping");
  for (const char *frame : {"suite_sleeps_innermost", "suite_sleeps_outermost", "nanosleep"}) {
    Summed sum = sum_of(asleep, "latency", frame);
    expect_equal(sum.count, count, fmt::format("sleeps with {}", frame));
    expect_between(sum.time, count * least_away_ns(), took, fmt::format("ns asleep with {}", frame));
  }
  expect_equal(seen.losses["offcpu"].lost, 0u, "lost");
}

void offcpu_rows() {
  uint64_t count = scaled(20, 10);
  Worker sleeper("wg-sleeps", [count] { return suite_sleeps_outermost(count, kSleep_ns); });
  Watch watch({"offcpu", "--min", "30ms", "--set", "state=1"});
  sleeper.run();
  Seen seen = watch.stop();
  uint64_t sleeps = 0;
  for (const Json &row : seen.rows) {
    expect(number(row, "latency") >= 30'000'000, "a row is shorter than --min");
    expect(number(row, "delay") <= number(row, "latency"), "a task waited longer for a CPU than it was away");
    expect_equal(text(row, "state"), "sleeping", "state");
    if (number(row, "pid") != static_cast<uint64_t>(sleeper.pid())) continue;
    if (!has_frame(row["stack"]["user"], "suite_sleeps_innermost")) continue;
    sleeps++;
    expect(number(row, "latency") >= least_away_ns(), "a sleep is shorter than it was asked to be");
    expect(number(row, "delay") > 0, "a sleeper needed no time to get a CPU");
    expect(has_frame(row["stack"]["kernel"], "nanosleep"), "the kernel's stack does not name the sleep");
  }
  expect_equal(sleeps, count, "rows of sleeps");
  expect_equal(seen.losses["offcpu"].lost, 0u, "lost");
}

// source: Documentation/scheduler/sched-stats.rst
struct SchedAccount {
  uint64_t ran_ns = 0, waited_ns = 0, slices = 0;
};
SchedAccount account_of(pid_t pid) {
  SchedAccount account;
  std::istringstream in(read_file(fmt::format("/proc/{}/schedstat", pid)));
  in >> account.ran_ns >> account.waited_ns >> account.slices;
  return account;
}

// Children that never sleep, on one CPU.
class Spinners {
 public:
  Spinners(size_t count, int cpu) {
    for (size_t i = 0; i < count; i++)
      pids_.push_back(start_child([cpu] {
        set_name("wg-spins");
        pin_to_cpu(0, cpu);
        while (true) asm volatile("");
        return 0;
      }));
    // Each has had the CPU when it has its name and has waited.
    for (pid_t pid : pids_)
      while (account_of(pid).slices < 3) usleep(10'000);
  }
  ~Spinners() {
    for (pid_t pid : pids_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }
  Spinners(const Spinners &) = delete;
  Spinners &operator=(const Spinners &) = delete;
  const std::vector<pid_t> &pids() const { return pids_; }
  std::vector<SchedAccount> accounts() const {
    std::vector<SchedAccount> all;
    for (pid_t pid : pids_) all.push_back(account_of(pid));
    return all;
  }

 private:
  std::vector<pid_t> pids_;
};

// A count that began before the first account was read and ended after the second.
void expect_account(double seen, double account, double slack, std::string_view what) {
  expect_between(seen, account * 0.85 - slack, account * 1.15 + slack, what);
}

// Two that never sleep share a CPU: each is away as long as the scheduler says that
// it waited, and could run all the time.
void offcpu_put_aside() {
  Spinners spinners(2, last_cpu());
  Watch watch({"offcpu", "--comm", "wg-spins", "--view", "top", "--by", "pid,state", "--top", "0"});
  std::vector<SchedAccount> before = spinners.accounts();
  sleep(2);
  std::vector<SchedAccount> after = spinners.accounts();
  Seen seen = watch.stop();
  for (size_t i = 0; i < 2; i++) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", spinners.pids()[i]);
    expect_equal(rows.size(), size_t{1}, "states in which a spinner left");
    expect_equal(text(rows[0], "state"), "running", "state");
    auto count = static_cast<double>(number(rows[0], "count"));
    expect_account(count, static_cast<double>(after[i].slices - before[i].slices), 20, "absences against schedstat");
    expect_account(count * static_cast<double>(number(rows[0], "latency_avg")) / 1e6,
                   static_cast<double>(after[i].waited_ns - before[i].waited_ns) / 1e6, 100,
                   "ms off the CPU against schedstat");
  }
  expect_equal(seen.losses["offcpu"].lost, 0u, "lost");
}

// --- oncpu, runqlen --------------------------------------------------------------

void oncpu_spinners() {
  Spinners spinners(2, last_cpu());
  Watch watch({"oncpu", "--view", "top", "--by", "pid", "--top", "0"});
  std::vector<SchedAccount> before = spinners.accounts();
  sleep(2);
  std::vector<SchedAccount> after = spinners.accounts();
  Seen seen = watch.stop();
  for (size_t i = 0; i < 2; i++) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", spinners.pids()[i]);
    expect_equal(rows.size(), size_t{1}, "rows of a spinner");
    auto count = static_cast<double>(number(rows[0], "count"));
    expect_account(count, static_cast<double>(after[i].slices - before[i].slices), 20, "slices against schedstat");
    expect_account(count * static_cast<double>(number(rows[0], "slice_avg")) / 1e6,
                   static_cast<double>(after[i].ran_ns - before[i].ran_ns) / 1e6, 100,
                   "ms on the CPU against schedstat");
  }
  expect_equal(seen.losses["oncpu"].lost, 0u, "lost");
}

void oncpu_sleeper() {
  uint64_t count = scaled(200, 50), slices = 0;
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  Worker sleeper("wg-naps", [&] {
    uint64_t before = account_of(getpid()).slices;
    long failed = suite_sleeps_outermost(count, 1'000'000);
    uint64_t ran = account_of(getpid()).slices - before;
    return failed != 0 || write(ends[1], &ran, sizeof(ran)) != sizeof(ran) ? 1L : 0L;
  });
  Watch watch({"oncpu", "--view", "top", "--by", "comm"});
  sleeper.run();
  must(read(ends[0], &slices, sizeof(slices)), "read");
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "comm", "wg-naps");
  expect_equal(rows.size(), size_t{1}, "rows of one name");
  // A nap is none when its time is over before the task has left the CPU.
  expect(slices >= count / 2, fmt::format("{} slices of a task that slept {} times", slices, count));
  // A few more come before and after the accounts are read. A virtual machine's kernel was
  // seen to switch without a tracepoint, as in "runq: the table has every wait of schedstat".
  expect_between(number(rows[0], "count"), slices - slices / 100, slices + 10, "slices against schedstat");
}

void runqlen_spinners() {
  int cpu = last_cpu();
  constexpr size_t kSpinners = 4;
  Spinners spinners(kSpinners, cpu);
  Watch watch({"runqlen", "--view", "top", "--by", "cpu,waiting", "--top", "0"});
  sleep(2);
  Seen seen = watch.stop();
  uint64_t samples = 0, long_enough = 0;
  for (const Json &row : rows_where(seen.rows, "cpu", cpu)) {
    samples += number(row, "samples");
    if (number(row, "waiting") >= kSpinners - 1) long_enough += number(row, "samples");
  }
  expect(samples >= 20, fmt::format("{} samples in 2 s", samples));
  expect(long_enough * 100 >= samples * 95,
         fmt::format("{} of {} samples of a CPU with {} spinners see the others wait", long_enough, samples, kSpinners));
}

// --- wakeup ----------------------------------------------------------------------

// 'S' of /proc/PID/stat, behind the name.
char state_of(const std::string &stat_path) {
  std::string stat = read_file(stat_path);
  size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? '?' : stat[end + 2];
}

// And a while longer: the state is set a moment before the task leaves its CPU.
bool wait_for_state(const std::string &stat_path, char state) {
  for (int tries = 0; tries < 5000; tries++) {
    if (state_of(stat_path) == state) {
      usleep(20'000);
      return true;
    }
    usleep(1000);
  }
  return false;
}

void wakeup_by_pipe() {
  uint64_t count = scaled(20, 10);
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  Worker sleeper("wg-sleeps", [&] {
    char byte;
    for (uint64_t i = 0; i < count; i++)
      if (read(ends[0], &byte, 1) != 1) return 1;
    return 0;
  });
  std::string stat = fmt::format("/proc/{}/stat", sleeper.pid());
  Worker waker("wg-wakes", [&] {
    for (uint64_t i = 0; i < count; i++)
      if (!wait_for_state(stat, 'S') || write(ends[1], "", 1) != 1) return 1;
    return 0;
  });
  Watch watch({"wakeup", "--view", "stacks", "--by", "comm,pid,target_comm,target_pid", "--top", "0"});
  sleeper.begin();
  waker.run();
  int status = 0;
  must(waitpid(sleeper.pid(), &status, WUNTRACED), "waitpid");
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(rows_where(seen.rows, "comm", "wg-wakes"), "target_comm", "wg-sleeps");
  Summed sum = sum_of(rows, "slept", "pipe_write");
  expect_equal(sum.count, count, "wake-ups by a write into the pipe");
  expect(sum.time >= count * 20'000'000, "the sleeper slept for less than the waker waited");
  for (const Json &row : rows) expect_equal(text(row, "target_pid"), std::to_string(sleeper.pid()), "who was woken");
  expect_equal(seen.losses["wakeup"].lost, 0u, "lost");
}

// --- futex -----------------------------------------------------------------------

constexpr long kFutexWait_ns = 20'000'000;
volatile uint32_t futex_word = 7;

// Some that end with the time, and some that are turned away.
long wait_at_futex(uint64_t count, uint64_t refused) {
  timespec time = {0, kFutexWait_ns};
  return suite_waits_outermost(&futex_word, count, 7, &time, -ETIMEDOUT) +
         suite_waits_outermost(&futex_word, refused, 8, &time, -EAGAIN);
}

void futex_rows() {
  uint64_t count = scaled(20, 10), refused = 5;
  Worker waiter("wg-waits", [=] { return wait_at_futex(count, refused); });
  Watch watch({"futex", "--min", "0", "--comm", "wg-waits"});
  waiter.run();
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count + refused, "rows of waits");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(number(row, "pid"), static_cast<uint64_t>(waiter.pid()), "pid");
    expect_equal(text(row, "op"), "FUTEX_WAIT", "op");
    expect_equal(text(row, "address"), fmt::format("{:#x}", reinterpret_cast<uintptr_t>(&futex_word)), "address");
    expect_equal(number(row, "errno"), i < count ? uint64_t{ETIMEDOUT} : uint64_t{EAGAIN}, "errno");
    expect(i >= count || number(row, "latency") >= kFutexWait_ns, "a wait is shorter than its time");
    expect(has_frame(row["stack"]["user"], "suite_waits_innermost"), "the stack does not name the wait");
    expect(has_frame(row["stack"]["user"], "suite_waits_outermost"), "the stack does not name the caller");
  }
  expect_equal(seen.losses["futex"].lost, 0u, "lost");
}

void futex_stacks() {
  uint64_t count = scaled(20, 10), refused = 5;
  Worker waiter("wg-waits", [=] { return wait_at_futex(count, refused); });
  Watch watch({"futex", "--comm", "wg-waits", "--view", "stacks", "--by", "comm,address", "--top", "0"});
  uint64_t began = now_ns();
  waiter.run();
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  Summed sum = sum_of(seen.rows, "latency", "suite_waits_innermost");
  expect_equal(sum.count, count + refused, "waits");
  expect_between(sum.time, count * kFutexWait_ns, took, "ns of waits");
  expect_equal(seen.losses["futex"].delivered, count + refused, "delivered");
}

// --- lock ------------------------------------------------------------------------

// A page that nobody has touched: whoever does sleeps until it is given one.
class MissingPage {
 public:
  MissingPage() {
    fd_ = must(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)), "userfaultfd");
    uffdio_api api = {};
    api.api = UFFD_API;
    must(ioctl(fd_, UFFDIO_API, &api), "UFFDIO_API");
    page_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(page_ != MAP_FAILED, "mmap");
    uffdio_register range = {};
    range.range = {reinterpret_cast<uintptr_t>(page_), kBytes};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    must(ioctl(fd_, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
  }
  ~MissingPage() {
    munmap(page_, kBytes);
    close(fd_);
  }
  MissingPage(const MissingPage &) = delete;
  MissingPage &operator=(const MissingPage &) = delete;

  const void *address() const { return page_; }
  void wait_until_touched() {
    uffd_msg message = {};
    must(read(fd_, &message, sizeof(message)), "read of the userfaultfd");
    expect_equal(int{message.event}, UFFD_EVENT_PAGEFAULT, "event of the userfaultfd");
  }
  void give() {
    uffdio_zeropage zero = {};
    zero.range = {reinterpret_cast<uintptr_t>(page_), kBytes};
    must(ioctl(fd_, UFFDIO_ZEROPAGE, &zero), "UFFDIO_ZEROPAGE");
  }

 private:
  static constexpr size_t kBytes = 4096;
  int fd_ = -1;
  void *page_ = nullptr;
};

// A writer holds the mutex of a pipe while it copies from the missing page; a
// reader wants the mutex meanwhile.
void wait_for_pipe_mutex(std::atomic<pid_t> &waiter_tid) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  MissingPage page;
  std::thread writer([&] { must(write(ends[1], page.address(), 1), "write"); });
  page.wait_until_touched();
  waiter_tid = 0;
  std::thread reader([&] {
    set_name("wg-lock");
    waiter_tid = static_cast<pid_t>(syscall(SYS_gettid));
    char byte;
    must(read(ends[0], &byte, 1), "read");
  });
  while (waiter_tid == 0) usleep(1000);
  expect(wait_for_state(fmt::format("/proc/self/task/{}/stat", waiter_tid.load()), 'D'), "nobody waits for the mutex");
  page.give();
  reader.join();
  writer.join();
  close(ends[0]);
  close(ends[1]);
}

// A program that waits for a lock of its own map is not run again inside itself: that
// wait is lost, and counted.
void expect_waits(uint64_t waits, const Losses &losses, uint64_t all) {
  expect_between(waits, all - std::min(all, losses.lost), all, "waits for the mutex of a pipe");
  if (losses.lost > 0) note(fmt::format("{} lost", losses.lost));
}

void lock_rows() {
  uint64_t count = scaled(20, 10);
  std::atomic<pid_t> tid{0};
  Watch watch({"lock", "--min", "10ms"});
  for (uint64_t i = 0; i < count; i++) wait_for_pipe_mutex(tid);
  Seen seen = watch.stop();
  uint64_t waits = 0;
  for (const Json &row : rows_where(seen.rows, "pid", getpid())) {
    if (text(row, "comm") != "wg-lock" || !has_frame(row["stack"]["kernel"], "pipe_read")) continue;
    waits++;
    expect_equal(text(row, "kind"), "mutex", "kind of lock");
    expect(number(row, "latency") >= 20'000'000, "a wait is shorter than the mutex was held");
    expect_equal(number(row, "errno"), 0u, "errno");
  }
  expect_waits(waits, seen.losses["lock"], count);
}

void lock_stacks() {
  uint64_t count = scaled(20, 10);
  std::atomic<pid_t> tid{0};
  Watch watch({"lock", "--comm", "wg-lock", "--view", "stacks", "--by", "comm,kind", "--top", "0"});
  for (uint64_t i = 0; i < count; i++) wait_for_pipe_mutex(tid);
  Seen seen = watch.stop();
  Summed sum = sum_of(rows_where(seen.rows, "kind", "mutex"), "latency", "pipe_read");
  expect_waits(sum.count, seen.losses["lock"], count);
  expect(sum.time >= sum.count * 20'000'000, "waits are shorter than the mutex was held");
}

void lock_refused() {
  if (lack_of(Need::kContention).empty()) skip_case("this kernel tells of contention");
  Ran ran = run_waggle({"watch", "lock", "--duration", "100ms"});
  expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) == 1, "status of a sensor that cannot run: " + ran.err);
  expect(ran.err.find("contention_") != std::string::npos && ran.err.find("added in 5.19") != std::string::npos,
         "the reason does not name what is missing: " + ran.err);
}

}  // namespace

void add_wait_cases(std::vector<Case> &cases) {
  cases.push_back({"offcpu: sleeps by stack, counted and timed", {}, offcpu_stacks});
  cases.push_back({"offcpu: each long sleep a row", {}, offcpu_rows});
  cases.push_back({"offcpu: what is put aside could run", {Need::kSchedstat}, offcpu_put_aside});
  cases.push_back({"oncpu: two spinners run as schedstat says", {Need::kSchedstat}, oncpu_spinners});
  cases.push_back({"oncpu: the table has every slice of schedstat", {Need::kSchedstat}, oncpu_sleeper});
  cases.push_back({"runqlen: spinners on one CPU wait there", {Need::kSchedstat}, runqlen_spinners});
  cases.push_back({"wakeup: a writer wakes a reader, so often", {}, wakeup_by_pipe});
  cases.push_back({"futex: each wait a row, with its end", {}, futex_rows});
  cases.push_back({"futex: waits by stack, counted and timed", {}, futex_stacks});
  cases.push_back({"lock: each wait for a mutex a row", {Need::kContention}, lock_rows});
  cases.push_back({"lock: waits by stack, counted and timed", {Need::kContention}, lock_stacks});
  cases.push_back({"lock: refused with a reason", {}, lock_refused});
}

}  // namespace waggle::suite
