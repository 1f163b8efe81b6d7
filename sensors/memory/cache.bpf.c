/* cache: the page cache: pages that reads found in it or had to bring in, pages
 * added and made dirty, by disk and process.
 *
 * A hit is a page that a read call (read, pread, readv, splice, sendfile, io_uring, a
 * kernel thread) took from the cache. A miss is one that the reading thread had brought
 * in for it, at that moment or by reading ahead: the first read of such a page is its
 * miss, every other one a hit. So hits / (hits + misses) is the hit ratio, whatever the
 * read-ahead does, and a page that is read in vain counts as added alone. A call that
 * reads a part of a page counts the page.
 *
 * What a thread brought in and has not read yet is kept as one run of pages for each of
 * its files. Read-ahead makes such runs. Where pages of one file are brought in at
 * several places at once by one thread, or read by another, a first read is a hit.
 *
 * Not here: reads past the cache (O_DIRECT), of memory file systems (tmpfs), and
 * through mappings: pages that faults bring in are added, but who touches them later no
 * hook tells (the sensor 'fault' has the faults). Pages made dirty are what the kernel
 * counts in nr_dirtied of /proc/vmstat: a large folio is dirty as a whole.
 *
 * Where functions can be traced, a read tells its pages when it returns. Else the kernel
 * says (6.12) where each step of a read begins and how far the whole is to go, and a
 * step is known to be over when the next begins or the system call ends.
 * source: mm/filemap.c filemap_read(), filemap_get_pages(), filemap_splice_read();
 *   tracepoints filemap:mm_filemap_{add_to_page_cache,get_pages}, writeback:writeback_dirty_folio
 *   5.10 has generic_file_buffered_read and writeback_dirty_page, 6.1 filemap_read and
 *   writeback_dirty_folio, 6.12 filemap_splice_read beside filemap_read */
#include <waggle/folio.h>
#include <waggle/sensor.bpf.h>

SENSOR("page cache: pages hit, missed, added and made dirty, by disk and process");

PARAM(bool, by_process, "a row of the table for each process") = false;

struct cache_key {
  wg_filesystem filesystem;
  wg_device device;
  wg_pid pid DOC("0 unless rows are by process");
  wg_comm comm DOC("empty unless rows are by process");
};
struct cache_value {
  wg_count hits DOC("pages that reads found in the cache");
  wg_count misses DOC("pages that reads had to bring in");
  wg_count added DOC("pages put into the cache: read, read ahead, mapped, or new");
  wg_count dirtied DOC("pages that are to be written back");
};
TABLE(cache, cache_key, cache_value, 8192);

/* Pages of one file that one thread has brought in and not read yet. */
struct file_of_thread {
  __u64 mapping;
  __u64 tid;
};
struct unread {
  __u64 first, last; /* none when first > last */
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct file_of_thread);
  __type(value, struct unread);
} brought_in SEC(".maps");

/* The row of a file's disk for the current task. */
static __always_inline struct cache_value *row_of(struct address_space *mapping) {
  struct cache_key key = {};
  struct super_block *super = BPF_CORE_READ(mapping, host, i_sb);
  key.filesystem = BPF_CORE_READ(super, s_magic);
  key.device = BPF_CORE_READ(super, s_dev);
  if (param_by_process) {
    key.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
  }
  return cache_row(&key);
}

static __always_inline struct file_of_thread this_thread_on(struct address_space *mapping) {
  struct file_of_thread key = {(__u64)mapping, (__u32)bpf_get_current_pid_tgid()};
  return key;
}

/* Takes the pages first..last from those not read yet; returns how many were. */
static __always_inline __u64 take_unread(struct address_space *mapping, __u64 first, __u64 last) {
  struct file_of_thread key = this_thread_on(mapping);
  struct unread *unread = bpf_map_lookup_elem(&brought_in, &key);
  if (!unread) return 0;
  __u64 begin = first > unread->first ? first : unread->first;
  __u64 end = last < unread->last ? last : unread->last;
  if (begin > end) return 0;
  /* Of a run that is read in its middle the larger part is kept. */
  if (unread->last - end >= begin - unread->first)
    unread->first = end + 1;
  else
    unread->last = begin - 1;
  return end - begin + 1;
}

/* A call has read the pages first..last. */
static __always_inline int read_pages(struct address_space *mapping, __u64 first, __u64 last) {
  if (last < first || !cache_counted(wg_task_wanted())) return 0;
  struct cache_value *value = row_of(mapping);
  if (!value) return 0;
  __u64 missed = take_unread(mapping, first, last);
  if (missed) wg_add(&value->misses, missed);
  wg_add(&value->hits, last - first + 1 - missed);
  return 0;
}

/* `end` is the position after `bytes` were read. */
static __always_inline int read_bytes(struct address_space *mapping, __s64 end, long bytes) {
  if (bytes <= 0) return 0;
  return read_pages(mapping, (__u64)(end - bytes) / WG_PAGE_BYTES, (__u64)(end - 1) / WG_PAGE_BYTES);
}

static __always_inline __u64 index_of(struct folio *folio) {
  if (bpf_core_type_exists(struct folio)) return BPF_CORE_READ(folio, index);
  return BPF_CORE_READ((struct page *)folio, index);
}
static __always_inline struct address_space *mapping_of(struct folio *folio) {
  if (bpf_core_type_exists(struct folio)) return BPF_CORE_READ(folio, mapping);
  return BPF_CORE_READ((struct page *)folio, mapping);
}

ALWAYS("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(added, struct folio *folio) {
  if (!cache_counted(wg_task_wanted())) return 0;
  struct address_space *mapping = mapping_of(folio);
  struct cache_value *value = row_of(mapping);
  if (!value) return 0;
  __u64 pages = wg_folio_pages(folio), first = index_of(folio);
  wg_add(&value->added, pages);
  struct file_of_thread key = this_thread_on(mapping);
  struct unread *unread = bpf_map_lookup_elem(&brought_in, &key);
  if (unread && first == unread->last + 1) {
    unread->last += pages;
    return 0;
  }
  struct unread fresh = {first, first + pages - 1};
  bpf_map_update_elem(&brought_in, &key, &fresh, BPF_ANY);
  return 0;
}

/* A page that a write made has not been brought in: whoever reads it finds it. */
static __always_inline int dirtied(struct folio *folio, struct address_space *mapping) {
  /* A page that was cut off from its file meanwhile: newer verifiers ask for this. */
  if (!mapping || !cache_counted(wg_task_wanted())) return 0;
  struct cache_value *value = row_of(mapping);
  if (!value) return 0;
  __u64 pages = wg_folio_pages(folio), first = index_of(folio);
  wg_add(&value->dirtied, pages);
  take_unread(mapping, first, first + pages - 1);
  return 0;
}

#define DIRTIED(plan, tracepoint)                                                                    \
  HOOK(plan, "tp_btf/" #tracepoint)                                                                  \
  int BPF_PROG(tracepoint##_##plan, struct folio *folio, struct address_space *mapping) {            \
    return dirtied(folio, mapping);                                                                  \
  }
DIRTIED(1, writeback_dirty_folio)
DIRTIED(2, writeback_dirty_folio)
DIRTIED(3, writeback_dirty_page)
DIRTIED(4, writeback_dirty_page)
DIRTIED(5, writeback_dirty_folio)

/* The position is the one after the read. */
#define READ(plan, function)                                                                         \
  HOOK(plan, "fexit/" #function)                                                                     \
  int BPF_PROG(function##_##plan, struct kiocb *iocb, void *iter, long already, long result) {       \
    return read_bytes(BPF_CORE_READ(iocb, ki_filp, f_mapping), BPF_CORE_READ(iocb, ki_pos), result); \
  }
READ(1, filemap_read)
READ(2, filemap_read)
READ(3, filemap_read)
READ(4, generic_file_buffered_read)

/* Where there is no such function (6.1), a splice goes through filemap_read. */
HOOK(1, "fexit/filemap_splice_read")
int BPF_PROG(filemap_splice_read_1, struct file *file, __s64 *position, void *pipe, unsigned long size,
             unsigned int flags, long result) {
  __s64 end = 0;
  bpf_probe_read_kernel(&end, sizeof(end), position);
  return read_bytes(BPF_CORE_READ(file, f_mapping), end, result);
}

/* A read that has not ended: the pages next..last are still to come, in one step or
 * several. A step whose last folio is still being read from the disk has no event. Of
 * such steps between two events the next one tells; of those before the first event,
 * at `seen`, what the call returns. */
struct reading {
  __u64 mapping;
  __u64 seen, next, last;
  __u64 call; /* tells reads of one thread apart: task_struct.ioac.syscr as it begins */
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, __u32);
  __type(value, struct reading);
} reads SEC(".maps");

static __always_inline __u64 calls_of_this_thread(void) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return BPF_CORE_READ(task, ioac.syscr);
}

/* Takes the thread's read that is over. `bytes`: what the call says it has read, 0 when
 * it made several reads or is not known. */
static __always_inline int read_ended(long bytes) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct reading *found = bpf_map_lookup_elem(&reads, &tid);
  if (!found) return 0;
  struct reading reading = *found;
  bpf_map_delete_elem(&reads, &tid);
  struct address_space *mapping = (struct address_space *)reading.mapping;
  long seen = (reading.last - reading.seen + 1) * WG_PAGE_BYTES;
  if (bytes > seen && calls_of_this_thread() == reading.call + 1) {
    __u64 unseen = ((__u64)(bytes - seen) + WG_PAGE_BYTES - 1) / WG_PAGE_BYTES;
    if (unseen <= reading.seen) read_pages(mapping, reading.seen - unseen, reading.seen - 1);
  }
  return read_pages(mapping, reading.next, reading.last);
}

/* A step of a read has its pages, from `index` on; the whole is to go up to `last`. */
HOOK(5, "tp_btf/mm_filemap_get_pages")
int BPF_PROG(step, struct address_space *mapping, unsigned long index, unsigned long last) {
  __s64 size = BPF_CORE_READ(mapping, host, i_size);
  if (size <= 0 || index > (__u64)(size - 1) / WG_PAGE_BYTES) return 0;
  if (last > (__u64)(size - 1) / WG_PAGE_BYTES) last = (__u64)(size - 1) / WG_PAGE_BYTES;
  __u32 tid = bpf_get_current_pid_tgid();
  __u64 call = calls_of_this_thread();
  struct reading *before = bpf_map_lookup_elem(&reads, &tid);
  if (before) {
    if (before->mapping == (__u64)mapping && before->call == call && before->last == last && index >= before->next) {
      __u64 next = before->next;
      before->next = index;
      return index > next ? read_pages(mapping, next, index - 1) : 0;
    }
    read_ended(0);
  }
  struct reading reading = {(__u64)mapping, index, index, last, call};
  bpf_map_update_elem(&reads, &tid, &reading, BPF_ANY);
  return 0;
}

#define ENDED(call, bytes)                       \
  HOOK(5, "tracepoint/syscalls/sys_exit_" #call) \
  int leave_##call(struct wg_sys_exit *ctx) { return read_ended(bytes); }
ENDED(read, ctx->ret)
ENDED(pread64, ctx->ret)
ENDED(readv, ctx->ret)
ENDED(preadv, ctx->ret)
ENDED(preadv2, ctx->ret)
ENDED(sendfile64, 0)
ENDED(splice, 0)
ENDED(copy_file_range, 0)
