/* slab: which of the kernel's caches of objects (inodes, dentries, sockets, ...) are
 * allocated from, how often, and how many bytes, by cache and process.
 *
 * Allocations only: what is freed again is not subtracted (slabtop(1) shows what is in
 * use). kmalloc() names no cache to its tracepoint and is not here. Caches of the same
 * size and flags may be one: the name is the one that /proc/slabinfo has.
 * source: tracepoint kmem:kmem_cache_alloc; mm/slub.c
 *   6.1 gives the cache to the tracepoint and has an event of its own for it; before,
 *   the event is shared with kmalloc() and tells sizes, and the functions are traced */
#include <waggle/sensor.bpf.h>

SENSOR("kernel memory: allocations and bytes by slab cache and process");

PARAM(bool, by_process, "a row of the table for each process") = false;

struct slab_key {
  char cache[32] DOC("as in /proc/slabinfo");
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
};
struct slab_value {
  wg_count allocations;
  wg_bytes bytes DOC("with what the cache adds to each object");
};
TABLE(slab, slab_key, slab_value, 8192);

static __always_inline int allocated(const char *name, __u32 size, __u64 objects) {
  if (!slab_counted(wg_task_wanted())) return 0;
  struct slab_key key = {};
  bpf_probe_read_kernel_str(key.cache, sizeof(key.cache), name);
  if (param_by_process) {
    key.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
  }
  struct slab_value *value = slab_row(&key);
  if (!value) return 0;
  wg_add(&value->allocations, objects);
  wg_add(&value->bytes, objects * size);
  return 0;
}

/* The arguments are read as words: verifiers since 6.12 do not give out `object`, which
 * may be NULL. Where the event is not there, its place has no offset: the verifier
 * refuses, and the next plan is taken. */
HOOK(1, "raw_tp/kmem_cache_alloc")
int BPF_PROG(alloc, unsigned long caller, void *object, struct kmem_cache *cache) {
  if (!bpf_core_field_offset(struct trace_event_raw_kmem_cache_alloc, ptr) || !object) return 0;
  return allocated(BPF_CORE_READ(cache, name), BPF_CORE_READ(cache, size), 1);
}

#define FUNCTION(function, ...)                                                    \
  HOOK(2, "fexit/" #function)                                                      \
  int BPF_PROG(leave_##function, struct kmem_cache *cache, __VA_ARGS__, void *result) { \
    return result ? allocated(cache->name, cache->size, 1) : 0;                    \
  }
FUNCTION(kmem_cache_alloc, unsigned int flags)
FUNCTION(kmem_cache_alloc_node, unsigned int flags, int node)
