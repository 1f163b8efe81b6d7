#include "net_activity.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include "activity.h"
#include "suite.h"

namespace waggle::suite {

socklen_t socket_address(const Place &place, sockaddr_storage &storage) {
  storage = {};
  if (place.is_v6()) {
    auto *v6 = reinterpret_cast<sockaddr_in6 *>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(place.port);
    inet_pton(AF_INET6, place.address.c_str(), &v6->sin6_addr);
    return sizeof(*v6);
  }
  auto *v4 = reinterpret_cast<sockaddr_in *>(&storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(place.port);
  inet_pton(AF_INET, place.address.c_str(), &v4->sin_addr);
  return sizeof(*v4);
}

int new_socket(const Place &place, int type) {
  return must(socket(place.is_v6() ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0), "socket");
}

int listen_at(const Place &place, int backlog) {
  int fd = new_socket(place, SOCK_STREAM), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  must(bind(fd, reinterpret_cast<sockaddr *>(&storage), length), "bind " + place.address);
  must(listen(fd, backlog), "listen");
  return fd;
}

int try_connect(int fd, const Place &place) {
  sockaddr_storage storage;
  socklen_t length = socket_address(place, storage);
  return connect(fd, reinterpret_cast<sockaddr *>(&storage), length) == 0 ? 0 : errno;
}

int connect_to(const Place &place) {
  int fd = new_socket(place, SOCK_STREAM);
  int error = try_connect(fd, place);
  if (error != 0) fail_case(fmt::format("connect to {}: {}", place.address, strerror(error)));
  return fd;
}

uint16_t local_port(int fd) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  must(getsockname(fd, reinterpret_cast<sockaddr *>(&storage), &length), "getsockname");
  // The port is at the same place in both.
  return ntohs(reinterpret_cast<sockaddr_in *>(&storage)->sin_port);
}

void send_all(int fd, uint64_t bytes) {
  std::vector<char> block(64 << 10, 's');
  while (bytes > 0) {
    ssize_t sent = must(send(fd, block.data(), std::min<uint64_t>(bytes, block.size()), MSG_NOSIGNAL), "send");
    bytes -= static_cast<uint64_t>(sent);
  }
}

uint64_t receive_all(int fd) {
  std::vector<char> block(64 << 10);
  uint64_t bytes = 0;
  for (ssize_t got; (got = recv(fd, block.data(), block.size(), 0)) > 0;) bytes += static_cast<uint64_t>(got);
  return bytes;
}

uint64_t counter_of(const char *file, std::string_view group, std::string_view name) {
  std::istringstream in(read_file(file));
  std::string names, values;
  while (std::getline(in, names) && std::getline(in, values)) {
    if (!names.starts_with(group)) continue;
    std::istringstream heads(names), numbers(values);
    std::string head, value;
    while (heads >> head && numbers >> value)
      if (head == name) return strtoull(value.c_str(), nullptr, 10);
  }
  fail_case(fmt::format("no counter {} {}", group, name));
}
uint64_t retransmitted() {
  return counter_of("/proc/self/net/snmp", "Tcp:", "RetransSegs");
}

}  // namespace waggle::suite
