#include "kernel/tracefs.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/fd.h"
#include "base/text.h"

namespace waggle {
namespace {

constexpr char kUsualPath[] = "/sys/kernel/tracing";
constexpr char kMountCommand[] = "mount -t tracefs tracefs /sys/kernel/tracing";
constexpr size_t kFormatBytesMost = 1u << 20;

// Descriptions of ftrace's own records: no program can be attached to them.
constexpr std::string_view kFtraceCategory = "ftrace";

// A name that can be part of a path: no way out of the directory.
bool is_plain(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && !name.starts_with('.') &&
         name.find('\0') == std::string_view::npos;
}

// Entries of a directory that are directories.
std::vector<std::string> subdirectories(const std::string &path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR *)> directory(opendir(path.c_str()), closedir);
  if (!directory) return names;
  while (const dirent *entry = readdir(directory.get()))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  return names;
}

bool has_events(const std::string &path) {
  return access((path + "/events").c_str(), R_OK | X_OK) == 0;
}

}  // namespace

Result<TracepointName> parse_tracepoint_name(std::string_view text) {
  size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    TracepointName parsed{text.substr(0, colon), text.substr(colon + 1)};
    if (is_plain(parsed.category) && is_plain(parsed.name) && parsed.name.find(':') == std::string_view::npos)
      return parsed;
  }
  return fail(ErrorCode::kInvalid, fmt::format("'{}' is not the name of a tracepoint", text), {},
              "write CATEGORY:NAME, such as sched:sched_switch");
}

std::string find_tracefs(std::span<const Mount> mounts) {
  std::string found, debugfs;
  for (const Mount &mount : mounts) {
    // A bind mount of one of its files or directories is not the whole.
    if (mount.root != "/") continue;
    if (mount.fs_type == "tracefs" && (found.empty() || mount.point == kUsualPath)) found = mount.point;
    if (mount.fs_type == "debugfs") debugfs = mount.point + "/tracing";
  }
  return found.empty() ? debugfs : found;
}

Result<Tracefs> Tracefs::open() {
  constexpr char kWhat[] = "cannot read the kernel's tracepoints";
  std::string path = find_tracefs(TRY(read_mounts()));
  if (!path.empty() && has_events(path)) return Tracefs(std::move(path));
  bool mounted = !path.empty();
  int error_number = mounted ? errno : 0;
  if (!mounted || error_number == ENOENT) {
    if (access(kUsualPath, F_OK) != 0)
      return fail(ErrorCode::kUnsupported, kWhat,
                  "there is no /sys/kernel/tracing: this kernel has no tracefs, or /sys is hidden here",
                  "in a container, mount the host's /sys");
    if (mount("tracefs", kUsualPath, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 &&
        has_events(kUsualPath))
      return Tracefs(kUsualPath);
    error_number = errno;
    if (error_number == ENODEV) return fail(ErrorCode::kUnsupported, kWhat, "this kernel has no tracefs");
    if (error_number != EBUSY)
      return fail(ErrorCode::kDenied, kWhat,
                  fmt::format("tracefs is not mounted, and mounting it was refused: {}", strerror(error_number)),
                  kMountCommand);
  }
  return fail(ErrorCode::kDenied, kWhat, fmt::format("{}: {}", mounted ? path : kUsualPath, strerror(error_number)),
              "run it as root");
}

Result<std::vector<std::string>> Tracefs::tracepoints() const {
  Result<std::string> text = read_file(path_ + "/available_events", 16u << 20);
  // A kernel that is locked down refuses this file but not the directories.
  if (!text) return walk_events();
  std::vector<std::string> names;
  for (std::string_view line : split(*text, '\n'))
    if (!line.empty() && !line.starts_with("ftrace:")) names.emplace_back(line);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> Tracefs::walk_events() const {
  const std::string events = path_ + "/events";
  if (access(events.c_str(), R_OK | X_OK) != 0) return fail_errno(errno, "cannot read " + events, "run it as root");
  std::vector<std::string> names;
  for (const std::string &category : subdirectories(events)) {
    if (category == kFtraceCategory) continue;
    for (const std::string &name : subdirectories(events + "/" + category)) names.push_back(category + ":" + name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool Tracefs::has(std::string_view category, std::string_view name) const {
  if (!is_plain(category) || !is_plain(name) || category == kFtraceCategory) return false;
  return access(fmt::format("{}/events/{}/{}", path_, category, name).c_str(), F_OK) == 0;
}

Result<std::string> Tracefs::read_event_file(std::string_view category, std::string_view name, const char *file) const {
  if (is_plain(category) && is_plain(name)) {
    Result<std::string> text =
        read_file(fmt::format("{}/events/{}/{}/{}", path_, category, name, file), kFormatBytesMost);
    if (text || text.error().code != ErrorCode::kNotFound) return text;
  }
  return fail(ErrorCode::kNotFound, fmt::format("this kernel has no tracepoint {}:{}", category, name), {},
              fmt::format("waggle list probes 'tracepoint:{}:*'", category));
}

Result<uint32_t> Tracefs::id(std::string_view category, std::string_view name) const {
  std::string text = TRY(read_event_file(category, name, "id"));
  uint32_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || id == 0)
    return fail(ErrorCode::kInvalid, fmt::format("tracepoint {}:{} has no usable id", category, name),
                fmt::format("the kernel says '{}'", trim(text)));
  return id;
}

Result<std::string> Tracefs::format(std::string_view category, std::string_view name) const {
  return read_event_file(category, name, "format");
}

}  // namespace waggle
