#include "codegen/interpret.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace waggle::codegen {
namespace {

constexpr size_t kFramesMost = 8;  // as the kernel
// No address of memory, on any machine.
constexpr uint64_t kFunctionAddress = 0xf00dull << 48;
// What a null pointer and an offset make.
constexpr uint64_t kNullBytes = 4096;

void *host_memory(uint64_t address) {
  return reinterpret_cast<void *>(address);  // NOLINT(performance-no-int-to-ptr): registers hold addresses
}

uint64_t load(uint64_t address, Size size) {
  uint64_t value = 0;
  memcpy(&value, host_memory(address), static_cast<size_t>(size));
  return value;
}

void store(uint64_t address, Size size, uint64_t value) {
  memcpy(host_memory(address), &value, static_cast<size_t>(size));
}

void atomic_add(uint64_t address, Size size, uint64_t value) {
  if (size == Size::k4)
    __atomic_fetch_add(static_cast<uint32_t *>(host_memory(address)), static_cast<uint32_t>(value), __ATOMIC_SEQ_CST);
  else
    __atomic_fetch_add(static_cast<uint64_t *>(host_memory(address)), value, __ATOMIC_SEQ_CST);
}

}  // namespace

Interpreter::Interpreter(std::span<const Function> program, Environment environment)
    : program_(program), environment_(std::move(environment)) {
  for (const Function &function : program) {
    std::vector<uint32_t> &labels = labels_.emplace_back(function.labels);
    for (uint32_t at = 0; at < function.body.size(); at++)
      if (function.body[at].is_label()) labels[function.body[at].target] = at;
  }
}

Result<uint64_t> Interpreter::run(std::span<const uint64_t> arguments) {
  executed_ = 0;
  return call(0, arguments);
}

Result<uint64_t> Interpreter::call(FunctionId id, std::span<const uint64_t> arguments) {
  CHECK(id < program_.size());
  const Function &function = program_[id];
  if (depth_ == kFramesMost)
    return fail(ErrorCode::kExhausted, fmt::format("calls of '{}' nest more than {} deep", function.name, kFramesMost));
  if (frames_.size() == depth_) frames_.emplace_back();
  Frame &frame = frames_[depth_];
  frame.registers.assign(function.registers, 0);
  std::copy_n(arguments.begin(), std::min<size_t>(arguments.size(), function.parameters), frame.registers.begin());
  frame.slots.clear();
  uint32_t words = 0;
  for (const StackSlot &each : function.slots) {
    frame.slots.push_back(words);
    words += (each.bytes + 7) / 8;
  }
  frame.stack.assign(words, 0);
  depth_++;
  Result<uint64_t> result = execute(function, labels_[id], frame);
  depth_--;
  return result;
}

Result<uint64_t> Interpreter::call_address(uint64_t function_address, std::span<const uint64_t> arguments) {
  uint64_t id = function_address - kFunctionAddress;
  if (id >= program_.size())
    return fail(ErrorCode::kInvalid, fmt::format("0x{:x} is not the address of a function", function_address));
  return call(static_cast<FunctionId>(id), arguments);
}

Result<uint64_t> Interpreter::execute(const Function &function, const std::vector<uint32_t> &labels, Frame &frame) {
  for (uint32_t at = 0; at < function.body.size(); at++) {
    const Instruction &each = function.body[at];
    if (++executed_ > environment_.instructions_most)
      return fail(ErrorCode::kExhausted, fmt::format("'{}' does not end", function.name),
                  fmt::format("it has run {} instructions", environment_.instructions_most));
    std::array<uint64_t, kArgumentsMost> in{};
    for (size_t i = 0; i < each.inputs; i++) in[i] = TRY(value(each.in[i], frame));
    const uint64_t address = in[0] + static_cast<uint64_t>(static_cast<int64_t>(each.offset));
    uint64_t result = 0;
    switch (each.op) {
      case Op::kMove:
        result = in[0];
        break;
      case Op::kLoad:
        TRY(check_access(address, static_cast<size_t>(each.size), false));
        result = load(address, each.size);
        break;
      case Op::kStore:
        TRY(check_access(address, static_cast<size_t>(each.size), true));
        store(address, each.size, in[1]);
        break;
      case Op::kAtomicAdd:
        TRY(check_access(address, static_cast<size_t>(each.size), true));
        atomic_add(address, each.size, in[1]);
        break;
      case Op::kCallHelper:
        result = TRY(call_helper(each, in));
        break;
      case Op::kCallFunction:
        result = TRY(call(each.target, std::span(in).first(each.inputs)));
        break;
      case Op::kLabel:
        break;
      case Op::kJump:
        at = labels[each.target];
        break;
      case Op::kBranch:
        if (holds(each.condition, in[0], in[1])) at = labels[each.target];
        break;
      case Op::kReturn:
        return in[0];
      default:
        result = evaluate(each, in[0], in[1]);
        break;
    }
    if (each.to != kNoRegister) frame.registers[each.to] = result;
  }
  return 0;
}

Result<uint64_t> Interpreter::value(const Value &value, const Frame &frame) const {
  const auto number = static_cast<uint64_t>(value.number);
  switch (value.kind) {
    case Value::Kind::kConstant:
      return number;
    case Value::Kind::kRegister:
      return frame.registers[value.id];
    case Value::Kind::kSlot:
      return reinterpret_cast<uint64_t>(frame.stack.data() + frame.slots[value.id]) + number;
    case Value::Kind::kFunction:
      return kFunctionAddress + value.id;
    case Value::Kind::kMap:
      if (environment_.map) return environment_.map(value.id);
      break;
    case Value::Kind::kMapValue:
      if (environment_.map_value) return environment_.map_value(value.id) + number;
      break;
  }
  return fail(ErrorCode::kUnsupported, fmt::format("there is no map {} here", value.id));
}

Result<uint64_t> Interpreter::call_helper(const Instruction &each, const std::array<uint64_t, kArgumentsMost> &in) {
  if (environment_.helper) return environment_.helper(*this, each.target, in);
  return fail(ErrorCode::kUnsupported, fmt::format("there is no helper {} here", each.target));
}

Result<void> Interpreter::check_access(uint64_t address, size_t bytes, bool writes) const {
  if (address >= kNullBytes && (!environment_.may_access || environment_.may_access(address, bytes, writes))) return {};
  return fail(ErrorCode::kDenied,
              fmt::format("no {} of {} bytes at 0x{:x}", writes ? "write" : "read", bytes, address));
}

}  // namespace waggle::codegen
