// fs: calls on file systems of every kind, each told from the others by the kernel's
// own number for it, counted per operation.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

struct Operations {
  uint64_t opens = 0, reads = 0, writes = 0, syncs = 0, read_bytes = 0, written_bytes = 0;
};

Operations use_files(const std::string &where, uint64_t files) {
  Operations done;
  std::vector<char> block(20'000, 'f');
  for (uint64_t i = 0; i < files; i++) {
    std::string path = fmt::format("{}/file-{}", where, i);
    int fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open " + path);
    done.opens++;
    for (int n = 0; n < 3; n++) {
      done.written_bytes += static_cast<uint64_t>(must(write(fd, block.data(), 5000 + i), "write"));
      done.writes++;
    }
    must(fsync(fd), "fsync");
    must(fdatasync(fd), "fdatasync");
    done.syncs += 2;
    for (ssize_t got; (got = must(pread(fd, block.data(), block.size(), static_cast<off_t>(i)), "pread")) >= 0;) {
      done.reads++;
      done.read_bytes += static_cast<uint64_t>(got);
      break;
    }
    close(fd);
    // A failed open has no file system.
    expect(open((path + ".missing").c_str(), O_RDONLY) < 0, "a missing file was opened");
  }
  return done;
}

uint64_t calls_of(const Json &row) {
  uint64_t calls = 0;
  for (const Json &slot : row["latency_slots"]) calls += slot.get<uint64_t>();
  return calls;
}

void count_operations(const std::string &where, const std::string &filesystem, const std::string &device) {
  Watch watch({"fs", "--view", "top", "--top", "0", "-p", std::to_string(getpid())});
  uint64_t began = now_ns();
  Operations done = use_files(where, scaled(50, 10));
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(rows_where(seen.rows, "filesystem", filesystem), "device", device);
  struct {
    const char *op;
    uint64_t calls, bytes;
  } const expected[] = {{"open", done.opens, 0},
                        {"read", done.reads, done.read_bytes},
                        {"write", done.writes, done.written_bytes},
                        {"fsync", done.syncs, 0}};
  for (const auto &each : expected) {
    std::vector<Json> found = rows_where(rows, "op", each.op);
    expect_equal(found.size(), size_t{1}, fmt::format("rows of {} on {} {}", each.op, filesystem, device));
    expect_equal(calls_of(found[0]), each.calls, fmt::format("calls of {}", each.op));
    expect_equal(number(found[0], "bytes"), each.bytes, fmt::format("bytes of {}", each.op));
    expect_equal(number(found[0], "errors"), 0u, fmt::format("errors of {}", each.op));
    expect_between(number(found[0], "latency_max"), uint64_t{1}, took, fmt::format("longest {}", each.op));
  }
  expect_equal(seen.losses["fs"].lost, 0u, "lost");
}

void mount_at(const std::string &source, const std::string &where, const char *type, const std::string &options) {
  mkdir(where.c_str(), 0755);
  if (mount(source.c_str(), where.c_str(), type, 0, options.c_str()) != 0)
    fail_case(fmt::format("cannot mount {} at {} as {}: {}", source, where, type, strerror(errno)));
}

std::string new_tmpfs() {
  std::string where = folder() + "/tmpfs";
  mount_at("suite", where, "tmpfs", "");
  return where;
}

// As waggle names a file system that no disk is behind: its device number.
std::string device_of(const std::string &where) {
  struct stat status = {};
  must(stat(where.c_str(), &status), "stat");
  return fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
}

void fs_tmpfs() {
  std::string where = new_tmpfs();
  count_operations(where, "tmpfs", device_of(where));
}

void fs_on_loop(const char *type, uint64_t bytes) {
  LoopDevice device(bytes);
  must_run({std::string("mkfs.") + type, "-q", device.path()});
  std::string where = folder() + "/mounted";
  mount_at(device.path(), where, type, "");
  count_operations(where, type, device.name());
  must(umount(where.c_str()), "umount");
}

void fs_overlay() {
  std::string base = new_tmpfs();
  for (const char *part : {"lower", "upper", "work"}) mkdir((base + "/" + part).c_str(), 0755);
  std::string where = folder() + "/overlay";
  mount_at("overlay", where, "overlay", fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", base));
  count_operations(where, "overlay", device_of(where));
}

}  // namespace

void add_filesystem_cases(std::vector<Case> &cases) {
  cases.push_back({"fs: tmpfs", {}, fs_tmpfs});
  cases.push_back({"fs: ext4", {Need::kLoop, Need::kExt4}, [] { fs_on_loop("ext4", 32 << 20); }});
  cases.push_back({"fs: xfs", {Need::kLoop, Need::kXfs}, [] { fs_on_loop("xfs", 320 << 20); }});
  cases.push_back({"fs: overlay", {Need::kOverlay}, fs_overlay});
}

}  // namespace waggle::suite
