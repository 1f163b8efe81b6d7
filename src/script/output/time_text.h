// Times as strftime(3) writes them, in local time, with bpftrace's %f: microseconds,
// six digits.
// Threads: any number at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace waggle::script {

// Longer formats are cut to this many bytes: what they print is bounded by it.
inline constexpr size_t kTimeFormatBytesMost = 1024;

//   wall_ns  nanoseconds since 1970
void append_time(std::string &out, std::string_view format, int64_t wall_ns);

}  // namespace waggle::script
