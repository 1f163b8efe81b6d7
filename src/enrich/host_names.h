// Names the host gives to numbers: users, groups, disks, mount points.
//
// /etc/passwd and /etc/group are parsed here: the C library's getpwuid() would
// load NSS modules into a static binary and may ask the network for a name in
// the middle of an event. So users of LDAP and the like keep their numbers.
// Threads: one at a time.
// source: passwd(5), group(5); Documentation/ABI/stable/sysfs-block
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/procfs.h"

namespace waggle {

// A line of /etc/passwd or /etc/group: "name:x:id:…" in both.
struct AccountName {
  uint32_t id = 0;
  std::string name;
};
// Lines that are not of that form (comments, NIS's "+") are passed over; names
// are at most 256 bytes. The first line with an id names it.
std::vector<AccountName> parse_account_names(std::string_view text);

class HostNames {
 public:
  // passwd, group: the files to read, for tests and for hosts whose /etc is elsewhere.
  explicit HostNames(std::string passwd = "/etc/passwd", std::string group = "/etc/group",
                     std::chrono::milliseconds look_interval = std::chrono::seconds(1));

  // Empty when the file has no such id. The files are read at the first call,
  // and again when they have changed, which is looked for once in a look
  // interval. The view is valid until the next call.
  std::string_view user(uint32_t uid);
  std::string_view group(uint32_t gid);
  std::optional<uint32_t> uid_of(std::string_view user);
  std::optional<uint32_t> gid_of(std::string_view group);

  // The disk or partition, as in sysfs: "vda1", "nvme0n1p2", "dm-0"; empty for
  // devices without a disk (tmpfs, overlay, btrfs subvolumes). Cached for good
  // when found, for ten seconds when not. The view is valid until the next call.
  std::string_view disk(DeviceNumber device);

  // Where the device's filesystem is mounted: the shortest of its mount points
  // that show its root, else the shortest of all. Empty when it is mounted
  // nowhere this process can see. Read again when the kernel says that mounts
  // have changed. The view is valid until the next call.
  std::string_view mount_point(DeviceNumber device);

 private:
  struct Accounts {
    std::string path;
    std::unordered_map<uint32_t, std::string> names;
    int64_t changed_ns = -1;  // mtime of what was read
    uint64_t inode = 0;
    uint64_t look_next_ns = 0;
  };
  struct Disk {
    std::string name;
    uint64_t ask_next_ns = 0;  // 0: known
  };
  void refresh(Accounts &accounts) const;
  std::string_view name_in(Accounts &accounts, uint32_t id) const;
  std::optional<uint32_t> id_in(Accounts &accounts, std::string_view name) const;
  bool mounts_changed();
  void read_mount_points();

  uint64_t look_interval_ns_;
  Accounts users_, groups_;
  std::map<DeviceNumber, Disk> disks_;
  Fd mountinfo_;  // polled: the kernel raises POLLPRI when mounts change
  std::map<DeviceNumber, std::string> mount_points_;
};

}  // namespace waggle
