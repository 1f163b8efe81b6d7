// What an expression of numbers alone comes to: of #if, and of the sizes of arrays.
// source: C17 6.6, 6.10.1
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "script/syntax/token.h"

namespace waggle::script {

// Numbers, parentheses, and C's operators but assignments. Names are 0, as in #if.
// Nothing for anything else, for a division by zero, and for 100 parentheses in each other.
std::optional<int64_t> constant_expression(std::span<const Token> tokens);

}  // namespace waggle::script
