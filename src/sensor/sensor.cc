#include "sensor/sensor.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstring>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/quantity.h"
#include "base/text.h"
#include "kernel/features.h"
#include "kernel/perf_event.h"
#include "kernel/probes.h"
#include "kernel/ring_reader.h"
#include "schema/named_numbers.h"
#include "sensor/core_types.h"
#include "sensor/filter_place.h"
#include "sensor/user_hooks.h"

namespace waggle {
namespace {

struct LinkDestroyer {
  void operator()(bpf_link *link) const { bpf_link__destroy(link); }
};
using LinkPtr = std::unique_ptr<bpf_link, LinkDestroyer>;

// An odd rate keeps the samples from marching in step with periodic work.
constexpr uint64_t kDefaultHz = 99;
constexpr std::string_view kFrequency = "hz";  // the parameter that sets another
constexpr size_t kCommBytes = 16;              // TASK_COMM_LEN

// libbpf explains itself through a callback. What it says while a thread loads a
// sensor is kept, and becomes the `why` of the Error.
thread_local std::string libbpf_said;

int keep_libbpf_words(libbpf_print_level level, const char *format, va_list arguments) {
  if (level == LIBBPF_DEBUG || libbpf_said.size() > (64u << 10)) return 0;
  char line[2048];
  vsnprintf(line, sizeof(line), format, arguments);
  libbpf_said += line;
  return 0;
}

void listen_to_libbpf() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(keep_libbpf_words); });
  libbpf_said.clear();
}

// The verifier's last words: the line before its statistics names the fault.
std::string reason_from_libbpf(int error_number) {
  std::string_view best;
  for (std::string_view line : split(libbpf_said, '\n')) {
    line = trim(line);
    if (line.empty() || line.starts_with("processed ") || line.starts_with("--") || line.starts_with("libbpf:"))
      continue;
    best = line;
  }
  if (best.empty()) return strerror(error_number);
  return fmt::format("{} ({})", best, strerror(error_number));
}

// What is the ring's map called? EVENTS() appends _events to the sensor's name.
bpf_map *map_of(const bpf_object *object, const std::string &name) {
  return bpf_object__find_map_by_name(object, name.c_str());
}

// The map that holds a data section: ".rodata" is "<object>.rodata".
bpf_map *data_map(const bpf_object *object, std::string_view section) {
  bpf_map *map;
  bpf_object__for_each_map(map, object) {
    if (std::string_view(bpf_map__name(map)).ends_with(section)) return map;
  }
  return nullptr;
}

// What a data section begins with, writable until load.
std::span<std::byte> data_section(const bpf_object *object, std::string_view section) {
  bpf_map *map = data_map(object, section);
  CHECK(map != nullptr);
  size_t size = 0;
  auto *data = const_cast<void *>(bpf_map__initial_value(map, &size));
  CHECK(data != nullptr);
  return {static_cast<std::byte *>(data), size};
}

// Pages of an array map, seen by the programs and by us.
struct Shared {
  std::byte *at = nullptr;
  size_t bytes = 0;

  Shared() = default;
  Shared(Shared &&other) noexcept : at(std::exchange(other.at, nullptr)), bytes(other.bytes) {}
  Shared &operator=(Shared &&other) noexcept {
    std::swap(at, other.at);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~Shared() {
    if (at != nullptr) munmap(at, bytes);
  }
  // `at` stays null, and errno says why, where it cannot be mapped.
  static Shared map(int map_fd, size_t bytes) {
    Shared shared;
    void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (pages == MAP_FAILED) return shared;
    shared.at = static_cast<std::byte *>(pages);
    shared.bytes = bytes;
    return shared;
  }
};

std::optional<uint32_t> offset_of_variable(const bpf_object *object, const char *section_name, const char *name) {
  const btf *types = bpf_object__btf(object);
  int id = btf__find_by_name_kind(types, section_name, BTF_KIND_DATASEC);
  if (id < 0) return std::nullopt;
  const btf_type *section = btf__type_by_id(types, static_cast<uint32_t>(id));
  const btf_var_secinfo *info = btf_var_secinfos(section);
  for (uint32_t i = 0; i < btf_vlen(section); i++)
    if (strcmp(btf__name_by_offset(types, btf__type_by_id(types, info[i].type)->name_off), name) == 0)
      return info[i].offset;
  return std::nullopt;
}

void set_flag(const bpf_object *object, const char *name, bool value) {
  std::span<std::byte> rodata = data_section(object, ".rodata");
  std::optional<uint32_t> offset = offset_of_variable(object, ".rodata", name);
  CHECK(offset && *offset < rodata.size());
  rodata[*offset] = std::byte{value};
}

Result<uint64_t> parse_named(const Parameter &parameter, const std::string &text, NumberOf number_of) {
  if (std::optional<int64_t> number = number_of(text)) return static_cast<uint64_t>(*number);
  if (Result<int64_t> number = parse_integer(text)) return static_cast<uint64_t>(*number);
  return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", parameter.name, text),
              fmt::format("it is neither a number nor a known {}", kind_info(parameter.kind).name));
}

tl::unexpected<Error> bad_value(const Parameter &parameter, const std::string &text, std::string why) {
  return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", parameter.name, text), std::move(why));
}

Result<uint64_t> parse_switch(const Parameter &parameter, const std::string &text) {
  if (text == "1" || text == "true") return 1;
  if (text == "0" || text == "false") return 0;
  return bad_value(parameter, text, "it is 1 or 0, true or false");
}

// What a parameter's field cannot hold is refused rather than cut.
Result<uint64_t> parse_number(const Parameter &parameter, const std::string &text) {
  if (parameter.is_bool) return parse_switch(parameter, text);
  uint64_t most = parameter.size >= sizeof(uint64_t) ? UINT64_MAX : (uint64_t{1} << parameter.size * 8) - 1;
  if (parameter.kind == Kind::kDuration || parameter.kind == Kind::kBytes) {
    uint64_t value = parameter.kind == Kind::kBytes ? TRY(parse_bytes(text)) : TRY(parse_duration_ns(text, 1'000'000));
    if (value > most) return bad_value(parameter, text, "it is too large");
    return value;
  }
  int64_t number = 0, low = 0, high = INT64_MAX;
  if (NumberOf number_of = named_numbers(parameter.kind)) {
    number = static_cast<int64_t>(TRY(parse_named(parameter, text, number_of)));
    // Sensors write -1 where 0 is the number of a name, and any of them is meant:
    // said last, it undoes what a tool or a file asked for.
    low = -1;
  } else {
    number = TRY(parse_integer(text));
  }
  if (parameter.size < sizeof(int64_t)) high = static_cast<int64_t>(most);
  if (parameter.is_signed) high = static_cast<int64_t>(most >> 1), low = -high - 1;
  // A clock that never ticks samples nothing.
  if (parameter.name == kFrequency) low = 1;
  if (number < low || number > high)
    return bad_value(parameter, text, fmt::format("it is a number from {} to {}", low, high));
  return static_cast<uint64_t>(number);
}

// The value of a parameter as bytes of its field.
Result<std::vector<std::byte>> parse_parameter(const Parameter &parameter, const std::string &text) {
  std::vector<std::byte> bytes(parameter.size);
  if (kind_info(parameter.kind).name == "comm" || parameter.kind == Kind::kText || parameter.kind == Kind::kPath) {
    if (text.size() >= bytes.size())
      return fail(ErrorCode::kInvalid, fmt::format("bad {} '{}'", parameter.name, text),
                  fmt::format("it is longer than {} bytes", bytes.size() - 1));
    memcpy(bytes.data(), text.data(), text.size());
    return bytes;
  }
  uint64_t value = TRY(parse_number(parameter, text));
  // Little-endian, as both x86-64 and arm64 run.
  memcpy(bytes.data(), &value, std::min(sizeof(value), bytes.size()));
  return bytes;
}

Result<void> set_parameter(const bpf_object *object, const Declaration &declaration, const std::string &name,
                           const std::string &text) {
  const Parameter *parameter = declaration.parameter(name);
  if (parameter == nullptr) {
    std::string known;
    for (const Parameter &each : declaration.parameters) known += (known.empty() ? "" : ", ") + each.name;
    return fail(ErrorCode::kNotFound, fmt::format("sensor '{}' has no parameter '{}'", declaration.name, name),
                fmt::format("it has {}", known));
  }
  std::vector<std::byte> bytes = TRY(parse_parameter(*parameter, text));
  std::span<std::byte> section = data_section(object, parameter->section);
  CHECK(parameter->offset + bytes.size() <= section.size());
  memcpy(section.data() + parameter->offset, bytes.data(), bytes.size());
  return {};
}

// "func/TARGET" names all that is traced; "uprobe/TARGET=libc:malloc" only a file,
// and which one it is when the user names none.
std::string with_target(std::string section, const std::string &target) {
  constexpr std::string_view kWord = "TARGET", kDefault = "TARGET=";
  size_t at = section.find(kWord);
  if (at == std::string::npos) return section;
  bool has_default = section.compare(at, kDefault.size(), kDefault) == 0;
  if (!has_default) return section.replace(at, kWord.size(), target);
  section.erase(at, kDefault.size());
  return target.empty() ? section : section.replace(at, section.find(':', at) - at, target);
}

// A kprobe may sit on a pattern; where there is no multi-attach, on each function of it.
Result<std::vector<LinkPtr>> attach_each(bpf_program *program, const std::string &pattern, bool at_return) {
  std::vector<std::string> functions = TRY(kernel_functions_matching(pattern));
  std::vector<LinkPtr> links;
  std::string first_failure;
  for (const std::string &function : functions) {
    LinkPtr link(bpf_program__attach_kprobe(program, at_return, function.c_str()));
    if (link)
      links.push_back(std::move(link));
    else if (first_failure.empty())
      first_failure = fmt::format("{}: {}", function, strerror(errno));
  }
  if (links.empty())
    return fail(ErrorCode::kUnsupported, fmt::format("no function of '{}' can be traced", pattern), first_failure);
  return links;
}

// One walk of the kernel over its objects; appends their rows and counts them.
Result<void> read_iterator(int link, const Schema &schema, Batch &batch, uint64_t &rows) {
  int descriptor = bpf_iter_create(link);
  if (descriptor < 0) return fail_errno(-descriptor, "cannot take the snapshot of sensor '" + schema.name + "'");
  Fd walk(descriptor);
  // What the kernel's own buffer holds: it gives no more at once.
  constexpr size_t kAtOnce = 32u << 10;
  std::vector<std::byte> read_bytes(kAtOnce + schema.row_bytes);
  size_t held = 0;
  while (true) {
    ssize_t got = ::read(walk.get(), read_bytes.data() + held, read_bytes.size() - held);
    // EAGAIN: a million objects without a row.
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return fail_errno(errno, "cannot take the snapshot of sensor '" + schema.name + "'");
    if (got == 0) return {};
    held += static_cast<size_t>(got);
    size_t used = 0;
    for (; held - used >= schema.row_bytes; used += schema.row_bytes, rows++)
      memcpy(batch.add_owned(schema.row_bytes).data(), read_bytes.data() + used, schema.row_bytes);
    held -= used;
    memmove(read_bytes.data(), read_bytes.data() + used, held);
  }
}

}  // namespace

struct Sensor::State {
  Declaration declaration;
  SensorOptions options;
  ObjectPtr object;
  // With their sections; those of one program follow each other.
  std::vector<std::pair<bpf_program *, std::string>> programs;
  std::vector<LinkPtr> links;
  std::vector<std::string> hooks, lacks;
  UserHooks user_hooks;
  std::unique_ptr<RingReader> ring;
  int ring_map = -1, table_map = -1, counters_map = -1;
  uint64_t delivered = 0;
  Shared shared, live;
  std::vector<int> iterators;                      // links of a snapshot's walks, in order
  uint32_t *asleep = nullptr, *stopped = nullptr;  // the programs' variables, in `shared`
  uint64_t *min = nullptr;                         // in `live`; null: the sensor has no such parameter

  Result<void> load_plan(const SensorObject &embedded, int plan, const LoadingLease &lease);
  Result<void> choose_programs(int plan);
  // Whether the kernel and, for hooks in user space, the traced files have it.
  Result<void> find_hook(const Hook &hook, const std::string &section);
  bool is_turned_off(std::string_view name) const;
  Result<void> configure();
  Result<void> name_cgroup();
  Result<void> find_maps();
  Result<void> share_variables();
  Result<void> attach_program(bpf_program *program, const std::string &section);
  Counts counts(uint32_t slot) const;
  uint64_t parameter_value(std::string_view name) const;
  // Events that happened while the same CPU was already inside a program: the
  // kernel does not run the program again, so the program cannot count them.
  uint64_t missed_runs();
  // What the kernel says of each program, once however many hooks it has.
  void each_program(const std::function<void(const bpf_prog_info &)> &visit) const;

  std::chrono::steady_clock::time_point missed_read;
  uint64_t missed = 0;
};

Sensor::Sensor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sensor::Sensor(Sensor &&) noexcept = default;
Sensor &Sensor::operator=(Sensor &&) noexcept = default;
Sensor::~Sensor() = default;

Result<Sensor> Sensor::load(std::string_view name, const SensorOptions &options) {
  SensorObject embedded = TRY(find_sensor_object(name));
  listen_to_libbpf();
  LoadingLease lease;
  auto state = std::make_unique<State>();
  state->options = options;

  // The lowest plan that loads is taken; the first plan's failure is the one to
  // report, because it is the sensor's best way.
  std::optional<Error> first_failure;
  int plan = 1;
  for (int last_plan = 1; plan <= last_plan; plan++) {
    Result<void> loaded = state->load_plan(embedded, plan, lease);
    if (loaded) return Sensor(std::move(state));
    // Without privileges every plan fails alike, at whichever hook was asked for first.
    if (loaded.error().code == ErrorCode::kDenied) loaded.error().what = fmt::format("cannot start sensor '{}'", name);
    if (loaded.error().code != ErrorCode::kUnsupported && loaded.error().code != ErrorCode::kFailed)
      return tl::unexpected(std::move(loaded).error());
    if (!first_failure) first_failure = loaded.error();
    for (const Hook &hook : state->declaration.hooks) last_plan = std::max(last_plan, hook.plan);
  }
  // What went wrong becomes the reason why the sensor cannot start.
  if (first_failure->why.empty()) first_failure->why = first_failure->what;
  first_failure->what = fmt::format("cannot start sensor '{}'", name);
  if (first_failure->fix.empty()) first_failure->fix = "waggle doctor      shows what this kernel can run";
  return tl::unexpected(std::move(*first_failure));
}

Result<void> Sensor::State::load_plan(const SensorObject &embedded, int plan, const LoadingLease &lease) {
  libbpf_said.clear();
  std::vector<std::byte> elf = unpack(embedded);
  place_filter(elf, "wg_row_passes", options.row_filter);
  place_filter(elf, "wg_key_passes", options.key_filter);
  CoreTypes core_types;
  object = open_object(embedded.name, elf, core_types.path());
  if (declaration.name.empty()) declaration = read_declaration(embedded, object.get());
  if (declaration.needs_target() && options.target.empty())
    return fail(ErrorCode::kInvalid, fmt::format("sensor '{}' needs to know what to trace", declaration.name), {},
                fmt::format("waggle watch {}:{}", declaration.name, declaration.example_target()));
  TRY(choose_programs(plan));
  if (!core_types.fill(lease, object.get(), elf)) {
    object = open_object(embedded.name, elf);
    TRY(choose_programs(plan));
  }
  user_hooks.prepare(object.get());
  TRY(configure());
  if (int error = bpf_object__load(object.get()); error != 0) {
    if (error == -EPERM || error == -EACCES) {
      // The verifier answers EACCES too; then it has said why.
      if (geteuid() != 0 && libbpf_said.find("processed ") == std::string::npos)
        return fail(ErrorCode::kDenied, fmt::format("cannot start sensor '{}'", declaration.name),
                    "loading BPF programs needs root, or CAP_BPF and CAP_PERFMON", "run it with sudo");
    }
    return fail(ErrorCode::kUnsupported, fmt::format("cannot start sensor '{}'", declaration.name),
                reason_from_libbpf(-error));
  }
  TRY(user_hooks.fill(object.get()));
  return find_maps();
}

Result<void> Sensor::State::choose_programs(int plan) {
  programs.clear();
  hooks.clear();
  lacks.clear();
  user_hooks = UserHooks(static_cast<int32_t>(options.pid));
  bool plan_exists = false;
  for (const Hook &hook : declaration.hooks) {
    if (!hook.optional && hook.plan != Hook::kAnyPlan && hook.plan != plan) continue;
    plan_exists |= hook.plan == plan || hook.plan == Hook::kAnyPlan;
    std::string section = with_target(hook.section, options.target);
    if (section.starts_with("uretprobe/") && is_turned_off("returns")) continue;
    if (Result<void> found = find_hook(hook, section); !found) {
      if (!hook.optional) return found;
      const Error &error = found.error();
      // Entry and return of a function are missed once.
      std::string without = fmt::format("without {}: ", hook.lack);
      bool is_said = std::any_of(lacks.begin(), lacks.end(), [&](auto &lack) { return lack.starts_with(without); });
      if (!is_said) lacks.push_back(without + (error.why.empty() ? error.what : error.why));
      continue;
    }
    bpf_program *program = bpf_object__find_program_by_name(object.get(), hook.program.c_str());
    CHECK(program != nullptr);
    bpf_program__set_autoload(program, true);
    // libbpf knows the type of "perf_event" alone.
    if (section.starts_with("perf_event/")) bpf_program__set_type(program, BPF_PROG_TYPE_PERF_EVENT);
    if (section != hook.section && (section.starts_with("fentry/") || section.starts_with("fexit/")))
      bpf_program__set_attach_target(program, 0, options.target.c_str());
    programs.emplace_back(program, section);
    hooks.push_back(std::move(section));
  }
  CHECK(plan_exists);
  return {};
}

Result<void> Sensor::State::find_hook(const Hook &hook, const std::string &section) {
  TRY(hook_available(section));
  if (!UserHooks::is_user_section(section)) return {};
  Result<void> found = user_hooks.find(section);
  // A kernel that cannot is no reason to try another plan; neither is a file.
  if (!found && !hook.optional && found.error().code == ErrorCode::kFailed) found.error().code = ErrorCode::kNotFound;
  return found;
}

// Whether a yes-or-no parameter that the sensor has is set to no.
bool Sensor::State::is_turned_off(std::string_view name) const {
  if (declaration.parameter(name) == nullptr) return false;
  return std::any_of(options.parameters.begin(), options.parameters.end(),
                     [&](const auto &each) { return each.first == name && each.second == "0"; });
}

Result<void> Sensor::State::configure() {
  set_flag(object.get(), "wg_want_events", options.want_events && declaration.events);
  set_flag(object.get(), "wg_want_table", options.want_table && declaration.table);
  set_flag(object.get(), "wg_cgroup_set", options.cgroup_fd >= 0);
  TRY(name_cgroup());
  if (offset_of_variable(object.get(), ".rodata", "wg_has_cookies"))
    set_flag(object.get(), "wg_has_cookies", Kernel::running().can(FeatureId::kCookie));
  if (options.pid != 0) TRY(set_parameter(object.get(), declaration, "pid", std::to_string(options.pid)));
  if (!options.comm.empty())
    TRY(set_parameter(object.get(), declaration, "comm", options.comm.substr(0, kCommBytes - 1)));
  for (const auto &[name, value] : options.parameters) TRY(set_parameter(object.get(), declaration, name, value));
  // The kernel allots a table's rows when it loads: those that nobody reads are one.
  if (declaration.table && !options.want_table)
    bpf_map__set_max_entries(map_of(object.get(), declaration.name + "_table"), 1);
  if (!options.row_filter.empty()) set_flag(object.get(), "wg_row_filter", true);
  if (!options.key_filter.empty()) set_flag(object.get(), "wg_key_filter", true);
  if (declaration.events) {
    bpf_map *ring_of = map_of(object.get(), declaration.name + "_events");
    CHECK(ring_of != nullptr);
    // A ring that nobody reads is made as small as the kernel allows.
    if (!options.want_events)
      bpf_map__set_max_entries(ring_of, static_cast<uint32_t>(sysconf(_SC_PAGESIZE)));
    else if (options.ring_bytes != 0)
      bpf_map__set_max_entries(ring_of, static_cast<uint32_t>(options.ring_bytes));
  }
  return {};
}

// Snapshots tell a cgroup by its id, which is its directory's inode number.
Result<void> Sensor::State::name_cgroup() {
  std::optional<uint32_t> offset = offset_of_variable(object.get(), ".rodata", "wg_cgroup_id");
  if (!offset || options.cgroup_fd < 0) return {};
  struct stat status = {};
  if (fstat(options.cgroup_fd, &status) != 0) return fail_errno(errno, "cannot filter by that cgroup");
  uint64_t id = status.st_ino;
  memcpy(data_section(object.get(), ".rodata").data() + *offset, &id, sizeof(id));
  return {};
}

Result<void> Sensor::State::find_maps() {
  bpf_map *counters = map_of(object.get(), "wg_counters");
  CHECK(counters != nullptr);
  counters_map = bpf_map__fd(counters);
  if (options.cgroup_fd >= 0) {
    uint32_t zero = 0;
    int error = bpf_map_update_elem(bpf_map__fd(map_of(object.get(), "wg_cgroup_only")), &zero, &options.cgroup_fd, 0);
    if (error != 0) return fail_errno(-error, "cannot filter by that cgroup", "name a directory of the cgroup v2 tree");
  }
  if (declaration.events && options.want_events) {
    bpf_map *ring_of = map_of(object.get(), declaration.name + "_events");
    ring_map = bpf_map__fd(ring_of);
    ring = std::make_unique<RingReader>(TRY(RingReader::open(ring_map, bpf_map__max_entries(ring_of))));
  }
  TRY(share_variables());
  if (declaration.table && options.want_table) {
    bpf_map *table_of = map_of(object.get(), declaration.name + "_table");
    CHECK(table_of != nullptr);
    table_map = bpf_map__fd(table_of);
  }
  return {};
}

// libbpf's own view of .bss is a copy of what the map began with; the programs
// see the map.
Result<void> Sensor::State::share_variables() {
  bpf_map *bss = data_map(object.get(), ".bss");
  CHECK(bss != nullptr);
  size_t bytes = bpf_map__value_size(bss);
  shared = Shared::map(bpf_map__fd(bss), bytes);
  if (shared.at == nullptr) return fail_errno(errno, "cannot share memory with the programs of " + declaration.name);
  auto variable = [&](const char *name) {
    std::optional<uint32_t> offset = offset_of_variable(object.get(), ".bss", name);
    CHECK(offset && *offset + sizeof(uint32_t) <= bytes);
    return reinterpret_cast<uint32_t *>(shared.at + *offset);
  };
  asleep = variable("wg_reader_asleep");
  stopped = variable("wg_stopped");
  if (const Parameter *parameter = declaration.parameter("min"); parameter != nullptr) {
    CHECK(parameter->section == Parameter::kLive && parameter->size == sizeof(uint64_t));
    bpf_map *data = data_map(object.get(), Parameter::kLive);
    live = Shared::map(bpf_map__fd(data), bpf_map__value_size(data));
    if (live.at == nullptr) return fail_errno(errno, "cannot share memory with the programs of " + declaration.name);
    min = reinterpret_cast<uint64_t *>(live.at + parameter->offset);
  }
  return {};
}

Result<void> Sensor::attach() {
  libbpf_said.clear();
  for (const auto &[program, section] : state_->programs) {
    Result<void> attached = state_->attach_program(program, section);
    if (!attached) {
      state_->links.clear();
      Error &error = attached.error();
      error.why = error.why.empty() ? error.what : error.what.empty() ? error.why : error.what + ": " + error.why;
      error.what = fmt::format("cannot start sensor '{}'", state_->declaration.name);
      return attached;
    }
  }
  return {};
}

Result<void> Sensor::State::attach_program(bpf_program *program, const std::string &section) {
  const std::string &target = options.target;
  if (section.starts_with("perf_event")) {
    std::vector<Fd> events;
    if (size_t slash = section.find('/'); slash != std::string::npos) {
      events = TRY(open_software_events(std::string_view(section).substr(slash + 1)));
    } else {
      uint64_t hz = declaration.parameter(kFrequency) != nullptr ? parameter_value(kFrequency) : kDefaultHz;
      events = TRY(open_cpu_clocks(hz));
    }
    for (Fd &event : events) {
      LinkPtr link(bpf_program__attach_perf_event(program, event.get()));
      if (!link) return fail(ErrorCode::kUnsupported, {}, fmt::format("cannot sample: {}", reason_from_libbpf(errno)));
      // Destroying the link closes the event that libbpf attached to.
      event.release();
      links.push_back(std::move(link));
    }
    return {};
  }
  if (UserHooks::is_user_section(section)) {
    std::vector<bpf_link *> made;
    Result<void> attached = user_hooks.attach(program, section, made, lacks);
    for (bpf_link *link : made) links.emplace_back(link);
    return attached;
  }
  bool at_return = section.starts_with("kretprobe");
  if (section.starts_with("kprobe.multi/") || section.starts_with("kretprobe.multi/")) {
    // Named one by one: libbpf 1.1 takes a pattern's functions from kallsyms, and
    // the kernel refuses them all when one cannot be traced.
    std::vector<std::string> functions = TRY(kernel_functions_matching(target));
    std::vector<const char *> names;
    names.reserve(functions.size());
    for (const std::string &function : functions) names.push_back(function.c_str());
    bpf_kprobe_multi_opts multi = {};
    multi.sz = sizeof(multi);
    multi.retprobe = at_return;
    multi.syms = names.data();
    multi.cnt = names.size();
    LinkPtr link(bpf_program__attach_kprobe_multi_opts(program, nullptr, &multi));
    if (!link) return fail(ErrorCode::kUnsupported, {}, fmt::format("{}: {}", section, reason_from_libbpf(errno)));
    links.push_back(std::move(link));
    return {};
  }
  if ((section.starts_with("kprobe/") || at_return) && target.find_first_of("*?") != std::string::npos) {
    std::vector<LinkPtr> each = TRY(attach_each(program, target, at_return));
    std::move(each.begin(), each.end(), std::back_inserter(links));
    return {};
  }
  LinkPtr link;
  if (section.starts_with(Hook::kTracepoint)) {
    // libbpf knows the first tracepoint of a program alone.
    std::string category = section.substr(Hook::kTracepoint.size());
    size_t slash = category.find('/');
    CHECK(slash != std::string::npos);
    std::string name = category.substr(slash + 1);
    category.resize(slash);
    link.reset(bpf_program__attach_tracepoint(program, category.c_str(), name.c_str()));
  } else if ((section.starts_with("kprobe/") || at_return) && !target.empty())
    link.reset(bpf_program__attach_kprobe(program, at_return, target.c_str()));
  else
    link.reset(bpf_program__attach(program));
  if (!link) return fail(ErrorCode::kUnsupported, {}, fmt::format("{}: {}", section, reason_from_libbpf(errno)));
  if (section.starts_with("iter/")) iterators.push_back(bpf_link__fd(link.get()));
  links.push_back(std::move(link));
  return {};
}

// What a numeric parameter was set to; its default in the object otherwise.
uint64_t Sensor::State::parameter_value(std::string_view name) const {
  const Parameter *parameter = declaration.parameter(name);
  CHECK(parameter != nullptr && parameter->size <= sizeof(uint64_t));
  uint64_t value = 0;
  memcpy(&value, data_section(object.get(), parameter->section).data() + parameter->offset, parameter->size);
  return value;
}

void Sensor::stop() {
  __atomic_store_n(state_->stopped, 1u, __ATOMIC_SEQ_CST);
  // A program that had looked at the flag before is done within microseconds,
  // unless its CPU was taken away: two scheduler ticks cover that.
  usleep(2 * 4000);
}

void Sensor::set_min(uint64_t ns) {
  CHECK(state_->min != nullptr);
  __atomic_store_n(state_->min, ns, __ATOMIC_RELAXED);
}

const Declaration &Sensor::declaration() const {
  return state_->declaration;
}
const std::vector<std::string> &Sensor::hooks() const {
  return state_->hooks;
}
const std::vector<std::string> &Sensor::lacks() const {
  return state_->lacks;
}

size_t Sensor::poll(Batch &batch, size_t rows_most) {
  CHECK(state_->ring != nullptr);
  size_t rows = 0;
  while (rows < rows_most) {
    Row row = state_->ring->next();
    if (row.data() == nullptr) break;
    batch.add(row);
    rows++;
  }
  state_->delivered += rows;
  return rows;
}

void Sensor::release() {
  state_->ring->release();
}
size_t Sensor::backlog_bytes() const {
  return state_->ring->backlog();
}
size_t Sensor::ring_bytes() const {
  return state_->ring->bytes();
}
int Sensor::ring_fd() const {
  return state_->ring_map;
}
void Sensor::sleeping() {
  __atomic_store_n(state_->asleep, 1u, __ATOMIC_SEQ_CST);
}

Result<void> Sensor::read_table(Batch &batch) {
  CHECK(state_->table_map >= 0);
  const Schema &schema = *state_->declaration.table;
  bpf_map *map = map_of(state_->object.get(), state_->declaration.name + "_table");
  size_t key_bytes = bpf_map__key_size(map), value_bytes = bpf_map__value_size(map);
  // ENOSPC: one bucket of the hash holds more rows than fit.
  uint32_t at_once = 256;
  // The cursor of a hash map is a bucket number or a key, whichever is larger.
  std::vector<std::byte> keys, values, cursor(std::max<size_t>(key_bytes, 8));
  bool first = true;
  while (true) {
    keys.resize(at_once * key_bytes);
    values.resize(at_once * value_bytes);
    uint32_t count = at_once;
    int error = bpf_map_lookup_batch(state_->table_map, first ? nullptr : cursor.data(), cursor.data(), keys.data(),
                                     values.data(), &count, nullptr);
    if (error == -ENOSPC && at_once < bpf_map__max_entries(map)) {
      at_once *= 2;
      continue;
    }
    if (error != 0 && error != -ENOENT)
      return fail_errno(-error, "cannot read the table of sensor '" + schema.name + "'");
    for (uint32_t i = 0; i < count; i++) {
      std::span<std::byte> row = batch.add_owned(schema.row_bytes);
      memcpy(row.data(), keys.data() + i * key_bytes, key_bytes);
      memcpy(row.data() + schema.key_bytes, values.data() + i * value_bytes, value_bytes);
    }
    if (error == -ENOENT) return {};
    first = false;
  }
}

Result<void> Sensor::read_snapshot(Batch &batch) {
  CHECK(state_->declaration.snapshot.has_value());
  const Schema &schema = *state_->declaration.snapshot;
  for (int link : state_->iterators) TRY(read_iterator(link, schema, batch, state_->delivered));
  return {};
}

void Sensor::drop_rows(const std::vector<std::vector<std::byte>> &keys) {
  for (const std::vector<std::byte> &key : keys) bpf_map_delete_elem(state_->table_map, key.data());
}

size_t Sensor::table_capacity() const {
  return bpf_map__max_entries(map_of(state_->object.get(), state_->declaration.name + "_table"));
}

size_t Sensor::table_key_bytes() const {
  return bpf_map__key_size(map_of(state_->object.get(), state_->declaration.name + "_table"));
}

Counts Sensor::State::counts(uint32_t slot) const {
  static const int kCpus = libbpf_num_possible_cpus();
  CHECK(kCpus > 0);
  struct PerCpu {  // struct wg_counts of sensor.bpf.h
    uint64_t produced, filtered, lost, delivered;
  };
  std::vector<PerCpu> each(static_cast<size_t>(kCpus));
  Counts sum;
  if (bpf_map_lookup_elem(counters_map, &slot, each.data()) != 0) return sum;
  for (const PerCpu &cpu : each) {
    sum.produced += cpu.produced;
    sum.filtered += cpu.filtered;
    sum.lost += cpu.lost;
    sum.delivered += cpu.delivered;
  }
  return sum;
}

void Sensor::State::each_program(const std::function<void(const bpf_prog_info &)> &visit) const {
  const bpf_program *last = nullptr;
  for (const auto &[program, section] : programs) {
    if (program == std::exchange(last, program)) continue;
    bpf_prog_info info = {};
    uint32_t bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes) == 0) visit(info);
  }
}

// Of 130 calls of bpf(2) that an idle `waggle top` made a second, 105 asked for these.
constexpr std::chrono::seconds kMissedRunsEvery{5};

uint64_t Sensor::State::missed_runs() {
  auto now = std::chrono::steady_clock::now();
  bool runs = __atomic_load_n(stopped, __ATOMIC_RELAXED) == 0;
  if (runs && missed_read.time_since_epoch().count() != 0 && now - missed_read < kMissedRunsEvery) return missed;
  missed_read = now;
  missed = 0;
  each_program([&](const bpf_prog_info &info) { missed += info.recursion_misses; });
  return missed;
}

Counts Sensor::stream_counts() const {
  Counts counts = state_->counts(0);
  counts.delivered = state_->delivered;
  uint64_t missed = state_->missed_runs();
  counts.produced += missed;
  counts.lost += missed;
  return counts;
}

Counts Sensor::table_counts() const {
  Counts counts = state_->counts(1);
  uint64_t missed = state_->missed_runs();
  counts.produced += missed;
  counts.lost += missed;
  return counts;
}

Cost Sensor::cost() const {
  Cost cost;
  state_->each_program([&](const bpf_prog_info &info) {
    cost.runs += info.run_cnt;
    cost.run_ns += info.run_time_ns;
    cost.instructions += info.verified_insns;
  });
  return cost;
}

}  // namespace waggle
