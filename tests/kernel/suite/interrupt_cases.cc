// softirq, hardirq and workqueue: what the kernel does on the side, against its own
// accounts.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <map>
#include <sstream>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

using Counts = std::map<std::string, uint64_t>;

// Lines of "NAME: n n … words", summed over the CPUs.
Counts counts_of(const std::string &path) {
  Counts counts;
  std::istringstream in(read_file(path));
  std::string line;
  std::getline(in, line);  // names of the CPUs
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    name.pop_back();
    uint64_t sum = 0, here = 0;
    while (fields >> here) sum += here;
    counts[name] = sum;
  }
  return counts;
}

// What a sensor counted must lie between what the kernel counted while it surely
// watched and what it counted from before its start until after its end.
struct Bracket {
  Counts outer_before, inner_before, inner_after, outer_after;

  uint64_t least(const std::string &name) const {
    // One a CPU may have begun when the sensor ended.
    uint64_t inner = of(inner_after, name) - of(inner_before, name);
    auto cpus = static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
    return inner - std::min(inner, cpus);
  }
  uint64_t most(const std::string &name) const { return of(outer_after, name) - of(outer_before, name); }

 private:
  static uint64_t of(const Counts &counts, const std::string &name) {
    auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
  }
};

void send_to_self(uint64_t packets) {
  int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  must(bind(fd, reinterpret_cast<sockaddr *>(&address), bytes), "bind");
  must(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &bytes), "getsockname");
  char byte = 0;
  for (uint64_t i = 0; i < packets; i++) {
    must(sendto(fd, &byte, 1, 0, reinterpret_cast<sockaddr *>(&address), bytes), "sendto");
    must(recv(fd, &byte, 1, 0), "recv");
  }
  close(fd);
}

template <typename Work>
std::pair<Seen, Bracket> bracketed(const std::string &path, std::vector<std::string> arguments, Work work) {
  Bracket bracket;
  bracket.outer_before = counts_of(path);
  Watch watch(std::move(arguments));
  bracket.inner_before = counts_of(path);
  work();
  bracket.inner_after = counts_of(path);
  Seen seen = watch.stop();
  bracket.outer_after = counts_of(path);
  return {std::move(seen), std::move(bracket)};
}

void softirq_table() {
  uint64_t packets = scaled(2000, 200);
  enter_new_network();
  auto [seen, bracket] = bracketed("/proc/softirqs", {"softirq", "--view", "top", "--top", "0"},
                                   [packets] { send_to_self(packets); });
  std::map<std::string, uint64_t> counted;
  for (const Json &row : seen.rows) counted[text(row, "vector")] = number(row, "count");
  expect(counted["NET_RX"] >= packets, fmt::format("{} runs of NET_RX for {} packets", counted["NET_RX"], packets));
  for (const auto &[vector, count] : bracket.outer_after) {
    uint64_t lost = programs_are_preempted() ? seen.losses["softirq"].lost : 0, least = bracket.least(vector);
    expect_between(counted[vector], least - std::min(least, lost), bracket.most(vector),
                   fmt::format("runs of {} against /proc/softirqs", vector));
  }
  if (!programs_are_preempted()) expect_equal(seen.losses["softirq"].lost, 0u, "lost");
}

void softirq_rows() {
  uint64_t packets = scaled(500, 100);
  enter_new_network();
  auto [seen, bracket] =
      bracketed("/proc/softirqs", {"softirq", "--min", "0"}, [packets] { send_to_self(packets); });
  std::map<std::string, uint64_t> counted;
  uint64_t known_waits = 0;
  for (const Json &row : seen.rows) {
    counted[text(row, "vector")]++;
    known_waits += number(row, "queued") > 0;
  }
  uint64_t lost = seen.losses["softirq"].lost;
  for (const auto &[vector, count] : bracket.outer_after) {
    uint64_t least = bracket.least(vector);
    expect_between(counted[vector], least - std::min(least, lost), bracket.most(vector),
                   fmt::format("rows of {} against /proc/softirqs", vector));
  }
  expect(known_waits * 10 >= seen.rows.size() * 9,
         fmt::format("of {} soft interrupts only {} say since when they waited", seen.rows.size(), known_waits));
  if (!programs_are_preempted()) expect_equal(lost, 0u, "lost");
}

// Files that are looked at and written: the disk, or what takes its place, interrupts.
void trouble_the_disk() {
  for (int i = 0; i < 20; i++) {
    std::string path = fmt::format("{}/file.{}", folder(), i);
    write_file(path, std::string(64 << 10, 'x'));
    int fd = must(open(path.c_str(), O_RDWR | O_CLOEXEC), "open");
    fsync(fd);
    close(fd);
  }
  run_program({"ls", "-lR", "/usr/include"});
}

void hardirq_table() {
  auto [seen, bracket] =
      bracketed("/proc/interrupts", {"hardirq", "--view", "top", "--top", "0"}, trouble_the_disk);
  std::map<std::string, uint64_t> counted;
  std::map<std::string, int> handlers;
  for (const Json &row : seen.rows) {
    std::string irq = std::to_string(number(row, "irq"));
    counted[irq] += number(row, "count");
    handlers[irq]++;
    expect(!text(row, "handler").empty(), "a handler without a name");
  }
  uint64_t lines = 0;
  for (const auto &[irq, count] : bracket.outer_after) {
    if (irq.find_first_not_of("0123456789") != std::string::npos) continue;
    // An interrupt of a shared line is one for each of its handlers.
    if (handlers[irq] > 1) continue;
    uint64_t most = bracket.most(irq);
    lines += most > 0;
    // An interrupt that comes while its handler runs is run again, and counted by no one else.
    expect_between(counted[irq], bracket.least(irq), most + most / 50, fmt::format("runs of the handler of IRQ {}", irq));
  }
  if (lines == 0) skip_case("no device interrupted");
  note(fmt::format("{} lines interrupted", lines));
  expect_equal(seen.losses["hardirq"].lost, 0u, "lost");
}

void hardirq_rows() {
  auto [seen, bracket] = bracketed("/proc/interrupts", {"hardirq", "--min", "0"}, trouble_the_disk);
  std::map<std::string, uint64_t> counted;
  for (const Json &row : seen.rows) {
    counted[std::to_string(number(row, "irq"))]++;
    expect(number(row, "handled") <= 3, "a handler returned something else");
    expect(number(row, "latency") > 0, "a handler took no time");
  }
  for (const auto &[irq, count] : bracket.outer_after)
    if (irq.find_first_not_of("0123456789") == std::string::npos)
      expect(counted[irq] >= bracket.least(irq), fmt::format("{} rows of IRQ {}", counted[irq], irq));
  if (seen.rows.empty()) skip_case("no device interrupted");
  expect_equal(seen.losses["hardirq"].lost, 0u, "lost");
}

// What is written to a terminal reaches its other end by an item of work.
void workqueue_terminal() {
  uint64_t count = scaled(200, 50);
  int master = -1, slave = -1;
  termios raw = {};
  cfmakeraw(&raw);
  must(openpty(&master, &slave, nullptr, &raw, nullptr), "openpty");
  Watch watch({"workqueue", "--view", "top", "--top", "0"});
  for (uint64_t i = 0; i < count; i++) {
    char byte = 'x';
    must(write(master, &byte, 1), "write");
    must(read(slave, &byte, 1), "read");
  }
  usleep(100'000);
  Seen seen = watch.stop();
  close(master);
  close(slave);
  uint64_t runs = 0, other_terminals = 10;
  for (const Json &row : rows_where(seen.rows, "function", "flush_to_ldisc")) {
    runs += number(row, "count");
    expect(!text(row, "queue").empty(), "a workqueue without a name");
  }
  expect_between(runs, count - std::min(count, seen.losses["workqueue"].lost), count + other_terminals,
                 "items of work for bytes to a terminal");
  if (!programs_are_preempted()) expect_equal(seen.losses["workqueue"].lost, 0u, "lost");
}

}  // namespace

void add_interrupt_cases(std::vector<Case> &cases) {
  cases.push_back({"softirq: the table is /proc/softirqs", {}, softirq_table});
  cases.push_back({"softirq: each run a row", {}, softirq_rows});
  cases.push_back({"hardirq: the table is /proc/interrupts", {}, hardirq_table});
  cases.push_back({"hardirq: each run of a handler a row", {}, hardirq_rows});
  cases.push_back({"workqueue: bytes to a terminal are items of work", {}, workqueue_terminal});
}

}  // namespace waggle::suite
