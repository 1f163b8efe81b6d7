#include "kernel/probes_kallsyms.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/fd.h"
#include "base/text.h"

namespace waggle {
namespace {

constexpr char kPath[] = "/proc/kallsyms";
constexpr size_t kBytesMost = 64u << 20;  // 5 MB here, 12 MB on a distribution's kernel

// Sections by the symbols at their ends: entry code and noinstr code run before
// the kernel can take a breakpoint, init code is gone.
struct Section {
  std::string_view first, end;
  uint64_t from = 0, to = 0;

  bool holds(uint64_t address) const { return address >= from && address < to; }
};
constexpr Section kClosed[] = {
    {"__entry_text_start", "__entry_text_end"},
    {"__noinstr_text_start", "__noinstr_text_end"},
    {"__kprobes_text_start", "__kprobes_text_end"},
    {"_sinittext", "_einittext"},
};

template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    visit(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<KernelSymbol> parse_kernel_symbol(std::string_view line) {
  KernelSymbol symbol;
  const char *end = line.data() + line.size();
  auto [after, error] = std::from_chars(line.data(), end, symbol.address, 16);
  // "<address> T n" at least
  if (error != std::errc() || end - after < 4 || after[0] != ' ' || after[2] != ' ') return std::nullopt;
  symbol.type = after[1];
  std::string_view rest(after + 3, static_cast<size_t>(end - after - 3));
  size_t tab = rest.find('\t');
  symbol.name = rest.substr(0, tab);
  if (tab != std::string_view::npos) {
    std::string_view module = rest.substr(tab + 1);
    if (module.size() < 3 || module.front() != '[' || module.back() != ']') return std::nullopt;
    symbol.module = module.substr(1, module.size() - 2);
  }
  if (symbol.name.empty()) return std::nullopt;
  return symbol;
}

std::vector<CodeSymbol> select_code_symbols(std::string_view kallsyms, std::string_view pattern) {
  std::vector<Section> closed(std::begin(kClosed), std::end(kClosed));
  struct Candidate {
    uint64_t address;
    std::string_view name, module;
  };
  std::vector<Candidate> candidates;
  each_line(kallsyms, [&](std::string_view line) {
    std::optional<KernelSymbol> symbol = parse_kernel_symbol(line);
    if (!symbol) return;
    if (symbol->module.empty()) {
      for (Section &section : closed) {
        if (symbol->name == section.first) section.from = symbol->address;
        if (symbol->name == section.end) section.to = symbol->address;
      }
    }
    if (symbol->is_code() && symbol->name.find('.') == std::string_view::npos && glob_match(pattern, symbol->name))
      candidates.push_back({symbol->address, symbol->name, symbol->module});
  });
  std::erase_if(candidates, [&](const Candidate &candidate) {
    return std::any_of(closed.begin(), closed.end(),
                       [&](const Section &each) { return each.holds(candidate.address); });
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate &a, const Candidate &b) { return a.name < b.name; });
  std::vector<CodeSymbol> symbols;
  for (const Candidate &each : candidates)
    if (symbols.empty() || symbols.back().name != each.name)
      symbols.push_back({std::string(each.name), std::string(each.module)});
  return symbols;
}

Result<std::vector<CodeSymbol>> read_code_symbols(std::string_view pattern) {
  return select_code_symbols(TRY(read_file(kPath, kBytesMost)), pattern);
}

bool has_kernel_symbol(std::string_view name) {
  Result<std::string> text = read_file(kPath, kBytesMost);
  if (!text || name.empty()) return false;
  // " vfs_read" followed by the end of the line or by its module.
  std::string needle = " " + std::string(name);
  for (size_t at = text->find(needle); at != std::string::npos; at = text->find(needle, at + 1)) {
    size_t after = at + needle.size();
    if (after >= text->size() || (*text)[after] == '\n' || (*text)[after] == '\t') return true;
  }
  return false;
}

}  // namespace waggle
