/* What sensors of files share: which file it is, its place and its names, and the
 * calls on it that have not returned.
 *
 * A sensor says, before it includes this, whether it tells files apart:
 *   enum { wg_file_by_inode = true };
 * source: fs/file.c */
#pragma once

#include <waggle/descriptor.h>
#include <waggle/in_flight.h>
#include <waggle/path.h>

/* For a reader that reads files itself: what it does would be most of what it sees
 * on an idle host, and each look at /proc makes inodes, and rows, anew. */
PARAM(wg_pid, except, "all but this process") = 0;

static __always_inline bool wg_file_wanted(void) {
  return !(param_except && bpf_get_current_pid_tgid() >> 32 == param_except) && wg_task_wanted();
}

#define WG_S_IFREG 0100000

static __always_inline bool wg_is_regular(__u16 mode) { return (mode & WG_S_IFMT) == WG_S_IFREG; }

/* A call that has not returned. */
struct wg_file_call {
  wg_ktime entered;
  struct file *file;
  /* Where the kernel keeps the position after the call; NULL: `position` is the one before it. */
  const __s64 *position_after;
  __u64 position;
  wg_filesystem filesystem;
  wg_inode inode;
  wg_device device;
  wg_file_op op;
};
IN_FLIGHT(wg_file_calls, wg_file_call);

/* The file system of an inode. Each read is a helper call of 15 to 30 ns, whatever
 * its length, so both fields come in one; CO-RE puts them where they are in the copy. */
static __always_inline void wg_file_system_of(struct wg_file_call *call, struct inode *inode) {
  enum { kCopied = 128 };
  struct super_block *super = BPF_CORE_READ(inode, i_sb);
  __u32 end = bpf_core_field_offset(struct super_block, s_magic) + bpf_core_field_size(struct super_block, s_magic);
  if (end <= kCopied && bpf_core_field_offset(struct super_block, s_dev) < end) {
    char bytes[kCopied];
    const struct super_block *copy = (void *)bytes;
    bpf_probe_read_kernel(bytes, end, super);
    call->device = copy->s_dev;
    call->filesystem = copy->s_magic;
  } else {
    call->device = BPF_CORE_READ(super, s_dev);
    call->filesystem = BPF_CORE_READ(super, s_magic);
  }
}

/* Says which file it is, while the call holds it: when the call is over, another
 * thread may have closed it. */
static __always_inline void wg_file_identify(struct wg_file_call *call, struct file *file, struct inode *inode) {
  call->file = file;
  if (wg_file_by_inode) call->inode = BPF_CORE_READ(inode, i_ino);
  wg_file_system_of(call, inode);
}
/* The same by plain loads: for a file that is the argument of a traced function. */
static __always_inline void wg_file_identify_typed(struct wg_file_call *call, struct file *file) {
  struct inode *inode = file->f_inode;
  call->file = file;
  call->inode = inode->i_ino;
  call->device = inode->i_sb->s_dev;
  call->filesystem = inode->i_sb->s_magic;
}

/* Files without a name (pipes, sockets) are called by their type. */
static __always_inline long wg_file_type_name(char *name, __u32 size, struct file *file) {
  return bpf_probe_read_kernel_str(name, size, BPF_CORE_READ(file, f_inode, i_sb, s_type, name));
}

/* The last component of the path. */
static __always_inline void wg_file_name(char *name, __u32 size, struct file *file) {
  long length = bpf_probe_read_kernel_str(name, size, BPF_CORE_READ(file, f_path.dentry, d_name.name));
  if (length <= 1) wg_file_type_name(name, size, file);
}

/* One slow call: the row of every stream about calls on files. */
struct wg_file_row {
  wg_ktime when;
  wg_nanoseconds latency DOC("from entry to exit of the call");
  wg_bytes bytes DOC("read or written");
  __u64 offset DOC("where in the file the call began");
  wg_inode inode;
  wg_filesystem filesystem;
  wg_cgroup cgroup;
  wg_device device;
  wg_pid pid;
  wg_tid tid;
  wg_errno errno DOC("0 when the call succeeded");
  __u32 _pad;
  wg_comm comm;
  wg_file_op op;
  wg_path path DOC("from the root of the mounts; one longer than 20 steps or 255 bytes lacks its beginning, and the '/'");
};

/* Room for a row and for its path. One for each slot: a traced function's program
 * may be preempted, and another's would write into its room. */
struct wg_file_room {
  struct wg_file_row row;
  struct wg_file_call call;
  struct wg_path_walk walk;
};
#define WG_FILE_SLOTS 10
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WG_FILE_SLOTS);
  __type(key, __u32);
  __type(value, struct wg_file_room);
} wg_file_rooms SEC(".maps");

static __always_inline __u64 wg_file_position(const struct wg_file_call *call, long moved) {
  if (!call->position_after) return call->position;
  __s64 after = 0;
  bpf_probe_read_kernel(&after, sizeof(after), call->position_after);
  /* Pipes and sockets have no position. */
  return after > moved ? after - moved : 0;
}

/* Writes the row's path and returns its length with the NUL. */
static __always_inline long wg_file_path(struct wg_file_room *room, struct file *file) {
  long length = wg_path_of(&room->walk, room->row.path, file);
  return length ?: wg_file_type_name(room->row.path, sizeof(wg_path), file);
}

/* Makes the row of the call in the slot's room and returns its length. A global
 * function is verified once in a program, whatever paths lead to it. */
__noinline __u64 wg_file_row_of(__u32 slot, __u64 now, long result) {
  struct wg_file_room *room = bpf_map_lookup_elem(&wg_file_rooms, &slot);
  if (!room) return 0;
  struct wg_file_row *row = &room->row;
  struct wg_file_call *call = &room->call;
  struct file *file = call->file;
  __u64 id = bpf_get_current_pid_tgid();
  bool moves = call->op == WG_READ || call->op == WG_WRITE;
  long moved = moves && result > 0 ? result : 0;
  row->when = now;
  row->latency = now - call->entered;
  row->bytes = moved;
  row->offset = wg_file_position(call, moved);
  row->inode = call->inode ?: BPF_CORE_READ(file, f_inode, i_ino);
  row->filesystem = call->filesystem;
  row->cgroup = bpf_get_current_cgroup_id();
  row->device = call->device;
  row->pid = id >> 32;
  row->tid = id;
  row->errno = result < 0 ? -result : 0;
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  row->op = call->op;
  long path_bytes = wg_file_path(room, file);
  return WG_CUT(wg_file_row, path, path_bytes > 0 ? path_bytes : 0);
}

/* name_submit() for a call that is over; `position` as in file_ended(). */
#define WG_FILE_SUBMIT(name, finished, slot_number, now, result, position)               \
  do {                                                                                   \
    __u32 wg_slot_number = (slot_number);                                                \
    struct wg_file_room *wg_room = bpf_map_lookup_elem(&wg_file_rooms, &wg_slot_number); \
    if (!wg_room) break;                                                                 \
    wg_room->call = *(finished);                                                         \
    if (position) bpf_probe_read_kernel(&wg_room->call.position_after, 8, position);     \
    name##_submit(&wg_room->row, wg_file_row_of(wg_slot_number, now, result));           \
  } while (0)
