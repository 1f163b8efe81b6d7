/* block: requests to disks: how long each waited in the queue and how long the
 * device took.
 *
 * A request is followed by its address from the queue (insert) to the driver
 * (issue) and back (complete); it is one row however many bios were merged into
 * it and however many parts it came back in. The issuer is whoever ran when the
 * request was queued, or issued where there is no queue: for write-back that is
 * a kernel worker. The time in the queue begins when the request was made, where
 * the kernel keeps that (iostats on), else when it is first seen.
 *
 * Count and bytes are those of /sys/block/DISK/stat but for flushes: a row is a
 * flush that the device executed, while the kernel also counts, as a write of 0
 * bytes, each request that asked for nothing but a flush.
 * source: tracepoints block:block_rq_{insert,issue,merge,complete}; block/blk-mq.c, block/blk-flush.c
 *   a54895fa057c (5.11, 5.10.y) dropped the first argument, the queue, of insert, issue and merge
 *   8a7d267b4a2b (5.16) complete has a blk_status_t instead of an errno */
#include <waggle/block.h>
#include <waggle/sensor.bpf.h>

SENSOR("disk requests: time in the queue and in the device, bytes, errors");

PARAM(wg_nanoseconds, min, "only requests that the device took at least this long for (events)") = 0;
PARAM(bool, by_process, "a row of the table for each process") = false;

struct block_row {
  wg_ktime when DOC("when the device was done");
  wg_nanoseconds latency DOC("in the device: from issue to completion");
  wg_nanoseconds queued DOC("from the making of the request to its issue to the device");
  wg_bytes bytes;
  __u64 sector DOC("the first, in units of 512 bytes");
  wg_cgroup cgroup;
  wg_device device;
  wg_block_op op;
  wg_errno errno DOC("0 when the device did it");
  wg_pid pid DOC("the process that queued it");
  wg_comm comm;
  __u8 sequential DOC("1 when it began where the request issued to the disk before it ended");
  __u8 _pad[7];
};
EVENTS(block, block_row);

struct block_key {
  wg_device device;
  wg_block_op op DOC("without flags");
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
};
struct block_value {
  wg_count requests;
  wg_bytes bytes;
  wg_count errors;
  wg_count sequential DOC("requests that began where the one before ended: the others are random");
  wg_latency_histogram latency DOC("in the device");
  wg_latency_histogram queued DOC("before the device");
};
TABLE(block, block_key, block_value, 2048);

/* A request between queue and completion. */
struct tracked {
  __u64 made; /* request.start_time_ns: tells this life of the request from the last */
  wg_ktime seen, issued;
  wg_bytes done;
  __u64 sector;
  wg_cgroup cgroup;
  wg_pid pid;
  bool wanted, sequential;
  wg_comm comm;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64);
  __type(value, struct tracked);
} requests SEC(".maps");

/* Where the last request that was issued to a disk ends. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, wg_device);
  __type(value, __u64);
} ends SEC(".maps");

/* source: block/blk-core.c blk_errors[]. Statuses above 13 were renumbered from
 * kernel to kernel and are not told apart. */
static __always_inline wg_errno errno_of(int error) {
  if (error < 0) return -error;
  switch (error) {
    case 0: return 0;
    case 1: return 95;   /* EOPNOTSUPP */
    case 2: return 110;  /* ETIMEDOUT */
    case 3: return 28;   /* ENOSPC */
    case 4: return 67;   /* ENOLINK */
    case 5: return 121;  /* EREMOTEIO */
    case 6: return 52;   /* EBADE */
    case 7: return 61;   /* ENODATA: a medium error */
    case 8: return 84;   /* EILSEQ: a checksum is wrong */
    case 9: return 12;   /* ENOMEM */
    case 12: return 11;  /* EAGAIN */
    case 13: return 16;  /* EBUSY */
    default: return 5;   /* EIO */
  }
}

/* Notes the request and the task that runs now. Returns NULL when the map is full. */
static __always_inline struct tracked *note(struct request *rq, __u64 now) {
  __u64 key = (__u64)rq;
  __u64 id = bpf_get_current_pid_tgid();
  struct tracked fresh = {};
  fresh.made = rq->start_time_ns;
  fresh.seen = now;
  fresh.cgroup = bpf_get_current_cgroup_id();
  fresh.pid = id >> 32;
  fresh.wanted = wg_task_wanted();
  bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
  bpf_map_update_elem(&requests, &key, &fresh, BPF_ANY);
  return bpf_map_lookup_elem(&requests, &key);
}

/* Requests issued on two CPUs at once are one after the other in either order. */
static __always_inline bool goes_on(struct request *rq, wg_device device) {
  __u64 begin = rq->__sector, end = begin + rq->__data_len / 512;
  __u64 *last = bpf_map_lookup_elem(&ends, &device);
  if (!last) {
    bpf_map_update_elem(&ends, &device, &end, BPF_ANY);
    return false;
  }
  bool on = *last == begin;
  *last = end;
  return on;
}

ALWAYS("tp_btf/block_rq_insert")
int insert_request(__u64 *ctx) {
  note(wg_request_of(ctx), bpf_ktime_get_ns());
  return 0;
}

ALWAYS("tp_btf/block_rq_issue")
int issue_request(__u64 *ctx) {
  struct request *rq = wg_request_of(ctx);
  wg_device device = wg_disk_of(rq);
  __u64 key = (__u64)rq, now = bpf_ktime_get_ns();
  struct tracked *found = bpf_map_lookup_elem(&requests, &key);
  if (!found || found->made != rq->start_time_ns) found = note(rq, now);
  if (!found) {
    block_lost();
    block_table_lost();
    return 0;
  }
  /* A request that the driver gave back is issued again: the last time counts. */
  bool again = found->issued;
  found->issued = now;
  if (!found->done) found->sector = rq->__sector;
  /* A flush has no place on the disk. */
  if (rq->__data_len && !again) found->sequential = goes_on(rq, device);
  return 0;
}

/* Its bios go on in another request. */
OPTIONAL("tp_btf/block_rq_merge", "exact waits of requests made after a merge, where iostats are off")
int merge_request(__u64 *ctx) {
  __u64 key = (__u64)wg_request_of(ctx);
  bpf_map_delete_elem(&requests, &key);
  return 0;
}

ALWAYS("tp_btf/block_rq_complete")
int BPF_PROG(complete_request, struct request *rq, int error, unsigned int bytes) {
  wg_device device = wg_disk_of(rq);
  __u64 key = (__u64)rq;
  struct tracked *found = bpf_map_lookup_elem(&requests, &key);
  /* Issued before the sensor began, or never: a request for a flush only. */
  if (!found) return 0;
  found->done += bytes;
  if (bytes < rq->__data_len) return 0;
  struct tracked done = *found;
  bpf_map_delete_elem(&requests, &key);
  if (!done.issued) return 0;

  __u64 now = bpf_ktime_get_ns();
  wg_nanoseconds latency = now - done.issued;
  wg_ktime made = done.made && done.made < done.seen ? done.made : done.seen;
  wg_nanoseconds queued = done.issued - made;
  wg_errno failure = errno_of(error);
  if (block_produced(done.wanted && latency >= param_min)) {
    struct block_row row = {};
    row.when = now;
    row.latency = latency;
    row.queued = queued;
    row.bytes = done.done;
    row.sector = done.sector;
    row.cgroup = done.cgroup;
    row.device = device;
    row.op = rq->cmd_flags;
    row.errno = failure;
    row.pid = done.pid;
    __builtin_memcpy(row.comm, done.comm, sizeof(row.comm));
    row.sequential = done.sequential;
    block_submit(&row, sizeof(row));
  }
  if (block_counted(done.wanted)) {
    struct block_key row_key = {};
    row_key.device = device;
    row_key.op = rq->cmd_flags & REQ_OP_MASK;
    if (param_by_process) {
      row_key.pid = done.pid;
      __builtin_memcpy(row_key.comm, done.comm, sizeof(row_key.comm));
    }
    struct block_value *value = block_row(&row_key);
    if (!value) return 0;
    wg_add(&value->requests, 1);
    wg_add(&value->bytes, done.done);
    if (failure) wg_add(&value->errors, 1);
    if (done.sequential) wg_add(&value->sequential, 1);
    wg_observe(&value->latency, latency);
    wg_observe(&value->queued, queued);
  }
  return 0;
}
