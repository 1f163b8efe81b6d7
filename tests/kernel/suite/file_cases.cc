// open and file: every call by its name, flags, result and bytes.

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::vector<std::string> for_this_process(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-p", std::to_string(getpid())});
  return arguments;
}

// --- open ------------------------------------------------------------------------

// One open as it is done and as its row must be.
struct Opened {
  const char *call;
  std::string path;
  int flags;
  mode_t mode;
  int error = 0;
};

long do_open(const Opened &open_of) {
  std::string_view call = open_of.call;
  const char *path = open_of.path.c_str();
  if (call == "open") return syscall(SYS_open, path, open_of.flags, open_of.mode);
  if (call == "creat") return syscall(SYS_creat, path, open_of.mode);
  if (call == "openat") return syscall(SYS_openat, AT_FDCWD, path, open_of.flags, open_of.mode);
  open_how how = {};
  how.flags = static_cast<uint64_t>(open_of.flags);
  how.mode = open_of.mode;
  return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

void open_every_call() {
  must(mkdir("dir", 0755), "mkdir");
  must(symlink("loop", "loop"), "symlink");
  write_file("file", "x");
  // O_TMPFILE is not for every file system.
  must(mkdir("tmpfs", 0755), "mkdir");
  must(mount("suite", "tmpfs", "tmpfs", 0, nullptr), "mount tmpfs");
  umask(0);
  std::string long_name(255, 'n'), too_long(256, 'n'), long_path = "./";
  while (long_path.size() < 300) long_path += "./";
  long_path += "file";
  const Opened table[] = {
      {"open", "file", O_RDONLY, 0},
      {"open", "file", O_WRONLY | O_APPEND, 0},
      {"open", "new-1", O_RDWR | O_CREAT | O_EXCL, 0640},
      {"open", "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0},
      {"open", "missing", O_RDONLY, 0, ENOENT},
      {"creat", "new-2", O_CREAT | O_WRONLY | O_TRUNC, 0604},
      {"creat", "dir", O_CREAT | O_WRONLY | O_TRUNC, 0600, EISDIR},
      {"openat", "file", O_RDWR | O_TRUNC | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0},
      {"openat", "new-3", O_WRONLY | O_CREAT, 04755},
      {"openat", "file/below", O_RDONLY, 0, ENOTDIR},
      {"openat", "loop", O_RDONLY, 0, ELOOP},
      {"openat", "new-1", O_WRONLY | O_CREAT | O_EXCL, 0600, EEXIST},
      {"openat", "", O_RDONLY, 0, ENOENT},
      {"openat", "tmpfs", O_RDWR | O_TMPFILE, 0600},
      {"openat", too_long, O_RDONLY, 0, ENAMETOOLONG},
      {"openat", "grüße \"'\\\t日本", O_RDONLY, 0, ENOENT},
      {"openat", "not \xff\xfe UTF-8", O_WRONLY | O_CREAT, 0600},
      {"openat2", "file", O_PATH | O_CLOEXEC, 0},
      {"openat2", "new-4", O_WRONLY | O_CREAT | O_SYNC, 0622},
      {"openat2", "missing", O_RDWR, 0, ENOENT},
      {"openat", long_path, O_RDONLY, 0},
  };
  Watch watch(for_this_process({"open"}));
  std::vector<long> results;
  for (const Opened &each : table) {
    long result = do_open(each);
    int error = result < 0 ? errno : 0;
    results.push_back(result);
    if (result >= 0) close(static_cast<int>(result));
    expect_equal(error, each.error, fmt::format("errno of {} '{}'", each.call, each.path));
  }
  // Not a pointer at all.
  expect(syscall(SYS_openat, AT_FDCWD, nullptr, O_RDONLY) < 0 && errno == EFAULT, "openat of NULL");
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), std::size(table) + 1, "rows of opens");
  for (size_t i = 0; i < std::size(table); i++) {
    const Opened &each = table[i];
    const Json &row = seen.rows[i];
    std::string where = fmt::format(" of {} '{}' (row {})", each.call, each.path, i);
    expect_equal(text(row, "path"), each.path.substr(0, 255), "path" + where);
    expect_equal(number(row, "flags"), static_cast<uint64_t>(each.flags), "flags" + where);
    if (each.mode != 0) expect_equal(number(row, "mode"), uint64_t{each.mode}, "mode" + where);
    expect_equal(number(row, "errno"), static_cast<uint64_t>(each.error), "errno" + where);
    expect_equal(row["fd"].get<long>(), results[i] < 0 ? -1 : results[i], "fd" + where);
    expect_equal(number(row, "pid"), static_cast<uint64_t>(getpid()), "pid" + where);
    expect_equal(number(row, "tid"), static_cast<uint64_t>(getpid()), "tid" + where);
    expect_between(number(row, "latency"), uint64_t{1}, uint64_t{5'000'000'000}, "latency" + where);
  }
  expect_equal(number(seen.rows.back(), "errno"), uint64_t{EFAULT}, "errno of openat(NULL)");
  expect_equal(text(seen.rows.back(), "path"), "", "path of openat(NULL)");
}

// What the kernel made of each path, and what was passed, whole beside it.
void open_resolved() {
  must(mkdir("dir", 0755), "mkdir");
  must(mkdir("dir/sub", 0755), "mkdir");
  must(mkdir("mounted", 0755), "mkdir");
  must(mount("suite", "mounted", "tmpfs", 0, nullptr), "mount tmpfs");
  write_file("dir/sub/file", "x");
  write_file("mounted/file", "x");
  must(symlink("dir/sub", "link"), "symlink");
  std::string here = std::filesystem::canonical(".");
  struct {
    std::string path, resolved;
    int flags = O_RDONLY;
  } const table[] = {
      {"dir/sub/file", here + "/dir/sub/file"},
      {"./dir/../link/file", here + "/dir/sub/file"},
      {"link", here + "/dir/sub", O_RDONLY | O_DIRECTORY},
      {here + "/mounted/file", here + "/mounted/file"},
      {"mounted/new", here + "/mounted/new", O_WRONLY | O_CREAT},
      {"missing", ""},
      {"/", "/"},
      {"dir/sub/file", here + "/dir/sub/file", O_PATH},
  };
  Watch watch(for_this_process({"open", "--set", "resolve=1"}));
  for (const auto &each : table)
    if (int fd = open(each.path.c_str(), each.flags | O_CLOEXEC, 0600); fd >= 0) close(fd);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < std::size(table); i++) {
    expect_equal(text(seen.rows[i], "path"), table[i].path, fmt::format("path of row {}", i));
    expect_equal(text(seen.rows[i], "resolved"), table[i].resolved, fmt::format("resolved '{}'", table[i].path));
  }
  Watch plain(for_this_process({"open"}));
  close(must(open("dir/sub/file", O_RDONLY | O_CLOEXEC), "open"));
  seen = plain.stop();
  expect_equal(seen.rows.size(), size_t{1}, "rows");
  expect_equal(text(seen.rows[0], "resolved"), "", "resolved, which nobody asked for");
}

void open_failed_only() {
  uint64_t count = scaled(1000);
  write_file("file", "x");
  Watch watch(for_this_process({"open", "--failed"}));
  for (uint64_t i = 0; i < count; i++) {
    close(must(open("file", O_RDONLY), "open"));
    expect(open("missing", O_RDONLY) < 0, "a missing file was opened");
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows");
  for (const Json &row : seen.rows) expect_equal(number(row, "errno"), uint64_t{ENOENT}, "errno");
  expect(seen.losses["open"].filtered >= count, "successes are not counted as filtered");
}

// The ring outlasts the reader's time slice: nothing is lost, and each row is there
// once, in order.
void open_burst() {
  uint64_t count = scaled(400'000);
  write_file("file", "x");
  Watch watch(for_this_process({"open"}));
  char path[] = "./0000000-missing";
  uint64_t began = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    fmt::format_to(path + 2, "{:07}", i);
    if (syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0) >= 0) fail_case("a missing file was opened");
  }
  double took = static_cast<double>(now_ns() - began) / 1e9;
  Seen seen = watch.stop_unparsed();
  const Losses &losses = seen.losses["open"];
  expect_equal(losses.lost, 0u, "lost");
  expect_equal(losses.delivered, count, "delivered");
  uint64_t next = 0;
  for (size_t at = 0; at < seen.out.size();) {
    size_t end = seen.out.find('\n', at);
    expect(end != std::string::npos, "the last line is not whole");
    std::string_view line(seen.out.data() + at, end - at);
    std::string expected = fmt::format("\"path\":\"./{:07}-missing\"", next);
    if (line.find(expected) == std::string_view::npos)
      fail_case(fmt::format("row {} lacks {}: {}", next, expected, line));
    next++;
    at = end + 1;
  }
  expect_equal(next, count, "rows");
  note(fmt::format("{:.0f} opens a second, 0 lost", static_cast<double>(count) / took));
}

// A ring that is far too small: what is lost is counted, to the unit.
void open_burst_loses_countably() {
  uint64_t count = scaled(100'000, 5000);
  Watch watch(for_this_process({"open", "--ring", "4096"}));
  for (uint64_t i = 0; i < count; i++) (void)!syscall(SYS_openat, AT_FDCWD, "missing-in-a-burst", O_RDONLY, 0);
  Seen seen = watch.stop();
  const Losses &losses = seen.losses["open"];
  expect_equal(losses.produced - losses.filtered, count, "opens of this process");
  expect_equal(losses.delivered + losses.lost, count, "delivered + lost");
  expect_equal(seen.rows.size(), losses.delivered, "rows");
  note(fmt::format("{} of {} lost with a ring of 4 KiB", losses.lost, count));
}

void open_threads() {
  uint64_t each = scaled(2000);
  Watch watch(for_this_process({"open"}));
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++)
    threads.emplace_back([&, t] {
      std::string path = fmt::format("missing-{}", t);
      for (uint64_t i = 0; i < each; i++) (void)!syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY, 0);
    });
  for (std::thread &thread : threads) thread.join();
  Seen seen = watch.stop();
  uint64_t all = 0;
  for (int t = 0; t < kThreads; t++) {
    std::vector<Json> rows = rows_where(seen.rows, "path", fmt::format("missing-{}", t));
    all += rows.size();
    if (!programs_are_preempted()) expect_equal(rows.size(), each, fmt::format("rows of thread {}", t));
    if (rows.empty()) continue;
    expect(rows.front()["tid"] == rows.back()["tid"] && rows.front()["tid"] != getpid(), "tid of a thread");
  }
  expect_all(all, seen.losses["open"], each * kThreads, "rows of all threads");
}

// --- unlink ----------------------------------------------------------------------

void unlink_every_call() {
  std::string here = std::filesystem::canonical(".");
  must(mkdir("dir", 0755), "mkdir");
  write_file("dir/full", "x");
  for (const char *old : {"old-1", "old-2", "old-3"}) write_file(old, "x");
  int directory = must(open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open");
  struct {
    const char *op;
    std::string path, to;
    std::function<long()> call;
    int error = 0;
  } const table[] = {
      {"unlink", "old-1", "", [] { return unlink("old-1"); }},
      {"unlink", here + "/old-2", "", [&] { return unlinkat(AT_FDCWD, (here + "/old-2").c_str(), 0); }},
      {"unlink", "missing", "", [] { return unlink("missing"); }, ENOENT},
      {"unlink", "dir", "", [] { return unlinkat(AT_FDCWD, "dir", 0); }, EISDIR},
      {"rmdir", "dir", "", [] { return rmdir("dir"); }, ENOTEMPTY},
      {"rename", "old-3", "new-1", [] { return syscall(SYS_rename, "old-3", "new-1"); }},
      {"rename", "full", "new-2", [&] { return syscall(SYS_renameat, directory, "full", AT_FDCWD, "new-2"); }},
      {"rename", "new-1", "new-2", [] { return syscall(SYS_renameat2, AT_FDCWD, "new-1", AT_FDCWD, "new-2", 1); },
       EEXIST},
      {"rename", "a", std::string(250, 'b'), [] { return rename("a", std::string(250, 'b').c_str()); }, ENOENT},
      {"rmdir", "dir", "", [] { return unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR); }},
  };
  Watch watch(for_this_process({"unlink"}));
  for (const auto &each : table) {
    long result = each.call();
    expect_equal(result < 0 ? errno : 0, each.error, fmt::format("errno of {} '{}'", each.op, each.path));
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < std::size(table); i++) {
    std::string where = fmt::format(" of row {}", i);
    expect_equal(text(seen.rows[i], "op"), table[i].op, "op" + where);
    expect_equal(text(seen.rows[i], "path"), table[i].path, "path" + where);
    expect_equal(text(seen.rows[i], "to"), table[i].to, "to" + where);
    expect_equal(number(seen.rows[i], "errno"), static_cast<uint64_t>(table[i].error), "errno" + where);
    expect_equal(number(seen.rows[i], "age"), 0u, "age" + where);
    expect_between(number(seen.rows[i], "latency"), uint64_t{1}, uint64_t{5'000'000'000}, "latency" + where);
  }
  expect_equal(seen.losses["unlink"].lost, 0u, "lost");
}

// How long files lived that were made and removed while the sensor ran.
void unlink_age() {
  uint64_t files = scaled(200);
  bool told = lack_of(Need::kFunctions).empty();
  write_file("before", "x");
  Watch watch(for_this_process({"unlink"}));
  std::vector<uint64_t> made_before, made_after, gone_before, gone_after;
  for (uint64_t i = 0; i < files; i++) {
    made_before.push_back(now_ns());
    close(must(open(fmt::format("{}", i).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open"));
    made_after.push_back(now_ns());
  }
  // Opened again, and one name for another: neither makes a file.
  close(must(open("0", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open"));
  must(unlink("before"), "unlink");
  expect(rmdir("1") < 0 && unlink("missing") < 0, "what must fail did not");
  for (uint64_t i = 0; i < files; i++) {
    gone_before.push_back(now_ns());
    must(unlink(fmt::format("{}", i).c_str()), "unlink");
    gone_after.push_back(now_ns());
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), files + 3, "rows");
  expect_equal(number(seen.rows[0], "age"), 0u, "age of a file made before");
  for (uint64_t i = 0; i < files; i++) {
    uint64_t age = number(seen.rows[i + 3], "age");
    if (told)
      expect_between(age, gone_before[i] - made_after[i], gone_after[i] - made_before[i], fmt::format("age of {}", i));
    else
      expect_equal(age, 0u, "age, where functions cannot be traced");
  }
}

// --- file ------------------------------------------------------------------------

struct Transfer {
  uint64_t calls = 0, bytes = 0, errors = 0;
};

// Reads and writes through every call there is; what was done, by operation.
struct Done {
  Transfer read, write;
};

void count(Transfer &transfer, ssize_t result) {
  transfer.calls++;
  if (result > 0) transfer.bytes += static_cast<uint64_t>(result);
  if (result < 0) transfer.errors++;
}

Done read_and_write(int fd, int other) {
  Done done;
  uint64_t rounds = scaled(100, 10);
  std::vector<char> block(10000, 'w');
  iovec parts[3] = {{block.data(), 100}, {block.data() + 100, 0}, {block.data() + 100, 3000}};
  for (uint64_t i = 0; i < rounds; i++) {
    lseek(fd, 0, SEEK_SET);
    count(done.write, write(fd, block.data(), 4097));
    count(done.write, pwrite(fd, block.data(), 1, 9000));
    count(done.write, writev(fd, parts, 3));
    count(done.write, pwritev(fd, parts, 3, 50));
    count(done.write, pwritev2(fd, parts, 3, -1, 0));
    lseek(fd, 0, SEEK_SET);
    count(done.read, read(fd, block.data(), 5000));
    count(done.read, read(fd, block.data(), 0));
    count(done.read, pread(fd, block.data(), block.size(), 7));  // less than asked for
    count(done.read, readv(fd, parts, 3));
    count(done.read, preadv(fd, parts, 3, 11));
    count(done.read, preadv2(fd, parts, 3, 12, 0));
    count(done.read, pread(fd, block.data(), 100, 1 << 20));  // beyond the end
    off_t from = 5;
    count(done.read, sendfile(other, fd, &from, 1000));
    count(done.read, syscall(SYS_pread64, fd, block.data(), 10, -1));  // EINVAL
    count(done.read, syscall(SYS_pread64, fd, nullptr, 10, 0));        // EFAULT
    count(done.write, syscall(SYS_pwrite64, fd, nullptr, 10, 0));      // EFAULT
  }
  return done;
}

uint64_t calls_of(const Json &row) {
  uint64_t calls = 0;
  for (const Json &slot : row["latency_slots"]) calls += slot.get<uint64_t>();
  return calls;
}

void file_bytes_and_calls() {
  int fd = must(open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open");
  int pipe_ends[2];
  must(pipe(pipe_ends), "pipe");
  struct stat status = {};
  fstat(fd, &status);
  // A pipe is no regular file: what sendfile writes to it is none of the table's.
  std::thread drain([&] {
    char block[4096];
    while (read(pipe_ends[0], block, sizeof(block)) > 0) continue;
  });
  Watch watch(for_this_process({"file", "--view", "top", "--top", "0"}));
  Done done = read_and_write(fd, pipe_ends[1]);
  Seen seen = watch.stop();
  close(pipe_ends[1]);
  drain.join();
  std::vector<Json> rows = rows_where(seen.rows, "inode", status.st_ino);
  expect_equal(rows.size(), size_t{2}, "rows of the file");
  for (const auto &[op, transfer] : {std::pair("read", done.read), std::pair("write", done.write)}) {
    std::vector<Json> found = rows_where(rows, "op", op);
    expect_equal(found.size(), size_t{1}, fmt::format("rows of {}", op));
    expect_equal(number(found[0], "bytes"), transfer.bytes, fmt::format("bytes of {}", op));
    expect_equal(calls_of(found[0]), transfer.calls, fmt::format("calls of {}", op));
    expect_equal(number(found[0], "errors"), transfer.errors, fmt::format("errors of {}", op));
    expect_equal(number(found[0], "pid"), static_cast<uint64_t>(getpid()), "pid");
  }
}

// Each call a row, against what the kernel counts for this process (rchar, wchar).
void file_rows() {
  auto io_of = [](std::string_view counter) {
    std::string io = read_file("/proc/self/io");
    return strtoull(io.c_str() + io.find(counter) + counter.size() + 1, nullptr, 10);
  };
  must(mkdir("sub", 0755), "mkdir");
  int fd = must(open("sub/data", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open");
  uint64_t rounds = scaled(1000);
  char block[777] = {};
  Watch watch(for_this_process({"file", "--min", "0", "--view", "stream"}));
  uint64_t wrote_before = io_of("wchar");
  for (uint64_t i = 0; i < rounds; i++) must(write(fd, block, i % sizeof(block) + 1), "write");
  uint64_t wrote = io_of("wchar") - wrote_before;
  for (uint64_t i = 0; i < rounds; i++) must(pread(fd, block, 10, static_cast<off_t>(i)), "pread");
  Seen seen = watch.stop();
  std::string path = folder() + "/sub/data";
  std::vector<Json> rows = rows_where(seen.rows, "path", path);
  std::vector<Json> writes = rows_where(rows, "op", "write"), reads = rows_where(rows, "op", "read");
  expect_equal(writes.size(), rounds, "rows of writes");
  expect_equal(reads.size(), rounds, "rows of reads");
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < rounds; i++) {
    expect_equal(number(writes[i], "bytes"), i % sizeof(block) + 1, "bytes of a write");
    expect_equal(number(writes[i], "offset"), bytes, "offset of a write");
    expect_equal(number(reads[i], "offset"), i, "offset of a read");
    expect_between(number(writes[i], "latency"), uint64_t{1}, uint64_t{5'000'000'000}, "latency");
    bytes += number(writes[i], "bytes");
  }
  expect_equal(bytes, wrote, "bytes written against /proc/self/io");
  expect_equal(seen.losses["file"].lost, 0u, "lost");
}

void file_slow_only() {
  int fd = must(open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open");
  Watch watch(for_this_process({"file", "--min", "1h", "--view", "stream"}));
  for (int i = 0; i < 1000; i++) must(write(fd, "x", 1), "write");
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{0}, "rows of calls that took an hour");
}

}  // namespace

void add_file_cases(std::vector<Case> &cases) {
  cases.push_back({"open: open, openat, openat2, creat", {}, open_every_call});
  cases.push_back({"open: the path that the kernel found", {}, open_resolved});
  cases.push_back({"open: failed ones only", {}, open_failed_only});
  cases.push_back({"open: 400,000 in a burst, none lost", {}, open_burst, seconds(90)});
  cases.push_back({"open: a small ring loses countably", {}, open_burst_loses_countably, seconds(60)});
  cases.push_back({"open: eight threads", {}, open_threads});
  cases.push_back({"unlink: unlink, rmdir, rename and their kin", {}, unlink_every_call});
  cases.push_back({"unlink: how long files lived", {}, unlink_age});
  cases.push_back({"file: bytes and calls of every read and write", {}, file_bytes_and_calls});
  cases.push_back({"file: each call a row, bytes as /proc/self/io", {}, file_rows});
  cases.push_back({"file: only slow calls", {}, file_slow_only});
}

}  // namespace waggle::suite
