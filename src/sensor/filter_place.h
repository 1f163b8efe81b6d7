// Writes --where's functions into a sensor's object before libbpf reads it: over the bodies
// that WG_FILTER of sensors/include/waggle/sensor.bpf.h keeps room with. The sensor's programs
// call them like any function of their own, on every kernel that knows static functions (4.16).
// Threads: any number at once, with an object of each.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace waggle {

inline constexpr size_t kFilterInstructionsMost = 248;

// Nothing to write, or an object without the function (it has no stream, or no table): nothing
// happens.  REQUIRES: elf is a sensor's object; instructions end in exit, and are
// kFilterInstructionsMost at most
void place_filter(std::span<std::byte> elf, std::string_view function, std::span<const bpf_insn> instructions);

}  // namespace waggle
