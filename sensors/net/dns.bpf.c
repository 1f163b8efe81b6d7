/* dns: queries that this host sends over UDP: what was asked of whom, by which
 * process, what came back, and after how long.
 *
 * Packets are read where they are queued for a device and where they come from one,
 * which all kernels can: no program of the resolver's is looked into, so it does not
 * matter which library or language asks. A query that goes through several devices
 * (a container's, a bridge, the card) is one row: it is followed from the first, and
 * the answer is the first packet from the server's address and port with its number.
 * The query is sent from the system call of the process, in whose name it is shown.
 *
 * A query that nobody answered within `timeout` is a row UNANSWERED; the sensor looks
 * for them twice a second. A query that is sent once more while it waits, with the
 * same number from the same socket, is the same row. Queries over TCP, TLS and HTTPS
 * are not seen, nor answers that the driver did not put in one piece of memory.
 * source: RFC 1035 §4.1; tracepoints net:net_dev_queue, net:netif_receive_skb */
#include <waggle/net.h>

SENSOR("DNS queries sent: name, type, result, latency, server, process");

PARAM(wg_nanoseconds, min, "only queries that took at least this long") = 0;
PARAM(bool, failed, "only queries with another result than NOERROR") = false;
PARAM(wg_nanoseconds, timeout, "when a query counts as unanswered") = 5000000000;
PARAM(wg_port, port, "of the servers") = 53;
PARAM(__u32, hz, "how often to look for unanswered queries, per second") = 2;

struct dns_row {
  wg_ktime when DOC("when the answer came, or was given up");
  wg_nanoseconds latency DOC("from the first sending to the answer");
  wg_pid pid;
  wg_tid tid;
  wg_dns_rcode rcode;
  wg_dns_type type;
  __u16 answers DOC("records in the answer");
  __u16 id DOC("number of the query");
  __u16 sends DOC("how often the query was sent");
  wg_port local_port;
  wg_port server_port;
  wg_ip local;
  wg_ip server;
  wg_cgroup cgroup;
  wg_comm comm;
  char name[256] DOC("as asked for");
};
EVENTS(dns, dns_row);

struct query_key {
  wg_ip local, server;
  wg_port local_port, server_port;
  __u16 id, _pad;
};
/* `row.when` is when it was sent first. */
struct query {
  struct dns_row row;
  __u32 name_bytes;
  __u32 device; /* the first that it was queued for */
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct query_key);
  __type(value, struct query);
} queries SEC(".maps");

/* Queries that wait, on any CPU: while there are none, packets that come in are
 * none of ours. */
volatile __u64 waiting = 0;

/* Which queries were sent, for the search for unanswered ones: a shard for each CPU
 * (shared, should there be more), which any CPU may search. A place is free when `sent`
 * is 0. */
#define PLACES 512
#define SHARDS 64
struct place {
  struct query_key key;
  wg_ktime sent;
};
struct places {
  wg_ktime searched;
  __u64 next;
  struct place of[PLACES];
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SHARDS);
  __type(key, __u32);
  __type(value, struct places);
} places SEC(".maps");

/* Room for one query on each CPU: 0 where packets are handled, with soft interrupts
 * off; 1 in the timer's interrupt. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct query);
} rooms SEC(".maps");
enum { ROOM_PACKETS, ROOM_TIMER };

static __always_inline struct query *room_of(__u32 which) { return bpf_map_lookup_elem(&rooms, &which); }

struct dns_header {
  __u16 id;
  __u8 flags[2]; /* QR is bit 7 of the first, RCODE the low four of the second */
  __u16 questions, answers, authorities, additionals;
};
struct udp_packet {
  __u16 source, destination, length, checksum;
  struct dns_header dns;
};
struct ipv4_packet {
  __u8 version_and_length, service;
  __u16 length, id, fragment;
  __u8 hops, protocol;
  __u16 checksum;
  __u32 source, destination;
};
struct ipv6_packet {
  __u32 version_and_flow;
  __u16 length;
  __u8 next, hops;
  wg_ip source, destination;
};

/* A packet's UDP and DNS headers, NULL when it is something else; `ends` as the
 * sender sees them. Returns where the UDP header is. */
static __always_inline const unsigned char *read_packet(const struct sk_buff *skb, const unsigned char *network,
                                                        struct query_key *key, struct udp_packet *udp, bool out) {
  const unsigned char *transport;
  wg_ip source, destination;
  if (skb->protocol == bpf_htons(WG_ETH_P_IP)) {
    struct ipv4_packet ip;
    if (bpf_probe_read_kernel(&ip, sizeof(ip), network) || ip.version_and_length >> 4 != 4) return NULL;
    if (ip.protocol != WG_IPPROTO_UDP || ip.fragment & bpf_htons(0x1fff)) return NULL;
    wg_ip_from_v4(&source, ip.source);
    wg_ip_from_v4(&destination, ip.destination);
    transport = network + (ip.version_and_length & 0xf) * 4;
  } else if (skb->protocol == bpf_htons(WG_ETH_P_IPV6)) {
    struct ipv6_packet ip;
    if (bpf_probe_read_kernel(&ip, sizeof(ip), network) || bpf_ntohl(ip.version_and_flow) >> 28 != 6) return NULL;
    if (ip.next != WG_IPPROTO_UDP) return NULL;
    source = ip.source;
    destination = ip.destination;
    transport = network + sizeof(ip);
  } else {
    return NULL;
  }
  if (bpf_probe_read_kernel(udp, sizeof(*udp), transport)) return NULL;
  __u16 server_port = bpf_ntohs(out ? udp->destination : udp->source);
  if (server_port != param_port || bpf_ntohs(udp->length) < sizeof(*udp)) return NULL;
  /* QR: an answer or a question. */
  if ((udp->dns.flags[0] & 0x80) != (out ? 0 : 0x80)) return NULL;
  key->local = out ? source : destination;
  key->server = out ? destination : source;
  key->local_port = bpf_ntohs(out ? udp->source : udp->destination);
  key->server_port = server_port;
  key->id = bpf_ntohs(udp->dns.id);
  key->_pad = 0;
  return transport;
}

#define NAME_LAST (sizeof(((struct dns_row *)0)->name) - 1)
#define LABELS_MOST 128

/* The name from its labels: each is its length and as many bytes, and the lengths
 * become dots. Returns its length with the NUL. */
static __always_inline __u32 read_question(struct query *query, const unsigned char *question) {
  char *name = query->row.name;
  __u8 length = 0;
  bpf_probe_read_kernel(&length, 1, question);
  if (!length) {
    __builtin_memcpy(name, ".", 2);
    bpf_probe_read_kernel(&query->row.type, 2, question + 1);
    query->row.type = bpf_ntohs(query->row.type);
    return 2;
  }
  if (bpf_probe_read_kernel(name, NAME_LAST, question + 1)) return 0;
  __u32 at = 0;
  for (int i = 0; i < LABELS_MOST; i++) {
    /* No label is longer; it may be a pointer, which a question has no use for. */
    if (length > 63) return 0;
    at += length;
    if (at >= NAME_LAST) return 0;
    at &= NAME_LAST;
    length = name[at];
    if (!length) break;
    name[at] = '.';
    at++;
  }
  if (length || at >= NAME_LAST) return 0;
  bpf_probe_read_kernel(&query->row.type, 2, question + 1 + at + 1);
  query->row.type = bpf_ntohs(query->row.type);
  return at + 1;
}

/* A place for the query, NULL when all are taken by queries that wait. */
static __always_inline struct place *free_place(void) {
  __u32 shard = bpf_get_smp_processor_id() % SHARDS;
  struct places *here = bpf_map_lookup_elem(&places, &shard);
  if (!here) return NULL;
  for (int i = 0; i < 8; i++) {
    struct place *place = &here->of[here->next++ % PLACES];
    if (!place->sent || !bpf_map_lookup_elem(&queries, &place->key)) return place;
  }
  return NULL;
}

/* Another sending of a query that waits, or its next device. */
static __always_inline bool is_known(const struct sk_buff *skb, const struct query_key *key) {
  struct query *known = bpf_map_lookup_elem(&queries, key);
  if (!known) return false;
  if (skb->dev && (__u32)skb->dev->ifindex == known->device) known->row.sends++;
  return true;
}

ALWAYS("tp_btf/net_dev_queue")
int BPF_PROG(sent, const struct sk_buff *skb) {
  /* Only the sender's own packets have its socket. */
  const struct sock *sk = skb->sk;
  if (!sk || sk->sk_protocol != WG_IPPROTO_UDP) return 0;
  struct query_key key;
  struct udp_packet udp;
  const unsigned char *transport = read_packet(skb, skb->head + skb->network_header, &key, &udp, true);
  if (!transport || !udp.dns.questions || is_known(skb, &key)) return 0;
  if (!wg_task_wanted()) {
    dns_produced(false);
    return 0;
  }
  struct query *query = room_of(ROOM_PACKETS);
  struct place *place = free_place();
  if (!query || !place) {
    dns_lost();
    return 0;
  }
  __u64 id = bpf_get_current_pid_tgid();
  wg_ktime now = bpf_ktime_get_ns();
  query->row.when = now;
  query->row.pid = id >> 32;
  query->row.tid = id;
  query->row.id = key.id;
  query->row.sends = 1;
  query->row.local_port = key.local_port;
  query->row.server_port = key.server_port;
  query->row.local = key.local;
  query->row.server = key.server;
  query->row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(query->row.comm, sizeof(query->row.comm));
  query->row.type = 0;
  query->device = skb->dev ? skb->dev->ifindex : 0;
  query->name_bytes = read_question(query, transport + sizeof(udp));
  if (bpf_map_update_elem(&queries, &key, query, BPF_NOEXIST)) {
    dns_lost();
    return 0;
  }
  wg_add((__u64 *)&waiting, 1);
  /* Who searches meanwhile sees no place, or all of it. */
  place->sent = 0;
  barrier();
  place->key = key;
  barrier();
  place->sent = now;
  return 0;
}

/* Takes the query out of those that wait, and makes its row. False where it cannot be
 * taken now, as somebody holds its part of the map. `sent`: only if it was sent then;
 * its key may be another query's by now. */
static __always_inline bool finish(const struct query_key *key, wg_ktime sent, __u32 room, wg_ktime now,
                                   wg_dns_rcode rcode, __u16 answers) {
  struct query *found = bpf_map_lookup_elem(&queries, key), *query = room_of(room);
  if (!found || !query || (sent && found->row.when != sent)) return true;
  __builtin_memcpy(query, found, sizeof(*query));
  /* Of two that found it, one takes it. */
  if (bpf_map_delete_elem(&queries, key)) return !bpf_map_lookup_elem(&queries, key);
  wg_add((__u64 *)&waiting, -1);
  query->row.latency = now - query->row.when;
  query->row.when = now;
  query->row.rcode = rcode;
  query->row.answers = answers;
  if (dns_produced(query->row.latency >= param_min && !(param_failed && !rcode)))
    dns_submit(&query->row, WG_CUT(dns_row, name, query->name_bytes));
  return true;
}

ALWAYS("tp_btf/netif_receive_skb")
int BPF_PROG(received, const struct sk_buff *skb) {
  if (!waiting) return 0;
  struct query_key key;
  struct udp_packet udp;
  if (!read_packet(skb, skb->data, &key, &udp, false)) return 0;
  finish(&key, 0, ROOM_PACKETS, bpf_ktime_get_ns(), udp.dns.flags[1] & 0xf, bpf_ntohs(udp.dns.answers));
  return 0;
}

/* The shard whose search is most overdue, as a CPU's own timer cannot be relied on: of
 * idle ones that a hypervisor has put aside it does not come. */
static __always_inline struct places *shard_to_search(wg_ktime now) {
  struct places *chosen = NULL;
  wg_ktime oldest = now - 1000000000 / (2 * (param_hz ? param_hz : 1));
  for (__u32 i = 0; i < SHARDS; i++) {
    __u32 shard = i;
    struct places *places_of = bpf_map_lookup_elem(&places, &shard);
    if (!places_of || !places_of->next || places_of->searched > oldest) continue;
    oldest = places_of->searched;
    chosen = places_of;
  }
  return chosen;
}

ALWAYS("perf_event")
int look_for_unanswered(void *ctx) {
  if (!waiting) return 0;
  wg_ktime now = bpf_ktime_get_ns();
  struct places *here = shard_to_search(now);
  if (!here) return 0;
  here->searched = now;
  for (int i = 0; i < PLACES; i++) {
    struct place *place = &here->of[i];
    wg_ktime sent = place->sent;
    if (!sent || now - sent < param_timeout) continue;
    struct query_key key = place->key;
    if (finish(&key, sent, ROOM_TIMER, now, -1, 0) && place->sent == sent) place->sent = 0;
  }
  return 0;
}
