// Finds the file that holds the symbols stripped from another one.
// source: GDB manual, "Separate Debug Files"
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "format/elf.h"

namespace waggle {

// Looked for in this order, each first as process `pid` sees it, then as waggle does:
//   <debug_directory>/.build-id/ab/cdef….debug
//   <directory of path>/<debuglink>, <directory of path>/.debug/<debuglink>,
//   <debug_directory>/<directory of path>/<debuglink>
// A file counts when it has a .symtab and the same build id; where there is no
// build id, when it has the checksum of .gnu_debuglink (files of at most 128 MiB).
//   path     of `stripped`, absolute
//   returns  null when there is none
std::unique_ptr<ElfFile> find_debug_file(const ElfFile &stripped, const std::string &path,
                                         const std::string &debug_directory, int32_t pid);

}  // namespace waggle
