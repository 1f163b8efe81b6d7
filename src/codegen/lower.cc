// Chooses BPF instructions for those of ir.h: two addresses instead of three, constants in
// the instruction where they fit in its 32 bits, sequences for what BPF of the supported
// kernels does not have. Moves are written freely: the allocator removes most of them.
//
// source: Documentation/bpf/standardization/instruction-set.rst
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "codegen/machine.h"

namespace waggle::codegen {
namespace {

// BPF_LD and BPF_IMM are 0.
constexpr int kWideConstant = BPF_DW;

bool fits_imm(int64_t value) {
  return value == static_cast<int32_t>(value);
}
bool fits_offset(int64_t value) {
  return value == static_cast<int16_t>(value);
}

uint8_t size_code(Size size) {
  switch (size) {
    case Size::k1:
      return BPF_B;
    case Size::k2:
      return BPF_H;
    case Size::k4:
      return BPF_W;
    case Size::k8:
      return BPF_DW;
  }
  CHECK(false);
}

uint8_t alu_code(Op op) {
  switch (op) {
    case Op::kAdd:
      return BPF_ADD;
    case Op::kSub:
      return BPF_SUB;
    case Op::kMul:
      return BPF_MUL;
    case Op::kDiv:
      return BPF_DIV;
    case Op::kMod:
      return BPF_MOD;
    case Op::kAnd:
      return BPF_AND;
    case Op::kOr:
      return BPF_OR;
    case Op::kXor:
      return BPF_XOR;
    case Op::kShiftLeft:
      return BPF_LSH;
    case Op::kShiftRight:
      return BPF_RSH;
    case Op::kShiftRightSigned:
      return BPF_ARSH;
    default:
      CHECK(false);
  }
}

bool is_commutative(Op op) {
  return op == Op::kAdd || op == Op::kMul || op == Op::kAnd || op == Op::kOr || op == Op::kXor;
}

uint8_t jump_code(Condition condition) {
  switch (condition) {
    case Condition::kEqual:
      return BPF_JEQ;
    case Condition::kNotEqual:
      return BPF_JNE;
    case Condition::kBelow:
      return BPF_JLT;
    case Condition::kBelowEqual:
      return BPF_JLE;
    case Condition::kAbove:
      return BPF_JGT;
    case Condition::kAboveEqual:
      return BPF_JGE;
    case Condition::kLess:
      return BPF_JSLT;
    case Condition::kLessEqual:
      return BPF_JSLE;
    case Condition::kGreater:
      return BPF_JSGT;
    case Condition::kGreaterEqual:
      return BPF_JSGE;
  }
  CHECK(false);
}

// Where the slots that are still used lie, as offsets from the end of the frame (all
// below 0). Slots with lives apart may share bytes; larger ones choose first.
struct Frame {
  std::vector<int64_t> offset;
  int64_t bytes = 0;
};
Frame lay_out(const Function &function) {
  std::vector<bool> used(function.slots.size());
  for (const Instruction &each : function.body)
    for (const Value &in : each.used())
      if (in.kind == Value::Kind::kSlot) used[in.id] = true;
  std::vector<uint32_t> order(function.slots.size()), placed;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return function.slots[a].bytes > function.slots[b].bytes; });
  Frame frame{std::vector<int64_t>(function.slots.size())};
  for (uint32_t each : order) {
    if (!used[each]) continue;
    const StackSlot &slot = function.slots[each];
    auto place_below = [&](int64_t top) {
      int64_t low = top - slot.bytes;
      return low - ((low % slot.alignment) + slot.alignment) % slot.alignment;
    };
    int64_t low = place_below(0);
    for (bool moved = true; moved;) {
      moved = false;
      for (uint32_t other : placed) {
        const StackSlot &there = function.slots[other];
        int64_t from = frame.offset[other], end = from + there.bytes;
        if (slot.born >= there.dead || there.born >= slot.dead || low >= end || low + slot.bytes <= from) continue;
        low = place_below(from);
        moved = true;
      }
    }
    frame.offset[each] = low;
    frame.bytes = std::max(frame.bytes, -low);
    placed.push_back(each);
  }
  frame.bytes = (frame.bytes + 7) / 8 * 8;
  return frame;
}

class Lowering {
 public:
  Lowering(const Function &function, Frame frame)
      : function_(function), frame_(std::move(frame)), number_(function.registers) {
    out_.name = function.name;
    out_.labels = function.labels;
    out_.stack_bytes = static_cast<uint32_t>(frame_.bytes);
  }

  MachineCode run() {
    if (!function_.body.empty()) position_ = function_.body.front().position;
    take_parameters();
    for (const Instruction &each : function_.body) {
      position_ = each.position;
      lower(each);
    }
    return std::move(out_);
  }

 private:
  struct Address {
    uint32_t base = 0;
    int16_t offset = 0;
  };

  void take_parameters() {
    std::vector<bool> read(function_.registers);
    for (const Instruction &each : function_.body)
      for (const Value &in : each.used())
        if (in.is_register()) read[in.id] = true;
    for (uint32_t i = 0; i < function_.parameters; i++)
      if (read[i]) move(number(i), i + 1);
  }

  void lower(const Instruction &each) {
    switch (each.op) {
      case Op::kMove:
        set(number(each.to), each.in[0]);
        return;
      case Op::kSignedDiv:
      case Op::kSignedMod:
        divide_signed(each);
        return;
      case Op::kCompare:
        compare(each);
        return;
      case Op::kNegate:
        in_place(each, [&](uint32_t to) { alu_imm(BPF_NEG, to, 0); });
        return;
      case Op::kNot:
        in_place(each, [&](uint32_t to) { alu_imm(BPF_XOR, to, -1); });
        return;
      case Op::kZeroExtend:
        zero_extend(each);
        return;
      case Op::kSignExtend:
        sign_extend(each);
        return;
      case Op::kByteSwap:
        byte_swap(each);
        return;
      case Op::kLoad: {
        Address from = address(each);
        put(BPF_LDX | BPF_MEM | size_code(each.size), number(each.to), from.base, from.offset);
        return;
      }
      case Op::kStore:
        store(each);
        return;
      case Op::kAtomicAdd: {
        Address to = address(each);
        // As XADD was encoded before there was BPF_ATOMIC: all kernels know it.
        put(BPF_STX | BPF_ATOMIC | size_code(each.size), to.base, use(each.in[1]), to.offset, BPF_ADD);
        return;
      }
      case Op::kCallHelper:
      case Op::kCallFunction:
        call(each);
        return;
      case Op::kLabel:
        label(each.target);
        return;
      case Op::kJump:
        put(BPF_JMP | BPF_JA, 0, 0).target = each.target;
        return;
      case Op::kBranch:
        branch(each.condition, each.in[0], each.in[1], each.target);
        return;
      case Op::kReturn:
        set(BPF_REG_0, each.in[0]);
        put(BPF_JMP | BPF_EXIT, 0, 0);
        return;
      default:
        binary(each);
        return;
    }
  }

  void binary(const Instruction &each) {
    Value left = each.in[0], right = each.in[1];
    if (right.is_register(each.to) && !left.is_register(each.to) && is_commutative(each.op)) std::swap(left, right);
    uint32_t to = number(each.to), work = to;
    // What is still to be read must not be overwritten.
    if (right.is_register(each.to) && !left.is_register(each.to)) work = fresh();
    if (right.is_constant() &&
        (each.op == Op::kShiftLeft || each.op == Op::kShiftRight || each.op == Op::kShiftRightSigned))
      right.number &= 63;
    bool is_low_mask = each.op == Op::kAnd && right.is_constant() && !fits_imm(right.number) &&
                       static_cast<uint64_t>(right.number) <= UINT32_MAX;
    if (right.is_constant() && fits_imm(right.number)) {
      set(work, left);
      alu_imm(alu_code(each.op), work, right.number);
    } else if (is_low_mask) {
      // 32-bit instructions clear the upper half, as the mask does.
      set(work, left);
      put(BPF_ALU | BPF_AND | BPF_K, work, 0, 0, static_cast<int32_t>(right.number));
    } else {
      uint32_t other = use(right);
      set(work, left);
      alu(alu_code(each.op), work, other);
    }
    if (work != to) move(to, work);
  }

  // to = in[0], then what `change` does to it.
  template <typename Change>
  void in_place(const Instruction &each, Change change) {
    uint32_t to = number(each.to);
    set(to, each.in[0]);
    change(to);
  }

  void zero_extend(const Instruction &each) {
    if (each.size == Size::k4) {
      put(BPF_ALU | BPF_MOV | BPF_X, number(each.to), use(each.in[0]));
      return;
    }
    in_place(each, [&](uint32_t to) {
      if (each.size != Size::k8) alu_imm(BPF_AND, to, each.size == Size::k1 ? 0xff : 0xffff);
    });
  }

  void sign_extend(const Instruction &each) {
    in_place(each, [&](uint32_t to) {
      int bits = 64 - 8 * static_cast<int>(each.size);
      if (bits == 0) return;
      alu_imm(BPF_LSH, to, bits);
      alu_imm(BPF_ARSH, to, bits);
    });
  }

  void byte_swap(const Instruction &each) {
    // "To big endian" swaps on every machine that waggle runs on.
    static_assert(std::endian::native == std::endian::little);
    in_place(each,
             [&](uint32_t to) { put(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, static_cast<int64_t>(each.size) * 8); });
  }

  // Division of magnitudes, then the sign: without a branch that the verifier would have
  // to follow twice.
  void divide_signed(const Instruction &each) {
    bool wants_quotient = each.op == Op::kSignedDiv;
    uint32_t left = use(each.in[0]), result = fresh();
    if (each.in[1].is_constant() && each.in[1].number != 0) {
      int64_t divisor = each.in[1].number;
      uint64_t magnitude = divisor < 0 ? 0 - static_cast<uint64_t>(divisor) : static_cast<uint64_t>(divisor);
      if (std::has_single_bit(magnitude) && magnitude > 1) {
        divide_by_power(result, left, std::countr_zero(magnitude), wants_quotient);
      } else {
        uint32_t sign = sign_of(left);
        magnitude_of(result, left, sign);
        auto number = static_cast<int64_t>(magnitude);
        uint8_t code = wants_quotient ? BPF_DIV : BPF_MOD;
        fits_imm(number) ? alu_imm(code, result, number) : alu(code, result, use(number));
        magnitude_of(result, result, sign);
      }
      if (wants_quotient && divisor < 0) alu_imm(BPF_NEG, result, 0);
    } else {
      uint32_t right = use(each.in[1]), sign = sign_of(left), right_sign = sign_of(right), divisor = fresh();
      magnitude_of(result, left, sign);
      magnitude_of(divisor, right, right_sign);
      alu(wants_quotient ? BPF_DIV : BPF_MOD, result, divisor);
      if (wants_quotient) alu(BPF_XOR, sign, right_sign);
      magnitude_of(result, result, sign);
    }
    move(number(each.to), result);
  }

  // result = left / 2^shift, towards zero; or what is left over.
  void divide_by_power(uint32_t result, uint32_t left, int shift, bool wants_quotient) {
    move(result, left);
    alu_imm(BPF_ARSH, result, 63);
    alu_imm(BPF_RSH, result, 64 - shift);
    alu(BPF_ADD, result, left);
    alu_imm(BPF_ARSH, result, shift);
    if (wants_quotient) return;
    uint32_t rounded = fresh();
    move(rounded, result);
    alu_imm(BPF_LSH, rounded, shift);
    move(result, left);
    alu(BPF_SUB, result, rounded);
  }

  uint32_t sign_of(uint32_t value) {  // 0 or -1
    uint32_t sign = fresh();
    move(sign, value);
    alu_imm(BPF_ARSH, sign, 63);
    return sign;
  }

  // to = sign ? -value : value
  void magnitude_of(uint32_t to, uint32_t value, uint32_t sign) {
    move(to, value);
    alu(BPF_XOR, to, sign);
    alu(BPF_SUB, to, sign);
  }

  void compare(const Instruction &each) {
    uint32_t result = fresh(), done = out_.labels++;
    Value left = each.in[0], right = each.in[1];
    Condition condition = each.condition;
    prepare(condition, left, right);
    alu_imm(BPF_MOV, result, 1);
    branch(condition, left, right, done);
    alu_imm(BPF_MOV, result, 0);
    label(done);
    move(number(each.to), result);
  }

  // Brings what a branch compares to where the instruction can take it.
  void prepare(Condition &condition, Value &left, Value &right) {
    if (left.is_constant() && !right.is_constant()) {
      std::swap(left, right);
      condition = mirrored(condition);
    }
    if (!left.is_register()) left = hold(left);
    if (!right.is_register() && !(right.is_constant() && fits_imm(right.number))) right = hold(right);
  }

  void branch(Condition condition, Value left, Value right, uint32_t target) {
    prepare(condition, left, right);
    uint8_t code = BPF_JMP | jump_code(condition);
    if (right.is_constant())
      put(code | BPF_K, use(left), 0, 0, right.number).target = target;
    else
      put(code | BPF_X, use(left), use(right)).target = target;
  }

  void store(const Instruction &each) {
    Address to = address(each);
    const Value &value = each.in[1];
    uint8_t code = BPF_MEM | size_code(each.size);
    if (value.is_constant() && (each.size != Size::k8 || fits_imm(value.number)))
      put(BPF_ST | code, to.base, 0, to.offset, static_cast<int32_t>(value.number));
    else
      put(BPF_STX | code, to.base, use(value), to.offset);
  }

  void call(const Instruction &each) {
    for (uint32_t i = 0; i < each.inputs; i++) set(i + 1, each.in[i]);
    Machine &made = put(BPF_JMP | BPF_CALL, 0, 0, 0, each.target);
    made.arguments = each.inputs;
    if (each.op == Op::kCallFunction) {
      made.link = Machine::Link::kFunctionCall;
      made.target = each.target;
    }
    if (each.to != kNoRegister) move(number(each.to), BPF_REG_0);
  }

  // in[0] + offset as a base and an offset of 16 bits.
  Address address(const Instruction &each) {
    const Value &base = each.in[0];
    int64_t offset = each.offset;
    if (base.kind == Value::Kind::kSlot) {
      offset += frame_.offset[base.id] + base.number;
      if (fits_offset(offset)) return {kFrame, static_cast<int16_t>(offset)};
    }
    uint32_t held = use(base);
    if (fits_offset(each.offset)) return {held, static_cast<int16_t>(each.offset)};
    uint32_t moved = fresh();
    move(moved, held);
    alu_imm(BPF_ADD, moved, each.offset);
    return {moved, 0};
  }

  // A register that has the value.
  uint32_t use(const Value &value) {
    if (value.is_register()) return number(value.id);
    uint32_t to = fresh();
    set(to, value);
    return to;
  }

  // The same as a Value, for what takes either. Registers of that kind have no number in
  // the function: ids above its own.
  Value hold(const Value &value) {
    uint32_t to = use(value);
    number_.push_back(to);
    return Register{static_cast<uint32_t>(number_.size() - 1)};
  }

  void set(uint32_t to, const Value &value) {
    switch (value.kind) {
      case Value::Kind::kRegister:
        move(to, number(value.id));
        return;
      case Value::Kind::kConstant:
        if (fits_imm(value.number))
          alu_imm(BPF_MOV, to, value.number);
        else if (static_cast<uint64_t>(value.number) <= UINT32_MAX)
          put(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, static_cast<int32_t>(value.number));
        else
          put(kWideConstant, to, 0, 0, value.number);
        return;
      case Value::Kind::kSlot:
        move(to, kFrame);
        alu_imm(BPF_ADD, to, frame_.offset[value.id] + value.number);
        return;
      case Value::Kind::kMap:
        link(to, Machine::Link::kMap, value);
        return;
      case Value::Kind::kMapValue:
        link(to, Machine::Link::kMapValue, value);
        return;
      case Value::Kind::kFunction:
        link(to, Machine::Link::kFunctionAddress, value);
        return;
    }
  }

  void link(uint32_t to, Machine::Link what, const Value &value) {
    Machine &made = put(kWideConstant, to, 0, 0, value.number);
    made.link = what;
    made.target = value.id;
  }

  void move(uint32_t to, uint32_t from) {
    if (to != from) put(BPF_ALU64 | BPF_MOV | BPF_X, to, from);
  }
  void alu(uint8_t code, uint32_t to, uint32_t from) { put(BPF_ALU64 | code | BPF_X, to, from); }
  void alu_imm(uint8_t code, uint32_t to, int64_t imm) { put(BPF_ALU64 | code | BPF_K, to, 0, 0, imm); }
  void label(uint32_t target) {
    Machine made;
    made.label = true;
    made.target = target;
    out_.body.push_back(made);
  }

  Machine &put(int code, uint32_t dst, uint32_t src, int16_t off = 0, int64_t imm = 0) {
    Machine made;
    made.code = static_cast<uint8_t>(code);
    made.dst = dst;
    made.src = src;
    made.off = off;
    made.imm = imm;
    made.position = position_;
    out_.body.push_back(made);
    return out_.body.back();
  }

  uint32_t fresh() { return out_.registers++; }
  uint32_t number(uint32_t id) {
    if (number_[id] == 0) number_[id] = fresh();
    return number_[id];
  }

  const Function &function_;
  Frame frame_;
  std::vector<uint32_t> number_;  // of each register of the function; 0: not yet
  MachineCode out_;
  Position position_;
};

}  // namespace

tl::unexpected<Error> stack_exhausted(const std::string &function, uint32_t bytes) {
  return fail(ErrorCode::kExhausted, fmt::format("'{}' needs {} bytes of stack", function, bytes),
              fmt::format("the kernel gives a BPF function {}", kStackBytesMost),
              "use fewer or shorter local values, or move some to a map");
}

Result<MachineCode> lower(const Function &function) {
  Frame frame = lay_out(function);
  if (frame.bytes > kStackBytesMost) return stack_exhausted(function.name, static_cast<uint32_t>(frame.bytes));
  return Lowering(function, std::move(frame)).run();
}

}  // namespace waggle::codegen
