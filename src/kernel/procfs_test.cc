#include "kernel/procfs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace waggle {
namespace {

TEST(ProcessStat, ReadsEveryComm) {
  struct Case {
    std::string_view text, comm;
    char state;
    int32_t pid, ppid;
    bool good;
  };
  constexpr std::string_view kRest =
      " 7 8 9 0 -1 4194560 10 0 0 0 3 4 0 0 20 -5 2 0 600 8192000 50 18446744073709551615\n";
  std::string tail(kRest);
  const Case kCases[] = {
      {"42 (bash) S", "bash", 'S', 42, 7, true},
      {"42 (tmux: server) R", "tmux: server", 'R', 42, 7, true},
      {"42 ((sd-pam)) S", "(sd-pam)", 'S', 42, 7, true},
      {"42 (a) R 1 () D", "a) R 1 (", 'D', 42, 7, true},
      {"42 () Z", "", 'Z', 42, 7, true},
      {"42 (new\nline) S", "new\nline", 'S', 42, 7, true},
      {"42 bash S", "", 0, 0, 0, false},
      {"x (bash) S", "", 0, 0, 0, false},
      {")(", "", 0, 0, 0, false},
      {"42 (bash)", "", 0, 0, 0, false},
  };
  for (const Case &c : kCases) {
    Result<ProcessStat> stat = parse_process_stat(std::string(c.text) + tail);
    ASSERT_EQ(stat.has_value(), c.good) << c.text;
    if (!stat) {
      EXPECT_EQ(stat.error().code, ErrorCode::kInvalid);
      continue;
    }
    EXPECT_EQ(stat->comm, c.comm);
    EXPECT_EQ(stat->state, c.state);
    EXPECT_EQ(stat->pid, c.pid);
    EXPECT_EQ(stat->ppid, c.ppid);
    EXPECT_EQ(stat->user_ns, 30'000'000u);
    EXPECT_EQ(stat->system_ns, 40'000'000u);
    EXPECT_EQ(stat->nice, -5);
    EXPECT_EQ(stat->threads, 2);
    EXPECT_EQ(stat->start_boot_ns, 6'000'000'000u);
    EXPECT_EQ(stat->virtual_bytes, 8192000u);
    EXPECT_EQ(stat->resident_bytes, 50u * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
  EXPECT_FALSE(parse_process_stat(""));
  EXPECT_FALSE(parse_process_stat("42 (bash) S 7 8 9 0 -1"));
}

TEST(ProcessStatus, ReadsIdsAndNamespaces) {
  Result<ProcessStatus> status = parse_process_status(
      "Name:\tsleep\nUmask:\t0022\nTgid:\t4571\nNgid:\t0\nPid:\t4572\nPPid:\t4564\n"
      "Uid:\t1000\t1001\t1002\t1003\nGid:\t100\t101\t102\t103\nNSpid:\t4572\t17\t2\n");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->tgid, 4571);
  EXPECT_EQ(status->pid, 4572);
  EXPECT_EQ(status->ppid, 4564);
  EXPECT_EQ(status->uid, 1000u);
  EXPECT_EQ(status->effective_uid, 1001u);
  EXPECT_EQ(status->gid, 100u);
  EXPECT_EQ(status->effective_gid, 101u);
  EXPECT_EQ(status->namespace_pids, (std::vector<int32_t>{4572, 17, 2}));
  EXPECT_FALSE(parse_process_status("Name:\tsleep\n"));
  EXPECT_FALSE(parse_process_status("Tgid:\tx\nPid:\t1\nPPid:\t1\nUid:\t1\t1\nGid:\t1\t1\n"));
}

TEST(ProcessIo, ReadsAllCounters) {
  Result<ProcessIo> io = parse_process_io(
      "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n");
  ASSERT_TRUE(io);
  EXPECT_EQ(io->read_chars, 1u);
  EXPECT_EQ(io->written_chars, 2u);
  EXPECT_EQ(io->read_calls, 3u);
  EXPECT_EQ(io->write_calls, 4u);
  EXPECT_EQ(io->read_bytes, 5u);
  EXPECT_EQ(io->written_bytes, 6u);
  EXPECT_EQ(io->cancelled_bytes, 7u);
  EXPECT_FALSE(parse_process_io("rchar: 1\n"));
}

TEST(ProcessCgroup, SplitsAtTheFirstTwoColons) {
  Result<std::vector<CgroupLine>> lines = parse_process_cgroup(
      "12:cpu,cpuacct:/docker/ab\n1:name=systemd:/x\n0::/a.slice:cri-containerd:b\n0::/gone.scope (deleted)\n");
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), 4u);
  EXPECT_EQ((*lines)[0].hierarchy, 12u);
  EXPECT_EQ((*lines)[0].controllers, "cpu,cpuacct");
  EXPECT_EQ((*lines)[1].controllers, "name=systemd");
  EXPECT_EQ((*lines)[2].path, "/a.slice:cri-containerd:b");
  EXPECT_FALSE((*lines)[2].deleted);
  EXPECT_EQ((*lines)[3].path, "/gone.scope");
  EXPECT_TRUE((*lines)[3].deleted);
  EXPECT_TRUE(parse_process_cgroup("")->empty());
  EXPECT_FALSE(parse_process_cgroup("0:/a\n"));
  EXPECT_FALSE(parse_process_cgroup("x::/a\n"));
}

TEST(Maps, ReadsLines) {
  struct Case {
    std::string_view line, path;
    uint64_t start, end, offset, inode;
    DeviceNumber device;
    bool executable, shared, deleted, good;
  };
  const Case kCases[] = {
      {"7f85-7f86 r-xp 00027000 fe:00 332383                     /usr/lib/ld.so",
       "/usr/lib/ld.so",
       0x7f85,
       0x7f86,
       0x27000,
       332383,
       {254, 0},
       true,
       false,
       false,
       true},
      {"1000-2000 rw-s 00000000 103:1f 5 /tmp/with  two blanks.so (deleted)",
       "/tmp/with  two blanks.so",
       0x1000,
       0x2000,
       0,
       5,
       {0x103, 0x1f},
       false,
       true,
       true,
       true},
      {"1000-2000 rw-p 00000000 00:00 0 ", "", 0x1000, 0x2000, 0, 0, {0, 0}, false, false, false, true},
      {"1000-2000 rw-p 00000000 00:00 0", "", 0x1000, 0x2000, 0, 0, {0, 0}, false, false, false, true},
      {"1000-2000 rw-p 00000000 00:00 0      [anon: my heap]",
       "[anon: my heap]",
       0x1000,
       0x2000,
       0,
       0,
       {0, 0},
       false,
       false,
       false,
       true},
      {"1000-2000 r--p 00000000 00:00 1 /a\\012b\\x",
       "/a\nb\\x",
       0x1000,
       0x2000,
       0,
       1,
       {0, 0},
       false,
       false,
       false,
       true},
      {"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
       "[vsyscall]",
       0xffffffffff600000,
       0xffffffffff601000,
       0,
       0,
       {0, 0},
       true,
       false,
       false,
       true},
      {"2000-1000 rw-p 0 00:00 0", "", 0, 0, 0, 0, {}, false, false, false, false},
      {"1000-2000 rw 0 00:00 0", "", 0, 0, 0, 0, {}, false, false, false, false},
      {"1000 rw-p 0 00:00 0", "", 0, 0, 0, 0, {}, false, false, false, false},
      {"1ffffffffffffffff-2 rw-p 0 00:00 0", "", 0, 0, 0, 0, {}, false, false, false, false},
      {"", "", 0, 0, 0, 0, {}, false, false, false, false},
  };
  for (const Case &c : kCases) {
    Result<MapRange> range = parse_map_line(c.line);
    ASSERT_EQ(range.has_value(), c.good) << c.line;
    if (!range) continue;
    EXPECT_EQ(range->path, c.path) << c.line;
    EXPECT_EQ(range->start, c.start);
    EXPECT_EQ(range->end, c.end);
    EXPECT_EQ(range->offset, c.offset);
    EXPECT_EQ(range->inode, c.inode);
    EXPECT_EQ(range->device, c.device);
    EXPECT_EQ(range->executable, c.executable);
    EXPECT_EQ(range->shared, c.shared);
    EXPECT_EQ(range->deleted, c.deleted);
  }
}

TEST(Mountinfo, ReadsLines) {
  struct Case {
    std::string_view line, root, point, fs_type, source, fs_options;
    bool good;
  };
  constexpr Case kCases[] = {
      {"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard", "/", "/", "ext4", "/dev/vda", "rw,discard", true},
      {"36 35 98:0 /mnt1 /my\\040disk\\134 rw shared:1 master:2 - ext3 /dev/a\\011b rw", "/mnt1", "/my disk\\", "ext3",
       "/dev/a\tb", "rw", true},
      {"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "/", "/sys/fs/cgroup/unified", "cgroup2",
       "cgroup2", "rw", true},
      {"41 31 0:38 / /mnt rw - tmpfs  rw", "/", "/mnt", "tmpfs", "", "rw", true},
      {"41 31 0:38 / /mnt rw tmpfs tmpfs rw", "", "", "", "", "", false},
      {"41 31 038 / /mnt rw - tmpfs tmpfs rw", "", "", "", "", "", false},
      {"41 31", "", "", "", "", "", false},
  };
  for (const Case &c : kCases) {
    Result<Mount> mount = parse_mount_line(c.line);
    ASSERT_EQ(mount.has_value(), c.good) << c.line;
    if (!mount) continue;
    EXPECT_EQ(mount->root, c.root);
    EXPECT_EQ(mount->point, c.point);
    EXPECT_EQ(mount->fs_type, c.fs_type);
    EXPECT_EQ(mount->source, c.source);
    EXPECT_EQ(mount->fs_options, c.fs_options);
  }
  EXPECT_EQ(parse_mount_line(kCases[0].line)->device, (DeviceNumber{254, 0}));
}

TEST(Partitions, SkipsTheHeading) {
  Result<std::vector<Partition>> found = parse_partitions(
      "major minor  #blocks  name\n\n 254        0   41943040 vda\n 259        1         16 nvme0n1p1\n");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].name, "vda");
  EXPECT_EQ((*found)[0].bytes, 41943040ull * 1024);
  EXPECT_EQ((*found)[1].device, (DeviceNumber{259, 1}));
  EXPECT_FALSE(parse_partitions(" 254 x 1 vda\n"));
}

TEST(DeviceNumber, PacksBothWays) {
  struct Case {
    DeviceNumber device;
    uint32_t kernel;
    uint64_t user;
  };
  constexpr Case kCases[] = {
      {{8, 1}, 0x00800001, 0x0801},
      {{254, 0}, 0x0fe00000, 0xfe00},
      {{259, 300}, 0x1030012c, 0x11032c},
      {{0, 38}, 38, 38},
  };
  for (const Case &c : kCases) {
    EXPECT_EQ(c.device.to_kernel(), c.kernel);
    EXPECT_EQ(DeviceNumber::from_kernel(c.kernel), c.device);
    EXPECT_EQ(DeviceNumber::from_user(c.device.to_user()), c.device);
    EXPECT_EQ(c.device.to_user(), c.user);
  }
}

TEST(ProcessFiles, ReadsThisProcess) {
  int32_t pid = ::getpid();
  Result<ProcessFiles> files = ProcessFiles::open(pid);
  ASSERT_TRUE(files) << files.error().text();
  EXPECT_EQ(files->stat()->pid, pid);
  EXPECT_EQ(files->stat()->ppid, ::getppid());
  EXPECT_EQ(files->status()->uid, ::getuid());
  EXPECT_TRUE(files->io());
  EXPECT_NE(files->exe()->find("kernel_test"), std::string::npos);
  EXPECT_FALSE(files->argv()->empty());
  EXPECT_EQ(files->argv(3)->size(), 3u);
  EXPECT_FALSE(files->cgroup()->empty());
  Result<std::vector<MapRange>> maps = files->maps();
  ASSERT_TRUE(maps) << maps.error().text();
  auto here = reinterpret_cast<uintptr_t>(&parse_maps);
  EXPECT_TRUE(std::any_of(maps->begin(), maps->end(), [&](const MapRange &range) {
    return range.executable && range.start <= here && here < range.end && range.path == *files->exe();
  }));
  Result<std::vector<int32_t>> all = list_processes();
  ASSERT_TRUE(all);
  EXPECT_TRUE(std::binary_search(all->begin(), all->end(), pid));
}

TEST(ProcessFiles, SaysThatAReapedProcessIsGone) {
  int32_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Result<ProcessFiles> files = ProcessFiles::open(child);
  ASSERT_TRUE(files);
  EXPECT_EQ(files->stat()->ppid, ::getpid());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(files->stat().error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files->exe().error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ProcessFiles::open(child).error().code, ErrorCode::kNotFound);
}

TEST(Mounts, ContainTheRoot) {
  Result<std::vector<Mount>> mounts = read_mounts();
  ASSERT_TRUE(mounts) << mounts.error().text();
  EXPECT_TRUE(std::any_of(mounts->begin(), mounts->end(), [](const Mount &mount) { return mount.point == "/"; }));
}

TEST(ClockOffsets, TurnsMonotonicIntoWallTime) {
  ClockOffsets offsets = read_clock_offsets();
  timespec monotonic{}, real{};
  ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
  ::clock_gettime(CLOCK_REALTIME, &real);
  auto ns = [](const timespec &time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
  EXPECT_NEAR(static_cast<double>(ns(monotonic) + offsets.to_realtime_ns - ns(real)), 0, 50e6);
  EXPECT_GE(offsets.to_boottime_ns, -1'000'000);
}

}  // namespace
}  // namespace waggle
