// Recordings: what is replayed is what was seen.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// A run of `waggle record -o FILE` with these arguments, which listens when the
// constructor returns.
class Record {
 public:
  Record(const std::string &file, std::vector<std::string> arguments) : sensors_(), err_(file + ".err") {
    for (const std::string &argument : arguments) {
      if (argument.starts_with("-")) break;
      sensors_.push_back(argument);
    }
    arguments.insert(arguments.begin(), {"waggle", "record", "-v", "-o", file});
    std::vector<char *> argv;
    for (std::string &argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = must(fork(), "fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 2);
      execv(settings().waggle.c_str(), argv.data());
      _exit(127);
    }
    for (int tries = 0; tries < 40000; tries++) {
      int status;
      if (waitpid(pid_, &status, WNOHANG) == pid_) fail_case("waggle record ended early: " + told());
      // The header is written once all sensors are attached.
      struct stat info = {};
      if (stat(file.c_str(), &info) == 0 && info.st_size > 16) return;
      usleep(2000);
    }
    fail_case("waggle record was not attached within 80 s: " + told());
  }
  ~Record() {
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
  }
  Record(const Record &) = delete;
  Record &operator=(const Record &) = delete;

  // Ends it by a signal; what it said on stderr.
  std::string end(int signal_number) {
    kill(pid_, signal_number);
    int status = wait_for(pid_);
    pid_ = -1;
    if (signal_number != SIGKILL) expect_equal(status, 0, "status of waggle record: " + told());
    return told();
  }

 private:
  std::string told() const {
    struct stat info = {};
    return stat(err_.c_str(), &info) == 0 ? read_file(err_) : "";
  }
  std::vector<std::string> sensors_;
  std::string err_;
  pid_t pid_ = -1;
};

std::vector<Json> lines_of(const Ran &ran) {
  expect_equal(ran.status, 0, "status of waggle replay: " + ran.err);
  std::vector<Json> rows;
  for (size_t at = 0; at < ran.out.size();) {
    size_t end = ran.out.find('\n', at);
    rows.push_back(parse_line(std::string_view(ran.out).substr(at, end - at)));
    at = end + 1;
  }
  return rows;
}

// The same programs are seen by a watch and a recorder at once; what the recording
// shows must be what the watch has shown, byte for byte but for the times: each of two
// programs in the kernel measures by itself.
void same_as_watch() {
  uint64_t count = scaled(500, 40);
  write_tiny_program("wg-taped", 3);
  Watch watch({"exec", "--comm", "wg-taped"});
  Record record("taped.wgl", {"exec", "--comm", "wg-taped"});
  for (uint64_t i = 0; i < count; i++) wait_for(spawn("wg-taped", {"wg-taped", std::to_string(i), "two words", ""}));
  std::string told = record.end(SIGINT);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows of the watch");

  Ran first = run_waggle({"replay", "taped.wgl", "--json"}), second = run_waggle({"replay", "taped.wgl", "--json"});
  expect(first.out == second.out, "two replays of one recording differ");
  std::vector<Json> rows = lines_of(first);
  expect_equal(rows.size(), count, "rows replayed; " + told);
  for (size_t i = 0; i < rows.size(); i++) {
    uint64_t there = when_ns(rows[i]), here = when_ns(seen.rows[i]);
    // A wrong offset is off by the age of the host; an emulated one may put 20 ms between
    // the two programs.
    expect(std::max(there, here) - std::min(there, here) < 10'000'000'000, "the recording's clock is wrong");
    for (const char *measured : {"when", "latency"}) rows[i].erase(measured), seen.rows[i].erase(measured);
    expect(rows[i].dump(-1, ' ', true) == seen.rows[i].dump(-1, ' ', true),
           "a row differs: " + rows[i].dump(-1, ' ', true) + " instead of " + seen.rows[i].dump(-1, ' ', true));
  }
}

// Filters and groups of a replay are those of a watch.
void views_and_filters() {
  uint64_t count = scaled(400, 40);
  write_tiny_program("wg-one");
  write_tiny_program("wg-two");
  Record record("both.wgl", {"exec"});
  std::vector<pid_t> pids;
  for (uint64_t i = 0; i < count; i++) {
    pids.push_back(spawn("wg-one", {"wg-one", "argument"}));
    wait_for(pids.back());
    wait_for(spawn("wg-two", {"wg-two"}));
    spawn_failing("wg-missing", {"wg-missing"});
  }
  record.end(SIGTERM);
  expect_equal(lines_of(run_waggle({"replay", "both.wgl", "--json", "--comm", "wg-one"})).size(), count, "by --comm");
  expect_equal(lines_of(run_waggle({"replay", "both.wgl", "--json", "-p", std::to_string(pids[7])})).size(), size_t{1},
               "by --pid");
  uint64_t failed = 0;
  for (const Json &row : lines_of(run_waggle({"replay", "both.wgl", "--json", "--failed"})))
    failed += text(row, "path") == "wg-missing";
  expect_equal(failed, count, "by --failed");
  std::vector<Json> groups = lines_of(run_waggle({"replay", "both.wgl", "--json", "--by", "comm", "--top", "0"}));
  for (const char *name : {"wg-one", "wg-two"}) {
    std::vector<Json> group = rows_where(groups, "comm", name);
    expect_equal(group.size(), size_t{1}, name);
    expect_equal(number(group[0], "count"), count, name);
  }
  // These lived for a millisecond, and are long gone.
  for (const Json &row :
       lines_of(run_waggle({"replay", "both.wgl", "--json", "--comm", "wg-one", "--columns", "pid,pid.cmdline"})))
    expect_equal(text(row, "pid.cmdline"), std::string("wg-one argument"), "command line");
}

// A recorder that is killed leaves all but its last interval.
void killed() {
  uint64_t count = scaled(200, 20);
  write_tiny_program("wg-killed");
  Record record("killed.wgl", {"exec", "--comm", "wg-killed", "-i", "50ms"});
  for (uint64_t i = 0; i < count; i++) wait_for(spawn("wg-killed", {"wg-killed"}));
  Ran ran;
  // Until a tick has come after the last of them.
  for (int tries = 0; tries < 2000; tries++) {
    ran = run_waggle({"replay", "killed.wgl", "--json"});
    if (static_cast<uint64_t>(std::count(ran.out.begin(), ran.out.end(), '\n')) == count) break;
    usleep(20'000);
  }
  record.end(SIGKILL);
  ran = run_waggle({"replay", "killed.wgl", "--json"});
  expect_equal(lines_of(ran).size(), count, "rows");
  expect(ran.err.find("has no end") != std::string::npos, "it does not say that the recording was cut: " + ran.err);
}

// The ring of `open` holds 40 ms of a tight loop: the recorder must be faster than that.
void burst() {
  uint64_t count = scaled(400'000, 5000);
  Record record("burst.wgl", {"open", "-p", std::to_string(getpid()), "--without-processes"});
  for (uint64_t i = 0; i < count; i++) (void)!syscall(SYS_openat, AT_FDCWD, "missing", O_RDONLY, 0);
  std::string told = record.end(SIGINT);
  Losses losses;
  size_t at = told.find("open: ", told.rfind("\nopen: "));
  expect(at != std::string::npos &&
             sscanf(told.c_str() + at, "open: %lu produced = %lu filtered + %lu delivered + %lu lost", &losses.produced,
                    &losses.filtered, &losses.delivered, &losses.lost) == 4,
         "no count of losses: " + told);
  expect_equal(losses.produced, losses.filtered + losses.delivered + losses.lost, "the books");
  expect_all(losses.delivered, losses, count, "rows recorded");
  std::vector<Json> groups = lines_of(run_waggle({"replay", "burst.wgl", "--json", "--by", "path,errno"}));
  std::vector<Json> missing = rows_where(groups, "path", "missing");
  expect_equal(missing.size(), size_t{1}, "groups");
  expect_equal(number(missing[0], "count"), losses.delivered, "rows replayed");
  struct stat info = {};
  stat("burst.wgl", &info);
  note(fmt::format("{} rows in {} bytes", losses.delivered, info.st_size));
}

}  // namespace

void add_record_cases(std::vector<Case> &cases) {
  cases.push_back({"record: replayed rows are those of a watch", {}, same_as_watch});
  cases.push_back({"record: views and filters of a replay", {}, views_and_filters});
  cases.push_back({"record: a killed recorder leaves its file", {}, killed, seconds(60)});
  cases.push_back({"record: a burst", {}, burst, seconds(60)});
}

}  // namespace waggle::suite
