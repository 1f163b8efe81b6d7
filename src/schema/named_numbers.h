// Numbers that people type by name, by kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "schema/kind.h"

namespace waggle {

// nullopt: there is no such name. Letters of either case, with or without the common
// prefix ("SIGKILL", "kill").
using NumberOf = std::optional<int64_t> (*)(std::string_view);

// Where the numbers of a kind are looked up (a signal, a system call, a TCP state);
// nullptr for kinds whose names no table has.
NumberOf named_numbers(Kind kind);

}  // namespace waggle
