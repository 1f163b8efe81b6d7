// What /proc says about the whole host: cpu, memory, pressure, disks, network.
// Parsers are pure functions from a file's text to values and take any bytes;
// text that the kernel would not write is Invalid. Counters grow since boot;
// host_stats.h turns two readings into rates.
// Threads: all functions may be called from any number at once.
// source: proc(5); Documentation/admin-guide/iostats.rst, accounting/psi.rst
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/procfs.h"

namespace waggle {

// Time a cpu has spent since boot. Guests' time is part of user and nice.
struct CpuTimes {
  uint64_t user_ns = 0, nice_ns = 0, system_ns = 0, idle_ns = 0, io_wait_ns = 0, irq_ns = 0, softirq_ns = 0,
           steal_ns = 0;

  uint64_t idle() const { return idle_ns + io_wait_ns; }
  uint64_t busy() const { return user_ns + nice_ns + system_ns + irq_ns + softirq_ns + steal_ns; }
};

// /proc/stat.
struct KernelStat {
  struct Cpu {
    uint32_t number = 0;
    CpuTimes times;
  };
  CpuTimes all;           // summed over cpus
  std::vector<Cpu> cpus;  // those online
  uint64_t interrupts = 0, context_switches = 0, forks = 0;
  uint64_t boot_time_s = 0;           // Unix time
  uint32_t running = 0, blocked = 0;  // tasks now: runnable, waiting for storage
};
Result<KernelStat> parse_kernel_stat(std::string_view text);

// /proc/meminfo. A line this kernel lacks leaves 0.
struct MemoryInfo {
  uint64_t total_bytes = 0, free_bytes = 0, available_bytes = 0, buffers_bytes = 0, cached_bytes = 0;
  uint64_t shared_bytes = 0, slab_bytes = 0, slab_reclaimable_bytes = 0, anonymous_bytes = 0;
  uint64_t dirty_bytes = 0, writeback_bytes = 0, swap_total_bytes = 0, swap_free_bytes = 0;
};
Result<MemoryInfo> parse_memory_info(std::string_view text);

// /proc/loadavg.
struct LoadAverage {
  double one_minute = 0, five_minutes = 0, fifteen_minutes = 0;
  uint32_t runnable = 0, tasks = 0;
};
Result<LoadAverage> parse_load_average(std::string_view text);

// /proc/pressure/{cpu,memory,io}: the share of time in which some, or all
// (`full`), tasks waited for the resource.
struct Pressure {
  struct Stall {
    double ten_s_percent = 0, minute_percent = 0, five_minutes_percent = 0;
    uint64_t total_us = 0;
  };
  Stall some, full;  // full stays 0 where the kernel has no such line
};
Result<Pressure> parse_pressure(std::string_view text);

// A line of /proc/diskstats.
struct DiskCounters {
  DeviceNumber device;
  std::string name;  // "vda", "vda1"
  uint64_t reads = 0, read_bytes = 0, read_ms = 0;
  uint64_t writes = 0, written_bytes = 0, write_ms = 0;
  uint64_t discards = 0, discarded_bytes = 0, discard_ms = 0;
  uint64_t flushes = 0, flush_ms = 0;
  uint64_t in_flight = 0;
  uint64_t busy_ms = 0;      // with at least one request in flight
  uint64_t weighted_ms = 0;  // summed over requests in flight
};
Result<std::vector<DiskCounters>> parse_diskstats(std::string_view text);

// A line of /proc/net/dev, of this process's network namespace.
struct NetDevice {
  std::string name;
  uint64_t received_bytes = 0, received_packets = 0, receive_errors = 0, receive_drops = 0;
  uint64_t sent_bytes = 0, sent_packets = 0, send_errors = 0, send_drops = 0;
};
Result<std::vector<NetDevice>> parse_net_devices(std::string_view text);

// /proc/net/snmp and netstat: counters by name, "Tcp.RetransSegs", "TcpExt.ListenDrops",
// in the kernel's order.
struct NetCounters {
  struct Counter {
    std::string name;
    int64_t value = 0;
  };
  std::vector<Counter> counters;

  int64_t value(std::string_view name) const;  // 0 when this kernel has no such counter
};
Result<NetCounters> parse_net_counters(std::string_view text);

Result<KernelStat> read_kernel_stat();
Result<MemoryInfo> read_memory_info();
Result<LoadAverage> read_load_average();
Result<Pressure> read_pressure(std::string_view resource);  // "cpu", "memory", "io"; Unsupported without CONFIG_PSI
Result<std::vector<DiskCounters>> read_diskstats();
Result<std::vector<NetDevice>> read_net_devices();
Result<NetCounters> read_net_counters();  // snmp, then netstat

}  // namespace waggle
