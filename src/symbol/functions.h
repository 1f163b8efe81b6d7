// Tables that find the function at an address: those of an ELF file and those of
// code that was compiled at run time. Sorted, packed: 16 bytes a function and its name.
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/elf.h"

namespace waggle {

struct FoundFunction {
  std::string_view name;  // demangled; lives until the next find()
  uint64_t start = 0;
};

class Functions {
 public:
  virtual ~Functions() = default;
  virtual std::optional<FoundFunction> find(uint64_t address) = 0;
  virtual size_t bytes() const = 0;  // of memory

  uint64_t last_used = 0;  // by the clock of who keeps it

 protected:
  struct Row {
    uint64_t start;
    uint32_t bytes;
    uint32_t name;  // offset into names_, where it ends with a NUL
  };
  std::vector<Row> rows_;  // by start
  std::string names_;
};

// The functions of one ELF file, by the addresses it was linked at. Of aliases
// the one is kept that people know: "read" rather than "__libc_read".
class ElfFunctionTable : public Functions {
 public:
  explicit ElfFunctionTable(ElfFunctions functions);
  std::optional<FoundFunction> find(uint64_t address) override;
  size_t bytes() const override;

 private:
  // Demangling takes microseconds, and a profile asks for the same few names.
  std::string_view demangled(uint32_t name);
  std::unordered_map<uint32_t, std::string> demangled_;
  size_t demangled_bytes_ = 0;
};

// The text of /tmp/perf-PID.map: "start bytes name" a line, both numbers
// hexadecimal. Runtimes append to it, and write a line again when the memory
// holds another function: the last line that covers an address is right.
// source: Linux tools/perf/Documentation/jit-interface.txt
class PerfMap : public Functions {
 public:
  static constexpr size_t kBytesMost = 64 << 20;

  // Takes the lines of `text` and returns how many bytes of it they were; the
  // rest is a line not yet complete. Lines that are none are left out. What is
  // beyond kBytesMost of memory is not kept.
  size_t append(std::string_view text);
  std::optional<FoundFunction> find(uint64_t address) override;
  size_t bytes() const override { return rows_.capacity() * sizeof(Row) + names_.capacity(); }
  size_t size() const { return rows_.size(); }
};

}  // namespace waggle
