// runq and cpu: who waited for a CPU, and what ran on it, against the scheduler's own
// accounts.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <sstream>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {

// Known by their names in stacks: not inlined, not folded into one.
extern "C" {
__attribute__((noinline, used)) uint64_t suite_spins_innermost(uint64_t rounds) {
  volatile uint64_t sum = 0;
  for (uint64_t i = 0; i < rounds; i++) sum = sum + i;
  return sum;
}
__attribute__((noinline, used)) uint64_t suite_spins_outermost(uint64_t until_ns) {
  uint64_t sum = 0;
  while (now_ns() < until_ns) sum += suite_spins_innermost(200'000);
  return sum;
}
}

namespace {

struct SchedAccount {
  uint64_t ran_ns = 0, waited_ns = 0, slices = 0;
};
// source: Documentation/scheduler/sched-stats.rst
SchedAccount account_of(pid_t pid) {
  SchedAccount account;
  std::istringstream in(read_file(fmt::format("/proc/{}/schedstat", pid)));
  in >> account.ran_ns >> account.waited_ns >> account.slices;
  return account;
}

pid_t start_spinner(int cpu) {
  return start_child([cpu] {
    set_name("wg-spinner");
    pin_to_cpu(0, cpu);
    suite_spins_outermost(now_ns() + 60'000'000'000);
    return 0;
  });
}

void end_spinner(pid_t pid) {
  kill(pid, SIGKILL);
  wait_for(pid);
}

double share(uint64_t part, uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

// Two that never sleep share one CPU: each waits as long as the scheduler says it
// waited, as often as it was switched in.
void runq_two_spinners() {
  int cpu = last_cpu();
  pid_t spinners[2] = {start_spinner(cpu), start_spinner(cpu)};
  usleep(100'000);
  Watch watch({"runq", "--min", "0", "--view", "stream"});
  SchedAccount before[2], after[2];
  for (int i = 0; i < 2; i++) before[i] = account_of(spinners[i]);
  sleep(2);
  for (int i = 0; i < 2; i++) after[i] = account_of(spinners[i]);
  Seen seen = watch.stop();
  for (pid_t each : spinners) end_spinner(each);
  for (int i = 0; i < 2; i++) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", spinners[i]);
    uint64_t slices = after[i].slices - before[i].slices, waited_ns = after[i].waited_ns - before[i].waited_ns;
    // The accounts are read a moment after the sensor starts and before it ends.
    expect_between(static_cast<double>(rows.size()), static_cast<double>(slices) * 0.85 - 4,
                   static_cast<double>(slices) * 1.15 + 40, "waits against time slices of schedstat");
    uint64_t sum = 0, preempted = 0, one_cpu = 0;
    for (const Json &row : rows) {
      sum += number(row, "latency");
      preempted += number(row, "preempted");
      one_cpu += number(row, "cpu") == static_cast<uint64_t>(cpu);
    }
    expect_between(share(sum, waited_ns), 0.9, 1.35, "time waited against schedstat");
    expect_equal(preempted, rows.size(), "waits of a task that never sleeps: preempted ones");
    expect_equal(one_cpu, rows.size(), "waits on the CPU it is pinned to");
  }
  expect_equal(seen.losses["runq"].lost, 0u, "lost");
}

// Of a task that sleeps and wakes, from its birth on, the table has the waits that the
// scheduler has.
void runq_table() {
  uint64_t count = scaled(500, 50);
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  Watch watch({"runq", "--view", "top", "--top", "0", "--set", "by_process=1"});
  pid_t sleeper = start_child([&] {
    set_name("wg-sleeper");
    for (uint64_t i = 0; i < count; i++) usleep(1000);
    uint64_t slices = account_of(getpid()).slices;
    return write(ends[1], &slices, sizeof(slices)) == sizeof(slices) ? 0 : 1;
  });
  expect_equal(wait_for(sleeper), 0, "status of the one that sleeps");
  uint64_t slices = 0;
  must(read(ends[0], &slices, sizeof(slices)), "read");
  Seen seen = watch.stop();
  uint64_t waits = 0;
  for (const Json &row : rows_where(seen.rows, "pid", sleeper)) waits += number(row, "count");
  expect(slices >= count / 2, fmt::format("{} time slices of a task that slept {} times", slices, count));
  // A few more come between reading the account and the end. A virtual machine's kernel
  // (6.18) was seen to wake up to 2 of 501 times without a tracepoint, as bpftrace counts too.
  expect_between(waits, slices - slices / 100, slices + 10, "waits against time slices of schedstat");
  expect_equal(seen.losses["runq"].lost, 0u, "lost");
}

// --- cpu -------------------------------------------------------------------------

constexpr uint64_t kHz = 99;

double cpu_seconds(const rusage &usage) {
  auto of = [](timeval time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

struct Sampled {
  uint64_t samples = 0, with_kernel = 0, with_names = 0;
  double cpu_seconds = 0;
};

// Samples of a child that works for two seconds; `is_named` looks at its frames.
Sampled sample(const std::function<int()> &work, const std::function<bool(const Json &frames)> &is_named) {
  Watch watch({"cpu", "--view", "stream"});
  pid_t child = start_child(work);
  rusage usage = {};
  int status = 0;
  // It stops when its work is done, so that its mappings can still be read.
  must(waitpid(child, &status, WUNTRACED), "waitpid");
  usleep(300'000);
  Seen seen = watch.stop();
  kill(child, SIGKILL);
  must(wait4(child, &status, 0, &usage), "wait4");
  Sampled sampled;
  sampled.cpu_seconds = cpu_seconds(usage);
  for (const Json &row : rows_where(seen.rows, "pid", child)) {
    sampled.samples++;
    const Json &stack = row["stack"];
    sampled.with_kernel += !stack["kernel"].empty();
    sampled.with_names += is_named(stack);
  }
  return sampled;
}

bool has_frame(const Json &frames, std::string_view name) {
  for (const Json &frame : frames)
    if (bytes_of(frame).find(name) != std::string::npos) return true;
  return false;
}

void cpu_user_stacks() {
  Sampled sampled = sample(
      [] {
        suite_spins_outermost(now_ns() + 2'000'000'000);
        raise(SIGSTOP);
        return 0;
      },
      [](const Json &stack) {
        return has_frame(stack["user"], "suite_spins_innermost") && has_frame(stack["user"], "suite_spins_outermost");
      });
  // The timer of a CPU ticks while the task runs: samples are CPU time.
  // By chance they are off by the root of their number; four times that is one in 16,000.
  double expected = sampled.cpu_seconds * kHz, off = expected * 0.05 + 4 * std::sqrt(expected) + 1;
  expect_between(static_cast<double>(sampled.samples), expected - off, expected + off,
                 "samples against CPU seconds x 99");
  expect(static_cast<double>(sampled.with_names) >= static_cast<double>(sampled.samples) * 0.85,
         fmt::format("{} of {} samples name the functions that spin", sampled.with_names, sampled.samples));
  note(fmt::format("{} samples of {:.2f} s", sampled.samples, sampled.cpu_seconds));
}

void cpu_kernel_stacks() {
  int zero = must(open("/dev/zero", O_RDONLY | O_CLOEXEC), "open");
  Sampled sampled = sample(
      [zero] {
        static char block[1 << 20];
        uint64_t end = now_ns() + 2'000'000'000;
        while (now_ns() < end) (void)!read(zero, block, sizeof(block));
        raise(SIGSTOP);
        return 0;
      },
      [](const Json &stack) {
        return has_frame(stack["kernel"], "read_zero") || has_frame(stack["kernel"], "vfs_read");
      });
  expect(sampled.samples > 20, fmt::format("{} samples of {:.2f} s", sampled.samples, sampled.cpu_seconds));
  expect(static_cast<double>(sampled.with_kernel) >= static_cast<double>(sampled.samples) * 0.8,
         fmt::format("{} of {} samples have a kernel stack", sampled.with_kernel, sampled.samples));
  expect(static_cast<double>(sampled.with_names) >= static_cast<double>(sampled.samples) * 0.8,
         fmt::format("{} of {} samples name the read", sampled.with_names, sampled.samples));
}

}  // namespace

void add_sched_cases(std::vector<Case> &cases) {
  cases.push_back({"runq: two spinners wait as schedstat says", {Need::kSchedstat}, runq_two_spinners});
  cases.push_back({"runq: the table has every wait of schedstat", {Need::kSchedstat}, runq_table});
  cases.push_back({"cpu: samples are CPU time, functions have names", {}, cpu_user_stacks});
  cases.push_back({"cpu: stacks of the kernel have names", {}, cpu_kernel_stacks});
}

}  // namespace waggle::suite
