// BPF instructions that name more registers than there are: what lower() makes of ir.h
// and allocate() brings down to r0 … r9. For codegen alone.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "codegen/ir.h"

namespace waggle::codegen {

// Numbers below are BPF's own: r0 results, r1 to r5 arguments, lost by every call, r6 to
// r9, which are not, r10 the end of the stack frame.
constexpr uint32_t kAllocatable = 10, kFrame = 10, kFirstVirtual = 11;
constexpr uint32_t kLostByCalls = 6;  // r0 to r5
constexpr uint32_t kStackBytesMost = 512;

struct Machine {
  // What the loader or the linker fills in, with `target` and `imm` saying which.
  enum class Link : uint8_t { kNone, kMap, kMapValue, kFunctionAddress, kFunctionCall };

  uint8_t code = 0;
  bool label = false;  // no instruction, but the place `target`
  Link link = Link::kNone;
  uint8_t arguments = 0;  // of calls: so many of r1 … r5
  int16_t off = 0;
  uint32_t dst = 0, src = 0;
  int64_t imm = 0;  // 32 bits but for BPF_LD
  uint32_t target = 0;
  Position position;

  uint8_t kind() const { return BPF_CLASS(code); }
  uint8_t operation() const { return BPF_OP(code); }
  bool is_alu() const { return !label && (kind() == BPF_ALU64 || kind() == BPF_ALU); }
  bool is_label() const { return label; }
  bool is_call() const { return !label && code == (BPF_JMP | BPF_CALL); }
  bool is_jump() const { return !label && kind() == BPF_JMP && operation() != BPF_CALL && operation() != BPF_EXIT; }
  bool ends_block() const { return !label && (code == (BPF_JMP | BPF_JA) || code == (BPF_JMP | BPF_EXIT)); }
  // All 64 bits of one register to another.
  bool is_move() const { return !label && code == (BPF_ALU64 | BPF_MOV | BPF_X); }
  // A register gets what is known before the program runs.
  bool is_constant() const { return !label && (code == (BPF_ALU64 | BPF_MOV | BPF_K) || kind() == BPF_LD); }
  bool reads_dst() const {
    if (is_alu()) return operation() != BPF_MOV;
    if (label || kind() == BPF_LD || kind() == BPF_LDX) return false;
    if (kind() == BPF_JMP) return is_jump() && operation() != BPF_JA;
    return true;
  }
  bool writes_dst() const { return !label && (is_alu() || kind() == BPF_LD || kind() == BPF_LDX); }
  bool reads_src() const {
    if (label || kind() == BPF_LD || kind() == BPF_ST) return false;
    if (kind() == BPF_LDX || kind() == BPF_STX) return true;
    // BPF_END keeps the byte order where others say whether there is a src.
    if (is_alu()) return BPF_SRC(code) == BPF_X && operation() != BPF_END;
    return is_jump() && operation() != BPF_JA && BPF_SRC(code) == BPF_X;
  }
};

// Calls define(register) and use(register); the frame pointer, which never changes, is not
// among them.
template <typename Define, typename Use>
void visit_registers(const Machine &each, Define define, Use use) {
  if (each.is_call()) {
    for (uint32_t lost = 0; lost < kLostByCalls; lost++) define(lost);
    for (uint32_t i = 1; i <= each.arguments; i++) use(i);
    return;
  }
  if (!each.label && each.code == (BPF_JMP | BPF_EXIT)) {
    use(uint32_t{0});
    return;
  }
  if (each.writes_dst()) define(each.dst);
  if (each.reads_dst() && each.dst != kFrame) use(each.dst);
  if (each.reads_src() && each.src != kFrame) use(each.src);
}

struct MachineCode {
  std::string name;
  std::vector<Machine> body;
  uint32_t registers = kFirstVirtual;
  uint32_t labels = 0;
  uint32_t stack_bytes = 0;
};

// errors: Exhausted, the slots do not fit into a stack frame
Result<MachineCode> lower(const Function &function);

// Gives every virtual register one of r0 … r9, or a place on the stack.
// errors: Exhausted, no more stack, or too many registers to work on
Result<void> allocate(MachineCode &code);

// What one function's stack frame has no room for.
tl::unexpected<Error> stack_exhausted(const std::string &function, uint32_t bytes);

}  // namespace waggle::codegen
