// Programs of random content do the same in the kernel as in user space, where they run as
// they are written: neither optimiser nor allocator may change what they mean.
// WAGGLE_CODEGEN_PROGRAMS=N tries N of them, WAGGLE_CODEGEN_SEED=N others than usual.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>

#include "codegen/disassemble.h"
#include "codegen/optimize.h"
#include "codegen/random_program.h"
#include "codegen/run_for_test.h"

namespace waggle::codegen {
namespace {

uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 10);
}

std::string all_of(const std::vector<Function> &program) {
  std::string out;
  for (const Function &each : program) out += text(each);
  return out;
}

TEST(CodegenRandom, ProgramsMeanTheSameEverywhere) {
  const uint64_t programs = number_from("WAGGLE_CODEGEN_PROGRAMS", 1000);
  const uint64_t seed = number_from("WAGGLE_CODEGEN_SEED", 1);
  uint64_t compared = 0, too_complex = 0, too_large = 0, instructions = 0;
  std::chrono::nanoseconds compiling{};
  for (uint64_t i = 0; i < programs; i++) {
    std::mt19937_64 random(seed * 1'000'000'007 + i);
    auto choose = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    std::vector<Function> program = RandomProgram(choose).make();
    Input input{};
    for (uint64_t &word : input) word = random() >> (random() % 4 * 16);

    Result<Ran> expected = run_in_user_space(program, input);
    ASSERT_TRUE(expected.has_value()) << expected.error().text() << all_of(program);
    std::vector<Function> shorter = program;
    for (Function &each : shorter) optimize(each);
    Result<Ran> optimized = run_in_user_space(shorter, input);
    ASSERT_TRUE(optimized.has_value()) << optimized.error().text() << all_of(program);
    ASSERT_EQ(optimized->returned, expected->returned) << "program " << i << " optimised\n"
                                                       << all_of(program) << "\n"
                                                       << all_of(shorter);

    const auto began = std::chrono::steady_clock::now();
    Result<Code> code = compile(program);
    compiling += std::chrono::steady_clock::now() - began;
    if (!code && code.error().code == ErrorCode::kExhausted) {
      too_large++;
      continue;
    }
    ASSERT_TRUE(code.has_value()) << code.error().text() << all_of(program);
    instructions += code->instructions.size();
    ASSERT_EQ(run_in_emulator(*code, input), expected->returned) << "program " << i << " emulated\n"
                                                                 << all_of(program) << listing(*code);
    std::string log;
    Result<KernelRunner> kernel = KernelRunner::make(*code, &log);
    if (!kernel && kernel.error().code == ErrorCode::kDenied) GTEST_SKIP() << kernel.error().text();
    if (!kernel && log.find("too large") != std::string::npos) {
      too_complex++;
      continue;
    }
    ASSERT_TRUE(kernel.has_value()) << "program " << i << "\n"
                                    << kernel.error().text() << all_of(program) << listing(*code);
    Result<Ran> ran = kernel->run(input);
    ASSERT_TRUE(ran.has_value()) << ran.error().text();
    ASSERT_EQ(ran->returned, expected->returned & UINT32_MAX) << "program " << i << "\n"
                                                              << all_of(program) << listing(*code);
    compared++;
  }
  fmt::print(stderr,
             "{} programs compared, of {} instructions and compiled in {} us each; too large for a frame: {}, for "
             "the verifier: {}\n",
             compared, instructions / std::max<uint64_t>(compared, 1),
             compiling.count() / 1000 / static_cast<int64_t>(programs), too_large, too_complex);
  EXPECT_GE(compared, programs * 9 / 10);
}

}  // namespace
}  // namespace waggle::codegen
