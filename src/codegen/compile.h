// From functions (ir.h) to a BPF program, in microseconds to a few milliseconds:
// optimise, choose instructions, allocate registers, link.
//
// The instructions are those of every kernel from 5.10 on (clang's -mcpu=v3): no signed
// division, no long jumps. What the kernel must still be told are the descriptors of maps
// (load.h) and, for callbacks or readable logs of the verifier, the types (program_btf.h).
// Threads: functions of values; any number at once.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "codegen/ir.h"

namespace waggle::codegen {

// Where an instruction (of two words) names a map. Its imm is the map's descriptor, its
// kind (src_reg) already BPF_PSEUDO_MAP_FD or BPF_PSEUDO_MAP_VALUE.
struct MapPlace {
  uint32_t instruction = 0;
  MapId map = 0;
};
// The code from here to the next stands for this position.
struct LinePlace {
  uint32_t instruction = 0;
  Position position;
};
struct Subprogram {
  std::string name;
  uint32_t start = 0;  // its first instruction
  uint32_t parameters = 0;
  uint32_t stack_bytes = 0;  // of its own frame
};

// Indices count words of 8 bytes, as the kernel does: a 64-bit constant is two.
struct Code {
  std::vector<bpf_insn> instructions;
  std::vector<MapPlace> maps;
  std::vector<LinePlace> lines;  // in order; every subprogram's start has one
  std::vector<Subprogram> subprograms;
  bool has_callbacks = false;  // the kernel wants types for those
};

// One function that is not linked yet: calls and addresses of others are open.
struct CompiledFunction {
  struct Reference {
    uint32_t instruction = 0;
    FunctionId function = 0;
    bool is_address = false;
  };
  Code code;  // one subprogram
  std::vector<Reference> references;
};

// A program: its first function is what the kernel calls, the others are called by it.
// Functions that nothing refers to are left out.
//   errors  Exhausted  more than 512 bytes of stack in a function; jumps over more than
//                      32767 instructions; calls more than 8 deep, or recursive
Result<Code> compile(std::span<const Function> program);

// Its parts.
Result<CompiledFunction> compile_function(Function function);
Result<Code> link(std::span<const CompiledFunction> program);

}  // namespace waggle::codegen
