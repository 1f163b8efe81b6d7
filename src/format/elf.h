// Reads what symbolization needs of an ELF file: where its bytes are mapped,
// what it is (build id), where its debug file is and which functions it holds.
//
// Files come from programs that waggle watches, so every offset, count and size
// in them is checked against the file and against a limit: any bytes yield
// values or an Error, in bounded memory. Nothing is read until it is asked for,
// and only in pieces of at most 256 KiB, because a debug file has gigabytes.
//
// Only ELF64, little-endian, ET_EXEC and ET_DYN. Compressed sections are
// returned as they are.
// Threads: an ElfFile may be read by several at once when its ElfBytes may.
// source: elf(5); System V gABI, chapters 4 and 5; GDB manual, "Separate Debug Files"
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

// Where an ELF file's bytes are: memory, or a descriptor read with pread(2).
// Not a mapping: whoever owns a file may truncate it, and a mapping would then
// end waggle with SIGBUS.
class ElfBytes {
 public:
  virtual ~ElfBytes() = default;
  virtual uint64_t size() const = 0;
  // Fills all of `into` with the bytes from `offset`; false when they cannot be
  // read. REQUIRES: offset + into.size() <= size().
  virtual bool read(uint64_t offset, std::span<std::byte> into) const = 0;
};

// The file's bytes [offset, offset + file_bytes) are at addresses from `address`.
struct ElfSegment {  // PT_LOAD
  uint64_t offset = 0, file_bytes = 0;
  uint64_t address = 0, memory_bytes = 0;
  bool executable = false;
};

struct ElfSection {
  std::string name;
  uint32_t type = 0;   // SHT_*
  uint64_t flags = 0;  // SHF_*
  uint64_t address = 0;
  uint64_t offset = 0, bytes = 0;  // in the file; SHT_NOBITS sections have no bytes there
  uint32_t link = 0;               // section index; its meaning depends on the type
};

// Names a file with the symbols that were stripped from this one.
struct ElfDebugLink {
  std::string file_name;  // without a directory
  uint32_t crc32 = 0;     // of that file: the polynomial of zlib
};

enum class ElfSymbolTable : uint8_t { kSymtab, kDynsym };
enum class ElfBinding : uint8_t { kLocal, kWeak, kGlobal };  // the later, the better known

struct ElfFunction {
  uint64_t address = 0;  // as the file was linked, not where it is loaded
  uint32_t bytes = 0;    // never 0
  uint32_t name = 0;     // offset into ElfFunctions::names, where it ends with a NUL
  ElfBinding binding = ElfBinding::kLocal;
  bool sized = true;  // false: written without a size (assembler), `bytes` goes to the end of the section
  // STT_GNU_IFUNC: what is called is another function, which this one picks at load time.
  bool picks_another = false;
};

struct ElfFunctions {
  std::vector<ElfFunction> rows;  // in no order; aliases are all there
  std::string names;

  std::string_view name(const ElfFunction &function) const { return names.c_str() + function.name; }
};

class ElfFile {
 public:
  // Reads the headers.
  //   errors  Invalid      not an ELF file, or a table lies outside of the file
  //           Unsupported  32 bits, big-endian, relocatable or core
  //           Exhausted    more sections or segments than any real file has
  //           Failed       the bytes cannot be read
  static Result<ElfFile> open(std::unique_ptr<ElfBytes> bytes);
  // The same of bytes in memory, which must outlive the ElfFile.
  static Result<ElfFile> open(std::span<const std::byte> bytes);

  bool position_independent() const { return position_independent_; }  // ET_DYN
  uint64_t size() const { return bytes_->size(); }
  std::span<const ElfSegment> segments() const { return segments_; }
  std::span<const ElfSection> sections() const { return sections_; }
  const ElfSection *find_section(std::string_view name) const;  // null: there is none
  bool has_symtab() const;

  // The NT_GNU_BUILD_ID note as 2 to 128 hexadecimal digits; empty without one.
  const std::string &build_id() const { return build_id_; }

  // errors: NotFound, Invalid.
  Result<ElfDebugLink> debug_link() const;

  // A section's content; empty for SHT_NOBITS. errors: Invalid, Exhausted, Failed.
  Result<std::vector<std::byte>> content(const ElfSection &section, size_t bytes_most) const;

  // The functions that this file defines: STT_FUNC, STT_GNU_IFUNC and global
  // labels of executable sections, "@VERSION" cut off, names cut at 8 KiB.
  // A file without the table has no functions: that is no error.
  //   bytes_most  bounds the result's memory
  //   errors      Invalid, Exhausted, Failed
  Result<ElfFunctions> functions(ElfSymbolTable table, size_t bytes_most) const;

 private:
  explicit ElfFile(std::unique_ptr<ElfBytes> bytes) : bytes_(std::move(bytes)) {}
  Result<void> read_headers();
  Result<void> read_segments(uint64_t offset, uint64_t count, uint64_t entry_bytes);
  Result<void> read_sections(uint64_t offset, uint64_t count, uint64_t entry_bytes, uint64_t names_index);
  Result<void> read_names(std::span<const uint32_t> name_offsets, uint64_t names_index);
  void read_build_id(uint64_t offset, uint64_t bytes);
  Result<void> read(uint64_t offset, std::span<std::byte> into, const char *what) const;
  Result<void> read_symbols(const ElfSection &section, size_t bytes_most, ElfFunctions &functions) const;
  Result<void> read_function_names(const ElfSection &names, size_t bytes_most, ElfFunctions &functions) const;

  std::unique_ptr<ElfBytes> bytes_;
  std::vector<ElfSegment> segments_;
  std::vector<ElfSection> sections_;
  std::string build_id_;
  bool position_independent_ = false;
};

}  // namespace waggle
