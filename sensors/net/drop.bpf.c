/* drop: packets that the kernel threw away: where, why, and whose.
 *
 * A packet that was used up goes another way (consume_skb) and is not here; but
 * kernels free some packets as drops for convenience, with the reason
 * NOT_SPECIFIED. Addresses are read from the packet while its headers stand, else
 * they are zero.
 *
 * Reasons are numbered anew by each kernel (enum skb_drop_reason); the place in
 * the kernel is always there. A packet has no owner: -p, --comm and --cgroup
 * pass none.
 *
 * With --set stacks=1 a row has the kernel's stack, from the drop outwards: how the
 * packet came to where it was dropped. Packets are dropped in interrupts too, one
 * inside of the other, so rows with stacks come from a pool.
 * source: tracepoint skb:kfree_skb; include/net/dropreason-core.h
 *   c504e5c2f964 (5.17) added the reason; c53795d48ee8 (6.11) the receiving socket */
#include <waggle/net.h>
#include <waggle/rows.h>
#include <waggle/stack.h>

enum skb_drop_reason { SKB_NOT_DROPPED_YET };

SENSOR("packets dropped by the kernel: reason, place, addresses");

PARAM(bool, stacks, "take the kernel's stack at each drop") = false;

struct drop_row {
  wg_ktime when;
  wg_kaddr location DOC("the function that dropped it");
  wg_drop_reason reason DOC("0 before Linux 5.17");
  wg_ethertype protocol;
  wg_ip_protocol ip_protocol DOC("0 when there was no IP header");
  __u8 tcp_flags DOC("sum of FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32");
  wg_bytes bytes DOC("with the headers that it still had");
  wg_ip source;
  wg_ip destination;
  wg_port source_port;
  wg_port destination_port;
  __u32 ifindex DOC("number of the device; 0: none");
  char interface[16] DOC("the device it came by or was to leave by");
  wg_stack stack DOC("with --set stacks=1: the kernel's, from the drop outwards");
};
EVENTS(drop, drop_row);
ROWS(rows, drop_row);
/* All but the stack, which alone is too large for a program's own. */
#define FRONT_BYTES WG_CUT(drop_row, stack, 0)

struct drop_key {
  wg_kaddr location DOC("the function that dropped it");
  wg_drop_reason reason DOC("0 before Linux 5.17");
  wg_ethertype protocol;
  wg_ip_protocol ip_protocol;
};
struct drop_value {
  wg_count packets;
  wg_bytes bytes;
};
TABLE(drop, drop_key, drop_value, 2048);

/* source: RFC 791 §3.1, RFC 8200 §3 */
struct ipv4_header {
  __u8 version_and_length, service;
  __u16 length, id, fragment;
  __u8 hops, protocol;
  __u16 checksum;
  __u32 source, destination;
};
struct ipv6_header {
  __u32 version_and_flow;
  __u16 length;
  __u8 next, hops;
  wg_ip source, destination;
};
#define FRAGMENT_OFFSET 0x1fff
#define TCP_FLAGS_AT 13

static __always_inline bool has_ports(__u8 protocol) {
  return protocol == WG_IPPROTO_TCP || protocol == WG_IPPROTO_UDP || protocol == WG_IPPROTO_SCTP ||
         protocol == WG_IPPROTO_DCCP || protocol == WG_IPPROTO_UDPLITE;
}

static __always_inline void read_ports(struct drop_row *row, const unsigned char *transport) {
  __u16 ports[2] = {};
  if (!has_ports(row->ip_protocol) || bpf_probe_read_kernel(ports, sizeof(ports), transport)) return;
  row->source_port = bpf_ntohs(ports[0]);
  row->destination_port = bpf_ntohs(ports[1]);
  if (row->ip_protocol == WG_IPPROTO_TCP) bpf_probe_read_kernel(&row->tcp_flags, 1, transport + TCP_FLAGS_AT);
}

/* The IP header, where it was found already: its version must be what the
 * protocol says, because the offset may be left from another use of the buffer. */
static __always_inline void read_headers(struct drop_row *row, const unsigned char *network) {
  if (row->protocol == WG_ETH_P_IP) {
    struct ipv4_header ip;
    if (bpf_probe_read_kernel(&ip, sizeof(ip), network) || ip.version_and_length >> 4 != 4) return;
    row->ip_protocol = ip.protocol;
    wg_ip_from_v4(&row->source, ip.source);
    wg_ip_from_v4(&row->destination, ip.destination);
    if (!(bpf_ntohs(ip.fragment) & FRAGMENT_OFFSET)) read_ports(row, network + (ip.version_and_length & 0xf) * 4);
  } else if (row->protocol == WG_ETH_P_IPV6) {
    struct ipv6_header ip;
    if (bpf_probe_read_kernel(&ip, sizeof(ip), network) || bpf_ntohl(ip.version_and_flow) >> 28 != 6) return;
    row->ip_protocol = ip.next;
    row->source = ip.source;
    row->destination = ip.destination;
    read_ports(row, network + sizeof(ip));
  }
}

/* A queued packet keeps other things in place of the device, so what is there is
 * believed only when it is the device that the packet came by, or when the packet
 * came by none and is on its way out. */
static __always_inline void read_device(struct drop_row *row, const struct sk_buff *skb) {
  const struct net_device *device = skb->dev;
  row->ifindex = skb->skb_iif;
  if (!device) return;
  __u32 index = BPF_CORE_READ(device, ifindex);
  if (row->ifindex ? index != row->ifindex : index > 0xffffff) return;
  row->ifindex = index;
  bpf_probe_read_kernel_str(row->interface, sizeof(row->interface), device->name);
}

static __always_inline void submit_with_stack(void *ctx, const void *front) {
  struct rows_pooled *pooled = rows_take();
  if (!pooled) {
    WG_COUNT(WG_STREAM, lost);
    return;
  }
  __builtin_memcpy(&pooled->row, front, FRONT_BYTES);
  drop_submit(&pooled->row, WG_CUT(drop_row, stack, wg_stack_fill_kernel(ctx, &pooled->row.stack)));
  rows_give(pooled);
}

ALWAYS("tp_btf/kfree_skb")
int BPF_PROG(dropped, const struct sk_buff *skb, void *location) {
  char front[FRONT_BYTES] __attribute__((aligned(8))) = {};
  struct drop_row *row = (struct drop_row *)front;
  row->when = bpf_ktime_get_ns();
  row->location = (__u64)location;
  if (bpf_core_type_exists(enum skb_drop_reason)) row->reason = ctx[2];
  row->protocol = bpf_ntohs(skb->protocol);
  row->bytes = skb->len;
  read_headers(row, skb->head + skb->network_header);
  bool wanted = !wg_filtered();
  if (drop_counted(wanted)) {
    struct drop_key key = {.location = row->location, .reason = row->reason};
    key.protocol = row->protocol;
    key.ip_protocol = row->ip_protocol;
    struct drop_value *value = drop_row(&key);
    if (value) {
      wg_add(&value->packets, 1);
      wg_add(&value->bytes, row->bytes);
    }
  }
  if (!drop_produced(wanted)) return 0;
  read_device(row, skb);
  if (param_stacks)
    submit_with_stack(ctx, front);
  else
    drop_submit(row, FRONT_BYTES);
  return 0;
}
