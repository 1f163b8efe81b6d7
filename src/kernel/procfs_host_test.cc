#include "kernel/procfs_host.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

TEST(KernelStat, ReadsCpusAndCounters) {
  Result<KernelStat> stat = parse_kernel_stat(
      "cpu  100 1 50 900 10 2 3 4 0 0\ncpu0 60 1 25 450 5 1 2 2 0 0\ncpu2 40 0 25 450 5 1 1 2 0 0\n"
      "intr 130029 0 0 1\nctxt 555\nbtime 1700000000\nprocesses 4242\nprocs_running 3\nprocs_blocked 1\nsoftirq 9 1\n");
  ASSERT_TRUE(stat) << stat.error().text();
  EXPECT_EQ(stat->all.user_ns, 1'000'000'000u);
  EXPECT_EQ(stat->all.idle(), 9'100'000'000u);
  EXPECT_EQ(stat->all.busy(), 1'600'000'000u);
  ASSERT_EQ(stat->cpus.size(), 2u);
  EXPECT_EQ(stat->cpus[1].number, 2u);
  EXPECT_EQ(stat->cpus[1].times.steal_ns, 20'000'000u);
  EXPECT_EQ(stat->interrupts, 130029u);
  EXPECT_EQ(stat->context_switches, 555u);
  EXPECT_EQ(stat->boot_time_s, 1700000000u);
  EXPECT_EQ(stat->forks, 4242u);
  EXPECT_EQ(stat->running, 3u);
  EXPECT_EQ(stat->blocked, 1u);
}

TEST(MemoryInfo, ReadsKibibytes) {
  Result<MemoryInfo> info =
      parse_memory_info("MemTotal:  1000 kB\nMemAvailable:   400 kB\nSwapFree:  7 kB\nHugePages_Total: 0\n");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->total_bytes, 1024000u);
  EXPECT_EQ(info->available_bytes, 409600u);
  EXPECT_EQ(info->swap_free_bytes, 7168u);
  EXPECT_EQ(info->dirty_bytes, 0u);
}

TEST(LoadAverage, ReadsTasks) {
  Result<LoadAverage> load = parse_load_average("0.52 1.58 12.59 2/467 4571\n");
  ASSERT_TRUE(load);
  EXPECT_DOUBLE_EQ(load->one_minute, 0.52);
  EXPECT_DOUBLE_EQ(load->fifteen_minutes, 12.59);
  EXPECT_EQ(load->runnable, 2u);
  EXPECT_EQ(load->tasks, 467u);
}

TEST(Pressure, ReadsBothLinesOrOne) {
  Result<Pressure> both = parse_pressure(
      "some avg10=1.50 avg60=0.20 avg300=0.01 total=4506737\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=12\n");
  ASSERT_TRUE(both);
  EXPECT_DOUBLE_EQ(both->some.ten_s_percent, 1.5);
  EXPECT_EQ(both->some.total_us, 4506737u);
  EXPECT_EQ(both->full.total_us, 12u);
  EXPECT_TRUE(parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"));
}

TEST(Diskstats, ReadsShortAndLongLines) {
  Result<std::vector<DiskCounters>> disks = parse_diskstats(
      "   8       0 sda 10 1 80 5 20 2 160 9 1 30 40\n"
      " 254       0 vda 10 1 80 5 20 2 160 9 1 30 40 3 0 24 1 6 2\n");
  ASSERT_TRUE(disks) << disks.error().text();
  ASSERT_EQ(disks->size(), 2u);
  const DiskCounters &vda = (*disks)[1];
  EXPECT_EQ(vda.device, (DeviceNumber{254, 0}));
  EXPECT_EQ(vda.name, "vda");
  EXPECT_EQ(vda.reads, 10u);
  EXPECT_EQ(vda.read_bytes, 40960u);
  EXPECT_EQ(vda.written_bytes, 81920u);
  EXPECT_EQ(vda.in_flight, 1u);
  EXPECT_EQ(vda.busy_ms, 30u);
  EXPECT_EQ(vda.discarded_bytes, 12288u);
  EXPECT_EQ(vda.flushes, 6u);
  EXPECT_EQ((*disks)[0].flushes, 0u);
}

TEST(NetDevices, ReadsNamesWithColons) {
  Result<std::vector<NetDevice>> devices = parse_net_devices(
      "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes    packets\n"
      "    lo:    3267      29    1    2    0     0          0         0     3268      30    3    4    0     0       0 "
      "         0\n"
      "eth0:1:5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\n");
  ASSERT_TRUE(devices) << devices.error().text();
  ASSERT_EQ(devices->size(), 2u);
  EXPECT_EQ((*devices)[0].received_bytes, 3267u);
  EXPECT_EQ((*devices)[0].receive_drops, 2u);
  EXPECT_EQ((*devices)[0].sent_packets, 30u);
  EXPECT_EQ((*devices)[0].send_drops, 4u);
  EXPECT_EQ((*devices)[1].name, "eth0:1");
  EXPECT_EQ((*devices)[1].sent_bytes, 7u);
}

TEST(NetCounters, PairsNamesAndValues) {
  Result<NetCounters> found =
      parse_net_counters("Tcp: MaxConn RetransSegs\nTcp: -1 77\nIpExt: InOctets\nIpExt: 18446744073709551615\n");
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->value("Tcp.MaxConn"), -1);
  EXPECT_EQ(found->value("Tcp.RetransSegs"), 77);
  EXPECT_EQ(found->value("IpExt.InOctets"), -1);
  EXPECT_EQ(found->value("Tcp.NoSuch"), 0);
}

TEST(HostParsers, RefuseWhatTheKernelDoesNotWrite) {
  EXPECT_FALSE(parse_kernel_stat(""));
  EXPECT_FALSE(parse_kernel_stat("cpu  1 2 3\n"));
  EXPECT_FALSE(parse_kernel_stat("cpux  1 2 3 4 5 6 7 8\n"));
  EXPECT_FALSE(parse_memory_info(""));
  EXPECT_FALSE(parse_memory_info("MemTotal: many kB\n"));
  EXPECT_FALSE(parse_load_average("0.1 nan 0.3 1/2 3"));
  EXPECT_FALSE(parse_load_average("0.1 0.2 0.3 1-2 3"));
  EXPECT_FALSE(parse_pressure(""));
  EXPECT_FALSE(parse_pressure("some avg10=0.00 avg60=0.00 total=0\n"));
  EXPECT_FALSE(parse_diskstats("8 0 sda 1 2 3\n"));
  EXPECT_FALSE(parse_net_devices("lo: 1 2\n"));
  EXPECT_FALSE(parse_net_counters("Tcp: A B\nTcp: 1\n"));
  EXPECT_FALSE(parse_net_counters("Tcp: A\nUdp: 1\n"));
  EXPECT_FALSE(parse_net_counters("Tcp: A\n"));
}

TEST(HostReaders, ReadThisHost) {
  EXPECT_GT(read_kernel_stat()->context_switches, 0u);
  EXPECT_FALSE(read_kernel_stat()->cpus.empty());
  EXPECT_GT(read_memory_info()->total_bytes, read_memory_info()->available_bytes);
  EXPECT_TRUE(read_load_average());
  EXPECT_TRUE(read_diskstats());
  EXPECT_TRUE(read_net_devices());
  EXPECT_FALSE(read_net_counters()->counters.empty());
  Result<Pressure> pressure = read_pressure("cpu");
  EXPECT_TRUE(pressure || pressure.error().code == ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace waggle
