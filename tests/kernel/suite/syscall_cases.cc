// syscall, stat, sync, shm: calls of known number, as the kernel returned from them.

#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::vector<std::string> for_this_process(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-p", std::to_string(getpid())});
  return arguments;
}

Json table_row(const Seen &seen, const char *name) {
  std::vector<Json> rows = rows_where(seen.rows, "syscall", name);
  expect_equal(rows.size(), size_t{1}, fmt::format("rows of {}", name));
  return rows[0];
}

// --- syscall -----------------------------------------------------------------------

void syscall_counts() {
  uint64_t count = scaled(100'000, 5000), failing = scaled(10'000, 500);
  constexpr int kThreads = 4;
  Watch watch(for_this_process({"syscall", "--view", "top", "--top", "0"}));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++)
    threads.emplace_back([&] {
      for (uint64_t n = 0; n < count; n++) syscall(SYS_getppid);
      for (uint64_t n = 0; n < failing; n++) syscall(SYS_getpriority, 99, 0);
    });
  for (std::thread &thread : threads) thread.join();
  Seen seen = watch.stop();
  Json good = table_row(seen, "getppid"), bad = table_row(seen, "getpriority");
  const Losses &losses = seen.losses["syscall"];
  expect_all(number(good, "calls") + number(bad, "calls"), losses, (count + failing) * kThreads, "calls");
  expect_equal(number(good, "errors"), 0u, "errors of getppid");
  expect_equal(number(bad, "errors"), number(bad, "calls"), "errors of getpriority");
  expect_equal(number(good, "pid"), 0u, "pid in rows that are not by process");
}

void syscall_by_process() {
  uint64_t count = scaled(20'000, 1000);
  Watch watch({"syscall", "--view", "top", "--top", "0", "--set", "by_process=1", "--set", "syscall=getppid"});
  pid_t children[2];
  for (uint64_t i = 0; i < 2; i++)
    children[i] = start_child([&] {
      set_name(i == 0 ? "wg-first" : "wg-second");
      for (uint64_t n = 0; n < count * (i + 1); n++) syscall(SYS_getppid);
      return 0;
    });
  for (pid_t child : children) wait_for(child);
  Seen seen = watch.stop();
  uint64_t counted = 0;
  for (uint64_t i = 0; i < 2; i++) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", children[i]);
    expect_equal(rows.size(), size_t{1}, "rows of a process");
    expect_equal(text(rows[0], "comm"), i == 0 ? "wg-first" : "wg-second", "comm");
    counted += number(rows[0], "calls");
  }
  for (const Json &row : seen.rows) expect_equal(text(row, "syscall"), "getppid", "the only call");
  expect_all(counted, seen.losses["syscall"], 3 * count, "calls of both");
}

void syscall_slow_rows() {
  Watch watch(for_this_process({"syscall", "--view", "stream", "--set", "syscall=clock_nanosleep"}));
  std::vector<uint64_t> sleeps = {30'000'000, 1000, 60'000'000, 1000, 1000};
  for (uint64_t ns : sleeps) {
    timespec time = {0, static_cast<long>(ns)};
    must(-clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr), "clock_nanosleep");
  }
  timespec wrong = {0, -1};
  expect_equal(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, nullptr), EINVAL, "clock_nanosleep of less than nothing");
  Seen seen = watch.stop();
  expect(seen.losses["syscall"].produced >= sleeps.size() + 1, "calls that are not counted");
  // Emulated, a short sleep may be a long one.
  std::vector<Json> rows;
  for (const Json &row : seen.rows) {
    expect(number(row, "latency") >= 10'000'000, "a fast call is a row");
    if (number(row, "latency") >= 30'000'000) rows.push_back(row);
  }
  expect(rows.size() >= 2, "a slow call is no row");
  for (const Json &row : rows) {
    expect_equal(text(row, "syscall"), "clock_nanosleep", "syscall");
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect_equal(number(row, "tid"), static_cast<uint64_t>(gettid()), "tid");
    expect_equal(number(row, "errno"), 0u, "errno");
    expect_equal(number(row, "result"), 0u, "result");
  }
}

void syscall_failed_rows() {
  Watch watch(for_this_process({"syscall", "--failed"}));
  struct Table {
    const char *name;
    int error;
  } table[] = {{"getpriority", EINVAL}, {"dup", EBADF}, {"chdir", ENOENT}, {"munmap", EINVAL}};
  syscall(SYS_getpriority, 99, 0);
  syscall(SYS_getppid);
  syscall(SYS_dup, -1);
  syscall(SYS_chdir, "no such folder");
  syscall(SYS_munmap, 1, 1);
  Seen seen = watch.stop();
  size_t at = 0;
  for (const Json &row : seen.rows) {
    expect(number(row, "errno") > 0, "a call that succeeded is a row: " + row.dump());
    if (at == std::size(table) || text(row, "syscall") != table[at].name) continue;
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[at].error),
                 fmt::format("errno of {}", table[at].name));
    expect_equal(row["result"].get<int64_t>(), -table[at].error, fmt::format("result of {}", table[at].name));
    at++;
  }
  expect_equal(at, std::size(table), "failed calls seen, in their order");
}

// The register of the result holds something else after a signal's handler.
void syscall_signal_handlers() {
  uint64_t count = scaled(2000, 100);
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  Watch watch(for_this_process({"syscall", "--view", "top", "--top", "0", "--set", "syscall=rt_sigreturn"}));
  for (uint64_t i = 0; i < count; i++) raise(SIGUSR1);
  Seen seen = watch.stop();
  Json row = table_row(seen, "rt_sigreturn");
  expect_all(number(row, "calls"), seen.losses["syscall"], count, "returns from handlers");
  expect_equal(number(row, "errors"), 0u, "errors of rt_sigreturn");
}

// int 0x80 makes the calls of 32-bit programs: 20 is getpid there, and writev here.
void syscall_32_bit() {
#if defined(__x86_64__)
  constexpr uint64_t kCalls = 50;
  Watch watch({"syscall", "--view", "top", "--top", "0", "--set", "by_process=1"});
  pid_t child = start_child([] {
    for (uint64_t i = 0; i < kCalls; i++) {
      long result = 20;
      asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
      if (result != getpid()) return 1;
    }
    return 0;
  });
  int status = wait_for(child);
  Seen seen = watch.stop();
  if (WIFSIGNALED(status)) skip_case("this kernel does not run 32-bit calls (IA32_EMULATION)");
  expect_equal(status, 0, "status of the one that makes 32-bit calls");
  std::vector<Json> rows = rows_where(rows_where(seen.rows, "pid", child), "syscall", "32788");
  expect_equal(rows.size(), size_t{1}, "rows of 32-bit getpid");
  expect_all(number(rows[0], "calls"), seen.losses["syscall"], kCalls, "calls of 32-bit getpid");
  expect(rows_where(rows_where(seen.rows, "pid", child), "syscall", "writev").empty(), "a 32-bit getpid is a writev");
#else
  skip_case("x86-64 only");
#endif
}

void parameters_by_name() {
  struct Table {
    const char *sensor, *setting;
    bool works;
    const char *told;
  } table[] = {
      {"syscall", "syscall=getppid", true, ""},
      {"syscall", "syscall=110", true, ""},
      {"syscall", "syscall=getpidd", false, "getpidd"},
      {"syscall", "syscall=-2", false, "-2"},
      {"capability", "capability=-1", true, ""},
      {"ptrace", "request=-1", true, ""},
      {"signal", "signal=term", true, ""},
      {"signal", "signal=SIGNOTHING", false, "SIGNOTHING"},
  };
  for (const Table &each : table) {
    Ran ran = run_waggle({"watch", each.sensor, "--set", each.setting, "--duration", "50ms", "--json"});
    bool worked = WIFEXITED(ran.status) && WEXITSTATUS(ran.status) == 0;
    expect_equal(worked, each.works, fmt::format("whether {} works: {}", each.setting, ran.err));
    expect(ran.err.find(each.told) != std::string::npos, "the error does not name the value: " + ran.err);
  }
  // -1 is any of them, and undoes what was said before.
  Watch one({"syscall", "-p", std::to_string(getpid()), "--view", "top", "--set", "syscall=getppid"});
  Watch any({"syscall", "-p", std::to_string(getpid()), "--view", "top", "--top", "0", "--set", "syscall=getppid",
             "--set", "syscall=-1"});
  getppid();
  getuid();
  Seen seen_one = one.stop(), seen_any = any.stop();
  expect_equal(seen_one.rows.size(), size_t{1}, "rows of one call");
  expect_equal(rows_where(seen_any.rows, "syscall", "getuid").size(), size_t{1}, "rows of another call");
}

// --- stat ------------------------------------------------------------------------

void stat_every_call() {
  write_file("file", "x");
  must(symlink("file", "link"), "symlink");
  struct stat status;
  struct statx more;
  struct statfs filesystem;
  Watch watch(for_this_process({"stat"}));
  auto ok = [](long result) { expect(result == 0, fmt::format("stat: {}", strerror(errno))); };
  ok(syscall(SYS_stat, "file", &status));
  ok(syscall(SYS_lstat, "link", &status));
  ok(syscall(SYS_newfstatat, AT_FDCWD, "file", &status, 0));
  ok(syscall(SYS_statx, AT_FDCWD, "link", 0, STATX_ALL, &more));
  ok(syscall(SYS_access, "file", R_OK));
  ok(syscall(SYS_faccessat, AT_FDCWD, "file", W_OK));
  ok(syscall(439 /* faccessat2 */, AT_FDCWD, "file", F_OK, 0));
  ok(syscall(SYS_statfs, "/", &filesystem));
  syscall(SYS_newfstatat, AT_FDCWD, "missing", &status, 0);
  syscall(SYS_statx, AT_FDCWD, "file/below", 0, STATX_ALL, &more);
  // A descriptor, not a path.
  ok(syscall(SYS_newfstatat, 0, "", &status, AT_EMPTY_PATH));
  syscall(SYS_newfstatat, AT_FDCWD, "", &status, 0);
  Seen seen = watch.stop();
  struct Table {
    const char *call, *path;
    int error;
  } table[] = {
      {"stat", "file", 0},
      {"lstat", "link", 0},
      {"newfstatat", "file", 0},
      {"statx", "link", 0},
      {"access", "file", 0},
      {"faccessat", "file", 0},
      {"faccessat2", "file", 0},
      {"statfs", "/", 0},
      {"newfstatat", "missing", ENOENT},
      {"statx", "file/below", ENOTDIR},
      {"newfstatat", "", ENOENT},
  };
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(text(row, "call"), table[i].call, fmt::format("call of row {}", i));
    expect_equal(text(row, "path"), table[i].path, fmt::format("path of row {}", i));
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), fmt::format("errno of row {}", i));
    expect_equal(number(row, "tid"), static_cast<uint64_t>(gettid()), "tid");
    expect(number(row, "latency") > 0, "a call took no time");
  }
}

void stat_full_speed() {
  uint64_t count = scaled(100'000, 2000);
  struct stat status;
  Watch watch(for_this_process({"stat", "--failed"}));
  for (uint64_t i = 0; i < count; i++) {
    syscall(SYS_stat, "missing", &status);
    syscall(SYS_stat, ".", &status);
  }
  Seen seen = watch.stop_unparsed();
  const Losses &losses = seen.losses["stat"];
  expect_equal(losses.delivered, count, "calls that failed");
  expect(losses.filtered >= count, "calls that succeeded are not filtered");
  expect_equal(losses.lost, 0u, "lost");
}

// --- sync ------------------------------------------------------------------------

void sync_every_call() {
  int fd = must(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "open");
  must(ftruncate(fd, 4096), "ftruncate");
  void *memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Watch watch(for_this_process({"sync"}));
  fsync(fd);
  fdatasync(fd);
  syncfs(fd);
  sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE);
  msync(memory, 4096, MS_SYNC);
  fsync(-1);
  fdatasync(999);
  Seen seen = watch.stop();
  struct Table {
    const char *call;
    int64_t fd;
    int error;
  } table[] = {
      {"fsync", fd, 0}, {"fdatasync", fd, 0}, {"syncfs", fd, 0},         {"sync_file_range", fd, 0},
      {"msync", -1, 0}, {"fsync", -1, EBADF}, {"fdatasync", 999, EBADF},
  };
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    expect_equal(text(row, "call"), table[i].call, fmt::format("call of row {}", i));
    expect_equal(row["fd"].get<int64_t>(), table[i].fd, fmt::format("fd of row {}", i));
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), fmt::format("errno of row {}", i));
    expect(number(row, "latency") > 0, "a call took no time");
  }
}

// --- shm -------------------------------------------------------------------------

void shm_every_call() {
  Watch watch(for_this_process({"shm"}));
  int id = must(shmget(IPC_PRIVATE, 12345, IPC_CREAT | 0600), "shmget");
  void *at = shmat(id, nullptr, SHM_RDONLY);
  expect(at != reinterpret_cast<void *>(-1), "shmat");
  must(shmdt(at), "shmdt");
  must(shmctl(id, IPC_RMID, nullptr), "shmctl");
  expect(shmget(0x77670001, 1, 0) < 0 && errno == ENOENT, "shmget of what is not there");
  expect(shmat(-5, nullptr, 0) == reinterpret_cast<void *>(-1) && errno == EINVAL, "shmat of nothing");
  expect(shmdt(reinterpret_cast<void *>(0x1000)) < 0 && errno == EINVAL, "shmdt of nothing");
  Seen seen = watch.stop();
  auto address = reinterpret_cast<uint64_t>(at);
  struct Table {
    const char *call;
    int error;
    int64_t id, key, command;
    uint64_t flags, bytes, address;
  } table[] = {
      {"shmget", 0, id, 0, 0, IPC_CREAT | 0600, 12345, 0},
      {"shmat", 0, id, 0, 0, SHM_RDONLY, 0, address},
      {"shmdt", 0, -1, 0, 0, 0, 0, address},
      {"shmctl", 0, id, 0, IPC_RMID, 0, 0, 0},
      {"shmget", ENOENT, -1, 0x77670001, 0, 0, 1, 0},
      {"shmat", EINVAL, -5, 0, 0, 0, 0, 0},
      {"shmdt", EINVAL, -1, 0, 0, 0, 0, 0x1000},
  };
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    std::string what = fmt::format("row {}", i);
    expect_equal(text(row, "call"), table[i].call, "call of " + what);
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), "errno of " + what);
    expect_equal(row["id"].get<int64_t>(), table[i].id, "id of " + what);
    expect_equal(row["key"].get<int64_t>(), table[i].key, "key of " + what);
    expect_equal(row["command"].get<int64_t>(), table[i].command, "command of " + what);
    expect_equal(number(row, "flags"), table[i].flags, "flags of " + what);
    expect_equal(number(row, "bytes"), table[i].bytes, "bytes of " + what);
    expect_equal(number(row, "address"), table[i].address, "address of " + what);
  }
}

}  // namespace

void add_syscall_cases(std::vector<Case> &cases) {
  cases.push_back({"syscall: as many calls as four threads made", {}, syscall_counts});
  cases.push_back({"syscall: by process, one system call alone", {}, syscall_by_process});
  cases.push_back({"syscall: slow calls are rows", {}, syscall_slow_rows});
  cases.push_back({"syscall: failed calls are rows", {}, syscall_failed_rows});
  cases.push_back({"syscall: a return from a signal's handler is no error", {}, syscall_signal_handlers});
  cases.push_back({"syscall: 32-bit calls keep apart", {}, syscall_32_bit});
  cases.push_back({"syscall+signal: parameters by name", {}, parameters_by_name});
  cases.push_back({"stat: every call, and its path", {}, stat_every_call});
  cases.push_back({"stat: 200,000 calls, those that failed", {}, stat_full_speed});
  cases.push_back({"sync: every call, and its file", {}, sync_every_call});
  cases.push_back({"shm: every call, and its segment", {}, shm_every_call});
}

}  // namespace waggle::suite
