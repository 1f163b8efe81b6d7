// Quantities as people write and read them: durations (10ms, 1.5s, 2m),
// sizes (4KiB, 10MB), counts. Numbers without a unit are the base unit's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace waggle {

// "250ns", "10us" or "10µs", "10ms", "1.5s", "2m" or "2min", "1h", "7d"; a bare
// number counts `bare_unit_ns`. errors: Invalid, with the accepted forms.
Result<uint64_t> parse_duration_ns(std::string_view text, uint64_t bare_unit_ns);

// "512", "4k" and "4KiB" (1024s), "10MB" (1000s), "1G". errors: Invalid.
Result<uint64_t> parse_bytes(std::string_view text);

// A natural or signed decimal or 0x-number. errors: Invalid.
Result<int64_t> parse_integer(std::string_view text);

// Three significant digits and a unit: "0ns", "1.23us", "45.6ms", "12.0s", "3m20s", "2h05m", "3d04h".
void append_duration(std::string &out, uint64_t ns);
// "0B", "512B", "4.0KiB", "1.50MiB"
void append_bytes(std::string &out, uint64_t bytes);
// "1234", "56.7k", "8.90M": short enough for a column; exact below 10,000.
void append_count(std::string &out, uint64_t count);

}  // namespace waggle
