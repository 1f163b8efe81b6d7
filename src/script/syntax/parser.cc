#include "script/syntax/parser.h"

#include <fmt/format.h>

#include "script/syntax/parser_state.h"

namespace waggle::script {
namespace {

std::string describe(const Token &token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "end of file";
    case TokenKind::kIdentifier:
      return fmt::format("identifier '{}'", token.text);
    case TokenKind::kVariable:
      return fmt::format("variable ${}", token.text);
    case TokenKind::kMap:
      return fmt::format("map @{}", token.text);
    case TokenKind::kPositional:
    case TokenKind::kPositionalCount:
      return "positional parameter";
    case TokenKind::kInteger:
      return fmt::format("integer {}", token.text);
    case TokenKind::kString:
      return "string";
    case TokenKind::kPredicateEnd:
      return "end of predicate";
    case TokenKind::kBad:
    case TokenKind::kPunctuator:
      break;
  }
  return std::string(token.text);
}

struct Compound {
  std::string_view text;
  BinaryOperator op;
};
constexpr Compound kCompounds[] = {
    {"+=", BinaryOperator::kAdd},         {"-=", BinaryOperator::kSubtract}, {"*=", BinaryOperator::kMultiply},
    {"/=", BinaryOperator::kDivide},      {"%=", BinaryOperator::kModulo},   {"<<=", BinaryOperator::kShiftLeft},
    {">>=", BinaryOperator::kShiftRight}, {"&=", BinaryOperator::kBitAnd},   {"|=", BinaryOperator::kBitOr},
    {"^=", BinaryOperator::kBitXor},
};

}  // namespace

Tree parse(Lexer &lexer, Arena &arena, Diagnostics &diagnostics) {
  return Parser(lexer, arena, diagnostics).parse();
}

// --- tokens ----------------------------------------------------------------------

const Token &Parser::peek(size_t ahead) {
  while (ahead_.size() <= ahead) ahead_.push_back(lexer_.next());
  return ahead_[ahead];
}

Token Parser::take() {
  Token token = peek();
  ahead_.pop_front();
  if (token.kind != TokenKind::kEnd) last_ = token.at;
  return token;
}

bool Parser::take(std::string_view punctuator) {
  if (!peek().is(punctuator)) return false;
  take();
  return true;
}

bool Parser::take_word(std::string_view word) {
  if (!peek().is_word(word)) return false;
  take();
  return true;
}

bool Parser::expect(std::string_view punctuator) {
  if (take(punctuator)) return true;
  unexpected(punctuator);
  return false;
}

bool Parser::expect_name(std::string_view what, Token &name) {
  if (peek().kind != TokenKind::kIdentifier) {
    unexpected(what);
    return false;
  }
  name = take();
  return true;
}

void Parser::unexpected(std::string_view expecting) {
  const Token &token = peek();
  if (token.kind == TokenKind::kBad) return;  // it has been told
  std::string message = "syntax error, unexpected " + describe(token);
  if (!expecting.empty()) message += fmt::format(", expecting {}", expecting);
  diagnostics_.error(token.at, std::move(message));
}

// --- what a script consists of ---------------------------------------------------

Tree Parser::parse() {
  while (ahead_.empty() ? !lexer_.at_end() : peek().kind != TokenKind::kEnd) {
    if (diagnostics_.full()) break;
    if (!definition()) skip_definition();
  }
  Tree tree;
  tree.config = arena_.list(config_);
  tree.imports = arena_.list(imports_);
  tree.records = arena_.list(records_);
  tree.enums = arena_.list(enums_);
  tree.typedefs = arena_.list(typedefs_);
  tree.maps = arena_.list(maps_);
  tree.macros = arena_.list(macros_);
  tree.functions = arena_.list(functions_);
  tree.probes = arena_.list(probes_);
  tree.expressions = expressions_;
  return tree;
}

bool Parser::definition() {
  // Attach points are no tokens, so which definition comes is seen before any is read.
  std::string_view word = ahead_.empty() ? lexer_.peek_word() : std::string_view(peek().text);
  if (word == "config") return config();
  if (word == "let") return map_declaration();
  if (word == "macro") return macro();
  if (word == "fn") return function();
  if (word == "import") return import();
  if (word == "struct" || word == "union" || word == "enum" || word == "typedef") return c_definition();
  return probe();
}

bool Parser::config() {
  take();
  if (!expect("=") || !expect("{")) return false;
  while (!take("}")) {
    Token name;
    if (!expect_name("a name of the configuration", name) || !expect("=")) return false;
    const Token &next = peek();
    bool is_value =
        next.kind == TokenKind::kIdentifier || next.kind == TokenKind::kInteger || next.kind == TokenKind::kString;
    if (!is_value) {
      unexpected("a value");
      return false;
    }
    Expression *value = primary();
    if (value == nullptr) return false;
    config_.push_back({from(name.at), name.text, value});
    if (!take(";") && !take(",") && !peek().is("}")) {
      unexpected("; or }");
      return false;
    }
  }
  return true;
}

bool Parser::map_declaration() {
  Location begin = take().at;
  if (peek().kind != TokenKind::kMap) {
    unexpected("map");
    return false;
  }
  Token name = take(), type;
  if (!expect("=") || !expect_name("a map type", type) || !expect("(")) return false;
  Expression *entries = expression();
  if (entries == nullptr || !expect(")")) return false;
  maps_.push_back({from(begin), name.text, type.text, entries});
  return expect(";");
}

bool Parser::parameters(std::vector<Parameter> &list, bool typed) {
  if (!expect("(")) return false;
  while (!take(")")) {
    const Token &next = peek();
    Parameter parameter = {next.at, next.text, Parameter::Kind::kVariable, nullptr};
    if (next.kind == TokenKind::kMap && !typed) {
      parameter.kind = Parameter::Kind::kMap;
    } else if (next.kind == TokenKind::kIdentifier && !typed) {
      parameter.kind = Parameter::Kind::kExpression;
    } else if (next.kind != TokenKind::kVariable) {
      unexpected("a parameter");
      return false;
    }
    take();
    if (typed) {
      if (!expect(":")) return false;
      parameter.type = type();
      if (parameter.type == nullptr) return false;
      parameter.at = from(parameter.at);
    }
    list.push_back(parameter);
    if (!take(",") && !peek().is(")")) {
      unexpected(", or )");
      return false;
    }
  }
  return true;
}

bool Parser::macro() {
  Location begin = take().at;
  Token name;
  std::vector<Parameter> list;
  if (!expect_name("the macro's name", name) || !parameters(list, false)) return false;
  Location head = from(begin);
  Block *body = block();
  if (body == nullptr) return false;
  macros_.push_back(arena_.make<Macro>(head, name.text, arena_.list(list), body));
  return true;
}

bool Parser::function() {
  Location begin = take().at;
  Token name;
  std::vector<Parameter> list;
  if (!expect_name("the function's name", name) || !parameters(list, true)) return false;
  TypeSyntax *returned = nullptr;
  if (take(":")) {
    returned = type();
    if (returned == nullptr) return false;
  }
  Location head = from(begin);
  Block *body = block();
  if (body == nullptr) return false;
  functions_.push_back(arena_.make<Function>(head, name.text, arena_.list(list), returned, body));
  return true;
}

bool Parser::import() {
  Location begin = take().at;
  if (peek().kind != TokenKind::kString) {
    unexpected("string");
    return false;
  }
  Token name = take();
  imports_.push_back({from(begin), name.text});
  return expect(";");
}

bool Parser::probe() {
  // What the last definition's end was found by may have been read already.
  if (!ahead_.empty()) {
    unexpected();
    return false;
  }
  std::vector<AttachText> points;
  do {
    Lexer::AttachText point = lexer_.attach_point();
    if (point.text.empty()) {
      // A comma may end the list.
      if (!points.empty()) break;
      unexpected("a probe");
      return false;
    }
    points.push_back({point.text, point.at});
    last_ = point.at;
  } while (lexer_.take(','));

  Expression *predicate = nullptr;
  if (lexer_.take('/')) {
    lexer_.begin_predicate();
    predicate = expression();
    bool ended = predicate != nullptr && peek().kind == TokenKind::kPredicateEnd;
    if (ended)
      take();
    else if (predicate != nullptr)
      unexpected("/ before {");
    lexer_.end_predicate();
    if (!ended) return false;
  }
  Location head = points.front().at.to(last_);
  Block *body = block();
  if (body == nullptr) return false;
  probes_.push_back(arena_.make<Probe>(head, arena_.list(points), predicate, body));
  return true;
}

// Behind the '}' that ends what a mistake was in.
void Parser::skip_definition() {
  int depth = 0;
  while (peek().kind != TokenKind::kEnd) {
    Token token = take();
    depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
    if (token.is("}") && depth <= 0) return;
  }
}

// --- statements ------------------------------------------------------------------

Block *Parser::block() {
  Nested nested(*this);
  Location begin = peek().at;
  if (nested.too_deep()) {
    diagnostics_.error(begin, "blocks lie too deep in each other");
    return nullptr;
  }
  if (!expect("{")) return nullptr;
  std::vector<Statement *> statements;
  Expression *value = nullptr;
  while (!take("}")) {
    if (peek().kind == TokenKind::kEnd || diagnostics_.full()) {
      // What was wrong before may have taken the '}'.
      if (!diagnostics_.failed()) unexpected("}");
      return nullptr;
    }
    if (take(";")) continue;
    if (!block_part(statements, value)) skip_statement();
  }
  return arena_.make<Block>(from(begin), arena_.list(statements), value);
}

// A statement, or the expression that ends the block.
bool Parser::block_part(std::vector<Statement *> &statements, Expression *&value) {
  Location begin = peek().at;
  bool known = true;
  if (Statement *statement = keyword_statement(known); known) {
    if (statement != nullptr) statements.push_back(statement);
    return statement != nullptr;
  }
  bool ends_itself = peek().is("{") || peek().is_word("if");
  Expression *first = expression();
  if (first == nullptr) return false;
  bool is_block = ends_itself && (first->kind == ExpressionKind::kBlock || first->kind == ExpressionKind::kIf);
  const Compound *compound = nullptr;
  for (const Compound &each : kCompounds)
    if (peek().is(each.text)) compound = &each;
  if (compound != nullptr || peek().is("=")) {
    take();
    Expression *assigned = expression();
    if (assigned == nullptr) return false;
    BinaryOperator op = compound != nullptr ? compound->op : BinaryOperator::kAdd;
    statements.push_back(statement<Assign>(begin, first, assigned, compound != nullptr, op));
    return peek().is("}") || expect(";");
  }
  if (peek().is("}")) {
    value = first;
    return true;
  }
  statements.push_back(statement<ExpressionStatement>(begin, first));
  return is_block || expect(";");
}

Statement *Parser::keyword_statement(bool &known) {
  const Token &word = peek();
  Location begin = word.at;
  Statement *made = nullptr;
  bool ends_itself = false;
  if (word.is_word("let")) {
    made = let();
  } else if (word.is_word("while")) {
    made = loop_while();
    ends_itself = true;
  } else if (word.is_word("for")) {
    made = loop_for();
    ends_itself = true;
  } else if (word.is_word("unroll")) {
    made = loop_unroll();
    ends_itself = true;
  } else if (word.is_word("break")) {
    take();
    made = statement<Break>(begin);
  } else if (word.is_word("continue")) {
    take();
    made = statement<Continue>(begin);
  } else if (word.is_word("return")) {
    take();
    Expression *value = nullptr;
    if (!peek().is(";") && !peek().is("}")) {
      value = expression();
      if (value == nullptr) return nullptr;
    }
    made = statement<Return>(begin, value);
  } else {
    known = false;
    return nullptr;
  }
  if (made == nullptr || ends_itself || peek().is("}")) return made;
  return expect(";") ? made : nullptr;
}

Variable *Parser::variable() {
  if (peek().kind != TokenKind::kVariable) {
    unexpected("variable");
    return nullptr;
  }
  Token name = take();
  return expression<Variable>(name.at, name.text);
}

Statement *Parser::let() {
  Location begin = take().at;
  Variable *name = variable();
  if (name == nullptr) return nullptr;
  TypeSyntax *declared = nullptr;
  Expression *value = nullptr;
  if (take(":")) {
    declared = type();
    if (declared == nullptr) return nullptr;
  }
  if (take("=")) {
    value = expression();
    if (value == nullptr) return nullptr;
  }
  return statement<Let>(begin, name, declared, value);
}

Statement *Parser::loop_while() {
  Location begin = take().at;
  Expression *condition = expression();
  if (condition == nullptr) return nullptr;
  Location head = from(begin);
  Block *body = block();
  if (body == nullptr) return nullptr;
  return arena_.make<While>(Statement{StatementKind::kWhile, head}, condition, body);
}

Statement *Parser::loop_for() {
  Location begin = take().at;
  bool in_parentheses = take("(");
  Variable *name = variable();
  if (name == nullptr || !expect(":")) return nullptr;
  Expression *first = expression(), *end = nullptr, *over = nullptr;
  if (first == nullptr) return nullptr;
  if (take("..")) {
    end = expression();
    if (end == nullptr) return nullptr;
  } else {
    over = std::exchange(first, nullptr);
  }
  if (in_parentheses && !expect(")")) return nullptr;
  Location head = from(begin);
  Block *body = block();
  if (body == nullptr) return nullptr;
  return arena_.make<For>(Statement{StatementKind::kFor, head}, name, over, first, end, body);
}

Statement *Parser::loop_unroll() {
  Location begin = take().at;
  Expression *times = expression();
  if (times == nullptr) return nullptr;
  Location head = from(begin);
  Block *body = block();
  if (body == nullptr) return nullptr;
  return arena_.make<Unroll>(Statement{StatementKind::kUnroll, head}, times, body);
}

// Behind the ';' that ends what a mistake was in, or before the '}'.
void Parser::skip_statement() {
  int depth = 0;
  while (peek().kind != TokenKind::kEnd) {
    if (depth == 0 && peek().is("}")) return;
    Token token = take();
    depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
    if (depth == 0 && (token.is(";") || token.is("}"))) return;
  }
}

}  // namespace waggle::script
