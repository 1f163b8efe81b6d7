// What /proc says about processes and mounts: parsers, which are pure functions
// from a file's text to values, and readers, which open the file and parse it.
// Files of the whole host (cpu times, memory, network) are in procfs_host.h.
//
// Every parser takes any bytes: text that is not what the kernel writes is
// Invalid, with the place in `why`. Fields that a newer kernel appends are
// ignored. Threads: all functions may be called from any number at once.
// source: proc(5); fs/proc/array.c, base.c, task_mmu.c; fs/proc_namespace.c
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace waggle {

// A block or anonymous device. The kernel's own dev_t (what a BPF program reads
// from inode.i_sb->s_dev) and stat(2)'s st_dev pack the same pair differently.
struct DeviceNumber {
  uint32_t major = 0, minor = 0;

  static DeviceNumber from_kernel(uint32_t device);  // major << 20 | minor
  static DeviceNumber from_user(uint64_t device);    // makedev(3)
  uint32_t to_kernel() const;                        // the low 12 bits of major, 20 of minor
  uint64_t to_user() const;
  std::string text() const;  // "254:1", as sysfs names it

  auto operator<=>(const DeviceNumber &) const = default;
};

// /proc/PID/stat. Times are counted in ticks of 10 ms, so all are multiples of that.
struct ProcessStat {
  int32_t pid = 0;
  std::string comm;  // at most 15 bytes for a process, 63 for a kernel thread; may hold blanks and parentheses
  char state = '?';  // see process_state_name()
  int32_t ppid = 0, process_group = 0, session = 0;
  uint64_t user_ns = 0, system_ns = 0;  // cpu time since the start
  int32_t nice = 0;
  int32_t threads = 0;
  uint64_t start_boot_ns = 0;  // CLOCK_BOOTTIME
  uint64_t virtual_bytes = 0, resident_bytes = 0;
};
Result<ProcessStat> parse_process_stat(std::string_view text);

// /proc/PID/status.
struct ProcessStatus {
  int32_t pid = 0, tgid = 0, ppid = 0;
  uint32_t uid = 0, effective_uid = 0;
  uint32_t gid = 0, effective_gid = 0;
  std::vector<int32_t> namespace_pids;  // outermost first; more than one inside a pid namespace
};
Result<ProcessStatus> parse_process_status(std::string_view text);

// /proc/PID/io.
struct ProcessIo {
  uint64_t read_chars = 0, written_chars = 0;  // bytes through read(2) and write(2)
  uint64_t read_calls = 0, write_calls = 0;
  uint64_t read_bytes = 0, written_bytes = 0;  // bytes from and to storage
  uint64_t cancelled_bytes = 0;                // written to the page cache, then truncated away
};
Result<ProcessIo> parse_process_io(std::string_view text);

// A line of /proc/PID/cgroup. hierarchy 0 with no controllers is cgroup v2.
struct CgroupLine {
  uint32_t hierarchy = 0;
  std::string controllers;  // "cpu,cpuacct", "name=systemd"; empty for v2
  std::string path;         // from the root of that hierarchy: "/system.slice/ssh.service"
  bool deleted = false;     // the kernel wrote " (deleted)" behind the path, which is cut off here
};
Result<std::vector<CgroupLine>> parse_process_cgroup(std::string_view text);

// A line of /proc/PID/maps: addresses [start, end).
struct MapRange {
  uint64_t start = 0, end = 0;
  bool readable = false, writable = false, executable = false, shared = false;
  uint64_t offset = 0;  // bytes into the file
  DeviceNumber device;
  uint64_t inode = 0;
  std::string path;      // empty for anonymous memory; "[heap]" and the like as they are
  bool deleted = false;  // the kernel wrote " (deleted)" behind the path, which is cut off here
};
Result<MapRange> parse_map_line(std::string_view line);
Result<std::vector<MapRange>> parse_maps(std::string_view text);

// A line of /proc/self/mountinfo, \ooo escapes undone.
struct Mount {
  int32_t id = 0, parent_id = 0;
  DeviceNumber device;
  std::string root;        // the directory of the filesystem that is mounted here; "/" for all of it
  std::string point;       // where, seen from this process's root
  std::string options;     // "rw,relatime"
  std::string fs_type;     // "ext4", "cgroup2"
  std::string source;      // "/dev/vda1", "tmpfs"
  std::string fs_options;  // of the filesystem: "rw,cpu,cpuacct"
};
Result<Mount> parse_mount_line(std::string_view line);
Result<std::vector<Mount>> parse_mountinfo(std::string_view text);

// /proc/partitions and the DEVNAME of /sys/dev/block/M:m/uevent.
struct Partition {
  DeviceNumber device;
  uint64_t bytes = 0;
  std::string name;  // "vda1"
};
Result<std::vector<Partition>> parse_partitions(std::string_view text);

// The files of one process. The directory stays open, so that all reads are of
// the same process: once it has been reaped they are NotFound, never the files
// of a successor with the same pid.
class ProcessFiles {
 public:
  // errors: NotFound  there is no such process
  static Result<ProcessFiles> open(int32_t pid);

  Result<ProcessStat> stat() const;
  Result<ProcessStatus> status() const;
  Result<ProcessIo> io() const;
  Result<std::vector<CgroupLine>> cgroup() const;
  Result<std::vector<MapRange>> maps() const;

  // Arguments, each ended by a NUL as the kernel keeps them; cut off after
  // `bytes_most`. Empty for kernel threads and zombies. Takes the process's
  // mmap lock: can wait for a process that is stuck with it in state 'D'.
  Result<std::string> argv(size_t bytes_most = 4096) const;

  // The program's file; NotFound for kernel threads and zombies. A " (deleted)"
  // behind it stays: the file may have been replaced since.
  Result<std::string> exe() const;

 private:
  explicit ProcessFiles(int32_t pid, Fd directory) : pid_(pid), directory_(std::move(directory)) {}
  Result<std::string> read(const char *name, size_t bytes_most, bool cut) const;

  int32_t pid_;
  Fd directory_;
};

// /proc/PID/stat by itself: three system calls, for those who read every process once
// a second. Another process may have the number by now: compare start_boot_ns.
//   errors: NotFound  there is no such process
Result<ProcessStat> read_process_stat(int32_t pid);

// All processes (not threads) that exist now, ascending.
Result<std::vector<int32_t>> list_processes();

Result<std::vector<Mount>> read_mounts();

// What to add to a CLOCK_MONOTONIC time (bpf_ktime_get_ns()) to have the others.
// Read within 1 us of each other; realtime moves when the clock is set, and
// boottime when the host sleeps, so a long-lived user asks again now and then.
struct ClockOffsets {
  int64_t to_realtime_ns = 0;
  int64_t to_boottime_ns = 0;
};
ClockOffsets read_clock_offsets();

}  // namespace waggle
