// Memory: what the page cache held and had to fetch, compared with files of known
// size and with mincore(2).

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

constexpr uint64_t kPage = 4096;

// --- cache -----------------------------------------------------------------------

// An ext4 on a disk of the case's own; /tmp may be a memory file system.
class Disk {
 public:
  explicit Disk(uint64_t bytes) : device_(bytes), where_(folder() + "/disk") {
    must_run({"mkfs.ext4", "-q", device_.path()});
    must(mkdir(where_.c_str(), 0755), "mkdir");
    must(mount(device_.path().c_str(), where_.c_str(), "ext4", 0, ""), "mount");
  }
  ~Disk() { umount2(where_.c_str(), MNT_DETACH); }
  Disk(const Disk &) = delete;
  Disk &operator=(const Disk &) = delete;
  const std::string &path() const { return where_; }
  std::string name() const { return device_.name(); }

 private:
  LoopDevice device_;
  std::string where_;
};

class File {
 public:
  // On the disk, and not in the page cache.
  File(const Disk &disk, uint64_t pages) : pages_(pages) {
    std::string path = disk.path() + "/file";
    write_file(path, std::string(pages * kPage, 'c'));
    fd_ = must(open(path.c_str(), O_RDWR | O_CLOEXEC), "open");
    make_cold();
  }
  ~File() { close(fd_); }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  int fd() const { return fd_; }

  void make_cold() {
    must(fsync(fd_), "fsync");
    // Pages that wait in a CPU's batch for the LRU cannot be dropped.
    for (int tries = 0; resident() > 0 && tries < 200; tries++) {
      must(posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
      if (resident() > 0) usleep(10'000);
    }
    expect_equal(resident(), 0u, "pages still in the cache");
  }
  uint64_t resident() const {
    void *memory = mmap(nullptr, pages_ * kPage, PROT_READ, MAP_SHARED, fd_, 0);
    expect(memory != MAP_FAILED, "mmap");
    std::vector<unsigned char> in_core(pages_);
    must(mincore(memory, pages_ * kPage, in_core.data()), "mincore");
    munmap(memory, pages_ * kPage);
    uint64_t count = 0;
    for (unsigned char page : in_core) count += page & 1;
    return count;
  }
  // While it lives, the kernel may take no page of the file back: DAMON does, of hosts
  // that are idle.
  class Kept {
   public:
    explicit Kept(const File &file) : bytes_(file.pages_ * kPage) {
      memory_ = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.fd_, 0);
      expect(memory_ != MAP_FAILED, "mmap");
      must(mlock(memory_, bytes_), "mlock");
    }
    ~Kept() { munmap(memory_, bytes_); }
    Kept(const Kept &) = delete;
    Kept &operator=(const Kept &) = delete;

   private:
    void *memory_;
    uint64_t bytes_;
  };
  // The whole file by preads of one size, in order.
  void read_by(uint64_t bytes) const {
    std::vector<char> block(bytes);
    for (uint64_t at = 0; at < pages_ * kPage; at += bytes)
      expect_equal(static_cast<uint64_t>(must(pread(fd_, block.data(), bytes, static_cast<off_t>(at)), "pread")),
                   std::min(bytes, pages_ * kPage - at), "bytes of a pread");
  }

 private:
  uint64_t pages_;
  int fd_ = -1;
};

struct Pages {
  uint64_t hits = 0, misses = 0, added = 0, dirtied = 0;
  auto operator<=>(const Pages &) const = default;
};
std::string told(const Pages &pages) {
  return fmt::format("{} hits, {} misses, {} added, {} dirtied", pages.hits, pages.misses, pages.added, pages.dirtied);
}

Pages of_process(const Seen &seen, const Disk &disk, pid_t pid) {
  Pages sum;
  for (const Json &row : rows_where(rows_where(seen.rows, "device", disk.name()), "pid", pid)) {
    expect_equal(text(row, "filesystem"), "ext4", "file system");
    sum.hits += number(row, "hits");
    sum.misses += number(row, "misses");
    sum.added += number(row, "added");
    sum.dirtied += number(row, "dirtied");
  }
  return sum;
}

// What this process did to the cache with files of the disk, as waggle saw it.
Pages pages_of(const Disk &disk, const std::function<void()> &activity) {
  Watch watch({"cache", "--view", "top", "--top", "0", "--set", "by_process=1"});
  activity();
  Seen seen = watch.stop();
  expect_equal(seen.losses["cache"].lost, 0u, "lost");
  return of_process(seen, disk, getpid());
}
void expect_pages(const Disk &disk, const std::string &what, const Pages &expected,
                  const std::function<void()> &activity) {
  expect_equal(told(pages_of(disk, activity)), told(expected), what);
}
void expect_hits(const Disk &disk, const File &file, const std::string &what, uint64_t hits,
                 const std::function<void()> &activity) {
  File::Kept kept(file);
  expect_pages(disk, what, {hits, 0, 0, 0}, activity);
}

void cache_reads() {
  uint64_t pages = scaled(2048, 512);
  Disk disk(64 << 20);
  File file(disk, pages);
  must(posix_fadvise(file.fd(), 0, 0, POSIX_FADV_RANDOM), "posix_fadvise");
  expect_pages(disk, "cold, page by page", {0, pages, pages, 0}, [&] { file.read_by(kPage); });
  expect_hits(disk, file, "warm, page by page", pages, [&] { file.read_by(kPage); });
  expect_hits(disk, file, "warm, 256 pages at once", pages, [&] { file.read_by(256 * kPage); });
  // Two pages a call, three of four of which begin and end within a page.
  expect_hits(disk, file, "warm, half pages", 2 * pages, [&] { file.read_by(kPage / 2); });
  file.make_cold();
  must(posix_fadvise(file.fd(), 0, 0, POSIX_FADV_NORMAL), "posix_fadvise");
  expect_pages(disk, "cold, with read-ahead, page by page", {0, pages, pages, 0}, [&] { file.read_by(kPage); });
  file.make_cold();
  expect_pages(disk, "cold, with read-ahead, 256 pages at once", {0, pages, pages, 0},
               [&] { file.read_by(256 * kPage); });
  file.make_cold();
  expect_pages(disk, "cold and warm in turn", {3 * pages, pages, pages, 0}, [&] {
    for (int turn = 0; turn < 4; turn++) file.read_by(16 * kPage);
  });
  expect_equal(file.resident(), pages, "pages in the cache, by mincore(2)");
}

void cache_calls() {
  constexpr uint64_t kPages = 64;
  Disk disk(16 << 20);
  File file(disk, kPages);
  file.read_by(kPage);
  std::optional<File::Kept> kept(std::in_place, file);
  expect_pages(disk, "sendfile", {kPages, 0, 0, 0}, [&] {
    int out = must(open("/dev/null", O_WRONLY | O_CLOEXEC), "open /dev/null");
    off_t at = 0;
    while (at < static_cast<off_t>(kPages * kPage)) must(sendfile(out, file.fd(), &at, kPages * kPage), "sendfile");
    close(out);
  });
  expect_pages(disk, "readv and preadv of two pages each", {2 * kPages, 0, 0, 0}, [&] {
    std::vector<char> block(2 * kPage);
    iovec parts[] = {{block.data(), 100}, {block.data() + 100, 2 * kPage - 100}};
    must(lseek(file.fd(), 0, SEEK_SET), "lseek");
    for (uint64_t at = 0; at < kPages; at += 2) {
      expect_equal(readv(file.fd(), parts, 2), static_cast<ssize_t>(2 * kPage), "readv");
      expect_equal(preadv(file.fd(), parts, 2, static_cast<off_t>(at * kPage)), static_cast<ssize_t>(2 * kPage),
                   "preadv");
    }
  });
  char block[100];
  expect_pages(disk, "100 bytes over the edge of two pages", {2, 0, 0, 0},
               [&] { expect_equal(pread(file.fd(), block, 100, 4050), ssize_t{100}, "pread"); });
  Pages end = pages_of(disk, [&] {
    expect_equal(pread(file.fd(), block, 100, kPages * kPage - 50), ssize_t{50}, "pread at the end");
    expect_equal(pread(file.fd(), block, 100, kPages * kPage), ssize_t{0}, "pread beyond the end");
  });
  // 5.10 puts a page there before it looks where the file ends.
  expect(end.added <= 1, "at the end and beyond: " + told(end));
  end.added = 0;
  expect_equal(told(end), told({1, 0, 0, 0}), "at the end and beyond");
  kept.reset();
  file.make_cold();
  expect_pages(disk, "past the cache", {0, 0, 0, 0}, [&] {
    int direct = must(open((disk.path() + "/file").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC), "open O_DIRECT");
    void *memory = nullptr;
    expect(posix_memalign(&memory, kPage, 16 * kPage) == 0, "no memory");
    expect_equal(pread(direct, memory, 16 * kPage, 0), static_cast<ssize_t>(16 * kPage), "pread");
    close(direct);
    free(memory);
  });
}

void cache_writes() {
  uint64_t pages = scaled(1024, 128);
  Disk disk(32 << 20);
  File file(disk, 16);
  int fd = must(open((disk.path() + "/new").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open");
  std::string page(kPage, 'w');
  expect_pages(disk, "new pages, then read", {pages, 0, pages, pages}, [&] {
    for (uint64_t i = 0; i < pages; i++)
      expect_equal(pwrite(fd, page.data(), kPage, static_cast<off_t>(i * kPage)), static_cast<ssize_t>(kPage), "write");
    std::string block(kPage, ' ');
    for (uint64_t i = 0; i < pages; i++)
      expect_equal(pread(fd, block.data(), kPage, static_cast<off_t>(i * kPage)), static_cast<ssize_t>(kPage), "read");
  });
  close(fd);
}

// Who read what: rows of two processes, and a filter for one of them.
void cache_by_process() {
  constexpr uint64_t kPages = 256;
  Disk disk(16 << 20);
  File file(disk, kPages);
  auto both = [&] {
    pid_t child = start_child([&] {
      set_name("cold-reader");
      file.read_by(kPage);
      return 0;
    });
    wait_for(child);
    file.read_by(kPage);
    return child;
  };
  Watch all({"cache", "--view", "top", "--top", "0", "--set", "by_process=1"});
  pid_t child = both();
  Seen seen = all.stop();
  expect_equal(told(of_process(seen, disk, child)), told({0, kPages, kPages, 0}), "the first reader");
  expect_equal(told(of_process(seen, disk, getpid())), told({kPages, 0, 0, 0}), "the second");
  expect_equal(rows_where(seen.rows, "comm", "cold-reader").size(), size_t{1}, "rows with the first one's name");
  file.make_cold();
  Watch one({"cache", "--view", "top", "--top", "0", "-p", std::to_string(getpid())});
  both();
  seen = one.stop();
  std::vector<Json> rows = rows_where(seen.rows, "device", disk.name());
  expect_equal(rows.size(), size_t{1}, "rows of the disk with -p");
  expect_equal(number(rows[0], "hits"), kPages, "hits with -p");
  expect_equal(number(rows[0], "misses"), 0u, "misses with -p");
  expect_equal(number(rows[0], "pid"), 0u, "pid of a row that is not by process");
}

// --- fault -----------------------------------------------------------------------

// Touches every page of a mapping once, in a child of its own. `ready` is where the
// child says its mapping begins.
struct Touched {
  pid_t pid = 0;
  uint64_t address = 0;
  rusage used = {};
};
Touched touch_pages(uint64_t pages, int fd) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  Touched touched;
  touched.pid = start_child([&] {
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(nullptr, pages * kPage, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ, flags, fd, 0);
    if (memory == MAP_FAILED) return 1;
    // One fault for each page: no huge ones, and nothing is read ahead or around.
    madvise(memory, pages * kPage, fd < 0 ? MADV_NOHUGEPAGE : MADV_RANDOM);
    auto *bytes = static_cast<volatile char *>(memory);
    for (uint64_t i = 0; i < pages; i++) {
      if (fd < 0)
        bytes[i * kPage] = 1;
      else
        (void)bytes[i * kPage];
    }
    auto address = reinterpret_cast<uint64_t>(memory);
    return write(ends[1], &address, sizeof(address)) == sizeof(address) ? 0 : 1;
  });
  int status = 0;
  expect_equal(read(ends[0], &touched.address, sizeof(touched.address)), static_cast<ssize_t>(sizeof(touched.address)),
               "the child's address");
  must(wait4(touched.pid, &status, 0, &touched.used), "wait4");
  expect_equal(status, 0, "the child's status");
  close(ends[0]);
  close(ends[1]);
  return touched;
}

// Every page's fault is a row with its address.
void expect_fault_rows(const Seen &seen, const Touched &touched, uint64_t pages, uint64_t major) {
  std::set<uint64_t> faulted;
  for (const Json &row : rows_where(seen.rows, "pid", touched.pid)) {
    uint64_t address = std::stoull(text(row, "address"), nullptr, 16);
    if (address < touched.address || address >= touched.address + pages * kPage) continue;
    expect(faulted.insert(address).second, fmt::format("two faults at {:#x}", address));
    expect_equal(number(row, "major"), major, "major");
    expect_equal(number(row, "kernel"), 0u, "kernel");
    expect_equal(number(row, "tid"), static_cast<uint64_t>(touched.pid), "tid");
    expect(!row["stack"]["user"].empty(), "no user stack");
  }
  expect_equal(faulted.size(), pages, "pages that have a row");
}

void fault_rows() {
  uint64_t pages = scaled(2000, 200);
  Watch watch({"fault", "--view", "stream"});
  Touched touched = touch_pages(pages, -1);
  Seen seen = watch.stop();
  expect_fault_rows(seen, touched, pages, 0);
  auto all = rows_where(seen.rows, "pid", touched.pid).size();
  expect_equal(all, static_cast<uint64_t>(touched.used.ru_minflt + touched.used.ru_majflt),
               "rows against getrusage(2)");
}

void fault_major() {
  uint64_t pages = scaled(500, 100);
  Disk disk(16 << 20);
  File file(disk, pages);
  Watch watch({"fault", "--view", "stream", "--set", "major=1"});
  Touched touched = touch_pages(pages, file.fd());
  Seen seen = watch.stop();
  expect_equal(static_cast<uint64_t>(touched.used.ru_majflt), pages, "major faults by getrusage(2)");
  expect_fault_rows(seen, touched, pages, 1);
}

void fault_table() {
  uint64_t pages = scaled(2000, 200);
  Disk disk(16 << 20);
  File file(disk, 100);
  Watch watch({"fault", "--view", "top", "--top", "0"});
  Touched anonymous = touch_pages(pages, -1), mapped = touch_pages(100, file.fd());
  Seen seen = watch.stop();
  for (const Touched &each : {anonymous, mapped}) {
    std::vector<Json> rows = rows_where(seen.rows, "pid", each.pid);
    expect_equal(rows.size(), size_t{1}, "rows of a process");
    expect_equal(number(rows[0], "minor"), static_cast<uint64_t>(each.used.ru_minflt), "minor faults");
    expect_equal(number(rows[0], "major"), static_cast<uint64_t>(each.used.ru_majflt), "major faults");
  }
  expect_equal(seen.losses["fault"].lost, 0u, "lost");
}

// --- reclaim ---------------------------------------------------------------------

// A cgroup with a limit of its memory, of v2 or v1.
class SmallCgroup {
 public:
  explicit SmallCgroup(uint64_t bytes) {
    std::string name = fmt::format("/waggle-suite-memory-{}", getpid());
    std::string root = cgroup_root();
    v2_ = !root.empty() && read_file(root + "/cgroup.controllers").find("memory") != std::string::npos;
    if (v2_) write_file(root + "/cgroup.subtree_control", "+memory");
    path_ = (v2_ ? root : "/sys/fs/cgroup/memory") + name;
    if (mkdir(path_.c_str(), 0755) != 0) skip_case("cgroups cannot limit memory here: " + path_);
    write_file(path_ + (v2_ ? "/memory.max" : "/memory.limit_in_bytes"), std::to_string(bytes));
  }
  ~SmallCgroup() {
    for (int tries = 0; tries < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; tries++) usleep(10'000);
  }
  SmallCgroup(const SmallCgroup &) = delete;
  SmallCgroup &operator=(const SmallCgroup &) = delete;
  void enter() const { write_file(path_ + "/cgroup.procs", std::to_string(getpid())); }
  // How often the limit made somebody reclaim; 0 where the kernel does not say (v1).
  uint64_t times_at_limit() const {
    std::istringstream lines(read_file(path_ + "/memory.events"));
    uint64_t count = 0;
    for (std::string word; lines >> word;)
      if (word == "max") lines >> count;
    return count;
  }

 private:
  std::string path_;
  bool v2_ = false;
};

void reclaim_of_cgroup() {
  constexpr uint64_t kLimit = 16 << 20, kFile = 64 << 20;
  Disk disk(96 << 20);
  File file(disk, kFile / kPage);
  SmallCgroup cgroup(kLimit);
  Watch rows_watch({"reclaim", "--view", "stream"});
  Watch table_watch({"reclaim", "--view", "top", "--top", "0"});
  uint64_t began = now_ns();
  pid_t child = start_child([&] {
    cgroup.enter();
    file.read_by(64 * kPage);
    return 0;
  });
  expect_equal(wait_for(child), 0, "the child's status");
  uint64_t took = now_ns() - began, at_limit = cgroup.times_at_limit();
  Seen seen = rows_watch.stop(), table = table_watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "pid", child);
  expect(!rows.empty(), "no reclaim was seen");
  if (at_limit > 0) expect_equal(rows.size(), at_limit, "rows against memory.events");
  uint64_t reclaimed = 0, waited = 0;
  for (const Json &row : rows) {
    expect_equal(text(row, "cause"), "cgroup", "cause");
    reclaimed += number(row, "reclaimed");
    waited += number(row, "latency");
  }
  expect_between(waited, uint64_t{1}, took, "ns waited");
  // Of the file, all but the limit had to go again; kernel memory may go with it.
  expect(reclaimed >= kFile - kLimit,
         fmt::format("{} bytes were freed to read {} within {}", reclaimed, kFile, kLimit));
  std::vector<Json> sums = rows_where(table.rows, "pid", child);
  expect_equal(sums.size(), size_t{1}, "rows of the table");
  expect_equal(number(sums[0], "reclaimed"), reclaimed, "bytes of the table");
}

// --- compaction, migrate ---------------------------------------------------------

// The number behind a word of /proc/vmstat.
uint64_t vmstat(std::string_view name) {
  std::istringstream lines(read_file("/proc/vmstat"));
  std::string word;
  for (uint64_t value = 0; lines >> word >> value;)
    if (word == name) return value;
  fail_case(fmt::format("no {} in /proc/vmstat", name));
}

uint64_t populated_zones() {
  std::istringstream lines(read_file("/proc/zoneinfo"));
  uint64_t zones = 0, pages = 0;
  for (std::string word; lines >> word;)
    if (word == "present" && lines >> pages && pages > 0) zones++;
  return zones;
}

// Leaves holes in memory, and then has it compacted.
void compact_memory() {
  constexpr uint64_t kPages = (32 << 20) / kPage;
  auto *memory =
      static_cast<char *>(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  expect(memory != MAP_FAILED, "mmap");
  madvise(memory, kPages * kPage, MADV_NOHUGEPAGE);
  for (uint64_t i = 0; i < kPages; i++) memory[i * kPage] = 1;
  for (uint64_t i = 0; i < kPages; i += 2) must(madvise(memory + i * kPage, kPage, MADV_DONTNEED), "madvise");
  int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
  if (fd < 0) skip_case(fmt::format("memory cannot be compacted on request here: {}", strerror(errno)));
  expect_equal(write(fd, "1", 1), ssize_t{1}, "write to compact_memory");
  close(fd);
}

void compaction_rows() {
  Watch watch({"compaction", "--view", "stream"});
  uint64_t began = now_ns();
  compact_memory();
  uint64_t took = now_ns() - began;
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "pid", getpid());
  expect_equal(rows.size(), populated_zones(), "zones that were compacted");
  uint64_t waited = 0;
  for (const Json &row : rows) {
    waited += number(row, "latency");
    expect(number(row, "zone") > 0, "a zone has no size");
    expect_equal(number(row, "sync"), 1u, "sync");
    expect(!text(row, "result").empty(), "no result");
  }
  expect_between(waited, uint64_t{1}, took, "ns waited");
}

// returns  how many pages this process moved
uint64_t migrate_once() {
  uint64_t moved_before = vmstat("pgmigrate_success"), failed_before = vmstat("pgmigrate_fail");
  Watch watch({"migrate", "--view", "stream"});
  compact_memory();
  Seen seen = watch.stop();
  uint64_t moved = 0, failed = 0, of_ours = 0;
  for (const Json &row : seen.rows) {
    moved += number(row, "moved");
    failed += number(row, "failed");
    if (number(row, "pid") != static_cast<uint64_t>(getpid())) continue;
    of_ours += number(row, "moved");
    expect_equal(text(row, "reason"), "compaction", "reason");
  }
  // Others' pages may move before the sensor starts and after it stops.
  expect_between(moved, of_ours, vmstat("pgmigrate_success") - moved_before, "pages moved");
  expect(failed <= vmstat("pgmigrate_fail") - failed_before, "more pages failed than the kernel counted");
  return of_ours;
}

void migrate_rows() {
  // Memory that was just compacted, or that kcompactd works on, may need nothing of us.
  for (int tries = 0; migrate_once() == 0; tries++) expect(tries < 10, "nothing was moved");
}

// --- swapin ----------------------------------------------------------------------

// A disk that is swap until the case ends.
class Swap {
 public:
  explicit Swap(uint64_t bytes) : device_(bytes) {
    must_run({"mkswap", device_.path()});
    if (swapon(device_.path().c_str(), 0) != 0)
      skip_case(fmt::format("this kernel cannot swap to {}: {}", device_.path(), strerror(errno)));
  }
  ~Swap() { swapoff(device_.path().c_str()); }
  Swap(const Swap &) = delete;
  Swap &operator=(const Swap &) = delete;

 private:
  LoopDevice device_;
};

// Four times as much memory as there is room for, used again from its beginning.
void swapin_as_vmstat() {
  constexpr uint64_t kLimit = 16 << 20, kMemory = 64 << 20;
  Swap swap(96 << 20);
  SmallCgroup cgroup(kLimit);
  Watch rows_watch({"swapin", "--view", "stream"}), tool_watch({"swapin", "--interval", "0"}, {"swapin"});
  uint64_t before = vmstat("pswpin");
  auto use_memory = [&] {
    set_name("wg-swaps");
    cgroup.enter();
    auto *memory =
        static_cast<uint64_t *>(mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) return 1;
    madvise(memory, kMemory, MADV_NOHUGEPAGE);
    for (int round = 0; round < 2; round++)
      for (uint64_t i = 0; i < kMemory / kPage; i++) {
        uint64_t &word = memory[i * kPage / sizeof(uint64_t)];
        if (round == 1 && word != i + 1) return 2;
        word = i + 1;
      }
    return 0;
  };
  // Where the disk is slow all memory may be on its way there, and the kernel kills for want of it.
  constexpr int kKilled = SIGKILL;
  pid_t child = 0;
  int status = kKilled;
  for (int tries = 0; status == kKilled && tries < 5; tries++) status = wait_for(child = start_child(use_memory));
  expect_equal(status, 0, "the child's status");
  uint64_t fetched = (vmstat("pswpin") - before) * kPage;
  Seen rows = rows_watch.stop(), table = tool_watch.stop();
  expect(fetched >= kMemory - kLimit, fmt::format("the kernel fetched {} bytes only", fetched));
  uint64_t bytes = 0, ours = 0;
  for (const Json &row : rows.rows) {
    bytes += number(row, "bytes");
    ours += number(row, "pid") == static_cast<uint64_t>(child) ? number(row, "bytes") : 0;
  }
  if (rows.losses["swapin"].lost == 0) expect_equal(bytes, fetched, "bytes against /proc/vmstat");
  expect(ours >= kMemory - kLimit, fmt::format("{} bytes for the process, {} for all", ours, bytes));
  std::vector<Json> sums = rows_where(table.rows, "pid", child);
  expect_equal(sums.size(), size_t{1}, "rows of the process");
  expect_equal(text(sums[0], "comm"), "wg-swaps", "comm");
  if (rows.losses["swapin"].lost == 0) expect_equal(number(sums[0], "bytes"), ours, "bytes of the table");
}

// --- slab ------------------------------------------------------------------------

void slab_table() {
  uint64_t files = scaled(1000, 100);
  must(mkdir("tmpfs", 0755), "mkdir");
  must(mount("suite", "tmpfs", "tmpfs", 0, nullptr), "mount tmpfs");
  Watch watch({"slab", "--view", "top", "--top", "0", "--set", "by_process=1", "-p", std::to_string(getpid())});
  for (uint64_t i = 0; i < files; i++)
    close(must(open(fmt::format("tmpfs/{}", i).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open"));
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(seen.rows, "cache", "shmem_inode_cache");
  expect_equal(rows.size(), size_t{1}, "rows of tmpfs' inodes");
  expect_equal(number(rows[0], "allocations"), files, "inodes made");
  expect_equal(number(rows[0], "pid"), static_cast<uint64_t>(getpid()), "pid");
  // /proc/slabinfo: name, active, total, size of an object.
  std::istringstream lines(read_file("/proc/slabinfo"));
  std::string name;
  for (uint64_t active = 0, total = 0, size = 0; std::getline(lines, name, ' ');) {
    if (name == "shmem_inode_cache" && lines >> active >> total >> size)
      expect_equal(number(rows[0], "bytes"), files * size, "bytes, by the size in /proc/slabinfo");
    std::getline(lines, name);
  }
}

}  // namespace

void add_memory_cases(std::vector<Case> &cases) {
  const std::vector<Need> on_disk = {Need::kLoop, Need::kExt4};
  cases.push_back({"cache: cold pages are misses, warm ones hits", on_disk, cache_reads, seconds(60)});
  cases.push_back({"cache: every way to read, and past the cache", on_disk, cache_calls, seconds(60)});
  cases.push_back({"cache: pages made by writes are not misses", on_disk, cache_writes});
  cases.push_back({"cache: by process", on_disk, cache_by_process});
  cases.push_back({"fault: each page touched is a row", {}, fault_rows});
  cases.push_back({"fault: major ones", on_disk, fault_major});
  cases.push_back({"fault: the table as getrusage(2)", on_disk, fault_table});
  cases.push_back({"reclaim: a cgroup at its limit", on_disk, reclaim_of_cgroup, seconds(60)});
  cases.push_back({"compaction: a row for each zone", {}, compaction_rows, seconds(60)});
  cases.push_back({"migrate: pages as in /proc/vmstat", {}, migrate_rows, seconds(60)});
  cases.push_back({"swapin: as /proc/vmstat", {Need::kFunctions, Need::kLoop}, swapin_as_vmstat, seconds(60)});
  cases.push_back({"slab: inodes of a file system, by count and size", {}, slab_table});
}

}  // namespace waggle::suite
