// Probes in user space: functions of this program and of its C library, called so
// often; USDT probes of its own; names looked up, memory kept, lines typed.

#include <fcntl.h>
#include <netdb.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

// Traced by their names: not inlined, not folded into one. Each does something of
// its own behind the calls it makes, which keeps them from being tail calls.
extern "C" {
__attribute__((noinline, used)) long suite_user_adds(long a, long b) {
  asm volatile("" : "+r"(a));
  return a + b;
}
__attribute__((noinline, used)) long suite_user_recurses(long depth) {
  long below = depth <= 1 ? 0 : suite_user_recurses(depth - 1);
  asm volatile("" : "+r"(below));
  return below + 1;
}
__attribute__((noinline, used)) void suite_user_jumps(jmp_buf *back) {
  asm volatile("" : : : "memory");
  longjmp(*back, 1);
}
__attribute__((noinline, used)) long suite_calls_adds(uint64_t count) {
  long sum = 0;
  for (uint64_t i = 0; i < count; i++) sum += suite_user_adds(static_cast<long>(i), -1);
  asm volatile("" : "+r"(sum));
  return sum;
}
__attribute__((noinline, used)) void *suite_malloc_keeps(size_t bytes) {
  void *block = malloc(bytes);
  asm volatile("" : "+r"(block));
  return block;
}
__attribute__((noinline, used)) void suite_malloc_frees(size_t bytes) {
  void *block = calloc(bytes, 1);
  asm volatile("" : "+r"(block));
  block = realloc(block, 2 * bytes);
  asm volatile("" : "+r"(block));
  free(block);
  void *aligned = nullptr;
  if (posix_memalign(&aligned, 64, bytes) == 0) free(aligned);
}

__attribute__((section(".probes"), used)) volatile uint16_t suite_usdt_semaphore = 0;
}

// A USDT probe, written by the description of its notes.
#define SUITE_NOTE(name, semaphore, arguments)                                     \
  "990: nop\n"                                                                     \
  ".pushsection .note.stapsdt,\"\",@note\n.balign 4\n"                             \
  ".4byte 992f-991f, 994f-993f, 3\n"                                               \
  "991: .asciz \"stapsdt\"\n992: .balign 4\n"                                      \
  "993: .8byte 990b, 0, " semaphore "\n.asciz \"suite\"\n.asciz \"" name           \
  "\"\n.asciz \"" arguments "\"\n994: .balign 4\n.popsection\n"

extern "C" {
__attribute__((noinline, used)) void suite_usdt_passes(long number, int negative, const char *word) {
  volatile long in_memory = number * 2;
  asm volatile(SUITE_NOTE("passed", "0", "8@%0 -4@%k1 8@%2 8@%3 4@$77")
               :
               : "r"(number), "r"(negative), "r"(word), "m"(in_memory));
}
__attribute__((noinline, used)) void suite_usdt_prepares(long number) {
  if (suite_usdt_semaphore != 0) asm volatile(SUITE_NOTE("prepared", "suite_usdt_semaphore", "8@%0") : : "r"(number));
}
}

namespace waggle::suite {
namespace {

std::string this_program() {
  char path[4096];
  ssize_t length = must(readlink("/proc/self/exe", path, sizeof(path)), "readlink");
  return {path, static_cast<size_t>(length)};
}

std::string target_of(const std::string &sensor, const std::string &what) {
  return sensor + ":" + this_program() + ":" + what;
}

std::string own_pid() {
  return std::to_string(getpid());
}

void user_rows() {
  uint64_t count = scaled(1000, 1000);
  Watch watch({target_of("user", "suite_user_adds"), "--view", "stream", "--set", "stacks=1", "-p", own_pid()});
  uint64_t began = now_ns();
  suite_calls_adds(count);
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["user"], count, "rows of calls");
  uint64_t spent = 0;
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(text(row, "function"), "suite_user_adds", "function");
    if (seen.rows.size() == count) expect_equal(row["result"].get<long>(), static_cast<long>(i) - 1, "result");
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect_equal(bytes_of(row["stack"]["user"].at(0)), "suite_calls_adds", "who called it");
    spent += number(row, "latency");
  }
  expect_between(spent, uint64_t{1}, took, "time in the function, ns");
}

uint64_t count_of(const Seen &seen, const std::string &function) {
  std::vector<Json> rows = rows_where(seen.rows, "function", function);
  expect_equal(rows.size(), size_t{1}, "rows of " + function);
  return number(rows[0], "count");
}

// Several functions at once, one of which calls itself, in several threads.
void user_table() {
  uint64_t count = scaled(1000, 1000);
  constexpr int kThreads = 4, kDepth = 10;
  Watch watch({target_of("user", "suite_user_*"), "--view", "top", "-p", own_pid()});
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++)
    threads.emplace_back([count] {
      suite_calls_adds(count);
      suite_user_recurses(kDepth);
    });
  for (std::thread &thread : threads) thread.join();
  Seen seen = watch.stop();
  uint64_t adds = count_of(seen, "suite_user_adds"), recursions = count_of(seen, "suite_user_recurses");
  uint64_t all = kThreads * (count + kDepth);
  if (programs_are_preempted()) {
    // Runs that the kernel leaves out there without counting them: up to 6 of 4,040 seen.
    expect_between(adds + recursions, all - all / 100, all, "calls of four threads");
    note(fmt::format("{} of {} calls, {} counted as lost", adds + recursions, all, seen.losses["user"].lost));
    return;
  }
  expect_all(adds + recursions, seen.losses["user"], all, "calls of four threads");
  if (seen.losses["user"].lost == 0) expect_equal(recursions, uint64_t{kThreads * kDepth}, "calls of itself");
  expect_equal(seen.rows.size(), size_t{2}, "functions that were called");
}

// Every process that has the library, not one.
void user_library() {
  uint64_t count = scaled(1000, 1000);
  // Which nobody else calls, and whose calls no compiler leaves out.
  Watch watch({"user:libc:l64a", "--view", "top", "--by", "pid,function"});
  pid_t child = start_child([count] {
    for (uint64_t i = 0; i < count; i++)
      if (l64a(64) == nullptr) return 1;
    return 0;
  });
  expect_equal(wait_for(child), 0, "status of the child");
  for (uint64_t i = 0; i < count; i++) expect(l64a(64) != nullptr, "l64a");
  Seen seen = watch.stop();
  expect_all(seen.losses["user"].delivered, seen.losses["user"], 2 * count, "calls in two processes");
  for (pid_t pid : {child, getpid()}) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", pid);
    expect_equal(rows.size(), size_t{1}, "rows of a process");
    expect_equal(text(rows[0], "function"), "l64a", "function");
  }
}

__attribute__((noinline)) void jump_often(long count) {
  jmp_buf back;
  volatile long left = count;
  while (left > 0) {
    left = left - 1;
    if (setjmp(back) == 0) suite_user_jumps(&back);
  }
}

void user_never_returns() {
  Watch watch({target_of("user", "suite_user_*"), "--view", "top", "-p", own_pid()});
  constexpr long kJumps = 5;
  jump_often(kJumps);
  // Called from further out than the last one that did not return.
  for (long i = 0; i < 3; i++) expect_equal(suite_user_adds(i, 1), i + 1, "sum");
  Seen seen = watch.stop();
  expect_equal(count_of(seen, "suite_user_adds"), 3u, "calls that returned");
  expect_equal(seen.rows.size(), size_t{1}, "functions that returned");
  expect_equal(seen.losses["user"].lost, uint64_t{kJumps}, "calls that did not return");
}

void user_entries() {
  uint64_t count = scaled(1000, 1000);
  Watch watch({target_of("user", "suite_user_*"), "--view", "top", "--set", "returns=0", "-p", own_pid()});
  jmp_buf back;
  if (setjmp(back) == 0) suite_user_jumps(&back);
  suite_calls_adds(count);
  Seen seen = watch.stop();
  expect_equal(count_of(seen, "suite_user_jumps"), 1u, "a call that does not return");
  expect_equal(count_of(seen, "suite_user_adds"), count, "calls");
  expect(seen.err.find("uretprobe") == std::string::npos, "returns are traced: " + seen.err);
}

void user_errors() {
  struct Wrong {
    std::vector<std::string> arguments;
    std::string_view words;
  };
  const Wrong wrongs[] = {
      {{target_of("user", "suite_user_addz")}, "did you mean 'suite_user_adds'?"},
      {{"user:libc:no_such_function_of_any_library"}, "no function 'no_such_function_of_any_library' in /"},
      {{"user:no_such_library_anywhere:f"}, "no library or program 'no_such_library_anywhere'"},
      {{"user:/no/such/file:f"}, "/no/such/file"},
      {{"user:libc:strlen"}, "IFUNC"},
      {{"user:libc:_setjmp"}, "--set returns=0"},
      {{"user:libc"}, "FILE:NAME"},
      {{"user"}, "user:libc:getaddrinfo"},
      {{target_of("usdt", "suite:pased")}, "did you mean 'suite:passed'?"},
      {{"usdt:/bin/true:any"}, "it was built without USDT probes"},
  };
  for (const Wrong &wrong : wrongs) {
    std::vector<std::string> arguments = wrong.arguments;
    arguments.insert(arguments.begin(), "watch");
    arguments.insert(arguments.end(), {"--duration", "10ms"});
    Ran ran = run_waggle(arguments);
    expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) != 0, arguments[1] + " was traced: " + ran.err);
    expect(ran.err.starts_with("error: ") && ran.err.find(wrong.words) != std::string::npos,
           fmt::format("the error of {} does not say '{}': {}", arguments[1], wrong.words, ran.err));
  }
}

void user_lists() {
  Ran ran = run_waggle({"list", "probes", target_of("user", "suite_user_*")});
  std::string prefix = target_of("user", "suite_user_");
  expect_equal(ran.out, fmt::format("{0}adds\n{0}jumps\n{0}recurses\n", prefix), "functions listed");
  ran = run_waggle({"list", "probes", target_of("usdt", "suite:*")});
  prefix = target_of("usdt", "suite:");
  expect_equal(ran.out, fmt::format("{0}passed\n{0}prepared\n", prefix), "USDT probes listed");
  ran = run_waggle({"list", "probes", "user:libc:gethostbynam?"});
  expect_equal(ran.out, "user:libc:gethostbyname\n", "functions of a library");
}

void usdt_rows() {
  uint64_t count = scaled(1000, 1000);
  Watch watch({target_of("usdt", "suite:*"), "--view", "stream", "--set", "text=3", "-p", own_pid()});
  for (uint64_t i = 0; i < count; i++) suite_usdt_passes(static_cast<long>(i), -static_cast<int>(i), "a word");
  // It is passed only while somebody listens.
  suite_usdt_prepares(5);
  expect_equal(static_cast<int>(suite_usdt_semaphore), 1, "listeners");
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["usdt"], count + 1, "rows");
  std::vector<Json> passed = rows_where(seen.rows, "probe", "suite:passed");
  if (seen.rows.size() == count + 1) expect_equal(passed.size(), count, "passes");
  for (const Json &row : passed) {
    auto i = row["arg0"].get<long>();
    expect_equal(row["arg1"].get<long>(), -i, "a negative number of 32 bits");
    expect_equal(text(row, "text"), "a word", "text");
    expect_equal(row["arg3"].get<long>(), 2 * i, "a number in memory");
    expect_equal(row["arg4"].get<long>(), 77L, "a constant");
    expect_equal(row["arg5"].get<long>(), 0L, "no argument");
  }
  std::vector<Json> prepared = rows_where(seen.rows, "probe", "suite:prepared");
  expect_equal(prepared.size(), size_t{1}, "passes of a probe with a semaphore");
  expect_equal(prepared[0]["arg0"].get<long>(), 5L, "its argument");
  // The programs are detached by a child that outlives waggle.
  for (int tries = 0; suite_usdt_semaphore != 0 && tries < 20'000; tries++) usleep(1000);
  expect_equal(static_cast<int>(suite_usdt_semaphore), 0, "listeners afterwards");
}

void usdt_table() {
  uint64_t count = scaled(1000, 1000);
  Watch watch({target_of("usdt", "passed"), "--view", "top"});
  for (uint64_t i = 0; i < count; i++) suite_usdt_passes(1, 2, "");
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{1}, "rows of the table");
  expect_equal(text(seen.rows[0], "probe"), "suite:passed", "probe");
  expect_all(number(seen.rows[0], "count"), seen.losses["usdt"], count, "passes");
}

void hostname_rows() {
  uint64_t count = scaled(100, 100);
  set_name("suite-resolves");
  Watch watch({"hostname", "-p", own_pid()});
  addrinfo numeric = {};
  numeric.ai_flags = AI_NUMERICHOST;
  addrinfo *found = nullptr;
  for (uint64_t i = 0; i < count; i++) {
    std::string host = fmt::format("127.0.0.{}", i % 250);
    expect_equal(getaddrinfo(host.c_str(), nullptr, &numeric, &found), 0, "getaddrinfo");
    freeaddrinfo(found);
  }
  expect_equal(getaddrinfo("no-number", nullptr, &numeric, &found), EAI_NONAME, "getaddrinfo of a name");
  expect_equal(getaddrinfo(nullptr, "80", nullptr, &found), 0, "getaddrinfo of this host");
  freeaddrinfo(found);
  expect(gethostbyname("127.0.0.1") != nullptr, "gethostbyname");
  expect(gethostbyname2("127.0.0.2", AF_INET) != nullptr, "gethostbyname2");
  expect(gethostbyname2("::1", AF_INET) == nullptr, "gethostbyname2 of another family");
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["hostname"], count + 5, "lookups");
  if (seen.rows.size() != count + 5) return;
  struct Expected {
    std::string host, function, error;
  };
  std::vector<Expected> expected;
  for (uint64_t i = 0; i < count; i++) expected.push_back({fmt::format("127.0.0.{}", i % 250), "getaddrinfo", ""});
  expected.push_back({"no-number", "getaddrinfo", "EAI_NONAME"});
  expected.push_back({"", "getaddrinfo", ""});
  expected.push_back({"127.0.0.1", "gethostbyname", ""});
  expected.push_back({"127.0.0.2", "gethostbyname2", ""});
  expected.push_back({"::1", "gethostbyname2", "not found"});
  for (size_t i = 0; i < expected.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(text(row, "host"), expected[i].host, "host");
    expect_equal(text(row, "function"), expected[i].function, "function");
    expect_equal(text(row, "error"), expected[i].error, "error of " + expected[i].host);
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect_equal(text(row, "comm"), "suite-resolves", "comm");
    expect(number(row, "latency") > 0, "a lookup took no time");
  }
}

// Filters in the kernel, and a library named in place of the C library.
void hostname_failed() {
  Watch watch({"hostname:libc.so.6", "--failed"});
  addrinfo numeric = {};
  numeric.ai_flags = AI_NUMERICHOST;
  addrinfo *found = nullptr;
  for (int i = 0; i < 10; i++) {
    expect_equal(getaddrinfo("127.0.0.1", nullptr, &numeric, &found), 0, "getaddrinfo");
    freeaddrinfo(found);
    expect_equal(getaddrinfo("x", nullptr, &numeric, &found), EAI_NONAME, "getaddrinfo of a name");
  }
  Seen seen = watch.stop();
  std::vector<Json> own = rows_where(seen.rows, "pid", getpid());
  expect_equal(own.size(), size_t{10}, "lookups that failed");
  expect(seen.losses["hostname"].filtered >= 10, "those that were answered are not filtered");
}

// A process that does as it is told, once, and then does nothing.
class Worker {
 public:
  explicit Worker(const std::function<void()> &work) {
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), "socketpair");
    pid_ = start_child([&] {
      char word = 0;
      if (read(ends_[1], &word, 1) != 1) return 1;
      work();
      if (write(ends_[1], &word, 1) != 1) return 1;
      return read(ends_[1], &word, 1) == 0 ? 0 : 1;
    });
  }
  ~Worker() {
    kill(pid_, SIGKILL);
    wait_for(pid_);
    close(ends_[0]);
    close(ends_[1]);
  }
  pid_t pid() const { return pid_; }
  void work() {
    char word = 1;
    expect(write(ends_[0], &word, 1) == 1 && read(ends_[0], &word, 1) == 1, "the worker does not answer");
  }

 private:
  pid_t pid_ = -1;
  int ends_[2];
};

constexpr uint64_t kKept = 100, kFreed = 200, kBytes = 4096;
void keep_and_free() {
  for (uint64_t i = 0; i < kKept; i++) suite_malloc_keeps(kBytes);
  for (uint64_t i = 0; i < kFreed; i++) suite_malloc_frees(kBytes);
  free(nullptr);
}

void malloc_stacks() {
  Worker worker(keep_and_free);
  Watch watch({"malloc", "-p", std::to_string(worker.pid()), "--view", "stacks", "--by", "pid"});
  worker.work();
  Seen seen = watch.stop();
  // calloc, realloc (which frees as well), free, posix_memalign, free
  expect_all(seen.losses["malloc"].delivered, seen.losses["malloc"], kKept + 6 * kFreed, "allocations and frees");
  expect_equal(seen.rows.size(), size_t{1}, "stacks that hold memory");
  const Json &row = seen.rows[0];
  expect_equal(bytes_of(row["frames"].at(0)), "suite_malloc_keeps", "who allocated");
  expect_equal(number(row, "bytes"), kKept * kBytes, "bytes held");
  expect_equal(number(row, "count"), kKept, "blocks held");
}

void malloc_filters() {
  Worker worker(keep_and_free);
  Watch watch({"malloc:libc.so.6", "-p", std::to_string(worker.pid()), "--view", "stacks", "--by", "pid", "--set",
               fmt::format("min_size={}", kBytes + 1)});
  worker.work();
  Seen seen = watch.stop();
  // Of each round only what realloc made of it is large enough.
  expect_equal(seen.losses["malloc"].delivered, 2 * kFreed, "large allocations and their frees");
  expect_equal(seen.losses["malloc"].filtered, kKept + 2 * kFreed, "small allocations");
  expect_equal(seen.rows.size(), size_t{0}, "stacks that hold memory");
}

// A shell on a terminal of its own.
class Shell {
 public:
  Shell() {
    pid_ = must(forkpty(&terminal_, nullptr, nullptr, nullptr), "forkpty");
    if (pid_ != 0) return;
    setenv("TERM", "dumb", 1);
    setenv("PS1", "$ ", 1);
    unsetenv("HISTFILE");
    execlp("bash", "bash", "--norc", "--noprofile", "-i", nullptr);
    _exit(127);
  }
  ~Shell() {
    kill(pid_, SIGKILL);
    wait_for(pid_);
    close(terminal_);
  }
  pid_t pid() const { return pid_; }
  void type(std::string_view keys) {
    expect_equal(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()), "write");
  }
  // Reads until the terminal shows these words.
  void wait_for_words(std::string_view words) {
    while (shown_.find(words) == std::string::npos) {
      char block[4096];
      ssize_t got = must(read(terminal_, block, sizeof(block)), "read of the terminal");
      expect(got > 0, "the shell ended");
      shown_.append(block, static_cast<size_t>(got));
    }
    shown_.clear();
  }

 private:
  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string shown_;
};

void readline_rows() {
  if (access("/bin/bash", X_OK) != 0) skip_case("there is no bash");
  Watch watch({"readline"});
  Shell shell;
  shell.wait_for_words("$ ");
  // The answer differs from what is typed, which the terminal shows as well.
  std::vector<std::string> lines = {"echo a$((40 + 2))z", "", "# gr\xc3\xbc\xc3\x9f" "e", "echo b$((40 + 2))z"};
  shell.type(lines[0] + "\n");
  shell.wait_for_words("a42z");
  for (size_t i = 1; i < lines.size(); i++) shell.type(lines[i] + "\n");
  shell.wait_for_words("b42z");
  Seen seen = watch.stop();
  std::vector<Json> own = rows_where(seen.rows, "pid", shell.pid());
  expect_equal(own.size(), lines.size(), "lines");
  for (size_t i = 0; i < own.size(); i++) {
    expect_equal(text(own[i], "line"), lines[i], "line");
    expect_equal(text(own[i], "comm"), "bash", "comm");
    expect_equal(number(own[i], "uid"), 0u, "uid");
  }
}

}  // namespace

void add_user_cases(std::vector<Case> &cases) {
  cases.push_back({"user: each call a row, with its result and its caller", {}, user_rows});
  cases.push_back({"user: a pattern's functions, counted one by one", {}, user_table});
  cases.push_back({"user: a function of a library, in every process", {}, user_library});
  cases.push_back({"user: a call that never returns is lost", {}, user_never_returns});
  cases.push_back({"user: without returns a row is a call", {}, user_entries});
  cases.push_back({"user: errors say what is missing", {}, user_errors});
  cases.push_back({"user: what can be traced is listed", {}, user_lists});
  cases.push_back({"usdt: each pass a row, with its arguments", {}, usdt_rows});
  cases.push_back({"usdt: the table counts every pass", {}, usdt_table});
  cases.push_back({"hostname: each lookup a row", {}, hostname_rows});
  cases.push_back({"hostname: only lookups that failed", {}, hostname_failed});
  cases.push_back({"malloc: what is held, by who allocated it", {}, malloc_stacks});
  cases.push_back({"malloc: only large allocations", {}, malloc_filters});
  cases.push_back({"readline: each line typed into bash", {}, readline_rows});
}

}  // namespace waggle::suite
