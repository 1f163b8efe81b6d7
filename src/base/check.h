// CHECK(condition): a broken invariant of our own ends the process with the
// place and the condition, in release builds too. Faults of the outside world
// (input, kernel, disk) are Results, never CHECKs.
#pragma once

namespace waggle::detail {
[[noreturn]] void check_failed(const char *condition, const char *file, int line);
}

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) ::waggle::detail::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
