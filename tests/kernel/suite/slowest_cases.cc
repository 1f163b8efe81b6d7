// The slowest events of an interval are those that were slow.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

bool sleeps(pid_t tid) {
  std::string stat = read_file(fmt::format("/proc/self/task/{}/stat", tid));
  return stat.find(") S ") != std::string::npos;
}

// Opening a FIFO takes until somebody opens its other end, which is `ms` after the
// call sleeps: an emulated CPU may take long to get there.
// Returns how long it took, seen from outside.
uint64_t slow_open(const std::string &path, int ms) {
  must(mkfifo(path.c_str(), 0644), "mkfifo " + path);
  pid_t opener = gettid();
  std::atomic<bool> opens = false;
  std::thread other([&] {
    while (!opens || !sleeps(opener)) usleep(1000);
    usleep(static_cast<useconds_t>(ms) * 1000);
    close(must(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open " + path));
  });
  opens = true;
  uint64_t began = now_ns();
  int fd = must(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path);
  uint64_t took = now_ns() - began;
  close(fd);
  other.join();
  return took;
}

void slowest_are_told() {
  Watch watch({"fs", "--view", "top", "--slowest", "3", "-p", std::to_string(getpid())});
  write_file("fast", "x");
  uint64_t count = scaled(3000);
  for (uint64_t i = 0; i < count; i++) close(must(open("fast", O_RDONLY | O_CLOEXEC), "open"));
  std::map<std::string, uint64_t> took;
  for (int ms : {300, 500, 400}) {
    std::string name = fmt::format("slow-{}", ms);
    took[name] = slow_open(name, ms);
  }
  for (uint64_t i = 0; i < count; i++) close(must(open("fast", O_RDONLY | O_CLOEXEC), "open"));
  Seen seen = watch.stop();
  uint64_t opens = 0;
  const Json *slowest = nullptr;
  for (const Json &row : seen.rows) {
    if (row.contains("slowest"))
      slowest = &row["slowest"];
    else if (text(row, "op") == "open")
      for (const auto &[bound, slot] : row["latency_slots"].items()) opens += slot.get<uint64_t>();
  }
  expect(slowest != nullptr, "there is no line of the slowest");
  expect_equal(slowest->size(), size_t{3}, "the slowest");
  uint64_t last = UINT64_MAX;
  for (const Json &each : *slowest) {
    std::string path = text(each, "path"), name = path.substr(path.rfind('/') + 1);
    uint64_t latency = number(each, "latency");
    expect(took.contains(name), "one of the slowest is " + path);
    expect_equal(number(each, "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect_between<uint64_t>(latency, std::stoull(name.substr(5)) * 1'000'000, took[name], "latency of " + name);
    expect(latency <= last, "a slower one comes after " + name);
    last = latency;
    took.erase(name);
  }
  // The table has all of them, the fast ones too; opens of write_file() and the writers' ends are more.
  expect(opens >= 2 * count + 6, fmt::format("{} opens in the table", opens));
  const Losses &rows = seen.losses["fs slowest"];
  expect_equal(rows.produced, rows.filtered + rows.delivered + rows.lost, "the books of the slowest");
  note(fmt::format("{} of {} opens left the kernel", rows.delivered, opens));
}

// The next interval has its own, however slow those of the last were.
void slowest_of_each_interval() {
  Watch watch({"fs", "--view", "top", "--slowest", "1", "-i", "1s", "-p", std::to_string(getpid())});
  slow_open("slow-first", 300);
  usleep(1'500'000);
  slow_open("slow-second", 100);
  usleep(1'200'000);
  Seen seen = watch.stop();
  std::vector<std::string> told;
  for (const Json &row : seen.rows) {
    if (!row.contains("slowest")) continue;
    for (const Json &each : row["slowest"])
      if (text(each, "path").find("slow-") != std::string::npos) told.push_back(text(each, "path"));
  }
  expect_equal(told.size(), size_t{2}, "slow ones");
  expect(told[0].ends_with("slow-first") && told[1].ends_with("slow-second"), told[0] + ", " + told[1]);
}

}  // namespace

void add_slowest_cases(std::vector<Case> &cases) {
  cases.push_back({"slowest: single events with their files", {}, slowest_are_told});
  cases.push_back({"slowest: of each interval", {}, slowest_of_each_interval});
}

}  // namespace waggle::suite
