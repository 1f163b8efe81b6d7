// What holds for every sensor: filters, ends, signals, and people without rights.

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

void open_missing(uint64_t count, const char *path = "missing") {
  for (uint64_t i = 0; i < count; i++) (void)!syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
}

// --- filters ---------------------------------------------------------------------

// Two children do the same; the filter passes one of them, and the other's events
// are counted as filtered.
void expect_one_passes(const std::vector<std::string> &filter, pid_t wanted, pid_t other, int go, uint64_t count) {
  std::vector<std::string> arguments = {"open"};
  arguments.insert(arguments.end(), filter.begin(), filter.end());
  Watch watch(arguments);
  char bytes[2] = {};
  expect(write(go, bytes, 2) == 2, "write");
  expect_equal(wait_for(wanted), 0, "status of the child that is wanted");
  expect_equal(wait_for(other), 0, "status of the other child");
  Seen seen = watch.stop();
  uint64_t got = rows_where(seen.rows, "pid", wanted).size();
  const Losses &losses = seen.losses["open"];
  expect_equal(seen.rows.size(), got, "rows, all of the child that is wanted");
  expect_equal(losses.delivered, got, "delivered");
  if (!programs_are_preempted()) {
    expect_equal(got, count, "rows of the child that is wanted");
    expect(losses.filtered >= count, "the other child's events are not counted as filtered");
    return;
  }
  // While one child's program is off the CPU, the kernel runs none for the other.
  expect(got <= count && got + losses.lost >= count && got + losses.filtered + losses.lost >= 2 * count,
         fmt::format("{} rows, {} filtered and {} lost of {} opens of each child", got, losses.filtered, losses.lost,
                     count));
}

struct Two {
  pid_t first, second;
  int go;
};
Two start_two(uint64_t count) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  auto child = [&](const char *name) {
    return start_child([&, name] {
      set_name(name);
      char byte;
      if (read(ends[0], &byte, 1) != 1) return 1;
      open_missing(count);
      return 0;
    });
  };
  return {child("wg-first"), child("wg-second"), ends[1]};
}

void filter_pid() {
  uint64_t count = scaled(1000);
  Two two = start_two(count);
  expect_one_passes({"-p", std::to_string(two.first)}, two.first, two.second, two.go, count);
}

void filter_comm() {
  uint64_t count = scaled(1000);
  Two two = start_two(count);
  expect_one_passes({"--comm", "wg-second"}, two.second, two.first, two.go, count);
}

void filter_cgroup() {
  uint64_t count = scaled(1000);
  Cgroup outer("outer");
  Two two = start_two(count);
  std::string inner = outer.path() + "/inner";
  must(mkdir(inner.c_str(), 0755), "mkdir " + inner);
  // In a cgroup below the one that is watched: it counts as well.
  write_file(inner + "/cgroup.procs", std::to_string(two.first));
  expect_one_passes({"--cgroup", outer.path()}, two.first, two.second, two.go, count);
  rmdir(inner.c_str());
}

void filter_min() {
  uint64_t count = scaled(1000);
  Watch watch({"open", "--min", "1h", "-p", std::to_string(getpid())});
  open_missing(count);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{0}, "rows of calls that took an hour");
  expect(seen.losses["open"].filtered >= count, "fast calls are not counted as filtered");
  expect_equal(seen.losses["open"].lost, 0u, "lost");
}

// --- ends ------------------------------------------------------------------------

void end_count() {
  Watch watch({"open", "-p", std::to_string(getpid()), "--count", "25"});
  open_missing(200);
  Seen seen = watch.wait_for_end();
  expect_equal(seen.rows.size(), size_t{25}, "rows");
}

void end_duration() {
  uint64_t began = now_ns();
  Watch watch({"open", "-p", std::to_string(getpid()), "--duration", "1s"});
  open_missing(100);
  uint64_t attached = now_ns();
  Seen seen = watch.wait_for_end();
  uint64_t ended = now_ns();
  expect_equal(seen.rows.size(), size_t{100}, "rows");
  expect(ended - began >= 1'000'000'000, "it ended too early");
  expect(ended - attached <= 1'500'000'000 * settings().scale,
         fmt::format("it took {} ms", (ended - attached) / 1'000'000));
}

// Ctrl-C prints what a table has gathered, though no interval was over.
void end_by_signal() {
  for (int signal_number : {SIGINT, SIGTERM}) {
    Watch watch({"open", "--by", "comm", "-p", std::to_string(getpid())});
    open_missing(321);
    kill(watch.pid(), signal_number);
    Seen seen = watch.wait_for_end();
    expect_equal(seen.rows.size(), size_t{1}, "groups");
    expect_equal(number(seen.rows[0], "count"), 321u, "opens of the group");
  }
}

void end_by_closed_pipe() {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  pid_t waggle = must(fork(), "fork");
  if (waggle == 0) {
    dup2(ends[1], 1);
    int err = open("err", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    dup2(err, 2);
    execl(settings().waggle.c_str(), "waggle", "watch", "open", "--json", "--comm", "wg-pipe", nullptr);
    _exit(127);
  }
  close(ends[1]);
  set_name("wg-pipe");
  // As `head -1`: one line, then nobody reads.
  std::atomic<bool> done = false;
  std::thread opens([&] {
    while (!done) {
      open_missing(10);
      usleep(1000);
    }
  });
  std::string line;
  for (char c; read(ends[0], &c, 1) == 1 && c != '\n';) line += c;
  close(ends[0]);
  int status = wait_for(waggle);
  done = true;
  opens.join();
  expect_equal(text(parse_line(line), "path"), "missing", "path of the first row");
  expect_equal(status, 0, "status after the reader has gone");
  std::string err = read_file("err");
  expect(err.find("error") == std::string::npos, "an error where nothing was wrong: " + err);
}

// --- several sensors -------------------------------------------------------------

void several_by_time() {
  uint64_t count = scaled(300, 30);
  write_tiny_program("wg-several");
  Watch watch({"exec", "exit", "fork", "open"});
  std::set<uint64_t> pids;
  for (uint64_t i = 0; i < count; i++) {
    pid_t pid = spawn("wg-several", {"wg-several"});
    wait_for(pid);
    pids.insert(static_cast<uint64_t>(pid));
    open_missing(1, "missing-of-several");
  }
  Seen seen = watch.stop();
  uint64_t forks = 0, execs = 0, exits = 0, opens = 0, last = 0, late = 0;
  for (const Json &row : seen.rows) {
    std::string sensor = text(row, "sensor");
    bool ours = pids.count(number(row, "pid")) > 0;
    forks += sensor == "fork" && ours;
    execs += sensor == "exec" && ours;
    exits += sensor == "exit" && ours;
    opens += sensor == "open" && text(row, "path") == "missing-of-several";
    uint64_t when = when_ns(row);
    late += when < last;
    last = std::max(last, when);
  }
  expect_equal(forks, count, "forks");
  expect_equal(execs, count, "execs");
  expect_equal(exits, count, "exits");
  expect_equal(opens, count, "opens");
  // A row can be late whose CPU stood still between taking the time and handing it over.
  // Those of an emulator often do; a virtual machine's do when another gets the core.
  expect_between(late, size_t{0}, seen.rows.size() / (settings().scale > 1 ? 20 : 200),
                 fmt::format("rows out of the order of time, of {}", seen.rows.size()));
}

void all_at_once() {
  // Every sensor with rows that needs no target, in one program.
  Watch watch({"block", "cpu", "drop", "exec", "exit", "file", "fork", "open", "runq", "tcp_close", "tcp_connect",
               "tcp_retransmit", "--columns", "when"});
  open_missing(100);
  Seen seen = watch.stop();
  expect(rows_where(seen.rows, "sensor", "open").size() >= 100, "rows of opens");
}

// --- no rights -------------------------------------------------------------------

void nobody_is_told_why_of(const std::string &sensor) {
  // The build may be where nobody can look.
  std::string program = folder() + "/waggle", out = folder() + "/told";
  must_run({"cp", settings().waggle, program});
  pid_t child = start_child([&] {
    int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(fd, 1);
    dup2(fd, 2);
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 99;
    execl(program.c_str(), "waggle", "watch", sensor.c_str(), "--duration", "100ms", nullptr);
    return 98;
  });
  int status = wait_for(child);
  std::string told = read_file(out);
  expect(WIFEXITED(status), fmt::format("it was killed: {:#x}", status));
  expect_equal(WEXITSTATUS(status), 1, "status: " + told);
  expect(told.starts_with(fmt::format("error: cannot start sensor '{}'\n", sensor)), "another error: " + told);
  size_t errors = 0;
  for (size_t at = 0; (at = told.find("error: ", at)) != std::string::npos; at++) errors++;
  expect_equal(errors, size_t{1}, "errors told: " + told);
  bool helps = false;
  for (const char *way : {"root", "sudo", "CAP_"}) helps |= told.find(way) != std::string::npos;
  expect(helps, "it does not say what would give the right: " + told);
  expect(told.find("libbpf") == std::string::npos, "libbpf speaks: " + told);
}

// exec fails at its first program, open before it is loaded: it has plans to choose from.
void nobody_is_told_why() {
  for (const char *sensor : {"exec", "open"}) nobody_is_told_why_of(sensor);
}

}  // namespace

void add_watch_cases(std::vector<Case> &cases) {
  cases.push_back({"watch: -p", {}, filter_pid});
  cases.push_back({"watch: --comm", {}, filter_comm});
  cases.push_back({"watch: --cgroup, and those below it", {Need::kCgroups}, filter_cgroup});
  cases.push_back({"watch: --min", {}, filter_min});
  cases.push_back({"watch: --count", {}, end_count});
  cases.push_back({"watch: --duration", {}, end_duration});
  cases.push_back({"watch: Ctrl-C prints what was gathered", {}, end_by_signal});
  cases.push_back({"watch: the reader of the pipe goes away", {}, end_by_closed_pipe});
  cases.push_back({"watch: several sensors, by time", {}, several_by_time});
  cases.push_back({"watch: twelve sensors at once", {}, all_at_once, seconds(60)});
  cases.push_back({"watch: nobody is told which rights are missing", {}, nobody_is_told_why});
}

}  // namespace waggle::suite
