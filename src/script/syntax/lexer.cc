#include "script/syntax/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/text.h"
#include "script/syntax/constant_expression.h"

namespace waggle::script {
namespace {

constexpr size_t kNestingMost = 64;
constexpr size_t kExpandedMost = 100'000;

// Longest first.
constexpr std::array<std::string_view, 24> kLongPunctuators = {
    "<<=", ">>=", "...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=",
    "-=",  "*=",  "/=",  "%=", "&=", "|=", "^=", "++", "--", "->", "..", "::"};
constexpr std::string_view kPunctuators = "(){}[];:,.?+-*/%&|^~!<>=";

bool is_word_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// The word that `rest` begins with, which is taken from it.
std::string_view take_word(std::string_view &rest) {
  rest = trim(rest);
  size_t end = 0;
  while (end < rest.size() && is_word(rest[end])) end++;
  std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

// What a number's last letters make of it.
struct Suffix {
  std::string_view text;
  uint64_t factor;
  bool is_unsigned, is_duration;
};
constexpr Suffix kSuffixes[] = {
    {"", 1, false, false},
    {"u", 1, true, false},
    {"U", 1, true, false},
    {"l", 1, false, false},
    {"L", 1, false, false},
    {"ll", 1, false, false},
    {"LL", 1, false, false},
    {"ul", 1, true, false},
    {"UL", 1, true, false},
    {"ull", 1, true, false},
    {"ULL", 1, true, false},
    {"ns", 1, false, true},
    {"us", 1'000, false, true},
    {"ms", 1'000'000, false, true},
    {"s", 1'000'000'000, false, true},
    {"m", 60'000'000'000, false, true},
    {"h", 3'600'000'000'000, false, true},
    {"d", 86'400'000'000'000, false, true},
};

}  // namespace

Lexer::Lexer(const Sources &sources, uint32_t source, Arena &arena, Diagnostics &diagnostics)
    : sources_(sources), source_(source), text_(sources.at(source).text), arena_(arena), diagnostics_(diagnostics) {
  predefine("BPFTRACE_HAVE_BTF", "1");
}

void Lexer::predefine(std::string_view name, std::string_view body) {
  defines_[arena_.text(name)] = {false, {}, arena_.text(body)};
}

Token Lexer::token(TokenKind kind, uint32_t begin, std::string_view text) const {
  Token token;
  token.kind = kind;
  token.at = {source_, begin, at_};
  token.text = text;
  return token;
}

Token Lexer::bad(uint32_t begin, std::string message) {
  Token token = this->token(TokenKind::kBad, begin, {});
  diagnostics_.error(token.at, std::move(message));
  return token;
}

// --- white space, comments and the preprocessor's lines -------------------------

void Lexer::skip_space() {
  while (at_ < text_.size()) {
    std::string_view rest = text_.substr(at_);
    if (rest[0] == '\n') {
      at_line_start_ = true;
      at_++;
    } else if (is_space(rest[0])) {
      at_++;
    } else if (rest[0] == '#' && at_line_start_ && is_whole_text_) {
      directive();
    } else if (!taking()) {
      size_t end = rest.find('\n');
      at_ = end == std::string_view::npos ? static_cast<uint32_t>(text_.size()) : at_ + static_cast<uint32_t>(end);
    } else if (rest.starts_with("//")) {
      at_ += static_cast<uint32_t>(std::min(rest.find('\n'), rest.size()));
    } else if (rest.starts_with("/*")) {
      size_t end = rest.find("*/", 2);
      if (end == std::string_view::npos) {
        diagnostics_.error({source_, at_, at_ + 2}, "unterminated comment");
        at_ = static_cast<uint32_t>(text_.size());
      } else {
        at_ += static_cast<uint32_t>(end + 2);
      }
    } else if (rest.starts_with("\\\n")) {
      at_ += 2;
    } else {
      return;
    }
  }
  if (is_whole_text_ && !conditions_.empty()) {
    diagnostics_.error(conditions_.back().at, "unterminated conditional directive");
    conditions_.clear();
  }
}

void Lexer::directive() {
  uint32_t begin = at_;
  // A line goes on behind a backslash. Comments end it, or lie in it.
  std::string line;
  while (at_ < text_.size() && text_[at_] != '\n') {
    std::string_view rest = text_.substr(at_);
    size_t comment = rest.starts_with("/*") ? rest.find("*/", 2) : std::string_view::npos;
    if (rest.starts_with("\\\n")) {
      line += ' ';
      at_ += 2;
    } else if (comment != std::string_view::npos) {
      line += ' ';
      at_ += static_cast<uint32_t>(comment + 2);
    } else if (rest.starts_with("//")) {
      at_ += static_cast<uint32_t>(std::min(rest.find('\n'), rest.size()));
    } else {
      line += text_[at_++];
    }
  }
  Location at = {source_, begin, at_};
  if (line.starts_with("#!")) return;
  std::string_view rest = std::string_view(line).substr(1);
  std::string_view word = take_word(rest);
  rest = trim(rest);
  bool begins = word == "if" || word == "ifdef" || word == "ifndef";
  if (begins) {
    Condition condition;
    condition.outer = taking();
    condition.at = at;
    if (condition.outer) {
      std::string_view name = rest;
      if (word == "if")
        condition.is_taken = holds(rest, at);
      else
        condition.is_taken = defines_.contains(take_word(name)) == (word == "ifdef");
    }
    condition.taken = condition.is_taken;
    conditions_.push_back(condition);
  } else if (word == "elif" || word == "else" || word == "endif") {
    if (conditions_.empty()) {
      diagnostics_.error(at, fmt::format("#{} without #if", word));
    } else if (word == "endif") {
      conditions_.pop_back();
    } else {
      Condition &condition = conditions_.back();
      condition.is_taken = condition.outer && !condition.taken && (word == "else" || holds(rest, at));
      condition.taken |= condition.is_taken;
    }
  } else if (!taking()) {
    return;
  } else if (word == "define") {
    define(rest, at);
  } else if (word == "undef") {
    defines_.erase(take_word(rest));
  } else if (word == "error") {
    diagnostics_.error(at, fmt::format("#error {}", rest));
  } else if (word == "warning") {
    diagnostics_.warning(at, fmt::format("#warning {}", rest));
  } else if (word != "include" && word != "pragma" && word != "line" && !word.empty()) {
    diagnostics_.error(at, fmt::format("invalid preprocessing directive #{}", word));
  }
}

void Lexer::define(std::string_view rest, const Location &at) {
  std::string_view name = take_word(rest);
  if (name.empty() || !is_word_start(name[0])) {
    diagnostics_.error(at, "#define needs a name");
    return;
  }
  Define define;
  if (rest.starts_with('(')) {
    size_t end = rest.find(')');
    if (end == std::string_view::npos) {
      diagnostics_.error(at, fmt::format("the parameters of #define {} have no end", name));
      return;
    }
    define.has_parameters = true;
    std::string_view list = rest.substr(1, end - 1);
    while (!trim(list).empty()) {
      std::string_view parameter = take_word(list);
      list = trim(list);
      if (parameter.empty() || (!list.empty() && list[0] != ',')) {
        diagnostics_.error(at, fmt::format("the parameters of #define {} are not names", name));
        return;
      }
      define.parameters.push_back(arena_.text(parameter));
      if (!list.empty()) list.remove_prefix(1);
    }
    rest.remove_prefix(end + 1);
  }
  define.body = arena_.text(trim(rest));
  defines_[arena_.text(name)] = std::move(define);
}

bool Lexer::holds(std::string_view expression, const Location &at) {
  std::vector<Token> tokens = tokens_of(expression, at);
  // `defined` looks at names before they are expanded.
  std::vector<Token> plain;
  for (size_t i = 0; i < tokens.size(); i++) {
    if (!tokens[i].is_word("defined")) {
      plain.push_back(tokens[i]);
      continue;
    }
    bool in_parentheses = i + 1 < tokens.size() && tokens[i + 1].is("(");
    size_t name = i + (in_parentheses ? 2 : 1);
    Token answer = tokens[i];
    answer.kind = TokenKind::kInteger;
    answer.value = name < tokens.size() && defines_.contains(tokens[name].text) ? 1 : 0;
    plain.push_back(answer);
    i = name + (in_parentheses ? 1 : 0);
  }
  std::vector<Token> kept = std::exchange(pending_, {});
  std::vector<Expansion> kept_expansions = std::exchange(expansions_, {});
  push_pending(plain);
  std::vector<Token> expanded;
  while (!pending_.empty()) expanded.push_back(next());
  pending_ = std::move(kept);
  expansions_ = std::move(kept_expansions);
  std::optional<int64_t> value = constant_expression(expanded);
  if (!value) diagnostics_.error(at, "the condition is no constant expression");
  return value.value_or(0) != 0;
}

// --- tokens ----------------------------------------------------------------------

Token Lexer::scan() {
  uint32_t before = at_;
  skip_space();
  uint32_t begin = at_;
  if (at_ >= text_.size()) return token(TokenKind::kEnd, begin, {});
  at_line_start_ = false;
  Token token = scan_one(begin);
  token.is_adjacent = begin == before && begin > 0;
  return token;
}

Token Lexer::scan_one(uint32_t begin) {
  std::string_view rest = text_.substr(begin);
  auto word_from = [&](size_t from) {
    size_t end = from;
    while (end < rest.size() && is_word(rest[end])) end++;
    at_ = begin + static_cast<uint32_t>(end);
    return rest.substr(from, end - from);
  };
  char c = rest[0];
  if (is_word_start(c)) {
    std::string_view word = word_from(0);
    return token(TokenKind::kIdentifier, begin, word);
  }
  if (std::isdigit(static_cast<unsigned char>(c)) != 0) return scan_number(begin);
  if (c == '"') return scan_string(begin);
  if (c == '@') {
    std::string_view name = word_from(1);
    return token(TokenKind::kMap, begin, name);
  }
  if (c == '$') {
    if (rest.starts_with("$#")) {
      at_ = begin + 2;
      return token(TokenKind::kPositionalCount, begin, rest.substr(0, 2));
    }
    std::string_view name = word_from(1);
    if (name.empty()) {
      at_ = begin + 1;
      return bad(begin, "a '$' without a name");
    }
    if (is_word_start(name[0])) return token(TokenKind::kVariable, begin, name);
    Token number = token(TokenKind::kPositional, begin, name);
    for (char digit : name) {
      if (digit_of(digit) > 9 || number.value > 100'000)
        return bad(begin, fmt::format("invalid parameter number: ${}", name));
      number.value = number.value * 10 + static_cast<uint64_t>(digit_of(digit));
    }
    if (number.value == 0) return bad(begin, "param $0 is out of integer range [1, 100000]");
    return number;
  }
  for (std::string_view each : kLongPunctuators) {
    if (!rest.starts_with(each)) continue;
    at_ = begin + static_cast<uint32_t>(each.size());
    return token(TokenKind::kPunctuator, begin, rest.substr(0, each.size()));
  }
  at_ = begin + 1;
  if (kPunctuators.find(c) == std::string_view::npos) {
    if (std::isprint(static_cast<unsigned char>(c)) != 0) return bad(begin, fmt::format("invalid character '{}'", c));
    return bad(begin, fmt::format("invalid character '\\x{:02x}'", static_cast<unsigned char>(c)));
  }
  Token one = token(TokenKind::kPunctuator, begin, rest.substr(0, 1));
  if (c == '/' && in_predicate_ && pending_.empty()) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '{')
      one.kind = TokenKind::kPredicateEnd;
    else
      at_ = begin + 1;
  }
  return one;
}

Token Lexer::scan_number(uint32_t begin) {
  std::string_view rest = text_.substr(begin);
  size_t at = 0;
  unsigned base = 10;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X') && digit_of(rest[2]) < 16) {
    base = 16;
    at = 2;
  } else if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'b' || rest[1] == 'B') && digit_of(rest[2]) < 2) {
    base = 2;
    at = 2;
  } else if (rest.size() > 1 && rest[0] == '0') {
    base = 8;
  }
  uint64_t value = 0;
  bool overflows = false, is_bad = false;
  auto times = [&](uint64_t factor) { overflows |= __builtin_mul_overflow(value, factor, &value); };
  for (; at < rest.size() && (rest[at] == '_' || digit_of(rest[at]) < (base == 16 ? 16 : 10)); at++) {
    if (rest[at] == '_') continue;
    auto digit = static_cast<unsigned>(digit_of(rest[at]));
    is_bad |= digit >= base;
    times(base);
    overflows |= __builtin_add_overflow(value, uint64_t{digit}, &value);
  }
  if (base != 16 && at + 1 < rest.size() && (rest[at] == 'e' || rest[at] == 'E') && digit_of(rest[at + 1]) < 10) {
    uint64_t exponent = 0;
    for (at++; at < rest.size() && digit_of(rest[at]) < 10; at++)
      exponent = std::min<uint64_t>(exponent * 10 + static_cast<uint64_t>(digit_of(rest[at])), 100);
    for (uint64_t i = 0; i < exponent && !overflows; i++) times(value == 0 ? 1 : 10);
  }
  size_t end = at;
  while (end < rest.size() && is_word(rest[end])) end++;
  std::string_view suffix = rest.substr(at, end - at), text = rest.substr(0, end);
  at_ = begin + static_cast<uint32_t>(end);
  const auto *known =
      std::find_if(std::begin(kSuffixes), std::end(kSuffixes), [&](const Suffix &each) { return each.text == suffix; });
  if (known == std::end(kSuffixes) || is_bad) return bad(begin, fmt::format("Invalid literal: '{}'", text));
  times(known->factor);
  if (overflows) return bad(begin, fmt::format("Overflow error for literal: '{}'", text));
  Token number = token(TokenKind::kInteger, begin, text);
  number.value = value;
  number.is_unsigned = known->is_unsigned;
  number.is_duration = known->is_duration;
  return number;
}

Token Lexer::scan_string(uint32_t begin) {
  std::string content;
  at_ = begin + 1;
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_++];
    if (c == '\n') break;
    if (c != '\\') {
      content += c;
      continue;
    }
    if (at_ >= text_.size()) break;
    uint32_t escape = at_ - 1;
    char letter = text_[at_++];
    static constexpr std::string_view kLetters = "ntrabfv\\\"'", kMeanings = "\n\t\r\a\b\f\v\\\"'";
    size_t known = kLetters.find(letter);
    if (known != std::string_view::npos) {
      content += kMeanings[known];
    } else if (letter == 'x' && at_ < text_.size() && digit_of(text_[at_]) < 16) {
      int value = digit_of(text_[at_++]);
      if (at_ < text_.size() && digit_of(text_[at_]) < 16) value = value * 16 + digit_of(text_[at_++]);
      content += static_cast<char>(value);
    } else if (digit_of(letter) < 8) {
      int value = digit_of(letter);
      for (int i = 0; i < 2 && at_ < text_.size() && digit_of(text_[at_]) < 8; i++)
        value = value * 8 + digit_of(text_[at_++]);
      content += static_cast<char>(value);
    } else if (letter == '\n') {
      continue;
    } else {
      diagnostics_.error({source_, escape, at_}, fmt::format("invalid escape character '\\{}'", letter));
    }
  }
  if (at_ >= text_.size() || text_[at_] != '"') return bad(begin, "unterminated string");
  at_++;
  return token(TokenKind::kString, begin, arena_.text(content));
}

// --- what the parser asks for ----------------------------------------------------

Token Lexer::pop() {
  if (pending_.empty()) {
    expansions_.clear();
    return scan();
  }
  while (!expansions_.empty() && pending_.size() <= expansions_.back().left) expansions_.pop_back();
  Token token = pending_.back();
  pending_.pop_back();
  return token;
}

void Lexer::push_pending(const std::vector<Token> &tokens) {
  pending_.insert(pending_.end(), tokens.rbegin(), tokens.rend());
}

Token Lexer::next() {
  while (true) {
    Token token = pop();
    if (token.kind != TokenKind::kIdentifier || !expand(token)) return token;
  }
}

// Puts the tokens that a #define makes of a name before those to come. False: it is a
// plain name.
bool Lexer::expand(const Token &name) {
  auto found = defines_.find(name.text);
  if (found == defines_.end()) return false;
  for (const Expansion &each : expansions_)
    if (each.name == name.text) return false;
  const Define &define = found->second;
  std::vector<std::vector<Token>> arguments;
  if (define.has_parameters) {
    Token open = pop();
    if (!open.is("(")) {
      pending_.push_back(open);
      return false;
    }
    if (!take_arguments(name, arguments)) return true;
    bool fits = arguments.size() == define.parameters.size() ||
                (define.parameters.empty() && arguments.size() == 1 && arguments[0].empty());
    if (!fits) {
      diagnostics_.error(name.at, fmt::format("'{}' takes {} arguments, and was given {}", name.text,
                                              define.parameters.size(), arguments.size()));
      return true;
    }
  }
  std::vector<Token> tokens;
  for (Token &token : tokens_of(define.body, name.at)) {
    auto parameter = std::find(define.parameters.begin(), define.parameters.end(), token.text);
    if (token.kind == TokenKind::kIdentifier && parameter != define.parameters.end()) {
      const std::vector<Token> &argument = arguments[static_cast<size_t>(parameter - define.parameters.begin())];
      tokens.insert(tokens.end(), argument.begin(), argument.end());
    } else {
      tokens.push_back(token);
    }
  }
  expanded_ += tokens.size();
  if (expansions_.size() >= kNestingMost || expanded_ > kExpandedMost) {
    diagnostics_.error(name.at, fmt::format("'{}' expands to too much", name.text));
    return true;
  }
  expansions_.push_back({found->first, pending_.size()});
  push_pending(tokens);
  return true;
}

bool Lexer::take_arguments(const Token &name, std::vector<std::vector<Token>> &arguments) {
  arguments.emplace_back();
  for (int depth = 1;;) {
    Token token = pop();
    if (token.kind == TokenKind::kEnd) {
      diagnostics_.error(name.at, fmt::format("the arguments of '{}' have no end", name.text));
      return false;
    }
    depth += token.is("(") ? 1 : token.is(")") ? -1 : 0;
    if (depth == 0) return true;
    if (depth == 1 && token.is(",")) {
      arguments.emplace_back();
    } else {
      token.is_expansion = true;
      arguments.back().push_back(token);
    }
  }
}

// The tokens of a #define's body, which stand where its name is used.
std::vector<Token> Lexer::tokens_of(std::string_view body, const Location &at) {
  Lexer lexer(*this, body);
  std::vector<Token> tokens;
  for (Token token = lexer.scan(); token.kind != TokenKind::kEnd; token = lexer.scan()) {
    token.at = at;
    token.is_expansion = true;
    tokens.push_back(token);
  }
  return tokens;
}

// Of a body: its mistakes are told as places of the body's own text, so not at all.
Lexer::Lexer(const Lexer &outer, std::string_view body)
    : sources_(outer.sources_),
      source_(outer.source_),
      text_(body),
      arena_(outer.arena_),
      diagnostics_(ignored_),
      is_whole_text_(false) {}

std::string_view Lexer::peek_word() {
  skip_space();
  size_t end = at_;
  while (end < text_.size() && is_word(text_[end])) end++;
  return text_.substr(at_, end - at_);
}

bool Lexer::at_end() {
  skip_space();
  return at_ >= text_.size();
}

bool Lexer::take(char c) {
  skip_space();
  if (at_ >= text_.size() || text_[at_] != c) return false;
  at_line_start_ = false;
  at_++;
  return true;
}

Lexer::AttachText Lexer::attach_point() {
  skip_space();
  uint32_t begin = at_;
  bool in_quotes = false, has_colon = false;
  for (; at_ < text_.size(); at_++) {
    char c = text_[at_];
    if (c == '\n' || (!in_quotes && (is_space(c) || c == ',' || c == '{' || (c == '/' && !has_colon)))) break;
    has_colon |= c == ':';
    in_quotes ^= c == '"';
  }
  at_line_start_ = false;
  return {text_.substr(begin, at_ - begin), {source_, begin, at_}};
}

}  // namespace waggle::script
