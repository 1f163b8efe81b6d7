// /etc/ld.so.cache: which file the dynamic linker takes for a library's name.
// Only entries for this processor; the file is written by root of whatever
// container it lies in, so every offset in it is checked.
// Threads: any number at once.
// source: ldconfig(8); the layout, "glibc-ld.so.cache1.1", is that of glibc 2.2 and later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace waggle {

struct CachedLibrary {
  std::string name;  // "libc.so.6"
  std::string path;  // "/lib/x86_64-linux-gnu/libc.so.6"
};

// In the order of the file, in which the linker's own choice comes first.
//   errors  Invalid  not such a file, or its table lies outside of it
Result<std::vector<CachedLibrary>> parse_ld_cache(std::span<const std::byte> bytes);

}  // namespace waggle
