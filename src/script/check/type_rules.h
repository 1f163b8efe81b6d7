// Which types go together: what a variable or map grows to when it is assigned values of
// several, and what becomes what without being asked.
// Threads: pure functions.
// source: bpftrace(8), "Data Types"; version 0.27
#pragma once

#include <cstdint>
#include <optional>

#include "script/types/type.h"

namespace waggle::script {

// The narrowest signed type that holds it; above 2^63 uint64.
Type type_of_number(uint64_t value, bool is_unsigned);

// The type that holds values of both: integers widen, strings and tuples grow. Nothing:
// they do not go together. Of two pointers to the same the first.
std::optional<Type> common_type(const Type &one, const Type &other);

// Integers, also those in tuples, as 64 bits: how keys, values of maps, and numbers that are
// assigned are kept.
Type widened(const Type &type);

// Whether a number fits into an integer's type.
bool fits(int64_t value, bool is_above_signed, const Type &type);

}  // namespace waggle::script
