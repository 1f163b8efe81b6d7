// BPF instructions as text, the way compilers and bpftool write them:
//   r1 = *(u64 *)(r6 + 8)
//   if r1 s> 5 goto +3
// For debugging and for tests.
#pragma once

#include <linux/bpf.h>

#include <span>
#include <string>

#include "codegen/compile.h"

namespace waggle::codegen {

// Each instruction on a line, without its index; one of two words takes one line. Words
// that are no instruction are shown as such.
std::string disassemble(std::span<const bpf_insn> instructions);

// The whole of a program: with indices, names of functions and source positions.
std::string listing(const Code &code);

}  // namespace waggle::codegen
