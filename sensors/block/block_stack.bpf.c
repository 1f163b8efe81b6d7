/* block_stack: who started disk requests: the stack that did, and how long its
 * requests took from then to their completion.
 *
 * The stack is taken when the request is made of the first bio, in the task that
 * wanted it: a system call, write-back, a file system's own worker. Where the kernel
 * does not tell that moment, it is taken when the request enters the queue, or goes to
 * the device where there is no queue; what was gathered by then (a plug) has the
 * stack of who flushed it. A bio that is merged into a request belongs to who
 * started that.
 *
 * Latency includes the queue; sensor `block` has queue and device apart. Requests that
 * began before the sensor did are not counted.
 * source: tracepoints block:block_{io_start,rq_insert,rq_issue,rq_merge,rq_complete}
 *   5a80bd075f3b (6.5) added block_io_start */
#include <waggle/block.h>
#include <waggle/stack.h>

SENSOR("who started disk requests, by stack: requests, bytes, time from start to completion");

struct block_stack_key {
  wg_device device;
  wg_block_op op DOC("without flags");
  wg_pid pid DOC("the process that started it");
  wg_comm comm;
  __u32 _pad;
  __u64 _stack;
};
struct block_stack_value {
  wg_latency_histogram latency DOC("from the start to the completion of the request");
  wg_bytes bytes;
  wg_stack stack DOC("who started it, kernel frames first");
};
TABLE(block_stack, block_stack_key, block_stack_value, 2048);

/* What a new row of each stack begins as: requests are completed in interrupts, where
 * there is no room to make one. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 2048);
  __type(key, __u64);
  __type(value, struct block_stack_value);
} stacks SEC(".maps");
/* Requests are started by tasks, one after the other on each CPU. */
SCRATCH(fresh, block_stack_value);

struct started {
  __u64 made; /* request.start_time_ns: tells this life of the request from the last */
  wg_ktime when;
  wg_bytes done;
  __u64 stack;
  wg_pid pid;
  bool wanted;
  wg_comm comm;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64);
  __type(value, struct started);
} requests SEC(".maps");

static __always_inline int start(void *ctx, struct request *rq) {
  __u64 key = (__u64)rq;
  __u64 made = rq->start_time_ns;
  struct started *found = bpf_map_lookup_elem(&requests, &key);
  if (found && found->made == made) return 0;
  struct started request = {.made = made, .when = bpf_ktime_get_ns()};
  request.pid = bpf_get_current_pid_tgid() >> 32;
  request.wanted = wg_task_wanted();
  bpf_get_current_comm(request.comm, sizeof(request.comm));
  if (request.wanted) {
    struct block_stack_value *value = fresh_scratch();
    if (!value) return 0;
    wg_stack_fill(ctx, &value->stack, false);
    request.stack = wg_stack_hash(&value->stack);
    bpf_map_update_elem(&stacks, &request.stack, value, BPF_ANY);
  }
  if (bpf_map_update_elem(&requests, &key, &request, BPF_ANY)) block_stack_table_lost();
  return 0;
}

HOOK(1, "tp_btf/block_io_start")
int started_io(__u64 *ctx) { return start(ctx, (struct request *)ctx[0]); }

HOOK(2, "tp_btf/block_rq_insert")
int inserted(__u64 *ctx) { return start(ctx, wg_request_of(ctx)); }

HOOK(2, "tp_btf/block_rq_issue")
int issued(__u64 *ctx) { return start(ctx, wg_request_of(ctx)); }

/* Its bios go on in another request. */
OPTIONAL("tp_btf/block_rq_merge", "a request's own end after it was merged into another")
int merged(__u64 *ctx) {
  __u64 key = (__u64)wg_request_of(ctx);
  bpf_map_delete_elem(&requests, &key);
  return 0;
}

ALWAYS("tp_btf/block_rq_complete")
int BPF_PROG(completed, struct request *rq, int error, unsigned int bytes) {
  __u64 request = (__u64)rq;
  struct started *found = bpf_map_lookup_elem(&requests, &request);
  if (!found) return 0;
  found->done += bytes;
  if (bytes < rq->__data_len) return 0;
  struct started done = *found;
  bpf_map_delete_elem(&requests, &request);
  if (!block_stack_counted(done.wanted)) return 0;
  struct block_stack_value *begins_as = bpf_map_lookup_elem(&stacks, &done.stack);
  if (!begins_as) {
    WG_COUNT(WG_TABLE, lost);
    return 0;
  }
  struct block_stack_key key = {.device = wg_disk_of(rq), .pid = done.pid, ._stack = done.stack};
  key.op = rq->cmd_flags & REQ_OP_MASK;
  __builtin_memcpy(key.comm, done.comm, sizeof(key.comm));
  struct block_stack_value *value = block_stack_row_from(&key, begins_as);
  if (!value) return 0;
  wg_observe(&value->latency, bpf_ktime_get_ns() - done.when);
  wg_add(&value->bytes, done.done);
  return 0;
}
