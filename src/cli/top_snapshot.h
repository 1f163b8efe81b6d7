// What `waggle top` knows of one interval: plain values, gathered by TopGatherer
// and shown by the layout, the text summary and the JSON alike. What is not known
// is an empty optional, never a zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/host_stats.h"
#include "schema/batch.h"

namespace waggle {

enum class ProcessSort : uint8_t { kCpu, kIo, kNetwork };

struct TopSnapshot {
  // How often something happened in the interval, by name, most first.
  using Tally = std::vector<std::pair<std::string, uint64_t>>;

  struct SensorState {
    enum class Is : uint8_t { kStarting, kRunning, kAbsent };
    std::string name;
    Is is = Is::kStarting;
    std::string why;                  // absent, or with less: why
    uint64_t produced = 0, lost = 0;  // since it started
    uint64_t lost_now = 0;            // in the interval
  };

  struct Disk {
    HostRates::Disk rates;
    std::optional<Histogram> device, queued;  // of the requests that were done
    uint64_t errors = 0;
  };

  struct File {
    std::string operation;  // "read"
    std::string path;       // or its last component, where the sensor knows no more
    int32_t pid = 0;        // 0: not known
    std::string comm;       // empty: not known
    Histogram latency;
    uint64_t bytes = 0;
  };

  struct FilesystemOperation {
    std::string filesystem, operation;
    Histogram latency;
  };

  struct Remote {
    std::string address;
    Histogram rtt;
    uint64_t retransmits = 0;
  };

  struct Process {
    int32_t pid = 0;            // 0: several that ended, of one name
    std::string comm, command;  // command: the command line, where it was asked for
    char state = '?';
    int32_t threads = 0;
    uint32_t ended = 0;  // how many, when pid is 0
    double cpu_percent = 0;
    uint64_t resident_bytes = 0;
    std::optional<uint64_t> read_bytes, written_bytes;  // from and to storage, in the interval
    std::optional<uint64_t> tcp_bytes;                  // both ways, of connections that ended in the interval

    double sort_value(ProcessSort sort) const;
  };

  std::string host, kernel;
  std::string clock, time;  // "12:03:07" here; "2026-11-21T12:03:07Z"
  uint64_t uptime_s = 0;
  size_t cpus = 0;  // online

  double seconds = 0;  // that /proc's rates are of; 0: a first look, there are none yet
  LoadAverage load;
  MemoryInfo memory;
  bool has_pressure = false;
  HostRates rates;

  double sensor_seconds = 0;  // that all below is of; 0: not yet
  std::vector<SensorState> sensors;

  std::optional<Histogram> run_queue;
  std::string run_queue_worst;  // the task name that waited longest in sum
  Histogram run_queue_worst_waits;

  std::optional<uint64_t> programs_started, programs_failed, processes_forked, processes_ended;
  Tally started_most, failed_most, killed_by;
  std::optional<uint64_t> opens, opens_failed;

  std::vector<Disk> disks;                 // busiest first
  std::optional<std::vector<File>> files;  // slowest first
  std::optional<std::vector<FilesystemOperation>> filesystems;

  std::optional<Histogram> connects;  // those that stood
  std::optional<uint64_t> connects_failed;
  Tally connect_errors;
  std::optional<uint64_t> retransmits;
  std::optional<Histogram> rtt;
  std::vector<Remote> remotes;  // slowest first, those with retransmits before all
  std::optional<uint64_t> drops;
  Tally drop_reasons;

  std::vector<Process> processes;

  double per_second(uint64_t count) const {
    return sensor_seconds > 0 ? static_cast<double>(count) / sensor_seconds : 0;
  }
};

// The order of the list for a sort: largest first.
std::vector<const TopSnapshot::Process *> sorted_processes(const TopSnapshot &snapshot, ProcessSort sort);

}  // namespace waggle
