// Mangled names as their authors wrote them: C++ (Itanium ABI), Rust (legacy
// and v0). Names come from other people's files, and a name of 1 KiB can stand
// for a text of 2^100 bytes: the input and the output have limits, and printing
// is left as soon as the output has reached its own. The stack has one as well:
// C++ names of more than 1 KiB stay mangled.
// Threads: any number at once.
// source: Itanium C++ ABI §5.1; Rust RFC 2603
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace waggle {

constexpr size_t kMangledBytesMost = 8 << 10;
constexpr size_t kDemangledBytesMost = 4 << 10;

// "_ZN3foo3barEi" → "foo::bar(int)"; Rust's hash ("::h0123456789abcdef") is left
// out. Anything else, malformed and too long names included, is returned as it
// is. A result of more than kDemangledBytesMost is cut off and ends in "...".
std::string demangle(std::string_view name);

}  // namespace waggle
