// Stacks and symbols as text, by mode:
//   bpftrace   read+12                  one frame a line, after the indent
//   perf       ffffffff81234567 read+12 (vmlinux)
//   raw        ffffffff81234567
//   build_id   5fb0…e2 0x1234: build id and offset in the file; an address where there is none
// Threads: any number at once with a Resolver of each.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

// A line end, then the frames, each with its line end. No frames: a line end alone.
// REQUIRES: type is a stack
void append_stack(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                  uint32_t indent);

// The function's name; where it is not known 0x and the address.
// REQUIRES: type is a symbol
void append_symbol(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver);

}  // namespace waggle::script
