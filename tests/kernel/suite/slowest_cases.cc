// The slowest events of an interval are those that were slow.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
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
void slow_open(const std::string &path, int ms) {
  must(mkfifo(path.c_str(), 0644), "mkfifo " + path);
  pid_t opener = gettid();
  std::atomic<bool> opens = false;
  std::thread other([&] {
    while (!opens || !sleeps(opener)) usleep(1000);
    usleep(static_cast<useconds_t>(ms) * 1000);
    close(must(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open " + path));
  });
  opens = true;
  close(must(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path));
  other.join();
}

void slowest_are_told() {
  Watch watch({"fs", "--view", "top", "--slowest", "3", "-p", std::to_string(getpid())});
  write_file("fast", "x");
  uint64_t count = scaled(3000);
  for (uint64_t i = 0; i < count; i++) close(must(open("fast", O_RDONLY | O_CLOEXEC), "open"));
  slow_open("slow-300", 300);
  slow_open("slow-500", 500);
  slow_open("slow-400", 400);
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
  const char *names[] = {"slow-500", "slow-400", "slow-300"};
  for (size_t i = 0; i < 3; i++) {
    std::string path = text((*slowest)[i], "path");
    expect(path.ends_with(names[i]), fmt::format("the slowest but {} is {}", i, path));
    expect_equal(number((*slowest)[i], "pid"), static_cast<uint64_t>(getpid()), "pid");
    expect(number((*slowest)[i], "latency") >= (5 - i) * 100'000'000, "latency");
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
