// The whole host at a glance: one reading of /proc, and the rates between two.
// What the top screen shows above and beside what the sensors see.
// Threads: any; nothing is kept between calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/procfs_host.h"

namespace waggle {

// One reading. Counters are since boot.
struct HostStats {
  struct Process {
    int32_t pid = 0, ppid = 0;
    std::string comm;
    char state = '?';
    int32_t threads = 0;
    uint64_t cpu_ns = 0;         // user and system, of all threads, dead ones included
    uint64_t start_boot_ns = 0;  // with the pid, says which process this is
    uint64_t resident_bytes = 0;
  };
  uint64_t when_ns = 0;  // CLOCK_MONOTONIC
  KernelStat kernel;
  MemoryInfo memory;
  LoadAverage load;
  bool has_pressure = false;  // the three below; CONFIG_PSI
  Pressure cpu_pressure, memory_pressure, io_pressure;
  std::vector<DiskCounters> disks;  // whole disks that have done something; no partitions
  std::vector<NetDevice> networks;  // of this process's network namespace, as are the counters
  NetCounters counters;
  std::vector<Process> processes;  // by pid; empty when not asked for
};

// Takes 1.6 ms of cpu with 115 processes, some 10 us of it for each.
// errors: Denied, Failed, Invalid when one of /proc's basic files cannot be read;
// disks, networks and counters that are not there are left empty.
Result<HostStats> read_host_stats(bool with_processes = true);

// What happened between two readings. A counter that fell (a disk unplugged, a
// device replaced) counts as not having moved.
struct HostRates {
  // Shares of the time of all cpus; they and idle add up to 100.
  struct Cpu {
    double busy_percent = 0;
    double user_percent = 0;  // with nice
    double system_percent = 0;
    double interrupt_percent = 0;  // hard and soft
    double steal_percent = 0;
    double io_wait_percent = 0;  // idle, while a request was outstanding: not part of busy
  };
  struct Disk {
    DeviceNumber device;
    std::string name;
    double reads_per_s = 0, writes_per_s = 0;  // completed; writes with discards and flushes
    double read_bytes_per_s = 0, written_bytes_per_s = 0;
    double busy_percent = 0;  // of the time at least one request was in flight
    double wait_ms = 0;       // mean time of a completed request, queueing included
    double queue = 0;         // mean requests in flight
  };
  struct Network {
    std::string name;
    double received_bytes_per_s = 0, sent_bytes_per_s = 0;
    double received_packets_per_s = 0, sent_packets_per_s = 0;
    double errors_per_s = 0, drops_per_s = 0;  // both directions
  };
  struct Tcp {
    double segments_sent_per_s = 0, retransmits_per_s = 0;
    double retransmit_percent = 0;  // of the segments sent
    double connects_per_s = 0, accepts_per_s = 0;
    double failed_connects_per_s = 0, resets_sent_per_s = 0, listen_drops_per_s = 0;
    int64_t established = 0;  // now
  };
  struct Process {
    int32_t pid = 0;
    std::string comm;
    char state = '?';
    int32_t threads = 0;
    double cpu_percent = 0;  // of one cpu: 250 is two and a half cpus
    uint64_t resident_bytes = 0;
  };

  double seconds = 0;
  Cpu all;
  std::vector<Cpu> cpus;  // in the order of HostStats' later reading
  double context_switches_per_s = 0, forks_per_s = 0, interrupts_per_s = 0;
  uint32_t running = 0, blocked = 0;  // tasks at the later reading
  // Share of the interval in which some task waited; all of them for `full`.
  double cpu_some_percent = 0, memory_some_percent = 0, memory_full_percent = 0, io_some_percent = 0,
         io_full_percent = 0;
  std::vector<Disk> disks;
  std::vector<Network> networks;
  Tcp tcp;
  double udp_receive_errors_per_s = 0;
  std::vector<Process> processes;  // busiest first; one born meanwhile counts from its start
};

// All rates are 0 when `after` was not read later than `before`.
HostRates rates_between(const HostStats &before, const HostStats &after);

}  // namespace waggle
