/* From a descriptor to the open file, and from a file to its path.
 *
 * A path is put together backwards from the file's directory entry, over mounts,
 * as d_path() does, but without its locks: a file that is being renamed may show
 * a mixture of both names.
 * source: fs/d_path.c prepend_path(); fs/file.c */
#pragma once

#include <waggle/descriptor.h>

/* An argument of a traced system call function, by its register. Some of 5.10's
 * functions know struct pt_regs by name only, and then the pointer to it cannot be
 * read from the context like other arguments. */
#define WG_CALL_ARGUMENT(ctx, name)                                  \
  ({                                                                 \
    struct pt_regs___syscall *wg_registers = NULL;                   \
    bpf_probe_read_kernel(&wg_registers, sizeof(wg_registers), ctx); \
    BPF_CORE_READ(wg_registers, name);                               \
  })

/* Steps from the file to its root: components and mounts. */
#define WG_PATH_STEPS 20
#define WG_PATH_LAST (sizeof(wg_path) - 1)

/* Where the path grows, from the end of the first half of `text`; the second half
 * keeps the verifier content. Too large for a program's stack. */
struct wg_path_walk {
  char text[2 * sizeof(wg_path)];
  /* Where the path begins in `text`. A variable would make every step of the walk
   * a case of its own for the verifier, and the walk three times as long to verify. */
  __u32 at;
};

/* Puts a name before the path. False when it does not fit. */
static __always_inline bool wg_path_prepend(struct wg_path_walk *walk, struct dentry *entry) {
  __u32 length = BPF_CORE_READ(entry, d_name.len);
  if (length >= walk->at) return false;
  walk->at -= length + 1;
  __u32 at = walk->at & WG_PATH_LAST;
  walk->text[at] = '/';
  bpf_probe_read_kernel(&walk->text[at + 1], length & WG_PATH_LAST, BPF_CORE_READ(entry, d_name.name));
  return true;
}

/* Writes the path to `path` and returns its length with the NUL; 0 for what is in no
 * directory (a pipe, a socket). A path of more than WG_PATH_STEPS steps, or that does
 * not fit, lacks its beginning, and the '/'. */
static __always_inline long wg_path_of(struct wg_path_walk *walk, char *path, struct file *file) {
  struct dentry *entry = BPF_CORE_READ(file, f_path.dentry);
  struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);
  struct dentry *root = BPF_CORE_READ(vfsmount, mnt_root);
  bool whole = false;
  walk->at = WG_PATH_LAST;
  walk->text[WG_PATH_LAST] = 0;
  for (int i = 0; i < WG_PATH_STEPS; i++) {
    if (entry == root) {
      struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
      struct mount *parent = BPF_CORE_READ(mount, mnt_parent);
      whole = parent == mount;
      if (whole) break;
      entry = BPF_CORE_READ(mount, mnt_mountpoint);
      vfsmount = (void *)parent + bpf_core_field_offset(struct mount, mnt);
      root = BPF_CORE_READ(vfsmount, mnt_root);
      continue;
    }
    struct dentry *parent = BPF_CORE_READ(entry, d_parent);
    if (parent == entry || !wg_path_prepend(walk, entry)) break;
    entry = parent;
  }
  __u32 at = walk->at & WG_PATH_LAST;
  if (at == WG_PATH_LAST) {
    if (!whole) return 0;
    walk->text[--at] = '/';
  } else if (!whole) {
    at++;
  }
  return bpf_probe_read_kernel_str(path, sizeof(wg_path), &walk->text[at & WG_PATH_LAST]);
}
