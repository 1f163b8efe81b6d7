#include "script/run/run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "kernel/bpf_stats.h"
#include "kernel/ring_reader.h"
#include "script/run/actions.h"
#include "script/run/attach.h"
#include "script/run/host_resolver.h"
#include "script/run/maps.h"
#include "script/run/programs.h"

namespace waggle::script {
namespace {

using std::chrono::steady_clock;

// How long events wait: the shortest while they come, the longest when none has come for long.
constexpr int kWaitLeast_ms = 1, kWaitMost_ms = 10;
// One look at the ring takes no longer, so that a signal is seen during a storm.
constexpr auto kSlice = std::chrono::milliseconds(20);
// What is left in the ring at the end of the run is read for at most so long; the rest is lost.
constexpr auto kDrainMost = std::chrono::milliseconds(500);
constexpr size_t kRecordHeader = 8;
// Benchmarks run for so long, or so often.
constexpr auto kBenchTime = std::chrono::milliseconds(200);
constexpr uint32_t kBenchRuns = 100'000;

// A thousand probes are two thousand descriptors.
void raise_limits() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  // Kernels before 5.11 count maps as locked memory. libbpf would find out with a program.
  rlimit memory = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &memory);
  libbpf_set_memlock_rlim(0);
}

// The signal of self:signal:NAME; 0: there is none of that name.
int signal_of(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number < NSIG; number++)
    if (const char *known = sigabbrev_np(number); known != nullptr && name == known) return number;
  return 0;
}

// The hooks of some events call the newest program first, of others the oldest. Attached in
// the right order, probes of one event run in the order of the script.
// source: kernel/events/uprobes.c consumer_add(); kernel/kprobes.c add_new_kprobe()
bool is_newest_first(Mechanism mechanism) {
  return mechanism == Mechanism::kKprobe || mechanism == Mechanism::kUprobe || mechanism == Mechanism::kUsdt ||
         mechanism == Mechanism::kPerfEvent;
}

class Signals {
 public:
  explicit Signals(const std::vector<int> &more) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (int number : more) sigaddset(&set, number);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    CHECK(fd_.valid());
  }
  int fd() const { return fd_.get(); }
  // The next one that has come; 0: none.
  int next() const {
    signalfd_siginfo info;
    return read(fd_.get(), &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
  }
  // From now on another SIGINT or SIGTERM ends the process, unless it is the same one again:
  // timeout(1) and terminals send it to the process and to its group.
  void restore() const {
    while (next() != 0) {
    }
    struct sigaction action = {};
    action.sa_handler = end_unless_repeated;
    action.sa_flags = SA_RESTART;
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM}) {
      sigaction(number, &action, nullptr);
      sigaddset(&set, number);
    }
    restored_ns = clock_ns(CLOCK_MONOTONIC);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  }

 private:
  static void end_unless_repeated(int number) {
    constexpr uint64_t kRepeated_ns = 250'000'000;
    if (clock_ns(CLOCK_MONOTONIC) - restored_ns < kRepeated_ns) return;
    signal(number, SIG_DFL);
    raise(number);
  }

  static inline std::atomic<uint64_t> restored_ns = 0;
  Fd fd_;
};

}  // namespace

struct Run::State {
  State(const Script &of, const Sources &its_sources, const Lowered &its_code, RunOptions how)
      : script(of), sources(its_sources), lowered(its_code), options(how) {}

  const Script &script;
  const Sources &sources;
  const Lowered &lowered;
  RunOptions options;

  std::unique_ptr<Maps> maps;
  Loaded loaded;
  std::unique_ptr<HostResolver> resolver;
  Attachments attachments;
  std::unique_ptr<Actions> actions;
  std::unique_ptr<RingReader> ring;
  std::unique_ptr<Signals> signals;
  Output *output = nullptr;
  Sink *sink = nullptr;
  uint64_t lost = 0;
  bool is_over = false;  // the run is to end
  Fd process;            // of -p

  Result<void> prepare();
  Result<void> set_globals() const;
  Result<void> load();
  void run_itself(Provider provider) const;
  void run_signal(int number) const;
  Result<uint64_t> attach_all();
  bool says_missing(const ConcreteProbe &probe, const Error &error) const;
  void run_iterators();
  Result<void> run_iterator(const ConcreteProbe &probe, int program);
  bool has_lasting_probes() const;
  bool drain(std::chrono::nanoseconds most);
  void tell_lost(uint64_t dropped = 0);
  void loop();
  void look_at_signals();
  void drain_rest();
  void print_maps() const;
  Result<RunResult> run_benchmarks();
  Result<RunResult> run_tests();
};

// REQUIRES: a program that is run by waggle itself
// returns  what it returned, or -1
static int64_t run_once(const LoadedProgram &program) {
  bpf_test_run_opts options = {};
  options.sz = sizeof(options);
  // Raw tracepoints have a context of at most 12 arguments.
  uint64_t context[12] = {};
  options.ctx_in = context;
  options.ctx_size_in = sizeof(context);
  if (bpf_prog_test_run_opts(program.of(0), &options) != 0) return -1;
  return options.retval;
}

Result<void> Run::State::prepare() {
  raise_limits();
  std::vector<int> wanted;
  for (const Program &program : script.programs)
    for (const ConcreteProbe &probe : program.probes)
      if (probe.point.provider == Provider::kSelf) wanted.push_back(signal_of(probe.point.function));
  std::erase(wanted, 0);
  signals = std::make_unique<Signals>(wanted);
  maps = std::make_unique<Maps>(TRY(Maps::create(script, lowered)));
  if (const MapPlan *plan = maps->plan_of(MapPlan::Role::kRing); plan != nullptr)
    ring = std::make_unique<RingReader>(TRY(RingReader::open(maps->of(MapPlan::Role::kRing), plan->entries)));
  resolver = std::make_unique<HostResolver>(script, *maps);
  actions = std::make_unique<Actions>(Actions::Parts{script, sources, *maps, attachments, *resolver, *output, *sink});
  TRY(load());
  if (options.pid != 0 && options.child == nullptr) {
    process = Fd(static_cast<int>(syscall(SYS_pidfd_open, options.pid, 0)));
    if (!process.valid() && errno == ESRCH)
      return fail(ErrorCode::kNotFound, fmt::format("there is no process {}", options.pid));
  }
  resolver->follow();
  return set_globals();
}

Result<void> Run::State::set_globals() const {
  uint64_t words[kGlobalWords] = {};
  auto word = [&](Global which) -> uint64_t & { return words[static_cast<size_t>(which)]; };
  word(Global::kStarted) = clock_ns(CLOCK_BOOTTIME);
  word(Global::kChild) = options.child != nullptr ? static_cast<uint64_t>(options.child->pid()) : 0;
  struct stat space {};
  if (stat("/proc/self/ns/pid", &space) == 0) {
    word(Global::kNamespaceDevice) = space.st_dev;
    word(Global::kNamespaceInode) = space.st_ino;
  }
  word(Global::kTargetPid) = static_cast<uint64_t>(options.pid);
  word(Global::kTaiOffset) = clock_ns(CLOCK_TAI) - clock_ns(CLOCK_BOOTTIME);
  word(Global::kProcessors) = static_cast<uint64_t>(std::max(libbpf_num_possible_cpus(), 1));
  return maps->set_globals(words);
}

bool Run::State::says_missing(const ConcreteProbe &probe, const Error &error) const {
  using Missing = Config::MissingProbes;
  Missing missing = script.config.missing_probes;
  if (missing == Missing::kIgnore) return true;
  std::string text =
      fmt::format("{}: Unable to attach probe: {}", missing == Missing::kWarn ? "WARNING" : "ERROR", probe.name);
  if (!error.why.empty()) text += fmt::format(": {}", error.why);
  text += '\n';
  if (missing == Missing::kError)
    text += "HINT: If this is expected, set the 'missing_probes' config variable to 'warn'.\n";
  sink->error(text);
  return missing != Missing::kError;
}

Result<void> Run::State::load() {
  loaded = load_programs(script, sources, lowered, maps->descriptors());
  for (const LoadFailure &failure : loaded.failures) {
    if (options.is_verbose && !failure.log.empty()) sink->error(failure.log);
    // A hook that is not there is like a probe that cannot be attached.
    if (failure.error.code == ErrorCode::kNotFound) {
      if (!says_missing(*failure.probe, failure.error)) return fail(ErrorCode::kFailed, {});
      continue;
    }
    Error error = failure.error;
    error.what = fmt::format("Error loading BPF program for {}", failure.probe->name);
    return tl::unexpected(std::move(error));
  }
  return {};
}

void Run::State::run_itself(Provider provider) const {
  for (const LoadedProgram &each : loaded.programs)
    for (const ConcreteProbe &probe : each.program->probes)
      if (probe.point.provider == provider) run_once(each);
}

void Run::State::run_signal(int number) const {
  for (const LoadedProgram &each : loaded.programs)
    for (const ConcreteProbe &probe : each.program->probes)
      if (probe.point.provider == Provider::kSelf && signal_of(probe.point.function) == number) run_once(each);
}

// returns  how many probes are attached, those included that waggle runs itself
Result<uint64_t> Run::State::attach_all() {
  uint64_t attached = 0;
  auto attach = [&](const LoadedProgram &each) -> Result<void> {
    const std::vector<ConcreteProbe> &probes = each.program->probes;
    attached += probes.size();
    Mechanism mechanism = probes.front().mechanism;
    if (mechanism == Mechanism::kItself || mechanism == Mechanism::kIterator) return {};
    int32_t pid = options.child != nullptr ? options.child->pid() : options.pid;
    // A hook would take the one thread of that number; the program asks for the whole process.
    if (options.child == nullptr && each.program->is_for_process) pid = 0;
    for (const AttachFailure &failure : attachments.attach(each, pid)) {
      attached--;
      if (!says_missing(*failure.probe, failure.error)) return fail(ErrorCode::kFailed, {});
    }
    return {};
  };
  auto is_reversed = [](const LoadedProgram &each) { return is_newest_first(each.program->probes.front().mechanism); };
  for (auto each = loaded.programs.rbegin(); each != loaded.programs.rend(); ++each)
    if (is_reversed(*each)) TRY(attach(*each));
  for (const LoadedProgram &each : loaded.programs)
    if (!is_reversed(each)) TRY(attach(each));
  return attached;
}

// Something that more events can come of.
bool Run::State::has_lasting_probes() const {
  return std::any_of(loaded.programs.begin(), loaded.programs.end(), [](const LoadedProgram &each) {
    const ConcreteProbe &probe = each.program->probes.front();
    return probe.mechanism != Mechanism::kIterator &&
           (probe.mechanism != Mechanism::kItself || probe.point.provider == Provider::kSelf);
  });
}

Result<void> Run::State::run_iterator(const ConcreteProbe &probe, int program) {
  Fd link(bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  if (!link.valid()) return fail_errno(errno, fmt::format("Unable to attach probe: {}", probe.name));
  if (!probe.point.pin.empty()) {
    std::string path = probe.point.pin.starts_with('/') ? probe.point.pin : "/sys/fs/bpf/" + probe.point.pin;
    if (bpf_obj_pin(link.get(), path.c_str()) != 0) return fail_errno(errno, "Failed to pin iterator link");
    output->printf(fmt::format("Program pinned to {}\n", path));
    return {};
  }
  Fd file(bpf_iter_create(link.get()));
  if (!file.valid()) return fail_errno(errno, fmt::format("cannot run {}", probe.name));
  char piece[4096];
  while (!is_over) {
    ssize_t got = read(file.get(), piece, sizeof(piece));
    int error_number = got < 0 ? errno : 0;
    if (got > 0) output->printf(std::string_view(piece, static_cast<size_t>(got)));
    drain(kSlice);
    if (actions->has_exited()) is_over = true;
    if (got == 0) break;
    if (error_number != 0 && error_number != EAGAIN && error_number != EINTR)
      return fail_errno(error_number, fmt::format("cannot read {}", probe.name));
    look_at_signals();
  }
  return {};
}

void Run::State::run_iterators() {
  for (const LoadedProgram &each : loaded.programs) {
    if (each.program->probes.front().mechanism != Mechanism::kIterator) continue;
    for (size_t i = 0; i < each.program->probes.size(); i++)
      if (Result<void> ran = run_iterator(each.program->probes[i], each.of(i)); !ran)
        sink->error(fmt::format("ERROR: {}: {}\n", ran.error().what, ran.error().why));
  }
}

void Run::State::tell_lost(uint64_t dropped) {
  uint64_t now = maps->lost();
  uint64_t more = now - lost + dropped;
  lost = now;
  if (more > 0) output->lost_events(more);
}

// Does what is in the ring now, for at most so long.  returns  whether there was something
bool Run::State::drain(std::chrono::nanoseconds most) {
  if (!ring) return false;
  constexpr size_t kRecordsBetweenLooks = 256;
  size_t wanted = ring->backlog(), seen = 0, records = 0;
  if (wanted == 0) return false;
  resolver->catch_up();
  steady_clock::time_point end = steady_clock::now() + most;
  while (seen < wanted) {
    std::span<const std::byte> record = ring->next();
    if (record.empty()) break;
    seen += (record.size() + kRecordHeader + 7) / 8 * 8;
    actions->perform(record);
    records++;
    bool is_time = actions->was_slow() || records % kRecordsBetweenLooks == 0;
    if (records % kRecordsBetweenLooks == 0) ring->release();
    if (is_time && steady_clock::now() >= end) break;
  }
  ring->release();
  return records > 0;
}

void Run::State::look_at_signals() {
  for (int number = signals->next(); number != 0; number = signals->next()) {
    if (number == SIGINT || number == SIGTERM)
      is_over = true;
    else
      run_signal(number);
  }
}

void Run::State::loop() {
  std::optional<steady_clock::time_point> end;
  if (options.most) end = steady_clock::now() + *options.most;
  int wait_ms = kWaitLeast_ms;
  while (!is_over) {
    bool had_some = drain(kSlice);
    resolver->catch_up();
    if (had_some) tell_lost();
    sink->settle();
    if (actions->has_exited() || sink->failure() != 0) break;
    wait_ms = had_some ? kWaitLeast_ms : std::min(wait_ms * 2, kWaitMost_ms);
    bool has_more = ring && ring->backlog() > 0 && had_some;
    // Programs wake us up for exit() and a ring that fills; but poll(2) also returns for any
    // record that is there, so while they come we do not ask, to read many at once.
    int ring_fd = had_some ? -1 : maps->of(MapPlan::Role::kRing);
    pollfd ready[4] = {{signals->fd(), POLLIN, 0}, {-1, POLLIN, 0}, {process.get(), POLLIN, 0}, {ring_fd, POLLIN, 0}};
    if (options.child != nullptr) ready[1].fd = options.child->end_fd();
    poll(ready, 4, has_more ? 0 : wait_ms);
    if (ready[0].revents != 0) look_at_signals();
    if (ready[1].revents != 0 || ready[2].revents != 0) is_over = true;
    if (end && steady_clock::now() >= *end) is_over = true;
  }
}

// All that was sent before the programs were stopped.
void Run::State::drain_rest() {
  uint64_t dropped = 0;
  if (ring) {
    steady_clock::time_point end = steady_clock::now() + kDrainMost;
    while (steady_clock::now() < end && drain(end - steady_clock::now())) {
    }
    for (std::span<const std::byte> left = ring->next(); !left.empty(); left = ring->next())
      if (!actions->has_exited()) dropped++;
    ring->release();
  }
  tell_lost(dropped);
}

void Run::State::print_maps() const {
  resolver->catch_up();
  for (uint32_t i = 0; i < script.maps.size(); i++) output->map(script.maps[i].shape, maps->entries(i), {}, *resolver);
}

Result<RunResult> Run::State::run_benchmarks() {
  Fd counting = TRY(count_program_runs());
  std::vector<Benchmark> results;
  for (const LoadedProgram &each : loaded.programs) {
    const ConcreteProbe &probe = each.program->probes.front();
    if (probe.point.provider != Provider::kBench) continue;
    steady_clock::time_point end = steady_clock::now() + kBenchTime;
    for (uint32_t i = 0; i < kBenchRuns && (i % 64 != 0 || steady_clock::now() < end); i++) run_once(each);
    bpf_prog_info info = {};
    uint32_t bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(each.of(0), &info, &bytes) != 0)
      return fail_errno(errno, "cannot read how long the benchmark took");
    results.push_back({probe.point.function, info.run_time_ns / std::max<uint64_t>(info.run_cnt, 1)});
    drain_rest();
  }
  output->benchmarks(results);
  return RunResult{};
}

Result<RunResult> Run::State::run_tests() {
  RunResult result;
  for (const LoadedProgram &each : loaded.programs) {
    const ConcreteProbe &probe = each.program->probes.front();
    if (probe.point.provider != Provider::kTest) continue;
    int64_t returned = run_once(each);
    drain_rest();
    bool has_passed = returned == 0 && actions->exit_code() == 0;
    if (!has_passed) result.exit_code = 1;
    actions->reset();
    output->printf(fmt::format("{} {}\n", has_passed ? "PASS" : "FAIL", probe.point.function));
  }
  return result;
}

Run::Run(const Script &script, const Sources &sources, const Lowered &lowered, RunOptions options)
    : state_(std::make_unique<State>(script, sources, lowered, options)) {}

Run::~Run() = default;

Result<RunResult> Run::run(Output &output, Sink &sink) {
  State &state = *state_;
  const RunOptions &options = state.options;
  state.output = &output;
  state.sink = &sink;
  TRY(state.prepare());
  if (options.is_bench) return state.run_benchmarks();
  if (options.is_test) return state.run_tests();

  if (!options.is_dry) state.run_itself(Provider::kBegin);
  uint64_t attached = TRY(state.attach_all());
  if (attached == 0) return fail(ErrorCode::kNotFound, "No probes to attach");
  if (!options.is_quiet) output.attached_probes(attached);
  if (options.says_attached) sink.out("__BPFTRACE_NOTIFY_PROBES_ATTACHED\n");
  sink.flush();
  bool ends_slowly = state.attachments.ends_slowly();
  if (options.is_dry) return RunResult{0, ends_slowly};
  if (options.child != nullptr) TRY(options.child->go());

  state.run_iterators();
  // A command runs to its end even where nothing is traced but begin.
  if (state.has_lasting_probes() || options.child != nullptr)
    state.loop();
  else
    state.drain(kDrainMost);
  state.signals->restore();
  TRY(state.maps->stop());
  state.drain_rest();
  state.actions->reset();
  state.run_itself(Provider::kEnd);
  state.drain_rest();
  output.end();
  if (state.script.config.print_maps_on_exit) state.print_maps();
  sink.flush();
  return RunResult{state.actions->exit_code(), ends_slowly};
}

namespace {

bool has_helper(bpf_prog_type type, bpf_func_id helper) {
  return libbpf_probe_bpf_helper(type, helper, nullptr) == 1;
}

uint64_t total_memory() {
  return static_cast<uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 0L)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// What asks for little and seldom, whatever runs it.
bool is_rare(const Action &action) {
  using Kind = Action::Kind;
  return action.kind == Kind::kExit || action.kind == Kind::kPrintMap || action.kind == Kind::kClear ||
         action.kind == Kind::kZero || action.kind == Kind::kTime || action.kind == Kind::kRuntimeError;
}

// The ring as the script asks for it, else a thousandth of the memory; but making one of 16 MiB
// takes 5 ms, so scripts that cannot fill it get less.
uint64_t ring_bytes_for(const Script &script) {
  constexpr uint64_t kPagesLeast = 64, kPagesMost = 4096, kShareOfMemory = 1024;
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t pages = script.config.perf_rb_pages;
  if (pages == 0) {
    bool runs_once = std::all_of(script.programs.begin(), script.programs.end(), [](const Program &program) {
      Provider provider = program.probes.front().point.provider;
      return provider == Provider::kBegin || provider == Provider::kEnd;
    });
    bool has_loops = std::any_of(script.steps.begin(), script.steps.end(), [](const Step &step) {
      return step.kind == Step::Kind::kWhile || step.kind == Step::Kind::kForMap ||
             step.kind == Step::Kind::kForRange || step.kind == Step::Kind::kUnroll;
    });
    uint64_t sent = 0;
    for (const Action &action : script.actions) sent += action.row.bytes();
    bool is_small = std::all_of(script.actions.begin(), script.actions.end(), is_rare) ||
                    (runs_once && !has_loops && sent < kPagesLeast * page / 2);
    pages = is_small ? kPagesLeast : std::clamp(total_memory() / kShareOfMemory / page, kPagesLeast, kPagesMost);
  }
  uint64_t power = 1;
  while (power < pages) power *= 2;
  return power * page;
}

}  // namespace

LowerOptions lower_options_for(const Script &script) {
  LowerOptions options;
  auto has_node = [&](auto matches) { return std::any_of(script.nodes.begin(), script.nodes.end(), matches); };
  auto has_step = [&](auto matches) { return std::any_of(script.steps.begin(), script.steps.end(), matches); };
  if (has_step(
          [](const Step &step) { return step.kind == Step::Kind::kWhile || step.kind == Step::Kind::kForRange; }) ||
      has_node([](const Node &node) { return node.op == Op::kString || node.op == Op::kStringFind; }))
    options.has_loop = has_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_loop);
  if (has_step([](const Step &step) { return step.kind == Step::Kind::kForMap; }) ||
      has_node([](const Node &node) { return node.op == Op::kMapLength || node.op == Op::kMapValue; }))
    options.has_for_each = has_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_for_each_map_elem);
  if (has_step([](const Step &step) { return step.kind == Step::Kind::kForMap; }) ||
      has_node([](const Node &node) { return node.op == Op::kMapValue || node.op == Op::kMapDelete; }))
    options.has_per_cpu_lookup = has_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_map_lookup_percpu_elem);
  if (has_node([](const Node &node) { return node.op == Op::kPerCpuAddress; }))
    if (Result<KernelSymbols> symbols = KernelSymbols::load(); symbols)
      options.per_cpu_offsets = symbols->address_of("__per_cpu_offset").value_or(0);
  if (has_node([](const Node &node) { return node.op == Op::kFunction; }))
    options.has_function_address = has_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_func_ip);
  if (has_node([](const Node &node) { return node.op == Op::kNanoseconds && node.number == 2; }))
    options.has_tai = has_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, static_cast<bpf_func_id>(208));
  // Of one age with that helper, and nothing else tells it.
  if (script.stack_frames_most > 0 || std::any_of(script.maps.begin(), script.maps.end(), [](const ScriptMap &map) {
        constexpr uint32_t kSmallBytes = 256;
        return map.entries > 1 &&
               (map.shape.value.is_aggregate() || map.shape.key.bytes() + map.shape.value.bytes() > kSmallBytes);
      }))
    options.has_safe_allocation = has_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, static_cast<bpf_func_id>(208));
  constexpr ino_t kInitialNamespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO
  struct stat space {};
  options.has_namespace_pid = stat("/proc/self/ns/pid", &space) == 0 && space.st_ino != kInitialNamespace;
  options.processors = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
  options.ring_bytes = ring_bytes_for(script);
  return options;
}

}  // namespace waggle::script
