#include "kernel/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace waggle {
namespace {

constexpr size_t kCgroupsMost = 16384;
constexpr int kDepthMost = 64;  // below what recursion and open directories can take
constexpr std::chrono::seconds kRescanInterval{1};
constexpr int kFileIdKernfs = 0xfe;  // FILEID_KERNFS, linux/exportfs.h: eight bytes, the id

// A path stays below the mount point: no ".." in it.
bool is_inside(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  std::string slashed = std::string(path) + "/";
  return slashed.find("/../") == std::string::npos;
}

std::string without_last_slash(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

CgroupMounts find_cgroup_mounts(std::span<const Mount> mounts) {
  CgroupMounts found;
  for (const Mount &mount : mounts) {
    if (mount.fs_type == "cgroup2" && (found.v2.empty() || mount.point.size() < found.v2.size()))
      found.v2 = mount.point;
    if (mount.fs_type != "cgroup") continue;
    // The controllers follow the flags of the filesystem: "rw,cpu,cpuacct".
    CgroupMounts::V1 v1{.controllers = {}, .point = mount.point};
    std::string_view rest = mount.fs_options;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      std::string_view option = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
      if (option == "rw" || option == "ro" || option == "xattr" || option == "clone_children" || option == "noprefix" ||
          option.starts_with("release_agent="))
        continue;
      v1.controllers.append(v1.controllers.empty() ? "" : ",").append(option);
    }
    found.v1.push_back(std::move(v1));
  }
  return found;
}

const CgroupLine *choose_cgroup(std::span<const CgroupLine> lines) {
  const CgroupLine *best = nullptr;
  int best_score = -1;
  for (const CgroupLine &line : lines) {
    CgroupLabels labels = parse_cgroup_path(line.path);
    bool v2 = line.hierarchy == 0 && line.controllers.empty();
    int score = labels.runtime != ContainerRuntime::kNone ? 4 : !labels.unit.empty() ? 2 : v2 ? 1 : 0;
    if (v2 && score > 1) ++score;
    if (score > best_score) best = &line, best_score = score;
  }
  return best;
}

Result<CgroupTree> CgroupTree::open() {
  CgroupTree tree(find_cgroup_mounts(TRY(read_mounts())));
  if (tree.mounts_.v2.empty())
    return fail(ErrorCode::kUnsupported, "cannot find the cgroup v2 hierarchy", "no cgroup2 filesystem is mounted",
                "mount -t cgroup2 none /sys/fs/cgroup/unified");
  tree.root_ = TRY(open_file(tree.mounts_.v2, O_RDONLY | O_DIRECTORY));
  return tree;
}

std::string_view CgroupTree::path_of(uint64_t id) {
  if (auto known = paths_.find(id); known != paths_.end()) return known->second;
  if (!handles_refused_) {
    if (std::string path = ask_kernel(id); !path.empty()) learn(id, path);
  } else if (auto now = std::chrono::steady_clock::now(); now >= rescan_next_) {
    rescan_next_ = now + kRescanInterval;
    // A tree that cannot be read leaves the id unknown, which is the answer.
    (void)rescan();
  }
  auto known = paths_.find(id);
  return known == paths_.end() ? std::string_view() : std::string_view(known->second);
}

std::string CgroupTree::ask_kernel(uint64_t id) {
  struct {
    file_handle head;
    uint64_t id;
  } handle{};
  static_assert(sizeof(file_handle) == 8);
  handle.head.handle_bytes = sizeof id;
  handle.head.handle_type = kFileIdKernfs;
  handle.id = id;
  Fd directory(::open_by_handle_at(root_.get(), &handle.head, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    // ESTALE: no such cgroup. Anything else says that handles do not work here.
    if (errno != ESTALE && errno != ENOENT && errno != ENOTDIR) handles_refused_ = true;
    return {};
  }
  std::string link = "/proc/self/fd/" + std::to_string(directory.get());
  char target[4096];
  ssize_t length = ::readlink(link.c_str(), target, sizeof target);
  if (length < 0) return {};
  std::string_view path(target, static_cast<size_t>(length));
  // A removed directory that something still holds open reads ".../name (deleted)".
  if (constexpr std::string_view kDeleted = " (deleted)"; path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  if (!path.starts_with(mounts_.v2)) return {};
  path.remove_prefix(mounts_.v2.size());
  return path.empty() ? "/" : std::string(path);
}

Result<uint64_t> CgroupTree::id_of(std::string_view path) {
  if (!is_inside(path))
    return fail(ErrorCode::kInvalid, "cannot use the cgroup path '" + std::string(path) + "'",
                "it does not lie below the root of the cgroup hierarchy", "give it as in /proc/PID/cgroup: /a/b");
  struct stat status {};
  if (::stat((mounts_.v2 + std::string(path)).c_str(), &status) != 0)
    return fail_errno(errno, "cannot find the cgroup " + std::string(path));
  learn(status.st_ino, path);
  return status.st_ino;
}

void CgroupTree::learn(uint64_t id, std::string_view path) {
  auto [known, fresh] = paths_.insert_or_assign(id, without_last_slash(path));
  if (!fresh) return;
  if (learned_.size() < kCgroupsMost) {
    learned_.push_back(id);
    return;
  }
  paths_.erase(learned_[learned_next_]);
  learned_[learned_next_] = id;
  learned_next_ = (learned_next_ + 1) % kCgroupsMost;
}

Result<Fd> CgroupTree::open_path(std::string_view path) {
  uint64_t id = TRY(id_of(path));
  (void)id;
  return open_file(mounts_.v2 + std::string(path), O_RDONLY | O_DIRECTORY);
}

Result<Fd> CgroupTree::open_id(uint64_t id) {
  std::string path(path_of(id));
  if (path.empty())
    return fail(ErrorCode::kNotFound, "cannot find the cgroup with id " + std::to_string(id),
                "no directory of " + mounts_.v2 + " has that inode number");
  return open_path(path);
}

Result<Fd> CgroupTree::open_container(std::string_view id_prefix) {
  TRY(rescan());
  // Container id → its outermost cgroup: inner ones ("…/init.scope") have the same labels.
  std::map<std::string, std::string> containers;
  for (const auto &[id, path] : paths_) {
    CgroupLabels labels = parse_cgroup_path(path);
    if (labels.container_id.empty() || !labels.container_id.starts_with(id_prefix)) continue;
    struct stat status {};
    if (::stat((mounts_.v2 + path).c_str(), &status) != 0) continue;
    auto [place, fresh] = containers.emplace(labels.container_id, path);
    if (!fresh && path.size() < place->second.size()) place->second = path;
  }
  std::string what = "cannot choose the container '" + std::string(id_prefix) + "'";
  if (containers.empty())
    return fail(ErrorCode::kNotFound, what,
                mounts_.hybrid() ? "no cgroup v2 directory belongs to it; on this host containers may live in the v1 "
                                   "hierarchies, where programs cannot be attached"
                                 : "no cgroup belongs to it");
  if (containers.size() > 1) {
    std::string ids;
    for (const auto &[id, path] : containers) {
      if (ids.size() > 200) break;
      ids.append(ids.empty() ? "" : ", ").append(short_container_id(id));
    }
    return fail(ErrorCode::kInvalid, what, "several containers begin so: " + ids, "give more of the id");
  }
  return open_path(containers.begin()->second);
}

Result<void> CgroupTree::rescan() {
  struct stat status {};
  if (::stat(mounts_.v2.c_str(), &status) != 0) return fail_errno(errno, "cannot read " + mounts_.v2);
  learn(status.st_ino, "/");
  scan_directory("", 0);
  return {};
}

void CgroupTree::scan_directory(const std::string &path, int depth) {
  std::unique_ptr<DIR, int (*)(DIR *)> directory(::opendir((mounts_.v2 + path).c_str()),
                                                 [](DIR *open) { return ::closedir(open); });
  // A directory may go away while the tree is read.
  if (!directory || depth > kDepthMost) return;
  while (const dirent *entry = ::readdir(directory.get())) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    std::string child = path + "/" + entry->d_name;
    learn(entry->d_ino, child);
    scan_directory(child, depth + 1);
  }
}

}  // namespace waggle
