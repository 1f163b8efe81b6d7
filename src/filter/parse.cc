#include "filter/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/quantity.h"
#include "base/text.h"
#include "enrich/field.h"
#include "enrich/render.h"
#include "filter/values.h"

namespace waggle::filter {
namespace {

using codegen::Condition;

constexpr size_t kTextMost = 4096;
constexpr int kDepthMost = 64;

// In an expression, by falling strength of their bonds; one with the same letters as the
// beginning of another stands behind it.
enum class Sign : uint8_t {
  kOr,
  kAnd,
  kBitOr,
  kBitXor,
  kBitAnd,
  kEqual,
  kUnequal,
  kPart,
  kNoPart,
  kBeginning,
  kEnd,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kShiftLeft,
  kShiftRight,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
};
struct SignInfo {
  std::string_view text;
  Sign sign;
  int precedence;
  bool takes_value = false;  // what follows is a value, and may have any letters
};
constexpr SignInfo kSigns[] = {
    {"||", Sign::kOr, 1},
    {"&&", Sign::kAnd, 2},
    {"!=", Sign::kUnequal, 6, true},
    {"!~", Sign::kNoPart, 6, true},
    {"==", Sign::kEqual, 6, true},
    {"=", Sign::kEqual, 6, true},
    {"~", Sign::kPart, 6, true},
    {"contains", Sign::kPart, 6, true},
    {"startswith", Sign::kBeginning, 6, true},
    {"endswith", Sign::kEnd, 6, true},
    {"<<", Sign::kShiftLeft, 8},
    {">>", Sign::kShiftRight, 8},
    {"<=", Sign::kLessEqual, 7, true},
    {">=", Sign::kGreaterEqual, 7, true},
    {"<", Sign::kLess, 7, true},
    {">", Sign::kGreater, 7, true},
    {"|", Sign::kBitOr, 3},
    {"^", Sign::kBitXor, 4},
    {"&", Sign::kBitAnd, 5},
    {"+", Sign::kAdd, 9},
    {"-", Sign::kSubtract, 9},
    {"*", Sign::kMultiply, 10},
    {"/", Sign::kDivide, 10},
    {"%", Sign::kModulo, 10},
};

bool is_word_letter(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == ':';
}

// What stands beside an operator, until it is known what it means there.
struct Operand {
  enum class Kind : uint8_t { kWord, kColumn, kNode } kind = Kind::kWord;
  std::string word;              // of kWord
  bool is_quoted = false;        // of kWord
  Column column;                 // of kColumn
  Node node;                     // of kNode
  std::optional<Column> values;  // of kNode: the column whose values words beside it are
};

Operand node_operand(Node node, std::optional<Column> values = {}) {
  Operand operand;
  operand.kind = Operand::Kind::kNode;
  operand.node = std::move(node);
  operand.values = std::move(values);
  return operand;
}

bool can_be_number(const Column &column) {
  return column.is_integer() && column.kind != Kind::kTime;
}

tl::unexpected<Error> no_condition(std::string_view text, std::string why = {}) {
  return fail(ErrorCode::kMisuse, fmt::format("'{}' is no condition", text), std::move(why),
              "write COLUMN=VALUE[,VALUE...], or with !=, <, <=, >, >=, & (bits) or ~ (part of a text), "
              "and combine with &&, ||, ! and ( )");
}

class Parser {
 public:
  Parser(std::string_view text, const Schema &schema, Host &host) : text_(text), schema_(schema), renderer_(host) {}

  // One test as it stands in a shell: COLUMN=VALUE[,VALUE…], where a value has any letters.
  // Nothing where the text does not look like it.
  std::optional<Result<Node>> simple();
  Result<Node> whole();

 private:
  Result<Operand> binary(int least, bool is_value);
  Result<Operand> unary(bool is_value);
  Result<Operand> quoted();
  Result<Operand> combine(Sign sign, Operand left, Operand right);
  Result<Operand> compare(Sign sign, Operand left, Operand right);
  Result<Node> test_text(Sign sign, const Column &column, const Operand &right) const;
  Result<Operand> compute(Sign sign, const Operand &left, const Operand &right);

  Result<Node> condition(const Operand &operand) const;
  // `beside`: the column whose values a word may be.
  Result<Node> number(const Operand &operand, const std::optional<Column> &beside, bool is_bits);
  Result<Column> column(std::string_view name) const;
  bool is_column(std::string_view word) const { return schema_.find(word) != nullptr; }
  std::optional<Column> values_of(const Operand &operand) const;
  tl::unexpected<Error> cannot_be_tested(const Column &column) const;
  tl::unexpected<Error> expected(std::string_view what) const;

  void skip_blanks() {
    while (at_ < text_.size() && isspace(static_cast<unsigned char>(text_[at_])) != 0) at_++;
  }
  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }
  bool take(std::string_view sign) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  const SignInfo *next_sign();
  std::string_view take_word();
  std::string_view take_value();

  std::string_view text_;
  const Schema &schema_;
  Renderer renderer_;
  size_t at_ = 0;
  int depth_ = 0;
};

const SignInfo *Parser::next_sign() {
  skip_blanks();
  std::string_view rest = text_.substr(at_);
  for (const SignInfo &each : kSigns) {
    if (!rest.starts_with(each.text)) continue;
    bool is_name = isalpha(static_cast<unsigned char>(each.text[0])) != 0;
    if (is_name && rest.size() > each.text.size() && is_word_letter(rest[each.text.size()])) continue;
    return &each;
  }
  return nullptr;
}

std::string_view Parser::take_word() {
  size_t begin = at_;
  while (at_ < text_.size() && is_word_letter(text_[at_])) at_++;
  return text_.substr(begin, at_ - begin);
}

// Up to a blank, a comma, what ends a parenthesis, or && and ||.
std::string_view Parser::take_value() {
  size_t begin = at_;
  while (at_ < text_.size()) {
    std::string_view rest = text_.substr(at_);
    if (isspace(static_cast<unsigned char>(rest[0])) != 0 || rest[0] == ',' || rest[0] == ')' || rest[0] == '"' ||
        rest.starts_with("&&") || rest.starts_with("||"))
      break;
    at_++;
  }
  return text_.substr(begin, at_ - begin);
}

tl::unexpected<Error> Parser::expected(std::string_view what) const {
  return no_condition(text_, at_ >= text_.size() ? fmt::format("it ends where {} is expected", what)
                                                 : fmt::format("{} is expected at '{}'", what, text_.substr(at_)));
}

tl::unexpected<Error> Parser::cannot_be_tested(const Column &column) const {
  return fail(ErrorCode::kMisuse, fmt::format("column '{}' cannot be tested so: '{}'", column.name, text_),
              fmt::format("it is a {}", kind_info(column.kind).name));
}

Result<Column> Parser::column(std::string_view name) const {
  Field field = TRY(parse_field(schema_, name));
  if (field.follow != Follow::kNothing)
    return fail(ErrorCode::kMisuse, fmt::format("'{}' cannot be tested", field.name),
                "rows are tested where they are made, by what they have themselves");
  return *field.column;
}

std::optional<Result<Node>> Parser::simple() {
  if (text_.find('"') != std::string_view::npos || text_.find("&&") != std::string_view::npos ||
      text_.find("||") != std::string_view::npos)
    return std::nullopt;
  at_ = 0;
  skip_blanks();
  std::string_view name = take_word();
  const SignInfo *sign = next_sign();
  bool can_be = sign != nullptr && (sign->takes_value || sign->sign == Sign::kBitAnd);
  if (name.empty() || !can_be) return std::nullopt;
  at_ += sign->text.size();
  std::string_view rest = text_.substr(at_);

  auto make = [&]() -> Result<Node> {
    Operand left;
    left.kind = Operand::Kind::kColumn;
    left.column = TRY(column(name));
    bool is_list = sign->sign == Sign::kEqual || sign->sign == Sign::kUnequal || sign->sign == Sign::kPart ||
                   sign->sign == Sign::kNoPart || sign->sign == Sign::kBitAnd;
    std::vector<std::string_view> values;
    if (is_list) values = split(rest, ',');
    if (values.empty()) values.push_back(rest);
    bool all = sign->sign == Sign::kUnequal || sign->sign == Sign::kNoPart;
    if (trim(rest).empty() && !left.column.is_text()) return no_condition(text_, "it has no value");
    Node list;
    list.op = all ? Op::kAnd : Op::kOr;
    for (std::string_view value : values) {
      Operand right;
      right.word = trim(value);
      Operand made = TRY(combine(sign->sign, left, std::move(right)));
      list.in.push_back(TRY(condition(made)));
    }
    if (list.in.size() == 1) return std::move(list.in[0]);
    return list;
  };
  return make();
}

Result<Node> Parser::whole() {
  at_ = 0;
  if (at_end()) return no_condition(text_);
  Operand made = TRY(binary(0, false));
  if (!at_end()) return expected("an operator");
  return condition(made);
}

Result<Operand> Parser::quoted() {
  at_++;
  Operand made;
  made.is_quoted = true;
  while (at_ < text_.size() && text_[at_] != '"') {
    if (text_[at_] == '\\' && at_ + 1 < text_.size()) at_++;
    made.word += text_[at_++];
  }
  if (at_ == text_.size()) return no_condition(text_, "a quotation mark is not closed");
  at_++;
  return made;
}

Result<Operand> Parser::unary(bool is_value) {
  if (at_end()) return expected("a column or a value");
  if (text_[at_] == '"') return quoted();
  if (depth_ >= kDepthMost) return no_condition(text_, "too many expressions within each other");
  auto nested = [&](auto parse) {
    depth_++;
    Result<Operand> made = parse();
    depth_--;
    return made;
  };
  if (take("(")) {
    Operand made = TRY(nested([&] { return binary(0, false); }));
    if (!take(")")) return expected("')'");
    return made;
  }
  Operand made;
  if (is_value) {
    made.word = take_value();
  } else if (take("!")) {
    made = TRY(nested([&] { return unary(false); }));
    Node positive = TRY(condition(made));
    return node_operand(not_node(std::move(positive)));
  } else if (text_[at_] == '~' || text_[at_] == '-') {
    codegen::Op op = text_[at_++] == '~' ? codegen::Op::kNot : codegen::Op::kNegate;
    made = TRY(nested([&] { return unary(false); }));
    return node_operand(unary_node(op, TRY(number(made, {}, false))), values_of(made));
  } else {
    made.word = take_word();
  }
  if (made.word.empty()) return expected(is_value ? "a value" : "a column");
  if (is_column(made.word) || (!is_value && made.word.find('.') != std::string::npos &&
                               is_column(std::string_view(made.word).substr(0, made.word.find('.'))))) {
    made.kind = Operand::Kind::kColumn;
    made.column = TRY(column(made.word));
  }
  return made;
}

Result<Operand> Parser::binary(int least, bool is_value) {
  Operand left = TRY(unary(is_value));
  for (;;) {
    const SignInfo *sign = next_sign();
    if (sign == nullptr || sign->precedence < least) return left;
    at_ += sign->text.size();
    Operand first = TRY(binary(sign->precedence + 1, sign->takes_value));
    bool all = sign->sign == Sign::kUnequal || sign->sign == Sign::kNoPart;
    bool takes_list = sign->precedence == 6;
    Operand before;
    if (takes_list) before = left;
    left = TRY(combine(sign->sign, std::move(left), std::move(first)));
    if (!takes_list) continue;
    while (take(",")) {
      Operand value = TRY(binary(sign->precedence + 1, true));
      Operand next = TRY(combine(sign->sign, before, std::move(value)));
      Node list;
      list.op = all ? Op::kAnd : Op::kOr;
      list.in.push_back(TRY(condition(left)));
      list.in.push_back(TRY(condition(next)));
      left = node_operand(std::move(list));
    }
  }
}

std::optional<Column> Parser::values_of(const Operand &operand) const {
  if (operand.kind == Operand::Kind::kColumn) return operand.column;
  return operand.values;
}

Result<Node> Parser::condition(const Operand &operand) const {
  if (operand.kind == Operand::Kind::kWord) {
    if (operand.is_quoted || operand.word.empty() || isdigit(static_cast<unsigned char>(operand.word[0])) != 0)
      return no_condition(text_, fmt::format("'{}' alone is neither true nor false", operand.word));
    TRY(column(operand.word));
    return no_condition(text_);
  }
  if (operand.kind == Operand::Kind::kNode) {
    if (!operand.node.is_number()) return operand.node;
    return compare_node(Condition::kNotEqual, operand.node, constant_node(0));
  }
  const Column &column = operand.column;
  if (column.is_text()) {
    Node node;
    node.op = Op::kText;
    node.column = column;
    return not_node(std::move(node));
  }
  if (!can_be_number(column)) return cannot_be_tested(column);
  return compare_node(Condition::kNotEqual, column_node(column), constant_node(0));
}

Result<Node> Parser::number(const Operand &operand, const std::optional<Column> &beside, bool is_bits) {
  switch (operand.kind) {
    case Operand::Kind::kColumn:
      if (!can_be_number(operand.column)) return cannot_be_tested(operand.column);
      return column_node(operand.column);
    case Operand::Kind::kNode:
      if (!operand.node.is_number()) return no_condition(text_, "what is true or false is no number");
      return operand.node;
    case Operand::Kind::kWord:
      break;
  }
  if (beside) {
    int64_t value = 0;
    std::vector<std::string_view> flags;
    if (is_bits) flags = split(operand.word, '|');
    if (flags.empty()) flags.emplace_back(operand.word);
    for (std::string_view flag : flags) value |= TRY(parse_value(*beside, flag, is_bits, renderer_));
    return constant_node(value);
  }
  if (Result<int64_t> plain = parse_integer(operand.word)) return constant_node(*plain);
  if (Result<uint64_t> duration = parse_duration_ns(operand.word, 1))
    return constant_node(static_cast<int64_t>(*duration));
  if (Result<uint64_t> bytes = parse_bytes(operand.word)) return constant_node(static_cast<int64_t>(*bytes));
  TRY(column(operand.word));
  return no_condition(text_);
}

Result<Operand> Parser::combine(Sign sign, Operand left, Operand right) {
  if (sign == Sign::kAnd || sign == Sign::kOr) {
    Node node;
    node.op = sign == Sign::kAnd ? Op::kAnd : Op::kOr;
    node.in.push_back(TRY(condition(left)));
    node.in.push_back(TRY(condition(right)));
    return node_operand(std::move(node));
  }
  if (sign >= Sign::kEqual && sign <= Sign::kGreaterEqual) return compare(sign, std::move(left), std::move(right));
  return compute(sign, left, right);
}

Result<Node> Parser::test_text(Sign sign, const Column &column, const Operand &right) const {
  if (right.kind != Operand::Kind::kWord) return cannot_be_tested(column);
  Node node;
  node.op = Op::kText;
  node.column = column;
  node.text = right.word;
  switch (sign) {
    case Sign::kEqual:
    case Sign::kUnequal:
      break;
    case Sign::kPart:
    case Sign::kNoPart:
      node.match = Match::kPart;
      break;
    case Sign::kBeginning:
      node.match = Match::kBeginning;
      break;
    case Sign::kEnd:
      node.match = Match::kEnd;
      break;
    default:
      return cannot_be_tested(column);
  }
  if (sign == Sign::kUnequal || sign == Sign::kNoPart) return not_node(std::move(node));
  return node;
}

Result<Operand> Parser::compare(Sign sign, Operand left, Operand right) {
  bool is_equality = sign == Sign::kEqual || sign == Sign::kUnequal;
  if (left.kind == Operand::Kind::kWord && right.kind != Operand::Kind::kWord) {
    std::swap(left, right);
    if (sign == Sign::kLess)
      sign = Sign::kGreater;
    else if (sign == Sign::kGreater)
      sign = Sign::kLess;
    else if (sign == Sign::kLessEqual)
      sign = Sign::kGreaterEqual;
    else if (sign == Sign::kGreaterEqual)
      sign = Sign::kLessEqual;
    else if (!is_equality)
      return expected("a column before the operator");
  }
  // Neither is a column: most likely the first was to be one.
  if (left.kind == Operand::Kind::kWord && !left.word.empty() && isalpha(static_cast<unsigned char>(left.word[0])) != 0)
    TRY(column(left.word));
  if (left.kind == Operand::Kind::kColumn && left.column.is_text())
    return node_operand(TRY(test_text(sign, left.column, right)));
  if (sign > Sign::kUnequal && sign < Sign::kLess) {
    if (left.kind == Operand::Kind::kColumn) return cannot_be_tested(left.column);
    return no_condition(text_, "only text has parts");
  }
  auto negated_if = [&](Node node) {
    return node_operand(sign == Sign::kUnequal ? not_node(std::move(node)) : std::move(node));
  };
  if (left.kind == Operand::Kind::kColumn && left.column.kind == Kind::kIp) {
    if (!is_equality || right.kind != Operand::Kind::kWord) return cannot_be_tested(left.column);
    return negated_if(TRY(address_test(left.column, right.word)));
  }
  Node first = TRY(number(left, {}, false));
  if (is_equality && left.kind == Operand::Kind::kColumn && right.kind == Operand::Kind::kWord)
    return negated_if(TRY(equality_test(left.column, right.word, renderer_)));
  Node second = TRY(number(right, values_of(left), false));
  bool is_signed = first.is_signed || second.is_signed;
  Condition condition = Condition::kEqual;
  switch (sign) {
    case Sign::kEqual:
      break;
    case Sign::kUnequal:
      condition = Condition::kNotEqual;
      break;
    case Sign::kLess:
      condition = is_signed ? Condition::kLess : Condition::kBelow;
      break;
    case Sign::kLessEqual:
      condition = is_signed ? Condition::kLessEqual : Condition::kBelowEqual;
      break;
    case Sign::kGreater:
      condition = is_signed ? Condition::kGreater : Condition::kAbove;
      break;
    default:
      condition = is_signed ? Condition::kGreaterEqual : Condition::kAboveEqual;
  }
  return node_operand(compare_node(condition, std::move(first), std::move(second)));
}

// What a sign computes of numbers, signed ones or not.
codegen::Op arithmetic(Sign sign, bool is_signed) {
  switch (sign) {
    case Sign::kAdd:
      return codegen::Op::kAdd;
    case Sign::kSubtract:
      return codegen::Op::kSub;
    case Sign::kMultiply:
      return codegen::Op::kMul;
    case Sign::kDivide:
      return is_signed ? codegen::Op::kSignedDiv : codegen::Op::kDiv;
    case Sign::kModulo:
      return is_signed ? codegen::Op::kSignedMod : codegen::Op::kMod;
    case Sign::kBitAnd:
      return codegen::Op::kAnd;
    case Sign::kBitOr:
      return codegen::Op::kOr;
    case Sign::kBitXor:
      return codegen::Op::kXor;
    case Sign::kShiftLeft:
      return codegen::Op::kShiftLeft;
    case Sign::kShiftRight:
      return is_signed ? codegen::Op::kShiftRightSigned : codegen::Op::kShiftRight;
    default:
      CHECK(false);
  }
}

Result<Operand> Parser::compute(Sign sign, const Operand &left, const Operand &right) {
  // Several flags, whose column is told further on.
  bool are_words = left.kind == Operand::Kind::kWord && right.kind == Operand::Kind::kWord;
  if (sign == Sign::kBitOr && are_words) {
    Operand both = left;
    both.word += "|" + right.word;
    return both;
  }
  // Twice a duration is a duration: what it is multiplied by is a plain number.
  std::optional<Column> values = values_of(left) ? values_of(left) : values_of(right);
  bool is_sum = sign == Sign::kAdd || sign == Sign::kSubtract;
  bool is_bits = sign == Sign::kBitAnd || sign == Sign::kBitOr || sign == Sign::kBitXor;
  std::optional<Column> beside = is_sum || is_bits ? values : std::nullopt;
  Node first = TRY(number(left, beside, is_bits));
  Node second = TRY(number(right, beside, is_bits));
  codegen::Op op = arithmetic(sign, first.is_signed || second.is_signed);
  return node_operand(binary_node(op, std::move(first), std::move(second)), values);
}

}  // namespace

Result<Node> parse(std::string_view text, const Schema &schema, Host &host) {
  if (text.size() > kTextMost)
    return fail(ErrorCode::kMisuse, "the condition is too long", fmt::format("it has {} bytes", text.size()),
                fmt::format("at most {} bytes", kTextMost));
  if (text.find('\0') != std::string_view::npos)
    return fail(ErrorCode::kMisuse, "the condition has a byte 0", "no text has one");
  Parser parser(text, schema, host);
  std::optional<Result<Node>> simple = parser.simple();
  if (simple && *simple) return std::move(**simple);
  Result<Node> whole = parser.whole();
  // What looks like one test was most likely meant as one.
  if (!whole && simple) return tl::unexpected(std::move(*simple).error());
  return whole;
}

}  // namespace waggle::filter
