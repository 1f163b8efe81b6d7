// /proc/kallsyms as far as probes need it: names of functions and whether their
// code can have a probe.
// Threads: all functions may be called from any number at once.
// source: proc(5); kernel/kallsyms.c; kernel/kprobes.c
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

// A line "ffffffff81000000 T _text" or "ffffffffc0000000 t init_one\t[ahci]".
struct KernelSymbol {
  uint64_t address = 0;  // 0 for readers without CAP_SYSLOG
  char type = '?';       // as nm(1) has it; 't', 'T', 'w' and 'W' are code
  std::string_view name;
  std::string_view module;  // empty for the kernel itself

  bool is_code() const { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }
};
// Views into the line. Nothing for a line that the kernel would not write.
std::optional<KernelSymbol> parse_kernel_symbol(std::string_view line);

// A function of the kernel or of a module.
struct CodeSymbol {
  std::string name, module;
};
// Of the text of /proc/kallsyms the functions that match a shell pattern and whose
// code can have a probe, sorted by bytes, each name once. Left out: what the
// compiler split off (names with a '.'), what is freed after boot and, where
// addresses can be seen, the sections in which a breakpoint cannot be taken.
std::vector<CodeSymbol> select_code_symbols(std::string_view kallsyms, std::string_view pattern);

// The same of the running kernel; some 50 ms.  errors: Denied, Failed
Result<std::vector<CodeSymbol>> read_code_symbols(std::string_view pattern);

// Whether there is a symbol of exactly that name; some 50 ms.
bool has_kernel_symbol(std::string_view name);

}  // namespace waggle
