/* oom: processes that the kernel killed because memory ran out: who, how large it
 * was, and who asked for the memory.
 *
 * Since 6.9 the tracepoint hands over the victim. Before, it tells the id of a
 * thread only; but the signal that kills the victim is sent by the same task just
 * before, and its tracepoint has the victim. A victim that was about to end by itself
 * is sent no signal: it is the task that asked, or else it is known by id alone.
 * Sizes are the kernel's counters as its tracepoint reads them: since 6.2 each CPU may
 * hold back up to 64 pages of a change.
 * source: tracepoints oom:mark_victim, signal:signal_generate;
 *   mm/oom_kill.c __oom_kill_process(), mark_oom_victim()
 *   72ba14deb40a (6.9) mark_victim has the task instead of its id */
#include <waggle/sensor.bpf.h>

SENSOR("processes killed because memory ran out: victim, its size, who asked");

struct oom_row {
  wg_ktime when;
  wg_bytes total_vm DOC("address space of the victim; 0, as all sizes, where the kernel names its thread only");
  wg_bytes anon_rss DOC("resident, private");
  wg_bytes file_rss DOC("resident, of files");
  wg_bytes shmem_rss DOC("resident, shared memory and tmpfs");
  wg_bytes pgtables DOC("page tables");
  wg_pid pid DOC("the victim");
  wg_uid uid DOC("of the victim");
  __s32 score_adj DOC("the victim's oom_score_adj: -1000, never, to 1000, first");
  wg_pid trigger DOC("the process that asked for memory");
  wg_tid trigger_tid DOC("its thread");
  __u32 _pad;
  wg_cgroup cgroup DOC("of the victim");
  wg_comm comm DOC("of the victim");
  wg_comm trigger_comm;
};
EVENTS(oom, oom_row);

/* source: include/linux/mm_types_task.h */
enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES };

static __always_inline wg_bytes resident(struct mm_struct *mm, int type) {
  __s64 pages = 0;
  if (bpf_core_type_exists(struct mm_rss_stat)) {
    void *counters = (void *)mm + bpf_core_field_offset(struct mm_struct___until_6_2, rss_stat.count);
    bpf_probe_read_kernel(&pages, sizeof(pages), counters + type * sizeof(pages));
  } else {
    /* CO-RE knows an array's element only by a constant index. */
    void *counters = (void *)mm + bpf_core_field_offset(struct mm_struct___since_6_2, rss_stat);
    struct percpu_counter *counter = counters + type * bpf_core_type_size(struct percpu_counter);
    pages = BPF_CORE_READ(counter, count);
  }
  return pages > 0 ? pages * WG_PAGE_BYTES : 0;
}

static __always_inline void set_victim(struct oom_row *row, struct task_struct *victim) {
  struct mm_struct *mm = BPF_CORE_READ(victim, mm);
  row->pid = BPF_CORE_READ(victim, tgid);
  row->uid = BPF_CORE_READ(victim, cred, uid.val);
  row->score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
  row->cgroup = BPF_CORE_READ(victim, cgroups, dfl_cgrp, kn, id);
  BPF_CORE_READ_STR_INTO(&row->comm, victim, comm);
  if (!mm) return;
  row->total_vm = BPF_CORE_READ(mm, total_vm) * WG_PAGE_BYTES;
  row->anon_rss = resident(mm, MM_ANONPAGES);
  row->file_rss = resident(mm, MM_FILEPAGES);
  row->shmem_rss = resident(mm, MM_SHMEMPAGES);
  row->pgtables = BPF_CORE_READ(mm, pgtables_bytes.counter);
}

/* -p and --comm are about the victim, --cgroup about who asked. */
static __always_inline bool wanted(const struct oom_row *row) {
  if (wg_cgroup_set && bpf_current_task_under_cgroup(&wg_cgroup_only, 0) != 1) return false;
  return wg_owner_wanted(row->pid, row->comm);
}

static __always_inline int report(struct oom_row *row) {
  if (!oom_produced(wanted(row))) return 0;
  __u64 id = bpf_get_current_pid_tgid();
  row->when = bpf_ktime_get_ns();
  row->trigger = id >> 32;
  row->trigger_tid = id;
  bpf_get_current_comm(row->trigger_comm, sizeof(row->trigger_comm));
  oom_submit(row, sizeof(*row));
  return 0;
}

/* Kernels before 6.9 have a number there, and their verifier turns this plan down. */
HOOK(1, "tp_btf/mark_victim")
int BPF_PROG(mark_victim, struct task_struct *victim) {
  struct oom_row row = {};
  /* What tells both layouts apart: a number has no fields. */
  row.trigger_tid = victim->pid;
  set_victim(&row, victim);
  return report(&row);
}

/* The last victim that each task sent a signal to: made by SIGKILL from the kernel,
 * used by the mark that follows within the same function. */
struct sent {
  struct oom_row row;
  wg_tid thread;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct sent);
} victims SEC(".maps");

enum { SIGKILL = 9, SEND_SIG_PRIV = 1 };

HOOK(2, "tp_btf/signal_generate")
int BPF_PROG(kill_victim, int signal, struct kernel_siginfo *info, struct task_struct *victim) {
  if (signal != SIGKILL || (__u64)info != SEND_SIG_PRIV) return 0;
  __u32 tid = bpf_get_current_pid_tgid();
  struct sent sent = {};
  sent.thread = victim->pid;
  set_victim(&sent.row, victim);
  bpf_map_update_elem(&victims, &tid, &sent, BPF_ANY);
  return 0;
}

HOOK(2, "tp_btf/mark_victim")
int BPF_PROG(mark_victim_thread, wg_tid thread) {
  __u32 tid = bpf_get_current_pid_tgid();
  struct sent *sent = bpf_map_lookup_elem(&victims, &tid);
  struct oom_row row = {};
  if (sent && sent->thread == thread)
    row = sent->row;
  else if (tid == thread)
    set_victim(&row, (struct task_struct *)bpf_get_current_task());
  else
    row.pid = thread;
  bpf_map_delete_elem(&victims, &tid);
  return report(&row);
}
