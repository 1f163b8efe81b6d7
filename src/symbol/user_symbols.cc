#include "symbol/user_symbols.h"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "format/elf.h"
#include "kernel/procfs.h"
#include "symbol/debug_file.h"
#include "symbol/files.h"
#include "symbol/functions.h"

namespace waggle {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t kRangesMost = 64 << 10;  // vm.max_map_count is 65,530
constexpr size_t kPendingFilesMost = 64;  // of the 1024 descriptors a process has by default
constexpr size_t kObjectsFew = 1024;
constexpr auto kPendingTime = 30s;
constexpr auto kSnapshotInterval = 250ms;  // a program's burst of dlopen() is one new snapshot
constexpr auto kIdentityInterval = 1s;
constexpr auto kOpenAgainInterval = 10s;
constexpr auto kPerfMapInterval = 250ms;
constexpr size_t kPerfMapPieceBytes = 1 << 20;
constexpr uint64_t kPerfMapTextBytesMost = 256 << 20;

// What is mapped: a file, the vdso, or memory under a name.
struct Object {
  enum class Kind : uint8_t { kMemory, kData, kCode, kVdso };
  Kind kind = Kind::kMemory;  // kData: a file without executable mappings, which is never opened
  FileId id;
  bool id_exact = false;  // false: from /proc/PID/maps, without the time
  std::string name, path;

  // Known once the file has been opened.
  bool identified = false;
  std::string build_id;
  std::vector<ElfSegment> segments;

  std::weak_ptr<Functions> functions;  // UserSymbols::State owns it
  bool hopeless = false;               // not an ELF file
  steady_clock::time_point open_again{};

  // Opened by note(), closed when its functions are read.
  std::unique_ptr<ElfFile> pending;
  steady_clock::time_point pending_since{};
};

struct Range {
  uint64_t start = 0, end = 0;
  uint64_t offset = 0;  // bytes into the file
  bool executable = false;
  std::shared_ptr<Object> object;  // shared by all processes that map it
};

struct Process {
  int32_t pid = 0;
  uint64_t start_boot_ns = 0;
  FileId program;
  std::vector<Range> ranges;         // by address
  std::vector<Range> ranges_before;  // of the program that this pid had before
  steady_clock::time_point snapshot_taken{}, identity_checked{};
  uint64_t last_used = 0;

  // For code compiled at run time.
  int32_t pid_of_itself = 0;  // innermost pid namespace; 0: unknown
  uint32_t uid = 0;
  bool shares_our_mounts = false;
  std::weak_ptr<PerfMap> perf_map;
  FileId perf_map_file;
  uint64_t perf_map_taken = 0;  // bytes of the text
  steady_clock::time_point perf_map_read{};
};

const Range *find_range(std::span<const Range> ranges, uint64_t address) {
  auto next = std::upper_bound(ranges.begin(), ranges.end(), address,
                               [](uint64_t wanted, const Range &range) { return wanted < range.start; });
  if (next == ranges.begin() || address >= next[-1].end) return nullptr;
  return &next[-1];
}

// The address that the file was linked at for: (position in the file) → segment
// → address. Pages are mapped whole, so a mapping reaches over its segment's
// ends, where two segments may share a page: an exact hit on a segment of the
// same permission goes first.
uint64_t linked_address(const Object &object, const Range &range, uint64_t address) {
  static const uint64_t kPage = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  uint64_t position = address - range.start + range.offset;
  const ElfSegment *best = nullptr;
  int best_score = -1;
  for (const ElfSegment &segment : object.segments) {
    uint64_t into = position - segment.offset;  // may have wrapped
    bool exact = into < segment.file_bytes;
    bool same_pages = position / kPage >= segment.offset / kPage && segment.file_bytes > 0 &&
                      position / kPage <= (segment.offset + segment.file_bytes - 1) / kPage;
    if (!exact && !same_pages) continue;
    int score = (segment.executable == range.executable ? 2 : 0) + (exact ? 1 : 0);
    if (score > best_score) best = &segment, best_score = score;
  }
  return best == nullptr ? position : position - best->offset + best->address;
}

std::string base_name(const std::string &path) {
  return path.substr(path.rfind('/') + 1);
}

std::string map_files_path(int32_t pid, uint64_t start, uint64_t end) {
  return fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, start, end);
}

bool is_same_file(const Object &object, const FileId &id) {
  if (object.id_exact) return object.id == id;
  // btrfs and overlayfs show another device to stat(2), of major number 0.
  return object.id.inode == id.inode && (id.device_major == 0 || (object.id.device_major == id.device_major &&
                                                                  object.id.device_minor == id.device_minor));
}

// The file behind a mapping. map_files leads to it even when it was deleted or
// another has its name now; it takes CAP_CHECKPOINT_RESTORE (CAP_SYS_ADMIN before 5.9).
Result<Fd> open_object(const Object &object, const Range &range, int32_t pid) {
  auto same = [&](const Result<Fd> &file) {
    if (!file) return false;
    Result<FileFacts> facts = facts_of(*file);
    return facts && is_same_file(object, facts->id);
  };
  Result<Fd> file = open_regular(map_files_path(pid, range.start, range.end));
  if (same(file)) return file;
  file = open_in_root_of(pid, object.path);
  if (same(file)) return file;
  file = open_regular(object.path);  // the process has exited, or its root is closed to us
  if (same(file)) return file;
  return fail(ErrorCode::kNotFound, "cannot open " + object.path, "it is gone, or another file has its name");
}

// The vdso in our own memory; empty when there is none.
std::span<const std::byte> own_vdso() {
  static const std::span<const std::byte> image = [] {
    std::span<const std::byte> own;
    uint64_t start = ::getauxval(AT_SYSINFO_EHDR);
    Result<ProcessFiles> self = ProcessFiles::open(::getpid());
    if (!self || start == 0) return own;
    Result<std::vector<MapRange>> maps = self->maps();
    if (!maps) return own;
    for (const MapRange &map : *maps)
      if (map.start == start && map.readable)
        own = {reinterpret_cast<const std::byte *>(start), static_cast<size_t>(map.end - map.start)};
    return own;
  }();
  return image;
}

Result<ElfFile> open_elf(const Object &object, const Range &range, int32_t pid) {
  if (object.kind == Object::Kind::kVdso) return ElfFile::open(own_vdso());
  Fd file = TRY(open_object(object, range, pid));
  std::unique_ptr<ElfBytes> bytes = TRY(elf_bytes(std::move(file)));
  return ElfFile::open(std::move(bytes));
}

// Under which others find the table of a file. Equal build ids are equal code,
// but one copy may be stripped and have no debug file.
std::string table_key(const ElfFile &file) {
  return file.build_id().empty() || file.has_symtab() ? file.build_id() : file.build_id() + " stripped";
}

}  // namespace

std::string UserFrame::text(bool with_offset) const {
  if (symbol.empty()) return fmt::format("{}{}{:#x}", object, object.empty() ? "" : "+", offset);
  return with_offset ? fmt::format("{}+{:#x}", symbol, offset) : symbol;
}

struct UserSymbols::State {
  struct Table {
    std::shared_ptr<Functions> functions;
    std::string key;  // build id; empty: not shared by one
  };

  Limits limits;
  uint64_t clock = 0;  // of uses
  std::unordered_map<int32_t, Process> processes;
  size_t objects_most = kObjectsFew;  // when to look for those that nobody maps any more
  std::map<FileId, std::weak_ptr<Object>> files;
  std::unordered_map<std::string, std::weak_ptr<Object>> memories;  // by name
  std::deque<std::weak_ptr<Object>> pending;                        // by pending_since
  std::vector<Table> tables;

  Process &process(int32_t pid);
  void take_snapshot(Process &process);
  void take_ranges(Process &process, const std::vector<MapRange> &maps);
  void prepare_perf_map(Process &process, const ProcessFiles &files_now);
  std::shared_ptr<Object> object_of(int32_t pid, const MapRange &map, bool code);
  void drop_unused_objects();
  bool is_other_program(const Process &process) const;

  void open_pending(Process &process);
  void close_pending(steady_clock::time_point now);

  std::shared_ptr<Functions> functions_of(Object &object, const Range &range, int32_t pid);
  std::shared_ptr<Functions> read_functions(Object &object, const ElfFile &file, int32_t pid);
  std::unique_ptr<ElfFile> open_file_of(Object &object, const Range &range, int32_t pid);
  std::shared_ptr<Functions> find_table(const std::string &key);
  void keep(std::shared_ptr<Functions> functions, std::string key);
  void drop_excess(const Functions *needed);

  std::shared_ptr<PerfMap> perf_map_of(Process &process);
  void read_perf_map(Process &process, PerfMap &map, const Fd &file, uint64_t bytes);
};

// ---- processes ----

Process &UserSymbols::State::process(int32_t pid) {
  auto [found, added] = processes.try_emplace(pid);
  found->second.last_used = ++clock;
  if (!added) return found->second;
  found->second.pid = pid;
  if (processes.size() > limits.processes_most) {
    // An eighth at once: looking for the oldest costs as much as looking for many.
    std::vector<std::pair<uint64_t, int32_t>> ages;
    for (auto &[id, other] : processes) ages.emplace_back(other.last_used, id);
    std::sort(ages.begin(), ages.end());
    ages.resize(std::min(ages.size() - 1, 1 + ages.size() / 8));  // never the one just added
    for (auto &[age, id] : ages) processes.erase(id);
    drop_unused_objects();
  }
  return processes.at(pid);
}

bool UserSymbols::State::is_other_program(const Process &process) const {
  Result<ProcessFiles> files_now = ProcessFiles::open(process.pid);
  if (!files_now) return false;  // it has exited, and what we know is all there is
  Result<ProcessStat> stat = files_now->stat();
  if (stat && stat->start_boot_ns != process.start_boot_ns) return true;
  Result<FileFacts> program = facts_of(fmt::format("/proc/{}/exe", process.pid));
  return program && program->id != process.program;
}

void UserSymbols::State::take_snapshot(Process &process) {
  process.snapshot_taken = process.identity_checked = steady_clock::now();
  Result<ProcessFiles> files_now = ProcessFiles::open(process.pid);
  if (!files_now) return;
  Result<ProcessStat> stat = files_now->stat();
  Result<FileFacts> program = facts_of(fmt::format("/proc/{}/exe", process.pid));
  Result<std::vector<MapRange>> maps = files_now->maps();
  // A zombie has none; what it had before is worth more.
  if (!stat || !maps || maps->empty()) return;
  bool other = stat->start_boot_ns != process.start_boot_ns || (program && program->id != process.program);
  if (other) {
    process.ranges_before = std::move(process.ranges);
    process.perf_map.reset();
    process.pid_of_itself = 0;
  }
  process.start_boot_ns = stat->start_boot_ns;
  if (program) process.program = program->id;
  take_ranges(process, *maps);
  if (files.size() + memories.size() > objects_most) {
    drop_unused_objects();
    objects_most = kObjectsFew + 2 * (files.size() + memories.size());
  }

  bool compiles = std::any_of(process.ranges.begin(), process.ranges.end(), [](const Range &range) {
    return range.executable && range.object->kind != Object::Kind::kVdso && range.object->name != "[vsyscall]" &&
           (range.object->kind == Object::Kind::kMemory || range.object->hopeless);
  });
  if (compiles && process.pid_of_itself == 0) prepare_perf_map(process, *files_now);
}

// What is needed to find the perf map when the process has exited.
void UserSymbols::State::prepare_perf_map(Process &process, const ProcessFiles &files_now) {
  Result<ProcessStatus> status = files_now.status();
  if (!status) return;
  process.pid_of_itself = status->namespace_pids.empty() ? process.pid : status->namespace_pids.back();
  process.uid = status->effective_uid;
  Result<FileFacts> mounts = facts_of(fmt::format("/proc/{}/ns/mnt", process.pid));
  Result<FileFacts> ours = facts_of("/proc/self/ns/mnt");
  process.shares_our_mounts = mounts && ours && mounts->id.inode == ours->id.inode;
}

void UserSymbols::State::take_ranges(Process &process, const std::vector<MapRange> &maps) {
  // A file's mappings share one object, whose kind depends on all of them.
  using FileKey = std::pair<DeviceNumber, uint64_t>;
  std::map<FileKey, const MapRange *> code;
  for (const MapRange &map : maps)
    if (map.inode != 0 && map.executable) code.try_emplace({map.device, map.inode}, &map);
  std::map<FileKey, std::shared_ptr<Object>> objects;

  // Beside the old ranges, which keep what both have.
  std::vector<Range> ranges;
  ranges.reserve(std::min(maps.size(), kRangesMost));
  for (const MapRange &map : maps) {
    if (ranges.size() >= kRangesMost) break;
    std::shared_ptr<Object> object;
    if (map.inode == 0) {
      object = object_of(process.pid, map, false);
    } else {
      std::shared_ptr<Object> &known = objects[{map.device, map.inode}];
      auto executable = code.find({map.device, map.inode});
      if (known == nullptr)
        known = executable == code.end() ? object_of(process.pid, map, false)
                                         : object_of(process.pid, *executable->second, true);
      object = known;
    }
    ranges.push_back({map.start, map.end, map.offset, map.executable, std::move(object)});
  }
  process.ranges = std::move(ranges);
}

std::shared_ptr<Object> UserSymbols::State::object_of(int32_t pid, const MapRange &map, bool code) {
  if (map.inode == 0) {
    std::string name = map.path.empty() ? "[anon]" : map.path;
    std::weak_ptr<Object> &slot = memories[name];
    if (std::shared_ptr<Object> known = slot.lock()) return known;
    auto object = std::make_shared<Object>();
    object->kind = name == "[vdso]" ? Object::Kind::kVdso : Object::Kind::kMemory;
    object->name = std::move(name);
    slot = object;
    return object;
  }

  auto object = std::make_shared<Object>();
  object->id = {map.device.major, map.device.minor, map.inode, 0};
  object->path = map.path;
  object->name = base_name(map.path);
  object->kind = code ? Object::Kind::kCode : Object::Kind::kData;
  if (!code) return object;  // a name is all it has to offer
  Result<FileFacts> facts = facts_of(map_files_path(pid, map.start, map.end));
  if (facts) {
    object->id = facts->id;
    object->id_exact = true;
  }
  std::weak_ptr<Object> &slot = files[object->id];
  if (std::shared_ptr<Object> known = slot.lock()) return known;
  slot = object;
  return object;
}

void UserSymbols::State::drop_unused_objects() {
  std::erase_if(files, [](auto &entry) { return entry.second.expired(); });
  std::erase_if(memories, [](auto &entry) { return entry.second.expired(); });
}

// ---- files of processes that may not live long ----

void UserSymbols::State::open_pending(Process &process) {
  auto now = steady_clock::now();
  close_pending(now);
  for (const Range &range : process.ranges) {
    Object &object = *range.object;
    if (!range.executable || object.kind != Object::Kind::kCode || object.identified || object.hopeless ||
        now < object.open_again)
      continue;
    object.pending = open_file_of(object, range, process.pid);
    if (object.pending == nullptr) continue;
    if (std::shared_ptr<Functions> known = find_table(table_key(*object.pending))) {
      object.functions = known;
      object.pending.reset();
      continue;
    }
    object.pending_since = now;
    pending.push_back(range.object);
    close_pending(now);
  }
}

void UserSymbols::State::close_pending(steady_clock::time_point now) {
  while (!pending.empty()) {
    std::shared_ptr<Object> object = pending.front().lock();
    bool open = object != nullptr && object->pending != nullptr;
    if (open && pending.size() <= kPendingFilesMost && now - object->pending_since < kPendingTime) return;
    if (open) object->pending.reset();
    pending.pop_front();
  }
}

// ---- tables ----

std::shared_ptr<Functions> UserSymbols::State::find_table(const std::string &key) {
  if (key.empty()) return nullptr;
  auto found = std::find_if(tables.begin(), tables.end(), [&](const Table &table) { return table.key == key; });
  return found == tables.end() ? nullptr : found->functions;
}

void UserSymbols::State::keep(std::shared_ptr<Functions> functions, std::string key) {
  const Functions *needed = functions.get();
  functions->last_used = ++clock;
  tables.push_back({std::move(functions), std::move(key)});
  drop_excess(needed);
}

void UserSymbols::State::drop_excess(const Functions *needed) {
  size_t bytes = 0;
  for (const Table &table : tables) bytes += table.functions->bytes();
  while (bytes > limits.table_bytes_most) {
    auto oldest = tables.end();
    for (auto table = tables.begin(); table != tables.end(); ++table)
      if (table->functions.get() != needed &&
          (oldest == tables.end() || table->functions->last_used < oldest->functions->last_used))
        oldest = table;
    if (oldest == tables.end()) return;
    bytes -= oldest->functions->bytes();
    tables.erase(oldest);
  }
}

// Opens and identifies the file; null when that does not succeed.
std::unique_ptr<ElfFile> UserSymbols::State::open_file_of(Object &object, const Range &range, int32_t pid) {
  Result<ElfFile> file = open_elf(object, range, pid);
  if (!file) {
    ErrorCode code = file.error().code;
    object.hopeless = code == ErrorCode::kInvalid || code == ErrorCode::kUnsupported || code == ErrorCode::kExhausted;
    object.open_again = steady_clock::now() + kOpenAgainInterval;
    return nullptr;
  }
  object.identified = true;
  object.build_id = file->build_id();
  object.segments.assign(file->segments().begin(), file->segments().end());
  return std::make_unique<ElfFile>(std::move(*file));
}

std::shared_ptr<Functions> UserSymbols::State::functions_of(Object &object, const Range &range, int32_t pid) {
  if (std::shared_ptr<Functions> known = object.functions.lock()) {
    known->last_used = ++clock;
    return known;
  }
  // A process of 32 bits has another vdso.
  if (object.kind == Object::Kind::kVdso && range.end - range.start != own_vdso().size()) return nullptr;
  if (object.hopeless) return nullptr;
  std::unique_ptr<ElfFile> file = std::move(object.pending);
  if (file == nullptr) {
    if (steady_clock::now() < object.open_again) return nullptr;
    file = open_file_of(object, range, pid);
  }
  if (file == nullptr) return nullptr;
  std::string key = table_key(*file);
  std::shared_ptr<Functions> functions = find_table(key);
  if (functions == nullptr) {
    functions = read_functions(object, *file, pid);
    keep(functions, std::move(key));
  }
  object.functions = functions;
  return functions;
}

std::shared_ptr<Functions> UserSymbols::State::read_functions(Object &object, const ElfFile &file, int32_t pid) {
  auto read = [&](const ElfFile &from, ElfSymbolTable table) {
    Result<ElfFunctions> functions = from.functions(table, limits.table_bytes_most);
    return functions ? std::move(*functions) : ElfFunctions();
  };
  ElfFunctions functions = read(file, ElfSymbolTable::kSymtab);
  if (functions.rows.empty() && object.kind == Object::Kind::kCode) {
    std::unique_ptr<ElfFile> debug = find_debug_file(file, object.path, limits.debug_directory, pid);
    if (debug != nullptr) functions = read(*debug, ElfSymbolTable::kSymtab);
  }
  if (functions.rows.empty()) functions = read(file, ElfSymbolTable::kDynsym);
  return std::make_shared<ElfFunctionTable>(std::move(functions));
}

// ---- code compiled at run time ----

std::shared_ptr<PerfMap> UserSymbols::State::perf_map_of(Process &process) {
  auto now = steady_clock::now();
  std::shared_ptr<PerfMap> map = process.perf_map.lock();
  if (map != nullptr) map->last_used = ++clock;
  if (now - process.perf_map_read < kPerfMapInterval) return map;
  process.perf_map_read = now;
  if (process.pid_of_itself == 0) {
    Result<ProcessFiles> files_now = ProcessFiles::open(process.pid);
    if (files_now) prepare_perf_map(process, *files_now);
    if (process.pid_of_itself == 0) return map;
  }

  std::string path = fmt::format("/tmp/perf-{}.map", process.pid_of_itself);
  Result<Fd> file = open_in_root_of(process.pid, path);
  if (!file && process.shares_our_mounts) file = open_regular(path);
  if (!file) return map;
  Result<FileFacts> facts = facts_of(*file);
  // Anyone may write to /tmp: the process itself must have made the file.
  if (!facts || (facts->uid != process.uid && facts->uid != 0)) return map;
  facts->id.modified_ns = 0;
  if (map == nullptr || process.perf_map_file != facts->id || facts->bytes < process.perf_map_taken) {
    if (map != nullptr) std::erase_if(tables, [&](const Table &table) { return table.functions == map; });
    map = std::make_shared<PerfMap>();
    process.perf_map = map;
    process.perf_map_file = facts->id;
    process.perf_map_taken = 0;
    keep(map, "");
  }
  read_perf_map(process, *map, *file, facts->bytes);
  drop_excess(map.get());
  return map;
}

// Takes what was appended since the last time.
void UserSymbols::State::read_perf_map(Process &process, PerfMap &map, const Fd &file, uint64_t bytes) {
  uint64_t end = std::min(bytes, kPerfMapTextBytesMost);
  std::string piece;
  while (process.perf_map_taken < end) {
    piece.resize(std::min<uint64_t>(end - process.perf_map_taken, kPerfMapPieceBytes));
    ssize_t got = ::pread(file.get(), piece.data(), piece.size(), static_cast<off_t>(process.perf_map_taken));
    if (got <= 0) return;
    size_t taken = map.append(std::string_view(piece).substr(0, static_cast<size_t>(got)));
    if (taken == 0) return;  // the last line is still being written
    process.perf_map_taken += taken;
  }
}

// ---- the class ----

UserSymbols::UserSymbols() : UserSymbols(Limits()) {}
UserSymbols::UserSymbols(Limits limits) : state_(std::make_unique<State>()) {
  state_->limits = std::move(limits);
}
UserSymbols::~UserSymbols() = default;

void UserSymbols::note(int32_t pid) {
  Process &process = state_->process(pid);
  state_->take_snapshot(process);
  state_->open_pending(process);
}

UserFrame UserSymbols::resolve(int32_t pid, uint64_t address, FrameAddress kind) {
  uint64_t wanted = kind == FrameAddress::kReturn && address > 0 ? address - 1 : address;
  auto now = steady_clock::now();
  state_->close_pending(now);

  Process &process = state_->process(pid);
  if (now - process.identity_checked >= kIdentityInterval) {
    process.identity_checked = now;
    if (process.ranges.empty() || state_->is_other_program(process)) state_->take_snapshot(process);
  }
  const Range *range = find_range(process.ranges, wanted);
  if (range == nullptr && now - process.snapshot_taken >= kSnapshotInterval) {
    state_->take_snapshot(process);
    range = find_range(process.ranges, wanted);
  }
  if (range == nullptr) range = find_range(process.ranges_before, wanted);

  UserFrame frame;
  frame.offset = address;
  if (range == nullptr) return frame;
  Object &object = *range->object;
  frame.object = object.name;
  frame.path = object.path;
  frame.offset = address - range->start + (object.kind == Object::Kind::kMemory ? 0 : range->offset);

  if (object.kind == Object::Kind::kCode || object.kind == Object::Kind::kVdso) {
    std::shared_ptr<Functions> functions = state_->functions_of(object, *range, pid);
    uint64_t linked = linked_address(object, *range, wanted);
    frame.build_id = object.build_id;
    frame.offset = linked + (address - wanted);
    if (functions != nullptr) {
      if (std::optional<FoundFunction> found = functions->find(linked)) {
        frame.symbol = found->name;
        frame.offset -= found->start;
        return frame;
      }
    }
  }
  if (range->executable && (object.kind == Object::Kind::kMemory || object.hopeless)) {
    if (std::shared_ptr<PerfMap> map = state_->perf_map_of(process)) {
      if (std::optional<FoundFunction> found = map->find(wanted)) {
        frame.symbol = found->name;
        frame.offset = address - found->start;
      }
    }
  }
  return frame;
}

size_t UserSymbols::table_bytes() const {
  size_t bytes = 0;
  for (const State::Table &table : state_->tables) bytes += table.functions->bytes();
  return bytes;
}

size_t UserSymbols::tables() const {
  return state_->tables.size();
}

}  // namespace waggle
