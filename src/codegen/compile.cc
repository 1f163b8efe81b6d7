#include "codegen/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "codegen/emit.h"
#include "codegen/machine.h"
#include "codegen/optimize.h"

namespace waggle::codegen {
namespace {

constexpr uint32_t kFramesMost = 8;  // MAX_CALL_FRAMES

// The functions that are needed, in the order in which they will lie.
class Order {
 public:
  explicit Order(std::span<const CompiledFunction> program) : program_(program), deepest_(program.size()) {}

  Result<std::vector<FunctionId>> find() {
    TRY(visit(0, 1));
    return std::move(order_);
  }

 private:
  Result<void> visit(FunctionId id, uint32_t depth) {
    CHECK(id < program_.size());
    if (depth > kFramesMost)
      return fail(ErrorCode::kExhausted,
                  fmt::format("calls of '{}' nest too deep", program_[id].code.subprograms.front().name),
                  fmt::format("a BPF program can have {} functions at work at a time, and none twice", kFramesMost),
                  "write one of them where it is called");
    if (depth <= deepest_[id]) return {};
    if (deepest_[id] == 0) order_.push_back(id);
    deepest_[id] = depth;
    for (const CompiledFunction::Reference &each : program_[id].references) TRY(visit(each.function, depth + 1));
    return {};
  }

  std::span<const CompiledFunction> program_;
  std::vector<uint32_t> deepest_;  // 0: not reached
  std::vector<FunctionId> order_;
};

void append(Code &code, const Code &function, uint32_t start) {
  code.instructions.insert(code.instructions.end(), function.instructions.begin(), function.instructions.end());
  for (MapPlace each : function.maps) code.maps.push_back({each.instruction + start, each.map});
  for (LinePlace each : function.lines) code.lines.push_back({each.instruction + start, each.position});
  code.subprograms.push_back(function.subprograms.front());
  code.subprograms.back().start = start;
}

}  // namespace

Result<CompiledFunction> compile_function(Function function) {
  optimize(function);
  MachineCode machine = TRY(lower(function));
  TRY(allocate(machine));
  CompiledFunction made = TRY(emit(std::move(machine)));
  made.code.subprograms.front().parameters = function.parameters;
  return made;
}

Result<Code> link(std::span<const CompiledFunction> program) {
  CHECK(!program.empty());
  std::vector<FunctionId> order = TRY(Order(program).find());
  std::vector<uint32_t> start(program.size());
  Code code;
  for (FunctionId id : order) {
    start[id] = static_cast<uint32_t>(code.instructions.size());
    append(code, program[id].code, start[id]);
  }
  for (FunctionId id : order)
    for (const CompiledFunction::Reference &each : program[id].references) {
      uint32_t at = start[id] + each.instruction;
      // From the instruction after it.
      code.instructions[at].imm = static_cast<int32_t>(start[each.function]) - static_cast<int32_t>(at) - 1;
      code.has_callbacks = code.has_callbacks || each.is_address;
    }
  return code;
}

Result<Code> compile(std::span<const Function> program) {
  std::vector<CompiledFunction> functions;
  functions.reserve(program.size());
  for (const Function &each : program) functions.push_back(TRY(compile_function(each)));
  return link(functions);
}

}  // namespace waggle::codegen
