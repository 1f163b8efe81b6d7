#include "symbol/functions.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "symbol/demangle.h"

namespace waggle {
namespace {

// Functions lie in each other: a label inside of one, a lambda's cold part. How
// many rows before an address are asked whether they reach over it.
constexpr ptrdiff_t kNestedMost = 16;

constexpr size_t kDemangledCacheBytesMost = 1 << 20;

size_t leading_underscores(std::string_view name) {
  return std::min(name.find_first_not_of('_'), name.size());
}

uint32_t clamp_bytes(uint64_t bytes) {
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

ElfFunctionTable::ElfFunctionTable(ElfFunctions functions) {
  // Aliases side by side, the best known first.
  auto better = [&](const ElfFunction &a, const ElfFunction &b) {
    if (a.address != b.address) return a.address < b.address;
    if (a.sized != b.sized) return a.sized;
    std::string_view a_name = functions.name(a), b_name = functions.name(b);
    size_t a_depth = leading_underscores(a_name), b_depth = leading_underscores(b_name);
    if (a_depth != b_depth) return a_depth < b_depth;
    if (a.binding != b.binding) return a.binding > b.binding;
    if (a_name.size() != b_name.size()) return a_name.size() < b_name.size();
    return a_name < b_name;
  };
  std::vector<ElfFunction> &rows = functions.rows;
  std::sort(rows.begin(), rows.end(), better);
  rows.erase(std::unique(rows.begin(), rows.end(), [](auto &a, auto &b) { return a.address == b.address; }),
             rows.end());

  size_t names_bytes = 0;
  for (const ElfFunction &row : rows) names_bytes += functions.name(row).size() + 1;
  rows_.reserve(rows.size());
  names_.reserve(names_bytes);
  for (size_t i = 0; i < rows.size(); i++) {
    uint32_t bytes = rows[i].bytes;
    if (!rows[i].sized && i + 1 < rows.size())
      bytes = std::min(bytes, clamp_bytes(rows[i + 1].address - rows[i].address));
    rows_.push_back({rows[i].address, bytes, static_cast<uint32_t>(names_.size())});
    names_.append(functions.name(rows[i])) += '\0';
  }
}

std::optional<FoundFunction> ElfFunctionTable::find(uint64_t address) {
  auto next = std::upper_bound(rows_.begin(), rows_.end(), address,
                               [](uint64_t wanted, const Row &row) { return wanted < row.start; });
  for (ptrdiff_t back = 1; back <= std::min(kNestedMost, next - rows_.begin()); back++) {
    const Row &row = next[-back];
    if (address - row.start < row.bytes) return FoundFunction{demangled(row.name), row.start};
  }
  return std::nullopt;
}

std::string_view ElfFunctionTable::demangled(uint32_t name) {
  std::string_view raw = names_.c_str() + name;
  if (!raw.starts_with("_Z") && !raw.starts_with("_R")) return raw;
  auto [found, added] = demangled_.try_emplace(name);
  if (!added) return found->second;
  std::string text = demangle(raw);
  if (demangled_bytes_ + text.size() > kDemangledCacheBytesMost) {
    demangled_.clear();
    demangled_bytes_ = 0;
    found = demangled_.try_emplace(name).first;
  }
  demangled_bytes_ += text.size();
  found->second = std::move(text);
  return found->second;
}

size_t ElfFunctionTable::bytes() const {
  return rows_.capacity() * sizeof(Row) + names_.capacity() + demangled_bytes_;
}

size_t PerfMap::append(std::string_view text) {
  auto by_start = [](const Row &a, const Row &b) {
    // Names are in the order of the lines: the higher offset is the newer line.
    return a.start != b.start ? a.start < b.start : a.name < b.name;
  };
  auto known = static_cast<ptrdiff_t>(rows_.size());
  size_t taken = 0, end;
  while ((end = text.find('\n', taken)) != std::string_view::npos) {
    std::string_view line = text.substr(taken, end - taken);
    taken = end + 1;
    auto number = [&](uint64_t &value) {
      if (line.starts_with("0x")) line.remove_prefix(2);
      auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), value, 16);
      if (error != std::errc() || rest == line.data() + line.size() || *rest != ' ') return false;
      line.remove_prefix(static_cast<size_t>(rest - line.data()) + 1);
      return true;
    };
    uint64_t start = 0, bytes = 0;
    if (!number(start) || !number(bytes) || bytes == 0 || line.empty()) continue;
    line = line.substr(0, line.find('\0'));
    if (rows_.size() * sizeof(Row) + names_.size() + line.size() + sizeof(Row) >= kBytesMost) continue;
    rows_.push_back({start, clamp_bytes(bytes), static_cast<uint32_t>(names_.size())});
    names_.append(line) += '\0';
  }
  std::sort(rows_.begin() + known, rows_.end(), by_start);
  std::inplace_merge(rows_.begin(), rows_.begin() + known, rows_.end(), by_start);
  return taken;
}

std::optional<FoundFunction> PerfMap::find(uint64_t address) {
  auto next = std::upper_bound(rows_.begin(), rows_.end(), address,
                               [](uint64_t wanted, const Row &row) { return wanted < row.start; });
  const Row *newest = nullptr;
  for (ptrdiff_t back = 1; back <= std::min(kNestedMost, next - rows_.begin()); back++) {
    const Row &row = next[-back];
    if (address - row.start < row.bytes && (newest == nullptr || row.name > newest->name)) newest = &row;
  }
  if (newest == nullptr) return std::nullopt;
  return FoundFunction{names_.c_str() + newest->name, newest->start};
}

}  // namespace waggle
