#include "cli/top_layout.h"

#include <gtest/gtest.h>

#include "cli/top_json.h"
#include "enrich/host.h"

namespace waggle {
namespace {

Histogram waits(uint64_t each_ns, uint64_t count) {
  Histogram histogram;
  for (uint64_t i = 0; i < count; i++) histogram.observe(each_ns);
  return histogram;
}

// A host that is short of CPU, with a slow disk and a lossy path.
TopSnapshot busy_host() {
  TopSnapshot s;
  s.host = "web-1";
  s.kernel = "Linux 6.1.0-18-amd64";
  s.clock = "12:03:07";
  s.time = "2026-11-21T12:03:07Z";
  s.uptime_s = 3 * 86400 + 4 * 3600;
  s.cpus = 2;
  s.seconds = s.sensor_seconds = 2;
  s.load = {5.5, 2.25, 1, 7, 412};
  s.memory.total_bytes = 4ull << 30;
  s.memory.available_bytes = 1ull << 30;
  s.memory.swap_total_bytes = 1ull << 30;
  s.memory.swap_free_bytes = 1ull << 29;
  s.memory.dirty_bytes = 12 << 20;
  s.has_pressure = true;
  HostRates &r = s.rates;
  r.seconds = 2;
  r.all = {96.5, 60, 30, 3, 3.5, 2.5};
  r.cpus = {{100, 0, 0, 0, 0, 0}, {93, 0, 0, 0, 0, 0}};
  r.context_switches_per_s = 12345;
  r.running = 7, r.blocked = 1;
  r.cpu_some_percent = 55, r.io_some_percent = 23.25, r.io_full_percent = 12;
  r.tcp.accepts_per_s = 3, r.tcp.established = 34, r.tcp.retransmit_percent = 1.5;
  r.networks = {{"eth0", 2048, 1024, 20, 10, 0, 0.5}};
  s.run_queue = waits(60'000'000, 1000);
  s.run_queue_worst = "postgres";
  s.run_queue_worst_waits = waits(60'000'000, 900);
  s.programs_started = 24, s.programs_failed = 2, s.processes_forked = 30, s.processes_ended = 25;
  s.started_most = {{"sh", 20}, {"grep", 4}};
  s.failed_most = {{"/usr/local/bin/ls ENOENT", 2}};
  s.killed_by = {{"SIGKILL", 1}};
  s.opens = 2468, s.opens_failed = 12;
  TopSnapshot::Disk disk;
  disk.rates = {{8, 0}, "sda", 120, 3.5, 5e6, 20000, 97, 130, 12};
  disk.device = waits(100'000'000, 240);
  disk.queued = waits(4000, 240);
  disk.errors = 3;
  s.disks.push_back(disk);
  disk = {};
  disk.rates.name = "sdb";
  disk.device.emplace(), disk.queued.emplace();
  s.disks.push_back(disk);
  s.files.emplace();
  s.files->push_back({"write", "/var/lib/postgresql/15/main/pg_wal/000000010000000000000001", 77, "postgres",
                      waits(700'000'000, 3), 24576});
  s.files->push_back({"read", "a\x1b[2Jb", 78, "cat", waits(1000, 3), 10});
  s.filesystems.emplace();
  s.filesystems->push_back({"ext4", "fsync", waits(700'000'000, 3)});
  s.filesystems->push_back({"ext4", "read", waits(2000, 3000)});
  s.connects = waits(2'000'000, 10);
  s.connects_failed = 4;
  s.connect_errors = {{"ECONNREFUSED", 4}};
  s.retransmits = 9;
  s.rtt = waits(300'000'000, 500);
  s.remotes.push_back({"2001:db8::7", waits(300'000'000, 400), 9});
  s.drops = 6;
  s.drop_reasons = {{"NETFILTER_DROP", 5}, {"NO_SOCKET", 1}};
  TopSnapshot::Process process;
  process.pid = 77, process.comm = "postgres", process.command = "postgres: checkpointer", process.state = 'D';
  process.threads = 1, process.cpu_percent = 12.5, process.resident_bytes = 200 << 20;
  process.read_bytes = 0, process.written_bytes = 20 << 20, process.tcp_bytes = 0;
  s.processes.push_back(process);
  process.pid = 4242, process.comm = "java", process.command = "java -jar shop.jar", process.state = 'R';
  process.threads = 120, process.cpu_percent = 150, process.resident_bytes = 2048ull << 20;
  process.read_bytes.reset(), process.written_bytes.reset(), process.tcp_bytes = 5 << 20;
  s.processes.push_back(process);
  process = {};
  process.comm = "cc1", process.ended = 12, process.cpu_percent = 20;
  s.processes.push_back(process);
  using Is = TopSnapshot::SensorState::Is;
  s.sensors = {{"exec", Is::kRunning, "", 26, 0, 0}, {"runq", Is::kRunning, "", 20000, 0, 0}};
  return s;
}

// The lines as text, each ended, so that a difference is easy to read.
std::string text_of(const std::vector<Line> &lines, size_t columns) {
  std::string text;
  for (const Line &line : lines) text += line.plain(columns) + "\n";
  return text;
}

TEST(TopLayout, FillsAScreenOf80By24) {
  constexpr std::string_view kExpected = R"(
web-1  Linux 6.1.0-18-amd64  up 3d04h  2 CPUs           12:03:07  the last 2.00s
1 CPU       busy 96%  user 60%  system 30%  io wait 2.5%  steal 3.5%  irq 3.0%
  run queue wait p50 50.3ms  p99 60.0ms  500/s waits
            load 5.50 2.25 1.00  running 7  blocked 1  busiest CPU 100%
  memory    used 3.00GiB of 4.00GiB (75%)  swap 512MiB of 1.00GiB  dirty 12.0MiB
  pressure  cpu 55%  memory 0% (all tasks 0%)  io 23% (all tasks 12%)
2 STARTS    programs 12/s  failed 1.0/s  forks 15/s  exits 13/s
            killed by SIGKILL 1  failed /usr/local/bin/ls ENOENT 2  most sh 20
3 DISKS       BUSY    READS        READ   WRITES     WRITTEN    WAIT  DEV P99
            3 requests of sda failed
  sda          97%    120/s   4.77MiB/s    3.5/s   19.5KiB/s   130ms    100ms
4 FILES           P99    CALLS      BYTES  BY              SLOWEST FILE
  write         700ms    1.5/s  12.0KiB/s  postgres        …00010000000000000001
  read         1.00us    1.5/s       5B/s  cat             a\x1b[2Jb
  opens     1234/s  failed 6.0/s
5 TCP       connects 5.0/s  failed 2.0/s  accepts 3.0/s  established 34
            retransmits 4.5/s  (1.50% of segments)  rtt p50 300ms  p99 300ms
  drops     packets 3.0/s  listen queue 0/s  devices 0.5/s  NETFILTER_DROP 5
6 PROCESSES    CPU   MEMORY      READ   WRITTEN     TCP*  COMMAND
  4242        150%  2.00GiB         -         -  5.00MiB  java
  -            20%        -         -         -        -  cc1 (12 ended)
  77           12%   200MiB      0B/s 10.0MiB/s       0B  postgres
20.0k events, none lost  * bytes of TCP connections when they end
q quit  ? help  1-6 Tab choose  Enter open  s sort: CPU  p pause
)";
  EXPECT_EQ("\n" + text_of(top_lines(busy_host(), {}, 24, 80), 80), kExpected);
}

TEST(TopLayout, SaysWhatIsNotKnownAndWhy) {
  TopSnapshot s = busy_host();
  s.files.reset(), s.filesystems.reset(), s.run_queue.reset(), s.drops.reset(), s.programs_started.reset();
  s.has_pressure = false;
  using Is = TopSnapshot::SensorState::Is;
  s.sensors.push_back({"file", Is::kAbsent, "kernel 5.4 has no BPF ring buffer", 0, 0, 0});
  std::string text = text_of(top_lines(s, {}, 24, 80), 80);
  for (std::string_view expected :
       {"run queue wait p50 -  p99 -", "programs -", "drops     packets -", "pressure  cpu -  memory -  io -",
        "20.0k events, none lost  '-': no file: kernel 5.4 has no BPF ring buffer"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
}

TEST(TopLayout, ShowsLosses) {
  TopSnapshot s = busy_host();
  s.sensors[0].lost = 5;
  std::string text = text_of(top_lines(s, {}, 24, 80), 80);
  EXPECT_NE(text.find("5 LOST (exec)"), std::string::npos) << text;
}

TEST(TopLayout, FirstLookHasNoRates) {
  TopSnapshot s = busy_host();
  s.seconds = s.sensor_seconds = 0;
  std::string text = text_of(top_lines(s, {}, 24, 80), 80);
  for (std::string_view expected : {"busy -", "programs -", "a first look", "accepts -"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
}

TEST(TopLayout, FitsEverySize) {
  TopSnapshot s = busy_host();
  for (size_t i = 0; i < 300; i++) {
    s.processes.push_back(s.processes[i % 3]);
    s.files->push_back(s.files->at(i % 2));
  }
  for (size_t rows : {0, 1, 2, 3, 10, 23, 24, 25, 40, 100}) {
    for (size_t columns : {1, 20, 40, 79, 80, 100, 107, 120, 250}) {
      for (const std::vector<Line> &lines : {top_lines(s, {}, rows, columns), top_help(s, rows, columns)}) {
        EXPECT_LE(lines.size(), std::max<size_t>(rows, 2));
        std::string frame = frame_bytes({}, lines, rows, columns, false);
        EXPECT_EQ(frame.find("\x1b[2Jb"), std::string::npos) << "a name moved the cursor";
      }
    }
  }
  // All rows of a large terminal are used, and lists never push a line beyond its edge.
  std::vector<Line> lines = top_lines(s, {}, 60, 80);
  EXPECT_EQ(lines.size(), 60u);
  for (const Line &line : lines) EXPECT_LE(line.columns(), 80u) << line.plain();
}

TEST(TopLayout, SortsProcesses) {
  TopSnapshot s = busy_host();
  auto first = [&](ProcessSort sort) { return sorted_processes(s, sort)[0]->pid; };
  EXPECT_EQ(first(ProcessSort::kCpu), 4242);
  EXPECT_EQ(first(ProcessSort::kIo), 77);
  EXPECT_EQ(first(ProcessSort::kNetwork), 4242);
}

TEST(TopLayout, SummaryIsShortAndPlain) {
  std::vector<Line> lines = top_summary(busy_host(), {}, 110);
  EXPECT_GE(lines.size(), 15u);
  EXPECT_LE(lines.size(), 25u);
  for (const Line &line : lines) EXPECT_LE(line.columns(), 110u) << line.plain();
}

TEST(TopLayout, ShowsASensorAsATable) {
  Schema schema;
  schema.name = "block";
  schema.shape = Shape::kTable;
  schema.key_bytes = 8;
  schema.row_bytes = 8 + 8 + sizeof(Histogram);
  schema.columns = {{"op", "", Kind::kNumber, Role::kKey, false, false, 0, 4},
                    {"pid", "", Kind::kPid, Role::kKey, false, false, 4, 4},
                    {"bytes", "", Kind::kBytes, Role::kValue, false, false, 8, 8},
                    {"latency", "", Kind::kHistogram, Role::kValue, false, false, 16, sizeof(Histogram)}};
  struct Bytes {
    uint32_t op, pid;
    uint64_t bytes;
    Histogram latency;
  };
  Bytes rows[] = {{1, 0, 4096, waits(1000, 2)}, {2, 0, 1 << 20, waits(2'000'000, 5)}};
  Host host;
  Renderer renderer(host);
  Aggregate groups(schema, {{&schema.columns[0], Follow::kNothing, "op", nullptr},
                            {&schema.columns[1], Follow::kNothing, "pid", nullptr}});
  for (const Bytes &row : rows) groups.add(std::as_bytes(std::span(&row, 1)), renderer);
  TopDrill drill;
  drill.sensor = "block", drill.summary = "disk requests", drill.since = "12:00:00", drill.groups = &groups;
  TopChoices choices;
  choices.focus = TopSection::kDisks;
  constexpr std::string_view kExpected = R"(
block  disk requests
  block  since 12:00:00, 2 of 2 rows
OP     COUNT     BYTES  LATENCY P50  LATENCY P99  LATENCY MAX
2          5   1.00MiB       1.57ms       2.00ms       2.00ms
1          2   4.00KiB        768ns       1.00us       1.00us



20.0k events, none lost  * bytes of TCP connections when they end
Esc back  Left Right sensor  s sort  Up Down scroll  p pause  q quit
)";
  EXPECT_EQ("\n" + text_of(drill_lines(busy_host(), choices, drill, 10, 80), 80), kExpected);
}

TEST(TopJson, IsOneLineWithNullForTheUnknown) {
  TopSnapshot s = busy_host();
  s.files.reset();
  std::string out;
  append_top_json(out, s);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
  for (std::string_view expected :
       {R"("time":"2026-11-21T12:03:07Z")", R"("files":null)", R"("busy_percent":96.5)", R"("retransmits":9)",
        R"({"pid":null,"comm":"cc1","command":"","ended":12,"cpu_percent":20,)", R"("NETFILTER_DROP":5)"})
    EXPECT_NE(out.find(expected), std::string::npos) << expected << " in " << out;
  EXPECT_EQ(out.find(",,"), std::string::npos);
  EXPECT_EQ(out.find("[,"), std::string::npos);
  EXPECT_EQ(out.find("{,"), std::string::npos);
}

}  // namespace
}  // namespace waggle
