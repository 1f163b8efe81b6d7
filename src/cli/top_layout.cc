#include "cli/top_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quantity.h"
#include "cli/top_text.h"

namespace waggle {

using namespace top_text;

namespace {

// Where a section's lines begin, under its heading.
constexpr size_t kIndent = 12;
// From here on lists have more columns.
constexpr size_t kWideDisks = 99, kWideProcesses = 100;
// Of the text summary.
constexpr size_t kSummaryRows = 24;

std::string uptime_text(uint64_t seconds) {
  std::string text;
  append_duration(text, seconds * 1'000'000'000);
  return text;
}

// --- what deserves a look ------------------------------------------------------------

struct Limits {
  double warning, severe;
};
constexpr Limits kCpuBusy{75, 95}, kSteal{3, 10}, kIoWait{20, 50}, kPressure{10, 40}, kMemoryUsed{90, 96},
    kSwapUsed{50, 90}, kDiskBusy{70, 95}, kRetransmitPercent{1, 5};
constexpr Limits kRunQueue_ns{10e6, 50e6}, kDiskWait_ns{20e6, 100e6}, kFileWait_ns{50e6, 500e6}, kRtt_ns{200e6, 1e9};

Style style_of(double value, Limits limits) {
  return value >= limits.severe ? Style::kSevere : value >= limits.warning ? Style::kWarning : Style::kPlain;
}

Style style_of(const Histogram &histogram, Limits limits) {
  return histogram.count == 0 ? Style::kPlain : style_of(histogram.quantile(0.99), limits);
}

Style style_if(bool bad, Style style = Style::kWarning) {
  return bad ? style : Style::kPlain;
}

// --- sections ------------------------------------------------------------------------------

struct Frame {
  const TopSnapshot &snapshot;
  const TopChoices &choices;
  size_t columns;
  bool keys;  // on a screen: sections are numbered, one has the focus
};

constexpr std::array<std::string_view, kTopSections> kTitles = {"CPU", "STARTS", "DISKS", "FILES", "TCP", "PROCESSES"};

Line title(const Frame &frame, TopSection section) {
  auto index = static_cast<size_t>(section);
  Line line;
  if (frame.keys) line.put(fmt::format("{} ", index + 1), Style::kDim);
  bool focused = frame.keys && frame.choices.focus == section;
  line.put(kTitles[index], focused ? Style::kFocus : Style::kBold);
  return line.to(kIndent);
}

Line subtitle(std::string_view name) {
  Line line;
  line.put("  ").left(name, kIndent - 3, Style::kDim);
  return line.to(kIndent);
}

// The same for what a row is about.
Line named_line(std::string_view name) {
  Line line;
  line.put("  ").left(name, kIndent - 3);
  return line.to(kIndent);
}

Line indented() {
  Line line;
  return line.to(kIndent);
}

std::string rate_or_unknown(const Frame &frame, double per_second) {
  return frame.snapshot.seconds > 0 ? rate_text(per_second) : std::string(kUnknown);
}

std::string percent_or_unknown(const Frame &frame, double percent) {
  return frame.snapshot.seconds > 0 ? percent_text(percent) : std::string(kUnknown);
}

std::vector<Line> head_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::string right = s.clock;
  if (frame.choices.paused)
    right += "  PAUSED";
  else
    right += s.seconds > 0 ? "  the last " + duration_text(s.seconds * 1e9) : "  a first look";
  size_t right_columns = columns_of(right);
  Line line;
  line.put(s.host, Style::kBold);
  Facts facts(line.put("  "), frame.columns > right_columns + 1 ? frame.columns - right_columns - 1 : 0);
  facts.add("", s.kernel)
      .add("up", uptime_text(s.uptime_s))
      .add("", fmt::format("{} CPU{}", s.cpus, s.cpus == 1 ? "" : "s"))
      .add("", fmt::format("{} threads", s.load.tasks));
  Line full = facts;
  if (frame.columns > right_columns) full.to(frame.columns - right_columns);
  full.put(right, frame.choices.paused ? Style::kWarning : Style::kPlain);
  return {full};
}

std::vector<Line> cpu_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  const HostRates::Cpu &cpu = s.rates.all;
  auto percent = [&](double value) { return percent_or_unknown(frame, value); };
  std::vector<Line> lines;
  lines.push_back(Facts(title(frame, TopSection::kCpu), frame.columns)
                      .add("busy", percent(cpu.busy_percent), style_of(cpu.busy_percent, kCpuBusy))
                      .add("user", percent(cpu.user_percent))
                      .add("system", percent(cpu.system_percent))
                      .add("io wait", percent(cpu.io_wait_percent), style_of(cpu.io_wait_percent, kIoWait))
                      .add("steal", percent(cpu.steal_percent), style_of(cpu.steal_percent, kSteal))
                      .add("irq", percent(cpu.interrupt_percent)));

  Facts queue(subtitle("run queue"), frame.columns);
  if (s.run_queue) {
    Style style = style_of(*s.run_queue, kRunQueue_ns);
    queue.add("wait p50", quantile_text(*s.run_queue, 0.5))
        .add("p99", quantile_text(*s.run_queue, 0.99), style)
        .add("", rate_text(s.per_second(s.run_queue->count)) + " waits");
    if (s.run_queue_worst_waits.count > 0)
      queue.add("most waited",
                fmt::format("{} p99 {}", s.run_queue_worst, quantile_text(s.run_queue_worst_waits, 0.99)));
  } else {
    queue.add("wait p50", kUnknown).add("p99", kUnknown);
  }
  lines.push_back(queue);

  double cpus = std::max<double>(1, static_cast<double>(s.cpus)), busiest_percent = 0;
  for (const HostRates::Cpu &each : s.rates.cpus) busiest_percent = std::max(busiest_percent, each.busy_percent);
  lines.push_back(
      Facts(indented(), frame.columns)
          .add("load",
               fmt::format("{:.2f} {:.2f} {:.2f}", s.load.one_minute, s.load.five_minutes, s.load.fifteen_minutes),
               style_of(s.load.one_minute / cpus, {1.5, 4}))
          .add("running", std::to_string(s.rates.running), style_of(s.rates.running / cpus, {2, 5}))
          .add("blocked", std::to_string(s.rates.blocked), style_if(s.rates.blocked > 0))
          .add("busiest CPU", percent(busiest_percent), style_of(busiest_percent, kCpuBusy))
          .add("switches", rate_or_unknown(frame, s.rates.context_switches_per_s))
          .add("interrupts", rate_or_unknown(frame, s.rates.interrupts_per_s)));
  return lines;
}

std::vector<Line> memory_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  const MemoryInfo &memory = s.memory;
  auto amount = [](uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); };
  auto total = static_cast<double>(std::max<uint64_t>(1, memory.total_bytes));
  uint64_t used = memory.total_bytes - std::min(memory.total_bytes, memory.available_bytes);
  double used_percent = 100 * static_cast<double>(used) / total;
  uint64_t swapped = memory.swap_total_bytes - std::min(memory.swap_total_bytes, memory.swap_free_bytes);
  double swap_percent = memory.swap_total_bytes == 0
                            ? 0
                            : 100 * static_cast<double>(swapped) / static_cast<double>(memory.swap_total_bytes);
  std::vector<Line> lines;
  lines.push_back(
      Facts(subtitle("memory"), frame.columns)
          .add("used",
               fmt::format("{} of {} ({})", amount(used), amount(memory.total_bytes), percent_text(used_percent)),
               style_of(used_percent, kMemoryUsed))
          .add("swap",
               memory.swap_total_bytes == 0 ? "none"
                                            : fmt::format("{} of {}", amount(swapped), amount(memory.swap_total_bytes)),
               style_of(swap_percent, kSwapUsed))
          .add("dirty", amount(memory.dirty_bytes + memory.writeback_bytes))
          .add("cached", amount(memory.cached_bytes + memory.buffers_bytes))
          .add("slab", amount(memory.slab_bytes)));
  Facts pressure(subtitle("pressure"), frame.columns);
  auto stall = [&](double some, double full) {
    return fmt::format("{} (all tasks {})", percent_text(some), percent_text(full));
  };
  if (s.has_pressure && s.seconds > 0)
    pressure.add("cpu", percent_text(s.rates.cpu_some_percent), style_of(s.rates.cpu_some_percent, kPressure))
        .add("memory", stall(s.rates.memory_some_percent, s.rates.memory_full_percent),
             style_of(s.rates.memory_some_percent, kPressure))
        .add("io", stall(s.rates.io_some_percent, s.rates.io_full_percent),
             style_of(s.rates.io_some_percent, kPressure));
  else
    pressure.add("cpu", kUnknown).add("memory", kUnknown).add("io", kUnknown);
  lines.push_back(pressure);
  return lines;
}

// "most sh 12  grep 3": the first entries of a tally; nothing for an empty one.
void add_tally(Facts &facts, std::string_view label, const TopSnapshot::Tally &tally, size_t most,
               Style style = Style::kPlain) {
  for (size_t i = 0; i < std::min(most, tally.size()); i++)
    facts.add(i == 0 ? label : "", fmt::format("{} {}", tally[i].first, count_text(tally[i].second)), style);
}

std::vector<Line> start_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<Line> lines;
  lines.push_back(Facts(title(frame, TopSection::kStarts), frame.columns)
                      .add("programs", rate_text(s, s.programs_started))
                      .add("failed", rate_text(s, s.programs_failed), style_if(s.programs_failed.value_or(0) > 0))
                      .add("forks", rate_text(s, s.processes_forked))
                      .add("exits", rate_text(s, s.processes_ended)));
  Facts names(indented(), frame.columns);
  add_tally(names, "killed by", s.killed_by, 3, Style::kWarning);
  add_tally(names, "failed", s.failed_most, 1, Style::kWarning);
  add_tally(names, "most", s.started_most, 12);
  if (!s.programs_started)
    names.add("most", kUnknown);
  else if (s.killed_by.empty() && s.failed_most.empty() && s.started_most.empty())
    names.add("no program was started", "");
  lines.push_back(names);
  return lines;
}

// A disk that did nothing in the interval.
bool is_idle(const TopSnapshot::Disk &disk) {
  return disk.rates.reads_per_s + disk.rates.writes_per_s + disk.rates.busy_percent + disk.rates.queue <= 0;
}

bool disks_fail(const TopSnapshot &snapshot) {
  return std::any_of(snapshot.disks.begin(), snapshot.disks.end(), [](const auto &disk) { return disk.errors > 0; });
}

std::vector<Line> disk_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<Line> lines;
  bool wide = frame.columns >= kWideDisks;
  Line heading = title(frame, TopSection::kDisks);
  for (auto [text, width] :
       {std::pair{"BUSY", 6}, {"READS", 9}, {"READ", 12}, {"WRITES", 9}, {"WRITTEN", 12}, {"WAIT", 8}, {"DEV P99", 9}})
    heading.right(text, static_cast<size_t>(width), Style::kDim);
  if (wide) heading.right("QUEUE P99", 11, Style::kDim).right("IN FLIGHT", 11, Style::kDim);
  lines.push_back(heading);
  if (disks_fail(s)) {
    Facts failed(indented(), frame.columns);
    for (const TopSnapshot::Disk &disk : s.disks)
      if (disk.errors > 0)
        failed.add("", fmt::format("{} requests of {} failed", count_text(disk.errors), disk.rates.name),
                   Style::kSevere);
    lines.push_back(failed);
  }
  size_t idle = 0;
  for (const TopSnapshot::Disk &disk : s.disks) {
    // They would take the room of what is not idle.
    if (s.seconds > 0 && is_idle(disk)) {
      idle++;
      continue;
    }
    const HostRates::Disk &rates = disk.rates;
    bool known = s.seconds > 0;
    auto text = [&](const std::string &value) { return known ? value : std::string(kUnknown); };
    Line line = named_line(rates.name);
    line.right(text(fmt::format("{:.0f}%", rates.busy_percent)), 6, style_of(rates.busy_percent, kDiskBusy))
        .right(text(rate_text(rates.reads_per_s)), 9)
        .right(text(bytes_rate_text(rates.read_bytes_per_s)), 12)
        .right(text(rate_text(rates.writes_per_s)), 9)
        .right(text(bytes_rate_text(rates.written_bytes_per_s)), 12)
        .right(rates.reads_per_s + rates.writes_per_s > 0 ? duration_text(rates.wait_ms * 1e6) : std::string(kUnknown),
               8, style_of(rates.wait_ms * 1e6, kDiskWait_ns))
        .right(disk.device ? quantile_text(*disk.device, 0.99) : std::string(kUnknown), 9,
               disk.device ? style_of(*disk.device, kDiskWait_ns) : Style::kPlain);
    if (wide)
      line.right(disk.queued ? quantile_text(*disk.queued, 0.99) : std::string(kUnknown), 11,
                 disk.queued ? style_of(*disk.queued, kDiskWait_ns) : Style::kPlain)
          .right(text(fmt::format("{:.1f}", rates.queue)), 11);
    lines.push_back(line);
  }
  if (s.seconds <= 0)
    lines.push_back(Facts(indented(), frame.columns).add("", kUnknown));
  else if (s.disks.empty())
    lines.push_back(Facts(indented(), frame.columns).add("no disk has done anything since boot", ""));
  if (idle > 0)
    lines.push_back(
        Facts(indented(), frame.columns)
            .add(fmt::format("{}{} idle disk{}", idle == s.disks.size() ? "" : "and ", idle, idle == 1 ? "" : "s"),
                 ""));
  return lines;
}

std::vector<Line> file_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<Line> lines;
  Line heading = title(frame, TopSection::kFiles);
  constexpr size_t kP99 = 9, kCalls = 9, kBytes = 11, kBy = 15;
  heading.right("P99", kP99, Style::kDim)
      .right("CALLS", kCalls, Style::kDim)
      .right("BYTES", kBytes, Style::kDim)
      .put("  ");
  bool named =
      s.files && std::any_of(s.files->begin(), s.files->end(), [](const auto &file) { return !file.comm.empty(); });
  if (named) heading.left("BY", kBy, Style::kDim).put(" ");
  heading.put("SLOWEST FILE", Style::kDim);
  lines.push_back(heading);
  if (!s.files) {
    lines.push_back(Facts(indented(), frame.columns).add("", kUnknown));
    return lines;
  }
  for (const TopSnapshot::File &file : *s.files) {
    Line line = named_line(file.operation);
    line.right(quantile_text(file.latency, 0.99), kP99, style_of(file.latency, kFileWait_ns))
        .right(rate_text(s.per_second(file.latency.count)), kCalls)
        .right(bytes_rate_text(s.per_second(file.bytes)), kBytes)
        .put("  ");
    if (named) line.left(file.comm, kBy).put(" ");
    size_t left = frame.columns > line.columns() ? frame.columns - line.columns() : 0;
    line.left(file.path.empty() ? "(no name)" : file.path, left, Style::kPlain, true);
    lines.push_back(line);
  }
  if (s.files->empty()) lines.push_back(Facts(indented(), frame.columns).add("nothing was read or written", ""));
  return lines;
}

// All opens, and one line for each file system: the slowest operation first.
std::vector<Line> filesystem_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<Line> lines;
  Facts opens(subtitle("opens"), frame.columns);
  opens.add("", rate_text(s, s.opens)).add("failed", rate_text(s, s.opens_failed));
  lines.push_back(opens);
  if (!s.filesystems) return lines;
  std::vector<std::string> done;
  for (const TopSnapshot::FilesystemOperation &first : *s.filesystems) {
    if (std::find(done.begin(), done.end(), first.filesystem) != done.end()) continue;
    done.push_back(first.filesystem);
    Facts facts(subtitle(first.filesystem), frame.columns);
    for (const TopSnapshot::FilesystemOperation &each : *s.filesystems)
      if (each.filesystem == first.filesystem)
        facts.add(
            each.operation,
            fmt::format("p99 {} {}", quantile_text(each.latency, 0.99), rate_text(s.per_second(each.latency.count))),
            style_of(each.latency, kFileWait_ns));
    lines.push_back(facts);
  }
  return lines;
}

std::vector<Line> tcp_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  const HostRates::Tcp &tcp = s.rates.tcp;
  std::vector<Line> lines;
  // The kernel's counters are of one network namespace; sensors see all of them.
  std::optional<uint64_t> stood = s.connects ? std::optional(s.connects->count) : std::nullopt;
  Facts connects(title(frame, TopSection::kTcp), frame.columns);
  connects.add("connects", rate_text(s, stood))
      .add("failed", rate_text(s, s.connects_failed), style_if(s.connects_failed.value_or(0) > 0))
      .add("accepts", rate_or_unknown(frame, tcp.accepts_per_s))
      .add("established", std::to_string(tcp.established))
      .add("resets", rate_or_unknown(frame, tcp.resets_sent_per_s));
  add_tally(connects, "", s.connect_errors, 3, Style::kWarning);
  if (s.connects && s.connects->count > 0)
    connects.add("connect p99", quantile_text(*s.connects, 0.99), style_of(*s.connects, kRtt_ns));
  lines.push_back(connects);

  Facts paths(indented(), frame.columns);
  Style retransmitting =
      std::max(style_of(tcp.retransmit_percent, kRetransmitPercent), style_if(s.retransmits.value_or(0) > 0));
  paths.add("retransmits", s.retransmits ? rate_text(s, s.retransmits) : rate_or_unknown(frame, tcp.retransmits_per_s),
            retransmitting);
  if (s.seconds > 0) paths.add("", fmt::format("({:.2f}% of segments)", tcp.retransmit_percent), retransmitting);
  paths.add("rtt p50", s.rtt ? quantile_text(*s.rtt, 0.5) : std::string(kUnknown))
      .add("p99", s.rtt ? quantile_text(*s.rtt, 0.99) : std::string(kUnknown),
           s.rtt ? style_of(*s.rtt, kRtt_ns) : Style::kPlain);
  lines.push_back(paths);
  return lines;
}

std::vector<Line> remote_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<Line> lines;
  lines.reserve(s.remotes.size());
  for (const TopSnapshot::Remote &remote : s.remotes)
    lines.push_back(
        Facts(indented(), frame.columns)
            .add("to", fmt::format("{:<24}", remote.address))
            .add("rtt p50", fmt::format("{:>6}", quantile_text(remote.rtt, 0.5)))
            .add("p99", fmt::format("{:>6}", quantile_text(remote.rtt, 0.99)), style_of(remote.rtt, kRtt_ns))
            .add("retransmits", count_text(remote.retransmits), style_if(remote.retransmits > 0)));
  return lines;
}

std::vector<Line> drop_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  Facts facts(subtitle("drops"), frame.columns);
  double by_device = 0;
  for (const HostRates::Network &network : s.rates.networks) by_device += network.drops_per_s + network.errors_per_s;
  facts.add("packets", rate_text(s, s.drops), style_if(s.drops.value_or(0) > 0))
      .add("listen queue", rate_or_unknown(frame, s.rates.tcp.listen_drops_per_s),
           style_if(s.rates.tcp.listen_drops_per_s > 0, Style::kSevere))
      .add("devices", rate_or_unknown(frame, by_device), style_if(by_device > 0));
  add_tally(facts, "", s.drop_reasons, 5);
  return {facts};
}

// One line for each network device that carried something, busiest first.
std::vector<Line> network_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  std::vector<const HostRates::Network *> busy;
  for (const HostRates::Network &network : s.rates.networks)
    if (network.received_packets_per_s + network.sent_packets_per_s > 0) busy.push_back(&network);
  std::stable_sort(busy.begin(), busy.end(), [](const auto *a, const auto *b) {
    return a->received_bytes_per_s + a->sent_bytes_per_s > b->received_bytes_per_s + b->sent_bytes_per_s;
  });
  std::vector<Line> lines;
  lines.reserve(busy.size());
  for (const HostRates::Network *network : busy)
    lines.push_back(
        Facts(subtitle(network->name), frame.columns)
            .add("received", fmt::format("{} {}", bytes_rate_text(network->received_bytes_per_s),
                                         rate_text(network->received_packets_per_s)))
            .add("sent", fmt::format("{} {}", bytes_rate_text(network->sent_bytes_per_s),
                                     rate_text(network->sent_packets_per_s)))
            .add("drops", rate_text(network->drops_per_s), style_if(network->drops_per_s > 0))
            .add("errors", rate_text(network->errors_per_s), style_if(network->errors_per_s > 0, Style::kSevere)));
  return lines;
}

std::string command_of(const TopSnapshot::Process &process, bool whole) {
  if (process.pid == 0) return fmt::format("{} ({} ended)", process.comm, process.ended);
  return whole && !process.command.empty() ? process.command : process.comm;
}

std::vector<Line> process_lines(const Frame &frame) {
  const TopSnapshot &s = frame.snapshot;
  bool wide = frame.columns >= kWideProcesses;
  ProcessSort sort = frame.choices.sort;
  constexpr size_t kCpu = 6, kMemory = 9, kBytes = 10, kTcp = 9, kThreads = 9;
  Line heading = title(frame, TopSection::kProcesses);
  auto column = [&](std::string_view name, size_t width, bool sorted) {
    heading.right(name, width, sorted ? Style::kBold : Style::kDim);
  };
  column("CPU", kCpu, sort == ProcessSort::kCpu);
  column("MEMORY", kMemory, false);
  column("READ", kBytes, sort == ProcessSort::kIo);
  column("WRITTEN", kBytes, sort == ProcessSort::kIo);
  column("TCP*", kTcp, sort == ProcessSort::kNetwork);
  if (wide) column("THREADS", kThreads, false);
  heading.put(wide ? "  S  COMMAND" : "  COMMAND", Style::kDim);
  std::vector<Line> lines{heading};
  for (const TopSnapshot::Process *process : sorted_processes(s, sort)) {
    auto bytes_rate = [&](const std::optional<uint64_t> &bytes) {
      return bytes && s.seconds > 0 ? bytes_rate_text(static_cast<double>(*bytes) / s.seconds) : std::string(kUnknown);
    };
    bool ended = process->pid == 0;
    auto of_living = [&](const std::string &text) { return ended ? std::string(kUnknown) : text; };
    Line line = named_line(of_living(std::to_string(process->pid)));
    line.right(percent_or_unknown(frame, process->cpu_percent), kCpu, style_if(process->cpu_percent >= 90))
        .right(of_living(bytes_text(static_cast<double>(process->resident_bytes))), kMemory)
        .right(bytes_rate(process->read_bytes), kBytes)
        .right(bytes_rate(process->written_bytes), kBytes)
        .right(process->tcp_bytes ? bytes_text(static_cast<double>(*process->tcp_bytes)) : std::string(kUnknown), kTcp);
    if (wide)
      line.right(of_living(std::to_string(process->threads)), kThreads)
          .put("  ")
          .put(of_living(std::string(1, process->state)), style_if(process->state == 'D'));
    line.put("  ");
    size_t left = frame.columns > line.columns() ? frame.columns - line.columns() : 0;
    lines.push_back(line.left(command_of(*process, wide), left));
  }
  return lines;
}

std::string_view sort_name(ProcessSort sort) {
  switch (sort) {
    case ProcessSort::kCpu:
      return "CPU";
    case ProcessSort::kIo:
      return "I/O";
    case ProcessSort::kNetwork:
      return "network";
  }
  return "";
}

Line key_line(const Frame &frame) {
  return Facts(Line(), frame.columns)
      .add("", "q quit")
      .add("", "? help")
      .add("", "1-6 Tab choose")
      .add("", "Enter open")
      .add("", fmt::format("s sort: {}", sort_name(frame.choices.sort)))
      .add("", "p pause")
      .add("", fmt::format("+ - every {}", duration_text(static_cast<double>(frame.choices.interval.count()))));
}

// --- putting it together -----------------------------------------------------------------------

// Lines of which some may be left out. The first `fixed` always stay.
struct Part {
  std::vector<Line> lines;
  size_t fixed, fair;  // fair: what it gets before others get more than theirs
  size_t shown = 0;
};

// Deals lines out: first what each must have, then in turns up to what is fair,
// then what is left.
void deal_rows(std::vector<Part> &parts, size_t rows) {
  size_t used = 0;
  for (Part &part : parts) used += part.shown = std::min(part.fixed, part.lines.size());
  for (bool fair : {true, false}) {
    for (bool dealt = true; dealt && used < rows;) {
      dealt = false;
      for (Part &part : parts) {
        if (part.shown >= part.lines.size() || (fair && part.shown >= part.fair) || used >= rows) continue;
        part.shown++, used++;
        dealt = true;
      }
    }
  }
}

void append_shown(std::vector<Line> &lines, const Part &part) {
  lines.insert(lines.end(), part.lines.begin(), part.lines.begin() + static_cast<ptrdiff_t>(part.shown));
}

std::vector<Part> parts_of(const Frame &frame) {
  const TopSnapshot &snapshot = frame.snapshot;
  std::vector<Part> parts;
  parts.push_back({head_lines(frame), 1, 1});
  parts.push_back({cpu_lines(frame), 3, 3});
  parts.push_back({memory_lines(frame), 2, 2});
  parts.push_back({start_lines(frame), 2, 2});
  // The line that counts idle disks can wait.
  size_t disks = 1 + static_cast<size_t>(std::count_if(snapshot.disks.begin(), snapshot.disks.end(),
                                                       [](const auto &disk) { return !is_idle(disk); }));
  size_t failing = disks_fail(snapshot) ? 1 : 0;
  parts.push_back({disk_lines(frame), 2 + failing, std::clamp<size_t>(disks, 2, 4) + failing});
  parts.push_back({file_lines(frame), 2, 6});
  parts.push_back({filesystem_lines(frame), 1, 3});
  parts.push_back({tcp_lines(frame), 2, 2});
  parts.push_back({remote_lines(frame), 0, 3});
  parts.push_back({drop_lines(frame), 1, 1});
  parts.push_back({network_lines(frame), 0, 2});
  parts.push_back({process_lines(frame), 5, 11});
  return parts;
}

}  // namespace

std::vector<std::string_view> sensors_of(TopSection section) {
  switch (section) {
    case TopSection::kCpu:
      return {"runq", "cpu"};
    case TopSection::kStarts:
      return {"exec", "exit", "fork"};
    case TopSection::kDisks:
      return {"block"};
    case TopSection::kFiles:
      return {"file", "fs", "open"};
    case TopSection::kTcp:
      return {"tcp_rtt", "tcp_retransmit", "tcp_connect", "tcp_close", "drop"};
    case TopSection::kProcesses:
      return {"cpu", "tcp_close", "exec", "exit"};
  }
  return {};
}

std::vector<Line> top_lines(const TopSnapshot &snapshot, const TopChoices &choices, size_t rows, size_t columns) {
  Frame frame{snapshot, choices, columns, true};
  constexpr size_t kFoot = 2;
  std::vector<Part> parts = parts_of(frame);
  size_t body = rows > kFoot ? rows - kFoot : 0;
  deal_rows(parts, body);
  std::vector<Line> lines;
  for (const Part &part : parts) append_shown(lines, part);
  lines.resize(body);
  lines.push_back(note_line(snapshot));
  lines.push_back(key_line(frame));
  return lines;
}

std::vector<Line> top_summary(const TopSnapshot &snapshot, const TopChoices &choices, size_t columns) {
  Frame frame{snapshot, choices, columns, false};
  std::vector<Part> parts = parts_of(frame);
  deal_rows(parts, kSummaryRows);
  std::vector<Line> lines;
  for (const Part &part : parts) append_shown(lines, part);
  lines.push_back(note_line(snapshot));
  return lines;
}

}  // namespace waggle
