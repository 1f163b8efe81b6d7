#include "script/output/stack_text.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>
#include <vector>

#include "base/check.h"

namespace waggle::script {
namespace {

struct Reference {
  uint64_t number = 0;  // the stack's id, or an address
  uint32_t pid = 0;     // of user space
};

Reference read_reference(std::span<const std::byte> bytes, bool is_user) {
  Reference reference;
  std::memcpy(&reference.number, bytes.data(), sizeof(reference.number));
  if (is_user) std::memcpy(&reference.pid, bytes.data() + sizeof(reference.number), sizeof(reference.pid));
  return reference;
}

std::string symbol_text(const Symbol &symbol, bool has_module) {
  std::string text = symbol.is_inlined ? "[inlined] " + symbol.name : fmt::format("{}+{}", symbol.name, symbol.offset);
  if (has_module && !symbol.module.empty()) fmt::format_to(std::back_inserter(text), " ({})", symbol.module);
  if (!symbol.source.empty()) text += "@" + symbol.source;
  return text;
}

void append_frame(std::string &out, const Frame &frame, const std::vector<Symbol> &symbols, StackMode mode,
                  std::string_view padding) {
  auto to = std::back_inserter(out);
  switch (mode) {
    case StackMode::kRaw:
      fmt::format_to(to, "{}{:x}\n", padding, frame.address);
      return;
    case StackMode::kBuildId:
      if (frame.build_id.empty())
        fmt::format_to(to, "{}{:x}\n", padding, frame.address);
      else
        fmt::format_to(to, "{}{} 0x{:x}\n", padding, frame.build_id, frame.file_offset);
      return;
    case StackMode::kPerf:
      for (const Symbol &symbol : symbols) fmt::format_to(to, "\t{:x} {}\n", frame.address, symbol_text(symbol, true));
      if (symbols.empty()) fmt::format_to(to, "\t{:x} 0x{:x} ([unknown])\n", frame.address, frame.address);
      return;
    case StackMode::kBpftrace:
      for (const Symbol &symbol : symbols) fmt::format_to(to, "{}{}\n", padding, symbol_text(symbol, false));
      if (symbols.empty()) fmt::format_to(to, "{}0x{:x}\n", padding, frame.address);
      return;
  }
}

}  // namespace

void append_stack(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                  uint32_t indent) {
  bool is_user = type.is(TypeKind::kUserStack);
  CHECK(is_user || type.is(TypeKind::kKernelStack));
  Reference reference = read_reference(bytes, is_user);
  std::vector<Frame> frames =
      is_user ? resolver.user_stack(reference.number, reference.pid) : resolver.kernel_stack(reference.number);
  StackMode mode = type.stack_mode();
  bool has_symbols = mode == StackMode::kBpftrace || mode == StackMode::kPerf;
  std::string padding(indent, ' ');
  out += '\n';
  for (const Frame &frame : frames) {
    std::vector<Symbol> symbols;
    if (has_symbols)
      symbols = is_user ? resolver.user_symbols(reference.pid, frame.address) : resolver.kernel_symbols(frame.address);
    append_frame(out, frame, symbols, mode, padding);
  }
}

void append_symbol(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver) {
  bool is_user = type.is(TypeKind::kUserSymbol);
  CHECK(is_user || type.is(TypeKind::kKernelSymbol));
  Reference reference = read_reference(bytes, is_user);
  std::vector<Symbol> symbols =
      is_user ? resolver.user_symbols(reference.pid, reference.number) : resolver.kernel_symbols(reference.number);
  if (symbols.empty())
    fmt::format_to(std::back_inserter(out), "0x{:x}", reference.number);
  else
    out += symbols.back().name;
}

}  // namespace waggle::script
