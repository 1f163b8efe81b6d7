/* From a descriptor of the current task to what is open behind it.
 * source: fs/file.c; net/socket.c */
#pragma once

#include <waggle/sensor.bpf.h>

/* The file behind a descriptor of the current task, NULL when there is none. To be called
 * early, where one path leads: at a typed pointer that is followed, and once for each
 * path there, the verifier of 6.18 searches all types of the kernel four times by name
 * (kernel/bpf/btf.c btf_nested_type_is_trusted()), which takes 2 ms. */
static __always_inline struct file *wg_file_of(__u32 fd) {
  struct file **table;
  __u32 most;
  /* 3ca1032ab7ab (5.11): a typed task is followed by plain loads, ten times
   * cheaper than a helper call for each step. */
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct files_struct *files = task->files;
    if (!files) return NULL;
    table = files->fdt->fd;
    most = files->fdt->max_fds;
  } else {
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct fdtable *descriptors = BPF_CORE_READ(task, files, fdt);
    table = BPF_CORE_READ(descriptors, fd);
    most = BPF_CORE_READ(descriptors, max_fds);
  }
  struct file *file = NULL;
  if (fd < most) bpf_probe_read_kernel(&file, sizeof(file), table + fd);
  return file;
}

#define WG_S_IFMT 0170000
#define WG_S_IFSOCK 0140000

/* The socket behind a descriptor, NULL when it is none. */
static __always_inline struct sock *wg_socket_of(__u32 fd) {
  struct file *file = wg_file_of(fd);
  if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & WG_S_IFMT) != WG_S_IFSOCK) return NULL;
  struct socket *socket = BPF_CORE_READ(file, private_data);
  return BPF_CORE_READ(socket, sk);
}
