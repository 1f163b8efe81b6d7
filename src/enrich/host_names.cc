#include "enrich/host_names.h"

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>

#include "base/clock.h"

namespace waggle {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kDiskRetryNs = 10 * kSecondNs;
constexpr size_t kAccountFileBytesMost = 16u << 20;
constexpr size_t kNameBytesMost = 256;
constexpr size_t kDisksMost = 4096;

std::string_view take_until(std::string_view &rest, char separator) {
  size_t at = rest.find(separator);
  std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

// /sys/dev/block/8:1 links to ".../block/sda/sda1".
std::string read_disk_name(DeviceNumber device) {
  char target[PATH_MAX];
  ssize_t length = ::readlink(("/sys/dev/block/" + device.text()).c_str(), target, sizeof target);
  if (length <= 0) return {};
  std::string_view path(target, static_cast<size_t>(length));
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

std::vector<AccountName> parse_account_names(std::string_view text) {
  std::vector<AccountName> accounts;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    std::string_view name = take_until(line, ':');
    take_until(line, ':');  // the password, which is elsewhere
    std::string_view id = take_until(line, ':');
    AccountName account;
    auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), account.id);
    if (error != std::errc() || end != id.data() + id.size()) continue;
    if (name.empty() || name.size() > kNameBytesMost || name.front() == '#' || name.front() == '+') continue;
    account.name = name;
    accounts.push_back(std::move(account));
  }
  return accounts;
}

HostNames::HostNames(std::string passwd, std::string group, std::chrono::milliseconds look_interval)
    : look_interval_ns_(static_cast<uint64_t>(std::chrono::nanoseconds(look_interval).count())) {
  users_.path = std::move(passwd);
  groups_.path = std::move(group);
}

std::string_view HostNames::user(uint32_t uid) {
  return name_in(users_, uid);
}

std::string_view HostNames::group(uint32_t gid) {
  return name_in(groups_, gid);
}

std::optional<uint32_t> HostNames::uid_of(std::string_view user) {
  return id_in(users_, user);
}

std::optional<uint32_t> HostNames::gid_of(std::string_view group) {
  return id_in(groups_, group);
}

void HostNames::refresh(Accounts &accounts) const {
  uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
  if (now < accounts.look_next_ns) return;
  accounts.look_next_ns = now + look_interval_ns_;
  struct stat status {};
  if (::stat(accounts.path.c_str(), &status) != 0) return;  // what was read stays good
  int64_t changed_ns = status.st_mtim.tv_sec * static_cast<int64_t>(kSecondNs) + status.st_mtim.tv_nsec;
  // useradd(8) replaces the file: two within a clock tick differ by their inodes.
  if (changed_ns == accounts.changed_ns && status.st_ino == accounts.inode) return;
  Result<std::string> text = read_file(accounts.path, kAccountFileBytesMost);
  if (!text) return;
  accounts.changed_ns = changed_ns;
  accounts.inode = status.st_ino;
  accounts.names.clear();
  for (AccountName &account : parse_account_names(*text)) accounts.names.emplace(account.id, std::move(account.name));
}

std::string_view HostNames::name_in(Accounts &accounts, uint32_t id) const {
  refresh(accounts);
  auto found = accounts.names.find(id);
  return found == accounts.names.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<uint32_t> HostNames::id_in(Accounts &accounts, std::string_view name) const {
  refresh(accounts);
  for (const auto &[id, known] : accounts.names)
    if (known == name) return id;
  return std::nullopt;
}

std::string_view HostNames::disk(DeviceNumber device) {
  // Major 0 is for filesystems without a disk; the map is for real devices.
  if (device.major == 0) return {};
  uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
  auto known = disks_.find(device);
  if (known == disks_.end() || (known->second.ask_next_ns != 0 && now >= known->second.ask_next_ns)) {
    if (disks_.size() >= kDisksMost) disks_.clear();
    Disk disk{.name = read_disk_name(device), .ask_next_ns = 0};
    if (disk.name.empty()) disk.ask_next_ns = now + kDiskRetryNs;
    known = disks_.insert_or_assign(device, std::move(disk)).first;
  }
  return known->second.name;
}

std::string_view HostNames::mount_point(DeviceNumber device) {
  if (mounts_changed()) read_mount_points();
  auto found = mount_points_.find(device);
  return found == mount_points_.end() ? std::string_view() : std::string_view(found->second);
}

bool HostNames::mounts_changed() {
  if (!mountinfo_.valid()) {
    Result<Fd> opened = open_file("/proc/self/mountinfo");
    if (!opened) return false;
    mountinfo_ = std::move(*opened);
    return true;
  }
  pollfd change{.fd = mountinfo_.get(), .events = POLLPRI, .revents = 0};
  return ::poll(&change, 1, 0) == 1 && (change.revents & (POLLPRI | POLLERR)) != 0;
}

void HostNames::read_mount_points() {
  Result<std::vector<Mount>> mounts = read_mounts();
  if (!mounts) return;
  mount_points_.clear();
  std::map<DeviceNumber, bool> whole;  // the point chosen so far shows the filesystem's root
  for (Mount &mount : *mounts) {
    bool root = mount.root == "/";
    auto [place, fresh] = mount_points_.try_emplace(mount.device, mount.point);
    bool better = root != whole[mount.device] ? root : mount.point.size() < place->second.size();
    if (!fresh && !better) continue;
    place->second = std::move(mount.point);
    whole[mount.device] = root;
  }
}

}  // namespace waggle
