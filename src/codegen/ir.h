// The code that waggle writes for BPF, before it has registers: a list of instructions
// over as many 64-bit virtual registers as it takes. Scripts, --where filters and
// pre-filters of rules are all turned into it; compile.h makes BPF of it, interpret.h
// runs it in user space.
//
// A register may be assigned any number of times; there is no SSA. All arithmetic is on
// 64 bits and wraps: a narrower type is made by narrowing the result. What BPF leaves open
// is fixed here, and the same everywhere: x / 0 = 0, x % 0 = x, shifts take the lowest six
// bits of their count, the least number divided by -1 is itself.
//
// Code is written with a Builder (builder.h). Threads: values, like a vector.
#pragma once

#include <array>
#include <compare>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace waggle::codegen {

struct Register {
  uint32_t id = 0;
  auto operator<=>(const Register &) const = default;
};
// Bytes in a function's stack frame.
struct Slot {
  uint32_t id = 0;
  auto operator<=>(const Slot &) const = default;
};
struct Label {
  uint32_t id = 0;
  auto operator<=>(const Label &) const = default;
};
// Numbers that the user of this library gives to maps; load.h asks for their descriptors.
using MapId = uint32_t;
// A function's place in the list that compile() is given; 0 is the program itself.
using FunctionId = uint32_t;

constexpr uint32_t kArgumentsMost = 5;
constexpr uint32_t kNoRegister = UINT32_MAX;

// A place in the source, both from 1; line 0: none.
struct Position {
  uint32_t line = 0, column = 0;
  auto operator<=>(const Position &) const = default;
};

enum class Size : uint8_t { k1 = 1, k2 = 2, k4 = 4, k8 = 8 };

// What an instruction works on: a register, or what is known before the program runs.
// All but registers cost nothing until an instruction needs them in one.
struct Value {
  enum class Kind : uint8_t {
    kConstant,
    kRegister,
    kSlot,      // the address of a stack slot, plus `number`
    kMap,       // the map itself, as helpers take it
    kMapValue,  // the address of an array map's only value, plus `number`
    kFunction,  // the address of a function, for bpf_loop and its like
  };

  Value() = default;
  template <std::integral T>
  Value(T constant) : number(static_cast<int64_t>(constant)) {}
  Value(Register from) : kind(Kind::kRegister), id(from.id) {}
  Value(Slot slot, int32_t offset = 0) : kind(Kind::kSlot), id(slot.id), number(offset) {}
  static Value map(MapId map) { return Value(Kind::kMap, map, 0); }
  static Value map_value(MapId map, uint32_t offset = 0) { return Value(Kind::kMapValue, map, offset); }
  static Value function(FunctionId function) { return Value(Kind::kFunction, function, 0); }

  bool is_constant() const { return kind == Kind::kConstant; }
  bool is_constant(int64_t wanted) const { return is_constant() && number == wanted; }
  bool is_register() const { return kind == Kind::kRegister; }
  bool is_register(uint32_t wanted) const { return is_register() && id == wanted; }
  bool operator==(const Value &) const = default;

  Kind kind = Kind::kConstant;
  uint32_t id = 0;     // of the register, slot, map or function
  int64_t number = 0;  // the constant, or an offset in bytes

 private:
  Value(Kind of, uint32_t which, int64_t offset) : kind(of), id(which), number(offset) {}
};

// Unsigned and signed; the inverse of a condition is never far: see inverse().
enum class Condition : uint8_t {
  kEqual,
  kNotEqual,
  kBelow,  // unsigned
  kBelowEqual,
  kAbove,
  kAboveEqual,
  kLess,  // signed
  kLessEqual,
  kGreater,
  kGreaterEqual,
};
Condition inverse(Condition condition);   // !(a ? b)
Condition mirrored(Condition condition);  // b ? a
bool holds(Condition condition, uint64_t left, uint64_t right);

enum class Op : uint8_t {
  kMove,  // to = in[0]
  // to = in[0] op in[1]
  kAdd,
  kSub,
  kMul,
  kDiv,  // unsigned
  kMod,
  kSignedDiv,  // towards zero, as C
  kSignedMod,  // the sign of in[0], as C
  kAnd,
  kOr,
  kXor,
  kShiftLeft,
  kShiftRight,        // zeros come in
  kShiftRightSigned,  // copies of the sign come in
  kCompare,           // to = in[0] condition in[1] ? 1 : 0
  // to = op in[0]
  kNegate,
  kNot,
  kZeroExtend,  // the lowest `size` bytes
  kSignExtend,
  kByteSwap,  // the lowest `size` bytes (2, 4, 8) in the other order; zeros above
  // Memory at in[0] + offset, `size` bytes in the host's order.
  kLoad,       // zeros above
  kStore,      // the lowest bytes of in[1]
  kAtomicAdd,  // in[1]; size is 4 or 8, and the address a multiple of it
  // to (if any) = a function of in[0], …, in[inputs - 1]
  kCallHelper,    // target: the helper's number
  kCallFunction,  // target: a FunctionId
  // Control
  kLabel,   // target
  kJump,    // to target
  kBranch,  // to target if in[0] condition in[1]
  kReturn,  // in[0]
};

struct Instruction {
  Op op = Op::kMove;
  Size size = Size::k8;
  Condition condition = Condition::kEqual;
  uint8_t inputs = 0;  // how many of `in`
  uint32_t to = kNoRegister;
  int32_t offset = 0;
  uint32_t target = 0;
  std::array<Value, kArgumentsMost> in;
  Position position;

  bool ends_block() const { return op == Op::kJump || op == Op::kReturn; }
  bool is_jump() const { return op == Op::kJump || op == Op::kBranch; }
  bool is_label() const { return op == Op::kLabel; }
  bool is_memory_access() const { return op == Op::kLoad || op == Op::kStore || op == Op::kAtomicAdd; }
  // Nothing but its result would be missed.
  bool is_pure() const { return op <= Op::kLoad; }
  std::span<const Value> used() const { return {in.data(), inputs}; }
};

struct StackSlot {
  uint32_t bytes = 0, alignment = 8;
  // Life, in steps of the builder: slots whose lives do not overlap may share bytes.
  uint32_t born = 0, dead = UINT32_MAX;
};

struct Function {
  std::string name;
  uint32_t parameters = 1;  // in the registers 0, 1, …; of a program: its context
  uint32_t registers = 0;   // ids are below
  uint32_t labels = 0;
  std::vector<StackSlot> slots;
  std::vector<Instruction> body;  // the last one reached is a kReturn
};

// What the arithmetic operations (kAdd … kByteSwap) yield. kCompare takes `condition`.
uint64_t evaluate(const Instruction &instruction, uint64_t left, uint64_t right);

// One instruction a line, for people: "v3 = add v1, 8".
std::string text(const Function &function);
std::string text(const Instruction &instruction);

}  // namespace waggle::codegen
