// Where probes in user space go: the functions of a program or library, and its
// USDT probes, by what people write: "libc:getaddrinfo", "/usr/bin/bash:read*",
// "python3:python:gc__*".
//
// Left out of patterns, because a probe would do harm or see nothing: parts of
// functions that are jumped to (foo.cold), entries without a return address
// (_start), and functions that only pick another at load time (IFUNC: strlen).
// Threads: any number at once.
// source: System V gABI, chapter 4; systemtap wiki, "UserSpaceProbeImplementation";
//   Documentation/trace/uprobetracer.rst
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/stapsdt.h"

namespace waggle {

struct UserProbe {
  std::string name;        // a function, demangled; of USDT "provider:name"
  std::string path;        // of its file, as waggle opens it
  std::string shown_path;  // as who uses it sees it
  uint64_t offset = 0;     // into the file
  // Nobody may wait for this function's return: its caller keeps the return
  // address (setjmp) or has given none (_start).
  bool returns_oddly = false;
  // Of USDT probes only.
  uint64_t semaphore = 0;  // offset into the file; 0: it has none
  std::vector<UsdtArgument> arguments;
};

// Each place once: of a function with several names, the one that was asked for or
// the best known. Sorted by name.
//   target  FILE:FUNCTION, where FUNCTION may be a shell pattern. C++ and Rust names
//           match as they are in the file, demangled, or demangled up to their arguments
//   pid     whose files; 0: the host's
//   errors  Invalid   there is no ':'
//           NotFound  no such file or function; says when the file is stripped
//           and those of ElfFile
Result<std::vector<UserProbe>> find_user_functions(std::string_view target, int32_t pid);

// A USDT probe that was inlined has several places, all of the same name.
//   target  FILE:PROVIDER:NAME or FILE:NAME, both may be shell patterns
Result<std::vector<UserProbe>> find_usdt_probes(std::string_view target, int32_t pid);

// "user:libc:getaddrinfo" for each function, or "usdt:libc:libc:setjmp", that
// matches "user:FILE:PATTERN" or "usdt:FILE:PATTERN"; without a second ':' all of FILE.
// errors: the same
Result<std::vector<std::string>> user_probes_matching(std::string_view pattern, int32_t pid);

// Whether a pattern of `waggle list probes` is of these kinds.
bool is_user_probe_pattern(std::string_view pattern);

}  // namespace waggle
