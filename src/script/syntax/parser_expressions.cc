#include <fmt/format.h>

#include "script/syntax/parser_state.h"

namespace waggle::script {
namespace {

struct Operator {
  std::string_view text;
  BinaryOperator op;
  int precedence;  // C's
};
constexpr Operator kOperators[] = {
    {"||", BinaryOperator::kOr, 1},
    {"&&", BinaryOperator::kAnd, 2},
    {"|", BinaryOperator::kBitOr, 3},
    {"^", BinaryOperator::kBitXor, 4},
    {"&", BinaryOperator::kBitAnd, 5},
    {"==", BinaryOperator::kEqual, 6},
    {"!=", BinaryOperator::kNotEqual, 6},
    {"<", BinaryOperator::kLess, 7},
    {">", BinaryOperator::kGreater, 7},
    {"<=", BinaryOperator::kLessOrEqual, 7},
    {">=", BinaryOperator::kGreaterOrEqual, 7},
    {"<<", BinaryOperator::kShiftLeft, 8},
    {">>", BinaryOperator::kShiftRight, 8},
    {"+", BinaryOperator::kAdd, 9},
    {"-", BinaryOperator::kSubtract, 9},
    {"*", BinaryOperator::kMultiply, 10},
    {"/", BinaryOperator::kDivide, 10},
    {"%", BinaryOperator::kModulo, 10},
};

const Operator *operator_of(const Token &token) {
  if (token.kind != TokenKind::kPunctuator) return nullptr;
  for (const Operator &each : kOperators)
    if (each.text == token.text) return &each;
  return nullptr;
}

struct Prefix {
  std::string_view text;
  UnaryOperator op;
};
constexpr Prefix kPrefixes[] = {
    {"!", UnaryOperator::kNot},
    {"~", UnaryOperator::kBitNot},
    {"-", UnaryOperator::kMinus},
    {"+", UnaryOperator::kPlus},
    {"*", UnaryOperator::kDereference},
    {"&", UnaryOperator::kAddress},
    {"++", UnaryOperator::kIncrementBefore},
    {"--", UnaryOperator::kDecrementBefore},
};

// Whether an expression may begin so, where an operator of two operands may not.
bool begins_operand(const Token &token) {
  switch (token.kind) {
    case TokenKind::kIdentifier:
    case TokenKind::kVariable:
    case TokenKind::kMap:
    case TokenKind::kPositional:
    case TokenKind::kPositionalCount:
    case TokenKind::kInteger:
    case TokenKind::kString:
      return true;
    default:
      return token.is("(") || token.is("!") || token.is("~");
  }
}

}  // namespace

std::string_view text_of(BinaryOperator op) {
  for (const Operator &each : kOperators)
    if (each.op == op) return each.text;
  return {};
}

Expression *Parser::expression() {
  Location begin = peek().at;
  Expression *condition = binary(1);
  if (condition == nullptr || !take("?")) return condition;
  Nested nested(*this);
  if (nested.too_deep()) {
    diagnostics_.error(begin, "expressions lie too deep in each other");
    return nullptr;
  }
  Expression *yes = expression();
  if (yes == nullptr || !expect(":")) return nullptr;
  Expression *no = expression();
  if (no == nullptr) return nullptr;
  return expression<Conditional>(begin, condition, yes, no);
}

// Operators of at least that precedence.
Expression *Parser::binary(int least) {
  Location begin = peek().at;
  Expression *left = unary();
  while (left != nullptr) {
    const Operator *found = operator_of(peek());
    if (found == nullptr || found->precedence < least) return left;
    take();
    Expression *right = binary(found->precedence + 1);
    if (right == nullptr) return nullptr;
    left = expression<Binary>(begin, found->op, left, right);
  }
  return left;
}

Expression *Parser::unary() {
  Nested nested(*this);
  Location begin = peek().at;
  if (nested.too_deep()) {
    diagnostics_.error(begin, "expressions lie too deep in each other");
    return nullptr;
  }
  for (const Prefix &each : kPrefixes) {
    if (!take(each.text)) continue;
    Expression *operand = unary();
    if (operand == nullptr) return nullptr;
    return expression<Unary>(begin, each.op, operand);
  }
  if (peek().is_word("comptime") && begins_operand(peek(1))) {
    take();
    Expression *operand = unary();
    return operand == nullptr ? nullptr : expression<Comptime>(begin, operand);
  }
  if (!cast_follows()) return postfix();
  take();
  TypeSyntax *to = type();
  if (to == nullptr || !expect(")")) return nullptr;
  Expression *operand = unary();
  if (operand == nullptr) return nullptr;
  return expression<Cast>(begin, to, operand);
}

// A '(' begins a cast when a type stands in it. A single name may be either; then what
// follows the ')' tells: an operand, where an operator would have to stand.
bool Parser::cast_follows() {
  if (!peek().is("(") || peek(1).kind != TokenKind::kIdentifier) return false;
  if (peek(1).is_word("typeof")) return peek(2).is("(");
  bool is_type = is_type_word(peek(1));
  size_t at = 2;
  if (is_type) {
    while (peek(at).kind == TokenKind::kIdentifier) at++;
  }
  while (peek(at).is("::") && peek(at + 1).kind == TokenKind::kIdentifier) at += 2;
  bool is_pointer = false;
  while (true) {
    if (peek(at).is("*")) {
      is_pointer = true;
      at++;
    } else if (peek(at).is("[") && peek(at + 1).is("]")) {
      at += 2;
    } else if (peek(at).is("[") && peek(at + 2).is("]")) {
      at += 3;
    } else {
      break;
    }
  }
  if (!peek(at).is(")")) return false;
  return is_type || is_pointer || begins_operand(peek(at + 1));
}

Expression *Parser::postfix() {
  Location begin = peek().at;
  Expression *made = primary();
  while (made != nullptr) {
    if (take("[")) {
      Expression *index = expression();
      if (index == nullptr || !expect("]")) return nullptr;
      made = expression<Index>(begin, made, index);
    } else if (peek().is(".") || peek().is("->")) {
      bool is_arrow = take().is("->");
      const Token &next = peek();
      if (next.kind != TokenKind::kIdentifier && next.kind != TokenKind::kInteger) {
        unexpected("a field");
        return nullptr;
      }
      Token name = take();
      made = expression<FieldAccess>(begin, made, name.text, is_arrow, name.at);
    } else if (take("++")) {
      made = expression<Unary>(begin, UnaryOperator::kIncrementAfter, made);
    } else if (take("--")) {
      made = expression<Unary>(begin, UnaryOperator::kDecrementAfter, made);
    } else {
      return made;
    }
  }
  return made;
}

Expression *Parser::primary() {
  const Token &next = peek();
  switch (next.kind) {
    case TokenKind::kInteger: {
      Token token = take();
      return expression<IntegerLiteral>(token.at, token.value, token.is_unsigned, token.is_duration);
    }
    case TokenKind::kString: {
      Token token = take();
      return expression<StringLiteral>(token.at, token.text);
    }
    case TokenKind::kVariable:
      return variable();
    case TokenKind::kPositional: {
      Token token = take();
      return expression<Positional>(token.at, static_cast<uint32_t>(token.value));
    }
    case TokenKind::kPositionalCount:
      return expression<PositionalCount>(take().at);
    case TokenKind::kMap:
      return map_access();
    case TokenKind::kIdentifier:
      return next.text == "if" ? if_expression() : identifier();
    default:
      break;
  }
  if (next.is("(")) return parenthesised();
  if (next.is("{")) {
    Location begin = next.at;
    Block *made = block();
    return made == nullptr ? nullptr : expression<BlockExpression>(begin, made);
  }
  unexpected();
  return nullptr;
}

Expression *Parser::identifier() {
  Token name = take();
  if (name.text == "true" || name.text == "false") return expression<BoolLiteral>(name.at, name.text == "true");
  if (!peek().is("(")) return expression<Identifier>(name.at, name.text);
  if (name.text == "sizeof" || name.text == "typeinfo") return of_type_or_expression(name);
  if (name.text == "offsetof") return offset_of(name);
  if (name.text == "container_of") return container_of(name);
  return call(name);
}

Expression *Parser::call(const Token &name) {
  take();
  std::vector<Expression *> arguments;
  if (!list(")", arguments)) return nullptr;
  return expression<Call>(name.at, name.text, arena_.list(arguments), name.at);
}

// Up to `end`, which is taken. A comma may stand before it.
bool Parser::list(std::string_view end, std::vector<Expression *> &items) {
  while (!take(end)) {
    Expression *item = expression();
    if (item == nullptr) return false;
    items.push_back(item);
    if (take(",") || peek().is(end)) continue;
    unexpected(fmt::format(", or {}", end));
    return false;
  }
  return true;
}

Expression *Parser::of_type_or_expression(const Token &name) {
  take();
  TypeSyntax *of_type = nullptr;
  Expression *operand = nullptr;
  if (is_type_word(peek()))
    of_type = type();
  else
    operand = expression();
  if ((of_type == nullptr && operand == nullptr) || !expect(")")) return nullptr;
  if (name.text == "sizeof") return expression<Sizeof>(name.at, of_type, operand);
  return expression<Typeinfo>(name.at, of_type, operand);
}

// container_of(pointer, type, field) is (type *)((uint64)pointer - offsetof(type, field)).
Expression *Parser::container_of(const Token &name) {
  take();
  Expression *pointer = expression();
  if (pointer == nullptr || !peek().is(",")) {
    if (pointer != nullptr) unexpected(",");
    return nullptr;
  }
  Expression *offset = offset_of(name);
  if (offset == nullptr) return nullptr;
  TypeSyntax number = {};
  number.at = name.at;
  number.name = "uint64";
  auto *address = expression<Cast>(name.at, arena_.make<TypeSyntax>(number), pointer);
  auto *begin = expression<Binary>(name.at, BinaryOperator::kSubtract, address, offset);
  const auto &of = as<Offsetof>(*offset);
  TypeSyntax around = {};
  if (of.type != nullptr)
    around = *of.type;
  else
    around.base = TypeSyntax::Base::kTypeof;
  around.at = name.at;
  around.of = of.type != nullptr ? around.of : of.operand;
  std::vector<TypeSyntax::Layer> layers(around.layers.begin(), around.layers.end());
  layers.push_back({nullptr, false});
  around.layers = arena_.list(layers);
  return expression<Cast>(name.at, arena_.make<TypeSyntax>(around), begin);
}

// `(` or, of what offsetof is a part of, a comma stands before the type.
Expression *Parser::offset_of(const Token &name) {
  take();
  TypeSyntax *of_type = nullptr;
  Expression *operand = nullptr;
  if (is_type_word(peek()) || (peek().kind == TokenKind::kIdentifier && peek(1).is(",")))
    of_type = type();
  else
    operand = expression();
  if ((of_type == nullptr && operand == nullptr) || !expect(",")) return nullptr;
  std::vector<std::string_view> fields;
  do {
    Token field;
    if (!expect_name("a field", field)) return nullptr;
    fields.push_back(field.text);
  } while (take("."));
  if (!expect(")")) return nullptr;
  return expression<Offsetof>(name.at, of_type, operand, arena_.list(fields));
}

Expression *Parser::map_access() {
  Token name = take();
  std::vector<Expression *> key;
  bool has_key = take("[");
  if (has_key && !list("]", key)) return nullptr;
  return expression<MapAccess>(name.at, name.text, has_key, arena_.list(key), name.at);
}

Expression *Parser::parenthesised() {
  Location begin = take().at;
  if (take(")")) return expression<Tuple>(begin, std::span<Expression *const>());
  if (peek().kind == TokenKind::kIdentifier && peek(1).is("=")) return record(begin);
  Expression *first = expression();
  if (first == nullptr) return nullptr;
  if (peek().is(",")) return tuple(begin, first);
  return expect(")") ? first : nullptr;
}

Expression *Parser::tuple(const Location &begin, Expression *first) {
  std::vector<Expression *> fields = {first};
  take();
  if (!list(")", fields)) return nullptr;
  return expression<Tuple>(begin, arena_.list(fields));
}

Expression *Parser::record(const Location &begin) {
  std::vector<NamedValue> fields;
  while (!take(")")) {
    Token name;
    if (!expect_name("a field's name", name) || !expect("=")) return nullptr;
    Expression *value = expression();
    if (value == nullptr) return nullptr;
    fields.push_back({name.text, value});
    if (take(",") || peek().is(")")) continue;
    unexpected(", or )");
    return nullptr;
  }
  return expression<RecordLiteral>(begin, arena_.list(fields));
}

Expression *Parser::if_expression() {
  Location begin = take().at;
  Expression *condition = expression();
  if (condition == nullptr) return nullptr;
  Location head = from(begin);
  Block *yes = block(), *no = nullptr;
  if (yes == nullptr) return nullptr;
  if (take_word("else")) {
    if (peek().is_word("if")) {
      // A chain is blocks in blocks.
      Nested nested(*this);
      Location inner_begin = peek().at;
      if (nested.too_deep()) {
        diagnostics_.error(inner_begin, "blocks lie too deep in each other");
        return nullptr;
      }
      Expression *inner = if_expression();
      if (inner == nullptr) return nullptr;
      no = arena_.make<Block>(from(inner_begin), std::span<Statement *const>(), inner);
    } else {
      no = block();
      if (no == nullptr) return nullptr;
    }
  }
  auto *made = expression<IfExpression>(begin, condition, yes, no);
  made->at = head;
  return made;
}

}  // namespace waggle::script
