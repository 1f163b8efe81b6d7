/* Snapshots: what there is, rather than what happens. The kernel walks over its
 * own objects (tasks, sockets, open files) when somebody reads, and a program
 * writes a row for each. Nothing is hooked: between two reads it costs nothing.
 *
 *   SNAPSHOT(<name>, <row struct>)
 * declares the rows and
 *   bool name_passes(wanted)      false when nobody wants the object, which is counted
 *   void name_write(meta, row)    hands over the row of one that passed
 * A program is an iterator, ALWAYS("iter/task"), and returns 0. Rows have their full
 * size, and of several iterators those of the first in the file come first.
 *
 * When the kernel's buffer is full it shows the same object again in the next read:
 * hence a row counts as produced when it has been written, and none is ever lost.
 * source: Documentation/bpf/bpf_iterators.rst; kernel/bpf/bpf_iter.c bpf_seq_read() */
#pragma once

#include <waggle/sensor.bpf.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
  __u64 session_id, seq_num;
};
#pragma clang attribute pop

/* The one of --cgroup; its children count. The task that runs is the reader, so
 * the kernel's own test does not help. */
const volatile __u64 wg_cgroup_id = 0;

static __always_inline bool wg_cgroup_passes(struct cgroup *cgroup) {
  if (!wg_cgroup_set) return true;
  enum { kDepth = 32 };
  for (int i = 0; cgroup && i < kDepth; i++) {
    if (BPF_CORE_READ(cgroup, kn, id) == wg_cgroup_id) return true;
    struct cgroup_subsys_state *parent = BPF_CORE_READ(cgroup, self.parent);
    cgroup = parent ? (void *)parent - bpf_core_field_offset(struct cgroup, self) : NULL;
  }
  return false;
}

/* Whether a task passes -p, --comm and --cgroup. */
static __always_inline bool wg_task_passes(struct task_struct *task) {
  if (param_pid && (__u32)task->tgid != param_pid) return false;
  if (param_comm[0]) {
    char comm[16];
    bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
    if (!wg_comm_wanted(comm)) return false;
  }
  return wg_cgroup_passes(BPF_CORE_READ(task, cgroups, dfl_cgrp));
}

#define SNAPSHOT(name, row_type)                                                                  \
  const struct row_type *wg_snapshot_##name;                                                      \
  static __always_inline bool name##_passes(bool wanted) {                                        \
    if (!wanted) {                                                                                \
      WG_COUNT(WG_STREAM, produced);                                                              \
      WG_COUNT(WG_STREAM, filtered);                                                              \
    }                                                                                             \
    return wanted;                                                                                \
  }                                                                                               \
  static __always_inline void name##_write(const struct bpf_iter_meta *meta, struct row_type *row) { \
    if (!bpf_seq_write(meta->seq, row, sizeof(*row))) WG_COUNT(WG_STREAM, produced);              \
  }
