// Whole programs: more values than registers, slots, calls, callbacks, limits, and what the
// kernel says of them.
#include "codegen/compile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/btf.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "codegen/builder.h"
#include "codegen/disassemble.h"
#include "codegen/run_for_test.h"
#include "format/btf.h"

namespace waggle::codegen {
namespace {

const Input kInput = {3, 1ull << 40, UINT64_MAX - 6, 77, 0x8000000000000001, 12345, 0, 99};

// The same from the interpreter and, where it may be asked, from the kernel.
void expect_same(const std::vector<Function> &program, uint64_t returned) {
  Result<Ran> in_user_space = run_in_user_space(program, kInput);
  ASSERT_TRUE(in_user_space.has_value()) << in_user_space.error().text();
  EXPECT_EQ(in_user_space->returned & UINT32_MAX, returned & UINT32_MAX) << text(program[0]);
  Result<KernelRunner> kernel = KernelRunner::make(program);
  if (!kernel && kernel.error().code == ErrorCode::kDenied) GTEST_SKIP() << kernel.error().text();
  ASSERT_TRUE(kernel.has_value()) << kernel.error().text() << text(program[0]);
  Result<Ran> ran = kernel->run(kInput);
  ASSERT_TRUE(ran.has_value()) << ran.error().text();
  EXPECT_EQ(ran->returned, returned & UINT32_MAX) << text(program[0]) << listing(*compile(program));
  EXPECT_EQ(ran->map, in_user_space->map);
}

Slot read_input(Builder &b) {
  Slot input = b.slot(sizeof(Input));
  for (uint32_t i = 0; i < kInputWords; i++) b.store(Size::k8, input, static_cast<int32_t>(i * 8), 0);
  b.call(BPF_FUNC_skb_load_bytes, {b.context(), 0, input, sizeof(Input)});
  return input;
}

// `count` values, all of them needed after a call and in a loop.
Function many_values(uint32_t count) {
  Builder b("many");
  Slot input = read_input(b);
  std::vector<Register> values;
  for (uint32_t i = 0; i < count; i++)
    values.push_back(b.add(b.load(Size::k8, input, static_cast<int32_t>(i % kInputWords * 8)), i));
  b.call(BPF_FUNC_ktime_get_ns, {});
  Register sum = b.variable(), i = b.variable();
  b.assign(sum, 0);
  b.assign(i, 0);
  Label again = b.label();
  b.bind(again);
  for (Register each : values) b.assign(sum, b.add(b.mul(sum, 7), b.bit_xor(each, i)));
  b.call(BPF_FUNC_ktime_get_ns, {});
  b.assign(i, b.add(i, 1));
  b.branch(Condition::kBelow, i, 3, again);
  b.ret(sum);
  return b.finish();
}

uint64_t sum_of_many(uint32_t count) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 3; i++)
    for (uint64_t each = 0; each < count; each++) sum = sum * 7 + ((kInput[each % kInputWords] + each) ^ i);
  return sum;
}

TEST(CodegenCompile, MoreValuesThanRegisters) {
  for (uint32_t count : {1u, 4u, 5u, 9u, 10u, 11u, 14u, 20u, 40u}) {
    Function function = many_values(count);
    expect_same({function}, sum_of_many(count));
    Result<CompiledFunction> compiled = compile_function(function);
    ASSERT_TRUE(compiled.has_value());
    // What four registers do not hold lies in as many words, and not many more.
    uint32_t words = (compiled->code.subprograms[0].stack_bytes - sizeof(Input)) / 8;
    EXPECT_LE(words, count + 2);
    if (count <= 2) {
      EXPECT_EQ(words, 0u);
    }
  }
}

TEST(CodegenCompile, ConstantsTakeNoStack) {
  Builder b("constants");
  std::vector<Register> values;
  for (uint64_t i = 0; i < 30; i++) {
    Register made = b.variable();
    b.assign(made, 0x1111111111111111u * i);
    values.push_back(made);
  }
  Register sum = b.variable();
  b.assign(sum, 0);
  for (int round = 0; round < 2; round++) {
    b.call(BPF_FUNC_ktime_get_ns, {});
    for (Register each : values) b.assign(sum, b.add(b.mul(sum, b.load(Size::k8, Value::map_value(0))), each));
  }
  b.ret(sum);
  Function function = b.finish();
  expect_same({function}, 0x1111111111111111u * 29);
  Result<CompiledFunction> compiled = compile_function(function);
  ASSERT_TRUE(compiled.has_value());
  EXPECT_EQ(compiled->code.subprograms[0].stack_bytes, 0u);
}

TEST(CodegenCompile, SlotsOfDifferentLivesShareBytes) {
  Builder b("slots");
  Slot first = b.slot(64);
  b.store(Size::k8, first, 56, 1);
  Register kept = b.load(Size::k8, first, 56);
  b.release(first);
  Slot second = b.slot(40), third = b.slot(3, 1), unused = b.slot(500);
  (void)unused;
  b.store(Size::k8, second, 0, 2);
  b.store(Size::k1, third, 2, 3);
  b.ret(b.add(kept, b.add(b.load(Size::k8, second), b.load(Size::k1, third, 2))));
  Function function = b.finish();
  expect_same({function}, 6);
  Result<CompiledFunction> compiled = compile_function(function);
  ASSERT_TRUE(compiled.has_value());
  EXPECT_EQ(compiled->code.subprograms[0].stack_bytes, 64u);
}

TEST(CodegenCompile, FunctionsCallEachOther) {
  Builder main("main"), twice("twice", 1), mix("mix", 5), unused("unused", 1);
  Slot input = read_input(main);
  std::vector<Value> arguments;
  for (int32_t i = 4; i >= 0; i--) arguments.push_back(main.load(Size::k8, input, i * 8));
  Register mixed = main.call_function(2, arguments);
  main.ret(main.add(mixed, main.call_function(1, {mixed})));
  twice.ret(twice.mul(twice.parameter(0), 2));
  Register sum = mix.variable();
  mix.assign(sum, 0);
  for (uint32_t i = 0; i < 5; i++)
    mix.assign(sum, mix.add(mix.mul(sum, 3), mix.call_function(1, {mix.parameter(4 - i)})));
  mix.ret(sum);
  unused.ret(1);
  uint64_t expect = 0;
  for (size_t i = 0; i < 5; i++) expect = expect * 3 + kInput[i] * 2;
  std::vector<Function> program = {main.finish(), twice.finish(), mix.finish(), unused.finish()};
  expect_same(program, expect * 3);
  Result<Code> code = compile(program);
  ASSERT_TRUE(code.has_value());
  ASSERT_EQ(code->subprograms.size(), 3u);
  EXPECT_EQ(code->subprograms[1].name, "mix");
  EXPECT_FALSE(code->has_callbacks);
}

TEST(CodegenCompile, CallbacksOfLoop) {
  Builder main("main"), body("body", 2);
  Slot state = main.slot(16);
  main.store(Size::k8, state, 0, 100);
  main.store(Size::k8, state, 8, 1);
  Register rounds = main.call(BPF_FUNC_loop, {20, Value::function(1), state, 0});
  main.ret(main.add(main.mul(rounds, 100000), main.add(main.load(Size::k8, state), main.load(Size::k8, state, 8))));
  Register index = body.parameter(0), at = body.parameter(1);
  body.store(Size::k8, at, 0, body.add(body.load(Size::k8, at), index));
  body.store(Size::k8, at, 8, body.add(body.load(Size::k8, at, 8), body.load(Size::k8, at)));
  body.ret(body.compare(Condition::kEqual, index, 9));
  uint64_t first = 100, second = 1;
  for (uint64_t i = 0; i < 10; i++) {
    first += i;
    second += first;
  }
  std::vector<Function> program = {main.finish(), body.finish()};
  Result<Code> code = compile(program);
  ASSERT_TRUE(code.has_value());
  EXPECT_TRUE(code->has_callbacks);
  expect_same(program, 10 * 100000 + first + second);
}

TEST(CodegenCompile, MapsAndTheirValues) {
  Builder b("maps");
  Slot key = b.slot(4, 4);
  b.store(Size::k8, Value::map_value(0, 16), 8, 41);
  Register base = b.copy(Value::map_value(0, 8));
  b.atomic_add(Size::k8, base, 16, 1);
  b.store(Size::k4, base, 0, b.load(Size::k8, base, 16));
  b.ret(b.add(b.load(Size::k8, Value::map_value(0), 24), b.load(Size::k8, base)));
  (void)key;
  expect_same({b.finish()}, 84);
}

TEST(CodegenCompile, Limits) {
  struct Case {
    const char *name, *what;
    std::function<std::vector<Function>()> write;
  };
  const Case cases[] = {
      {"a slot larger than the frame", "'test' needs 520 bytes of stack",
       [] {
         Builder b("test");
         b.store(Size::k1, b.slot(520), 0, 1);
         return std::vector<Function>{b.finish()};
       }},
      {"values larger than the frame", "'many' needs 520 bytes of stack",
       [] { return std::vector<Function>{many_values(80)}; }},
      {"a jump too far", "'test' is too long",
       [] {
         Builder b("test");
         Label end = b.label();
         b.branch(Condition::kEqual, b.load(Size::k8, b.context()), 0, end);
         for (int i = 0; i < 33000; i++) b.store(Size::k8, b.context(), 0, i);
         b.bind(end);
         return std::vector<Function>{b.finish()};
       }},
      {"recursion", "calls of 'test' nest too deep",
       [] {
         Builder b("test");
         b.call_function(0, {1});
         return std::vector<Function>{b.finish()};
       }},
      {"nine functions deep", "calls of 'test8' nest too deep",
       [] {
         std::vector<Function> program;
         for (uint32_t i = 0; i < 9; i++) {
           Builder b(fmt::format("test{}", i));
           if (i < 8) b.call_function(i + 1, {1});
           program.push_back(b.finish());
         }
         return program;
       }},
  };
  for (const Case &each : cases) {
    Result<Code> code = compile(each.write());
    ASSERT_FALSE(code.has_value()) << each.name;
    EXPECT_EQ(code.error().code, ErrorCode::kExhausted) << each.name;
    EXPECT_EQ(code.error().what, each.what);
  }
}

TEST(CodegenInterpret, Limits) {
  struct Case {
    const char *name;
    ErrorCode expect;
    std::function<void(Builder &)> write;
  };
  const Case cases[] = {
      {"no end", ErrorCode::kExhausted,
       [](Builder &b) {
         Label again = b.label();
         b.bind(again);
         b.jump(again);
       }},
      {"recursion", ErrorCode::kExhausted, [](Builder &b) { b.call_function(0, {b.context()}); }},
      {"null", ErrorCode::kDenied, [](Builder &b) { b.load(Size::k8, b.copy(0), 8); }},
      {"refused", ErrorCode::kDenied, [](Builder &b) { b.store(Size::k8, b.copy(1 << 20), 0, 1); }},
      {"helper", ErrorCode::kUnsupported, [](Builder &b) { b.call(BPF_FUNC_get_current_comm, {}); }},
      {"map", ErrorCode::kUnsupported, [](Builder &b) { b.copy(Value::map(0)); }},
  };
  for (const Case &each : cases) {
    Builder b("test");
    each.write(b);
    Function functions[] = {b.finish()};
    Environment environment;
    environment.may_access = [](uint64_t, size_t, bool writes) { return !writes; };
    environment.instructions_most = 1000;
    Result<uint64_t> result = Interpreter(functions, std::move(environment)).run();
    ASSERT_FALSE(result.has_value()) << each.name;
    EXPECT_EQ(result.error().code, each.expect) << each.name;
  }
}

TEST(CodegenLoad, VerifierQuotesTheSource) {
  Builder b("kprobe:vfs_read/pid == 1/");
  b.at({1, 1});
  Register x = b.load(Size::k4, b.context());
  b.at({2, 3});
  b.ret(b.load(Size::k8, x));
  Function functions[] = {b.finish()};
  std::string log;
  Result<KernelRunner> runner = KernelRunner::make(functions, &log);
  ASSERT_FALSE(runner.has_value());
  if (runner.error().code == ErrorCode::kDenied) GTEST_SKIP() << runner.error().text();
  EXPECT_EQ(runner.error().code, ErrorCode::kFailed);
  EXPECT_EQ(runner.error().what, "the kernel refuses the program 'codegen_test'");
  EXPECT_NE(runner.error().why.find("invalid mem access"), std::string::npos) << runner.error().why;
  EXPECT_NE(log.find("; second line { }"), std::string::npos) << log;
}

TEST(CodegenBtf, DescribesFunctionsAndLines) {
  Builder main("kprobe:vfs_read"), other("7 bees", 3);
  main.at({1, 5000});
  main.ret(main.call_function(1, {1, 2, 3}));
  other.at({2, 4});
  other.ret(other.parameter(2));
  Function functions[] = {main.finish(), other.finish()};
  Result<Code> code = compile(functions);
  ASSERT_TRUE(code.has_value());
  ProgramBtf made = describe(*code, {"a.bt", "one\n  two"});
  Result<Btf> types = Btf::parse(made.types);
  ASSERT_TRUE(types.has_value()) << types.error().text();
  ASSERT_EQ(made.functions.size(), 2u);
  EXPECT_EQ(types->declaration(made.functions[0].type_id), "int kprobe_vfs_read(void *a)");
  EXPECT_EQ(types->declaration(made.functions[1].type_id),
            "int _7_bees(unsigned long long a, unsigned long long b, unsigned long long c)");
  EXPECT_EQ(made.functions[1].insn_off, code->subprograms[1].start);
  ASSERT_EQ(made.lines.size(), 2u);
  EXPECT_EQ(made.lines[0].line_col, 1u << 10 | 1023);
  EXPECT_EQ(made.lines[1].line_col, 2u << 10 | 4);
  EXPECT_EQ(made.lines[1].insn_off, code->subprograms[1].start);
  btf_header header;
  memcpy(&header, made.types.data(), sizeof(header));
  const char *strings = reinterpret_cast<const char *>(made.types.data()) + header.hdr_len + header.str_off;
  EXPECT_STREQ(strings + made.lines[1].line_off, "two");
  EXPECT_STREQ(strings + made.lines[1].file_name_off, "a.bt");
  // Without positions there are no lines.
  for (LinePlace &each : code->lines) each.position = {};
  EXPECT_TRUE(describe(*code, {"a.bt", "one"}).lines.empty());
}

}  // namespace
}  // namespace waggle::codegen
