#include "script/run/mappings.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "format/elf.h"
#include "script/run/hooks.h"
#include "symbol/files.h"

namespace waggle::script {
namespace {

// An exec is some 1.5 KiB of records: room for 170 of them on a CPU between two reads.
constexpr size_t kDataPages = 64;
constexpr size_t kProcessesMost = 8192, kMappingsMost = 4096;
constexpr size_t kSymbolBytesMost = 64u << 20;

size_t page_bytes() {
  static const auto kBytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return kBytes;
}

template <typename Number>
Number number_at(std::span<const std::byte> record, size_t at) {
  Number number = 0;
  if (at + sizeof(number) <= record.size()) std::memcpy(&number, record.data() + at, sizeof(number));
  return number;
}

std::string_view text_at(std::span<const std::byte> record, size_t at) {
  if (at >= record.size()) return {};
  std::string_view text(reinterpret_cast<const char *>(record.data()) + at, record.size() - at);
  return text.substr(0, text.find('\0'));
}

// Where the fields of records are, behind the header of 8 bytes.
// source: include/uapi/linux/perf_event.h, enum perf_event_type
constexpr size_t kPidAt = 8, kAddressAt = 16, kLengthAt = 24, kOffsetAt = 32, kFileNameAt = 72;
constexpr size_t kParentAt = 12;

}  // namespace

Mappings::Ring::~Ring() {
  if (pages != nullptr) munmap(pages, (kDataPages + 1) * page_bytes());
}

Result<Mappings> Mappings::open() {
  Mappings made;
  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.mmap = 1;
  attributes.mmap2 = 1;
  attributes.comm = 1;
  attributes.comm_exec = 1;
  attributes.task = 1;
  attributes.sample_type = PERF_SAMPLE_TIME;
  attributes.sample_id_all = 1;
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC;
  attributes.watermark = 1;
  attributes.wakeup_watermark = UINT32_MAX;
  for (int cpu : online_cpus()) {
    Fd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!event.valid()) return fail_errno(errno, "cannot follow what processes map");
    void *pages = mmap(nullptr, (kDataPages + 1) * page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, event.get(), 0);
    if (pages == MAP_FAILED) return fail_errno(errno, "cannot follow what processes map");
    made.rings_.emplace_back(std::move(event), static_cast<std::byte *>(pages));
  }
  return made;
}

void Mappings::read() {
  const size_t data_bytes = kDataPages * page_bytes();
  // A process forks on one CPU and executes on another: only their times tell what was first.
  // What comes from here on is left for the next time, because some of it may be in a ring
  // that has been read.
  const uint64_t until = clock_ns(CLOCK_MONOTONIC);
  std::vector<std::byte> record;
  for (const Ring &ring : rings_) {
    auto *control = reinterpret_cast<perf_event_mmap_page *>(ring.pages);
    const std::byte *data = ring.pages + page_bytes();
    uint64_t head = __atomic_load_n(&control->data_head, __ATOMIC_ACQUIRE);
    uint64_t tail = control->data_tail;
    auto copy = [&](uint64_t from, size_t bytes) {
      record.resize(bytes);
      for (size_t done = 0; done < bytes;) {
        size_t at = (from + done) % data_bytes, piece = std::min(bytes - done, data_bytes - at);
        std::memcpy(record.data() + done, data + at, piece);
        done += piece;
      }
    };
    while (tail + sizeof(perf_event_header) <= head) {
      copy(tail, sizeof(perf_event_header));
      perf_event_header header = {};
      std::memcpy(&header, record.data(), sizeof(header));
      if (header.size < sizeof(header) || tail + header.size > head) break;
      copy(tail, header.size);
      // With sample_id_all each record ends in its time.
      waiting_.emplace_back(number_at<uint64_t>(record, record.size() - sizeof(uint64_t)), record);
      tail += header.size;
    }
    __atomic_store_n(&control->data_tail, tail, __ATOMIC_RELEASE);
  }
  std::stable_sort(waiting_.begin(), waiting_.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  auto later = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto &each) { return each.first > until; });
  for (auto each = waiting_.begin(); each != later; ++each) learn(each->second);
  waiting_.erase(waiting_.begin(), later);
}

Mappings::Process &Mappings::process(uint32_t pid) {
  auto [found, is_new] = processes_.try_emplace(pid);
  if (!is_new) return found->second;
  order_.push_back(pid);
  if (order_.size() > kProcessesMost) {
    processes_.erase(order_.front());
    order_.pop_front();
  }
  return processes_[pid];
}

void Mappings::learn(std::span<const std::byte> record) {
  perf_event_header header = {};
  if (record.size() < sizeof(header)) return;
  std::memcpy(&header, record.data(), sizeof(header));
  auto pid = number_at<uint32_t>(record, kPidAt);
  if (pid == 0) return;
  switch (header.type) {
    case PERF_RECORD_MMAP2: {
      std::string_view path = text_at(record, kFileNameAt);
      Process &of = process(pid);
      if (!path.starts_with('/') || of.mappings.size() >= kMappingsMost) return;
      auto start = number_at<uint64_t>(record, kAddressAt);
      of.mappings.push_back({start, start + number_at<uint64_t>(record, kLengthAt),
                             number_at<uint64_t>(record, kOffsetAt), std::string(path)});
      return;
    }
    case PERF_RECORD_FORK: {
      auto parent = number_at<uint32_t>(record, kParentAt);
      if (parent == pid) return;  // a thread
      auto known = processes_.find(parent);
      std::vector<Mapping> mappings = known == processes_.end() ? std::vector<Mapping>() : known->second.mappings;
      Process &made = process(pid);
      made.mappings = std::move(mappings);
      made.parent = parent;
      return;
    }
    case PERF_RECORD_COMM:
      if ((header.misc & PERF_RECORD_MISC_COMM_EXEC) == 0) return;
      process(pid) = {};
      return;
    default:
      return;
  }
}

uint32_t Mappings::parent_of(uint32_t pid) const {
  auto found = processes_.find(pid);
  return found == processes_.end() ? 0 : found->second.parent;
}

const Mappings::File &Mappings::file(const std::string &path) {
  auto [found, is_new] = files_.try_emplace(path);
  File &made = found->second;
  if (!is_new) return made;
  Result<Fd> opened = open_regular(path);
  if (!opened) return made;
  Result<std::unique_ptr<ElfBytes>> bytes = elf_bytes(std::move(*opened));
  if (!bytes) return made;
  Result<ElfFile> elf = ElfFile::open(std::move(*bytes));
  if (!elf) return made;
  for (const ElfSegment &each : elf->segments())
    if (each.executable) made.segments.push_back({each.offset, each.file_bytes, each.address});
  ElfSymbolTable table = elf->has_symtab() ? ElfSymbolTable::kSymtab : ElfSymbolTable::kDynsym;
  if (Result<ElfFunctions> functions = elf->functions(table, kSymbolBytesMost); functions)
    made.functions = std::make_unique<ElfFunctionTable>(std::move(*functions));
  return made;
}

std::optional<Mappings::Symbol> Mappings::find(uint32_t pid, uint64_t address) {
  auto known = processes_.find(pid);
  if (known == processes_.end()) return std::nullopt;
  const std::vector<Mapping> &mappings = known->second.mappings;
  // What was mapped last is what is there.
  for (auto each = mappings.rbegin(); each != mappings.rend(); ++each) {
    if (address < each->start || address >= each->end) continue;
    const File &of = file(each->path);
    if (!of.functions) return std::nullopt;
    uint64_t in_file = address - each->start + each->offset;
    for (const File::Segment &segment : of.segments) {
      if (in_file < segment.offset || in_file - segment.offset >= segment.bytes) continue;
      uint64_t linked = in_file - segment.offset + segment.address;
      std::optional<FoundFunction> found = of.functions->find(linked);
      if (!found) return std::nullopt;
      return Symbol{std::string(found->name), each->path, linked - found->start};
    }
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace waggle::script
