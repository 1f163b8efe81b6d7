#include "kernel/procfs.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "kernel/procfs_fields.h"

namespace waggle {
namespace {

using procfs::each_line;
using procfs::Fields;
using procfs::take_until;
using procfs::to_number;
using procfs::unescape_octal;

// USER_HZ is 100 in the ABI of every architecture waggle supports.
constexpr uint64_t kTickNs = 10'000'000;

// More mounts or mappings than any host has; bounds what a hostile file can make us hold.
constexpr size_t kLinesMost = 1u << 20;

tl::unexpected<Error> malformed(std::string_view file, std::string_view line) {
  return fail(ErrorCode::kInvalid, "cannot read /proc/" + std::string(file),
              "unexpected text '" + std::string(line.substr(0, 80)) + "'");
}

// Parses every line of a file of equal lines.
template <typename T>
Result<std::vector<T>> parse_lines(std::string_view text, Result<T> (*parse)(std::string_view)) {
  std::vector<T> rows;
  std::optional<Error> error;
  each_line(text, [&](std::string_view line) {
    Result<T> row = parse(line);
    if (!row) {
      error = row.error();
      return false;
    }
    rows.push_back(std::move(*row));
    return rows.size() < kLinesMost;
  });
  if (error) return tl::unexpected<Error>(std::move(*error));
  return rows;
}

bool parse_device(std::string_view text, DeviceNumber &device, int base) {
  std::string_view major = take_until(text, ':');
  return to_number(major, device.major, base) && to_number(text, device.minor, base);
}

// A name may end in the same words: the kernel gives no way to tell.
bool cut_deleted(std::string_view &path) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (!path.ends_with(kDeleted)) return false;
  path.remove_suffix(kDeleted.size());
  return true;
}

Result<CgroupLine> parse_cgroup_line(std::string_view line) {
  CgroupLine row;
  std::string_view rest = line;
  std::string_view hierarchy = take_until(rest, ':');
  row.controllers = take_until(rest, ':');
  row.deleted = cut_deleted(rest);
  row.path = rest;
  if (!to_number(hierarchy, row.hierarchy) || rest.empty() || rest.front() != '/') return malformed("PID/cgroup", line);
  return row;
}

// other - monotonic, from the tightest of a few brackets: a preemption between
// the calls would show as an offset of milliseconds.
int64_t offset_to(clockid_t other) {
  int64_t best_ns = 0;
  uint64_t best_width_ns = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    uint64_t before = clock_ns(CLOCK_MONOTONIC);
    uint64_t there = clock_ns(other);
    uint64_t after = clock_ns(CLOCK_MONOTONIC);
    if (after - before >= best_width_ns) continue;
    best_width_ns = after - before;
    best_ns = static_cast<int64_t>(there - (before + best_width_ns / 2));
  }
  return best_ns;
}

}  // namespace

DeviceNumber DeviceNumber::from_kernel(uint32_t device) {
  return {device >> 20, device & 0xfffff};
}

DeviceNumber DeviceNumber::from_user(uint64_t device) {
  return {gnu_dev_major(device), gnu_dev_minor(device)};
}

uint32_t DeviceNumber::to_kernel() const {
  return (major & 0xfff) << 20 | (minor & 0xfffff);
}

uint64_t DeviceNumber::to_user() const {
  return gnu_dev_makedev(major, minor);
}

std::string DeviceNumber::text() const {
  return std::to_string(major) + ":" + std::to_string(minor);
}

Result<ProcessStat> parse_process_stat(std::string_view text) {
  // The comm is whatever the program called itself, ")" included: only the last
  // one in the line is the kernel's.
  size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return malformed("PID/stat", text);
  static const uint64_t page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));

  ProcessStat stat;
  Fields head(text.substr(0, open));
  stat.comm = text.substr(open + 1, close - open - 1);
  std::string_view tail = text.substr(close + 1);
  if (!tail.empty() && tail.back() == '\n') tail.remove_suffix(1);
  Fields fields(tail);
  std::string_view state;
  int64_t resident_pages = 0;
  bool good = head.number(stat.pid) && !(state = fields.word()).empty() && fields.number(stat.ppid) &&
              fields.number(stat.process_group) && fields.number(stat.session) &&
              fields.skip(7) &&  // tty_nr tpgid flags minflt cminflt majflt cmajflt
              fields.number(stat.user_ns) && fields.number(stat.system_ns) &&
              fields.skip(3) &&  // cutime cstime priority
              fields.number(stat.nice) && fields.number(stat.threads) && fields.skip(1) &&
              fields.number(stat.start_boot_ns) && fields.number(stat.virtual_bytes) && fields.number(resident_pages);
  if (!good) return malformed("PID/stat", text);
  stat.state = state.front();
  stat.user_ns *= kTickNs;
  stat.system_ns *= kTickNs;
  stat.start_boot_ns *= kTickNs;
  stat.resident_bytes = resident_pages > 0 ? static_cast<uint64_t>(resident_pages) * page_bytes : 0;
  return stat;
}

Result<ProcessStatus> parse_process_status(std::string_view text) {
  ProcessStatus status;
  int seen = 0;
  bool good = each_line(text, [&](std::string_view line) {
    std::string_view rest = line;
    std::string_view key = take_until(rest, ':');
    Fields fields(rest);
    if (key == "Tgid") return ++seen, fields.number(status.tgid);
    if (key == "Pid") return ++seen, fields.number(status.pid);
    if (key == "PPid") return ++seen, fields.number(status.ppid);
    if (key == "Uid") return ++seen, fields.number(status.uid) && fields.number(status.effective_uid);
    if (key == "Gid") return ++seen, fields.number(status.gid) && fields.number(status.effective_gid);
    if (key == "NSpid") {
      // A pid namespace nests at most 32 deep (MAX_PID_NS_LEVEL).
      while (!fields.rest().empty() && status.namespace_pids.size() < 33)
        if (!fields.number(status.namespace_pids.emplace_back())) return false;
    }
    return true;
  });
  if (!good || seen < 5) return malformed("PID/status", text);
  return status;
}

Result<ProcessIo> parse_process_io(std::string_view text) {
  ProcessIo io;
  const std::pair<std::string_view, uint64_t *> keys[] = {
      {"rchar", &io.read_chars},
      {"wchar", &io.written_chars},
      {"syscr", &io.read_calls},
      {"syscw", &io.write_calls},
      {"read_bytes", &io.read_bytes},
      {"write_bytes", &io.written_bytes},
      {"cancelled_write_bytes", &io.cancelled_bytes},
  };
  size_t seen = 0;
  bool good = each_line(text, [&](std::string_view line) {
    std::string_view rest = line;
    std::string_view key = take_until(rest, ':');
    for (auto &[name, value] : keys)
      if (key == name) return ++seen, Fields(rest).number(*value);
    return true;
  });
  if (!good || seen < std::size(keys)) return malformed("PID/io", text);
  return io;
}

Result<std::vector<CgroupLine>> parse_process_cgroup(std::string_view text) {
  return parse_lines<CgroupLine>(text, parse_cgroup_line);
}

Result<MapRange> parse_map_line(std::string_view line) {
  MapRange range;
  Fields fields(line);
  std::string_view end = fields.word();
  std::string_view start = take_until(end, '-');
  std::string_view perms = fields.word();
  bool good = to_number(start, range.start, 16) && to_number(end, range.end, 16) && range.start <= range.end &&
              perms.size() == 4 && fields.number(range.offset, 16) && parse_device(fields.word(), range.device, 16) &&
              fields.number(range.inode);
  if (!good) return malformed("PID/maps", line);
  range.readable = perms[0] == 'r';
  range.writable = perms[1] == 'w';
  range.executable = perms[2] == 'x';
  range.shared = perms[3] == 's';
  std::string_view path = fields.rest();
  range.deleted = cut_deleted(path);
  // Only line ends are escaped here, so a backslash of the name's own stays.
  size_t escape;
  while ((escape = path.find("\\012")) != std::string_view::npos) {
    range.path.append(path.substr(0, escape)) += '\n';
    path.remove_prefix(escape + 4);
  }
  range.path += path;
  return range;
}

Result<std::vector<MapRange>> parse_maps(std::string_view text) {
  return parse_lines<MapRange>(text, parse_map_line);
}

Result<Mount> parse_mount_line(std::string_view line) {
  Mount mount;
  Fields fields(line);
  bool good =
      fields.number(mount.id) && fields.number(mount.parent_id) && parse_device(fields.word(), mount.device, 10);
  mount.root = unescape_octal(fields.word());
  mount.point = unescape_octal(fields.word());
  mount.options = fields.word();
  // Any number of optional fields ("shared:1"), then a lone "-".
  std::string_view optional;
  do {
    optional = fields.word();
  } while (!optional.empty() && optional != "-");
  mount.fs_type = unescape_octal(fields.word());
  // The source may be the empty string, which leaves two blanks in a row.
  std::string_view rest = fields.rest();
  size_t last = rest.rfind(' ');
  mount.source = last == std::string_view::npos ? "" : unescape_octal(rest.substr(0, last));
  mount.fs_options = rest.substr(last == std::string_view::npos ? 0 : last + 1);
  if (!good || optional != "-" || mount.fs_type.empty()) return malformed("self/mountinfo", line);
  return mount;
}

Result<std::vector<Mount>> parse_mountinfo(std::string_view text) {
  return parse_lines<Mount>(text, parse_mount_line);
}

Result<std::vector<Partition>> parse_partitions(std::string_view text) {
  std::vector<Partition> partitions;
  bool good = each_line(text, [&](std::string_view line) {
    Fields fields(line);
    if (fields.rest().empty() || fields.rest().starts_with("major")) return true;
    Partition partition;
    uint64_t kibibytes = 0;
    if (!fields.number(partition.device.major) || !fields.number(partition.device.minor) || !fields.number(kibibytes))
      return false;
    partition.bytes = kibibytes * 1024;
    partition.name = fields.rest();
    partitions.push_back(std::move(partition));
    return true;
  });
  if (!good) return malformed("partitions", text);
  return partitions;
}

Result<ProcessFiles> ProcessFiles::open(int32_t pid) {
  return ProcessFiles(pid, TRY(open_file("/proc/" + std::to_string(pid), O_PATH | O_DIRECTORY)));
}

Result<std::string> ProcessFiles::read(const char *name, size_t bytes_most, bool cut) const {
  auto failed = [&](int error) {
    // ESRCH is how an open directory says that its process is gone.
    return fail_errno(error == ESRCH ? ENOENT : error, "cannot read /proc/" + std::to_string(pid_) + "/" + name);
  };
  Fd file(::openat(directory_.get(), name, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return failed(errno);
  std::string content;
  size_t used = 0;
  while (used < bytes_most) {
    content.resize(std::min(bytes_most, used == 0 ? 4096 : used * 2));
    ssize_t got = ::read(file.get(), content.data() + used, content.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    if (got == 0) {
      content.resize(used);
      return content;
    }
    used += static_cast<size_t>(got);
  }
  if (!cut)
    return fail(ErrorCode::kExhausted, "cannot read /proc/" + std::to_string(pid_) + "/" + name,
                "it is larger than " + std::to_string(bytes_most) + " bytes");
  content.resize(used);
  return content;
}

Result<ProcessStat> ProcessFiles::stat() const {
  return parse_process_stat(TRY(read("stat", 16384, false)));
}

Result<ProcessStatus> ProcessFiles::status() const {
  return parse_process_status(TRY(read("status", 1u << 20, false)));
}

Result<ProcessIo> ProcessFiles::io() const {
  return parse_process_io(TRY(read("io", 16384, false)));
}

Result<std::vector<CgroupLine>> ProcessFiles::cgroup() const {
  return parse_process_cgroup(TRY(read("cgroup", 1u << 20, false)));
}

Result<std::vector<MapRange>> ProcessFiles::maps() const {
  return parse_maps(TRY(read("maps", 64u << 20, false)));
}

Result<std::string> ProcessFiles::argv(size_t bytes_most) const {
  std::string argv = TRY(read("cmdline", bytes_most, true));
  argv.shrink_to_fit();  // kept for the life of the process; the buffer is a page
  return argv;
}

Result<std::string> ProcessFiles::exe() const {
  char path[4096];
  ssize_t length = ::readlinkat(directory_.get(), "exe", path, sizeof path);
  if (length < 0)
    return fail_errno(errno == ESRCH ? ENOENT : errno, "cannot read /proc/" + std::to_string(pid_) + "/exe");
  return std::string(path, static_cast<size_t>(length));
}

Result<ProcessStat> read_process_stat(int32_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno(errno, "cannot read " + path);
  // One read gives the whole of it: a line of 52 numbers and a name of 64 bytes at most.
  char line[2048];
  ssize_t got = ::read(file.get(), line, sizeof(line));
  if (got < 0) return fail_errno(errno == ESRCH ? ENOENT : errno, "cannot read " + path);
  return parse_process_stat({line, static_cast<size_t>(got)});
}

Result<std::vector<int32_t>> list_processes() {
  std::unique_ptr<DIR, int (*)(DIR *)> directory(::opendir("/proc"), [](DIR *open) { return ::closedir(open); });
  if (!directory) return fail_errno(errno, "cannot read /proc");
  std::vector<int32_t> pids;
  while (const dirent *entry = ::readdir(directory.get())) {
    int32_t pid;
    if (to_number(std::string_view(entry->d_name), pid) && pid > 0) pids.push_back(pid);
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

Result<std::vector<Mount>> read_mounts() {
  return parse_mountinfo(TRY(read_file("/proc/self/mountinfo")));
}

ClockOffsets read_clock_offsets() {
  return {offset_to(CLOCK_REALTIME), offset_to(CLOCK_BOOTTIME)};
}

}  // namespace waggle
