#include "symbol/kernel_symbols.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "base/check.h"
#include "base/fd.h"

namespace waggle {
namespace {

constexpr const char *kKallsyms = "/proc/kallsyms";
constexpr size_t kSymbolsMost = 4 << 20;
constexpr size_t kNameBytesMost = 512;  // KSYM_NAME_LEN
constexpr size_t kNamesBytesMost = 256 << 20;
constexpr uint64_t kFunctionBytesMost = 64 << 10;  // the largest of a 6.18 kernel has 30 KiB
constexpr std::chrono::seconds kCheckInterval{3};

// Labels of the linker script stand where a function does: "_stext",
// "__irqentry_text_start".
bool is_marker(std::string_view name) {
  return name.ends_with("text") || name.ends_with("text_start") || name.ends_with("text_end");
}

uint8_t rank_of(char type, std::string_view name) {
  if (is_marker(name)) return 0;
  switch (type) {
    case 'T':
      return 3;
    case 'W':
    case 'w':
      return 2;
    default:
      return 1;
  }
}

// The first BPF program id above `id`. errors: NotFound, Denied, Failed.
Result<uint32_t> next_program(uint32_t id) {
  bpf_attr attributes = {};
  attributes.start_id = id;
  if (::syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attributes, sizeof attributes) != 0)
    return fail_errno(errno, "cannot list BPF programs");
  return attributes.next_id;
}

}  // namespace

// Takes the text in pieces, so that 10 MB of it are never held at once.
class KernelSymbols::Parser {
 public:
  explicit Parser(KernelSymbols &symbols) : symbols_(symbols) { symbols_.modules_.assign(1, ""); }

  // Whole lines; returns the bytes that are left for the next call.
  Result<size_t> take(std::string_view text) {
    while (true) {
      size_t end = text.find('\n');
      if (end == std::string_view::npos) return text.size();
      TRY(take_line(text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
  }

  Result<void> take_line(std::string_view line);
  Result<void> finish();

 private:
  Result<uint16_t> module_index(std::string_view name);

  KernelSymbols &symbols_;
  std::unordered_map<std::string, uint16_t> module_indexes_;
  bool address_seen_ = false;
};

// "ffffffff81000000 T _stext" and "ffffffffc0201000 t xfs_open\t[xfs]".
Result<void> KernelSymbols::Parser::take_line(std::string_view line) {
  uint64_t address = 0;
  const char *end = line.data() + line.size();
  auto [rest, error] = std::from_chars(line.data(), end, address, 16);
  if (error != std::errc() || end - rest < 4 || rest[0] != ' ' || rest[2] != ' ')
    return fail(ErrorCode::kInvalid, "cannot read the kernel's symbols",
                "unexpected line '" + std::string(line.substr(0, 80)) + "'");
  if (address != 0) address_seen_ = true;
  char type = rest[1];
  if (type != 't' && type != 'T' && type != 'w' && type != 'W') return {};

  std::string_view name(rest + 3, static_cast<size_t>(end - rest - 3));
  std::string_view module;
  if (size_t tab = name.find('\t'); tab != std::string_view::npos) {
    module = name.substr(tab + 1);
    name = name.substr(0, tab);
    if (module.starts_with('[')) module.remove_prefix(1);
    if (module.ends_with(']')) module.remove_suffix(1);
  }
  name = name.substr(0, std::min(kNameBytesMost, name.find('\0')));
  if (symbols_.rows_.size() >= kSymbolsMost || symbols_.names_.size() + name.size() >= kNamesBytesMost)
    return fail(ErrorCode::kExhausted, "the kernel has too many symbols",
                "more than " + std::to_string(symbols_.rows_.size()));
  if (module.empty() && name == "_stext") symbols_.core_start_ = address;
  if (module.empty() && name == "_etext") symbols_.core_end_ = address;
  symbols_.rows_.push_back(
      {address, static_cast<uint32_t>(symbols_.names_.size()), TRY(module_index(module)), rank_of(type, name)});
  symbols_.names_.append(name) += '\0';
  return {};
}

Result<uint16_t> KernelSymbols::Parser::module_index(std::string_view name) {
  // Lines of one module stand together.
  if (symbols_.modules_.back() == name) return static_cast<uint16_t>(symbols_.modules_.size() - 1);
  if (name.empty()) return 0;
  size_t next = symbols_.modules_.size();
  auto [found, added] = module_indexes_.try_emplace(std::string(name), static_cast<uint16_t>(next));
  if (added && next > std::numeric_limits<uint16_t>::max())
    return fail(ErrorCode::kExhausted, "the kernel has too many modules", "more than " + std::to_string(next));
  if (added) symbols_.modules_.emplace_back(name);
  return found->second;
}

Result<void> KernelSymbols::Parser::finish() {
  if (!symbols_.rows_.empty() && !address_seen_)
    return fail(ErrorCode::kDenied, "cannot read the kernel's symbols", "the kernel shows their addresses as zero",
                "run waggle as root, or with CAP_SYSLOG and kernel.kptr_restrict at most 1");
  std::sort(symbols_.rows_.begin(), symbols_.rows_.end(), [&](const Row &a, const Row &b) {
    return a.address != b.address ? a.address < b.address : a.rank != b.rank ? a.rank < b.rank : a.name < b.name;
  });
  symbols_.rows_.shrink_to_fit();
  symbols_.names_.shrink_to_fit();
  return {};
}

Result<KernelSymbols> KernelSymbols::parse(std::string_view text) {
  KernelSymbols symbols;
  Parser parser(symbols);
  size_t left = TRY(parser.take(text));
  if (left > 0) TRY(parser.take_line(text.substr(text.size() - left)));
  TRY(parser.finish());
  return symbols;
}

Result<KernelSymbols> KernelSymbols::read() {
  Fd file = TRY(open_file(kKallsyms));
  KernelSymbols symbols;
  // What a large kernel has: without it, growing would take twice the memory for
  // a while. Untouched pages cost nothing.
  symbols.rows_.reserve(256 << 10);
  symbols.names_.reserve(8 << 20);
  Parser parser(symbols);
  std::string buffer(64 << 10, '\0');
  size_t used = 0;
  while (true) {
    ssize_t got = ::read(file.get(), buffer.data() + used, buffer.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, std::string("cannot read ") + kKallsyms);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    size_t left = TRY(parser.take(std::string_view(buffer).substr(0, used)));
    if (left == buffer.size())
      return fail(ErrorCode::kInvalid, std::string("cannot read ") + kKallsyms, "a line of 64 KiB");
    std::memmove(buffer.data(), buffer.data() + used - left, left);
    used = left;
  }
  TRY(parser.finish());
  symbols.live_ = true;
  return symbols;
}

// Program ids only grow, so one call tells whether there is a newer one.
KernelSymbols::Generation KernelSymbols::generation(uint32_t program_from) {
  Generation now;
  now.newest_program = program_from;
  Result<uint32_t> next = next_program(program_from);
  while (next) {
    now.newest_program = *next;
    next = next_program(now.newest_program);
  }
  bool programs_known = next.error().code == ErrorCode::kNotFound;
  Result<std::string> modules = read_file("/proc/modules", 16 << 20);
  if (modules) now.modules = std::move(*modules);
  // A kernel without modules has no such file, and needs none.
  now.known = programs_known && (modules || modules.error().code == ErrorCode::kNotFound);
  return now;
}

Result<KernelSymbols> KernelSymbols::load() {
  // Taken first: what is loaded while we read is found by the next check.
  Generation before = generation(0);
  KernelSymbols symbols = TRY(read());
  symbols.generation_ = std::move(before);
  symbols.checked_ = std::chrono::steady_clock::now();
  return symbols;
}

std::optional<KernelSymbol> KernelSymbols::find(uint64_t address) {
  std::optional<KernelSymbol> found = search(address);
  bool core = address >= core_start_ && address < core_end_;
  if (core || !reload_if_changed(found.has_value())) return found;
  return search(address);
}

bool KernelSymbols::reload_if_changed(bool found) {
  auto now = std::chrono::steady_clock::now();
  if (!live_ || now - checked_ < kCheckInterval) return false;
  checked_ = now;
  Generation current = generation(generation_.newest_program);
  // Where changes cannot be told, only an address that is nobody's says that there was one.
  if (current.known ? current == generation_ : found) return false;
  Result<KernelSymbols> fresh = read();
  if (!fresh) return false;  // the table at hand is better than none
  fresh->generation_ = std::move(current);
  fresh->checked_ = now;
  *this = std::move(*fresh);
  return true;
}

std::optional<KernelSymbol> KernelSymbols::search(uint64_t address) const {
  auto next = std::upper_bound(rows_.begin(), rows_.end(), address,
                               [](uint64_t wanted, const Row &row) { return wanted < row.address; });
  if (next == rows_.begin()) return std::nullopt;
  const Row &row = next[-1];
  uint64_t offset = address - row.address;
  if (offset >= kFunctionBytesMost) return std::nullopt;
  return KernelSymbol{names_.c_str() + row.name, offset, modules_[row.module]};
}

std::optional<uint64_t> KernelSymbols::address_of(std::string_view name) const {
  if (name.empty() || name.find('\0') != std::string_view::npos) return std::nullopt;
  for (const Row &row : rows_) {
    const char *candidate = names_.c_str() + row.name;
    if (candidate[0] == name[0] && candidate == name) return row.address;
  }
  return std::nullopt;
}

size_t KernelSymbols::bytes() const {
  return rows_.capacity() * sizeof(Row) + names_.capacity();
}

}  // namespace waggle
