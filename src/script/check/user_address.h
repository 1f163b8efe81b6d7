// Where a program's variables are, counted from a place in its code that a probe is at: how
// far two places of one file are from each other does not depend on where it is loaded.
// Threads: pure functions.
// source: System V gABI, chapter 4, "Symbol Table"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace waggle::script {

struct UserAddress {
  int64_t distance = 0;  // bytes from the place to the symbol
  uint64_t bytes = 0;    // of the symbol; 0: it does not say
};

//   path         of the file, as waggle opens it
//   code_offset  of the place, in the file
//   errors       NotFound, and those of ElfFile
Result<UserAddress> find_user_address(const std::string &path, uint64_t code_offset, std::string_view symbol);

}  // namespace waggle::script
