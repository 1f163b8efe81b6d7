/* malloc: memory that a program took from its allocator and has not given back, by
 * the stack that took it: what grows when a process leaks.
 *
 * Blocks are kept by address from their allocation to their free. Only what is taken
 * while the sensor runs is known: the free of an older block is ignored. An allocator
 * may implement one of its functions by another, or map memory for large blocks: the
 * outermost call is what counts. realloc() frees and allocates when it succeeds.
 *
 * The free is seen before the allocator has the block back, and an allocation after
 * its address is known, so that no other thread can have been given the address.
 * A block at an address that is still kept was freed unseen, and leaves its stack.
 *
 * `--set sample=N` follows one allocation in N, at random; numbers are those of the
 * sample. `waggle watch malloc:FILE` traces another allocator than the C library's
 * (malloc:/usr/lib/libjemalloc.so.2). What a process held when it ended stays: that
 * is the answer.
 * source: malloc(3), posix_memalign(3) */
#include <waggle/stack.h>
#include <waggle/user.h>

SENSOR("memory taken and not given back, by stack (malloc -p PID, malloc:/path/liballocator.so)");

PARAM(wg_bytes, min_size, "only allocations of at least this size") = 0;
PARAM(__u32, sample, "follow one allocation in so many") = 1;

struct malloc_key {
  wg_pid pid;
  __u32 _pad;
  __u64 _stack_hash;
};
struct malloc_value {
  wg_bytes bytes DOC("held now: allocated and not freed") GAUGE;
  wg_count blocks DOC("held now") GAUGE;
  wg_count allocs DOC("allocations");
  wg_count frees DOC("of them freed");
  wg_bytes allocated DOC("bytes of all allocations");
  wg_stack stack DOC("who allocated");
};
TABLE(malloc, malloc_key, malloc_value, 8192);

/* Taken from the pool before it is known whether the stack has a row already. */
struct taken {
  wg_stack stack;
};
ROWS(stacks, taken);

struct block_key {
  __u64 address;
  wg_pid pid;
  __u32 _pad;
};
struct block {
  wg_bytes bytes;
  __u64 stack_hash;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 512 << 10);
  __type(key, struct block_key);
  __type(value, struct block);
} blocks SEC(".maps");

/* The call that a thread is in. */
struct call {
  __u64 stack; /* pointer at entry */
  wg_bytes bytes;
  __u64 result; /* posix_memalign: where it puts the address; else 0 */
  __u64 old_address; /* realloc */
  struct block old; /* .bytes is 0 when it is not known */
  bool has_old;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, struct call);
} calls SEC(".maps");

static __always_inline bool is_inside(struct pt_regs *ctx, __u32 tid) {
  struct call *outer = bpf_map_lookup_elem(&calls, &tid);
  __u64 stack = PT_REGS_SP(ctx);
  return outer && stack < outer->stack && wg_same_stack(stack, outer->stack);
}

static __always_inline struct block_key block_at(__u64 address) {
  struct block_key key = {.address = address, .pid = bpf_get_current_pid_tgid() >> 32};
  return key;
}

static __always_inline void account_free(const struct block *block) {
  if (!malloc_counted(true)) return;
  struct malloc_key key = {.pid = bpf_get_current_pid_tgid() >> 32, ._stack_hash = block->stack_hash};
  struct malloc_value *value = bpf_map_lookup_elem(&malloc_table, &key);
  /* The reader has dropped the row, because the table was full. */
  if (!value) {
    WG_COUNT(WG_TABLE, lost);
    return;
  }
  WG_COUNT(WG_TABLE, delivered);
  wg_add(&value->bytes, -block->bytes);
  wg_add(&value->blocks, -1);
  wg_add(&value->frees, 1);
}

/* Takes the block at an address out of those that are kept. */
static __always_inline bool take_block(__u64 address, struct block *block) {
  struct block_key key = block_at(address);
  struct block *kept = bpf_map_lookup_elem(&blocks, &key);
  if (!kept) return false;
  *block = *kept;
  return bpf_map_delete_elem(&blocks, &key) == 0;
}

static __always_inline void allocated(struct pt_regs *ctx, __u64 address, wg_bytes bytes) {
  struct block unseen;
  if (take_block(address, &unseen)) account_free(&unseen);
  bool sampled = param_sample <= 1 || bpf_get_prandom_u32() % param_sample == 0;
  if (!malloc_counted(sampled && bytes >= param_min_size)) return;
  struct stacks_pooled *pooled = stacks_take();
  if (!pooled) {
    WG_COUNT(WG_TABLE, lost);
    return;
  }
  wg_stack *stack = &pooled->row.stack;
  wg_stack_fill(ctx, stack, true);
  struct block block = {.bytes = bytes, .stack_hash = wg_stack_hash(stack)};
  struct block_key at = block_at(address);
  if (bpf_map_update_elem(&blocks, &at, &block, BPF_ANY)) {
    WG_COUNT(WG_TABLE, lost);
    return stacks_give(pooled);
  }
  struct malloc_key key = {.pid = at.pid, ._stack_hash = block.stack_hash};
  struct malloc_value *value = malloc_row(&key);
  if (value) {
    wg_stack_keep(&value->stack, stack);
    wg_add(&value->bytes, bytes);
    wg_add(&value->blocks, 1);
    wg_add(&value->allocs, 1);
    wg_add(&value->allocated, bytes);
  } else {
    bpf_map_delete_elem(&blocks, &at);
  }
  stacks_give(pooled);
}

static __always_inline int begin(struct pt_regs *ctx, wg_bytes bytes, __u64 result, __u64 old_address) {
  __u32 tid = bpf_get_current_pid_tgid();
  if (is_inside(ctx, tid)) return 0;
  if (!wg_task_wanted()) {
    malloc_counted(false);
    return 0;
  }
  struct call call = {.stack = PT_REGS_SP(ctx), .bytes = bytes, .result = result, .old_address = old_address};
  call.has_old = old_address && take_block(old_address, &call.old);
  if (bpf_map_update_elem(&calls, &tid, &call, BPF_ANY)) malloc_table_lost();
  return 0;
}

static __always_inline int end(struct pt_regs *ctx) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct call *found = bpf_map_lookup_elem(&calls, &tid);
  if (!found || found->stack != PT_REGS_SP(ctx) - WG_RETURN_POPS) return 0;
  struct call call = *found;
  bpf_map_delete_elem(&calls, &tid);
  __u64 address = PT_REGS_RC(ctx);
  if (call.result) {
    if ((__u32)address) return 0; /* an errno */
    if (bpf_probe_read_user(&address, sizeof(address), (void *)call.result)) return 0;
  }
  if (call.has_old) {
    /* realloc(p, 0) frees and returns NULL; another NULL leaves the old block as it is. */
    if (address || !call.bytes) {
      account_free(&call.old);
    } else {
      struct block_key key = block_at(call.old_address);
      bpf_map_update_elem(&blocks, &key, &call.old, BPF_ANY);
    }
  }
  if (address) allocated(ctx, address, call.bytes);
  return 0;
}

HOOK(1, "uretprobe/TARGET=libc:malloc")
int malloc_returned(struct pt_regs *ctx) { return end(ctx); }
HOOK(1, "uprobe/TARGET=libc:malloc")
int malloc_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM1(ctx), 0, 0); }

HOOK(1, "uretprobe/TARGET=libc:calloc")
int calloc_returned(struct pt_regs *ctx) { return end(ctx); }
HOOK(1, "uprobe/TARGET=libc:calloc")
int calloc_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM1(ctx) * PT_REGS_PARM2(ctx), 0, 0); }

HOOK(1, "uretprobe/TARGET=libc:realloc")
int realloc_returned(struct pt_regs *ctx) { return end(ctx); }
HOOK(1, "uprobe/TARGET=libc:realloc")
int realloc_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM2(ctx), 0, PT_REGS_PARM1(ctx)); }

OPTIONAL("uretprobe/TARGET=libc:reallocarray", "memory of reallocarray")
int reallocarray_returned(struct pt_regs *ctx) { return end(ctx); }
OPTIONAL("uprobe/TARGET=libc:reallocarray", "memory of reallocarray")
int reallocarray_called(struct pt_regs *ctx) {
  return begin(ctx, PT_REGS_PARM2(ctx) * PT_REGS_PARM3(ctx), 0, PT_REGS_PARM1(ctx));
}

OPTIONAL("uretprobe/TARGET=libc:posix_memalign", "memory of posix_memalign")
int posix_memalign_returned(struct pt_regs *ctx) { return end(ctx); }
OPTIONAL("uprobe/TARGET=libc:posix_memalign", "memory of posix_memalign")
int posix_memalign_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM3(ctx), PT_REGS_PARM1(ctx), 0); }

OPTIONAL("uretprobe/TARGET=libc:aligned_alloc", "memory of aligned_alloc")
int aligned_alloc_returned(struct pt_regs *ctx) { return end(ctx); }
OPTIONAL("uprobe/TARGET=libc:aligned_alloc", "memory of aligned_alloc")
int aligned_alloc_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM2(ctx), 0, 0); }

OPTIONAL("uretprobe/TARGET=libc:memalign", "memory of memalign")
int memalign_returned(struct pt_regs *ctx) { return end(ctx); }
OPTIONAL("uprobe/TARGET=libc:memalign", "memory of memalign")
int memalign_called(struct pt_regs *ctx) { return begin(ctx, PT_REGS_PARM2(ctx), 0, 0); }

HOOK(1, "uprobe/TARGET=libc:free")
int free_called(struct pt_regs *ctx) {
  __u64 address = PT_REGS_PARM1(ctx);
  struct block block;
  if (!address || is_inside(ctx, bpf_get_current_pid_tgid()) || !take_block(address, &block)) return 0;
  account_free(&block);
  return 0;
}

static __always_inline int forget(void) {
  __u32 tid = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&calls, &tid);
  return 0;
}
ALWAYS("tp_btf/sched_process_exit")
int exited(void *ctx) { return forget(); }
ALWAYS("tp_btf/sched_process_exec")
int executed(void *ctx) { return forget(); }
