#include "kernel/host_stats.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/clock.h"

namespace waggle {
namespace {

bool is_partition(const std::string &disk) {
  return ::access(("/sys/class/block/" + disk + "/partition").c_str(), F_OK) == 0;
}

std::vector<DiskCounters> read_whole_disks() {
  std::vector<DiskCounters> disks = read_diskstats().value_or(std::vector<DiskCounters>());
  std::erase_if(disks, [](const DiskCounters &disk) {
    return (disk.reads == 0 && disk.writes == 0 && disk.discards == 0) || is_partition(disk.name);
  });
  return disks;
}

Result<std::vector<HostStats::Process>> read_processes() {
  std::vector<int32_t> pids = TRY(list_processes());
  std::vector<HostStats::Process> processes;
  processes.reserve(pids.size());
  for (int32_t pid : pids) {
    Result<ProcessStat> stat = read_process_stat(pid);
    if (!stat) continue;  // it ended meanwhile
    HostStats::Process process;
    process.pid = pid;
    process.ppid = stat->ppid;
    process.comm = std::move(stat->comm);
    process.state = stat->state;
    process.threads = stat->threads;
    process.cpu_ns = stat->user_ns + stat->system_ns;
    process.start_boot_ns = stat->start_boot_ns;
    process.resident_bytes = stat->resident_bytes;
    processes.push_back(std::move(process));
  }
  return processes;
}

double risen(uint64_t before, uint64_t after) {
  return after > before ? static_cast<double>(after - before) : 0;
}

double share_percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

HostRates::Cpu cpu_between(const CpuTimes &before, const CpuTimes &after) {
  // Each is taken for itself: the kernel's idle times have been seen to fall.
  double user = risen(before.user_ns, after.user_ns) + risen(before.nice_ns, after.nice_ns);
  double system = risen(before.system_ns, after.system_ns);
  double interrupt = risen(before.irq_ns, after.irq_ns) + risen(before.softirq_ns, after.softirq_ns);
  double steal = risen(before.steal_ns, after.steal_ns);
  double io_wait = risen(before.io_wait_ns, after.io_wait_ns);
  double busy = user + system + interrupt + steal;
  double total = busy + io_wait + risen(before.idle_ns, after.idle_ns);
  HostRates::Cpu cpu;
  cpu.busy_percent = share_percent(busy, total);
  cpu.user_percent = share_percent(user, total);
  cpu.system_percent = share_percent(system, total);
  cpu.interrupt_percent = share_percent(interrupt, total);
  cpu.steal_percent = share_percent(steal, total);
  cpu.io_wait_percent = share_percent(io_wait, total);
  return cpu;
}

HostRates::Disk disk_between(const DiskCounters &before, const DiskCounters &after, double seconds) {
  double reads = risen(before.reads, after.reads);
  double writes = risen(before.writes, after.writes) + risen(before.discards, after.discards) +
                  risen(before.flushes, after.flushes);
  double request_ms = risen(before.read_ms, after.read_ms) + risen(before.write_ms, after.write_ms) +
                      risen(before.discard_ms, after.discard_ms) + risen(before.flush_ms, after.flush_ms);
  HostRates::Disk disk;
  disk.device = after.device;
  disk.name = after.name;
  disk.reads_per_s = reads / seconds;
  disk.writes_per_s = writes / seconds;
  disk.read_bytes_per_s = risen(before.read_bytes, after.read_bytes) / seconds;
  disk.written_bytes_per_s = risen(before.written_bytes, after.written_bytes) / seconds;
  disk.busy_percent = std::min(100.0, share_percent(risen(before.busy_ms, after.busy_ms), seconds * 1000));
  disk.wait_ms = reads + writes > 0 ? request_ms / (reads + writes) : 0;
  disk.queue = risen(before.weighted_ms, after.weighted_ms) / (seconds * 1000);
  return disk;
}

HostRates::Network network_between(const NetDevice &before, const NetDevice &after, double seconds) {
  HostRates::Network network;
  network.name = after.name;
  network.received_bytes_per_s = risen(before.received_bytes, after.received_bytes) / seconds;
  network.sent_bytes_per_s = risen(before.sent_bytes, after.sent_bytes) / seconds;
  network.received_packets_per_s = risen(before.received_packets, after.received_packets) / seconds;
  network.sent_packets_per_s = risen(before.sent_packets, after.sent_packets) / seconds;
  network.errors_per_s =
      (risen(before.receive_errors, after.receive_errors) + risen(before.send_errors, after.send_errors)) / seconds;
  network.drops_per_s =
      (risen(before.receive_drops, after.receive_drops) + risen(before.send_drops, after.send_drops)) / seconds;
  return network;
}

// The row of `rows` that is the same thing, or null.
template <typename Row, typename Same>
const Row *find_same(const std::vector<Row> &rows, Same same) {
  auto found = std::find_if(rows.begin(), rows.end(), same);
  return found == rows.end() ? nullptr : &*found;
}

std::vector<HostRates::Process> processes_between(const HostStats &before, const HostStats &after, double seconds) {
  std::vector<HostRates::Process> rates;
  rates.reserve(after.processes.size());
  auto earlier = before.processes.begin();
  for (const HostStats::Process &now : after.processes) {
    while (earlier != before.processes.end() && earlier->pid < now.pid) ++earlier;
    bool same =
        earlier != before.processes.end() && earlier->pid == now.pid && earlier->start_boot_ns == now.start_boot_ns;
    // Without an earlier list there is no telling what is new: it all would be.
    uint64_t cpu_before_ns = same ? earlier->cpu_ns : before.processes.empty() ? now.cpu_ns : 0;
    HostRates::Process process;
    process.pid = now.pid;
    process.comm = now.comm;
    process.state = now.state;
    process.threads = now.threads;
    process.cpu_percent = share_percent(risen(cpu_before_ns, now.cpu_ns), seconds * 1e9);
    process.resident_bytes = now.resident_bytes;
    rates.push_back(std::move(process));
  }
  std::stable_sort(rates.begin(), rates.end(), [](const HostRates::Process &a, const HostRates::Process &b) {
    return a.cpu_percent > b.cpu_percent;
  });
  return rates;
}

HostRates::Tcp tcp_between(const NetCounters &before, const NetCounters &after, double seconds) {
  auto counted = [&](std::string_view name) {
    return risen(static_cast<uint64_t>(before.value(name)), static_cast<uint64_t>(after.value(name)));
  };
  HostRates::Tcp tcp;
  double sent = counted("Tcp.OutSegs"), retransmitted = counted("Tcp.RetransSegs");
  tcp.segments_sent_per_s = sent / seconds;
  tcp.retransmits_per_s = retransmitted / seconds;
  // OutSegs leaves retransmitted segments out (tcp_output.c), so they are added.
  tcp.retransmit_percent = share_percent(retransmitted, sent + retransmitted);
  tcp.connects_per_s = counted("Tcp.ActiveOpens") / seconds;
  tcp.accepts_per_s = counted("Tcp.PassiveOpens") / seconds;
  tcp.failed_connects_per_s = counted("Tcp.AttemptFails") / seconds;
  tcp.resets_sent_per_s = counted("Tcp.OutRsts") / seconds;
  tcp.listen_drops_per_s = counted("TcpExt.ListenDrops") / seconds;
  return tcp;
}

void add_pressure(const HostStats &before, const HostStats &after, HostRates &rates) {
  if (!before.has_pressure || !after.has_pressure) return;
  auto percent = [&](const Pressure::Stall &first, const Pressure::Stall &second) {
    return std::min(100.0, share_percent(risen(first.total_us, second.total_us), rates.seconds * 1e6));
  };
  rates.cpu_some_percent = percent(before.cpu_pressure.some, after.cpu_pressure.some);
  rates.memory_some_percent = percent(before.memory_pressure.some, after.memory_pressure.some);
  rates.memory_full_percent = percent(before.memory_pressure.full, after.memory_pressure.full);
  rates.io_some_percent = percent(before.io_pressure.some, after.io_pressure.some);
  rates.io_full_percent = percent(before.io_pressure.full, after.io_pressure.full);
}

}  // namespace

Result<HostStats> read_host_stats(bool with_processes) {
  HostStats stats;
  stats.when_ns = clock_ns(CLOCK_MONOTONIC);
  stats.kernel = TRY(read_kernel_stat());
  stats.memory = TRY(read_memory_info());
  stats.load = TRY(read_load_average());
  Result<Pressure> cpu = read_pressure("cpu"), memory = read_pressure("memory"), io = read_pressure("io");
  stats.has_pressure = cpu && memory && io;
  if (stats.has_pressure) {
    stats.cpu_pressure = *cpu;
    stats.memory_pressure = *memory;
    stats.io_pressure = *io;
  }
  stats.disks = read_whole_disks();
  stats.networks = read_net_devices().value_or(std::vector<NetDevice>());
  stats.counters = read_net_counters().value_or(NetCounters());
  if (with_processes) stats.processes = TRY(read_processes());
  return stats;
}

HostRates rates_between(const HostStats &before, const HostStats &after) {
  HostRates rates;
  rates.running = after.kernel.running;
  rates.blocked = after.kernel.blocked;
  rates.tcp.established = after.counters.value("Tcp.CurrEstab");
  if (after.when_ns <= before.when_ns) return rates;
  rates.seconds = static_cast<double>(after.when_ns - before.when_ns) / 1e9;
  const double seconds = rates.seconds;

  rates.all = cpu_between(before.kernel.all, after.kernel.all);
  for (const KernelStat::Cpu &cpu : after.kernel.cpus) {
    auto *earlier = find_same(before.kernel.cpus, [&](const KernelStat::Cpu &row) { return row.number == cpu.number; });
    rates.cpus.push_back(cpu_between(earlier ? earlier->times : cpu.times, cpu.times));
  }
  rates.context_switches_per_s = risen(before.kernel.context_switches, after.kernel.context_switches) / seconds;
  rates.forks_per_s = risen(before.kernel.forks, after.kernel.forks) / seconds;
  rates.interrupts_per_s = risen(before.kernel.interrupts, after.kernel.interrupts) / seconds;
  add_pressure(before, after, rates);

  for (const DiskCounters &disk : after.disks) {
    auto *earlier = find_same(before.disks, [&](const DiskCounters &row) { return row.name == disk.name; });
    rates.disks.push_back(disk_between(earlier ? *earlier : disk, disk, seconds));
  }
  for (const NetDevice &device : after.networks) {
    auto *earlier = find_same(before.networks, [&](const NetDevice &row) { return row.name == device.name; });
    rates.networks.push_back(network_between(earlier ? *earlier : device, device, seconds));
  }
  int64_t established = rates.tcp.established;
  rates.tcp = tcp_between(before.counters, after.counters, seconds);
  rates.tcp.established = established;
  rates.udp_receive_errors_per_s = risen(static_cast<uint64_t>(before.counters.value("Udp.InErrors")),
                                         static_cast<uint64_t>(after.counters.value("Udp.InErrors"))) /
                                   seconds;
  rates.processes = processes_between(before, after, seconds);
  return rates;
}

}  // namespace waggle
