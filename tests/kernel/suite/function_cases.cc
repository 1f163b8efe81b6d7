// func and call: functions of the kernel that this process alone calls, so often.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
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

// `target` of the sensor func, or "call:FUNCTION".
std::vector<std::string> watching(const std::string &target, std::vector<std::string> more) {
  more.insert(more.begin(), target.find(':') == std::string::npos ? "func:" + target : target);
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

// Arguments by the names the kernel gives them, and the text that one points to.
void call_rows() {
  uint64_t count = scaled(2000, 200);
  int null = must(open("/dev/null", O_WRONLY), "open /dev/null");
  Watch watch(watching("call:ksys_write", {"--view", "stream", "--set", "text=2"}));
  for (uint64_t i = 0; i < count; i++) {
    std::string written = fmt::format("line {}", i);
    expect(write(null, written.c_str(), written.size()) == static_cast<ssize_t>(written.size()), "write");
  }
  Seen seen = watch.stop();
  expect_equal(seen.losses["call"].lost, 0u, "lost");
  uint64_t found = 0;
  for (const Json &row : seen.rows) {
    expect_equal(text(row, "function"), "ksys_write", "function");
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
    const Json &arguments = row["arguments"];
    expect_equal(arguments.size(), size_t{3}, "arguments of ksys_write");
    if (arguments["fd"] != null) continue;
    std::string written = fmt::format("line {}", found);
    expect_equal(text(row, "text"), written, "text");
    expect_equal(number(arguments, "count"), written.size(), "count");
    expect(text(arguments, "buf").starts_with("0x"), "buf is no address: " + row.dump());
    expect(row["stack"]["kernel"].empty(), "a stack that nobody asked for: " + row.dump());
    found++;
  }
  expect_equal(found, count, "rows of writes");
}

void call_table() {
  uint64_t count = scaled(10'000, 1000);
  Watch watch(watching("call:" + function_of_getpriority(), {"--view", "top"}));
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) threads.emplace_back([count] { call_it(count); });
  for (std::thread &thread : threads) thread.join();
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{1}, "rows of the table");
  expect_equal(text(seen.rows[0], "function"), function_of_getpriority(), "function");
  expect_all(number(seen.rows[0], "calls"), seen.losses["call"], count * kThreads, "calls of four threads");
}

// The same system call from another place of the program.
__attribute__((noinline)) long getpriority_from_here() {
#if defined(__x86_64__)
  long result;
  register long fourth __asm__("r10") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result), "+r"(fourth)
                   : "a"(SYS_getpriority), "D"(PRIO_PROCESS), "S"(0)
                   : "rcx", "r11", "memory");
  return result;
#else
  return syscall(SYS_getpriority, PRIO_PROCESS, 0);
#endif
}

// Each way to the function is a stack that begins with it, counted in the kernel.
void call_stacks() {
  uint64_t count = scaled(2000, 200);
  Watch watch(watching("call:" + function_of_getpriority(), {"--view", "stacks"}));
  call_it(count);
  for (uint64_t i = 0; i < 2 * count; i++) getpriority_from_here();
  Seen seen = watch.stop();
  uint64_t calls = 0;
  std::set<uint64_t> counts;
  for (const Json &row : seen.rows) {
    const Json &frames = row["frames"];
    expect(!frames.empty() && frames[0] == function_of_getpriority() + "_[k]",
           "the stack does not begin with the function: " + row.dump());
    expect(row.dump().find("do_syscall_64") != std::string::npos, "no system call in the stack: " + row.dump());
    expect(!frames.back().get<std::string>().ends_with("_[k]"), "no frame of the program: " + row.dump());
    calls += number(row, "count");
    counts.insert(number(row, "count"));
  }
  expect_all(calls, seen.losses["call"], 3 * count, "calls of all stacks");
  if (!programs_are_preempted()) {
    expect_equal(seen.rows.size(), size_t{2}, "stacks");
    expect(counts == std::set<uint64_t>{count, 2 * count}, "the counts of the stacks: " + seen.out);
  }
}

// The same as rows.
void call_stack_rows() {
  Watch watch(watching("call:" + function_of_getpriority(), {"--view", "stream", "--set", "stacks=1"}));
  call_it(100);
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["call"], 100, "rows of calls");
  for (const Json &row : seen.rows) {
    expect(row["stack"]["kernel"].size() > 1, "no stack of the kernel: " + row.dump());
    expect_equal(row["stack"]["kernel"][0].get<std::string>(), function_of_getpriority() + "_[k]", "innermost frame");
    expect(!row["stack"]["user"].empty(), "no stack of the program: " + row.dump());
  }
}

// A pattern is many functions, each with a row of its own.
void call_pattern() {
  uint64_t count = scaled(2000, 200);
  std::string pattern = function_of_getpriority();
  pattern.replace(pattern.find("getpriority"), std::string::npos, "get*id");
  Watch watch(watching("call:" + pattern, {"--view", "top"}));
  for (uint64_t i = 0; i < count; i++) {
    syscall(SYS_getsid, 0);
    if (i % 2 == 0) syscall(SYS_getpgid, 0);
  }
  Seen seen = watch.stop();
  for (auto [name, expected] : {std::pair("getsid", count), std::pair("getpgid", (count + 1) / 2)}) {
    std::string function = function_of_getpriority();
    function.replace(function.find("getpriority"), std::string::npos, name);
    std::vector<Json> rows = rows_where(seen.rows, "function", function);
    expect_equal(rows.size(), size_t{1}, "rows of " + function);
    expect_all(number(rows[0], "calls"), seen.losses["call"], expected, function);
  }
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

// --- tracepoints -------------------------------------------------------------------

// Events of tracepoints that each child makes, and the tools that take
// one of them. Kernels before 5.15 do not tell a program which it was.
void tracepoint_events() {
  uint64_t count = scaled(200, 20);
  // A process of its own: starting the watches takes forks too.
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe2");
  pid_t worker = start_child([&] {
    set_name("wg-forks");
    char word;
    if (read(ends[0], &word, 1) != 1) return 1;
    for (uint64_t i = 0; i < count; i++) wait_for(start_child([] { return 0; }));
    return 0;
  });
  std::string own = std::to_string(worker);
  Watch rows_watch({"tracepoint:sched:sched_process_fork", "--view", "stream", "-p", own});
  Watch table_watch({"tracepoint:sched:sched_process_*", "--view", "top", "--top", "0", "--set", "by_process=1",
                     "-p", own});
  Watch trace({"trace", "-p", own, "t:sched:sched_process_fork"}, {"tracepoint"});
  Watch stackcount({"stackcount", "-K", "-p", own, "t:sched:sched_process_fork"}, {"tracepoint"});
  must(write(ends[1], "x", 1), "write");
  expect_equal(wait_for(worker), 0, "status of the one that forks");
  Seen rows = rows_watch.stop(), table = table_watch.stop(), traced = trace.stop(), stacks = stackcount.stop();
  auto lost = [](Seen &seen) { return Losses{0, 0, 0, seen.losses["tracepoint"].lost}; };
  expect_all(rows.rows.size(), lost(rows), count, "rows of forks");
  for (const Json &row : rows.rows) {
    expect_equal(text(row, "tracepoint"), "sched:sched_process_fork", "tracepoint");
    expect_equal(number(row, "tid"), static_cast<uint64_t>(worker), "tid");
    expect_equal(text(row, "comm"), "wg-forks", "comm");
    expect(row["stack"]["kernel"].empty(), "a stack that was not asked for");
  }
  expect_all(traced.rows.size(), lost(traced), count, "rows of trace");
  uint64_t by_stack = 0;
  for (const Json &row : stacks.rows)
    if (row["frames"].dump().find("clone") != std::string::npos) by_stack += number(row, "count");
  expect_all(by_stack, lost(stacks), count, "events of stackcount below clone(2)");
  std::vector<Json> forks;
  for (const Json &row : table.rows)
    if (text(row, "tracepoint").find("sched_process_fork") != std::string::npos) forks.push_back(row);
  expect_equal(forks.size(), size_t{1}, "rows of forks in the table");
  expect_equal(number(forks[0], "pid"), static_cast<uint64_t>(worker), "pid");
  if (text(forks[0], "tracepoint").find(" or ") != std::string::npos) {
    // Each is waited for as well, once or twice: with WNOHANG or not.
    expect(number(forks[0], "events") >= 2 * count, "events of all of them");
    return note("the kernel does not tell which tracepoint it was: a row has the names of all");
  }
  // Tasks are freed in interrupts, which may come while a program runs: those events,
  // or forks of the others while one runs, are lost and counted.
  uint64_t missing = std::min(table.losses["tracepoint"].lost, count);
  expect_between(number(forks[0], "events"), count - missing, count, "forks");
  std::vector<Json> waits = rows_where(table.rows, "tracepoint", "sched:sched_process_wait");
  expect_equal(waits.size(), size_t{1}, "rows of waits");
  expect(number(waits[0], "events") >= count, "fewer waits than children");
}

void tracepoint_errors() {
  struct {
    std::vector<std::string> arguments;
    const char *told;
  } table[] = {
      {{"watch", "tracepoint:sched:no_such_event"}, "no tracepoint of this kernel matches"},
      {{"watch", "tracepoint"}, "tracepoint:sched:sched_process_fork"},
      {{"funccount", "t:sched:sched_switch"}, "waggle watch tracepoint:sched:sched_switch --view top"},
  };
  for (auto &[arguments, told] : table) {
    arguments.insert(arguments.end(), {"--duration", "100ms"});
    Ran ran = run_waggle(arguments);
    expect(ran.status != 0 && ran.err.find(told) != std::string::npos, "the error does not help: " + ran.err);
  }
}

}  // namespace

void add_function_cases(std::vector<Case> &cases) {
  cases.push_back({"tracepoint: each event a row, by name and by stack", {}, tracepoint_events, seconds(60)});
  cases.push_back({"tracepoint: errors say what is missing", {}, tracepoint_errors});
  cases.push_back({"func: each call a row, with its result", {Need::kFunctions}, func_rows});
  cases.push_back({"func: the table counts every call", {Need::kFunctions}, func_table});
  cases.push_back({"call: arguments by name, text", {Need::kFunctions}, call_rows});
  cases.push_back({"call: the table counts every call", {Need::kFunctions}, call_table});
  cases.push_back({"call: stacks are counted apart", {Need::kFunctions}, call_stacks});
  cases.push_back({"call: rows with stacks", {Need::kFunctions}, call_stack_rows});
  cases.push_back({"call: a pattern, each function a row", {Need::kFunctions}, call_pattern, seconds(60)});
  cases.push_back({"func: errors name the function", {Need::kFunctions}, func_errors});
  cases.push_back({"func: refused with a reason", {}, func_refused});
}

}  // namespace waggle::suite
