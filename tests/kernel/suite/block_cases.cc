// block: requests to a disk of the case's own, compared with what the kernel
// counted for it.
// source: Documentation/block/stat.rst

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

constexpr uint64_t kSectorBytes = 512;

struct DiskStat {
  uint64_t reads, read_merges, read_sectors, read_ms, writes, write_merges, write_sectors;
};
DiskStat stat_now(const LoopDevice &device) {
  DiskStat stat = {};
  std::istringstream in(read_file("/sys/block/" + device.name() + "/stat"));
  in >> stat.reads >> stat.read_merges >> stat.read_sectors >> stat.read_ms >> stat.writes >> stat.write_merges >>
      stat.write_sectors;
  return stat;
}

// A request is counted shortly after its process has been told that it is done.
DiskStat stat_of(const LoopDevice &device) {
  DiskStat stat = stat_now(device);
  for (int calm = 0; calm < 5; calm++) {
    usleep(10'000);
    DiskStat next = stat_now(device);
    if (next.reads != stat.reads || next.writes != stat.writes || next.write_sectors != stat.write_sectors) calm = 0;
    stat = next;
  }
  return stat;
}

// Writes and reads past the page cache, one at a time, of sizes that differ.
struct Requests {
  uint64_t count = 0, bytes = 0;
};
struct DirectIo {
  Requests writes, reads;
};
DirectIo do_direct_io(const LoopDevice &device, uint64_t count) {
  int fd = must(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC), "open " + device.path());
  void *memory = nullptr;
  expect(posix_memalign(&memory, 4096, 64 << 10) == 0, "no memory");
  DirectIo done;
  for (uint64_t i = 0; i < count; i++) {
    size_t bytes = 4096 * (i % 16 + 1);
    auto offset = static_cast<off_t>(i % 100 * (64 << 10));
    expect_equal(pwrite(fd, memory, bytes, offset), static_cast<ssize_t>(bytes), "pwrite");
    done.writes.count++;
    done.writes.bytes += bytes;
    if (i % 2 == 0) continue;
    expect_equal(pread(fd, memory, 4096, offset), ssize_t{4096}, "pread");
    done.reads.count++;
    done.reads.bytes += 4096;
  }
  free(memory);
  close(fd);
  return done;
}

std::string operation(const Json &row) {
  std::string op = text(row, "op");
  return op.substr(0, op.find('|'));
}

std::vector<Json> rows_of(const Seen &seen, const LoopDevice &device, std::string_view op) {
  std::vector<Json> rows;
  for (const Json &row : rows_where(seen.rows, "device", device.name()))
    if (operation(row) == op) rows.push_back(row);
  return rows;
}

void block_rows() {
  LoopDevice device(16 << 20);
  Watch watch({"block", "--view", "stream"});
  DiskStat before = stat_of(device);
  uint64_t began = now_ns();
  DirectIo done = do_direct_io(device, scaled(1000));
  uint64_t took = now_ns() - began;
  DiskStat after = stat_of(device);
  Seen seen = watch.stop();
  std::vector<Json> writes = rows_of(seen, device, "WRITE"), reads = rows_of(seen, device, "READ");
  expect_equal(writes.size(), done.writes.count, "rows of writes");
  expect_equal(writes.size(), after.writes - before.writes, "rows of writes against the kernel's count");
  // Whoever looks at a new disk (udev) may read it meanwhile: the kernel's count is all of them.
  expect_equal(reads.size(), after.reads - before.reads, "rows of reads against the kernel's count");
  Requests of_ours;
  uint64_t bytes = 0, spent = 0;
  for (const Json &row : writes) {
    bytes += number(row, "bytes");
    spent += number(row, "latency") + number(row, "queued");
    expect(number(row, "latency") > 0, "a request took no time");
    expect_equal(number(row, "errno"), 0u, "errno");
  }
  expect_equal(bytes, done.writes.bytes, "bytes of writes");
  expect_equal(bytes, (after.write_sectors - before.write_sectors) * kSectorBytes, "bytes against the kernel's count");
  bytes = 0;
  for (const Json &row : reads) {
    bytes += number(row, "bytes");
    if (number(row, "pid") != static_cast<uint64_t>(getpid())) continue;
    spent += number(row, "latency") + number(row, "queued");
    of_ours.count++;
    of_ours.bytes += number(row, "bytes");
  }
  expect_equal(bytes, (after.read_sectors - before.read_sectors) * kSectorBytes, "bytes of reads");
  expect_equal(of_ours.count, done.reads.count, "reads of this process");
  expect_equal(of_ours.bytes, done.reads.bytes, "bytes of this process' reads");
  // One at a time: together they cannot take longer than all of it took.
  expect_between(spent, uint64_t{1}, took, "time in queue and device, ns");
  expect_equal(seen.losses["block"].lost, 0u, "lost");
}

void block_table() {
  LoopDevice device(16 << 20);
  Watch watch({"block", "--view", "top", "--top", "0", "--set", "by_process=1"});
  DiskStat before = stat_of(device);
  DirectIo done = do_direct_io(device, scaled(1000));
  DiskStat after = stat_of(device);
  Seen seen = watch.stop();
  std::vector<Json> rows = rows_where(rows_of(seen, device, "WRITE"), "pid", getpid());
  expect_equal(rows.size(), size_t{1}, "rows of this process' writes");
  expect_equal(number(rows[0], "requests"), done.writes.count, "requests");
  expect_equal(number(rows[0], "requests"), after.writes - before.writes, "requests against the kernel's count");
  expect_equal(number(rows[0], "bytes"), done.writes.bytes, "bytes");
  expect_equal(number(rows[0], "errors"), 0u, "errors");
  uint64_t slots = 0;
  for (const Json &slot : rows[0]["latency_slots"]) slots += slot.get<uint64_t>();
  expect_equal(slots, done.writes.count, "requests in the histogram");
}

// Runs of writes, each where the last one ended, and jumps between them.
void block_sequential() {
  LoopDevice device(16 << 20);
  Watch rows_watch({"block", "--view", "stream"}), table_watch({"block", "--view", "top", "--top", "0"});
  int fd = must(open(device.path().c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC), "open");
  void *memory = nullptr;
  expect(posix_memalign(&memory, 4096, 64 << 10) == 0, "no memory");
  uint64_t sequential = 0;
  off_t at = 1 << 20;
  for (uint64_t i = 0; i < 60; i++) {
    // The first of each run of six is a jump.
    if (i % 6 == 0)
      at = static_cast<off_t>((i * 37 % 13 + 1) << 20);
    else
      sequential++;
    size_t bytes = 4096 * (i % 3 + 1);
    expect_equal(pwrite(fd, memory, bytes, at), static_cast<ssize_t>(bytes), "pwrite");
    at += static_cast<off_t>(bytes);
  }
  free(memory);
  close(fd);
  Seen seen = rows_watch.stop(), table = table_watch.stop();
  std::vector<Json> writes = rows_of(seen, device, "WRITE");
  expect_equal(writes.size(), size_t{60}, "rows of writes");
  for (size_t i = 0; i < writes.size(); i++)
    expect_equal(number(writes[i], "sequential"), uint64_t{i % 6 != 0}, fmt::format("sequential of write {}", i));
  std::vector<Json> sums = rows_of(table, device, "WRITE");
  expect_equal(sums.size(), size_t{1}, "rows of the table");
  expect_equal(number(sums[0], "sequential"), sequential, "sequential writes");
  expect_equal(number(sums[0], "requests"), uint64_t{60}, "requests");
}

// Write-back: other tasks queue it, but every byte reaches the disk once.
void block_writeback() {
  LoopDevice device(16 << 20);
  Watch watch({"block", "--view", "stream"});
  DiskStat before = stat_of(device);
  int fd = must(open(device.path().c_str(), O_RDWR | O_CLOEXEC), "open");
  std::string bytes(1 << 20, 'b');
  for (int i = 0; i < 8; i++)
    expect_equal(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()), "write");
  must(fsync(fd), "fsync");
  close(fd);
  DiskStat after = stat_of(device);
  Seen seen = watch.stop();
  std::vector<Json> writes = rows_of(seen, device, "WRITE");
  uint64_t written = 0;
  for (const Json &row : writes) written += number(row, "bytes");
  expect_equal(written, uint64_t{8} << 20, "bytes");
  expect_equal(written, (after.write_sectors - before.write_sectors) * kSectorBytes,
               "bytes against the kernel's count");
}

// Each request belongs to the stack that started it, which is that of a write(2) here.
void block_stack_of_writes() {
  LoopDevice device(16 << 20), other(16 << 20);
  uint64_t count = scaled(500, 50);
  set_name("wg-block");
  Watch stacks_watch({"block_stack", "--view", "stacks", "--by", "pid,comm,device,op", "--top", "0"});
  Watch tool_watch({"biostacks", "-d", device.name()}, {"block_stack"});
  DiskStat before = stat_of(device);
  for (const LoopDevice *each : {&device, &other}) {
    int fd = must(open(each->path().c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC), "open");
    void *memory = nullptr;
    expect(posix_memalign(&memory, 4096, 8192) == 0, "no memory");
    memset(memory, 0, 8192);
    for (uint64_t i = 0; i < count; i++)
      expect_equal(pwrite(fd, memory, 8192, static_cast<off_t>(i % 1000 * 8192)), ssize_t{8192}, "pwrite");
    free(memory);
    close(fd);
  }
  DiskStat after = stat_of(device);
  Seen seen = stacks_watch.stop(), tool = tool_watch.stop();
  std::vector<Json> ours = rows_where(rows_where(seen.rows, "pid", std::to_string(getpid())), "device", device.name());
  ours = rows_where(ours, "op", "WRITE");
  uint64_t requests = 0, bytes = 0;
  for (const Json &row : ours) {
    expect_equal(text(row, "comm"), "wg-block", "comm");
    expect(row["frames"].dump().find("write") != std::string::npos, "no write in the stack: " + row.dump());
    requests += number(row, "count");
    bytes += number(row, "bytes");
  }
  expect_equal(requests, count, "requests");
  expect_equal(requests, after.writes - before.writes, "requests against the kernel's count");
  expect_equal(bytes, count * 8192, "bytes");
  expect_equal(seen.losses["block_stack"].lost, 0u, "lost");
  uint64_t of_tool = 0;
  for (const Json &row : tool.rows) {
    if (row["frames"].dump().find("write") == std::string::npos) continue;
    of_tool += number(row, "count");
    expect(number(row, "latency") > 0, "no latency: " + row.dump());
  }
  expect_equal(of_tool, count, "requests of biostacks -d");
}

}  // namespace

void add_block_cases(std::vector<Case> &cases) {
  cases.push_back({"block: rows and bytes as /sys/block/*/stat", {Need::kLoop}, block_rows});
  cases.push_back({"block: the table of one process", {Need::kLoop}, block_table});
  cases.push_back({"block: sequential or random", {Need::kLoop}, block_sequential});
  cases.push_back({"block_stack: who wrote, by stack", {Need::kLoop}, block_stack_of_writes});
  cases.push_back({"block: write-back", {Need::kLoop}, block_writeback});
}

}  // namespace waggle::suite
