// Inspektor Gadget's tools by their names, and those of BCC that are several sensors
// or a snapshot: each through activity of known number, row by row.

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "activity.h"
#include "net_activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::string own_pid() {
  return std::to_string(getpid());
}

uint64_t sum_of(const std::vector<Json> &rows, const char *column) {
  uint64_t sum = 0;
  for (const Json &row : rows) sum += number(row, column);
  return sum;
}

// What a tool that ends by itself wrote.
std::vector<Json> rows_of(std::vector<std::string> command) {
  command.emplace_back("--json");
  Ran ran = run_waggle(command);
  expect_equal(ran.status, 0, fmt::format("status of {}: {}", command[0], ran.err));
  std::vector<Json> rows;
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) rows.push_back(parse_line(line));
  return rows;
}

// --- processes -------------------------------------------------------------------

void trace_exec() {
  uint64_t count = scaled(100, 10);
  std::string path = folder() + "/wg-gadget";
  write_tiny_program(path);
  Watch watch({"trace_exec", "--comm", "wg-gadget"}, {"exec"});
  for (uint64_t i = 0; i < count; i++) wait_for(spawn(path, {"wg-gadget", std::to_string(i)}));
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows");
  for (uint64_t i = 0; i < count; i++)
    expect_equal(seen.rows[i]["argv"].dump(), fmt::format(R"(["wg-gadget","{}"])", i), "argv");
}

// A process that gets signals and ignores them, until the case ends.
class Deaf {
 public:
  Deaf()
      : pid_(start_child([] {
          signal(SIGUSR1, SIG_IGN);
          while (true) pause();
          return 0;
        })) {
    while (!ignores(SIGUSR1)) usleep(1000);
  }
  ~Deaf() {
    kill(pid_, SIGKILL);
    wait_for(pid_);
  }
  Deaf(const Deaf &) = delete;
  Deaf &operator=(const Deaf &) = delete;
  pid_t pid() const { return pid_; }

 private:
  // SigIgn has a bit for each signal.
  bool ignores(int signal) const {
    std::string status = read_file(fmt::format("/proc/{}/status", pid_));
    size_t at = status.find("SigIgn:");
    return at != std::string::npos && strtoull(status.c_str() + at + 7, nullptr, 16) >> (signal - 1) & 1;
  }
  pid_t pid_;
};

void sigsnoop_trace_signal() {
  uint64_t count = scaled(200, 20);
  Deaf deaf;
  Watch all({"sigsnoop", "-p", own_pid()}, {"signal"});
  Watch one({"sigsnoop", "-p", own_pid(), "-s", "USR1", "-k"}, {"signal"});
  Watch failed({"sigsnoop", "-x", "-p", own_pid()}, {"signal"});
  Watch gadget({"trace_signal", "-p", own_pid(), "--set", "signal=USR1"}, {"signal"});
  for (uint64_t i = 0; i < count; i++) {
    must(kill(deaf.pid(), SIGUSR1), "kill");
    must(kill(deaf.pid(), SIGCONT), "kill");
    expect(kill(0x3fffffff, SIGUSR1) != 0 && errno == ESRCH, "nobody was killed");
  }
  Seen every = all.stop(), wanted = one.stop(), nobody = failed.stop(), traced = gadget.stop();
  auto to_the_child = [&](const Seen &seen, int signal) {
    return rows_where(rows_where(seen.rows, "target", deaf.pid()), "signal", signal).size();
  };
  expect_all(to_the_child(every, SIGUSR1), {0, 0, 0, every.losses["signal"].lost}, count, "rows of SIGUSR1");
  expect_all(to_the_child(every, SIGCONT), {0, 0, 0, every.losses["signal"].lost}, count, "rows of SIGCONT");
  expect_all(to_the_child(wanted, SIGUSR1), {0, 0, 0, wanted.losses["signal"].lost}, count, "rows of -s USR1");
  expect_equal(rows_where(wanted.rows, "signal", SIGUSR1).size(), wanted.rows.size(), "rows of another signal");
  expect_all(rows_where(nobody.rows, "errno", ESRCH).size(), {0, 0, 0, nobody.losses["signal"].lost}, count,
             "attempts that failed");
  expect_equal(rows_where(nobody.rows, "errno", 0).size(), size_t{0}, "rows of -x that did not fail");
  expect_all(to_the_child(traced, SIGUSR1), {0, 0, 0, traced.losses["signal"].lost}, count, "rows of trace_signal");
}

void profile_cpu() {
  pid_t spinner = start_child([] {
    set_name("wg-spin");
    while (true) continue;
    return 0;
  });
  Watch watch({"profile_cpu", "-p", std::to_string(spinner), "--set", "hz=49", "-d", "2s"}, {"cpu"});
  Seen seen = watch.wait_for_end();
  kill(spinner, SIGKILL);
  wait_for(spinner);
  expect(!seen.rows.empty(), "no samples of a task that runs");
  for (const Json &row : seen.rows) expect_equal(text(row, "comm"), "wg-spin", "comm");
  expect_equal(sum_of(seen.rows, "count"), seen.losses["cpu"].delivered, "samples by stack against those taken");
}

// --- what there is now -----------------------------------------------------------

void snapshots() {
  enter_new_network();
  set_name("wg-snapshot");
  std::vector<Json> processes = rows_of({"snapshot_process", "-p", own_pid()});
  expect_equal(processes.size(), size_t{1}, "rows of the process");
  expect_equal(text(processes[0], "comm"), "wg-snapshot", "comm");
  expect_equal(number(processes[0], "ppid"), static_cast<uint64_t>(getppid()), "ppid");

  constexpr int kWaiting = 3, kBacklog = 7;
  Place place{"127.77.1.9", 7801};
  int listener = listen_at(place, kBacklog);
  for (int i = 0; i < kWaiting; i++) connect_to(place);
  std::vector<Json> sockets = rows_of({"snapshot_socket", "-p", own_pid()});
  std::vector<Json> listening = rows_where(sockets, "state", "LISTEN");
  expect_equal(listening.size(), size_t{1}, "listeners");
  expect_equal(number(listening[0], "local_port"), 7801u, "port");
  expect_equal(rows_where(rows_where(sockets, "state", "ESTABLISHED"), "remote_port", 7801).size(), size_t{kWaiting},
               "connections of the process");
  std::vector<Json> queues = rows_of({"tcpsynbl", "-p", own_pid(), "1", "1"});
  std::vector<Json> queue = rows_where(rows_where(queues, "state", "LISTEN"), "local_port", 7801);
  expect_equal(queue.size(), size_t{1}, "queues");
  expect_equal(number(queue[0], "backlog"), uint64_t{kWaiting}, "connections in the queue");
  expect_equal(number(queue[0], "backlog_most"), uint64_t{kBacklog}, "room in the queue");
  close(listener);
}

void top_process() {
  pid_t spinner = start_child([] {
    set_name("wg-spin");
    while (true) continue;
    return 0;
  });
  std::vector<Json> intervals = rows_of({"top_process", "-i", "1s", "-c", "2"});
  kill(spinner, SIGKILL);
  wait_for(spinner);
  expect_equal(intervals.size(), size_t{2}, "intervals");
  for (const Json &interval : intervals) {
    expect(interval.contains("processes"), "no processes: " + interval.dump().substr(0, 300));
    std::vector<Json> ours;
    // Those that have ended are one row for each name, without a process id.
    for (const Json &row : interval["processes"])
      if (row["pid"] == spinner) ours.push_back(row);
    expect_equal(ours.size(), size_t{1}, "rows of the one that spins");
    expect_equal(text(ours[0], "comm"), "wg-spin", "comm");
  }
}

// --- files and disks -------------------------------------------------------------

void open_write_read(const std::string &path, uint64_t count) {
  char block[4096] = {};
  for (uint64_t i = 0; i < count; i++) {
    int fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open " + path);
    expect_equal(pwrite(fd, block, sizeof(block), 0), ssize_t{sizeof(block)}, "pwrite");
    expect_equal(pread(fd, block, sizeof(block), 0), ssize_t{sizeof(block)}, "pread");
    close(fd);
    expect(open((path + ".missing").c_str(), O_RDONLY | O_CLOEXEC) < 0, "a missing file was opened");
  }
}

void trace_open_fsslower_top_file() {
  uint64_t count = scaled(200, 20);
  std::string path = folder() + "/wg-file-of-gadgets";
  Watch opens({"trace_open", "-p", own_pid()}, {"open"});
  Watch failed({"trace_open", "-p", own_pid(), "--failed"}, {"open"});
  Watch slow({"trace_fsslower", "--min", "0", "-p", own_pid()}, {"fs"});
  Watch never({"trace_fsslower", "--min", "1h", "-p", own_pid()}, {"fs"});
  Watch files({"top_file", "-p", own_pid(), "--interval", "0"}, {"file"});
  open_write_read(path, count);
  Seen opened = opens.stop(), missing = failed.stop(), calls = slow.stop(), none = never.stop(), top = files.stop();
  expect_all(rows_where(opened.rows, "path", path).size(), {0, 0, 0, opened.losses["open"].lost}, count, "opens");
  expect_all(rows_where(missing.rows, "errno", ENOENT).size(), {0, 0, 0, missing.losses["open"].lost}, count,
             "opens that failed");
  expect_equal(rows_where(missing.rows, "errno", 0).size(), size_t{0}, "rows of --failed that did not fail");
  std::vector<Json> ours = rows_where(calls.rows, "path", path);
  for (const char *op : {"open", "write", "read"})
    expect_all(rows_where(ours, "op", op).size(), {0, 0, 0, calls.losses["fs"].lost}, count,
               std::string("calls: ") + op);
  expect_equal(none.rows.size(), size_t{0}, "calls that took an hour");
  for (const char *op : {"write", "read"}) {
    std::vector<Json> rows = rows_where(rows_where(top.rows, "name", "wg-file-of-gadgets"), "op", op);
    expect_equal(rows.size(), size_t{1}, std::string("rows of the file: ") + op);
    expect_all(number(rows[0], "count"), {0, 0, 0, top.losses["file"].lost}, count, std::string("calls: ") + op);
    expect_equal(number(rows[0], "bytes"), number(rows[0], "count") * 4096, "bytes");
  }
}

void profile_and_top_blockio() {
  LoopDevice device(16 << 20);
  uint64_t count = scaled(500, 50);
  std::string where = "device=" + device.name();
  Watch summed({"profile_blockio", "--by", "device,op", "--where", where}, {"block"});
  Watch top({"top_blockio", "--interval", "0", "--where", where}, {"block"});
  int fd = must(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC), "open " + device.path());
  void *memory = nullptr;
  expect(posix_memalign(&memory, 4096, 4096) == 0, "no memory");
  memset(memory, 0, 4096);
  for (uint64_t i = 0; i < count; i++)
    expect_equal(pwrite(fd, memory, 4096, static_cast<off_t>(i * 4096)), ssize_t{4096}, "pwrite");
  free(memory);
  close(fd);
  usleep(50'000);
  Seen histograms = summed.stop(), processes = top.stop();
  auto writes = [](const Seen &seen) {
    std::vector<Json> rows;
    for (const Json &row : seen.rows)
      if (text(row, "op").starts_with("WRITE")) rows.push_back(row);
    return rows;
  };
  std::vector<Json> rows = writes(histograms);
  expect_equal(rows.size(), size_t{1}, "histograms of writes");
  expect_equal(number(rows[0], "requests"), count, "requests");
  rows = rows_where(writes(processes), "pid", getpid());
  expect_equal(rows.size(), size_t{1}, "rows of the process");
  expect_equal(number(rows[0], "bytes"), count * 4096, "bytes");
}

// --- connections -----------------------------------------------------------------

// Connects, sends so much, closes; the other end has read all and closed last.
void connect_and_send(int listener, const Place &place, uint64_t bytes) {
  int fd = connect_to(place);
  int other = must(accept(listener, nullptr, nullptr), "accept");
  send_all(fd, bytes);
  shutdown(fd, SHUT_WR);
  expect_equal(receive_all(other), bytes, "bytes received");
  close(other);
  expect_equal(receive_all(fd), uint64_t{0}, "bytes that came back");
  close(fd);
}

// Each connection is opened, accepted, and closed at two ends.
void tcptracer_trace_tcp() {
  enter_new_network();
  uint64_t count = scaled(100, 10);
  std::vector<Place> places = {{"127.77.1.9", 7811}, {"::1", 7811}};
  int v4 = listen_at(places[0]), v6 = listen_at(places[1]);
  std::vector<std::string> sensors = {"tcp_connect", "tcp_accept", "tcp_close"};
  Watch all({"tcptracer"}, sensors), fours({"tcptracer", "-4"}, sensors), gadget({"trace_tcp"}, sensors);
  for (uint64_t i = 0; i < count; i++) {
    connect_and_send(v4, places[0], 500);
    connect_and_send(v6, places[1], 500);
  }
  struct {
    const char *name;
    Seen seen;
    bool v6;
  } each[] = {{"tcptracer", all.stop(), true}, {"tcptracer -4", fours.stop(), false}, {"trace_tcp", gadget.stop(), true}};
  for (auto &[name, seen, has_v6] : each) {
    for (const Place &place : places) {
      uint64_t expected = place.is_v6() && !has_v6 ? 0 : count;
      auto rows = [&](const char *sensor, const char *port) {
        return rows_where(rows_where(rows_where(seen.rows, "sensor", sensor), "remote", place.address), port, 7811)
            .size();
      };
      std::string what = fmt::format(" of {} to {}", name, place.address);
      expect_equal(rows("tcp_connect", "remote_port"), expected, "rows of connects" + what);
      expect_equal(rows("tcp_close", "remote_port"), expected, "rows of ends that close" + what);
      // Of the other end only the port of the listener is known before it connects.
      std::vector<Json> accepts = rows_where(rows_where(seen.rows, "sensor", "tcp_accept"), "local_port", 7811);
      std::vector<Json> there = rows_where(accepts, "local", place.address);
      expect_equal(there.size(), expected, "rows of accepts" + what);
    }
    for (const std::string &sensor : sensors) expect_equal(seen.losses[sensor].lost, 0u, "lost by " + sensor);
  }
}

void profile_tcprtt_top_tcp() {
  enter_new_network();
  uint64_t count = scaled(100, 10);
  Place near{"127.77.1.9", 7812}, far{"127.78.1.9", 7812};
  int near_fd = listen_at(near), far_fd = listen_at(far);
  Watch times({"profile_tcprtt", "--by", "remote"}, {"tcp_rtt"});
  Watch flows({"top_tcp", "-p", own_pid(), "--interval", "0", "--top", "0"}, {"tcp_flow"});
  for (uint64_t i = 0; i < count; i++) {
    connect_and_send(near_fd, near, 3000);
    connect_and_send(far_fd, far, 3000);
  }
  Seen rtt = times.stop(), top = flows.stop();
  for (const Place &place : {near, far}) {
    std::vector<Json> rows = rows_where(rtt.rows, "remote", place.address);
    expect_equal(rows.size(), size_t{1}, "histograms of " + place.address);
    expect(number(rows[0], "count") >= count, "fewer measurements than connections to " + place.address);
    std::vector<Json> sent = rows_where(rows_where(top.rows, "remote", place.address), "remote_port", 7812);
    expect_equal(sum_of(sent, "sent"), count * 3000, "bytes sent to " + place.address);
    std::vector<Json> got = rows_where(rows_where(top.rows, "local", place.address), "local_port", 7812);
    expect_equal(sum_of(got, "received"), count * 3000, "bytes received at " + place.address);
  }
}

// Those that took at least as long as what the network adds, and no others.
void tcpconnlat() {
  enter_new_network();
  Place place{"127.77.1.9", 7813};
  int listener = listen_at(place);
  Watch all({"tcpconnlat", "-p", own_pid()}, {"tcp_connect"}), slow({"tcpconnlat", "80"}, {"tcp_connect"});
  constexpr uint64_t kFast = 10, kSlow = 5;
  for (uint64_t i = 0; i < kFast; i++) connect_and_send(listener, place, 10);
  must_run({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "60ms"});
  for (uint64_t i = 0; i < kSlow; i++) connect_and_send(listener, place, 10);
  Seen seen = all.stop(), late = slow.stop();
  std::vector<Json> rows = rows_where(seen.rows, "remote_port", 7813);
  expect_equal(rows.size(), kFast + kSlow, "rows of connects");
  for (uint64_t i = kFast; i < kFast + kSlow; i++)
    expect(number(rows[i], "latency") >= 120'000'000, fmt::format("a latency of {} ns", number(rows[i], "latency")));
  uint64_t expected = 0;
  for (const Json &row : rows) expected += number(row, "latency") >= 80'000'000;
  expect_equal(rows_where(late.rows, "remote_port", 7813).size(), expected, "rows of slow connects");
  expect(expected >= kSlow, "slow connects are missing");
}

void trace_tcpretrans() {
  enter_new_network();
  must_run({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "20%"});
  Place place{"127.77.1.9", 7814};
  int listener = listen_at(place);
  uint64_t count = scaled(40, 10), before = retransmitted();
  Watch watch({"trace_tcpretrans"}, {"tcp_retransmit"});
  for (uint64_t i = 0; i < count; i++) connect_and_send(listener, place, 20'000);
  must_run({"tc", "qdisc", "del", "dev", "lo", "root"});
  // What was lost last is sent again within a second or two.
  usleep(3'000'000);
  uint64_t again = retransmitted() - before;
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "remote_port", 7814);
  for (const Json &row : rows_where(seen.rows, "local_port", 7814)) rows.push_back(row);
  expect(again > 0, "nothing was sent again");
  expect_equal(sum_of(rows, "segments"), again, "segments against the kernel's own count");
}

void trace_tcpdrop() {
  enter_new_network();
  uint64_t count = scaled(200, 20);
  Watch watch({"trace_tcpdrop"}, {"drop"});
  Place closed{"127.77.1.9", 7815};
  for (uint64_t i = 0; i < count; i++) {
    int fd = new_socket(closed, SOCK_STREAM);
    expect_equal(try_connect(fd, closed), ECONNREFUSED, "errno of connect(2) to a closed port");
    close(fd);
  }
  Seen seen = watch.stop();
  expect_equal(rows_where(seen.rows, "destination_port", 7815).size(), count, "rows of SYNs to a closed port");
  expect_equal(rows_where(seen.rows, "ip_protocol", "TCP").size(), seen.rows.size(), "rows of TCP");
}

// source: RFC 1035 §4.1
void trace_dns() {
  enter_new_network();
  Place place{"127.77.1.9", 53};
  int server = new_socket(place, SOCK_DGRAM);
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  must(bind(server, reinterpret_cast<sockaddr *>(&storage), length), "bind");
  int client = new_socket(place, SOCK_DGRAM);
  expect_equal(try_connect(client, place), 0, "errno of connect(2)");
  uint64_t count = scaled(50, 10);
  Watch all({"trace_dns", "-p", own_pid()}, {"dns"}), failed({"trace_dns", "--failed", "-p", own_pid()}, {"dns"});
  for (uint64_t i = 0; i < count; i++) {
    using namespace std::string_view_literals;
    std::string packet("\0\0\1\0\0\1\0\0\0\0\0\0\6gadget\4test\0\0\1\0\1"sv);
    packet[1] = static_cast<char>(i);
    expect_equal(send(client, packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()), "send");
    char answer[100];
    socklen_t from_length = sizeof(storage);
    ssize_t got = recvfrom(server, answer, sizeof(answer), 0, reinterpret_cast<sockaddr *>(&storage), &from_length);
    expect_equal(got, static_cast<ssize_t>(packet.size()), "question");
    answer[2] = static_cast<char>(0x81);
    answer[3] = static_cast<char>(i % 2 == 0 ? 0x80 : 0x83);  // every other name does not exist
    must(sendto(server, answer, packet.size(), 0, reinterpret_cast<sockaddr *>(&storage), from_length), "sendto");
    expect_equal(recv(client, answer, sizeof(answer), 0), got, "answer");
  }
  Seen seen = all.stop(), bad = failed.stop();
  expect_equal(seen.rows.size(), count, "rows");
  for (uint64_t i = 0; i < count; i++) {
    expect_equal(text(seen.rows[i], "name"), "gadget.test", "name");
    expect_equal(number(seen.rows[i], "id"), i, "id");
    expect_equal(text(seen.rows[i], "rcode"), i % 2 == 0 ? "NOERROR" : "NXDOMAIN", "rcode");
  }
  expect_equal(bad.rows.size(), count / 2, "rows of names that do not exist");
}

}  // namespace

void add_gadget_cases(std::vector<Case> &cases) {
  cases.push_back({"tool: trace_exec", {}, trace_exec});
  cases.push_back({"tool: sigsnoop -p -s -k -x, trace_signal", {}, sigsnoop_trace_signal});
  cases.push_back({"tool: profile_cpu -p", {}, profile_cpu});
  cases.push_back({"tool: snapshot_process, snapshot_socket, tcpsynbl", {}, snapshots});
  cases.push_back({"tool: top_process", {}, top_process, seconds(60)});
  cases.push_back({"tool: trace_open, trace_fsslower, top_file", {}, trace_open_fsslower_top_file, seconds(60)});
  cases.push_back({"tool: profile_blockio, top_blockio", {Need::kLoop}, profile_and_top_blockio});
  cases.push_back({"tool: tcptracer -4, trace_tcp", {}, tcptracer_trace_tcp, seconds(60)});
  cases.push_back({"tool: profile_tcprtt, top_tcp", {}, profile_tcprtt_top_tcp});
  cases.push_back({"tool: tcpconnlat MIN_MS", {Need::kNetem}, tcpconnlat});
  cases.push_back({"tool: trace_tcpretrans", {Need::kNetem}, trace_tcpretrans, seconds(120)});
  cases.push_back({"tool: trace_tcpdrop", {}, trace_tcpdrop});
  cases.push_back({"tool: trace_dns --failed", {}, trace_dns});
}

}  // namespace waggle::suite
