#include "kernel/host_stats.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

namespace waggle {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// A host of one cpu, one disk, one network device and three processes.
HostStats first_reading() {
  HostStats stats;
  stats.when_ns = 10 * kSecond;
  stats.kernel.all = {.user_ns = 5 * kSecond, .system_ns = kSecond, .idle_ns = 100 * kSecond};
  stats.kernel.cpus = {{.number = 0, .times = stats.kernel.all}};
  stats.kernel.context_switches = 1000;
  stats.kernel.forks = 50;
  stats.has_pressure = true;
  DiskCounters disk;
  disk.name = "vda";
  disk.reads = 100;
  stats.disks = {disk};
  stats.networks = {{.name = "eth0", .received_bytes = 5000}};
  stats.counters.counters = {{"Tcp.OutSegs", 100}, {"Tcp.RetransSegs", 5}, {"Tcp.CurrEstab", 3}};
  auto process = [](int32_t pid, uint64_t cpu_ns, uint64_t start_ns) {
    HostStats::Process row;
    row.pid = pid;
    row.comm = "p" + std::to_string(pid);
    row.cpu_ns = cpu_ns;
    row.start_boot_ns = start_ns;
    return row;
  };
  stats.processes = {process(1, kSecond, 1), process(20, 9 * kSecond, 2), process(30, kSecond, 3)};
  return stats;
}

TEST(HostRates, AreTheDifferencesOverTime) {
  HostStats before = first_reading(), after = before;
  after.when_ns += 2 * kSecond;
  after.kernel.all = {.user_ns = 6 * kSecond,
                      .system_ns = kSecond + kSecond / 2,
                      .idle_ns = 100 * kSecond + kSecond / 4,
                      .io_wait_ns = kSecond / 4};
  after.kernel.cpus[0].times = after.kernel.all;
  after.kernel.context_switches += 400;
  after.kernel.forks += 6;
  after.kernel.running = 4;
  after.io_pressure.full.total_us = 500'000;
  DiskCounters &disk = after.disks[0];
  disk.reads += 10, disk.read_bytes += 40960, disk.read_ms += 30;
  disk.writes += 6, disk.flushes += 4, disk.write_ms += 50, disk.flush_ms += 20;
  disk.busy_ms += 1000, disk.weighted_ms += 3000;
  after.networks[0].received_bytes += 2000;
  after.networks[0].receive_drops += 1;
  after.networks[0].send_drops += 1;
  after.counters.counters = {{"Tcp.OutSegs", 190}, {"Tcp.RetransSegs", 15}, {"Tcp.CurrEstab", 4}};
  after.processes[0].cpu_ns += kSecond;
  after.processes[1].start_boot_ns = 99, after.processes[1].cpu_ns = 3 * kSecond;  // the pid is another's now

  HostRates rates = rates_between(before, after);
  EXPECT_DOUBLE_EQ(rates.seconds, 2);
  EXPECT_DOUBLE_EQ(rates.all.busy_percent, 75);
  EXPECT_DOUBLE_EQ(rates.all.user_percent, 50);
  EXPECT_DOUBLE_EQ(rates.all.io_wait_percent, 12.5);
  EXPECT_DOUBLE_EQ(rates.cpus[0].system_percent, 25);
  EXPECT_DOUBLE_EQ(rates.context_switches_per_s, 200);
  EXPECT_DOUBLE_EQ(rates.forks_per_s, 3);
  EXPECT_EQ(rates.running, 4u);
  EXPECT_DOUBLE_EQ(rates.io_full_percent, 25);
  EXPECT_DOUBLE_EQ(rates.disks[0].reads_per_s, 5);
  EXPECT_DOUBLE_EQ(rates.disks[0].writes_per_s, 5);
  EXPECT_DOUBLE_EQ(rates.disks[0].read_bytes_per_s, 20480);
  EXPECT_DOUBLE_EQ(rates.disks[0].wait_ms, 5);
  EXPECT_DOUBLE_EQ(rates.disks[0].busy_percent, 50);
  EXPECT_DOUBLE_EQ(rates.disks[0].queue, 1.5);
  EXPECT_DOUBLE_EQ(rates.networks[0].received_bytes_per_s, 1000);
  EXPECT_DOUBLE_EQ(rates.networks[0].drops_per_s, 1);
  EXPECT_DOUBLE_EQ(rates.tcp.retransmits_per_s, 5);
  EXPECT_DOUBLE_EQ(rates.tcp.retransmit_percent, 10);
  EXPECT_EQ(rates.tcp.established, 4);
  ASSERT_EQ(rates.processes.size(), 3u);
  EXPECT_EQ(rates.processes[0].pid, 20);
  EXPECT_DOUBLE_EQ(rates.processes[0].cpu_percent, 150);
  EXPECT_EQ(rates.processes[1].pid, 1);
  EXPECT_DOUBLE_EQ(rates.processes[1].cpu_percent, 50);
  EXPECT_DOUBLE_EQ(rates.processes[2].cpu_percent, 0);
}

TEST(HostRates, AreZeroWithoutTimeAndForCountersThatFall) {
  HostStats before = first_reading(), after = before;
  EXPECT_DOUBLE_EQ(rates_between(before, after).seconds, 0);
  EXPECT_TRUE(rates_between(before, after).disks.empty());
  after.when_ns += kSecond;
  after.kernel.context_switches = 1;
  after.disks[0].reads = 1;
  after.networks[0].name = "eth1";
  HostRates rates = rates_between(before, after);
  EXPECT_DOUBLE_EQ(rates.context_switches_per_s, 0);
  EXPECT_DOUBLE_EQ(rates.disks[0].reads_per_s, 0);
  EXPECT_DOUBLE_EQ(rates.networks[0].received_bytes_per_s, 0);  // seen for the first time
}

TEST(HostStats, SeeThisProcessBurnTheCpu) {
  Result<HostStats> before = read_host_stats();
  ASSERT_TRUE(before) << before.error().text();
  for (std::clock_t start = std::clock(); std::clock() - start < CLOCKS_PER_SEC / 10;) continue;
  Result<HostStats> after = read_host_stats();
  ASSERT_TRUE(after);
  HostRates rates = rates_between(*before, *after);
  auto self = std::find_if(rates.processes.begin(), rates.processes.end(),
                           [](const HostRates::Process &process) { return process.pid == ::getpid(); });
  ASSERT_NE(self, rates.processes.end());
  EXPECT_GT(self->cpu_percent, 10);
  EXPECT_GT(rates.all.busy_percent, 0);
  EXPECT_LE(rates.all.busy_percent, 100);
  EXPECT_TRUE(read_host_stats(false)->processes.empty());
}

}  // namespace
}  // namespace waggle
