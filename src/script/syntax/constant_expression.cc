#include "script/syntax/constant_expression.h"

#include <string_view>

namespace waggle::script {
namespace {

constexpr int kDepthMost = 100;

struct Operator {
  std::string_view text;
  int precedence;
};
constexpr Operator kOperators[] = {{"||", 1}, {"&&", 2}, {"|", 3}, {"^", 4},  {"&", 5},  {"==", 6},
                                   {"!=", 6}, {"<", 7},  {">", 7}, {"<=", 7}, {">=", 7}, {"<<", 8},
                                   {">>", 8}, {"+", 9},  {"-", 9}, {"*", 10}, {"/", 10}, {"%", 10}};

class Evaluator {
 public:
  explicit Evaluator(std::span<const Token> tokens) : tokens_(tokens) {}

  std::optional<int64_t> all() {
    std::optional<int64_t> value = conditional(0);
    return at_ == tokens_.size() ? value : std::nullopt;
  }

 private:
  bool take(std::string_view text) {
    if (at_ >= tokens_.size() || !tokens_[at_].is(text)) return false;
    at_++;
    return true;
  }

  std::optional<int64_t> conditional(int depth) {
    std::optional<int64_t> condition = binary(1, depth);
    if (!condition || !take("?")) return condition;
    std::optional<int64_t> one = conditional(depth);
    if (!one || !take(":")) return std::nullopt;
    std::optional<int64_t> other = conditional(depth);
    if (!other) return std::nullopt;
    return *condition != 0 ? one : other;
  }

  std::optional<int64_t> binary(int least, int depth) {
    std::optional<int64_t> left = unary(depth);
    while (left && at_ < tokens_.size()) {
      const Operator *found = nullptr;
      for (const Operator &each : kOperators)
        if (tokens_[at_].is(each.text) && each.precedence >= least) found = &each;
      if (found == nullptr) return left;
      at_++;
      std::optional<int64_t> right = binary(found->precedence + 1, depth);
      left = right ? apply(found->text, *left, *right) : std::nullopt;
    }
    return left;
  }

  std::optional<int64_t> unary(int depth) {
    if (depth > kDepthMost || at_ >= tokens_.size()) return std::nullopt;
    if (take("(")) {
      std::optional<int64_t> value = conditional(depth + 1);
      return take(")") ? value : std::nullopt;
    }
    for (std::string_view sign : {"!", "-", "~", "+"}) {
      if (!take(sign)) continue;
      std::optional<int64_t> value = unary(depth + 1);
      if (!value) return std::nullopt;
      auto bits = static_cast<uint64_t>(*value);
      if (sign == "!") return *value == 0 ? 1 : 0;
      return static_cast<int64_t>(sign == "-" ? 0 - bits : sign == "~" ? ~bits : bits);
    }
    const Token &token = tokens_[at_++];
    if (token.kind == TokenKind::kInteger) return static_cast<int64_t>(token.value);
    if (token.kind == TokenKind::kIdentifier) return 0;
    return std::nullopt;
  }

  static std::optional<int64_t> apply(std::string_view op, int64_t left, int64_t right) {
    auto a = static_cast<uint64_t>(left), b = static_cast<uint64_t>(right);
    if (op == "||") return left != 0 || right != 0;
    if (op == "&&") return left != 0 && right != 0;
    if (op == "==") return left == right;
    if (op == "!=") return left != right;
    if (op == "<") return left < right;
    if (op == ">") return left > right;
    if (op == "<=") return left <= right;
    if (op == ">=") return left >= right;
    if (op == "/" || op == "%") {
      if (right == 0) return std::nullopt;
      // The smallest number has no positive.
      if (right == -1) return op == "/" ? static_cast<int64_t>(0 - a) : 0;
      return op == "/" ? left / right : left % right;
    }
    if ((op == "<<" || op == ">>") && b > 63) return std::nullopt;
    if (op == "<<") return static_cast<int64_t>(a << b);
    if (op == ">>") return left >> b;
    uint64_t result = op == "+"   ? a + b
                      : op == "-" ? a - b
                      : op == "*" ? a * b
                      : op == "&" ? a & b
                      : op == "|" ? a | b
                                  : a ^ b;
    return static_cast<int64_t>(result);
  }

  std::span<const Token> tokens_;
  size_t at_ = 0;
};

}  // namespace

std::optional<int64_t> constant_expression(std::span<const Token> tokens) {
  return Evaluator(tokens).all();
}

}  // namespace waggle::script
