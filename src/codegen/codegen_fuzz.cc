// Bytes as the choices of a random program: it compiles, and means the same as written,
// optimised and compiled. And bytes as instructions: they can be shown.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/check.h"
#include "codegen/disassemble.h"
#include "codegen/optimize.h"
#include "codegen/random_program.h"
#include "codegen/run_for_test.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  using namespace waggle::codegen;
  std::vector<bpf_insn> instructions(size / sizeof(bpf_insn));
  if (!instructions.empty()) memcpy(instructions.data(), data, instructions.size() * sizeof(bpf_insn));
  (void)disassemble(instructions);

  size_t at = 0;
  auto choose = [&](uint32_t n) {
    uint32_t chosen = at < size ? data[at] : 0;
    if (n > 256 && at + 1 < size) chosen = chosen << 8 | data[++at];
    at++;
    return chosen % n;
  };
  std::vector<Function> program = RandomProgram(choose).make();
  Input input = {0x0123456789abcdef, 1, UINT64_MAX, 0x80000000, 77, 0, 1ull << 63, 0xffff};
  Result<Ran> plain = run_in_user_space(program, input);
  Result<Code> code = compile(program);
  CHECK(code.has_value() || code.error().code == ErrorCode::kExhausted);
  if (code) {
    (void)listing(*code);
    std::optional<uint64_t> emulated = run_in_emulator(*code, input);
    CHECK(!emulated || !plain || *emulated == plain->returned);
    (void)describe(*code, {"fuzz", "a\nb"});
  }
  for (Function &each : program) optimize(each);
  Result<Ran> optimized = run_in_user_space(program, input);
  // Shorter code may end within the budget where longer did not.
  CHECK(!plain.has_value() || (optimized.has_value() && optimized->returned == plain->returned));
  return 0;
}
