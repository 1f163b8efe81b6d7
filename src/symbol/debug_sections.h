// The debug information of a program or library: from its own file, or from the one that
// was stripped from it (symbol/debug_file.h).
// Threads: any number at once.
// source: System V gABI, "Section Compression"
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/dwarf.h"
#include "format/elf.h"

namespace waggle {

struct DebugSections {
  std::vector<std::byte> info, abbrev, str, line_str, str_offsets, addr, ranges, rnglists;
  std::vector<std::byte> btf;        // .BTF, which is read where there is no .debug_info
  std::vector<ElfSegment> segments;  // of the program or library itself

  DwarfSections dwarf() const { return {info, abbrev, str, line_str, str_offsets, addr, ranges, rnglists}; }
};

// Held in memory whole: they are as large as the file's are, decompressed, 1 GiB each at
// most.
//   path    as waggle opens it; shown  as process `pid` sees it, absolute
//   pid     0: the host's
//   errors  NotFound   neither file has any
//           Exhausted, Invalid, Unsupported  one is too large, malformed, or compressed in
//                      an unknown way; and those of ElfFile
Result<DebugSections> read_debug_sections(const std::string &path, const std::string &shown, int32_t pid);

// A section as it was before it was compressed; as it is, where it was not.
//   errors  as above
Result<std::vector<std::byte>> decompressed(const ElfFile &file, const ElfSection &section, size_t bytes_most);

}  // namespace waggle
