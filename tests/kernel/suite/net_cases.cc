// Connections, what they carried, what was lost and what was thrown away, each in a
// network namespace of the case's own: nobody else sends there.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "activity.h"
#include "net_activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// --- connect ---------------------------------------------------------------------

void connect_good_and_refused() {
  enter_new_network();
  uint64_t count = scaled(100, 10);
  Watch watch({"tcp_connect", "--view", "stream"});
  struct Done {
    Place to;
    uint16_t from;
    int error;
    uint64_t took;
  };
  std::vector<Done> done;
  for (const char *address : {"127.77.1.9", "::1"}) {
    Place place{address, 7001}, closed{address, 7002};
    int listener = listen_at(place);
    for (uint64_t i = 0; i < count; i++) {
      for (const Place &to : {place, closed}) {
        int fd = new_socket(to, SOCK_STREAM);
        uint64_t began = now_ns();
        int error = try_connect(fd, to);
        done.push_back({to, error == 0 ? local_port(fd) : uint16_t{0}, error, now_ns() - began});
        close(fd);
      }
      close(must(accept(listener, nullptr, nullptr), "accept"));
    }
    close(listener);
  }
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "pid", getpid());
  expect_equal(rows.size(), done.size(), "rows of connects");
  for (size_t i = 0; i < rows.size(); i++) {
    const Done &each = done[i];
    expect_equal(each.error, i % 2 == 0 ? 0 : ECONNREFUSED, "errno of connect(2)");
    expect_equal(number(rows[i], "errno"), static_cast<uint64_t>(each.error), "errno");
    expect_equal(text(rows[i], "remote"), each.to.address, "remote");
    expect_equal(number(rows[i], "remote_port"), uint64_t{each.to.port}, "remote_port");
    if (each.from != 0) expect_equal(number(rows[i], "local_port"), uint64_t{each.from}, "local_port");
    expect_between(number(rows[i], "latency"), uint64_t{1}, each.took, "latency, ns");
    expect_equal(number(rows[i], "retransmits"), 0u, "retransmits");
  }
}

// A listener whose queue is full drops SYNs: connect(2) gives up, after a few retries.
void connect_unanswered() {
  enter_new_network();
  Place place{"127.77.1.9", 7001};
  int listener = listen_at(place, 0);
  int filler = connect_to(place);
  Watch watch({"tcp_connect", "--view", "stream", "--failed", "-p", std::to_string(getpid())});
  int given_up = new_socket(place, SOCK_STREAM), retries = 1;
  must(setsockopt(given_up, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries)), "TCP_SYNCNT");
  uint64_t began = now_ns(), before = retransmitted();
  expect_equal(try_connect(given_up, place), ETIMEDOUT, "errno of connect(2)");
  uint64_t took = now_ns() - began, again = retransmitted() - before;
  // One that is closed before it was answered.
  int closed = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  expect_equal(try_connect(closed, place), EINPROGRESS, "errno of connect(2)");
  usleep(50'000);
  close(closed);
  usleep(50'000);
  Seen seen = watch.stop();
  close(filler);
  close(listener);
  expect_equal(seen.rows.size(), size_t{2}, "rows of failed connects");
  expect_equal(number(seen.rows[0], "errno"), uint64_t{ETIMEDOUT}, "errno");
  expect_equal(number(seen.rows[0], "retransmits"), again, "retransmits against TcpRetransSegs");
  // On an emulated CPU it can take its time to wake up.
  expect_between(number(seen.rows[0], "latency"), settings().scale > 1 ? took / 2 : took * 9 / 10, took, "latency, ns");
  expect_equal(number(seen.rows[1], "errno"), uint64_t{ECANCELED}, "errno of the one that was closed");
  expect_between(number(seen.rows[1], "latency"), uint64_t{50'000'000}, uint64_t{2'000'000'000}, "latency, ns");
}

// --- close -----------------------------------------------------------------------

// Each connection is two rows here, one for each end.
void close_bytes_both_ways() {
  enter_new_network();
  struct Transfer {
    const char *address;
    uint64_t there, back;
  };
  const Transfer transfers[] = {{"127.77.1.9", 0, 0},
                                {"127.77.1.9", 1, 0},
                                {"127.77.1.9", 100, 20'000},
                                {"::1", 5'000, 7'777},
                                {"127.77.1.9", scaled(30'000'000), 12'345}};
  std::vector<uint64_t> lived;
  Watch watch({"tcp_close"});
  pid_t server = 0;
  for (size_t i = 0; i < std::size(transfers); i++) {
    const Transfer &each = transfers[i];
    Place place{each.address, static_cast<uint16_t>(7100 + i)};
    int listener = listen_at(place);
    server = start_child([&] {
      set_name("wg-server");
      int fd = must(accept(listener, nullptr, nullptr), "accept");
      uint64_t got = receive_all(fd);
      send_all(fd, each.back);
      close(fd);
      return got == each.there ? 0 : 1;
    });
    uint64_t began = now_ns();
    int fd = connect_to(place);
    send_all(fd, each.there);
    usleep(20'000);
    shutdown(fd, SHUT_WR);
    expect_equal(receive_all(fd), each.back, "bytes that came back");
    close(fd);
    lived.push_back(now_ns() - began);
    expect_equal(wait_for(server), 0, "status of the server");
    close(listener);
  }
  // The last acknowledgement may still be under way.
  usleep(200'000);
  Seen seen = watch.stop();
  for (size_t i = 0; i < std::size(transfers); i++) {
    const Transfer &each = transfers[i];
    auto port = static_cast<uint16_t>(7100 + i);
    std::vector<Json> client = rows_where(seen.rows, "remote_port", port),
                      other = rows_where(seen.rows, "local_port", port);
    std::string where = fmt::format(" ({}, {} bytes there, {} back)", each.address, each.there, each.back);
    expect_equal(client.size(), size_t{1}, "rows of the end that connected" + where);
    expect_equal(other.size(), size_t{1}, "rows of the end that accepted" + where);
    expect_equal(text(client[0], "direction"), "out", "direction" + where);
    expect_equal(text(other[0], "direction"), "in", "direction" + where);
    expect_equal(number(client[0], "sent"), each.there, "sent" + where);
    expect_equal(number(client[0], "received"), each.back, "received" + where);
    expect_equal(number(other[0], "sent"), each.back, "sent by the other end" + where);
    expect_equal(number(other[0], "received"), each.there, "received by the other end" + where);
    expect_equal(number(client[0], "pid"), static_cast<uint64_t>(getpid()), "pid" + where);
    expect_equal(text(other[0], "comm"), "wg-server", "comm" + where);
    // What connects to 127.77.1.9 comes from 127.0.0.1.
    std::string from = each.address == std::string("::1") ? "::1" : "127.0.0.1";
    expect_equal(text(client[0], "remote"), each.address, "remote" + where);
    expect_equal(text(client[0], "local"), from, "local" + where);
    expect_equal(text(other[0], "local"), each.address, "local of the other end" + where);
    expect_equal(text(other[0], "remote"), from, "remote of the other end" + where);
    for (const Json &row : {client[0], other[0]}) {
      expect_equal(number(row, "errno"), 0u, "errno" + where);
      expect_between(number(row, "duration"), uint64_t{20'000'000}, lived[i] + 500'000'000, "duration, ns" + where);
    }
  }
}

void close_reset() {
  enter_new_network();
  Place place{"127.77.1.9", 7200};
  int listener = listen_at(place);
  Watch watch({"tcp_close"});
  int fd = connect_to(place), other = must(accept(listener, nullptr, nullptr), "accept");
  send_all(fd, 1000);
  char block[2000];
  expect_equal(recv(other, block, 1000, MSG_WAITALL), ssize_t{1000}, "recv");
  linger reset = {1, 0};
  must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
  usleep(20'000);
  close(fd);
  usleep(100'000);
  expect(recv(other, block, sizeof(block), 0) < 0 && errno == ECONNRESET, "the other end was not reset");
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "local_port", 7200);
  expect_equal(rows.size(), size_t{1}, "rows of the end that was reset");
  expect_equal(number(rows[0], "errno"), uint64_t{ECONNRESET}, "errno");
  expect_equal(number(rows[0], "received"), uint64_t{1000}, "received");
  rows = rows_where(seen.rows, "remote_port", 7200);
  expect_equal(rows.size(), size_t{1}, "rows of the end that reset");
  expect_equal(number(rows[0], "errno"), 0u, "errno of the end that reset");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(getpid()), "pid");
}

// --- retransmit ------------------------------------------------------------------

uint64_t segments_of(const std::vector<Json> &rows) {
  uint64_t segments = 0;
  for (const Json &row : rows) segments += number(row, "segments");
  return segments;
}

void retransmit_syn() {
  enter_new_network();
  Place place{"127.77.1.9", 7300};
  int listener = listen_at(place, 0);
  int filler = connect_to(place);
  uint64_t before = retransmitted();
  Watch watch({"tcp_retransmit", "--view", "stream"});
  int fd = new_socket(place, SOCK_STREAM), retries = 1;
  must(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries)), "TCP_SYNCNT");
  expect_equal(try_connect(fd, place), ETIMEDOUT, "errno of connect(2)");
  Seen seen = watch.stop();
  close(filler);
  close(listener);
  std::vector<Json> rows = rows_where(seen.rows, "remote", place.address);
  expect_equal(segments_of(rows), retransmitted() - before, "segments against TcpRetransSegs");
  expect(!rows.empty(), "no rows");
  expect_equal(text(rows[0], "cause"), "syn", "cause");
  expect_equal(text(rows[0], "state"), "SYN_SENT", "state");
  expect_equal(number(rows[0], "remote_port"), 7300u, "remote_port");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(getpid()), "pid");
}

// A link that loses every tenth packet, in two namespaces.
void retransmit_lossy_link() {
  enter_new_network();
  must_run({"ip", "link", "add", "near", "type", "veth", "peer", "name", "far"});
  int ready[2], go[2];
  must(pipe2(ready, O_CLOEXEC), "pipe");
  must(pipe2(go, O_CLOEXEC), "pipe");
  uint64_t bytes = scaled(20'000'000);
  pid_t server = start_child([&] {
    must(unshare(CLONE_NEWNET), "unshare a network");
    char byte = 0;
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1) return 2;
    must_run({"ip", "addr", "add", "10.77.1.2/24", "dev", "far"});
    must_run({"ip", "link", "set", "far", "up"});
    int listener = listen_at({"10.77.1.2", 7400});
    if (write(ready[1], &byte, 1) != 1) return 2;
    int fd = must(accept(listener, nullptr, nullptr), "accept");
    uint64_t got = receive_all(fd);
    close(fd);
    return got == bytes ? 0 : 1;
  });
  char byte = 0;
  expect(read(ready[0], &byte, 1) == 1, "the other namespace is not there");
  must_run({"ip", "link", "set", "far", "netns", std::to_string(server)});
  must_run({"ip", "addr", "add", "10.77.1.1/24", "dev", "near"});
  must_run({"ip", "link", "set", "near", "up"});
  must_run({"tc", "qdisc", "add", "dev", "near", "root", "netem", "loss", "10%", "delay", "2ms"});
  Watch watch({"tcp_retransmit", "--view", "stream"});
  uint64_t before = retransmitted();
  expect(write(go[1], &byte, 1) == 1 && read(ready[0], &byte, 1) == 1, "the other namespace is not ready");
  int fd = connect_to({"10.77.1.2", 7400});
  send_all(fd, bytes);
  shutdown(fd, SHUT_WR);
  expect_equal(receive_all(fd), 0u, "bytes that came back");
  close(fd);
  expect_equal(wait_for(server), 0, "status of the server");
  // The last FIN may be lost as well.
  uint64_t counted = retransmitted();
  for (int calm = 0; calm < 10; calm++) {
    usleep(100'000);
    uint64_t now = retransmitted();
    if (now != counted) calm = 0;
    counted = now;
  }
  Seen seen = watch.stop();
  uint64_t after = retransmitted() - before;
  std::vector<Json> rows = rows_where(seen.rows, "local", "10.77.1.1");
  expect(after > bytes / 1448 / 50, fmt::format("only {} segments were sent again", after));
  // A hook that the kernel skipped lost no segment: the next one counts the growth since the last.
  expect_equal(segments_of(rows), after, "segments against TcpRetransSegs");
  for (const Json &row : rows) expect_equal(number(row, "remote_port"), 7400u, "remote_port");
  if (!programs_are_preempted()) expect_equal(seen.losses["tcp_retransmit"].lost, 0u, "lost");
  note(fmt::format("{} segments in {} rows", after, rows.size()));
}

// --- round trips -----------------------------------------------------------------

void rtt_of_a_connection() {
  enter_new_network();
  Place place{"127.77.1.9", 7500};
  int listener = listen_at(place);
  Watch watch({"tcp_rtt", "--view", "top", "--top", "0"});
  int fd = connect_to(place), other = must(accept(listener, nullptr, nullptr), "accept");
  uint64_t count = scaled(500, 50);
  char byte = 'r';
  for (uint64_t i = 0; i < count; i++) {
    expect(send(fd, &byte, 1, 0) == 1 && recv(other, &byte, 1, 0) == 1, "there");
    expect(send(other, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1, "and back");
  }
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "remote", place.address);
  expect_equal(rows.size(), size_t{1}, "rows of the address");
  // Each end receives each time.
  expect(number(rows[0], "count") >= count,
         fmt::format("{} measurements of {} round trips", number(rows[0], "count"), count));
  expect_between(number(rows[0], "rtt_max"), uint64_t{1}, uint64_t{1'000'000'000}, "largest rtt, ns");
}

// --- drop ------------------------------------------------------------------------

struct Dropped {
  uint64_t count;
  std::vector<Json> rows;
};

Dropped send_to_closed_port(const Place &place) {
  Dropped dropped{scaled(500, 50), {}};
  Watch watch({"drop", "--view", "stream"});
  int fd = new_socket(place, SOCK_DGRAM);
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  for (uint64_t i = 0; i < dropped.count; i++)
    expect(sendto(fd, "datagram", 8, 0, reinterpret_cast<sockaddr *>(&storage), length) == 8, "sendto");
  Seen seen = watch.stop();
  expect_equal(seen.losses["drop"].lost, 0u, "lost");
  for (const Json &row : rows_where(seen.rows, "destination_port", place.port))
    if (text(row, "destination") == place.address && text(row, "ip_protocol") == "UDP") dropped.rows.push_back(row);
  return dropped;
}

void drop_closed_port() {
  enter_new_network();
  for (const Place &place : {Place{"127.77.1.9", 7600}, Place{"::1", 7601}}) {
    Dropped dropped = send_to_closed_port(place);
    expect_equal(dropped.rows.size(), dropped.count, "rows of datagrams to a closed port of " + place.address);
    for (const Json &row : dropped.rows) {
      expect_equal(text(row, "protocol"), place.is_v6() ? "IPv6" : "IPv4", "protocol");
      expect_equal(text(row, "interface"), "lo", "interface");
      expect(text(row, "location").find("udp") != std::string::npos, "dropped elsewhere: " + text(row, "location"));
    }
  }
}

void drop_reason() {
  enter_new_network();
  Dropped dropped = send_to_closed_port({"127.77.1.9", 7602});
  expect_equal(dropped.rows.size(), dropped.count, "rows of datagrams to a closed port");
  for (const Json &row : dropped.rows) expect_equal(text(row, "reason"), "NO_SOCKET", "reason");
}

// On all CPUs at once, where packets are dropped in interrupts that interrupt each
// other: each row has the stack of its own drop, which has the place of the drop in it.
void drop_stacks() {
  enter_new_network();
  constexpr int kSenders = 4;
  uint64_t count = scaled(500, 50);
  Place place{"127.77.1.9", 7603};
  Watch watch({"drop", "--view", "stream", "--set", "stacks=1", "--ring", "4MiB", "--where",
               "destination_port=7603"});
  std::vector<pid_t> senders;
  for (int i = 0; i < kSenders; i++)
    senders.push_back(start_child([&] {
      int fd = new_socket(place, SOCK_DGRAM);
      sockaddr_storage storage;
      socklen_t length = socket_address(place, storage);
      for (uint64_t n = 0; n < count; n++)
        if (sendto(fd, "datagram", 8, 0, reinterpret_cast<sockaddr *>(&storage), length) != 8) return 1;
      return 0;
    }));
  for (pid_t sender : senders) expect_equal(wait_for(sender), 0, "status of a sender");
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), {0, 0, 0, seen.losses["drop"].lost}, kSenders * count, "rows");
  for (const Json &row : seen.rows) {
    std::string location = text(row, "location");
    location = location.substr(0, location.find('+'));
    expect(row["stack"]["user"].empty(), "frames of a program: " + row.dump());
    bool found = false;
    for (const Json &frame : row["stack"]["kernel"])
      found |= frame.get<std::string>().substr(0, location.size()) == location;
    expect(found, "no frame of the function that dropped: " + row.dump());
  }
  Watch without({"drop", "--view", "stream", "--where", "destination_port=7603"});
  int fd = new_socket(place, SOCK_DGRAM);
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  must(sendto(fd, "datagram", 8, 0, reinterpret_cast<sockaddr *>(&storage), length), "sendto");
  Seen plain = without.stop();
  expect_equal(plain.rows.size(), size_t{1}, "rows without stacks");
  expect(plain.rows[0]["stack"]["kernel"].empty(), "a stack that was not asked for");
}

}  // namespace

void add_net_cases(std::vector<Case> &cases) {
  cases.push_back({"tcp_connect: good and refused, IPv4 and IPv6", {}, connect_good_and_refused});
  cases.push_back({"tcp_connect: unanswered, and closed meanwhile", {}, connect_unanswered});
  cases.push_back({"tcp_close: bytes both ways", {}, close_bytes_both_ways, seconds(60)});
  cases.push_back({"tcp_close: a reset", {}, close_reset});
  cases.push_back({"tcp_retransmit: a SYN", {}, retransmit_syn});
  cases.push_back({"tcp_retransmit: a lossy link, as nstat", {Need::kNetem}, retransmit_lossy_link, seconds(60)});
  cases.push_back({"tcp_rtt: every segment received", {}, rtt_of_a_connection});
  cases.push_back({"drop: a closed UDP port", {}, drop_closed_port});
  cases.push_back({"drop: the reason", {Need::kDropReasons}, drop_reason});
  cases.push_back({"drop: stacks, on all CPUs at once", {}, drop_stacks, seconds(60)});
}

}  // namespace waggle::suite
