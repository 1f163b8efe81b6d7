// The kernel's clocks as one number.
// Threads: any.
// source: clock_gettime(2)
#pragma once

#include <cstdint>
#include <ctime>

namespace waggle {

// Nanoseconds. REQUIRES: the kernel has the clock
inline uint64_t clock_ns(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace waggle
