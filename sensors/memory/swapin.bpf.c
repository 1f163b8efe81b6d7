/* swapin: memory that is fetched back from swap: for whom, and how much.
 *
 * A program that waits for its own memory is slow without a system call that takes
 * long. Read-ahead belongs to who caused it: a row is one read, of the page that was
 * missing or of one near it. The sum of `bytes` is pswpin of /proc/vmstat, but for
 * pages that no device was asked for: those that zswap holds, and since 6.12 those
 * of zeros only.
 * source: mm/page_io.c swap_read_folio(), named swap_readpage() until 6.8 */
#include <waggle/folio.h>
#include <waggle/function.h>

SENSOR("memory fetched back from swap: reads and bytes, by process");

struct swapin_row {
  wg_ktime when;
  wg_bytes bytes;
  wg_cgroup cgroup;
  wg_pid pid;
  wg_tid tid;
  wg_comm comm;
};
EVENTS(swapin, swapin_row);

struct swapin_key {
  wg_pid pid;
  wg_comm comm;
  __u32 _pad;
};
struct swapin_value {
  wg_count reads;
  wg_bytes bytes;
};
TABLE(swapin, swapin_key, swapin_value, 4096);

static __always_inline int fetched(struct folio *folio) {
  bool wanted = wg_task_wanted();
  __u64 id = bpf_get_current_pid_tgid();
  wg_bytes bytes = wg_folio_pages(folio) * WG_PAGE_BYTES;
  if (swapin_counted(wanted)) {
    struct swapin_key key = {.pid = id >> 32};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    struct swapin_value *value = swapin_row(&key);
    if (value) {
      wg_add(&value->reads, 1);
      wg_add(&value->bytes, bytes);
    }
  }
  if (!swapin_produced(wanted)) return 0;
  struct swapin_row row = {.when = bpf_ktime_get_ns(), .bytes = bytes, .pid = id >> 32, .tid = id};
  row.cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row.comm, sizeof(row.comm));
  swapin_submit(&row, sizeof(row));
  return 0;
}

HOOK(1, "fentry/swap_read_folio")
int folio_by_fentry(__u64 *ctx) { return fetched((struct folio *)ctx[0]); }

HOOK(2, "fentry/swap_readpage")
int page_by_fentry(__u64 *ctx) { return fetched((struct folio *)ctx[0]); }

HOOK(3, "kprobe/swap_read_folio")
int folio_by_kprobe(struct pt_regs *ctx) { return fetched((struct folio *)PT_REGS_PARM1(ctx)); }

HOOK(4, "kprobe/swap_readpage")
int page_by_kprobe(struct pt_regs *ctx) { return fetched((struct folio *)PT_REGS_PARM1(ctx)); }
