/* What sensors of disk requests read of them.
 * source: include/trace/events/block.h; include/linux/blk-mq.h */
#pragma once

#include <waggle/sensor.bpf.h>

#define REQ_OP_MASK 0xff

typedef void (*btf_trace_block_rq_issue___with_queue)(void *, struct request_queue *, struct request *);

/* The request among the arguments of insert, issue and merge. The barriers keep
 * clang from choosing an address instead of a value, which the verifier refuses. */
static __always_inline struct request *wg_request_of(__u64 *ctx) {
  struct request *rq;
  if (bpf_core_type_exists(btf_trace_block_rq_issue___with_queue)) {
    rq = (struct request *)ctx[1];
    barrier_var(rq);
  } else {
    rq = (struct request *)ctx[0];
    barrier_var(rq);
  }
  return rq;
}

/* To be called where one path leads: at each pointer that is followed, and once for each
 * path there, the verifier of 6.18 searches all types of the kernel four times by name
 * (kernel/bpf/btf.c btf_nested_type_is_trusted()), which takes 2 ms. */
static __always_inline wg_device wg_disk_of(struct request *rq) {
  struct gendisk *disk;
  if (bpf_core_field_exists(rq->q->disk))
    disk = rq->q->disk;
  else
    disk = ((struct request___until_5_17 *)rq)->rq_disk;
  /* Commands to a controller belong to no disk. */
  return disk ? (__u32)disk->major << 20 | disk->first_minor : 0;
}
