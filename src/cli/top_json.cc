#include "cli/top_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.h"

namespace waggle {
namespace {

// Writes an object or array member by member.
class Json {
 public:
  explicit Json(std::string &out) : out_(&out) {}

  Json &key(std::string_view name) {
    separate();
    append_json_string(*out_, name);
    *out_ += ':';
    first_ = true;
    return *this;
  }
  void text(std::string_view value) {
    separate();
    append_json_string(*out_, value);
  }
  void number(uint64_t value) {
    separate();
    *out_ += std::to_string(value);
  }
  // Six digits behind the point are more than /proc's ticks resolve.
  void real(double value) {
    separate();
    fmt::format_to(std::back_inserter(*out_), "{:.6g}", value);
  }
  void nothing() {
    separate();
    *out_ += "null";
  }
  void number(const std::optional<uint64_t> &value) {
    if (value)
      number(*value);
    else
      nothing();
  }
  // null unless `known`.
  void real(double value, bool known) {
    if (known)
      real(value);
    else
      nothing();
  }
  template <typename Fill>
  void object(Fill fill) {
    group('{', '}', fill);
  }
  template <typename List, typename Show>
  void array(const List &list, Show show) {
    group('[', ']', [&] {
      for (const auto &each : list) show(each);
    });
  }

 private:
  template <typename Fill>
  void group(char open, char close, Fill fill) {
    separate();
    *out_ += open;
    first_ = true;
    fill();
    *out_ += close;
    first_ = false;
  }
  void separate() {
    if (!first_) *out_ += ',';
    first_ = false;
  }

  std::string *out_;
  bool first_ = true;
};

void put_waits(Json &json, std::string_view key, const std::optional<Histogram> &waits) {
  json.key(key);
  if (!waits) {
    json.nothing();
    return;
  }
  bool any = waits->count > 0;
  json.object([&] {
    json.key("count").number(waits->count);
    json.key("sum_ns").number(waits->sum);
    json.key("p50_ns").real(waits->quantile(0.5), any);
    json.key("p99_ns").real(waits->quantile(0.99), any);
  });
}

void put_tally(Json &json, std::string_view key, const TopSnapshot::Tally &tally) {
  json.key(key).object([&] {
    for (const auto &[name, count] : tally) json.key(name).number(count);
  });
}

void put_host(Json &json, const TopSnapshot &s) {
  bool rated = s.seconds > 0;
  const HostRates &rates = s.rates;
  json.key("host").text(s.host);
  json.key("kernel").text(s.kernel);
  json.key("uptime_s").number(s.uptime_s);
  json.key("seconds").real(s.seconds);
  json.key("cpu").object([&] {
    json.key("cpus").number(s.cpus);
    json.key("busy_percent").real(rates.all.busy_percent, rated);
    json.key("user_percent").real(rates.all.user_percent, rated);
    json.key("system_percent").real(rates.all.system_percent, rated);
    json.key("io_wait_percent").real(rates.all.io_wait_percent, rated);
    json.key("steal_percent").real(rates.all.steal_percent, rated);
    json.key("interrupt_percent").real(rates.all.interrupt_percent, rated);
    json.key("load").array(std::array{s.load.one_minute, s.load.five_minutes, s.load.fifteen_minutes},
                           [&](double load) { json.real(load); });
    json.key("running").number(rates.running);
    json.key("blocked").number(rates.blocked);
    json.key("context_switches_per_s").real(rates.context_switches_per_s, rated);
    put_waits(json, "run_queue", s.run_queue);
  });
  json.key("memory").object([&] {
    json.key("total_bytes").number(s.memory.total_bytes);
    json.key("available_bytes").number(s.memory.available_bytes);
    json.key("dirty_bytes").number(s.memory.dirty_bytes + s.memory.writeback_bytes);
    json.key("swap_total_bytes").number(s.memory.swap_total_bytes);
    json.key("swap_free_bytes").number(s.memory.swap_free_bytes);
  });
  json.key("pressure").object([&] {
    bool known = rated && s.has_pressure;
    json.key("cpu_some_percent").real(rates.cpu_some_percent, known);
    json.key("memory_some_percent").real(rates.memory_some_percent, known);
    json.key("memory_full_percent").real(rates.memory_full_percent, known);
    json.key("io_some_percent").real(rates.io_some_percent, known);
    json.key("io_full_percent").real(rates.io_full_percent, known);
  });
}

void put_starts(Json &json, const TopSnapshot &s) {
  json.key("starts").object([&] {
    json.key("programs").number(s.programs_started);
    json.key("failed").number(s.programs_failed);
    json.key("forks").number(s.processes_forked);
    json.key("exits").number(s.processes_ended);
    put_tally(json, "killed_by", s.killed_by);
    put_tally(json, "started_most", s.started_most);
    put_tally(json, "failed_most", s.failed_most);
    json.key("opens").number(s.opens);
    json.key("opens_failed").number(s.opens_failed);
  });
}

void put_storage(Json &json, const TopSnapshot &s) {
  bool rated = s.seconds > 0;
  json.key("disks").array(s.disks, [&](const TopSnapshot::Disk &disk) {
    json.object([&] {
      json.key("name").text(disk.rates.name);
      json.key("busy_percent").real(disk.rates.busy_percent, rated);
      json.key("reads_per_s").real(disk.rates.reads_per_s, rated);
      json.key("writes_per_s").real(disk.rates.writes_per_s, rated);
      json.key("read_bytes_per_s").real(disk.rates.read_bytes_per_s, rated);
      json.key("written_bytes_per_s").real(disk.rates.written_bytes_per_s, rated);
      json.key("wait_ms").real(disk.rates.wait_ms, rated && disk.rates.reads_per_s + disk.rates.writes_per_s > 0);
      put_waits(json, "device", disk.device);
      put_waits(json, "queued", disk.queued);
      json.key("errors").number(disk.device ? std::optional(disk.errors) : std::nullopt);
    });
  });
  json.key("files");
  if (!s.files)
    json.nothing();
  else
    json.array(*s.files, [&](const TopSnapshot::File &file) {
      json.object([&] {
        json.key("path").text(file.path);
        json.key("operation").text(file.operation);
        json.key("pid").number(file.pid == 0 ? std::nullopt : std::optional(static_cast<uint64_t>(file.pid)));
        json.key("comm").text(file.comm);
        put_waits(json, "latency", file.latency);
        json.key("bytes").number(file.bytes);
      });
    });
  json.key("filesystems");
  if (!s.filesystems)
    json.nothing();
  else
    json.array(*s.filesystems, [&](const TopSnapshot::FilesystemOperation &each) {
      json.object([&] {
        json.key("filesystem").text(each.filesystem);
        json.key("operation").text(each.operation);
        put_waits(json, "latency", each.latency);
      });
    });
}

void put_network(Json &json, const TopSnapshot &s) {
  bool rated = s.seconds > 0;
  json.key("tcp").object([&] {
    put_waits(json, "connects", s.connects);
    json.key("connects_failed").number(s.connects_failed);
    put_tally(json, "connect_errors", s.connect_errors);
    json.key("accepts_per_s").real(s.rates.tcp.accepts_per_s, rated);
    json.key("established").number(static_cast<uint64_t>(std::max<int64_t>(0, s.rates.tcp.established)));
    json.key("resets_sent_per_s").real(s.rates.tcp.resets_sent_per_s, rated);
    json.key("listen_drops_per_s").real(s.rates.tcp.listen_drops_per_s, rated);
    json.key("retransmits").number(s.retransmits);
    json.key("retransmit_percent").real(s.rates.tcp.retransmit_percent, rated);
    put_waits(json, "rtt", s.rtt);
    json.key("remotes").array(s.remotes, [&](const TopSnapshot::Remote &remote) {
      json.object([&] {
        json.key("address").text(remote.address);
        put_waits(json, "rtt", remote.rtt);
        json.key("retransmits").number(remote.retransmits);
      });
    });
  });
  json.key("drops").object([&] {
    json.key("packets").number(s.drops);
    put_tally(json, "reasons", s.drop_reasons);
  });
  json.key("networks").array(s.rates.networks, [&](const HostRates::Network &network) {
    json.object([&] {
      json.key("name").text(network.name);
      json.key("received_bytes_per_s").real(network.received_bytes_per_s, rated);
      json.key("sent_bytes_per_s").real(network.sent_bytes_per_s, rated);
      json.key("received_packets_per_s").real(network.received_packets_per_s, rated);
      json.key("sent_packets_per_s").real(network.sent_packets_per_s, rated);
      json.key("drops_per_s").real(network.drops_per_s, rated);
      json.key("errors_per_s").real(network.errors_per_s, rated);
    });
  });
}

void put_processes(Json &json, const TopSnapshot &s) {
  json.key("processes").array(s.processes, [&](const TopSnapshot::Process &process) {
    // Hundreds of idle ones in every line would bury those that are not.
    if (process.cpu_percent <= 0 && process.sort_value(ProcessSort::kIo) <= 0 && process.tcp_bytes.value_or(0) == 0)
      return;
    bool ended = process.pid == 0;
    json.object([&] {
      json.key("pid").number(ended ? std::nullopt : std::optional(static_cast<uint64_t>(process.pid)));
      json.key("comm").text(process.comm);
      json.key("command").text(process.command);
      json.key("ended").number(process.ended);
      json.key("cpu_percent").real(process.cpu_percent, s.seconds > 0);
      json.key("resident_bytes").number(ended ? std::nullopt : std::optional(process.resident_bytes));
      json.key("threads").number(ended ? std::nullopt : std::optional(static_cast<uint64_t>(process.threads)));
      json.key("read_bytes").number(process.read_bytes);
      json.key("written_bytes").number(process.written_bytes);
      json.key("tcp_ended_bytes").number(process.tcp_bytes);
    });
  });
}

void put_sensors(Json &json, const TopSnapshot &s) {
  using Is = TopSnapshot::SensorState::Is;
  json.key("sensor_seconds").real(s.sensor_seconds);
  json.key("sensors").array(s.sensors, [&](const TopSnapshot::SensorState &sensor) {
    json.object([&] {
      json.key("name").text(sensor.name);
      json.key("state").text(sensor.is == Is::kRunning ? "runs" : sensor.is == Is::kAbsent ? "absent" : "starts");
      json.key("why").text(sensor.why);
      json.key("produced").number(sensor.produced);
      json.key("lost").number(sensor.lost);
    });
  });
}

}  // namespace

void append_top_json(std::string &out, const TopSnapshot &snapshot) {
  Json json(out);
  json.object([&] {
    json.key("time").text(snapshot.time);
    put_host(json, snapshot);
    put_starts(json, snapshot);
    put_storage(json, snapshot);
    put_network(json, snapshot);
    put_processes(json, snapshot);
    put_sensors(json, snapshot);
  });
  out += '\n';
}

}  // namespace waggle
