// Executes BPF instructions over the process's own memory, so that compiled code can be
// tried where the kernel may not be asked, under sanitizers and by a fuzzer. It is harsher
// than the kernel: what a call may lose is lost, and what nobody wrote is garbage.
// For tests alone.
// source: Documentation/bpf/standardization/instruction-set.rst
#pragma once

#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"
#include "codegen/compile.h"

namespace waggle::codegen {

class Emulator {
 public:
  using Helper = std::function<uint64_t(uint32_t helper, const std::array<uint64_t, kArgumentsMost> &arguments)>;

  Emulator(const Code &code, Helper helper, uint64_t instructions_most)
      : code_(code), helper_(std::move(helper)), left_(instructions_most) {}

  // Nothing: it has run too long.
  std::optional<uint64_t> run(uint64_t context) { return call(0, {context, kGarbage, kGarbage, kGarbage, kGarbage}); }

 private:
  static constexpr uint64_t kGarbage = 0xa5a5a5a5deadbeef;
  using Registers = std::array<uint64_t, 11>;

  std::optional<uint64_t> call(size_t at, const std::array<uint64_t, kArgumentsMost> &arguments) {
    alignas(8) std::array<uint8_t, 512> stack;
    stack.fill(0xa5);
    Registers r;
    r.fill(kGarbage);
    for (size_t i = 0; i < kArgumentsMost; i++) r[i + 1] = arguments[i];
    r[10] = reinterpret_cast<uint64_t>(stack.data() + stack.size());
    for (;; at++) {
      CHECK(at < code_.instructions.size());
      if (left_-- == 0) return std::nullopt;
      const bpf_insn &each = code_.instructions[at];
      switch (BPF_CLASS(each.code)) {
        case BPF_ALU64:
          r[each.dst_reg] = alu(each, r[each.dst_reg], operand(each, r));
          break;
        case BPF_ALU:
          alu32(each, r);
          break;
        case BPF_LD:
          r[each.dst_reg] = static_cast<uint64_t>(static_cast<uint32_t>(code_.instructions[at + 1].imm)) << 32 |
                            static_cast<uint32_t>(each.imm);
          at++;
          break;
        case BPF_LDX:
          load(each, r);
          break;
        case BPF_ST:
          store(each, r, static_cast<uint64_t>(static_cast<int64_t>(each.imm)));
          break;
        case BPF_STX:
          store(each, r, r[each.src_reg]);
          break;
        default:
          if (BPF_OP(each.code) == BPF_EXIT) return r[0];
          if (BPF_OP(each.code) == BPF_CALL) {
            std::array<uint64_t, kArgumentsMost> in;
            std::copy_n(r.begin() + 1, kArgumentsMost, in.begin());
            std::optional<uint64_t> result =
                each.src_reg == BPF_PSEUDO_CALL ? call(at + 1 + static_cast<size_t>(static_cast<int64_t>(each.imm)), in)
                                                : helper_(static_cast<uint32_t>(each.imm), in);
            if (!result) return result;
            std::fill_n(r.begin(), 6, kGarbage);
            r[0] = *result;
          } else if (jumps(each, r)) {
            at += static_cast<size_t>(static_cast<int64_t>(each.off));
          }
      }
    }
  }

  static uint64_t operand(const bpf_insn &each, const Registers &r) {
    return BPF_SRC(each.code) == BPF_X ? r[each.src_reg] : static_cast<uint64_t>(static_cast<int64_t>(each.imm));
  }

  static uint64_t alu(const bpf_insn &each, uint64_t to, uint64_t from) {
    switch (BPF_OP(each.code)) {
      case BPF_ADD:
        return to + from;
      case BPF_SUB:
        return to - from;
      case BPF_MUL:
        return to * from;
      case BPF_DIV:
        return from == 0 ? 0 : to / from;
      case BPF_MOD:
        return from == 0 ? to : to % from;
      case BPF_AND:
        return to & from;
      case BPF_OR:
        return to | from;
      case BPF_XOR:
        return to ^ from;
      case BPF_LSH:
        return to << (from & 63);
      case BPF_RSH:
        return to >> (from & 63);
      case BPF_ARSH:
        return static_cast<uint64_t>(static_cast<int64_t>(to) >> (from & 63));
      case BPF_MOV:
        return from;
      case BPF_NEG:
        return 0 - to;
      default:
        CHECK(false);
    }
  }

  // Of these, lower() writes moves, masks and byte swaps alone.
  static void alu32(const bpf_insn &each, Registers &r) {
    uint64_t &to = r[each.dst_reg];
    if (BPF_OP(each.code) == BPF_END) {
      CHECK(BPF_SRC(each.code) == BPF_TO_BE);
      to = each.imm == 16   ? __builtin_bswap16(static_cast<uint16_t>(to))
           : each.imm == 32 ? __builtin_bswap32(static_cast<uint32_t>(to))
                            : __builtin_bswap64(to);
      return;
    }
    CHECK(BPF_OP(each.code) == BPF_MOV || BPF_OP(each.code) == BPF_AND);
    to = static_cast<uint32_t>(alu(each, to, operand(each, r)));
  }

  static size_t bytes(const bpf_insn &each) {
    switch (BPF_SIZE(each.code)) {
      case BPF_B:
        return 1;
      case BPF_H:
        return 2;
      case BPF_W:
        return 4;
      default:
        return 8;
    }
  }

  static void *place(uint64_t base, const bpf_insn &each) {
    uint64_t address = base + static_cast<uint64_t>(int64_t{each.off});
    return reinterpret_cast<void *>(address);  // NOLINT(performance-no-int-to-ptr): registers hold addresses
  }

  static void load(const bpf_insn &each, Registers &r) {
    uint64_t value = 0;
    memcpy(&value, place(r[each.src_reg], each), bytes(each));
    r[each.dst_reg] = value;
  }

  static void store(const bpf_insn &each, const Registers &r, uint64_t value) {
    void *at = place(r[each.dst_reg], each);
    if (BPF_MODE(each.code) == BPF_ATOMIC) {
      CHECK(each.imm == BPF_ADD && bytes(each) >= 4);
      uint64_t there = 0;
      memcpy(&there, at, bytes(each));
      value += there;
    }
    memcpy(at, &value, bytes(each));
  }

  static bool jumps(const bpf_insn &each, const Registers &r) {
    uint64_t left = r[each.dst_reg], right = operand(each, r);
    auto signed_left = static_cast<int64_t>(left), signed_right = static_cast<int64_t>(right);
    CHECK(BPF_CLASS(each.code) == BPF_JMP);
    switch (BPF_OP(each.code)) {
      case BPF_JA:
        return true;
      case BPF_JEQ:
        return left == right;
      case BPF_JNE:
        return left != right;
      case BPF_JLT:
        return left < right;
      case BPF_JLE:
        return left <= right;
      case BPF_JGT:
        return left > right;
      case BPF_JGE:
        return left >= right;
      case BPF_JSLT:
        return signed_left < signed_right;
      case BPF_JSLE:
        return signed_left <= signed_right;
      case BPF_JSGT:
        return signed_left > signed_right;
      case BPF_JSGE:
        return signed_left >= signed_right;
      default:
        CHECK(false);
    }
  }

  const Code &code_;
  Helper helper_;
  uint64_t left_;
};

}  // namespace waggle::codegen
