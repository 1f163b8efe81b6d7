// USDT probes as compilers leave them in a file: notes of section .note.stapsdt.
// A note says where the probe is (a nop), which counter turns its preparations
// on (the semaphore), and where each argument lies at that place, in the
// assembler's words: "-4@%edi 8@-24(%rbp) 4@$7".
// Any bytes yield values or an Error; parsers are not trusted with more than they need.
// Threads: any number at once.
// source: systemtap wiki, "UserSpaceProbeImplementation"; GNU as manual, "i386-Memory"
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

struct StapsdtNote {
  uint64_t address = 0;    // of the nop, as the file was linked
  uint64_t base = 0;       // where .stapsdt.base was when the note was written; 0: it cannot have moved
  uint64_t semaphore = 0;  // address; 0: it has none
  std::string provider, name;
  std::string arguments;
};

// The notes of a .note.stapsdt section; notes of other owners are left out.
//   errors  Invalid  a note ends outside of the section
Result<std::vector<StapsdtNote>> parse_stapsdt(std::span<const std::byte> section);

// value = sign- or zero-extended `bytes` of
//   kConstant  constant
//   kRegister  base
//   kMemory    *(base + index * scale + constant)
struct UsdtArgument {
  enum class Where : uint8_t { kUnknown, kConstant, kRegister, kMemory };
  Where where = Where::kUnknown;
  bool is_signed = false;
  uint8_t bytes = 0;  // 1, 2, 4 or 8
  uint8_t scale = 1;  // 1, 2, 4 or 8
  // Numbers of registers as kUsdtRegisters has them; -1: none.
  int8_t base = -1, index = -1;
  // A register's bits that are not its lowest: %ah is bits 8 to 15 of %rax.
  uint8_t shift = 0;
  int64_t constant = 0;
  bool operator==(const UsdtArgument &) const = default;
};

// In the order of struct user_regs_struct, the kernel's struct pt_regs: 8 bytes each.
inline constexpr std::string_view kUsdtRegisters[] = {"r15", "r14", "r13", "r12", "rbp", "rbx", "r11",
                                                      "r10", "r9",  "r8",  "rax", "rcx", "rdx", "rsi",
                                                      "rdi", "",    "rip", "",    "",    "rsp"};

// One argument; kUnknown for what is not an integer in a general register or in
// memory (a floating-point register, a symbol).
UsdtArgument parse_usdt_argument(std::string_view text);
// All of a note's.
std::vector<UsdtArgument> parse_usdt_arguments(std::string_view text);

}  // namespace waggle
