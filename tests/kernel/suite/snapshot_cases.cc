// process and socket: what there is, against what /proc says of it.

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <sstream>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// One snapshot: all of it, with nothing lost.
Seen snapshot(std::vector<std::string> arguments) {
  std::string sensor = arguments[0];
  arguments.insert(arguments.end(), {"--count", "1"});
  Watch watch(std::move(arguments));
  Seen seen = watch.wait_for_end();
  expect_equal(seen.losses[sensor].lost, 0u, "lost");
  return seen;
}

std::set<uint64_t> processes() {
  std::set<uint64_t> found;
  DIR *proc = opendir("/proc");
  expect(proc != nullptr, "/proc");
  while (dirent *entry = readdir(proc))
    if (isdigit(entry->d_name[0])) found.insert(std::stoull(entry->d_name));
  closedir(proc);
  return found;
}

const Json *row_of(const Seen &seen, const char *column, uint64_t value) {
  for (const Json &row : seen.rows)
    if (number(row, column) == value) return &row;
  return nullptr;
}

void burn(milliseconds time) {
  timespec now = {};
  auto spent = [&] {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  for (auto end = spent() + time; spent() < end;) continue;
}

// Children that stay as they are until the case ends.
class Still {
 public:
  // `work` is done before the child is still.
  explicit Still(const std::function<void()> &work) {
    int ready[2];
    must(pipe2(ready, O_CLOEXEC), "pipe");
    pid_ = start_child([&] {
      work();
      must(write(ready[1], "", 1), "write");
      while (true) pause();
      return 0;
    });
    char byte;
    expect(read(ready[0], &byte, 1) == 1, "the child is ready");
    close(ready[0]), close(ready[1]);
    wait_until_it_sleeps();
  }
  ~Still() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Still(const Still &) = delete;
  Still &operator=(const Still &) = delete;
  pid_t pid() const { return pid_; }

 private:
  void wait_until_it_sleeps() const {
    while (read_file(fmt::format("/proc/{}/stat", pid_)).find(") S ") == std::string::npos) usleep(1000);
  }
  pid_t pid_;
};

constexpr size_t kTouched = 32 << 20;
constexpr int kThreads = 4;

// Uses memory, threads, and CPU time in a thread that has ended.
void live_a_little() {
  set_name("wg-alive");
  std::thread([] { burn(milliseconds(20)); }).join();
  static std::atomic<int> started{0};
  for (int i = 0; i < kThreads; i++)
    std::thread([] {
      burn(milliseconds(5));
      started++;
      while (true) pause();
    }).detach();
  while (started != kThreads) usleep(1000);
  void *memory = mmap(nullptr, kTouched, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(memory != MAP_FAILED, "mmap");
  memset(memory, 1, kTouched);
}

uint64_t cpu_time_of(pid_t pid) {
  clockid_t clock;
  expect(clock_getcpuclockid(pid, &clock) == 0, "the clock of a process");
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void process_rows() {
  uint64_t born_first = now_ns();
  Still alive(live_a_little);
  uint64_t born_last = now_ns();
  Still stopped([] {});
  kill(stopped.pid(), SIGSTOP);
  int status;
  must(waitpid(stopped.pid(), &status, WUNTRACED), "waitpid");
  pid_t zombie = start_child([] { return 3; });
  siginfo_t gone;
  must(waitid(P_PID, static_cast<id_t>(zombie), &gone, WEXITED | WNOWAIT), "waitid");

  std::set<uint64_t> before = processes();
  uint64_t asked = now_ns();
  Seen seen = snapshot({"process"});
  uint64_t answered = now_ns();
  std::set<uint64_t> after = processes();
  expect_equal(seen.rows.size(), seen.losses["process"].delivered, "rows");
  for (uint64_t pid : before) {
    if (after.count(pid) == 0 || row_of(seen, "pid", pid) != nullptr) continue;
    // Some virtual machines hide the agent that runs them, which is process 1, from iterators.
    expect(pid == 1, fmt::format("no row of process {}", pid));
    note("this kernel's iterator leaves process 1 out");
  }

  const Json *row = row_of(seen, "pid", static_cast<uint64_t>(alive.pid()));
  expect(row != nullptr, "no row of the child");
  expect_equal(text(*row, "comm"), "wg-alive", "comm");
  expect_equal(text(*row, "state"), "sleeping", "state");
  expect_equal(number(*row, "ppid"), static_cast<uint64_t>(getpid()), "ppid");
  expect_equal(number(*row, "uid"), getuid(), "uid");
  expect_equal(number(*row, "threads"), uint64_t{kThreads + 1}, "threads");
  expect_equal(number(*row, "cpu_time"), cpu_time_of(alive.pid()), "cpu_time");
  expect_between(number(*row, "age"), asked - born_last, answered - born_first, "age");
  std::istringstream statm(read_file(fmt::format("/proc/{}/statm", alive.pid())));
  uint64_t size, resident;
  statm >> size >> resident;
  // Since 6.2 the kernel's counters may be behind by a batch of 64 pages a CPU, on both sides.
  constexpr uint64_t kBehind = 4 << 20;
  expect_between(number(*row, "memory"), resident * 4096 - kBehind, resident * 4096 + kBehind, "memory");
  expect(number(*row, "memory") + kBehind > kTouched, "memory does not count what was touched");

  row = row_of(seen, "pid", static_cast<uint64_t>(stopped.pid()));
  expect(row != nullptr && text(*row, "state") == "stopped", "the stopped child is not stopped");
  row = row_of(seen, "pid", static_cast<uint64_t>(zombie));
  expect(row != nullptr && text(*row, "state") == "zombie", "the zombie is not one");
  expect_equal(number(*row, "memory"), 0u, "memory of a zombie");
  waitpid(zombie, nullptr, 0);
}

void process_filters() {
  Still alive(live_a_little);
  std::string pid = std::to_string(alive.pid());
  Seen seen = snapshot({"process", "-p", pid});
  expect_equal(seen.rows.size(), size_t{1}, "rows of one process");
  Losses losses = seen.losses["process"];
  expect(losses.produced > 1 && losses.filtered == losses.produced - 1, "the others were not filtered");
  seen = snapshot({"process", "-p", pid, "--set", "threads=1"});
  expect_equal(seen.rows.size(), size_t{kThreads + 1}, "rows of its threads");
  uint64_t burning = 0;
  for (const Json &row : seen.rows)
    burning += number(row, "cpu_time") >= 5'000'000 && number(row, "tid") != number(row, "pid");
  expect_equal(burning, uint64_t{kThreads}, "threads that used a CPU");
  seen = snapshot({"process", "--comm", "wg-alive"});
  expect_equal(seen.rows.size(), size_t{1}, "rows of one name");
}

void process_of_a_cgroup() {
  Still inside([] {}), outside([] {});
  Cgroup group("wg-snapshot");
  group.take(inside.pid());
  Seen seen = snapshot({"process", "--cgroup", group.path()});
  expect_equal(seen.rows.size(), size_t{1}, "rows of the cgroup");
  expect_equal(number(seen.rows[0], "pid"), static_cast<uint64_t>(inside.pid()), "its process");
}

// Sorted, cut, grouped, and again after an interval.
void process_views() {
  Still first([] {}), second([] {});
  Seen seen = snapshot({"process", "--sort", "age"});
  for (size_t i = 1; i < seen.rows.size(); i++)
    expect(number(seen.rows[i - 1], "age") >= number(seen.rows[i], "age"), "not sorted by age");
  seen = snapshot({"process", "--sort", "pid", "--top", "3"});
  expect_equal(seen.rows.size(), size_t{3}, "rows");
  expect(number(seen.rows[0], "pid") <= 2, "the first process: " + seen.rows[0].dump());
  seen = snapshot({"process", "--by", "state"});
  uint64_t sum = 0;
  for (const Json &row : seen.rows) sum += number(row, "count");
  expect_equal(sum, seen.losses["process"].delivered, "processes in all states");
  Watch watch({"process", "-p", std::to_string(first.pid()), "--interval", "200ms", "--count", "3"});
  expect_equal(watch.wait_for_end().rows.size(), size_t{3}, "rows of three snapshots");
  // Into a pipe, without an interval: once.
  Ran ran = run_waggle({"watch", "process", "--json", "-p", std::to_string(second.pid())});
  expect_equal(std::count(ran.out.begin(), ran.out.end(), '\n'), 1, "lines of one snapshot");
  ran = run_waggle({"watch", "process", "--view", "histogram"});
  expect(WIFEXITED(ran.status) && WEXITSTATUS(ran.status) == 2, "a snapshot as a histogram: " + ran.err);
}

// What /proc/net says of a socket, in the words of the sensor.
struct Listed {
  std::string protocol, state;
  uint64_t local_port = 0, remote_port = 0, unsent = 0, received = 0, uid = 0, inode = 0;
  std::string text() const {
    return fmt::format("{} {} {}-{} unsent {} received {} uid {} inode {}", protocol, state, local_port, remote_port,
                       unsent, received, uid, inode);
  }
};

std::multiset<std::string> listed_by_proc(const std::string &protocol) {
  static constexpr const char *kStates[] = {"",           "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
                                            "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
                                            "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};
  std::multiset<std::string> found;
  std::istringstream lines(read_file("/proc/net/" + protocol));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    Listed one;
    one.protocol = protocol;
    unsigned state = 0;
    char local[64], remote[64];
    unsigned long unsent = 0, received = 0, inode = 0;
    unsigned local_port = 0, remote_port = 0, uid = 0;
    int fields = sscanf(line.c_str(), " %*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %lx:%lx %*x:%*x %*x %u %*u %lu", local,
                        &local_port, remote, &remote_port, &state, &unsent, &received, &uid, &inode);
    expect(fields == 9, "cannot read a line of /proc/net/" + protocol + ": " + line);
    one.state = kStates[state];
    one.local_port = local_port, one.remote_port = remote_port;
    // Of a listener it is the length of the queue.
    one.unsent = unsent, one.received = one.state == "LISTEN" ? 0 : received;
    one.uid = uid, one.inode = inode;
    found.insert(one.text());
  }
  return found;
}

std::multiset<std::string> listed_by_waggle(const Seen &seen, const std::string &protocol) {
  std::multiset<std::string> found;
  for (const Json &row : rows_where(seen.rows, "protocol", protocol)) {
    Listed one;
    one.protocol = protocol;
    one.state = text(row, "state");
    one.local_port = number(row, "local_port"), one.remote_port = number(row, "remote_port");
    one.unsent = number(row, "unsent"), one.received = number(row, "received");
    one.uid = number(row, "uid"), one.inode = number(row, "inode");
    found.insert(one.text());
  }
  return found;
}

std::string joined(const std::multiset<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines) text += "\n  " + line;
  return text;
}

sockaddr_in6 loopback(int family, uint16_t port) {
  sockaddr_in6 address = {};
  if (family == AF_INET6) {
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
  } else {
    auto *v4 = reinterpret_cast<sockaddr_in *>(&address);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  return address;
}

int bound(int family, int type, uint16_t port) {
  int fd = must(socket(family, type | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in6 address = loopback(family, port);
  socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  must(bind(fd, reinterpret_cast<sockaddr *>(&address), length), "bind");
  return fd;
}

int connected(int family, int type, uint16_t port) {
  int fd = must(socket(family, type | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in6 address = loopback(family, port);
  socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  must(connect(fd, reinterpret_cast<sockaddr *>(&address), length), "connect");
  return fd;
}

uint64_t inode_of(int fd) {
  struct stat status = {};
  must(fstat(fd, &status), "fstat");
  return status.st_ino;
}

void socket_rows() {
  enter_new_network();
  constexpr uint16_t kPort = 7001;
  constexpr int kWaiting = 3, kBacklog = 7;
  for (int family : {AF_INET, AF_INET6}) {
    std::string suffix = family == AF_INET6 ? "6" : "";
    int listener = bound(family, SOCK_STREAM, kPort);
    must(listen(listener, kBacklog), "listen");
    // Connections that nobody accepts, with bytes that nobody reads.
    std::vector<int> clients;
    for (int i = 0; i < kWaiting; i++) {
      clients.push_back(connected(family, SOCK_STREAM, kPort));
      must(write(clients.back(), "0123456789", 10), "write");
    }
    // One that is closed on both sides and waits for its time.
    int busy = bound(family, SOCK_STREAM, kPort + 1);
    must(listen(busy, 1), "listen");
    int closing = connected(family, SOCK_STREAM, kPort + 1);
    int accepted = must(accept(busy, nullptr, nullptr), "accept");
    close(closing), close(accepted);
    int datagrams = bound(family, SOCK_DGRAM, kPort);
    int sender = connected(family, SOCK_DGRAM, kPort);
    for (int i = 0; i < 2; i++) must(send(sender, "datagram", 8, 0), "send");

    Seen seen = snapshot({"socket"});
    expect_equal(seen.rows.size(), seen.losses["socket"].delivered, "rows");
    for (const std::string &protocol : {"tcp" + suffix, "udp" + suffix}) {
      std::multiset<std::string> expected = listed_by_proc(protocol), found = listed_by_waggle(seen, protocol);
      expect(expected == found,
             fmt::format("/proc/net/{} has{}\nand waggle{}", protocol, joined(expected), joined(found)));
      expect(expected.size() >= 2, "nothing to compare");
    }
    const Json *row = row_of(seen, "inode", inode_of(listener));
    expect(row != nullptr, "no row of the listener");
    expect_equal(number(*row, "backlog"), uint64_t{kWaiting}, "connections that wait");
    expect_equal(number(*row, "backlog_most"), uint64_t{kBacklog}, "connections that may wait");
    expect_equal(text(*row, "local"), family == AF_INET6 ? "::1" : "127.0.0.1", "address");
    expect_equal(number(*row, "pid"), static_cast<uint64_t>(getpid()), "owner");
    row = row_of(seen, "inode", inode_of(clients[0]));
    expect(row != nullptr && number(*row, "pid") == static_cast<uint64_t>(getpid()), "no owner of the client");
    uint64_t unread = 0, waits = 0;
    for (const Json &each : rows_where(seen.rows, "protocol", "tcp" + suffix)) {
      unread += number(each, "received");
      waits += text(each, "state") == "TIME_WAIT";
    }
    expect_equal(unread, uint64_t{10 * kWaiting}, "bytes that nobody read");
    expect_equal(waits, 1u, "sockets in TIME_WAIT");
    row = row_of(seen, "inode", inode_of(datagrams));
    expect(row != nullptr && number(*row, "received") > 16, "the datagrams that nobody read");
    seen = snapshot({"socket", "-p", "1"});
    expect_equal(rows_where(seen.rows, "protocol", "tcp" + suffix).size(), size_t{0}, "sockets of process 1");
    close(listener), close(busy), close(datagrams), close(sender);
    for (int client : clients) close(client);
  }
}

void socket_unix() {
  enter_new_network();
  Seen seen = snapshot({"socket"});
  if (seen.err.find("no iterator over unix") != std::string::npos)
    skip_case("this kernel has no iterator over Unix sockets, and waggle says so");
  auto listening = [](std::string_view name) {
    int fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.data(), name.size());
    must(bind(fd, reinterpret_cast<sockaddr *>(&address), static_cast<socklen_t>(2 + name.size())), "bind");
    must(listen(fd, 5), "listen");
    return fd;
  };
  std::string path = folder() + "/socket";
  using namespace std::string_view_literals;
  int named = listening(path.substr(0, 107)), abstract = listening("\0wg abstract"sv);
  int pair[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
  seen = snapshot({"socket"});
  std::set<uint64_t> listed, found;
  std::istringstream lines(read_file("/proc/net/unix"));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    unsigned long inode = 0;
    expect(sscanf(line.c_str(), "%*x: %*x %*x %*x %*x %*x %lu", &inode) == 1, "a line of /proc/net/unix: " + line);
    listed.insert(inode);
  }
  for (const Json &row : rows_where(seen.rows, "protocol", "unix")) found.insert(number(row, "inode"));
  expect(listed == found, fmt::format("/proc/net/unix has {} sockets, waggle {}", listed.size(), found.size()));
  const Json *row = row_of(seen, "inode", inode_of(named));
  expect(row != nullptr && text(*row, "path") == path.substr(0, 107), "the name in the file system");
  expect_equal(text(*row, "state"), "LISTEN", "state");
  expect_equal(number(*row, "backlog_most"), 5u, "backlog");
  row = row_of(seen, "inode", inode_of(abstract));
  expect(row != nullptr && text(*row, "path") == "@wg abstract", "the abstract name");
  row = row_of(seen, "inode", inode_of(pair[0]));
  expect(row != nullptr, "no row of a pair");
  expect_equal(number(*row, "peer"), inode_of(pair[1]), "the other one of a pair");
  expect_equal(number(*row, "pid"), static_cast<uint64_t>(getpid()), "owner");
}

}  // namespace

void add_snapshot_cases(std::vector<Case> &cases) {
  cases.push_back({"process: as /proc has them", {}, process_rows});
  cases.push_back({"process: filters, threads", {}, process_filters});
  cases.push_back({"process: of a cgroup", {Need::kCgroups}, process_of_a_cgroup});
  cases.push_back({"process: views of a snapshot", {}, process_views});
  cases.push_back({"socket: TCP and UDP as /proc/net has them", {}, socket_rows, seconds(60)});
  cases.push_back({"socket: Unix as /proc/net has them", {}, socket_unix});
}

}  // namespace waggle::suite
