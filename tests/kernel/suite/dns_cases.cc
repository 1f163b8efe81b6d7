// Names asked for, of a server that the case is itself, in a network of its own.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "activity.h"
#include "net_activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// source: RFC 1035 §4.1
std::string question(uint16_t id, const std::string &name, uint16_t type) {
  auto number = [](uint16_t n) { return std::string{static_cast<char>(n >> 8), static_cast<char>(n)}; };
  std::string packet = number(id) + number(0x0100) + number(1) + number(0) + number(0) + number(0);
  for (size_t at = 0; at < name.size();) {
    size_t dot = std::min(name.find('.', at), name.size());
    packet += static_cast<char>(dot - at);
    packet += name.substr(at, dot - at);
    at = dot + 1;
  }
  return packet + '\0' + number(type) + number(1);
}

struct Asked {
  std::string name;
  uint16_t type;
  const char *type_name;
  uint8_t rcode;
  const char *rcode_name;
};

int bound_server(const Place &place) {
  int fd = new_socket(place, SOCK_DGRAM);
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  must(bind(fd, reinterpret_cast<sockaddr *>(&storage), length), "bind " + place.address);
  return fd;
}

// Answers `count` questions, each after 20 ms, with the result that its number says.
pid_t start_server(int fd, size_t count, const std::vector<Asked> &asked) {
  return start_child([=] {
    for (size_t i = 0; i < count; i++) {
      char packet[600];
      sockaddr_storage from;
      socklen_t length = sizeof(from);
      ssize_t got = recvfrom(fd, packet, sizeof(packet), 0, reinterpret_cast<sockaddr *>(&from), &length);
      if (got < 12) return 1;
      size_t id = static_cast<uint8_t>(packet[0]) * 256u + static_cast<uint8_t>(packet[1]);
      packet[2] = static_cast<char>(0x81);
      packet[3] = static_cast<char>(0x80 | asked[id % asked.size()].rcode);
      usleep(20'000);
      if (sendto(fd, packet, static_cast<size_t>(got), 0, reinterpret_cast<sockaddr *>(&from), length) != got) return 2;
    }
    return 0;
  });
}

const std::vector<Asked> &all_asked() {
  // The longest name there is: 253 bytes.
  static const std::string kLong =
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');
  static const std::vector<Asked> kAsked = {
      {"example.com", 1, "A", 0, "NOERROR"},
      {"example.com", 28, "AAAA", 0, "NOERROR"},
      {"no-such-host.test", 1, "A", 3, "NXDOMAIN"},
      {"_http._tcp.example.org", 33, "SRV", 2, "SERVFAIL"},
      {"1.1.77.127.in-addr.arpa", 12, "PTR", 5, "REFUSED"},
      {kLong, 16, "TXT", 0, "NOERROR"},
      {"x", 65, "HTTPS", 0, "NOERROR"},
      {"", 2, "NS", 0, "NOERROR"},
  };
  return kAsked;
}

void dns_every_query() {
  enter_new_network();
  const std::vector<Asked> &asked = all_asked();
  for (const char *address : {"127.77.1.9", "::1"}) {
    Place place{address, 53};
    int server_fd = bound_server(place);
    size_t count = asked.size() * 3;
    pid_t server = start_server(server_fd, count, asked);
    Watch watch({"dns", "-p", std::to_string(getpid())});
    int fd = new_socket(place, SOCK_DGRAM);
    expect_equal(try_connect(fd, place), 0, "errno of connect(2)");
    std::vector<uint64_t> took;
    for (size_t i = 0; i < count; i++) {
      const Asked &each = asked[i % asked.size()];
      std::string packet = question(static_cast<uint16_t>(i), each.name, each.type);
      uint64_t began = now_ns();
      expect_equal(send(fd, packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()), "send");
      char answer[600];
      expect_equal(recv(fd, answer, sizeof(answer), 0), static_cast<ssize_t>(packet.size()), "answer");
      took.push_back(now_ns() - began);
    }
    Seen seen = watch.stop();
    expect_equal(wait_for(server), 0, "status of the server");
    expect_equal(seen.rows.size(), count, "rows of queries to " + place.address);
    for (size_t i = 0; i < count; i++) {
      const Json &row = seen.rows[i];
      const Asked &each = asked[i % asked.size()];
      expect_equal(text(row, "name"), each.name.empty() ? "." : each.name, "name");
      expect_equal(text(row, "type"), each.type_name, "type of " + each.name);
      expect_equal(text(row, "rcode"), each.rcode_name, "rcode of " + each.name);
      expect_equal(number(row, "id"), uint64_t{i}, "id");
      expect_equal(number(row, "sends"), 1u, "sends");
      expect_equal(text(row, "server"), place.address, "server");
      expect_equal(number(row, "server_port"), 53u, "server_port");
      expect_equal(number(row, "local_port"), uint64_t{local_port(fd)}, "local_port");
      expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid");
      expect_between(number(row, "latency"), uint64_t{20'000'000}, took[i], "latency, ns");
    }
    expect_equal(seen.losses["dns"].lost, 0u, "lost");
    close(fd);
    close(server_fd);
  }
}

// Two are sent again and again, and nobody answers; one is answered late.
void dns_unanswered() {
  enter_new_network();
  Place place{"127.77.1.9", 53};
  int server = bound_server(place);
  Watch watch({"dns", "--failed", "--set", "timeout=1s"});
  int fd = new_socket(place, SOCK_DGRAM);
  expect_equal(try_connect(fd, place), 0, "errno of connect(2)");
  for (uint16_t id : {uint16_t{7}, uint16_t{8}, uint16_t{7}, uint16_t{8}, uint16_t{7}}) {
    std::string packet = question(id, id == 7 ? "silent.test" : "mute.test", 1);
    expect_equal(send(fd, packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()), "send");
  }
  uint64_t began = now_ns();
  while (now_ns() - began < 4'000'000'000) usleep(100'000);
  Seen seen = watch.stop();
  close(server);
  const Losses &losses = seen.losses["dns"];
  expect_equal(seen.rows.size(), size_t{2},
               fmt::format("rows of queries without an answer ({} produced, {} lost)", losses.produced, losses.lost));
  for (const Json &row : seen.rows) {
    bool first = number(row, "id") == 7;
    expect_equal(text(row, "name"), first ? "silent.test" : "mute.test", "name");
    expect_equal(text(row, "rcode"), "UNANSWERED", "rcode");
    expect_equal(number(row, "sends"), first ? 3u : 2u, "sends");
    expect_between(number(row, "latency"), uint64_t{1'000'000'000}, uint64_t{30'000'000'000}, "latency, ns");
  }
}

}  // namespace

void add_dns_cases(std::vector<Case> &cases) {
  cases.push_back({"dns: every query and its answer", {}, dns_every_query, seconds(60)});
  cases.push_back({"dns: nobody answers", {}, dns_unanswered, seconds(60)});
}

}  // namespace waggle::suite
