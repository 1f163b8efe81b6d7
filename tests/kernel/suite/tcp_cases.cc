// Connections accepted, their states, what they carry, and how they fare, each in a
// network namespace of the case's own.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "activity.h"
#include "net_activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// --- accept ----------------------------------------------------------------------

// All connect first, and wait in the queue; then they are accepted one by one.
void accept_everyone() {
  enter_new_network();
  uint64_t count = scaled(100, 10), nap_ns = 50'000'000;
  Watch watch({"tcp_accept", "--view", "stream"});
  struct Done {
    Place at;
    uint16_t from;
    uint64_t left, queued_most;
  };
  std::vector<Done> done;
  set_name("wg-accepts");
  for (const char *address : {"127.77.1.9", "::1"}) {
    Place place{address, 7010};
    int listener = listen_at(place, 200);
    std::vector<int> clients;
    uint64_t began = now_ns();
    for (uint64_t i = 0; i < count; i++) clients.push_back(connect_to(place));
    usleep(static_cast<useconds_t>(nap_ns / 1000));
    for (uint64_t i = 0; i < count; i++) {
      int fd = must(i % 2 == 0 ? accept(listener, nullptr, nullptr) : accept4(listener, nullptr, nullptr, SOCK_CLOEXEC),
                    "accept");
      done.push_back({place, local_port(clients[i]), count - 1 - i, now_ns() - began});
      close(fd);
    }
    // One that is not there is no row.
    must(fcntl(listener, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    expect(accept(listener, nullptr, nullptr) < 0 && errno == EAGAIN, "somebody else connected");
    for (int fd : clients) close(fd);
    close(listener);
  }
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "pid", getpid());
  expect_equal(rows.size(), done.size(), "rows of accepted connections");
  for (size_t i = 0; i < rows.size(); i++) {
    const Done &each = done[i];
    expect_equal(text(rows[i], "local"), each.at.address, "local");
    expect_equal(text(rows[i], "remote"), each.at.is_v6() ? "::1" : "127.0.0.1", "remote");
    expect_equal(number(rows[i], "local_port"), uint64_t{each.at.port}, "local_port");
    expect_equal(number(rows[i], "remote_port"), uint64_t{each.from}, "remote_port");
    expect_equal(number(rows[i], "backlog"), each.left, "backlog");
    expect_equal(number(rows[i], "backlog_most"), uint64_t{200}, "backlog_most");
    expect_equal(text(rows[i], "comm"), "wg-accepts", "comm");
    expect_between(number(rows[i], "latency"), nap_ns, each.queued_most, "latency, ns");
  }
}

void accept_filtered() {
  enter_new_network();
  Place place{"127.77.1.9", 7011};
  int listener = listen_at(place);
  Watch watch({"tcp_accept", "--view", "stream", "--min", "200ms"});
  int quick = connect_to(place), accepted = must(accept(listener, nullptr, nullptr), "accept");
  int slow = connect_to(place);
  usleep(250'000);
  int accepted_late = must(accept(listener, nullptr, nullptr), "accept");
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "local_port", 7011);
  // The quick one may have been slow on a busy machine, but never the other way round.
  expect_between(rows.size(), size_t{1}, size_t{2}, "rows of slow accepts");
  expect_equal(number(rows.back(), "remote_port"), uint64_t{local_port(slow)}, "remote_port");
  expect_between(number(rows.back(), "latency"), uint64_t{250'000'000}, uint64_t{20'000'000'000}, "latency, ns");
  for (int fd : {quick, accepted, slow, accepted_late}) close(fd);
}

// --- state -----------------------------------------------------------------------

std::vector<std::string> steps_of(const std::vector<Json> &rows) {
  std::vector<std::string> steps;
  for (const Json &row : rows) steps.push_back(text(row, "old_state") + ">" + text(row, "new_state"));
  return steps;
}
std::string joined(const std::vector<std::string> &steps) {
  std::string all;
  for (const std::string &step : steps) all += (all.empty() ? "" : " ") + step;
  return all;
}

void states_of_a_connection() {
  enter_new_network();
  for (const char *address : {"127.77.1.9", "::1"}) {
    Place place{address, 7020};
    Watch watch({"tcp_state"});
    int listener = listen_at(place);
    int client = connect_to(place), other = must(accept(listener, nullptr, nullptr), "accept");
    uint16_t from = local_port(client);
    usleep(30'000);
    close(client);
    char byte;
    expect_equal(recv(other, &byte, 1, 0), ssize_t{0}, "end of the connection");
    usleep(30'000);
    close(other);
    usleep(200'000);
    close(listener);
    Seen seen = watch.stop();
    std::vector<Json> ours = rows_where(seen.rows, "remote_port", 7020), theirs, listening;
    for (const Json &row : rows_where(seen.rows, "local_port", 7020))
      (number(row, "remote_port") == from ? theirs : listening).push_back(row);
    expect_equal(joined(steps_of(ours)),
                 "CLOSE>SYN_SENT SYN_SENT>ESTABLISHED ESTABLISHED>FIN_WAIT1 FIN_WAIT1>FIN_WAIT2 FIN_WAIT2>CLOSE",
                 "states of the end that connected");
    // A socket is made from the listener's: up to 6.12 at least it has the listener's ends
    // when it says so.
    size_t births = 0;
    for (std::vector<Json> *rows : {&theirs, &listening})
      births += std::erase_if(*rows, [](const Json &row) { return joined(steps_of({row})) == "LISTEN>SYN_RECV"; });
    expect_equal(births, size_t{1}, "rows of LISTEN>SYN_RECV");
    expect_equal(joined(steps_of(theirs)), "SYN_RECV>ESTABLISHED ESTABLISHED>CLOSE_WAIT CLOSE_WAIT>LAST_ACK LAST_ACK>CLOSE",
                 "states of the end that accepted");
    expect_equal(joined(steps_of(listening)), "CLOSE>LISTEN LISTEN>CLOSE", "states of the listener");
    for (const Json &row : ours) {
      expect_equal(text(row, "remote"), place.address, "remote");
      expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid of the end that connected");
    }
    for (const Json &row : listening)
      expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid of the listener");
    expect_between(number(ours[2], "duration"), uint64_t{30'000'000}, uint64_t{20'000'000'000},
                   "time in ESTABLISHED, ns");
    expect_between(number(theirs[2], "duration"), uint64_t{30'000'000}, uint64_t{20'000'000'000},
                   "time in CLOSE_WAIT, ns");
    expect_between(when_ns(ours[2]) - when_ns(ours[1]), number(ours[2], "duration"), number(ours[2], "duration"),
                   "duration against the times of the rows");
  }
}

void states_filtered() {
  enter_new_network();
  Watch watch({"tcp_state", "--set", "local_port=7021"});
  for (uint16_t port : {uint16_t{7021}, uint16_t{7022}}) {
    Place place{"127.77.1.9", port};
    int listener = listen_at(place), client = connect_to(place);
    close(client);
    close(listener);
  }
  Seen seen = watch.stop();
  expect(!seen.rows.empty(), "no rows");
  for (const Json &row : seen.rows) expect_equal(number(row, "local_port"), uint64_t{7021}, "local_port");
  expect(seen.losses["tcp_state"].filtered > 0, "nothing was filtered");
}

// --- flow ------------------------------------------------------------------------

Json flow_of(const std::vector<Json> &rows, const char *port_column, uint16_t port) {
  std::vector<Json> found = rows_where(rows, port_column, port);
  expect_equal(found.size(), size_t{1}, fmt::format("rows with {} {}", port_column, port));
  return found[0];
}

void flow_bytes() {
  enter_new_network();
  struct Transfer {
    const char *address;
    uint64_t there, back;
  };
  const Transfer transfers[] = {{"127.77.1.9", 1, 0},
                                {"127.77.1.9", 100, 20'000},
                                {"::1", 5'000, 7'777},
                                {"127.77.1.9", scaled(30'000'000), 12'345}};
  Watch watch({"tcp_flow", "--view", "top", "--top", "0"});
  std::vector<pid_t> servers;
  for (size_t i = 0; i < std::size(transfers); i++) {
    const Transfer &each = transfers[i];
    Place place{each.address, static_cast<uint16_t>(7030 + i)};
    int listener = listen_at(place);
    servers.push_back(start_child([&] {
      set_name("wg-server");
      int fd = must(accept(listener, nullptr, nullptr), "accept");
      uint64_t got = receive_all(fd);
      send_all(fd, each.back);
      close(fd);
      return got == each.there ? 0 : 1;
    }));
    int fd = connect_to(place);
    send_all(fd, each.there);
    shutdown(fd, SHUT_WR);
    if (each.back > 0) {
      // What is only looked at is not received.
      char byte;
      expect_equal(recv(fd, &byte, 1, MSG_PEEK), ssize_t{1}, "recv that looks");
    }
    expect_equal(receive_all(fd), each.back, "bytes that came back");
    close(fd);
    expect_equal(wait_for(servers.back()), 0, "status of the server");
    close(listener);
  }
  Seen seen = watch.stop();
  for (size_t i = 0; i < std::size(transfers); i++) {
    const Transfer &each = transfers[i];
    auto port = static_cast<uint16_t>(7030 + i);
    Json ours = flow_of(seen.rows, "remote_port", port), theirs = flow_of(seen.rows, "local_port", port);
    std::string where = fmt::format(" ({}, {} bytes there, {} back)", each.address, each.there, each.back);
    expect_equal(number(ours, "sent"), each.there, "sent" + where);
    expect_equal(number(ours, "received"), each.back, "received" + where);
    expect_equal(number(theirs, "sent"), each.back, "sent by the other end" + where);
    expect_equal(number(theirs, "received"), each.there, "received by the other end" + where);
    expect_equal(number(ours, "pid"), static_cast<uint64_t>(getpid()), "pid" + where);
    expect_equal(number(theirs, "pid"), static_cast<uint64_t>(servers[i]), "pid of the other end" + where);
    expect_equal(text(theirs, "comm"), "wg-server", "comm of the other end" + where);
    expect_equal(text(ours, "remote"), each.address, "remote" + where);
  }
}

// Each way into the kernel that sends or receives.
void flow_by_every_call() {
  enter_new_network();
  Place place{"127.77.1.9", 7040};
  int listener = listen_at(place);
  int fd = connect_to(place), other = must(accept(listener, nullptr, nullptr), "accept");
  write_file("payload", std::string(10'000, 'p'));
  int file = must(open("payload", O_RDONLY | O_CLOEXEC), "open");
  Watch watch({"tcp_flow", "--view", "top", "--top", "0"});
  char block[1000] = {};
  iovec pieces[2] = {{block, 300}, {block, 200}};
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  uint64_t sent = 0;
  for (ssize_t got : {write(fd, block, 1000), send(fd, block, 900, 0), writev(fd, pieces, 2), sendmsg(fd, &message, 0),
                      sendfile(fd, file, nullptr, 10'000)})
    sent += static_cast<uint64_t>(must(got, "send"));
  expect_equal(sent, uint64_t{12'900}, "bytes sent");
  uint64_t received = 0;
  auto take = [&](ssize_t got) { received += static_cast<uint64_t>(must(got, "receive")); };
  take(read(other, block, 1000));
  take(recv(other, block, 900, MSG_WAITALL));
  take(readv(other, pieces, 2));
  take(recvmsg(other, &message, 0));
  while (received < sent) take(recv(other, block, sizeof(block), 0));
  Seen seen = watch.stop();
  Json ours = flow_of(seen.rows, "remote_port", 7040), theirs = flow_of(seen.rows, "local_port", 7040);
  expect_equal(number(ours, "sent"), sent, "sent");
  expect_equal(number(ours, "received"), uint64_t{0}, "received");
  expect_equal(number(theirs, "received"), received, "received by the other end");
}

// --- reset -----------------------------------------------------------------------

// A connection that is cut off is two rows, one for each end; so is a port where
// nobody listens, which has no connection at the refusing end.
void resets_both_ways() {
  enter_new_network();
  uint64_t count = scaled(20, 5);
  Watch watch({"tcp_reset"});
  for (const char *address : {"127.77.1.9", "::1"}) {
    Place place{address, 7050};
    int listener = listen_at(place);
    for (uint64_t i = 0; i < count; i++) {
      int fd = connect_to(place), other = must(accept(listener, nullptr, nullptr), "accept");
      linger reset = {1, 0};
      must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
      close(fd);
      char byte;
      expect(recv(other, &byte, 1, 0) < 0 && errno == ECONNRESET, "the other end was not reset");
      close(other);
      int refused = new_socket(place, SOCK_STREAM);
      expect_equal(try_connect(refused, {address, 7051}), ECONNREFUSED, "errno of connect(2)");
      close(refused);
    }
    close(listener);
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), static_cast<size_t>(8 * count), "rows of resets");
  for (const char *address : {"127.77.1.9", "::1"}) {
    struct Kind {
      const char *end;
      uint16_t port;
      const char *direction, *state;
      bool has_owner;
    };
    const Kind kinds[] = {{"remote", 7050, "out", "CLOSE", true},
                          {"local", 7050, "in", "ESTABLISHED", false},
                          {"local", 7051, "out", "0", false},
                          {"remote", 7051, "in", "SYN_SENT", true}};
    for (const Kind &kind : kinds) {
      uint64_t found = 0;
      for (const Json &row : rows_where(seen.rows, kind.end, address)) {
        // ::1 is both ends.
        if (number(row, fmt::format("{}_port", kind.end).c_str()) != kind.port) continue;
        found++;
        expect_equal(text(row, "direction"), kind.direction, "direction");
        expect_equal(text(row, "state"), kind.state, "state");
        if (kind.has_owner) expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
      }
      expect_equal(found, count, fmt::format("rows {} of {} {}", kind.direction, address, kind.port));
    }
  }
}

// --- congestion ------------------------------------------------------------------

// A SYN that is not answered is a loss after one second.
void congestion_by_a_timeout() {
  enter_new_network();
  Place place{"127.77.1.9", 7060};
  int listener = listen_at(place, 0);
  int filler = connect_to(place);
  Watch watch({"tcp_congestion", "--view", "stream", "-p", std::to_string(getpid())});
  int fd = new_socket(place, SOCK_STREAM), retries = 1;
  must(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries)), "TCP_SYNCNT");
  expect_equal(try_connect(fd, place), ETIMEDOUT, "errno of connect(2)");
  Seen seen = watch.stop();
  close(filler);
  close(listener);
  expect(!seen.rows.empty(), "no rows");
  const Json &row = seen.rows[0];
  expect_equal(text(row, "old_state"), "Open", "old_state");
  expect_equal(text(row, "new_state"), "Loss", "new_state");
  expect_equal(text(row, "remote"), place.address, "remote");
  expect_equal(number(row, "remote_port"), 7060u, "remote_port");
  expect_between(number(row, "duration"), uint64_t{900'000'000}, uint64_t{10'000'000'000}, "time in Open, ns");
}

}  // namespace

void add_tcp_cases(std::vector<Case> &cases) {
  cases.push_back({"tcp_accept: everyone, IPv4 and IPv6", {}, accept_everyone});
  cases.push_back({"tcp_accept: only the slow", {}, accept_filtered});
  cases.push_back({"tcp_state: from birth to end", {}, states_of_a_connection});
  cases.push_back({"tcp_state: of one port", {}, states_filtered});
  cases.push_back({"tcp_flow: bytes both ways", {}, flow_bytes, seconds(60)});
  cases.push_back({"tcp_flow: every call that sends or receives", {}, flow_by_every_call});
  cases.push_back({"tcp_reset: sent and received, with and without a connection", {}, resets_both_ways});
  cases.push_back({"tcp_congestion: a timeout", {}, congestion_by_a_timeout});
}

}  // namespace waggle::suite
