// func: a function of the kernel that this process alone calls, so often.

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// The function behind getpriority(2), by the name it has on this kernel.
std::string function_of_getpriority() {
#if defined(__x86_64__)
  return "__x64_sys_getpriority";
#elif defined(__aarch64__)
  return "__arm64_sys_getpriority";
#endif
}

void call_it(uint64_t count) {
  for (uint64_t i = 0; i < count; i++) syscall(SYS_getpriority, PRIO_PROCESS, 0);
}

std::vector<std::string> watching(const std::string &target, std::vector<std::string> more) {
  more.insert(more.begin(), "func:" + target);
  more.insert(more.end(), {"-p", std::to_string(getpid())});
  return more;
}

void func_rows() {
  uint64_t count = scaled(10'000, 1000);
  Watch watch(watching(function_of_getpriority(), {"--view", "stream"}));
  uint64_t began = now_ns();
  call_it(count);
  // A priority is told as 20 - nice; an error as itself.
  expect(syscall(SYS_getpriority, 99, 0) < 0, "getpriority(99)");
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count + 1, "rows of calls");
  uint64_t spent = 0;
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(text(row, "function"), function_of_getpriority(), "function");
    expect_equal(row["result"].get<long>(), i < count ? 20L : -22L, "result");
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect(number(row, "latency") > 0, "a call took no time");
    spent += number(row, "latency");
  }
  expect_between(spent, uint64_t{1}, took, "time in the function, ns");
  expect_equal(seen.losses["func"].lost, 0u, "lost");
}

void func_table() {
  uint64_t count = scaled(10'000, 1000);
  Watch watch(watching(function_of_getpriority(), {"--view", "top"}));
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) threads.emplace_back([count] { call_it(count); });
  for (std::thread &thread : threads) thread.join();
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{1}, "rows of the table");
  expect_equal(seen.losses["func"].delivered, number(seen.rows[0], "count"), "delivered");
  expect_all(number(seen.rows[0], "count"), seen.losses["func"], count * kThreads, "calls of four threads");
}

// A function that is not there, and one that cannot be traced: an error that says so.
void func_errors() {
  Ran ran = run_waggle({"watch", "func:no_such_function_of_any_kernel", "--duration", "100ms"});
  expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) != 0, "a function that does not exist was traced");
  expect(ran.err.starts_with("error: ") && ran.err.find("no_such_function_of_any_kernel") != std::string::npos,
         "the error does not name the function: " + ran.err);
  ran = run_waggle({"watch", "func", "--duration", "100ms"});
  expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) != 0, "'watch func' without a function works");
  expect(ran.err.starts_with("error: ") && ran.err.find("func:") != std::string::npos,
         "the error does not show how to name a function: " + ran.err);
}

// Where functions cannot be traced, the error says what the kernel lacks.
void func_refused() {
  if (lack_of(Need::kFunctions).empty()) skip_case("this kernel can trace functions");
  Ran ran = run_waggle({"watch", "func:vfs_read", "--duration", "100ms"});
  expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) == 1, "status of a sensor that cannot run: " + ran.err);
  expect(ran.err.starts_with("error: ") && ran.err.find("  why: ") != std::string::npos, "no reason: " + ran.err);
  expect(ran.err.find("kprobe") != std::string::npos || ran.err.find("fentry") != std::string::npos,
         "the reason does not name what is missing: " + ran.err);
}

}  // namespace

void add_function_cases(std::vector<Case> &cases) {
  cases.push_back({"func: each call a row, with its result", {Need::kFunctions}, func_rows});
  cases.push_back({"func: the table counts every call", {Need::kFunctions}, func_table});
  cases.push_back({"func: errors name the function", {Need::kFunctions}, func_errors});
  cases.push_back({"func: refused with a reason", {}, func_refused});
}

}  // namespace waggle::suite
