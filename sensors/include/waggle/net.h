/* What sensors of packets and sockets share: addresses and the numbers of
 * protocols. An address is 16 bytes whatever its family; IPv4 is mapped. */
#pragma once

#include <bpf/bpf_endian.h>

#include <waggle/sensor.bpf.h>

enum { WG_AF_INET = 2, WG_AF_INET6 = 10 };
enum { WG_ETH_P_IP = 0x0800, WG_ETH_P_IPV6 = 0x86dd };
enum { WG_IPPROTO_TCP = 6, WG_IPPROTO_UDP = 17, WG_IPPROTO_SCTP = 132, WG_IPPROTO_DCCP = 33, WG_IPPROTO_UDPLITE = 136 };

/* source: include/net/tcp_states.h */
enum {
  WG_TCP_ESTABLISHED = 1,
  WG_TCP_SYN_SENT,
  WG_TCP_SYN_RECV,
  WG_TCP_FIN_WAIT1,
  WG_TCP_FIN_WAIT2,
  WG_TCP_TIME_WAIT,
  WG_TCP_CLOSE,
  WG_TCP_CLOSE_WAIT,
  WG_TCP_LAST_ACK,
  WG_TCP_LISTEN,
  WG_TCP_CLOSING,
  WG_TCP_NEW_SYN_RECV,
};

static __always_inline void wg_ip_from_v4(wg_ip *ip, __u32 address) {
  __u32 words[4] = {0, 0, bpf_htonl(0xffff), address};
  __builtin_memcpy(ip, words, sizeof(*ip));
}

static __always_inline void wg_ip_from_v6(wg_ip *ip, const struct in6_addr *address) {
  __u32 words[4] = {address->in6_u.u6_addr32[0], address->in6_u.u6_addr32[1], address->in6_u.u6_addr32[2],
                    address->in6_u.u6_addr32[3]};
  __builtin_memcpy(ip, words, sizeof(*ip));
}

/* Both ends of a socket, or of a connection request (its __req_common). */
struct wg_ends {
  wg_ip local, remote;
  wg_port local_port, remote_port;
};
static __always_inline void wg_ends_of(const struct sock_common *common, struct wg_ends *ends) {
  /* Without CONFIG_IPV6 the fields are not there. */
  if (bpf_core_field_exists(common->skc_v6_daddr) && common->skc_family == WG_AF_INET6) {
    wg_ip_from_v6(&ends->local, &common->skc_v6_rcv_saddr);
    wg_ip_from_v6(&ends->remote, &common->skc_v6_daddr);
  } else {
    wg_ip_from_v4(&ends->local, common->skc_rcv_saddr);
    wg_ip_from_v4(&ends->remote, common->skc_daddr);
  }
  ends->local_port = common->skc_num;
  ends->remote_port = bpf_ntohs(common->skc_dport);
}

/* The same of a socket that is known by its address only. */
static __always_inline void wg_ends_read(const struct sock *sk, struct wg_ends *ends) {
  if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr) &&
      BPF_CORE_READ(sk, __sk_common.skc_family) == WG_AF_INET6) {
    struct in6_addr local, remote;
    BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&remote, sk, __sk_common.skc_v6_daddr);
    wg_ip_from_v6(&ends->local, &local);
    wg_ip_from_v6(&ends->remote, &remote);
  } else {
    wg_ip_from_v4(&ends->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
    wg_ip_from_v4(&ends->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
  }
  ends->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
  ends->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* Whether it is a TCP socket over IP, known by its address only. */
static __always_inline bool wg_is_tcp(const struct sock *sk) {
  __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
  return (family == WG_AF_INET || family == WG_AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == WG_IPPROTO_TCP;
}

/* A socket gives its port back just before it says CLOSE: skc_num is 0 then. */
static __always_inline void wg_ends_of_socket(const struct sock *sk, struct wg_ends *ends) {
  wg_ends_of(&sk->__sk_common, ends);
  ends->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

/* The cgroup a socket was made in; NULL when cgroup v1 has the field for itself. */
static __always_inline struct cgroup *wg_cgroup_of_socket(const struct sock *sk) {
  if (bpf_core_field_exists(struct sock_cgroup_data___since_5_15, cgroup)) {
    struct sock_cgroup_data___since_5_15 *data = (void *)&sk->sk_cgrp_data;
    return BPF_CORE_READ(data, cgroup);
  }
  struct sock_cgroup_data___until_5_15 *data = (void *)&sk->sk_cgrp_data;
  __u64 value = BPF_CORE_READ(data, val);
  return value & 1 ? NULL : (struct cgroup *)value;
}

/* The same as its id; 0 for NULL. */
static __always_inline wg_cgroup wg_socket_cgroup(const struct sock *sk) {
  struct cgroup *cgroup = wg_cgroup_of_socket(sk);
  return cgroup ? BPF_CORE_READ(cgroup, kn, id) : 0;
}

/* Whether -p, --comm or --cgroup was given. */
static __always_inline bool wg_filtered(void) { return param_pid || param_comm[0] || wg_cgroup_set; }
