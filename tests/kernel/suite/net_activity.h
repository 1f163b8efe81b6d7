// What the cases of the network do: sockets of either family, and what the kernel
// counted itself.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace waggle::suite {

// An address and a port of either family.
struct Place {
  std::string address;
  uint16_t port = 0;
  bool is_v6() const { return address.find(':') != std::string::npos; }
};

socklen_t socket_address(const Place &place, sockaddr_storage &storage);
int new_socket(const Place &place, int type);
int listen_at(const Place &place, int backlog = 128);
// connect(2)'s errno; the socket stays open in `fd`.
int try_connect(int fd, const Place &place);
int connect_to(const Place &place);
uint16_t local_port(int fd);
void send_all(int fd, uint64_t bytes);
// Until the other end has no more.
uint64_t receive_all(int fd);

// A counter of this network namespace, as nstat(8) reads it.
uint64_t counter_of(const char *file, std::string_view group, std::string_view name);
uint64_t retransmitted();

}  // namespace waggle::suite
