// KernelSymbols finds the kernel function at an address, and the address of a
// function: /proc/kallsyms, sorted and packed. Modules and BPF programs are in
// it too; they come and go, so the table is read again when they have changed.
//
// Memory: 16 bytes a symbol and its name; 122,000 symbols take 5 MB.
// Sizes of functions are not known: a function reaches to the next one, but no
// further than 64 KiB.
// Threads: one.
// source: kernel/kallsyms.c; kernel/bpf/core.c (bpf_prog_* names)
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

// Both texts live until the next call of find().
struct KernelSymbol {
  std::string_view name;
  uint64_t offset = 0;      // of the address, from the function's first byte
  std::string_view module;  // "xfs"; "bpf" for BPF programs; empty for the kernel's own
};

class KernelSymbols {
 public:
  // Reads the running kernel's symbols: 50 ms of CPU time for 122,000, of which
  // the kernel spends 40 on writing them.
  //   errors  Denied  the kernel hides its addresses from this user (kptr_restrict)
  //           others  as open_file(); Invalid for text that is not kallsyms
  static Result<KernelSymbols> load();
  // The same from a text in the format of /proc/kallsyms; never read again.
  static Result<KernelSymbols> parse(std::string_view text);

  // The function that holds the address; nullopt when none does. Of several
  // names at one address the best known is chosen: global, then weak, then static.
  std::optional<KernelSymbol> find(uint64_t address);

  // The lowest address of a function of that name: static functions of different
  // files may share one. A scan: 0.5 ms.
  std::optional<uint64_t> address_of(std::string_view name) const;

  size_t size() const { return rows_.size(); }  // symbols, aliases included
  size_t bytes() const;                         // of memory

 private:
  struct Row {
    uint64_t address;
    uint32_t name;    // offset into names_, where it ends with a NUL
    uint16_t module;  // index into modules_
    uint8_t rank;     // among names of one address the highest is shown
  };
  // What changes when modules or BPF programs come or go.
  struct Generation {
    std::string modules;          // /proc/modules
    uint32_t newest_program = 0;  // the highest BPF program id
    bool known = false;           // whether both could be read
    bool operator==(const Generation &) const = default;
  };
  class Parser;

  KernelSymbols() = default;
  static Result<KernelSymbols> read();
  static Generation generation(uint32_t program_from);
  std::optional<KernelSymbol> search(uint64_t address) const;
  bool reload_if_changed(bool found);

  std::vector<Row> rows_;  // by address, then rank
  std::string names_;
  std::vector<std::string> modules_;        // [0] is the kernel itself: ""
  uint64_t core_start_ = 0, core_end_ = 0;  // [_stext, _etext): code that never moves
  bool live_ = false;
  Generation generation_;
  std::chrono::steady_clock::time_point checked_;
};

}  // namespace waggle
