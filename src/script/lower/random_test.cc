// Expressions of random shape, types and values: the kernel runs what lower() makes of them,
// and a few lines of C++ say what they mean.
// WAGGLE_SCRIPT_EXPRESSIONS=N tries N of them, WAGGLE_SCRIPT_SEED=N others than usual.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "codegen/disassemble.h"
#include "script/lower/script_for_test.h"

namespace waggle::script {
namespace {

constexpr uint32_t kWords = 4;
using Words = std::array<uint64_t, kWords>;

uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 10);
}

uint64_t cut(const Type &type, uint64_t value) {
  if (type.is(TypeKind::kBool) || type.bytes() == 8) return value;
  const uint32_t above = 64 - type.bytes() * 8;
  return type.is_signed() ? static_cast<uint64_t>(static_cast<int64_t>(value << above) >> above)
                          : value << above >> above;
}

class Meaning {
 public:
  Meaning(const Words &words, const std::vector<uint64_t> &variables) : words_(words), variables_(variables) {}

  uint64_t of(const Node &node) {
    const Type &type = node.type;
    switch (node.op) {
      case Op::kConstant:
        return cut(type, static_cast<uint64_t>(node.number));
      case Op::kContextWord:
        return cut(type, words_[static_cast<size_t>(node.number) / 8]);
      case Op::kVariable:
        return variables_[static_cast<size_t>(node.number)];
      case Op::kConvert: {
        uint64_t value = of(*node.in[0]);
        return type.is(TypeKind::kBool) ? value != 0 : cut(type, value);
      }
      case Op::kNegate:
        return cut(type, 0 - of(*node.in[0]));
      case Op::kBitNot:
        return cut(type, ~of(*node.in[0]));
      case Op::kNot:
        return of(*node.in[0]) == 0;
      case Op::kAnd:
        return of(*node.in[0]) != 0 && of(*node.in[1]) != 0;
      case Op::kOr:
        return of(*node.in[0]) != 0 || of(*node.in[1]) != 0;
      case Op::kConditional:
        return of(*node.in[of(*node.in[0]) != 0 ? 1 : 2]);
      case Op::kField: {
        const std::vector<Field> &fields = node.in[0]->type.fields();
        for (size_t i = 0; i < fields.size(); i++)
          if (fields[i].offset == node.number) return of(*node.in[0]->in[i]);
        return 0;
      }
      case Op::kByteSwap:
        return cut(type, swapped(type.bytes(), of(*node.in[0])));
      default:
        return of_two(node, of(*node.in[0]), of(*node.in[1]));
    }
  }

 private:
  static uint64_t swapped(uint32_t bytes, uint64_t value) { return __builtin_bswap64(value) >> (64 - bytes * 8); }

  static uint64_t of_two(const Node &node, uint64_t left, uint64_t right) {
    const Type &type = node.type;
    const bool is_signed = node.in[0]->type.is_signed();
    const auto signed_left = static_cast<int64_t>(left), signed_right = static_cast<int64_t>(right);
    switch (node.op) {
      case Op::kAdd:
        return cut(type, left + right);
      case Op::kSubtract:
        return cut(type, left - right);
      case Op::kMultiply:
        return cut(type, left * right);
      case Op::kBitAnd:
        return left & right;
      case Op::kBitOr:
        return left | right;
      case Op::kBitXor:
        return cut(type, left ^ right);
      case Op::kShiftLeft:
        return cut(type, left << (right & 63));
      case Op::kShiftRight:
        return cut(type, is_signed ? static_cast<uint64_t>(signed_left >> (right & 63)) : left >> (right & 63));
      case Op::kDivide:
        if (right == 0) return 0;
        if (!is_signed) return cut(type, left / right);
        return cut(type, signed_right == -1 ? 0 - left : static_cast<uint64_t>(signed_left / signed_right));
      case Op::kModulo:
        if (right == 0) return left;
        if (!is_signed) return cut(type, left % right);
        return cut(type, signed_right == -1 ? 0 : static_cast<uint64_t>(signed_left % signed_right));
      case Op::kEqual:
        return left == right;
      case Op::kNotEqual:
        return left != right;
      case Op::kLess:
        return is_signed ? signed_left < signed_right : left < right;
      case Op::kLessOrEqual:
        return is_signed ? signed_left <= signed_right : left <= right;
      case Op::kGreater:
        return is_signed ? signed_left > signed_right : left > right;
      default:
        CHECK(node.op == Op::kGreaterOrEqual);
        return is_signed ? signed_left >= signed_right : left >= right;
    }
  }

  const Words &words_;
  const std::vector<uint64_t> &variables_;
};

class RandomExpression {
 public:
  RandomExpression(TestScript &test, std::mt19937_64 &random) : test_(test), random_(random) {}

  Type type() {
    static constexpr uint32_t kSizes[] = {1, 2, 4, 8, 8, 8};
    return Type::integer(kSizes[choose(6)], choose(2) == 0);
  }

  const Node *number(const Type &type, uint32_t depth) {
    if (depth == 0) return leaf(type);
    switch (choose(8)) {
      case 0:
        return leaf(type);
      case 1:
        return &test_.make(Op::kConvert, type, {choose(4) == 0 ? truth(depth - 1) : number(this->type(), depth - 1)});
      case 2:
        return &test_.make(choose(2) == 0 ? Op::kNegate : Op::kBitNot, type, {number(type, depth - 1)});
      case 3:
        return &test_.make(Op::kConditional, type,
                           {truth(depth - 1), number(type, depth - 1), number(type, depth - 1)});
      case 4:
        if (type.bytes() > 1) return &test_.make(Op::kByteSwap, type, {number(type, depth - 1)});
        return test_.field(test_.tuple({number(this->type(), depth - 1), number(type, depth - 1)}), 1);
      default: {
        static constexpr Op kOps[] = {Op::kAdd,    Op::kSubtract, Op::kMultiply,  Op::kDivide,     Op::kModulo,
                                      Op::kBitAnd, Op::kBitOr,    Op::kShiftLeft, Op::kShiftRight, Op::kBitXor};
        return &test_.make(kOps[choose(10)], type, {number(type, depth - 1), number(type, depth - 1)});
      }
    }
  }

  const Node *truth(uint32_t depth) {
    if (depth == 0) return &test_.make(Op::kConvert, kBoolean, {leaf(type())});
    switch (choose(5)) {
      case 0:
        return &test_.make(Op::kNot, kBoolean, {truth(depth - 1)});
      case 1:
        return &test_.make(choose(2) == 0 ? Op::kAnd : Op::kOr, kBoolean, {truth(depth - 1), truth(depth - 1)});
      case 2:
        return &test_.make(Op::kConvert, kBoolean, {number(type(), depth - 1)});
      default: {
        static constexpr Op kOps[] = {Op::kEqual,       Op::kNotEqual, Op::kLess,
                                      Op::kLessOrEqual, Op::kGreater,  Op::kGreaterOrEqual};
        Type compared = type();
        return &test_.make(kOps[choose(6)], kBoolean, {number(compared, depth - 1), number(compared, depth - 1)});
      }
    }
  }

  uint32_t choose(uint32_t of) { return static_cast<uint32_t>(random_() % of); }
  uint64_t value() { return random_() >> (choose(4) * 16 + choose(16)); }

  std::vector<uint32_t> variables;

 private:
  const Node *leaf(const Type &type) {
    const uint32_t what = choose(4);
    if (what == 0) return test_.number(static_cast<int64_t>(value()), type);
    if (what > 1 || variables.empty()) return test_.word(choose(kWords), type);
    const Node *from = test_.variable(variables[choose(static_cast<uint32_t>(variables.size()))]);
    return from->type == type ? from : &test_.make(Op::kConvert, type, {from});
  }

  TestScript &test_;
  std::mt19937_64 &random_;
};

TEST(ScriptLowerRandom, ExpressionsMeanTheSame) {
  const uint64_t expressions = number_from("WAGGLE_SCRIPT_EXPRESSIONS", 300);
  const uint64_t seed = number_from("WAGGLE_SCRIPT_SEED", 1);
  constexpr int kValues = 8;
  for (uint64_t i = 0; i < expressions; i++) {
    std::mt19937_64 random(seed * 1'000'000'007 + i);
    TestScript test;
    RandomExpression make(test, random);
    // A third of them are in the body of a loop, where variables are in the frame.
    const bool in_loop = make.choose(3) == 0;
    std::vector<const Node *> values;
    std::vector<const Step *> steps;
    for (int variable = 0; variable < 3; variable++) {
      Type type = make.type();
      values.push_back(make.number(type, 2));
      uint32_t id = test.add_variable(type);
      steps.push_back(test.assign(id, values.back()));
      make.variables.push_back(id);
    }
    const Type type = make.type();
    values.push_back(make.number(type, 5));
    uint32_t map = test.add_map(Type(), type);
    steps.push_back(&test.assign_map(map, nullptr, values.back()));
    if (in_loop) {
      Step &loop = test.step(Step::Kind::kForRange);
      loop.variable = test.add_variable(kI64);
      loop.value = test.number(0);
      loop.end = test.number(1);
      loop.body = std::move(steps);
      steps = {&loop};
    }
    for (const Step *each : steps) test.add(each);
    Result<TestRun> run = TestRun::make(test.script, test.sources, modern_options());
    if (!run && run.error().code == ErrorCode::kDenied) GTEST_SKIP() << run.error().text();
    ASSERT_TRUE(run.has_value()) << "expression " << i << "\n" << run.error().text();
    for (int round = 0; round < kValues; round++) {
      Words words;
      for (uint64_t &each : words) each = make.value();
      std::vector<uint64_t> variables;
      for (int variable = 0; variable < 3; variable++)
        variables.push_back(Meaning(words, variables).of(*values[static_cast<size_t>(variable)]));
      const uint64_t expected = Meaning(words, variables).of(*values.back());
      ASSERT_TRUE(run->run(words).has_value());
      Bytes stored = run->value(map);
      uint64_t found = 0;
      std::memcpy(&found, stored.data(), type.bytes());
      ASSERT_EQ(cut(type, found), expected) << "expression " << i << " of " << type.name() << "\n"
                                            << codegen::listing(run->lowered.programs[0].code);
    }
  }
}

}  // namespace
}  // namespace waggle::script
