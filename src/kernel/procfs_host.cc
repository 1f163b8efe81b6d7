#include "kernel/procfs_host.h"

#include <utility>

#include "base/fd.h"
#include "kernel/procfs_fields.h"

namespace waggle {
namespace {

using procfs::each_line;
using procfs::Fields;
using procfs::take_until;
using procfs::to_number;
using procfs::to_real;

constexpr uint64_t kTickNs = 10'000'000;  // USER_HZ is 100
constexpr uint64_t kSectorBytes = 512;    // of /proc/diskstats, whatever the disk's own
constexpr size_t kCountersMost = 1u << 16;

tl::unexpected<Error> malformed(std::string_view file, std::string_view line) {
  return fail(ErrorCode::kInvalid, "cannot read /proc/" + std::string(file),
              "unexpected text '" + std::string(line.substr(0, 80)) + "'");
}

bool parse_cpu_times(Fields &fields, CpuTimes &times) {
  for (uint64_t *value : {&times.user_ns, &times.nice_ns, &times.system_ns, &times.idle_ns, &times.io_wait_ns,
                          &times.irq_ns, &times.softirq_ns, &times.steal_ns}) {
    if (!fields.number(*value)) return false;
    *value *= kTickNs;
  }
  return true;
}

// "avg10=0.00 avg60=0.00 avg300=0.01 total=4506737"
bool parse_stall(Fields &fields, Pressure::Stall &stall) {
  auto value = [&](std::string_view key) {
    std::string_view text = fields.word();
    return text.starts_with(key) ? text.substr(key.size()) : std::string_view();
  };
  return to_real(value("avg10="), stall.ten_s_percent) && to_real(value("avg60="), stall.minute_percent) &&
         to_real(value("avg300="), stall.five_minutes_percent) && to_number(value("total="), stall.total_us);
}

bool parse_disk(Fields &fields, DiskCounters &disk) {
  if (!fields.number(disk.device.major) || !fields.number(disk.device.minor)) return false;
  disk.name = fields.word();
  uint64_t merged;
  bool good = fields.number(disk.reads) && fields.number(merged) && fields.number(disk.read_bytes) &&
              fields.number(disk.read_ms) && fields.number(disk.writes) && fields.number(merged) &&
              fields.number(disk.written_bytes) && fields.number(disk.write_ms) && fields.number(disk.in_flight) &&
              fields.number(disk.busy_ms) && fields.number(disk.weighted_ms);
  // Discards came with 4.18 and flushes with 5.5; a line that stops before them is whole.
  if (good && !fields.rest().empty())
    good = fields.number(disk.discards) && fields.number(merged) && fields.number(disk.discarded_bytes) &&
           fields.number(disk.discard_ms);
  if (good && !fields.rest().empty()) good = fields.number(disk.flushes) && fields.number(disk.flush_ms);
  disk.read_bytes *= kSectorBytes;
  disk.written_bytes *= kSectorBytes;
  disk.discarded_bytes *= kSectorBytes;
  return good;
}

}  // namespace

Result<KernelStat> parse_kernel_stat(std::string_view text) {
  KernelStat stat;
  bool seen_cpu = false;
  std::string_view wrong;
  bool good = each_line(text, [&](std::string_view line) {
    wrong = line;
    Fields fields(line);
    std::string_view key = fields.word();
    if (key == "cpu") return seen_cpu = true, parse_cpu_times(fields, stat.all);
    if (key.starts_with("cpu")) {
      KernelStat::Cpu cpu;
      if (!to_number(key.substr(3), cpu.number) || !parse_cpu_times(fields, cpu.times)) return false;
      stat.cpus.push_back(cpu);
    }
    if (key == "intr") return fields.number(stat.interrupts);
    if (key == "ctxt") return fields.number(stat.context_switches);
    if (key == "btime") return fields.number(stat.boot_time_s);
    if (key == "processes") return fields.number(stat.forks);
    if (key == "procs_running") return fields.number(stat.running);
    if (key == "procs_blocked") return fields.number(stat.blocked);
    return true;
  });
  if (!good || !seen_cpu) return malformed("stat", wrong);
  return stat;
}

Result<MemoryInfo> parse_memory_info(std::string_view text) {
  MemoryInfo info;
  const std::pair<std::string_view, uint64_t *> keys[] = {
      {"MemTotal", &info.total_bytes},
      {"MemFree", &info.free_bytes},
      {"MemAvailable", &info.available_bytes},
      {"Buffers", &info.buffers_bytes},
      {"Cached", &info.cached_bytes},
      {"Shmem", &info.shared_bytes},
      {"Slab", &info.slab_bytes},
      {"SReclaimable", &info.slab_reclaimable_bytes},
      {"AnonPages", &info.anonymous_bytes},
      {"Dirty", &info.dirty_bytes},
      {"Writeback", &info.writeback_bytes},
      {"SwapTotal", &info.swap_total_bytes},
      {"SwapFree", &info.swap_free_bytes},
  };
  std::string_view wrong;
  bool good = each_line(text, [&](std::string_view line) {
    wrong = line;
    std::string_view rest = line;
    std::string_view key = take_until(rest, ':');
    for (auto &[name, value] : keys) {
      if (key != name) continue;
      if (!Fields(rest).number(*value)) return false;
      *value *= 1024;
    }
    return true;
  });
  if (!good || info.total_bytes == 0) return malformed("meminfo", wrong);
  return info;
}

Result<LoadAverage> parse_load_average(std::string_view text) {
  LoadAverage load;
  Fields fields(text);
  bool good = to_real(fields.word(), load.one_minute) && to_real(fields.word(), load.five_minutes) &&
              to_real(fields.word(), load.fifteen_minutes);
  std::string_view tasks = fields.word();
  std::string_view runnable = take_until(tasks, '/');
  if (!good || !to_number(runnable, load.runnable) || !to_number(tasks, load.tasks)) return malformed("loadavg", text);
  return load;
}

Result<Pressure> parse_pressure(std::string_view text) {
  Pressure pressure;
  bool seen_some = false;
  bool good = each_line(text, [&](std::string_view line) {
    Fields fields(line);
    std::string_view kind = fields.word();
    if (kind == "some") return seen_some = true, parse_stall(fields, pressure.some);
    if (kind == "full") return parse_stall(fields, pressure.full);
    return true;
  });
  if (!good || !seen_some) return malformed("pressure", text);
  return pressure;
}

Result<std::vector<DiskCounters>> parse_diskstats(std::string_view text) {
  std::vector<DiskCounters> disks;
  std::string_view wrong;
  bool good = each_line(text, [&](std::string_view line) {
    wrong = line;
    Fields fields(line);
    DiskCounters disk;
    if (!parse_disk(fields, disk)) return false;
    disks.push_back(std::move(disk));
    return disks.size() < kCountersMost;
  });
  if (!good) return malformed("diskstats", wrong);
  return disks;
}

Result<std::vector<NetDevice>> parse_net_devices(std::string_view text) {
  std::vector<NetDevice> devices;
  std::string_view wrong;
  bool good = each_line(text, [&](std::string_view line) {
    wrong = line;
    // Old kernels leave no blank behind the colon, and a name may hold colons
    // itself ("eth0:1"): the last one ends it. The two lines of headings have none.
    size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) return true;
    NetDevice device;
    device.name = Fields(line.substr(0, colon)).word();
    Fields fields(line.substr(colon + 1));
    bool whole = fields.number(device.received_bytes) && fields.number(device.received_packets) &&
                 fields.number(device.receive_errors) && fields.number(device.receive_drops) &&
                 fields.skip(4) &&  // fifo frame compressed multicast
                 fields.number(device.sent_bytes) && fields.number(device.sent_packets) &&
                 fields.number(device.send_errors) && fields.number(device.send_drops);
    devices.push_back(std::move(device));
    return whole && devices.size() < kCountersMost;
  });
  if (!good) return malformed("net/dev", wrong);
  return devices;
}

int64_t NetCounters::value(std::string_view name) const {
  for (const Counter &counter : counters)
    if (counter.name == name) return counter.value;
  return 0;
}

Result<NetCounters> parse_net_counters(std::string_view text) {
  // Lines come in pairs: "Tcp: RtoAlgorithm RtoMin …", then "Tcp: 1 200 …".
  NetCounters found;
  while (!text.empty()) {
    std::string_view names_line = take_until(text, '\n'), values_line = take_until(text, '\n');
    Fields names(names_line), values(values_line);
    std::string_view group = names.word();
    if (group.empty() || group.back() != ':' || values.word() != group) return malformed("net/snmp", names_line);
    group.remove_suffix(1);
    while (!names.rest().empty()) {
      NetCounters::Counter counter;
      counter.name.append(group).append(".").append(names.word());
      // Counters are unsigned, but a few settings among them are not (MaxConn is -1).
      if (std::string_view value = values.word(); !to_number(value, counter.value)) {
        uint64_t large;
        if (!to_number(value, large)) return malformed("net/snmp", values_line);
        counter.value = static_cast<int64_t>(large);
      }
      found.counters.push_back(std::move(counter));
      if (found.counters.size() >= kCountersMost) return malformed("net/snmp", names_line);
    }
  }
  return found;
}

Result<KernelStat> read_kernel_stat() {
  return parse_kernel_stat(TRY(read_file("/proc/stat")));
}

Result<MemoryInfo> read_memory_info() {
  return parse_memory_info(TRY(read_file("/proc/meminfo")));
}

Result<LoadAverage> read_load_average() {
  return parse_load_average(TRY(read_file("/proc/loadavg")));
}

Result<Pressure> read_pressure(std::string_view resource) {
  Result<std::string> text = read_file("/proc/pressure/" + std::string(resource));
  if (!text)
    return fail(ErrorCode::kUnsupported, "cannot read the pressure of " + std::string(resource),
                "this kernel counts no pressure stalls: " + text.error().why,
                "boot with psi=1 on a kernel built with CONFIG_PSI");
  return parse_pressure(*text);
}

Result<std::vector<DiskCounters>> read_diskstats() {
  return parse_diskstats(TRY(read_file("/proc/diskstats")));
}

Result<std::vector<NetDevice>> read_net_devices() {
  return parse_net_devices(TRY(read_file("/proc/net/dev")));
}

Result<NetCounters> read_net_counters() {
  std::string text = TRY(read_file("/proc/net/snmp"));
  return parse_net_counters(text + TRY(read_file("/proc/net/netstat")));
}

}  // namespace waggle
