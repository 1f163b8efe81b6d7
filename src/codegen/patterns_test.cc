// The instructions that small patterns become: not one more than it takes.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "codegen/builder.h"
#include "codegen/compile.h"
#include "codegen/disassemble.h"

namespace waggle::codegen {
namespace {

struct Case {
  const char *name;
  std::function<void(Builder &)> write;
  const char *expect;
};

const Case kCases[] = {
    {"the end of a function returns 0", [](Builder &) {}, "r0 = 0\nexit\n"},
    {"a constant of 32 bits", [](Builder &b) { b.ret(-7); }, "r0 = -7\nexit\n"},
    {"a constant of 32 bits without sign", [](Builder &b) { b.ret(0xffffffff); }, "w0 = -1\nexit\n"},
    {"a constant of 64 bits", [](Builder &b) { b.ret(0x0123456789abcdef); }, "r0 = 0x123456789abcdef ll\nexit\n"},
    {"the context is where it comes", [](Builder &b) { b.ret(b.load(Size::k4, b.context(), 8)); },
     "r0 = *(u32 *)(r1 + 8)\nexit\n"},
    {"constants are computed",
     [](Builder &b) {
       Register x = b.copy(6);
       b.ret(b.narrow(Size::k1, true, b.add(b.mul(x, 41), b.compare(Condition::kLess, x, 7))));
     },
     "r0 = -9\nexit\n"},
    {"addresses join offsets",
     [](Builder &b) {
       Register p = b.add(b.context(), 16);
       b.ret(b.load(Size::k8, b.add(p, 8), 4));
     },
     "r0 = *(u64 *)(r1 + 28)\nexit\n"},
    {"powers of two",
     [](Builder &b) {
       Register x = b.load(Size::k8, b.context());
       b.ret(b.mod(b.div(b.mul(x, 8), 16), 32));
     },
     "r0 = *(u64 *)(r1 + 0)\nr0 <<= 3\nr0 >>= 4\nr0 &= 31\nexit\n"},
    {"loads are wide enough already",
     [](Builder &b) { b.ret(b.narrow(Size::k4, false, b.load(Size::k2, b.context()))); },
     "r0 = *(u16 *)(r1 + 0)\nexit\n"},
    {"uint32", [](Builder &b) { b.ret(b.narrow(Size::k4, false, b.context())); }, "w0 = w1\nexit\n"},
    {"int16", [](Builder &b) { b.ret(b.narrow(Size::k2, true, b.context())); },
     "r1 <<= 48\nr1 s>>= 48\nr0 = r1\nexit\n"},
    {"a filter",
     [](Builder &b) {
       Label skip = b.label();
       b.branch_unless(b.compare(Condition::kEqual, b.shift_right(b.call(BPF_FUNC_get_current_pid_tgid, {}), 32), 4242),
                       skip);
       b.ret(1);
       b.bind(skip);
       b.ret(0);
     },
     "call bpf_get_current_pid_tgid#14\nr0 >>= 32\nif r0 != 4242 goto +2\nr0 = 1\nexit\nr0 = 0\nexit\n"},
    {"a condition as a value", [](Builder &b) { b.ret(b.compare(Condition::kLess, b.load(Size::k8, b.context()), 5)); },
     "r1 = *(u64 *)(r1 + 0)\nr0 = 1\nif r1 s< 5 goto +1\nr0 = 0\nexit\n"},
    {"a loop",
     [](Builder &b) {
       Register sum = b.variable(), i = b.variable();
       b.assign(sum, 0);
       b.assign(i, 0);
       Label again = b.label();
       b.bind(again);
       b.assign(sum, b.add(sum, i));
       b.assign(i, b.add(i, 1));
       b.branch(Condition::kBelow, i, 10, again);
       b.ret(sum);
     },
     "r0 = 0\nr1 = 0\nr0 += r1\nr1 += 1\nif r1 < 10 goto -3\nexit\n"},
    {"a value across a call",
     [](Builder &b) {
       Register before = b.call(BPF_FUNC_ktime_get_ns, {});
       b.ret(b.sub(b.call(BPF_FUNC_ktime_get_ns, {}), before));
     },
     "call bpf_ktime_get_ns#5\nr6 = r0\ncall bpf_ktime_get_ns#5\nr0 -= r6\nexit\n"},
    {"count in a map",
     [](Builder &b) {
       Slot key = b.slot(4, 4);
       b.store(Size::k4, key, 0, 5);
       Register value = b.call(BPF_FUNC_map_lookup_elem, {Value::map(0), key});
       Label none = b.label();
       b.branch_unless(value, none);
       b.atomic_add(Size::k8, value, 0, 1);
       b.bind(none);
     },
     "*(u32 *)(r10 - 4) = 5\nr1 = map[fd:0]\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem#1\nif r0 == 0 goto +2\n"
     "r1 = 1\nlock *(u64 *)(r0 + 0) += r1\nr0 = 0\nexit\n"},
    {"a variable that a branch changes",
     [](Builder &b) {
       Register x = b.variable();
       Label done = b.label();
       b.assign(x, 1);
       b.branch(Condition::kEqual, b.load(Size::k8, b.context()), 0, done);
       b.assign(x, 2);
       b.bind(done);
       b.ret(x);
     },
     "r0 = 1\nr1 = *(u64 *)(r1 + 0)\nif r1 == 0 goto +1\nr0 = 2\nexit\n"},
    {"what cannot happen",
     [](Builder &b) {
       Label never = b.label(), done = b.label();
       b.branch(Condition::kEqual, b.copy(1), 2, never);
       b.jump(done);
       b.bind(never);
       b.store(Size::k8, b.context(), 0, 1);
       b.jump(never);
       b.bind(done);
     },
     "r0 = 0\nexit\n"},
    {"jumps to jumps, and over jumps",
     [](Builder &b) {
       Label first = b.label(), second = b.label(), other = b.label();
       Register x = b.load(Size::k8, b.context());
       b.branch(Condition::kAbove, x, 9, first);
       b.jump(other);
       b.bind(first);
       b.jump(second);
       b.bind(second);
       b.ret(1);
       b.bind(other);
       b.ret(2);
     },
     "r1 = *(u64 *)(r1 + 0)\nif r1 <= 9 goto +2\nr0 = 1\nexit\nr0 = 2\nexit\n"},
    {"what nobody reads",
     [](Builder &b) {
       Register x = b.load(Size::k8, b.context());
       b.div(b.add(x, 1), 3, true);
       b.compare(Condition::kLess, x, 1);
       b.call(BPF_FUNC_ktime_get_ns, {});
     },
     "call bpf_ktime_get_ns#5\nr0 = 0\nexit\n"},
    {"signed division by a power of two", [](Builder &b) { b.ret(b.div(b.load(Size::k8, b.context()), 1024, true)); },
     "r1 = *(u64 *)(r1 + 0)\nr0 = r1\nr0 s>>= 63\nr0 >>= 54\nr0 += r1\nr0 s>>= 10\nexit\n"},
    {"map values", [](Builder &b) { b.ret(b.load(Size::k4, Value::map_value(3, 16), 4)); },
     "r1 = map[fd:0]+16\nr0 = *(u32 *)(r1 + 4)\nexit\n"},
};

TEST(CodegenPatterns, TakeTheInstructionsTheyMust) {
  for (const Case &each : kCases) {
    Builder b("test");
    each.write(b);
    Function functions[] = {b.finish()};
    const std::string source = text(functions[0]);
    Result<Code> code = compile(functions);
    ASSERT_TRUE(code.has_value()) << each.name << "\n" << code.error().text();
    EXPECT_EQ(disassemble(code->instructions), each.expect) << each.name << "\n" << source;
  }
}

TEST(CodegenPatterns, AreListedWithTheirPlaces) {
  Builder main("main"), other("other", 2);
  main.at({3, 7});
  main.ret(main.call_function(1, {1, main.context()}));
  other.at({9, 1});
  other.ret(other.add(other.parameter(0), other.parameter(1)));
  Function functions[] = {main.finish(), other.finish()};
  Result<Code> code = compile(functions);
  ASSERT_TRUE(code.has_value());
  EXPECT_EQ(listing(*code),
            "main: 0 bytes of stack\n"
            "; 3:7\n"
            "   0: r2 = r1\n"
            "   1: r1 = 1\n"
            "   2: call pc+1\n"
            "   3: exit\n"
            "other: 0 bytes of stack\n"
            "; 9:1\n"
            "   4: r1 += r2\n"
            "   5: r0 = r1\n"
            "   6: exit\n");
}

bpf_insn word(int code, int to, int from, int off, int32_t imm) {
  bpf_insn made = {};
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = static_cast<uint8_t>(to & 15);
  made.src_reg = static_cast<uint8_t>(from & 15);
  made.off = static_cast<int16_t>(off);
  made.imm = imm;
  return made;
}

TEST(CodegenPatterns, AllInstructionsHaveAText) {
  const struct {
    bpf_insn instruction;
    const char *expect;
  } cases[] = {
      {word(BPF_ALU64 | BPF_NEG, 3, 0, 0, 0), "r3 = -r3\n"},
      {word(BPF_ALU | BPF_NEG, 3, 0, 0, 0), "w3 = -w3\n"},
      {word(BPF_ALU64 | BPF_ARSH | BPF_X, 1, 2, 0, 0), "r1 s>>= r2\n"},
      {word(BPF_ALU | BPF_XOR | BPF_K, 1, 0, 0, -1), "w1 ^= -1\n"},
      {word(BPF_ALU | BPF_END | BPF_TO_BE, 1, 0, 0, 16), "r1 = be16 r1\n"},
      {word(BPF_ALU | BPF_END | BPF_TO_LE, 1, 0, 0, 64), "r1 = le64 r1\n"},
      {word(BPF_STX | BPF_MEM | BPF_B, 10, 4, -1, 0), "*(u8 *)(r10 - 1) = r4\n"},
      {word(BPF_ST | BPF_MEM | BPF_H, 1, 0, 2, 9), "*(u16 *)(r1 + 2) = 9\n"},
      {word(BPF_JMP32 | BPF_JSGT | BPF_X, 1, 2, -5, 0), "if w1 s> w2 goto -5\n"},
      {word(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 5, 4), "if r1 & 4 goto +5\n"},
      {word(BPF_JMP | BPF_JA, 0, 0, -2, 0), "goto -2\n"},
      {word(BPF_JMP | BPF_CALL, 0, 0, 0, 99999), "call #99999\n"},
      {word(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -3), "call pc-3\n"},
      {word(BPF_LD | BPF_DW | BPF_IMM, 0, 0, 0, 0), "(code 0x18)\n"},  // its second word is missing
      {word(BPF_ALU64 | 0xe0, 0, 0, 0, 0), "(code 0xe7)\n"},
      {word(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, BPF_XCHG), "(code 0xdb)\n"},
  };
  for (const auto &each : cases) EXPECT_EQ(disassemble({&each.instruction, 1}), each.expect);
}

}  // namespace
}  // namespace waggle::codegen
