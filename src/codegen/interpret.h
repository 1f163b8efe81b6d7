// Runs functions (ir.h) in user space, as they are written: for filters over rows that
// are already here, for replay, and to compare compiled code with.
//
// Memory is the process's own: a load reads the host address that it computes, and only
// may_access(), where there is one, stands before it. Addresses of functions are numbers
// that call_address() knows, of slots those of memory that lasts as long as the call.
// Threads: one at a time for an Interpreter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "codegen/ir.h"

namespace waggle::codegen {

class Interpreter;

// What the kernel would give. What is left out cannot be used: an error.
struct Environment {
  // A helper's result. It may call back: interpreter.call_address().
  std::function<Result<uint64_t>(Interpreter &interpreter, uint32_t helper,
                                 const std::array<uint64_t, kArgumentsMost> &arguments)>
      helper;
  std::function<uint64_t(MapId)> map;        // the number that helpers get for it
  std::function<uint64_t(MapId)> map_value;  // the address of an array map's only value
  std::function<bool(uint64_t address, size_t bytes, bool writes)> may_access;
  uint64_t instructions_most = 1'000'000;  // of a run, callbacks included; labels count
};

class Interpreter {
 public:
  // `program` must outlive it.
  Interpreter(std::span<const Function> program, Environment environment);

  // Runs the first function.
  //   errors  Exhausted    the budget of instructions; calls more than 8 deep
  //           Denied       an access that may_access() refuses, or near address 0
  //           Unsupported  a helper or map that the environment does not have
  //           any that a helper fails with
  Result<uint64_t> run(std::span<const uint64_t> arguments = {});
  // For helpers: the same for another function, within the running one's budget.
  Result<uint64_t> call(FunctionId id, std::span<const uint64_t> arguments);
  Result<uint64_t> call_address(uint64_t function_address, std::span<const uint64_t> arguments);

  uint64_t executed() const { return executed_; }  // instructions of the last run

 private:
  struct Frame {
    std::vector<uint64_t> registers;
    std::vector<uint64_t> stack;
    std::vector<uint32_t> slots;  // the first word of each in `stack`
  };

  Result<uint64_t> execute(const Function &function, const std::vector<uint32_t> &labels, Frame &frame);
  Result<uint64_t> value(const Value &value, const Frame &frame) const;
  Result<uint64_t> call_helper(const Instruction &each, const std::array<uint64_t, kArgumentsMost> &in);
  Result<void> check_access(uint64_t address, size_t bytes, bool writes) const;

  std::span<const Function> program_;
  Environment environment_;
  std::vector<std::vector<uint32_t>> labels_;  // of each function, where in its body they are
  std::deque<Frame> frames_;                   // kept from call to call; they do not move
  size_t depth_ = 0;
  uint64_t executed_ = 0;
};

}  // namespace waggle::codegen
