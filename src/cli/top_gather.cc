#include "cli/top_gather.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <unordered_set>

#include "base/clock.h"
#include "kernel/names.h"
#include "view/layout.h"

namespace waggle {
namespace {

// Rings of a few hundred KiB last for the 100 ms between two drains at ten thousand
// rows a second. All of a ring counts as resident memory, and the screen runs many
// sensors: the 4 MiB that `open` chooses for a stream into a file are too many here.
constexpr size_t kRingBytes = 256 << 10, kOpenRingBytes = 512 << 10, kExecRingBytes = 1 << 20;
// Of each CPU: enough to see a hundredth of a second in an interval of one second,
// at half the cost of the sensor's own choice.
constexpr uint64_t kSamplesHz = 49;
// Groups of a stream that are kept for drilling; then it begins anew.
constexpr size_t kGroupsMost = 4096;
// Lists end where no screen does.
constexpr size_t kListMost = 100;

SensorRequest table_of(std::string name) {
  SensorRequest request{std::move(name), {}};
  request.options.want_events = false;
  return request;
}

SensorRequest events_of(std::string name, size_t ring_bytes) {
  SensorRequest request{std::move(name), {}};
  request.options.want_table = false;
  request.options.ring_bytes = ring_bytes;
  return request;
}

std::string utc_now() {
  time_t now = time(nullptr);
  tm parts = {};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

uint64_t number(const Column *column, Row row) {
  return column == nullptr ? 0 : natural(*column, row);
}

Histogram waits(const Column *column, Row row) {
  return column == nullptr ? Histogram{} : histogram(*column, row);
}

// A column as people read it: names for errnos, devices, addresses.
std::string shown(Renderer &renderer, const Column *column, Row row) {
  std::string out;
  if (column == nullptr) return out;
  Field field{column, Follow::kNothing, column->name, nullptr};
  renderer.append_text(out, field, row);
  return out;
}

template <typename Map>
TopSnapshot::Tally most_first(const Map &counts) {
  TopSnapshot::Tally tally(counts.begin(), counts.end());
  std::sort(tally.begin(), tally.end(), [](const auto &a, const auto &b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (tally.size() > kListMost) tally.resize(kListMost);
  return tally;
}

template <typename T>
void keep_first(std::vector<T> &list) {
  if (list.size() > kListMost) list.resize(kListMost);
}

// How slow the slow ones are comes first, then how much time they took in all.
bool slower(const Histogram &a, const Histogram &b) {
  double left = a.quantile(0.99), right = b.quantile(0.99);
  return left != right ? left > right : a.sum > b.sum;
}

// What the rows of a table are grouped by when somebody looks into a sensor: its
// key. A name that comes with the value says more than an inode's number, and a
// process's name more than its pid.
std::vector<Field> groups_of_table(const Schema &schema) {
  std::vector<Field> by, rest;
  for (const Field &field : all_fields(schema)) {
    if (field.column->is_text() && field.column->role == Role::kValue) by.push_back(field);
  }
  bool named = !by.empty();
  for (const Field &field : all_fields(schema)) {
    const Column &column = *field.column;
    if (column.role != Role::kKey || (named && column.kind == Kind::kInode)) continue;
    // Where it is comes after what was done, and by whom.
    bool place = named && (column.kind == Kind::kFilesystem || column.kind == Kind::kDevice);
    (place ? rest : by).push_back(field);
    if (column.kind == Kind::kPid && schema.first_of(Kind::kComm) == nullptr)
      by.push_back({&column, Follow::kComm, "comm", nullptr});
  }
  by.insert(by.end(), rest.begin(), rest.end());
  return by;
}

// The same of an event: the names in it, not its numbers.
std::vector<Field> groups_of_events(const Schema &schema) {
  std::vector<Field> by;
  for (const Field &field : all_fields(schema)) {
    const Column &column = *field.column;
    bool names = column.kind == Kind::kComm || column.kind == Kind::kPath || column.kind == Kind::kErrno ||
                 column.kind == Kind::kSignal || column.name == "remote" || column.name == "code" ||
                 column.name == "direction" || column.name == "thread";
    if (names) by.push_back(field);
  }
  return by;
}

}  // namespace

namespace {

// Of a first look there are no rates: the processes alone.
std::vector<HostRates::Process> listed_processes(const TopSnapshot &snapshot, const HostStats &now) {
  if (snapshot.seconds > 0) return snapshot.rates.processes;
  std::vector<HostRates::Process> list;
  list.reserve(now.processes.size());
  for (const HostStats::Process &process : now.processes) {
    HostRates::Process &rates = list.emplace_back();
    rates.pid = process.pid;
    rates.comm = process.comm;
    rates.state = process.state;
    rates.threads = process.threads;
    rates.resident_bytes = process.resident_bytes;
  }
  return list;
}

}  // namespace

// Events of the interval that runs, counted as they come.
struct TopGatherer::Tallies {
  struct TcpOfProcess {
    std::string comm;
    uint64_t bytes = 0;
  };
  struct Samples {
    std::string comm;
    uint64_t count = 0;
  };
  uint64_t started = 0, failed = 0, forked = 0, ended = 0;
  std::map<std::string, uint64_t> started_most, failed_most, killed_by;
  std::unordered_map<uint32_t, TcpOfProcess> tcp;  // by pid
  std::map<uint32_t, Samples> samples;             // by pid
  // By the kernel's number of the disk.
  struct Requests {
    Histogram device, queued;
    uint64_t errors = 0;
  };
  std::map<uint32_t, Requests> requests;
};

std::vector<SensorRequest> TopGatherer::requests() {
  std::vector<SensorRequest> wanted;
  // Those that take longest to verify come first: they are loaded side by side.
  wanted.push_back(events_of("exec", kExecRingBytes));
  for (const char *name : {"file", "fs"}) {
    wanted.push_back(table_of(name));
    // Reading /proc once an interval would be the slowest there is on an idle host.
    wanted.back().options.parameters.emplace_back("except", std::to_string(getpid()));
  }
  for (const char *name : {"block", "runq"}) wanted.push_back(table_of(name));
  wanted.push_back(table_of("cpu"));
  wanted.back().options.parameters.emplace_back("hz", std::to_string(kSamplesHz));
  for (const char *name : {"tcp_connect", "tcp_retransmit", "tcp_rtt", "drop"}) wanted.push_back(table_of(name));
  wanted.push_back(events_of("tcp_close", kRingBytes));
  wanted.push_back(events_of("exit", kRingBytes));
  wanted.push_back(events_of("fork", kRingBytes));
  wanted.back().options.parameters.emplace_back("processes", "1");
  // Every call is counted in the kernel; rows are made of those that failed only.
  wanted.push_back(events_of("open", kOpenRingBytes));
  wanted.back().options.parameters.emplace_back("failed", "1");
  return wanted;
}

TopGatherer::TopGatherer() : renderer_(host_), tallies_(std::make_unique<Tallies>()) {}
TopGatherer::~TopGatherer() = default;

void TopGatherer::expect_sensors() {
  sensors_.clear();
  for (const SensorRequest &request : requests()) sensors_.emplace_back().name = request.name;
}

void TopGatherer::use(Session session) {
  session_ = std::make_unique<Session>(std::move(session));
  sensors_since_ns_ = clock_ns(CLOCK_MONOTONIC);
  started_ = clock_now();
  sensors_.clear();
  for (Session::Member &member : session_->members()) {
    TopSnapshot::SensorState &state = sensors_.emplace_back();
    state.name = member.request.name;
    state.is =
        member.sensor != nullptr ? TopSnapshot::SensorState::Is::kRunning : TopSnapshot::SensorState::Is::kAbsent;
    if (member.sensor == nullptr)
      state.why = member.error.why.empty() ? member.error.what : member.error.why;
    else
      for (const std::string &lack : member.sensor->lacks()) state.why += (state.why.empty() ? "" : "; ") + lack;
    if (member.events == nullptr) continue;
    Kept &kept = kept_[state.name];
    kept.groups = std::make_unique<Aggregate>(*member.events, groups_of_events(*member.events));
    kept.since = started_;
  }
  // Sensors were attached one after the other, some of them a while ago: what they
  // have seen until now is of no interval.
  drain();
  TopSnapshot ignored;
  tell_told(ignored);
  *tallies_ = Tallies();
  sensors_since_ns_ = clock_ns(CLOCK_MONOTONIC);
}

void TopGatherer::do_without(const Error &reason) {
  expect_sensors();
  for (TopSnapshot::SensorState &state : sensors_) {
    state.is = TopSnapshot::SensorState::Is::kAbsent;
    state.why = reason.why.empty() ? reason.what : reason.why;
  }
}

Session::Member *TopGatherer::running(std::string_view sensor) {
  if (session_ == nullptr) return nullptr;
  for (Session::Member &member : session_->members())
    if (member.request.name == sensor) return member.sensor != nullptr ? &member : nullptr;
  return nullptr;
}

size_t TopGatherer::drain() {
  if (session_ == nullptr) return 0;
  return session_->drain([this](Session::Member &member, Row row) { visit_event(member, row); });
}

void TopGatherer::visit_event(Session::Member &member, Row row) {
  const Schema &schema = *member.events;
  const std::string &name = member.request.name;
  auto value = [&](std::string_view column) { return number(schema.find(column), row); };
  auto words = [&](std::string_view column) { return shown(renderer_, schema.find(column), row); };
  if (name == "exec") {
    if (value("errno") == 0) {
      tallies_->started++;
      tallies_->started_most[words("comm")]++;
    } else {
      tallies_->failed++;
      tallies_->failed_most[words("path") + " " + words("errno")]++;
    }
  } else if (name == "exit") {
    tallies_->ended++;
    if (uint64_t signal = value("signal"); signal != 0) tallies_->killed_by[words("signal")]++;
  } else if (name == "fork") {
    tallies_->forked++;
  } else if (name == "tcp_close") {
    Tallies::TcpOfProcess &tcp = tallies_->tcp[static_cast<uint32_t>(value("pid"))];
    tcp.comm = words("comm");
    tcp.bytes += value("sent") + value("received");
  }
  host_.observe(schema, row);
  Kept &kept = kept_[name];
  if (kept.groups->groups() >= kGroupsMost) {
    kept.groups->clear();
    kept.since = clock_now();
  }
  kept.groups->add(row, renderer_);
}

std::optional<TopGatherer::Gathered> TopGatherer::gathered(std::string_view sensor) {
  Session::Member *member = running(sensor);
  if (member == nullptr) return std::nullopt;
  const std::string &summary = member->sensor->declaration().summary;
  if (member->events != nullptr) {
    const Kept &kept = kept_[member->request.name];
    return Gathered{member->events, kept.groups.get(), summary, kept.since, false};
  }
  const Schema &schema = *member->sensor->declaration().table;
  Batch rows(schema);
  if (Result<void> read = member->sensor->read_table(rows); !read) return std::nullopt;
  Kept &kept = kept_[member->request.name];
  kept.groups = std::make_unique<Aggregate>(schema, groups_of_table(schema));
  kept.since = started_;
  for (size_t i = 0; i < rows.rows(); i++) kept.groups->add(rows.row(i), renderer_);
  return Gathered{&schema, kept.groups.get(), summary, kept.since,
                  rows.rows() > member->sensor->table_capacity() / 4 * 3};
}

// --- one interval ---------------------------------------------------------------

Result<TopSnapshot> TopGatherer::look(bool all_io) {
  // Before the processes: one born while they are read may be in this list.
  uint64_t boot_ns = clock_ns(CLOCK_BOOTTIME);
  HostStats now = TRY(read_host_stats());
  TopSnapshot snapshot;
  utsname names = {};
  uname(&names);
  snapshot.host = names.nodename;
  snapshot.kernel = std::string(names.sysname) + " " + names.release;
  snapshot.clock = clock_now();
  snapshot.time = utc_now();
  snapshot.uptime_s = boot_ns / 1'000'000'000;
  snapshot.cpus = now.kernel.cpus.size();
  snapshot.load = now.load;
  snapshot.memory = now.memory;
  snapshot.has_pressure = now.has_pressure;
  HostStats before = before_.when_ns != 0 ? std::move(before_) : now;
  snapshot.rates = rates_between(before, now);
  snapshot.seconds = snapshot.rates.seconds;

  if (session_ != nullptr) {
    drain();
    uint64_t when_ns = clock_ns(CLOCK_MONOTONIC);
    snapshot.sensor_seconds = static_cast<double>(when_ns - sensors_since_ns_) / 1e9;
    sensors_since_ns_ = when_ns;
    tell_told(snapshot);
  }
  tell_sensors(snapshot);
  tell_disks(snapshot);
  tell_processes(snapshot, now, all_io);
  name_commands(snapshot);
  *tallies_ = Tallies();
  before_ = std::move(now);
  looked_boot_ns_ = boot_ns;
  return snapshot;
}

// All that sensors have told since the last call.
void TopGatherer::tell_told(TopSnapshot &snapshot) {
  tell_run_queue(snapshot);
  count_samples();
  count_requests();
  tell_files(snapshot);
  tell_filesystems(snapshot);
  tell_paths(snapshot);
  tell_connects(snapshot);
  tell_drops(snapshot);
  tell_events(snapshot);
  tell_opens(snapshot);
}

// The rows of a table that changed in the interval. A table that cannot be read now
// leaves its part of the screen unknown.
std::optional<Batch> TopGatherer::changes_of(std::string_view sensor) {
  Session::Member *member = running(sensor);
  if (member == nullptr || member->table == nullptr) return std::nullopt;
  Batch changes(*member->sensor->declaration().table);
  if (Result<void> read = member->table->read_changes(changes); !read) return std::nullopt;
  return changes;
}

void TopGatherer::tell_run_queue(TopSnapshot &snapshot) {
  std::optional<Batch> runq = changes_of("runq");
  if (!runq) return;
  const Column *comm = runq->schema().first_of(Kind::kComm), *latency = runq->schema().first_of(Kind::kHistogram);
  snapshot.run_queue.emplace();
  for (size_t i = 0; i < runq->rows(); i++) {
    Histogram here = waits(latency, runq->row(i));
    snapshot.run_queue->add(here);
    if (here.sum <= snapshot.run_queue_worst_waits.sum) continue;
    snapshot.run_queue_worst_waits = here;
    snapshot.run_queue_worst = shown(renderer_, comm, runq->row(i));
  }
}

void TopGatherer::count_samples() {
  std::optional<Batch> cpu = changes_of("cpu");
  if (!cpu) return;
  const Column *pid = cpu->schema().first_of(Kind::kPid), *comm = cpu->schema().first_of(Kind::kComm);
  const Column *samples = cpu->schema().find("samples");
  for (size_t i = 0; i < cpu->rows(); i++) {
    Tallies::Samples &process = tallies_->samples[static_cast<uint32_t>(number(pid, cpu->row(i)))];
    process.comm = shown(renderer_, comm, cpu->row(i));
    process.count += number(samples, cpu->row(i));
  }
}

void TopGatherer::count_requests() {
  std::optional<Batch> block = changes_of("block");
  if (!block) return;
  const Schema &schema = block->schema();
  const Column *device = schema.first_of(Kind::kDevice), *latency = schema.find("latency"),
               *queued = schema.find("queued"), *errors = schema.find("errors");
  for (size_t i = 0; i < block->rows(); i++) {
    Tallies::Requests &disk = tallies_->requests[static_cast<uint32_t>(number(device, block->row(i)))];
    disk.device.add(waits(latency, block->row(i)));
    disk.queued.add(waits(queued, block->row(i)));
    disk.errors += number(errors, block->row(i));
  }
}

void TopGatherer::tell_files(TopSnapshot &snapshot) {
  std::optional<Batch> file = changes_of("file");
  if (!file) return;
  const Schema &schema = file->schema();
  const Column *path = schema.first_of(Kind::kPath), *operation = schema.first_of(Kind::kFileOp),
               *pid = schema.first_of(Kind::kPid), *latency = schema.first_of(Kind::kHistogram),
               *bytes = schema.first_of(Kind::kBytes);
  if (path == nullptr) path = schema.find("name");
  struct Candidate {
    double p99;
    uint64_t sum;
    Histogram latency;
    Row row;
  };
  std::vector<Candidate> rows;
  for (size_t i = 0; i < file->rows(); i++) {
    Histogram here = waits(latency, file->row(i));
    rows.push_back({here.quantile(0.99), here.sum, here, file->row(i)});
  }
  // A busy host changes thousands of rows in an interval: only some are shown.
  size_t first = std::min(rows.size(), kListMost);
  std::partial_sort(
      rows.begin(), rows.begin() + static_cast<ptrdiff_t>(first), rows.end(),
      [](const Candidate &a, const Candidate &b) { return a.p99 != b.p99 ? a.p99 > b.p99 : a.sum > b.sum; });
  rows.erase(rows.begin() + static_cast<ptrdiff_t>(first), rows.end());
  snapshot.files.emplace();
  for (const auto &[p99, sum, latencies, row] : rows) {
    TopSnapshot::File &shown_file = snapshot.files->emplace_back();
    shown_file.operation = shown(renderer_, operation, row);
    shown_file.path = shown(renderer_, path, row);
    shown_file.latency = latencies;
    shown_file.bytes = number(bytes, row);
    if (pid == nullptr) continue;
    shown_file.pid = static_cast<int32_t>(number(pid, row));
    host_.append_of_process(shown_file.comm, Follow::kComm, static_cast<uint32_t>(number(pid, row)));
  }
}

void TopGatherer::tell_filesystems(TopSnapshot &snapshot) {
  std::optional<Batch> fs = changes_of("fs");
  if (!fs) return;
  const Schema &schema = fs->schema();
  const Column *filesystem = schema.first_of(Kind::kFilesystem), *operation = schema.first_of(Kind::kFileOp),
               *latency = schema.first_of(Kind::kHistogram);
  std::map<std::pair<std::string, std::string>, Histogram> merged;
  for (size_t i = 0; i < fs->rows(); i++)
    merged[{shown(renderer_, filesystem, fs->row(i)), shown(renderer_, operation, fs->row(i))}].add(
        waits(latency, fs->row(i)));
  snapshot.filesystems.emplace();
  for (const auto &[key, histogram] : merged) snapshot.filesystems->push_back({key.first, key.second, histogram});
  std::stable_sort(snapshot.filesystems->begin(), snapshot.filesystems->end(),
                   [](const auto &a, const auto &b) { return slower(a.latency, b.latency); });
  keep_first(*snapshot.filesystems);
}

void TopGatherer::tell_paths(TopSnapshot &snapshot) {
  std::map<std::string, TopSnapshot::Remote> remotes;
  if (std::optional<Batch> rtt = changes_of("tcp_rtt")) {
    const Column *remote = rtt->schema().first_of(Kind::kIp), *times = rtt->schema().first_of(Kind::kHistogram);
    snapshot.rtt.emplace();
    for (size_t i = 0; i < rtt->rows(); i++) {
      Histogram here = waits(times, rtt->row(i));
      snapshot.rtt->add(here);
      remotes[shown(renderer_, remote, rtt->row(i))].rtt.add(here);
    }
  }
  if (std::optional<Batch> retransmit = changes_of("tcp_retransmit")) {
    const Column *remote = retransmit->schema().find("remote"), *segments = retransmit->schema().find("segments");
    snapshot.retransmits.emplace();
    for (size_t i = 0; i < retransmit->rows(); i++) {
      uint64_t here = number(segments, retransmit->row(i));
      *snapshot.retransmits += here;
      remotes[shown(renderer_, remote, retransmit->row(i))].retransmits += here;
    }
  }
  for (auto &[address, remote] : remotes) {
    remote.address = address;
    snapshot.remotes.push_back(remote);
  }
  std::stable_sort(snapshot.remotes.begin(), snapshot.remotes.end(), [](const auto &a, const auto &b) {
    return a.retransmits != b.retransmits ? a.retransmits > b.retransmits : slower(a.rtt, b.rtt);
  });
  keep_first(snapshot.remotes);
}

void TopGatherer::tell_connects(TopSnapshot &snapshot) {
  std::optional<Batch> connect = changes_of("tcp_connect");
  if (!connect) return;
  const Column *error = connect->schema().first_of(Kind::kErrno),
               *latency = connect->schema().first_of(Kind::kHistogram);
  std::map<std::string, uint64_t> errors;
  snapshot.connects.emplace();
  snapshot.connects_failed.emplace();
  for (size_t i = 0; i < connect->rows(); i++) {
    Histogram here = waits(latency, connect->row(i));
    if (number(error, connect->row(i)) == 0) {
      snapshot.connects->add(here);
    } else {
      *snapshot.connects_failed += here.count;
      errors[shown(renderer_, error, connect->row(i))] += here.count;
    }
  }
  snapshot.connect_errors = most_first(errors);
}

void TopGatherer::tell_drops(TopSnapshot &snapshot) {
  std::optional<Batch> drop = changes_of("drop");
  if (!drop) return;
  const Column *reason = drop->schema().first_of(Kind::kDropReason), *packets = drop->schema().find("packets");
  std::map<std::string, uint64_t> reasons;
  snapshot.drops.emplace();
  for (size_t i = 0; i < drop->rows(); i++) {
    uint64_t here = number(packets, drop->row(i));
    *snapshot.drops += here;
    reasons[shown(renderer_, reason, drop->row(i))] += here;
  }
  snapshot.drop_reasons = most_first(reasons);
}

void TopGatherer::tell_events(TopSnapshot &snapshot) {
  if (running("exec") != nullptr) {
    snapshot.programs_started = tallies_->started;
    snapshot.programs_failed = tallies_->failed;
    snapshot.started_most = most_first(tallies_->started_most);
    snapshot.failed_most = most_first(tallies_->failed_most);
  }
  if (running("fork") != nullptr) snapshot.processes_forked = tallies_->forked;
  if (running("exit") != nullptr) {
    snapshot.processes_ended = tallies_->ended;
    snapshot.killed_by = most_first(tallies_->killed_by);
  }
}

void TopGatherer::tell_opens(TopSnapshot &snapshot) {
  Session::Member *open = running("open");
  if (open == nullptr) return;
  // Asked for failures only, it filters what succeeds, and counts both.
  Counts counts = open->sensor->stream_counts();
  snapshot.opens = counts.produced - opens_before_.produced;
  snapshot.opens_failed = *snapshot.opens - std::min(*snapshot.opens, counts.filtered - opens_before_.filtered);
  opens_before_ = counts;
}

void TopGatherer::tell_sensors(TopSnapshot &snapshot) {
  for (TopSnapshot::SensorState &state : sensors_) {
    Session::Member *member = running(state.name);
    if (member == nullptr) continue;
    Counts counts = member->events != nullptr ? member->sensor->stream_counts() : member->sensor->table_counts();
    state.produced = counts.produced;
    state.lost_now = counts.lost - std::min(counts.lost, state.lost);
    state.lost = counts.lost;
  }
  snapshot.sensors = sensors_;
}

void TopGatherer::tell_disks(TopSnapshot &snapshot) {
  bool asked = running("block") != nullptr;
  for (const HostRates::Disk &rates : snapshot.rates.disks) {
    TopSnapshot::Disk &disk = snapshot.disks.emplace_back();
    disk.rates = rates;
    if (!asked) continue;
    const Tallies::Requests &requests = tallies_->requests[rates.device.to_kernel()];
    disk.device = requests.device;
    disk.queued = requests.queued;
    disk.errors = requests.errors;
  }
  std::stable_sort(snapshot.disks.begin(), snapshot.disks.end(), [](const auto &a, const auto &b) {
    auto bytes = [](const HostRates::Disk &disk) { return disk.read_bytes_per_s + disk.written_bytes_per_s; };
    if (a.rates.busy_percent != b.rates.busy_percent) return a.rates.busy_percent > b.rates.busy_percent;
    return bytes(a.rates) > bytes(b.rates);
  });
}

void TopGatherer::tell_processes(TopSnapshot &snapshot, const HostStats &now, bool all_io) {
  std::unordered_map<int32_t, const HostStats::Process *> readings;
  for (const HostStats::Process &process : now.processes) readings[process.pid] = &process;
  bool asked = running("tcp_close") != nullptr;
  for (const HostRates::Process &rates : listed_processes(snapshot, now)) {
    TopSnapshot::Process &process = snapshot.processes.emplace_back();
    process.pid = rates.pid;
    process.comm = rates.comm;
    process.state = rates.state;
    process.threads = rates.threads;
    process.cpu_percent = rates.cpu_percent;
    process.resident_bytes = rates.resident_bytes;
    if (asked) {
      auto tcp = tallies_->tcp.find(static_cast<uint32_t>(rates.pid));
      process.tcp_bytes = tcp == tallies_->tcp.end() ? 0 : tcp->second.bytes;
    }
    tell_io(process, *readings.at(rates.pid), all_io);
  }
  std::erase_if(io_, [&](const auto &known) { return !readings.contains(known.first); });

  // Those that lived between two readings are in no /proc: samples and closed
  // connections tell of them, together for each name.
  std::map<std::string, TopSnapshot::Process> ended;
  std::map<std::string, std::unordered_set<uint32_t>> pids;
  for (const auto &[pid, samples] : tallies_->samples) {
    if (pid == 0 || readings.contains(static_cast<int32_t>(pid)) || snapshot.sensor_seconds <= 0) continue;
    ended[samples.comm].cpu_percent +=
        100 * static_cast<double>(samples.count) / static_cast<double>(kSamplesHz) / snapshot.sensor_seconds;
    pids[samples.comm].insert(pid);
  }
  for (const auto &[pid, tcp] : tallies_->tcp) {
    if (readings.contains(static_cast<int32_t>(pid))) continue;
    TopSnapshot::Process &process = ended[tcp.comm];
    process.tcp_bytes = process.tcp_bytes.value_or(0) + tcp.bytes;
    pids[tcp.comm].insert(pid);
  }
  for (auto &[comm, process] : ended) {
    process.comm = comm.empty() ? "(owner not known)" : comm;
    process.ended = static_cast<uint32_t>(pids[comm].size());
    snapshot.processes.push_back(std::move(process));
  }
}

void TopGatherer::tell_io(TopSnapshot::Process &process, const HostStats::Process &now, bool all_io) {
  auto known = io_.find(now.pid);
  if (known != io_.end() && known->second.start_boot_ns != now.start_boot_ns) {
    io_.erase(known);
    known = io_.end();
  }
  if (known != io_.end() && known->second.cpu_ns == now.cpu_ns && now.state != 'D' && !all_io) {
    // It has not run for a tick: what little it did is told when it has.
    process.read_bytes = process.written_bytes = 0;
    return;
  }
  Result<ProcessFiles> files = ProcessFiles::open(now.pid);
  if (!files) return;
  Result<ProcessIo> io = files->io();
  if (!io) return;
  if (known != io_.end()) {
    process.read_bytes = io->read_bytes - std::min(io->read_bytes, known->second.read_bytes);
    process.written_bytes = io->written_bytes - std::min(io->written_bytes, known->second.written_bytes);
  } else if (looked_boot_ns_ != 0 && now.start_boot_ns >= looked_boot_ns_) {
    // Born in the interval: all that it did was in it.
    process.read_bytes = io->read_bytes;
    process.written_bytes = io->written_bytes;
  }
  io_[now.pid] = {now.start_boot_ns, now.cpu_ns, io->read_bytes, io->written_bytes};
}

void TopGatherer::name_commands(TopSnapshot &snapshot) {
  std::unordered_set<const TopSnapshot::Process *> wanted;
  for (ProcessSort sort : {ProcessSort::kCpu, ProcessSort::kIo, ProcessSort::kNetwork}) {
    std::vector<const TopSnapshot::Process *> sorted = sorted_processes(snapshot, sort);
    wanted.insert(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(std::min(sorted.size(), kListMost)));
  }
  for (TopSnapshot::Process &process : snapshot.processes)
    if (process.pid != 0 && wanted.contains(&process))
      host_.append_of_process(process.command, Follow::kCmdline, static_cast<uint32_t>(process.pid));
}

double TopSnapshot::Process::sort_value(ProcessSort sort) const {
  switch (sort) {
    case ProcessSort::kCpu:
      return cpu_percent;
    case ProcessSort::kIo:
      return static_cast<double>(read_bytes.value_or(0) + written_bytes.value_or(0));
    case ProcessSort::kNetwork:
      return static_cast<double>(tcp_bytes.value_or(0));
  }
  return 0;
}

std::vector<const TopSnapshot::Process *> sorted_processes(const TopSnapshot &snapshot, ProcessSort sort) {
  std::vector<const TopSnapshot::Process *> sorted;
  for (const TopSnapshot::Process &process : snapshot.processes) sorted.push_back(&process);
  std::stable_sort(sorted.begin(), sorted.end(), [sort](const auto *a, const auto *b) {
    double left = a->sort_value(sort), right = b->sort_value(sort);
    // Where they are equal, mostly 0, the CPU decides.
    return left != right ? left > right : a->cpu_percent > b->cpu_percent;
  });
  return sorted;
}

}  // namespace waggle
