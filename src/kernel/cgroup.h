// Cgroups as the kernel has them: where the hierarchies are mounted, and which
// directory a cgroup id means. The id that bpf_get_current_cgroup_id() gives is
// the inode number of the directory in the v2 hierarchy, on pure v2 hosts and on
// hybrid ones, where v2 is mounted beside v1 (often at /sys/fs/cgroup/unified)
// and may hold no containers at all.
// What a path means is in cgroup_path.h.
// source: Documentation/admin-guide/cgroup-v2.rst; cgroups(7); fs/kernfs/mount.c
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/cgroup_path.h"
#include "kernel/procfs.h"

namespace waggle {

struct CgroupMounts {
  struct V1 {
    std::string controllers;  // "cpu,cpuacct", "name=systemd"
    std::string point;
  };
  std::string v2;  // mount point of the v2 hierarchy; empty where there is none
  std::vector<V1> v1;

  bool hybrid() const { return !v2.empty() && !v1.empty(); }
};
// The shortest v2 mount point wins where there are several.
CgroupMounts find_cgroup_mounts(std::span<const Mount> mounts);

// The line that says most about a process: one with a container in it, v2 first;
// else one with a unit; else the v2 line. Null when there are no lines.
const CgroupLine *choose_cgroup(std::span<const CgroupLine> lines);

// CgroupTree answers for the v2 hierarchy: id ↔ path, and directories to attach
// programs to. Paths begin with "/" at the mount point; the root is "/".
//
// An id is first looked up in the cache, then asked of the kernel by file handle
// (some 6 us; needs CAP_DAC_READ_SEARCH), and where that is refused the whole
// tree is read again, at most once a second. A cgroup that is gone stays in the
// cache until 16,384 newer ones have been seen, so that late rows still resolve.
// Memory: some 250 bytes a cgroup.
// Threads: one at a time.
class CgroupTree {
 public:
  // Finds the v2 mount; reads nothing else.
  // errors: Unsupported  there is no cgroup v2 hierarchy
  static Result<CgroupTree> open();

  const CgroupMounts &mounts() const { return mounts_; }

  // Empty for an id that was never seen and is no cgroup now. The view is valid
  // until the next call.
  std::string_view path_of(uint64_t id);

  // errors: NotFound, Denied
  Result<uint64_t> id_of(std::string_view path);

  // Tells of a cgroup seen otherwise (the cgroup_mkdir tracepoint), so that one
  // that lives for milliseconds is known.
  void learn(uint64_t id, std::string_view path);

  // Directories to attach to. errors: NotFound, Denied
  Result<Fd> open_path(std::string_view path);
  Result<Fd> open_id(uint64_t id);
  // The outermost cgroup of the one container whose id begins so.
  // errors: NotFound; Invalid when several do, with their ids in `why`.
  Result<Fd> open_container(std::string_view id_prefix);

  // Reads the whole tree into the cache. errors: Denied, Failed
  Result<void> rescan();
  size_t size() const { return paths_.size(); }

 private:
  explicit CgroupTree(CgroupMounts mounts) : mounts_(std::move(mounts)) {}
  std::string ask_kernel(uint64_t id);
  void scan_directory(const std::string &path, int depth);

  CgroupMounts mounts_;
  Fd root_;  // a readable directory: file handles are resolved against it
  bool handles_refused_ = false;
  std::chrono::steady_clock::time_point rescan_next_{};
  std::unordered_map<uint64_t, std::string> paths_;
  std::vector<uint64_t> learned_;  // ring of the ids in the cache, oldest overwritten first
  size_t learned_next_ = 0;
};

}  // namespace waggle
