// The pass of optimize.h that computes what is known before the program runs.
//
// Facts about registers are gathered instruction after instruction and hold until the
// register is assigned again, or until a place that is reached from elsewhere. Only what
// is assigned once in the whole function, a constant, is known everywhere.
#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "base/check.h"
#include "codegen/optimize.h"

namespace waggle::codegen {
namespace {

bool fits_imm(int64_t value) {
  return value == static_cast<int32_t>(value);
}

bool is_commutative(const Instruction &each) {
  switch (each.op) {
    case Op::kAdd:
    case Op::kMul:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
      return true;
    default:
      return false;
  }
}

// One that takes an instruction of its own (lddw) wherever it is used.
bool is_wide(const Value &value) {
  switch (value.kind) {
    case Value::Kind::kRegister:
      return false;
    case Value::Kind::kConstant:
      return !fits_imm(value.number);
    default:
      return true;
  }
}

class Propagation {
 public:
  explicit Propagation(Function &function)
      : function_(function),
        facts_(function.registers),
        version_(function.registers),
        constant_(function.registers),
        assigned_(function.registers) {}

  bool run() {
    find_constants();
    std::vector<uint32_t> jumps(function_.labels);
    for (const Instruction &each : function_.body)
      if (each.is_jump()) jumps[each.target]++;
    for (Instruction &each : function_.body) {
      if (each.ends_block() || (each.is_label() && jumps[each.target] > 0)) epoch_++;
      visit(each);
    }
    return changed_;
  }

 private:
  struct Fact {
    uint32_t epoch = 0;   // it holds in this one
    bool is_sum = false;  // value is set: of another register plus `addend`, or known
    Value value;
    int64_t addend = 0;
    uint32_t version = 0;  // of the register in `value`
    // The result of this comparison, while its registers have these versions.
    const Instruction *comparison = nullptr;
    std::array<uint32_t, 2> versions{};
    uint8_t bits = 64;  // all above are 0
  };

  void find_constants() {
    for (uint32_t i = 0; i < function_.parameters; i++) assigned_[i]++;
    for (const Instruction &each : function_.body)
      if (each.to != kNoRegister) assigned_[each.to]++;
    for (const Instruction &each : function_.body)
      if (each.op == Op::kMove && each.to != kNoRegister && assigned_[each.to] == 1 && !each.in[0].is_register())
        constant_[each.to] = &each;
  }

  void visit(Instruction &each) {
    if (each.is_label()) return;
    const Instruction before = each;
    put_known_values(each);
    const Instruction known = each;
    join_offset(each);
    // A rule may open the way for another.
    for (int step = 0; step < 4 && simplify(each); step++) {
    }
    if (same(known, each)) take_back_wide_values(before, each);
    if (!same(before, each)) changed_ = true;
    if (each.to != kNoRegister) learn(each);
  }

  static bool same(const Instruction &a, const Instruction &b) {
    return a.op == b.op && a.inputs == b.inputs && a.condition == b.condition && a.offset == b.offset && a.in == b.in &&
           a.to == b.to;
  }

  const Fact *fact(const Value &value) const {
    if (!value.is_register()) return nullptr;
    const Fact &known = facts_[value.id];
    return known.epoch == epoch_ ? &known : nullptr;
  }

  bool holds_still(const Value &value, uint32_t version) const {
    return !value.is_register() || version_[value.id] == version;
  }

  // The value, or what is known to equal it.
  Value known(const Value &value) const {
    if (!value.is_register()) return value;
    if (constant_[value.id] != nullptr) return constant_[value.id]->in[0];
    const Fact *about = fact(value);
    if (about == nullptr || !about->is_sum || about->addend != 0 || !holds_still(about->value, about->version))
      return value;
    return about->value;
  }

  void put_known_values(Instruction &each) const {
    for (uint8_t i = 0; i < each.inputs; i++) each.in[i] = known(each.in[i]);
  }

  // Calls and moves take a wide value at no more cost than a register. Others would need it
  // in a register all the same, each time anew.
  static void take_back_wide_values(const Instruction &before, Instruction &each) {
    if (each.op == Op::kMove || each.op == Op::kCallHelper || each.op == Op::kCallFunction || each.op == Op::kReturn)
      return;
    for (uint8_t i = 0; i < each.inputs; i++)
      if (is_wide(each.in[i]) && !is_cheap(each, i)) each.in[i] = before.in[i];
  }

  // What lower() has an instruction for, though it is wide.
  static bool is_cheap(const Instruction &each, uint8_t input) {
    const Value &value = each.in[input];
    if (each.is_memory_access() && input == 0) return value.kind == Value::Kind::kSlot;
    if (!value.is_constant()) return false;
    if (each.op == Op::kAnd) return static_cast<uint64_t>(value.number) <= UINT32_MAX;
    return each.op == Op::kStore && each.size != Size::k8;
  }

  // *(p + 8), where p is q + 16, is *(q + 24).
  void join_offset(Instruction &each) const {
    if (!each.is_memory_access()) return;
    Value &base = each.in[0];
    int64_t offset = each.offset;
    const Fact *about = fact(base);
    if (about == nullptr || !about->is_sum || !about->value.is_register() || !holds_still(about->value, about->version))
      return;
    if (__builtin_add_overflow(offset, about->addend, &offset) || offset != static_cast<int16_t>(offset)) return;
    base = about->value;
    each.offset = static_cast<int32_t>(offset);
  }

  static bool become(Instruction &each, const Value &value) {
    each.op = Op::kMove;
    each.size = Size::k8;
    each.inputs = 1;
    each.in = {value};
    return true;
  }
  static bool become(Instruction &each, Op op, const Value &right) {
    each.op = op;
    each.in[1] = right;
    return true;
  }

  uint8_t bits_of(const Value &value) const {
    if (value.is_constant()) return static_cast<uint8_t>(std::bit_width(static_cast<uint64_t>(value.number)));
    const Fact *about = fact(value);
    return about == nullptr ? 64 : about->bits;
  }

  // One rule, if one applies; and whether one did.
  bool simplify(Instruction &each) const {
    if (each.op == Op::kBranch) return simplify_branch(each);
    if (each.op < Op::kAdd || each.op > Op::kByteSwap) return false;
    if (each.in[0].is_constant() && (each.inputs == 1 || each.in[1].is_constant()))
      return become(each,
                    evaluate(each, static_cast<uint64_t>(each.in[0].number), static_cast<uint64_t>(each.in[1].number)));
    if (each.inputs == 1) return simplify_unary(each);
    if (each.in[0].is_constant() && is_commutative(each)) {
      std::swap(each.in[0], each.in[1]);
      return true;
    }
    if (each.op == Op::kCompare) return simplify_compare(each);
    if (each.in[0].is_register() && each.in[0] == each.in[1]) {
      if (each.op == Op::kSub || each.op == Op::kXor) return become(each, 0);
      if (each.op == Op::kAnd || each.op == Op::kOr) return become(each, Value(each.in[0]));
    }
    return each.in[1].is_constant() && simplify_by_constant(each);
  }

  bool simplify_unary(Instruction &each) const {
    unsigned bits = static_cast<unsigned>(each.size) * 8, known_bits = bits_of(each.in[0]);
    if ((each.op == Op::kZeroExtend && known_bits <= bits) || (each.op == Op::kSignExtend && known_bits < bits) ||
        (each.op == Op::kSignExtend && each.size == Size::k8))
      return become(each, Value(each.in[0]));
    return false;
  }

  bool simplify_by_constant(Instruction &each) const {
    const Value left = each.in[0];
    const int64_t right = each.in[1].number;
    const auto pattern = static_cast<uint64_t>(right);
    const bool is_power = std::has_single_bit(pattern);
    const int power = std::countr_zero(pattern);
    switch (each.op) {
      case Op::kAdd:
        if (left.kind == Value::Kind::kSlot || (left.kind == Value::Kind::kMapValue && left.number + right >= 0)) {
          int64_t offset = 0;
          if (__builtin_add_overflow(left.number, right, &offset) || !fits_imm(offset)) return false;
          Value moved = left;
          moved.number = offset;
          return become(each, moved);
        }
        return right == 0 && become(each, left);
      case Op::kSub:
        return become(each, Op::kAdd, static_cast<int64_t>(0 - pattern));
      case Op::kMul:
        if (right == 0) return become(each, 0);
        if (right == 1) return become(each, left);
        return is_power && become(each, Op::kShiftLeft, power);
      case Op::kDiv:
        if (right == 0) return become(each, 0);
        return is_power && become(each, Op::kShiftRight, power);
      case Op::kMod:
        if (right == 0) return become(each, left);
        return is_power && become(each, Op::kAnd, static_cast<int64_t>(pattern - 1));
      case Op::kSignedDiv:
        if (right == 0) return become(each, 0);
        return right == 1 && become(each, left);
      case Op::kSignedMod:
        if (right == 0) return become(each, left);
        return (right == 1 || right == -1) && become(each, 0);
      case Op::kAnd: {
        if (right == 0) return become(each, 0);
        unsigned bits = bits_of(left);
        uint64_t possible = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
        return (pattern & possible) == possible && become(each, left);
      }
      case Op::kOr:
      case Op::kXor:
        return right == 0 && become(each, left);
      case Op::kShiftLeft:
      case Op::kShiftRight:
      case Op::kShiftRightSigned:
        if (right != (right & 63)) return become(each, each.op, right & 63);
        return right == 0 && become(each, left);
      default:
        return false;
    }
  }

  // Rules that hold for comparisons and branches alike: a constant to the right, the
  // simplest condition, the comparison behind a tested truth value.
  bool simplify_condition(Instruction &each) const {
    if (each.in[0].is_constant() && !each.in[1].is_constant()) {
      std::swap(each.in[0], each.in[1]);
      each.condition = mirrored(each.condition);
      return true;
    }
    if (!each.in[1].is_constant()) return false;
    const int64_t right = each.in[1].number;
    Condition simpler = each.condition;
    if (right == 0 && each.condition == Condition::kAbove) simpler = Condition::kNotEqual;
    if (right == 0 && each.condition == Condition::kBelowEqual) simpler = Condition::kEqual;
    if (right == 1 && each.condition == Condition::kAboveEqual) simpler = Condition::kNotEqual;
    if (right == 1 && each.condition == Condition::kBelow) simpler = Condition::kEqual;
    if (simpler != each.condition) {
      each.condition = simpler;
      each.in[1] = 0;
      return true;
    }
    return test_of_comparison(each);
  }

  // (a < b) == 0 is a >= b.
  bool test_of_comparison(Instruction &each) const {
    bool is_equal = each.condition == Condition::kEqual;
    if ((!is_equal && each.condition != Condition::kNotEqual) ||
        !(each.in[1].is_constant(0) || each.in[1].is_constant(1)))
      return false;
    const Fact *about = fact(each.in[0]);
    if (about == nullptr || about->comparison == nullptr) return false;
    const Instruction &comparison = *about->comparison;
    for (size_t i = 0; i < 2; i++)
      if (!holds_still(comparison.in[i], about->versions[i])) return false;
    bool wants_true = is_equal == each.in[1].is_constant(1);
    each.condition = wants_true ? comparison.condition : inverse(comparison.condition);
    each.in = comparison.in;
    return true;
  }

  bool always(const Instruction &each, bool &outcome) const {
    if (each.in[0].is_constant() && each.in[1].is_constant()) {
      outcome =
          holds(each.condition, static_cast<uint64_t>(each.in[0].number), static_cast<uint64_t>(each.in[1].number));
      return true;
    }
    if (each.in[0] == each.in[1]) {
      outcome = holds(each.condition, 0, 0);
      return true;
    }
    if (each.in[1].is_constant(0) &&
        (each.condition == Condition::kBelow || each.condition == Condition::kAboveEqual)) {
      outcome = each.condition == Condition::kAboveEqual;
      return true;
    }
    return false;
  }

  bool simplify_compare(Instruction &each) const {
    bool outcome = false;
    if (always(each, outcome)) return become(each, outcome);
    if (simplify_condition(each)) return true;
    bool is_itself = (each.condition == Condition::kNotEqual && each.in[1].is_constant(0)) ||
                     (each.condition == Condition::kEqual && each.in[1].is_constant(1));
    return is_itself && bits_of(each.in[0]) <= 1 && become(each, Value(each.in[0]));
  }

  bool simplify_branch(Instruction &each) const {
    bool outcome = false;
    if (!always(each, outcome)) return simplify_condition(each);
    if (outcome) {
      each.op = Op::kJump;
      each.inputs = 0;
      each.in = {};
    } else {
      // Nothing: a move of nothing to nowhere, which drop_unused() removes.
      become(each, 0);
      each.target = 0;
    }
    return true;
  }

  void learn(const Instruction &each) {
    Fact learned;
    learned.epoch = epoch_;
    learned.bits = bits_after(each);
    if (each.op == Op::kMove || (each.op == Op::kAdd && each.in[1].is_constant() && each.in[0].is_register())) {
      learned.is_sum = true;
      learned.value = each.in[0];
      learned.addend = each.op == Op::kMove ? 0 : each.in[1].number;
      follow_sum(learned);
      if (learned.value.is_register()) learned.version = version_[learned.value.id];
    }
    if (each.op == Op::kCompare) {
      learned.comparison = &each;
      for (size_t i = 0; i < 2; i++)
        if (each.in[i].is_register()) learned.versions[i] = version_[each.in[i].id];
    }
    if (each.op == Op::kMove && fact(each.in[0]) != nullptr) {
      learned.comparison = fact(each.in[0])->comparison;
      learned.versions = fact(each.in[0])->versions;
    }
    version_[each.to]++;
    facts_[each.to] = learned;
  }

  // What is known about the register it adds to is part of it.
  void follow_sum(Fact &sum) const {
    const Fact *about = fact(sum.value);
    if (about == nullptr || !about->is_sum || !about->value.is_register() || !holds_still(about->value, about->version))
      return;
    int64_t addend = 0;
    if (__builtin_add_overflow(sum.addend, about->addend, &addend)) return;
    sum.addend = addend;
    sum.value = about->value;
  }

  uint8_t bits_after(const Instruction &each) const {
    const auto size_bits = static_cast<uint8_t>(static_cast<unsigned>(each.size) * 8);
    const uint8_t left = bits_of(each.in[0]);
    switch (each.op) {
      case Op::kMove:
        return left;
      case Op::kCompare:
        return 1;
      case Op::kLoad:
      case Op::kByteSwap:
        return size_bits;
      case Op::kZeroExtend:
        return std::min(size_bits, left);
      case Op::kAnd:
        return std::min(left, bits_of(each.in[1]));
      case Op::kOr:
      case Op::kXor:
        return std::max(left, bits_of(each.in[1]));
      case Op::kDiv:
        return left;
      case Op::kShiftRight:
        if (!each.in[1].is_constant()) return left;
        return static_cast<uint8_t>(std::max<int64_t>(left - (each.in[1].number & 63), 0));
      default:
        return 64;
    }
  }

  Function &function_;
  std::vector<Fact> facts_;
  std::vector<uint32_t> version_;
  std::vector<const Instruction *> constant_;
  std::vector<uint32_t> assigned_;
  uint32_t epoch_ = 1;
  bool changed_ = false;
};

}  // namespace

bool propagate(Function &function) {
  return Propagation(function).run();
}

}  // namespace waggle::codegen
