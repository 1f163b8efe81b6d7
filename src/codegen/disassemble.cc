#include "codegen/disassemble.h"

#include <fmt/format.h>

#include <cstdlib>
#include <iterator>
#include <string_view>

namespace waggle::codegen {
namespace {

#define WAGGLE_HELPER_NAME(name) #name
constexpr std::string_view kHelpers[] = {__BPF_FUNC_MAPPER(WAGGLE_HELPER_NAME)};
#undef WAGGLE_HELPER_NAME

std::string unknown(const bpf_insn &each) {
  return fmt::format("(code 0x{:02x})", each.code);
}

std::string_view size_name(uint8_t code) {
  switch (BPF_SIZE(code)) {
    case BPF_B:
      return "u8";
    case BPF_H:
      return "u16";
    case BPF_W:
      return "u32";
    default:
      return "u64";
  }
}

std::string_view alu_sign(uint8_t code) {
  switch (BPF_OP(code)) {
    case BPF_ADD:
      return "+=";
    case BPF_SUB:
      return "-=";
    case BPF_MUL:
      return "*=";
    case BPF_DIV:
      return "/=";
    case BPF_MOD:
      return "%=";
    case BPF_AND:
      return "&=";
    case BPF_OR:
      return "|=";
    case BPF_XOR:
      return "^=";
    case BPF_LSH:
      return "<<=";
    case BPF_RSH:
      return ">>=";
    case BPF_ARSH:
      return "s>>=";
    case BPF_MOV:
      return "=";
    default:
      return {};
  }
}

std::string_view jump_sign(uint8_t code) {
  switch (BPF_OP(code)) {
    case BPF_JEQ:
      return "==";
    case BPF_JNE:
      return "!=";
    case BPF_JLT:
      return "<";
    case BPF_JLE:
      return "<=";
    case BPF_JGT:
      return ">";
    case BPF_JGE:
      return ">=";
    case BPF_JSLT:
      return "s<";
    case BPF_JSLE:
      return "s<=";
    case BPF_JSGT:
      return "s>";
    case BPF_JSGE:
      return "s>=";
    case BPF_JSET:
      return "&";
    default:
      return {};
  }
}

std::string memory(const bpf_insn &each, unsigned base) {
  return fmt::format("*({} *)(r{} {} {})", size_name(each.code), base, each.off < 0 ? '-' : '+', std::abs(each.off));
}

std::string alu(const bpf_insn &each) {
  char letter = BPF_CLASS(each.code) == BPF_ALU64 ? 'r' : 'w';
  unsigned to = each.dst_reg, from = each.src_reg;
  if (BPF_OP(each.code) == BPF_NEG) return fmt::format("{0}{1} = -{0}{1}", letter, to);
  if (BPF_OP(each.code) == BPF_END)
    return fmt::format("r{1} = {0}{2} r{1}", BPF_SRC(each.code) == BPF_TO_BE ? "be" : "le", to, each.imm);
  std::string_view sign = alu_sign(each.code);
  if (sign.empty()) return unknown(each);
  if (BPF_SRC(each.code) == BPF_X) return fmt::format("{0}{1} {2} {0}{3}", letter, to, sign, from);
  return fmt::format("{}{} {} {}", letter, to, sign, each.imm);
}

std::string call(const bpf_insn &each) {
  if (each.src_reg == BPF_PSEUDO_CALL) return fmt::format("call pc{:+}", each.imm);
  if (each.imm < 0 || static_cast<size_t>(each.imm) >= std::size(kHelpers)) return fmt::format("call #{}", each.imm);
  return fmt::format("call bpf_{}#{}", kHelpers[each.imm], each.imm);
}

std::string jump(const bpf_insn &each) {
  char letter = BPF_CLASS(each.code) == BPF_JMP ? 'r' : 'w';
  unsigned left = each.dst_reg, right = each.src_reg;
  switch (BPF_OP(each.code)) {
    case BPF_JA:
      return fmt::format("goto {:+}", each.off);
    case BPF_CALL:
      return call(each);
    case BPF_EXIT:
      return "exit";
    default:
      break;
  }
  std::string_view sign = jump_sign(each.code);
  if (sign.empty()) return unknown(each);
  if (BPF_SRC(each.code) == BPF_X)
    return fmt::format("if {0}{1} {2} {0}{3} goto {4:+}", letter, left, sign, right, each.off);
  return fmt::format("if {}{} {} {} goto {:+}", letter, left, sign, each.imm, each.off);
}

std::string wide_constant(const bpf_insn &first, const bpf_insn &second) {
  unsigned to = first.dst_reg;
  switch (first.src_reg) {
    case BPF_PSEUDO_MAP_FD:
      return fmt::format("r{} = map[fd:{}]", to, first.imm);
    case BPF_PSEUDO_MAP_VALUE:
      return fmt::format("r{} = map[fd:{}]+{}", to, first.imm, second.imm);
    case BPF_PSEUDO_FUNC:
      return fmt::format("r{} = subprog[{:+}]", to, first.imm);
    default:
      return fmt::format(
          "r{} = 0x{:x} ll", to,
          static_cast<uint64_t>(static_cast<uint32_t>(second.imm)) << 32 | static_cast<uint32_t>(first.imm));
  }
}

std::string store(const bpf_insn &each) {
  unsigned base = each.dst_reg, from = each.src_reg;
  if (BPF_CLASS(each.code) == BPF_ST) return fmt::format("{} = {}", memory(each, base), each.imm);
  if (BPF_MODE(each.code) == BPF_ATOMIC && each.imm == BPF_ADD)
    return fmt::format("lock {} += r{}", memory(each, base), from);
  if (BPF_MODE(each.code) != BPF_MEM) return unknown(each);
  return fmt::format("{} = r{}", memory(each, base), from);
}

// BPF_LD and BPF_IMM are 0.
constexpr int kWideConstant = BPF_DW;

bool takes_two(std::span<const bpf_insn> instructions, size_t at) {
  return instructions[at].code == kWideConstant && at + 1 < instructions.size();
}

std::string text_at(std::span<const bpf_insn> instructions, size_t at) {
  const bpf_insn &each = instructions[at];
  switch (BPF_CLASS(each.code)) {
    case BPF_ALU:
    case BPF_ALU64:
      return alu(each);
    case BPF_JMP:
    case BPF_JMP32:
      return jump(each);
    case BPF_LDX:
      return fmt::format("r{} = {}", static_cast<unsigned>(each.dst_reg), memory(each, each.src_reg));
    case BPF_ST:
    case BPF_STX:
      return store(each);
    default:
      return takes_two(instructions, at) ? wide_constant(each, instructions[at + 1]) : unknown(each);
  }
}

}  // namespace

std::string disassemble(std::span<const bpf_insn> instructions) {
  std::string out;
  for (size_t at = 0; at < instructions.size(); at += takes_two(instructions, at) ? 2 : 1)
    out += text_at(instructions, at) + "\n";
  return out;
}

std::string listing(const Code &code) {
  std::string out;
  auto line = code.lines.begin();
  auto function = code.subprograms.begin();
  for (size_t at = 0; at < code.instructions.size(); at += takes_two(code.instructions, at) ? 2 : 1) {
    for (; function != code.subprograms.end() && function->start <= at; ++function)
      out += fmt::format("{}: {} bytes of stack\n", function->name, function->stack_bytes);
    for (; line != code.lines.end() && line->instruction <= at; ++line)
      if (line->position.line != 0) out += fmt::format("; {}:{}\n", line->position.line, line->position.column);
    out += fmt::format("{:4}: {}\n", at, text_at(code.instructions, at));
  }
  return out;
}

}  // namespace waggle::codegen
