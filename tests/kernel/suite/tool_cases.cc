// Familiar tools by their names, with the options people type from habit, through
// activity of which half is what the option asks for: the answer is that half, and
// the rest is counted as filtered.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::string own_pid() {
  return std::to_string(getpid());
}

uint64_t sum_of(const std::vector<Json> &rows, const char *column) {
  uint64_t sum = 0;
  for (const Json &row : rows) sum += number(row, column);
  return sum;
}

// --- processes -------------------------------------------------------------------

void execsnoop(bool with_failed) {
  uint64_t count = scaled(200, 10);
  std::string path = folder() + "/wg-tiny";
  write_tiny_program(path);
  std::vector<std::string> command = {"execsnoop", "-P", own_pid()};
  if (with_failed) command.emplace_back("-x");
  Watch watch(command, {"exec"});
  for (uint64_t i = 0; i < count; i++) {
    wait_for(spawn(path, {"wg-tiny", std::to_string(i)}));
    // A call that fails does so in a child of this process too.
    expect_equal(wait_for(start_child([&] { return spawn_failing(path + ".missing", {"x"}) == ENOENT ? 0 : 1; })), 0,
                 "a missing program");
  }
  Seen seen = watch.stop();
  std::vector<Json> good = rows_where(seen.rows, "errno", 0);
  expect_equal(good.size(), count, "rows of programs that started");
  if (!with_failed) expect_equal(seen.rows.size(), count, "rows");
  expect_equal(seen.rows.size(), seen.losses["exec"].delivered, "rows against those delivered");
  expect_equal(seen.losses["exec"].lost, 0u, "lost");
}

void execsnoop_name() {
  uint64_t count = scaled(100, 10);
  std::string path = folder() + "/wg-tiny", other = folder() + "/wg-other";
  write_tiny_program(path);
  write_tiny_program(other);
  Watch watch({"execsnoop", "-n", "g-tin", "-l", "marked"}, {"exec"});
  for (uint64_t i = 0; i < count; i++) {
    wait_for(spawn(path, {"wg-tiny", "un", "marked"}));
    wait_for(spawn(path, {"wg-tiny", "plain"}));
    wait_for(spawn(other, {"wg-other", "marked"}));
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows of the name and the line");
  const Losses &losses = seen.losses["exec"];
  expect_equal(losses.delivered, count, "delivered");
  expect(losses.filtered >= 2 * count, fmt::format("only {} were filtered", losses.filtered));
}

void exitsnoop_failed() {
  uint64_t count = scaled(200, 10);
  Watch watch({"exitsnoop", "-x", "--where", "ppid=" + own_pid()}, {"exit"});
  for (uint64_t i = 0; i < count; i++) {
    wait_for(start_child([] { return 0; }));
    wait_for(start_child([] { return 7; }));
    wait_for(start_child([] {
      raise(SIGKILL);
      return 0;
    }));
  }
  Seen seen = watch.stop();
  expect_equal(rows_where(seen.rows, "code", 7).size(), count, "rows of code 7");
  expect_equal(rows_where(seen.rows, "signal", 9).size(), count, "rows of signal 9");
  expect_equal(seen.rows.size(), 2 * count, "rows");
}

// A child that does its work once its process id is known to whoever asked for it.
class Waiting {
 public:
  explicit Waiting(const std::function<int()> &work) {
    int ends[2];
    must(pipe2(ends, O_CLOEXEC), "pipe2");
    pid_ = start_child([&] {
      char word = 0;
      close(ends[1]);
      return read(ends[0], &word, 1) == 1 ? work() : 1;
    });
    close(ends[0]);
    to_ = ends[1];
  }
  std::string pid() const { return std::to_string(pid_); }
  void go() const { expect_equal(write(to_, "x", 1), ssize_t{1}, "write"); }
  void end() const {
    expect_equal(wait_for(pid_), 0, "status of the child");
    close(to_);
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1;
};

void killsnoop() {
  uint64_t count = scaled(200, 20);
  constexpr pid_t kNobody = 0x3fffffff;
  pid_t child = start_child([] {
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    while (true) pause();
    return 0;
  });
  Watch watch({"killsnoop", "-T", std::to_string(child), "-s", "USR1"}, {"signal"});
  Watch failed({"killsnoop", "-x", "-p", own_pid()}, {"signal"});
  for (uint64_t i = 0; i < count; i++) {
    must(kill(child, SIGUSR1), "kill");
    must(kill(child, SIGUSR2), "kill");
    expect(kill(kNobody, SIGUSR1) != 0 && errno == ESRCH, "nobody was killed");
  }
  Seen seen = watch.stop(), nobody = failed.stop();
  kill(child, SIGKILL);
  wait_for(child);
  expect_equal(seen.rows.size(), count, "rows");
  expect_equal(rows_where(rows_where(seen.rows, "signal", SIGUSR1), "target", child).size(), count, "rows of SIGUSR1");
  expect_equal(nobody.rows.size(), count, "rows of attempts that failed");
  expect_equal(rows_where(nobody.rows, "errno", ESRCH).size(), count, "rows of ESRCH");
}

// Grouped in the kernel, from rows of failed calls, and from those of one thread.
void syscount() {
  uint64_t count = scaled(2000, 200);
  Watch all({"syscount", "-p", own_pid(), "-T", "0"}, {"syscall"});
  Watch failed({"syscount", "-x", "-p", own_pid(), "--syscall", "getpriority"}, {"syscall"});
  Watch thread({"syscount", "-t", own_pid(), "--syscall", "getpriority"}, {"syscall"});
  for (uint64_t i = 0; i < count; i++) {
    syscall(SYS_getpriority, PRIO_PROCESS, 0);
    expect(syscall(SYS_getpriority, 99, 0) < 0, "a priority of nothing");
  }
  Seen seen_all = all.stop(), seen_failed = failed.stop(), seen_thread = thread.stop();
  std::vector<Json> rows = rows_where(seen_all.rows, "syscall", "getpriority");
  expect_equal(rows.size(), size_t{1}, "rows of the call");
  expect_all(number(rows[0], "calls"), {0, 0, 0, seen_all.losses["syscall"].lost}, 2 * count, "calls");
  expect_all(number(rows[0], "errors"), {0, 0, 0, seen_all.losses["syscall"].lost}, count, "errors");
  expect_equal(seen_failed.rows.size(), size_t{1}, "rows of failed calls");
  expect_all(number(seen_failed.rows[0], "count"), seen_failed.losses["syscall"], count, "failed calls");
  expect_equal(seen_thread.rows.size(), size_t{1}, "rows of the thread");
  expect_all(number(seen_thread.rows[0], "count"), seen_thread.losses["syscall"], 2 * count, "calls of the thread");
}

void capable() {
  constexpr uint64_t kChecks = 7;
  Waiting child([] {
    for (uint64_t i = 0; i < kChecks; i++)
      if (chroot(".") != 0) return 2;
    return 0;
  });
  Watch watch({"capable", "-x", "-p", child.pid()}, {"capability"});
  child.go();
  child.end();
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "capability", "CAP_SYS_CHROOT");
  expect_equal(rows.size(), kChecks, "checks");
  expect_equal(std::to_string(number(rows[0], "tid")), child.pid(), "tid");
}

void mountsnoop() {
  uint64_t count = scaled(50, 5);
  std::string where = folder() + "/mounted";
  mkdir(where.c_str(), 0755);
  Watch watch({"mountsnoop", "-p", own_pid()}, {"mount"});
  for (uint64_t i = 0; i < count; i++) {
    must(mount("wg-suite", where.c_str(), "tmpfs", 0, ""), "mount");
    must(umount2(where.c_str(), MNT_DETACH), "umount2");
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), 2 * count, "rows");
  expect_equal(rows_where(rows_where(seen.rows, "call", "mount"), "source", "wg-suite").size(), count, "mounts");
  expect_equal(rows_where(rows_where(seen.rows, "call", "umount2"), "target", where).size(), count, "unmounts");
}

void bindsnoop() {
  enter_new_network();
  uint64_t count = scaled(50, 5);
  Watch watch({"bindsnoop", "-P", "7721", "-p", own_pid()}, {"bind"});
  Watch failed({"bindsnoop", "-x", "-P", "7721,7799", "-p", own_pid()}, {"bind"});
  for (uint64_t i = 0; i < count; i++) {
    int fds[3];
    for (int n = 0; n < 3; n++) {
      fds[n] = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
      sockaddr_in at = {};
      at.sin_family = AF_INET;
      at.sin_port = htons(n == 2 ? 7722 : 7721);
      inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
      // The second one finds the port taken.
      expect_equal(bind(fds[n], reinterpret_cast<sockaddr *>(&at), sizeof(at)) == 0, n != 1, "bind");
    }
    for (int fd : fds) close(fd);
  }
  Seen seen = watch.stop(), both = failed.stop();
  expect_equal(rows_where(rows_where(seen.rows, "port", 7721), "errno", 0).size(), count, "binds of the port");
  expect_equal(seen.rows.size(), count, "rows");
  expect_equal(rows_where(both.rows, "errno", EADDRINUSE).size(), count, "binds that failed");
  expect_equal(both.rows.size(), 2 * count, "rows with those that failed");
}

void gethostlatency() {
  uint64_t count = scaled(50, 10);
  Watch watch({"gethostlatency", "-p", own_pid()}, {"hostname"});
  for (uint64_t i = 0; i < count; i++) {
    addrinfo *found = nullptr;
    expect_equal(getaddrinfo("127.0.0.9", nullptr, nullptr, &found), 0, "getaddrinfo");
    freeaddrinfo(found);
  }
  Seen seen = watch.stop();
  expect_all(seen.rows.size(), seen.losses["hostname"], count, "rows");
  expect_equal(rows_where(seen.rows, "host", "127.0.0.9").size(), seen.rows.size(), "rows of the name");
}

// Half of what is taken is given back, and small blocks do not count.
void memleak() {
  constexpr uint64_t kKept = 64, kBytes = 5000;
  Waiting child([] {
    void *volatile block = nullptr;
    for (uint64_t i = 0; i < kKept; i++) {
      block = malloc(kBytes);
      free(block);
      block = malloc(100);
      block = malloc(kBytes);
    }
    expect(block != nullptr, "no memory");
    return 0;
  });
  Watch watch({"memleak", "-p", child.pid(), "-z", "4000", "--interval", "0"}, {"malloc"});
  child.go();
  child.end();
  Seen seen = watch.stop();
  expect_all(sum_of(seen.rows, "count"), seen.losses["malloc"], kKept, "blocks that are held");
  expect_equal(sum_of(seen.rows, "bytes"), kKept * kBytes, "bytes that are held");
}

// --- files -----------------------------------------------------------------------

// REQUIRES: the file "there" is in the case's folder
void open_and_fail(uint64_t count) {
  std::string path = folder() + "/there";
  for (uint64_t i = 0; i < count; i++) {
    close(must(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"));
    close(must(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC), "open to write"));
    expect(open((path + ".missing").c_str(), O_RDONLY | O_CLOEXEC) < 0, "a missing file was opened");
  }
}

void opensnoop_failed() {
  uint64_t count = scaled(1000, 50);
  write_file(folder() + "/there", "x");
  Watch watch({"opensnoop", "-x", "-p", own_pid()}, {"open"});
  open_and_fail(count);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows");
  expect_equal(rows_where(seen.rows, "errno", ENOENT).size(), count, "rows of ENOENT");
}

// Conditions on numbers are the kernel's work: what they turn away is filtered.
void opensnoop_flags() {
  uint64_t count = scaled(1000, 50);
  write_file(folder() + "/there", "x");
  Watch watch({"opensnoop", "-f", "O_TRUNC", "-t", own_pid(), "-u", "root"}, {"open"});
  open_and_fail(count);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows of opens to truncate");
  expect_equal(seen.losses["open"].delivered, count, "delivered");
  expect(seen.losses["open"].filtered >= 2 * count, "the others were not filtered");
}

// The path as it was passed, and the one that the kernel found.
void opensnoop_full_path() {
  uint64_t count = scaled(200, 20);
  must(mkdir("kept", 0755), "mkdir");
  write_file(folder() + "/kept/there", "x");
  Watch watch({"opensnoop", "-F", "-p", own_pid()}, {"open"});
  for (uint64_t i = 0; i < count; i++) close(must(open("kept/../kept/there", O_RDONLY | O_CLOEXEC), "open"));
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "path", "kept/../kept/there");
  expect_all(rows.size(), {0, 0, 0, seen.losses["open"].lost}, count, "rows");
  for (const Json &row : rows) {
    std::string resolved = text(row, "resolved");
    expect(resolved.ends_with("/kept/there") && resolved.find("..") == std::string::npos, "resolved: " + resolved);
  }
}

void where_any_of_them() {
  uint64_t count = scaled(1000, 50);
  write_file(folder() + "/there", "x");
  Watch watch({"open", "-p", own_pid(), "--where", "errno=EACCES,ENOENT", "--where", "fd<0", "--where", "latency>0ns",
               "--where", "path~missing"});
  open_and_fail(count);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows");
  Watch none({"open", "-p", own_pid(), "--where", "errno!=0,ENOENT"});
  open_and_fail(count);
  expect_equal(none.stop().rows.size(), size_t{0}, "rows that are neither");
}

// The same work on a file system of that type, and on another. The suite itself reads
// what waggle says meanwhile, maybe on a third of that type: hence the device.
struct Mounted {
  LoopDevice device;
  std::string where;
  Mounted(const char *type, uint64_t bytes) : device(bytes), where(folder() + "/mounted") {
    must_run({std::string("mkfs.") + type, "-q", device.path()});
    mkdir(where.c_str(), 0755);
    if (mount(device.path().c_str(), where.c_str(), type, 0, "") != 0)
      fail_case(fmt::format("cannot mount {}: {}", device.path(), strerror(errno)));
  }
};

void use_file(const std::string &path, uint64_t count) {
  char block[4096] = {};
  for (uint64_t i = 0; i < count; i++) {
    int fd = must(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open " + path);
    expect_equal(pwrite(fd, block, sizeof(block), 0), ssize_t{sizeof(block)}, "pwrite");
    must(fsync(fd), "fsync");
    expect_equal(pread(fd, block, sizeof(block), 0), ssize_t{sizeof(block)}, "pread");
    close(fd);
  }
}

void slower(const std::string &type, uint64_t bytes) {
  Mounted mounted(type.c_str(), bytes);
  std::string other = folder() + "/tmpfs";
  mkdir(other.c_str(), 0755);
  must(mount("suite", other.c_str(), "tmpfs", 0, ""), "mount a tmpfs");
  uint64_t count = scaled(100, 10);
  Watch watch({type + "slower", "0", "-p", own_pid(), "--where", "device=" + mounted.device.name()}, {"fs"});
  use_file(mounted.where + "/file", count);
  use_file(other + "/file", count);
  Seen seen = watch.stop();
  must(umount(mounted.where.c_str()), "umount");
  expect_equal(seen.rows.size(), 4 * count, "rows of calls");
  for (const char *op : {"open", "write", "fsync", "read"})
    expect_equal(rows_where(seen.rows, "op", op).size(), count, std::string("rows of ") + op);
  expect_equal(rows_where(seen.rows, "filesystem", type).size(), seen.rows.size(), "rows of " + type);
  expect_equal(seen.losses["fs"].lost, 0u, "lost");
}

void dist(const std::string &type, uint64_t bytes) {
  Mounted mounted(type.c_str(), bytes);
  std::string other = folder() + "/tmpfs";
  mkdir(other.c_str(), 0755);
  must(mount("suite", other.c_str(), "tmpfs", 0, ""), "mount a tmpfs");
  uint64_t count = scaled(100, 10);
  Watch watch({type + "dist", "-p", own_pid(), "--where", "device=" + mounted.device.path()}, {"fs"});
  use_file(mounted.where + "/file", count);
  use_file(other + "/file", count);
  Seen seen = watch.stop();
  must(umount(mounted.where.c_str()), "umount");
  for (const char *op : {"open", "write", "fsync", "read"}) {
    std::vector<Json> rows = rows_where(seen.rows, "op", op);
    expect_equal(rows.size(), size_t{1}, std::string("histograms of ") + op);
    expect_equal(number(rows[0], "count"), count, std::string("calls of ") + op);
  }
  const Losses &losses = seen.losses["fs"];
  expect_equal(losses.delivered, 4 * count, "delivered");
  expect(losses.filtered >= 4 * count, "calls on the other file system were not filtered");
}

void filetop() {
  std::string path = folder() + "/wg-file-of-filetop";
  uint64_t count = scaled(1000, 50);
  Watch watch({"filetop", "-s", "wbytes", "-p", own_pid(), "--interval", "0"}, {"file"});
  use_file(path, count);
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "name", "wg-file-of-filetop");
  expect_equal(rows.size(), size_t{1}, "rows of the file");
  expect_equal(text(rows[0], "op"), "write", "op");
  expect_equal(number(rows[0], "count"), count, "writes");
  expect_equal(number(rows[0], "bytes"), count * 4096, "bytes");
}

// The same calls as each of them that took any time, as distributions, and by file.
void fsslower_fsdist_fileslower() {
  Mounted mounted("ext4", 32 << 20);
  uint64_t count = scaled(100, 10);
  std::string device = "device=" + mounted.device.name();
  Watch each({"fsslower", "-t", "ext4", "-m", "0", "-p", own_pid(), "--where", device}, {"fs"});
  Watch summed({"fsdist", "-t", "ext4", "-p", own_pid(), "--where", device}, {"fs"});
  Watch files({"fileslower", "0", "-p", own_pid(), "--where", device}, {"file"});
  use_file(mounted.where + "/file", count);
  Seen fsslower = each.stop(), fsdist = summed.stop(), fileslower = files.stop();
  must(umount(mounted.where.c_str()), "umount");
  // Where programs are preempted a call of any file may be lost: exactly is then at most.
  expect_all(fsslower.rows.size(), {0, 0, 0, fsslower.losses["fs"].lost}, 4 * count, "calls");
  expect_all(sum_of(fsdist.rows, "count"), {0, 0, 0, fsdist.losses["fs"].lost}, 4 * count, "calls in distributions");
  Losses lost{0, 0, 0, fileslower.losses["file"].lost};
  expect_all(fileslower.rows.size(), lost, 2 * count, "reads and writes");
  expect_all(rows_where(fileslower.rows, "op", "read").size(), lost, count, "reads");
}

void cachestat() {
  Mounted mounted("ext4", 32 << 20);
  uint64_t count = scaled(200, 20);
  Watch watch({"cachestat", "--by", "device", "--interval", "0", "-p", own_pid()}, {"cache"});
  use_file(mounted.where + "/file", count);
  Seen seen = watch.stop();
  must(umount(mounted.where.c_str()), "umount");
  std::vector<Json> rows = rows_where(seen.rows, "device", mounted.device.name());
  expect_equal(rows.size(), size_t{1}, "rows of the disk");
  expect_equal(number(rows[0], "hits"), count, "pages that were read again");
  expect_equal(number(rows[0], "misses"), 0u, "pages that had to be brought in");
}

// --- disks -----------------------------------------------------------------------

// Writes past the page cache, one after the other, to two disks.
void write_directly(const LoopDevice &device, uint64_t count, size_t bytes) {
  int fd = must(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC), "open " + device.path());
  void *memory = nullptr;
  expect(posix_memalign(&memory, 4096, bytes) == 0, "no memory");
  memset(memory, 0, bytes);
  for (uint64_t i = 0; i < count; i++)
    expect_equal(pwrite(fd, memory, bytes, static_cast<off_t>(i * bytes)), static_cast<ssize_t>(bytes), "pwrite");
  free(memory);
  close(fd);
}

std::vector<Json> writes_of(const Seen &seen) {
  std::vector<Json> rows;
  for (const Json &row : seen.rows)
    if (!row.contains("op") || text(row, "op").starts_with("WRITE")) rows.push_back(row);
  return rows;
}

void biolatency() {
  LoopDevice device(16 << 20), other(16 << 20);
  uint64_t count = scaled(500, 50);
  Watch watch({"biolatency", "-D", "--by", "device,op", "-d", device.name()}, {"block"});
  write_directly(device, count, 4096);
  write_directly(other, count, 4096);
  usleep(50'000);
  Seen seen = watch.stop();
  std::vector<Json> rows = writes_of(seen);
  expect_equal(rows.size(), size_t{1}, "histograms of writes");
  expect_equal(text(rows[0], "device"), device.name(), "device");
  expect_equal(number(rows[0], "requests"), count, "requests");
  expect(seen.losses["block"].filtered >= count, "the other disk was not filtered");
}

void biosnoop() {
  LoopDevice device(16 << 20), other(16 << 20);
  uint64_t count = scaled(500, 50);
  Watch watch({"biosnoop", "-d", device.path(), "-Q"}, {"block"});
  write_directly(device, count, 8192);
  write_directly(other, count, 4096);
  usleep(50'000);
  Seen seen = watch.stop();
  std::vector<Json> rows = writes_of(seen);
  expect_equal(rows.size(), count, "rows of writes");
  expect_equal(sum_of(rows, "bytes"), count * 8192, "bytes");
  // All but the first begin where the last one ended; another reader of a new disk may come between.
  expect_between(sum_of(rows, "sequential"), count * 8 / 10, count - 1, "sequential ones");
}

// The distribution of sizes: each size in its slot.
void bitesize() {
  LoopDevice device(16 << 20);
  uint64_t count = scaled(500, 50);
  set_name("wg-bite");
  Watch watch({"bitesize", "-d", device.name(), "-c", "wg-bite"}, {"block"});
  write_directly(device, count, 4096);
  write_directly(device, 2 * count, 8192);
  usleep(50'000);
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "comm", "wg-bite");
  expect_equal(rows.size(), size_t{1}, "rows of the writer");
  expect_equal(number(rows[0]["bytes_slots"], "4096"), count, "requests of 4 KiB");
  expect_equal(number(rows[0]["bytes_slots"], "8192"), 2 * count, "requests of 8 KiB");
  expect_equal(number(rows[0], "bytes_max"), 8192u, "largest");
}

void biotop() {
  LoopDevice device(16 << 20);
  uint64_t count = scaled(500, 50);
  Watch watch({"biotop", "-p", own_pid(), "-s", "io", "--interval", "0"}, {"block"});
  write_directly(device, count, 4096);
  usleep(50'000);
  Seen seen = watch.stop();
  std::vector<Json> rows = writes_of(seen);
  rows = rows_where(rows, "device", device.name());
  expect_equal(rows.size(), size_t{1}, "rows of the disk");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(getpid()), "pid");
  expect_equal(number(rows[0], "bytes"), count * 4096, "bytes");
}

// --- connections -----------------------------------------------------------------

int new_listener(const char *address, uint16_t port) {
  int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, address, &at.sin_addr);
  must(bind(fd, reinterpret_cast<sockaddr *>(&at), sizeof(at)), "bind");
  must(listen(fd, 128), "listen");
  return fd;
}

// Connects, sends so much, closes; the other end has read all and closed last.
void connect_and_send(int listener, const char *address, uint16_t port, size_t bytes) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, address, &at.sin_addr);
  int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  must(connect(fd, reinterpret_cast<sockaddr *>(&at), sizeof(at)), "connect");
  int other = must(accept(listener, nullptr, nullptr), "accept");
  std::string payload(bytes, 'p');
  expect_equal(send(fd, payload.data(), bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes), "send");
  shutdown(fd, SHUT_WR);
  while (recv(other, payload.data(), payload.size(), 0) > 0) continue;
  close(other);
  expect_equal(recv(fd, payload.data(), payload.size(), 0), ssize_t{0}, "the end");
  close(fd);
}

void tcpconnect_port() {
  enter_new_network();
  uint64_t count = scaled(200, 10);
  int wanted = new_listener("127.77.1.9", 7701), other = new_listener("127.77.1.9", 7702);
  Watch watch({"tcpconnect", "-P", "7701,7799", "-4"}, {"tcp_connect"});
  for (uint64_t i = 0; i < count; i++) {
    connect_and_send(wanted, "127.77.1.9", 7701, 100);
    connect_and_send(other, "127.77.1.9", 7702, 100);
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), count, "rows");
  expect_equal(rows_where(seen.rows, "remote_port", 7701).size(), count, "rows of the port");
  const Losses &losses = seen.losses["tcp_connect"];
  expect_equal(losses.filtered, losses.produced - count, "filtered");
}

void tcpconnlat_slow() {
  enter_new_network();
  int listener = new_listener("127.77.1.9", 7703);
  Watch watch({"tcpconnlat", "60000"}, {"tcp_connect"});
  for (int i = 0; i < 20; i++) connect_and_send(listener, "127.77.1.9", 7703, 100);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{0}, "connects that took a minute");
  expect(seen.losses["tcp_connect"].filtered >= 20, "they were not seen at all");
}

void tcplife_ports() {
  enter_new_network();
  uint64_t count = scaled(200, 10);
  int wanted = new_listener("127.77.1.9", 7704), other = new_listener("127.77.2.9", 7705);
  Watch watch({"tcplife", "-D", "7704", "--where", "remote=127.77.1.0/24"}, {"tcp_close"});
  for (uint64_t i = 0; i < count; i++) {
    connect_and_send(wanted, "127.77.1.9", 7704, 5000);
    connect_and_send(other, "127.77.2.9", 7705, 5000);
  }
  Seen seen = watch.stop();
  // Each connection has two ends here; only one of them has that port at its other end.
  expect_equal(seen.rows.size(), count, "rows");
  expect_equal(sum_of(seen.rows, "sent"), count * 5000, "bytes sent");
  Watch sixes({"tcplife", "-6"}, {"tcp_close"});
  connect_and_send(wanted, "127.77.1.9", 7704, 100);
  expect_equal(sixes.stop().rows.size(), size_t{0}, "rows of IPv6");
}

void tcprtt_address() {
  enter_new_network();
  int near = new_listener("127.77.1.9", 7706), far = new_listener("127.78.1.9", 7706);
  Watch watch({"tcprtt", "-B", "-A", "127.77.0.0/16"}, {"tcp_rtt"});
  for (uint64_t i = 0; i < 20; i++) {
    connect_and_send(near, "127.77.1.9", 7706, 100);
    connect_and_send(far, "127.78.1.9", 7706, 100);
  }
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{1}, "histograms");
  expect_equal(text(seen.rows[0], "remote"), "127.77.1.9", "address");
  expect(number(seen.rows[0], "count") >= 20, "too few measurements");
}

void tcpretrans_flows() {
  enter_new_network();
  must_run({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "20%"});
  int listener = new_listener("127.77.1.9", 7707);
  uint64_t count = scaled(40, 10);
  Watch rows({"tcpretrans", "-4"}, {"tcp_retransmit"});
  Watch flows({"tcpretrans", "-c", "--top", "0"}, {"tcp_retransmit"});
  for (uint64_t i = 0; i < count; i++) connect_and_send(listener, "127.77.1.9", 7707, 20'000);
  must_run({"tc", "qdisc", "del", "dev", "lo", "root"});
  // What was lost last is sent again within a second or two.
  usleep(3'000'000);
  Seen each = rows.stop(), summed = flows.stop();
  expect(!each.rows.empty(), "nothing was sent again");
  expect_equal(sum_of(summed.rows, "segments"), sum_of(each.rows, "segments"), "segments by flow against rows");
}

void tcpdrop_only_tcp() {
  enter_new_network();
  uint64_t count = scaled(200, 20);
  Watch watch({"tcpdrop", "-4"}, {"drop"});
  int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in closed = {};
  closed.sin_family = AF_INET;
  closed.sin_port = htons(7708);
  inet_pton(AF_INET, "127.77.1.9", &closed.sin_addr);
  for (uint64_t i = 0; i < count; i++)
    expect_equal(sendto(fd, "x", 1, 0, reinterpret_cast<sockaddr *>(&closed), sizeof(closed)), ssize_t{1}, "sendto");
  for (uint64_t i = 0; i < count; i++) {
    int tcp = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    expect(connect(tcp, reinterpret_cast<sockaddr *>(&closed), sizeof(closed)) != 0, "a closed port was connected to");
    close(tcp);
  }
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "destination_port", 7708);
  expect_equal(rows.size(), count, "rows of SYNs to a closed port");
  expect_equal(rows_where(seen.rows, "ip_protocol", "TCP").size(), seen.rows.size(), "rows of TCP");
  expect(seen.losses["drop"].filtered >= count, "datagrams were not filtered");
}

void tcpaccept_tcpstates_tcptop() {
  enter_new_network();
  uint64_t count = scaled(100, 10);
  int wanted = new_listener("127.77.1.9", 7711), other = new_listener("127.77.1.9", 7712);
  Watch accepted({"tcpaccept", "-P", "7711,7799", "-4"}, {"tcp_accept"});
  Watch changed({"tcpstates", "-L", "7711"}, {"tcp_state"});
  Watch flows({"tcptop", "-4", "-p", own_pid(), "-r", "0", "--interval", "0"}, {"tcp_flow"});
  for (uint64_t i = 0; i < count; i++) {
    connect_and_send(wanted, "127.77.1.9", 7711, 5000);
    connect_and_send(other, "127.77.1.9", 7712, 5000);
  }
  Seen tcpaccept = accepted.stop(), tcpstates = changed.stop(), tcptop = flows.stop();
  expect_all(tcpaccept.rows.size(), {0, 0, 0, tcpaccept.losses["tcp_accept"].lost}, count, "accepts");
  expect_equal(rows_where(tcpaccept.rows, "local_port", 7711).size(), tcpaccept.rows.size(), "accepts of the port");
  // The end that accepts is closed last: it has come to these states in turn.
  for (const char *state : {"SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSE"})
    expect_equal(rows_where(tcpstates.rows, "new_state", state).size(), count,
                 std::string("sockets that came to ") + state);
  expect_equal(rows_where(tcpstates.rows, "local_port", 7711).size(), tcpstates.rows.size(), "changes of the port");
  expect_equal(sum_of(rows_where(tcptop.rows, "remote_port", 7711), "sent"), count * 5000, "bytes sent");
  expect_equal(sum_of(rows_where(tcptop.rows, "local_port", 7711), "received"), count * 5000, "bytes received");
}

// --- CPUs and functions ------------------------------------------------------------

void runqslower_threads() {
  set_name("wg-runq");
  pid_t hog = start_child([] {
    pin_to_cpu(0, last_cpu());
    while (true) continue;
    return 0;
  });
  pin_to_cpu(0, last_cpu());
  Watch watch({"runqslower", "1", "-t", own_pid()}, {"runq"});
  for (int i = 0; i < 200; i++) usleep(500);
  Seen seen = watch.stop();
  kill(hog, SIGKILL);
  wait_for(hog);
  expect(!seen.rows.empty(), "no waits beside a task that does not let go");
  expect_equal(rows_where(seen.rows, "tid", getpid()).size(), seen.rows.size(), "rows of the thread");
  for (const Json &row : seen.rows) expect(number(row, "latency") >= 1000, "a wait of less than 1 us");
}

void runqlat() {
  constexpr uint64_t kSleeps = 100;
  Watch watch({"runqlat", "-P", "-p", own_pid()}, {"runq"});
  for (uint64_t i = 0; i < kSleeps; i++) usleep(1000);
  Seen seen = watch.stop();
  expect(sum_of(seen.rows, "count") >= kSleeps, "fewer waits for a CPU than wake-ups");
  expect_equal(rows_where(seen.rows, "pid", getpid()).size(), seen.rows.size(), "histograms of the process");
}

void offcputime() {
  constexpr uint64_t kSleeps = 5;
  Waiting child([] {
    for (uint64_t i = 0; i < kSleeps; i++) usleep(50'000);
    return 0;
  });
  Watch watch({"offcputime", "-K", "-m", "20000", "-p", child.pid()}, {"offcpu"});
  child.go();
  child.end();
  Seen seen = watch.stop();
  uint64_t sleeps = 0;
  for (const Json &row : seen.rows)
    if (row["frames"].dump().find("nanosleep") != std::string::npos) sleeps += number(row, "count");
  expect_all(sleeps, {0, 0, 0, seen.losses["offcpu"].lost}, kSleeps, "sleeps by stack");
}

void profile_one() {
  pid_t spinner = start_child([] {
    set_name("wg-spin");
    while (true) continue;
    return 0;
  });
  Watch watch({"profile", "-F", "49", "-p", std::to_string(spinner), "2"}, {"cpu"});
  Seen seen = watch.wait_for_end();
  kill(spinner, SIGKILL);
  wait_for(spinner);
  expect(!seen.rows.empty(), "no samples of a task that runs");
  for (const Json &row : seen.rows) expect_equal(text(row, "comm"), "wg-spin", "comm");
}

#if defined(__x86_64__)
constexpr const char *kGetpriority = "__x64_sys_getpriority";
#else
constexpr const char *kGetpriority = "__arm64_sys_getpriority";
#endif

void funccount() {
  uint64_t count = scaled(5000, 500);
  std::string function = kGetpriority;
  Watch watch({"funccount", function, "-p", own_pid()}, {"func"});
  for (uint64_t i = 0; i < count; i++) syscall(SYS_getpriority, PRIO_PROCESS, 0);
  Seen seen = watch.stop();
  expect_equal(seen.rows.size(), size_t{1}, "rows");
  expect_all(number(seen.rows[0], "count"), seen.losses["func"], count, "calls");
  Ran ran = run_waggle({"funcslower", "-m", "5000", function, "--duration", "100ms"});
  expect_equal(ran.status, 0, "status: " + ran.err);
}

void funclatency_stackcount_trace() {
  uint64_t count = scaled(1000, 100);
  std::string function = kGetpriority;
  auto call = [&] {
    for (uint64_t i = 0; i < count; i++) syscall(SYS_getpriority, PRIO_PROCESS, 0);
  };
  // By itself: on newer kernels the trampoline of fexit stands in stacks where the function would.
  Watch latency({"funclatency", "-p", own_pid(), function}, {"func"});
  call();
  Seen funclatency = latency.stop();
  Watch stacks({"stackcount", "-K", "-p", own_pid(), function}, {"call"});
  Watch each({"trace", "-p", own_pid(), "p::" + function}, {"call"});
  call();
  Seen stackcount = stacks.stop(), trace = each.stop();
  expect_equal(funclatency.rows.size(), size_t{1}, "histograms");
  expect_all(number(funclatency.rows[0], "count"), funclatency.losses["func"], count, "calls in the histogram");
  expect_equal(stackcount.rows.size(), size_t{1}, "stacks");
  expect_all(number(stackcount.rows[0], "count"), stackcount.losses["call"], count, "calls by stack");
  expect(stackcount.rows[0]["frames"].dump().find("sys_getpriority") != std::string::npos,
         "no frame of the function: " + stackcount.rows[0].dump());
  expect_all(trace.rows.size(), trace.losses["call"], count, "rows of calls");
  expect_equal(rows_where(trace.rows, "tid", getpid()).size(), trace.rows.size(), "rows of the thread");
}

}  // namespace

void add_tool_cases(std::vector<Case> &cases) {
  cases.push_back({"tool: execsnoop", {}, [] { execsnoop(false); }});
  cases.push_back({"tool: execsnoop -x", {}, [] { execsnoop(true); }});
  cases.push_back({"tool: execsnoop -n -l", {}, execsnoop_name});
  cases.push_back({"tool: exitsnoop -x", {}, exitsnoop_failed});
  cases.push_back({"tool: killsnoop -T -s, -x -p", {}, killsnoop});
  cases.push_back({"tool: syscount -p, -x, -t", {}, syscount});
  cases.push_back({"tool: capable -x -p", {}, capable});
  cases.push_back({"tool: mountsnoop -p", {}, mountsnoop});
  cases.push_back({"tool: bindsnoop -P, -x", {}, bindsnoop});
  cases.push_back({"tool: gethostlatency -p", {}, gethostlatency});
  cases.push_back({"tool: memleak -p -z", {}, memleak});
  cases.push_back({"tool: opensnoop -x", {}, opensnoop_failed});
  cases.push_back({"tool: opensnoop -f -t -u", {}, opensnoop_flags});
  cases.push_back({"tool: opensnoop -F", {}, opensnoop_full_path});
  cases.push_back({"tool: --where of several", {}, where_any_of_them});
  cases.push_back({"tool: ext4slower", {Need::kLoop, Need::kExt4}, [] { slower("ext4", 32 << 20); }});
  cases.push_back({"tool: xfsslower", {Need::kLoop, Need::kXfs}, [] { slower("xfs", 320 << 20); }});
  cases.push_back({"tool: ext4dist", {Need::kLoop, Need::kExt4}, [] { dist("ext4", 32 << 20); }});
  cases.push_back({"tool: xfsdist", {Need::kLoop, Need::kXfs}, [] { dist("xfs", 320 << 20); }});
  cases.push_back({"tool: fsslower, fsdist, fileslower", {Need::kLoop, Need::kExt4}, fsslower_fsdist_fileslower});
  cases.push_back({"tool: cachestat", {Need::kLoop, Need::kExt4}, cachestat});
  cases.push_back({"tool: filetop", {}, filetop});
  cases.push_back({"tool: biolatency -D -d", {Need::kLoop}, biolatency});
  cases.push_back({"tool: biosnoop -d -Q", {Need::kLoop}, biosnoop});
  cases.push_back({"tool: bitesize", {Need::kLoop}, bitesize});
  cases.push_back({"tool: biotop -p -s", {Need::kLoop}, biotop});
  cases.push_back({"tool: tcpaccept -P, tcpstates -L, tcptop -p", {}, tcpaccept_tcpstates_tcptop});
  cases.push_back({"tool: tcpconnect -P", {}, tcpconnect_port});
  cases.push_back({"tool: tcpconnlat", {}, tcpconnlat_slow});
  cases.push_back({"tool: tcplife -D -6", {}, tcplife_ports});
  cases.push_back({"tool: tcprtt -B -A", {}, tcprtt_address});
  cases.push_back({"tool: tcpretrans -c", {Need::kNetem}, tcpretrans_flows, seconds(120)});
  cases.push_back({"tool: tcpdrop", {}, tcpdrop_only_tcp});
  cases.push_back({"tool: runqslower -t", {}, runqslower_threads});
  cases.push_back({"tool: runqlat -P -p", {}, runqlat});
  cases.push_back({"tool: offcputime -K -m -p", {}, offcputime});
  cases.push_back({"tool: profile", {}, profile_one});
  cases.push_back({"tool: funccount", {Need::kFunctions}, funccount});
  cases.push_back({"tool: funclatency, stackcount, trace", {Need::kFunctions}, funclatency_stackcount_trace});
}

}  // namespace waggle::suite
