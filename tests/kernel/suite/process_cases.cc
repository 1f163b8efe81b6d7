// exec, fork, exit: every process is a row, and a row tells what wait(2) told.

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::vector<Json> of_parent(const Seen &seen, pid_t parent) {
  return rows_where(seen.rows, "ppid", parent);
}

// --- exec ------------------------------------------------------------------------

void exec_every_program() {
  uint64_t count = scaled(1000);
  std::string path = folder() + "/wg-tiny";
  write_tiny_program(path);
  Watch watch({"exec"});
  std::vector<pid_t> pids;
  uint64_t began = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    pids.push_back(spawn(path, {"wg-tiny", std::to_string(i)}));
    wait_for(pids.back());
  }
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), count, "rows of execs");
  uint64_t last = 0;
  for (uint64_t i = 0; i < count; i++) {
    const Json &row = rows[i];
    expect_equal(number(row, "pid"), static_cast<uint64_t>(pids[i]), "pid");
    expect(all_bytes_of(row["argv"]) == std::vector<std::string>{"wg-tiny", std::to_string(i)}, "argv: " + row.dump());
    expect_equal(text(row, "path"), path, "path");
    expect_equal(text(row, "comm"), "wg-tiny", "comm");
    expect_equal(number(row, "uid"), 0u, "uid");
    expect_equal(number(row, "errno"), 0u, "errno");
    expect_equal(number(row, "args_cut"), 0u, "args_cut");
    expect_between(number(row, "latency"), uint64_t{1}, took, "latency");
    expect(when_ns(row) >= last, "rows are not in the order of time");
    last = when_ns(row);
  }
  expect_equal(seen.losses["exec"].lost, 0u, "lost");
}

void exec_full_speed() {
  uint64_t count = scaled(5000);
  std::string path = folder() + "/wg-tiny";
  write_tiny_program(path);
  Watch watch({"exec"});
  // Nobody waits for anybody: as fast as the kernel can, on two CPUs.
  pid_t halves[2];
  for (uint64_t half = 0; half < 2; half++)
    halves[half] = start_child([&] {
      signal(SIGCHLD, SIG_IGN);
      for (uint64_t i = half; i < count; i += 2) spawn(path, {"wg-tiny", std::to_string(i)});
      // vfork(2) lets the parent go on shortly before exec is done: wait for all of them.
      while (wait(nullptr) > 0 || errno == EINTR) continue;
      return 0;
    });
  for (pid_t half : halves) expect_equal(wait_for(half), 0, "status of the one that starts programs");
  Seen seen = watch.stop();
  std::set<std::string> numbers;
  for (const Json &row : rows_where(seen.rows, "path", path)) numbers.insert(bytes_of(row["argv"][1]));
  expect_equal(rows_where(seen.rows, "path", path).size(), numbers.size(), "rows of different programs");
  expect_all(numbers.size(), seen.losses["exec"], count, "different programs seen");
}

void exec_arguments() {
  std::string path = folder() + "/wg-tiny";
  write_tiny_program(path);
  std::vector<std::string> many = {"many"};
  for (int i = 0; i < 300; i++) many.push_back(std::to_string(i));
  struct Table {
    const char *name;
    std::vector<std::string> argv;
  } table[] = {
      {"one", {"one"}},
      {"empty ones", {"", "", "x", ""}},
      {"one empty", {""}},
      {"quotes", {"a b", "it's", "\"twice\"", "\\", "$HOME", "`x`"}},
      {"control characters", {"tab\there", "line\nbreak", "\x1b[31m", "\x7f", "\x01"}},
      {"UTF-8", {"grüße", "日本語", "🐝"}},
      {"not UTF-8", {"\xff\xfe", "a\x80z", "\xc3", "\xed\xa0\x80"}},
      {"like an escape", {"\\udcff", "\\\\udcff", "\\n"}},
      {"many", many},
      {"4095 bytes and NUL", {std::string(4095, 'x')}},
      {"4096 bytes in all", {"0", std::string(4000, 'y'), std::string(92, 'z')}},
  };
  Watch watch({"exec"});
  for (const Table &each : table) wait_for(spawn(path, each.argv));
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < rows.size(); i++) {
    const std::string where = table[i].name;
    uint64_t bytes = 0;
    for (const std::string &argument : table[i].argv) bytes += argument.size() + 1;
    expect(all_bytes_of(rows[i]["argv"]) == table[i].argv, "argv, " + where + ": " + rows[i]["argv"].dump());
    expect_equal(number(rows[i], "args_bytes"), bytes, "args_bytes, " + where);
    expect_equal(number(rows[i], "args_cut"), 0u, "args_cut, " + where);
  }
}

void exec_long_arguments() {
  std::string path = folder() + "/wg-tiny";
  write_tiny_program(path);
  std::vector<std::vector<std::string>> table = {
      {"0", std::string(4094, 'x')},  // one byte more than there is room for
      {"first", std::string(100000, 'y'), "last"},
  };
  Watch watch({"exec"});
  for (const std::vector<std::string> &argv : table) wait_for(spawn(path, argv));
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), table.size(), "rows");
  for (size_t i = 0; i < rows.size(); i++) {
    std::string all, got;
    for (const std::string &argument : table[i]) all += argument + '\0';
    for (const std::string &argument : all_bytes_of(rows[i]["argv"])) got += argument + '\0';
    expect_equal(number(rows[i], "args_cut"), 1u, "args_cut");
    expect_equal(number(rows[i], "args_bytes"), all.size(), "args_bytes");
    // The last byte of 4096 may be the end of the text or belong to it.
    expect_between(got.size(), size_t{4096}, size_t{4097}, "bytes of argv");
    expect(got.substr(0, 4096) == all.substr(0, 4096), "the first 4096 bytes of argv are not those of the program");
  }
}

void exec_failed() {
  write_file("text", "this is no program\n", 0755);
  write_file("unreadable", "#!/bin/true\n", 0644);
  write_file("orphan", "#!/no/such/interpreter\n", 0755);
  must(symlink("loop", "loop"), "symlink");
  write_tiny_program("works");
  struct Table {
    std::string path;
    int error;
  } table[] = {
      {"missing", ENOENT},     {"unreadable", EACCES}, {"text", ENOEXEC}, {"orphan", ENOENT},
      {"text/below", ENOTDIR}, {"loop", ELOOP},        {".", EACCES},     {"", ENOENT},
  };
  Watch watch({"exec", "--failed"});
  std::vector<std::string> argv = {"wg", "", "\xff it's", "last"};
  std::set<pid_t> pids;
  for (const Table &each : table) expect_equal(spawn_failing(each.path, argv), each.error, "errno of " + each.path);
  uint64_t successes = scaled(50, 10);
  for (uint64_t i = 0; i < successes; i++) wait_for(spawn("works", {"works"}));
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), std::size(table), "rows of failed execs");
  for (size_t i = 0; i < rows.size(); i++) {
    expect_equal(number(rows[i], "errno"), static_cast<uint64_t>(table[i].error), "errno of " + table[i].path);
    expect_equal(text(rows[i], "path"), table[i].path, "path");
    expect(all_bytes_of(rows[i]["argv"]) == argv, "argv: " + rows[i]["argv"].dump());
    expect_equal(number(rows[i], "args_cut"), 0u, "args_cut of " + table[i].path);
    expect(number(rows[i], "latency") > 0, "a failed call took no time");
  }
  expect(seen.losses["exec"].filtered >= successes, "successes are not filtered");
}

void exec_scripts_and_threads() {
  write_tiny_program("interpreter");
  std::string interpreter = folder() + "/interpreter", script = folder() + "/script";
  write_file("script", "#!" + interpreter + " -x\n", 0755);
  write_tiny_program("thread-program");
  Watch watch({"exec"});
  pid_t of_script = spawn(script, {"script", "arg"});
  wait_for(of_script);
  // A thread that is not the first calls exec: the process keeps its id.
  pid_t threaded = start_child([] {
    std::thread other([] {
      char *argv[] = {const_cast<char *>("from a thread"), nullptr};
      execv("thread-program", argv);
    });
    other.join();
    return 1;
  });
  expect_equal(wait_for(threaded), 0, "status of the program a thread started");
  int fd = must(open("thread-program", O_PATH | O_CLOEXEC), "open");
  pid_t by_fd = start_child([&] {
    char *argv[] = {const_cast<char *>("by fd"), nullptr};
    syscall(SYS_execveat, fd, "", argv, nullptr, AT_EMPTY_PATH);
    return 1;
  });
  expect_equal(wait_for(by_fd), 0, "status of execveat");
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), size_t{3}, "rows");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(of_script), "pid of the script");
  expect_equal(text(rows[0], "path"), script, "path of the script");
  expect(all_bytes_of(rows[0]["argv"]) == std::vector<std::string>{interpreter, "-x", script, "arg"},
         "argv of the script: " + rows[0]["argv"].dump());
  expect_equal(number(rows[1], "pid"), static_cast<uint64_t>(threaded), "pid of the threaded process");
  expect(number(rows[1], "latency") > 0, "the call of a thread has no latency");
  expect_equal(number(rows[2], "pid"), static_cast<uint64_t>(by_fd), "pid of execveat");
  expect_equal(number(rows[2], "errno"), 0u, "errno of execveat");
  expect_equal(text(rows[2], "path"), fmt::format("/dev/fd/{}", fd), "path of execveat");
}

// --- fork ------------------------------------------------------------------------

void *nothing(void *) {
  return nullptr;
}

void fork_processes_and_threads() {
  uint64_t processes = scaled(500), threads = scaled(500);
  Watch watch({"fork"});
  std::vector<pid_t> pids;
  for (uint64_t i = 0; i < processes; i++) {
    pids.push_back(start_child([] { return 0; }));
    wait_for(pids.back());
  }
  std::set<uint64_t> tids;
  for (uint64_t i = 0; i < threads; i++) {
    pthread_t thread;
    must(-pthread_create(&thread, nullptr, nothing, nullptr), "pthread_create");
    pthread_join(thread, nullptr);
  }
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  std::vector<Json> forks = rows_where(rows, "thread", 0);
  expect_equal(forks.size(), processes, "rows of processes");
  for (uint64_t i = 0; i < processes; i++) {
    expect_equal(number(forks[i], "pid"), static_cast<uint64_t>(pids[i]), "pid");
    expect_equal(number(forks[i], "tid"), static_cast<uint64_t>(pids[i]), "tid");
    expect_equal(number(forks[i], "creator"), static_cast<uint64_t>(gettid()), "creator");
    expect_equal(number(forks[i], "uid"), 0u, "uid");
  }
  std::vector<Json> of_threads;
  for (const Json &row : rows_where(seen.rows, "pid", getpid()))
    if (number(row, "thread") == 1) of_threads.push_back(row);
  expect_equal(of_threads.size(), threads, "rows of threads");
  for (const Json &row : of_threads) {
    expect_equal(number(row, "ppid"), static_cast<uint64_t>(getppid()), "ppid of a thread's process");
    expect(number(row, "tid") != static_cast<uint64_t>(getpid()), "tid of a thread");
  }
  expect_equal(seen.losses["fork"].lost, 0u, "lost");
}

void fork_processes_only() {
  Watch watch({"fork", "--set", "processes=1", "-p", std::to_string(getpid())});
  for (int i = 0; i < 20; i++) std::thread([] {}).join();
  for (int i = 0; i < 7; i++) wait_for(start_child([] { return 0; }));
  // A child whose parent is ours: the creator is still this process.
  pid_t sibling = static_cast<pid_t>(syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (sibling == 0) _exit(0);
  must(sibling, "clone");
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{8}, "rows");
  expect(seen.losses["fork"].filtered >= 20, "threads are not filtered");
  const Json &last = seen.rows.back();
  expect_equal(number(last, "pid"), static_cast<uint64_t>(sibling), "pid");
  expect_equal(number(last, "ppid"), static_cast<uint64_t>(getppid()), "ppid with CLONE_PARENT");
  expect_equal(number(last, "creator"), static_cast<uint64_t>(getpid()), "creator with CLONE_PARENT");
}

// --- exit ------------------------------------------------------------------------

// As wait(2) says it and as the row says it.
void expect_status(const Json &row, int status, std::string_view what) {
  expect_equal(number(row, "code"), static_cast<uint64_t>(WIFEXITED(status) ? WEXITSTATUS(status) : 0),
               fmt::format("code, {}", what));
  expect_equal(number(row, "signal"), static_cast<uint64_t>(WIFSIGNALED(status) ? WTERMSIG(status) : 0),
               fmt::format("signal, {}", what));
  expect_equal(number(row, "core_dumped"), static_cast<uint64_t>(WIFSIGNALED(status) && WCOREDUMP(status)),
               fmt::format("core_dumped, {}", what));
}

Json exit_row(const Seen &seen, pid_t pid) {
  std::vector<Json> rows = rows_where(seen.rows, "pid", pid);
  expect_equal(rows.size(), size_t{1}, fmt::format("rows of process {}", pid));
  return rows[0];
}

void exit_codes_and_signals() {
  Watch watch({"exit"});
  struct Ended {
    pid_t pid;
    int status;
  };
  std::vector<Ended> ended;
  for (int code : {0, 1, 2, 42, 127, 128, 255}) {
    pid_t pid = start_child([&] { return code; });
    ended.push_back({pid, wait_for(pid)});
  }
  for (int signal_number : {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGRTMIN, SIGSEGV, SIGABRT}) {
    pid_t pid = start_child([&] {
      // A core, where it goes to a file, is small and goes with the case's folder.
      rlimit core = {1 << 26, 1 << 26};
      setrlimit(RLIMIT_CORE, &core);
      signal(signal_number, SIG_DFL);
      raise(signal_number);
      return 99;
    });
    ended.push_back({pid, wait_for(pid)});
  }
  Seen seen = watch.stop();
  for (const Ended &each : ended) {
    Json row = exit_row(seen, each.pid);
    expect_status(row, each.status, fmt::format("status {:#x}", each.status));
    expect_equal(number(row, "ppid"), static_cast<uint64_t>(getpid()), "ppid");
  }
}

void exit_threads() {
  Watch watch({"exit"});
  // exit(2) of the process, called by a thread that is not the first.
  pid_t by_thread = start_child([] {
    set_name("wg-leader");
    std::thread([] {
      set_name("wg-other");
      syscall(SYS_exit_group, 7);
    }).join();
    return 1;
  });
  int by_thread_status = wait_for(by_thread);
  // The first thread goes first; the process lives on and ends with the last one.
  pid_t by_last = start_child([] {
    static pthread_t other;
    pthread_create(
        &other, nullptr,
        [](void *) -> void * {
          usleep(60000);
          syscall(SYS_exit, 0);
          return nullptr;
        },
        nullptr);
    syscall(SYS_exit, 5);
    return 1;
  });
  int by_last_status = wait_for(by_last);
  // All at once.
  pid_t crowd = start_child([] {
    for (int i = 0; i < 32; i++) std::thread([] { pause(); }).detach();
    usleep(20000);
    return 3;
  });
  int crowd_status = wait_for(crowd);
  Seen seen = watch.stop();
  Json row = exit_row(seen, by_thread);
  expect_status(row, by_thread_status, "exit_group of a thread");
  expect_equal(text(row, "comm"), "wg-leader", "comm");
  row = exit_row(seen, by_last);
  expect_status(row, by_last_status, "the last thread");
  expect_between(number(row, "age"), uint64_t{60'000'000}, uint64_t{20'000'000'000}, "age, ns");
  expect_status(exit_row(seen, crowd), crowd_status, "32 threads");
}

void exit_counts_and_memory() {
  uint64_t count = scaled(1000);
  Watch watch({"exit"});
  for (uint64_t i = 0; i < count; i++) wait_for(start_child([&] { return static_cast<int>(i % 256); }));
  uint64_t began = now_ns();
  pid_t large = start_child([] {
    constexpr size_t kBytes = 48 << 20;
    char *memory =
        static_cast<char *>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(memory, 1, kBytes);
    // Memory that was given back counts: it is the largest that is told.
    munmap(memory, kBytes);
    usleep(50000);
    return 0;
  });
  rusage usage = {};
  int status = 0;
  must(wait4(large, &status, 0, &usage), "wait4");
  uint64_t lived = now_ns() - began;
  Seen seen = watch.stop();
  std::vector<Json> rows = of_parent(seen, getpid());
  expect_equal(rows.size(), count + 1, "rows of exits");
  for (uint64_t i = 0; i < count; i++) expect_equal(number(rows[i], "code"), i % 256, "code");
  Json row = exit_row(seen, large);
  expect_equal(number(row, "rss_most"), static_cast<uint64_t>(usage.ru_maxrss) * 1024, "rss_most against wait4(2)");
  expect_between(number(row, "age"), uint64_t{50'000'000}, lived, "age, ns");
  expect_equal(seen.losses["exit"].lost, 0u, "lost");
}

// A process that is gone when its row is shown still has its command line, when
// somebody saw it start.
void short_lives_keep_their_command_line() {
  uint64_t count = scaled(50, 10);
  write_tiny_program("wg-brief");
  Watch watch({"exec", "exit", "--columns", "+pid.cmdline"});
  std::set<uint64_t> pids;
  for (uint64_t i = 0; i < count; i++) {
    pid_t pid = spawn("wg-brief", {"wg-brief", "number " + std::to_string(i)});
    wait_for(pid);
    pids.insert(static_cast<uint64_t>(pid));
  }
  Seen seen = watch.stop();
  uint64_t exits = 0;
  for (const Json &row : rows_where(seen.rows, "sensor", "exit")) {
    if (!pids.count(number(row, "pid"))) continue;
    expect_equal(text(row, "pid.cmdline"), fmt::format("wg-brief 'number {}'", exits), "pid.cmdline of an exit");
    exits++;
  }
  expect_equal(exits, count, "rows of exits");
}

}  // namespace

void add_process_cases(std::vector<Case> &cases) {
  cases.push_back({"exec: 1,000 programs are 1,000 rows", {}, exec_every_program});
  cases.push_back({"exec: 5,000 programs at full speed", {}, exec_full_speed, seconds(60)});
  cases.push_back({"exec: arguments byte for byte", {}, exec_arguments});
  cases.push_back({"exec: arguments longer than 4 KiB", {}, exec_long_arguments});
  cases.push_back({"exec: failed ones, with their errno", {}, exec_failed});
  cases.push_back({"exec: scripts, threads, execveat", {}, exec_scripts_and_threads});
  cases.push_back({"fork: processes and threads", {}, fork_processes_and_threads});
  cases.push_back({"fork: processes only, CLONE_PARENT", {}, fork_processes_only});
  cases.push_back({"exit: codes and signals as wait(2) tells them", {}, exit_codes_and_signals});
  cases.push_back({"exit: one row a process, whichever thread ends it", {}, exit_threads});
  cases.push_back({"exit: 1,000 exits; memory as wait4(2) tells it", {}, exit_counts_and_memory});
  cases.push_back({"exec+exit: short lives keep their command line", {}, short_lives_keep_their_command_line});
}

}  // namespace waggle::suite
