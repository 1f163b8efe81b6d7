#include <algorithm>
#include <iterator>

#include "script/syntax/parser_state.h"

namespace waggle::script {
namespace {

// Names that nothing else has.
constexpr std::string_view kTypeNames[] = {
    "void",     "bool",   "int8",  "int16", "int32",  "int64",  "uint8",  "uint16",      "uint32",   "uint64",
    "string",   "buffer", "inet",  "int",   "char",   "short",  "long",   "signed",      "unsigned", "const",
    "volatile", "struct", "union", "enum",  "size_t", "ksym_t", "usym_t", "mac_address",
};
// What C's words for integers add up to.
constexpr std::string_view kIntegerWords[] = {"int",    "char",     "short", "long",
                                              "signed", "unsigned", "const", "volatile"};

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Of the words that stand there, as many as belong together.
struct CInteger {
  int longs = 0;
  bool is_char = false, is_short = false, is_int = false, is_unsigned = false, is_signed = false;

  bool any() const { return longs > 0 || is_char || is_short || is_int || is_unsigned || is_signed; }
  void add(std::string_view word) {
    longs += word == "long" ? 1 : 0;
    is_char |= word == "char";
    is_short |= word == "short";
    is_int |= word == "int";
    is_unsigned |= word == "unsigned";
    is_signed |= word == "signed";
  }
  std::string_view name() const {
    if (is_char) return is_unsigned ? "uint8" : "int8";
    if (is_short) return is_unsigned ? "uint16" : "int16";
    if (longs > 0) return is_unsigned ? "uint64" : "int64";
    return is_unsigned ? "uint32" : "int32";
  }
};

}  // namespace

bool Parser::is_type_word(const Token &token) const {
  if (token.kind != TokenKind::kIdentifier) return false;
  // As the kernel and POSIX name theirs: uint64_t, pid_t.
  return is_one_of(token.text, kTypeNames) || token.text == "typeof" ||
         (token.text.size() > 2 && token.text.ends_with("_t"));
}

TypeSyntax *Parser::type() {
  Nested nested(*this);
  Location begin = peek().at;
  if (nested.too_deep()) {
    diagnostics_.error(begin, "types lie too deep in each other");
    return nullptr;
  }
  TypeSyntax made = {};
  if (!type_base(made)) return nullptr;
  std::vector<TypeSyntax::Layer> layers;
  if (!type_layers(layers)) return nullptr;
  made.layers = arena_.list(layers);
  made.at = from(begin);
  return arena_.make<TypeSyntax>(made);
}

// All but the layers.
bool Parser::type_base(TypeSyntax &made) {
  made.at = peek().at;
  CInteger integer;
  while (peek().kind == TokenKind::kIdentifier && is_one_of(peek().text, kIntegerWords)) integer.add(take().text);
  if (integer.any()) {
    made.name = integer.name();
    return true;
  }
  if (take_word("typeof")) {
    made.base = TypeSyntax::Base::kTypeof;
    if (!expect("(")) return false;
    if (is_type_word(peek()))
      made.of_type = type();
    else
      made.of = expression();
    return (made.of_type != nullptr || made.of != nullptr) && expect(")");
  }
  if (take_word("struct"))
    made.base = TypeSyntax::Base::kStruct;
  else if (take_word("union"))
    made.base = TypeSyntax::Base::kUnion;
  else if (take_word("enum"))
    made.base = TypeSyntax::Base::kEnum;
  Token name;
  if (!expect_name("a type", name)) return false;
  made.name = name.text;
  if (!peek().is("::")) return true;
  // Of a program in C++.
  std::string scoped(name.text);
  while (take("::")) {
    if (!expect_name("a type", name)) return false;
    scoped.append("::").append(name.text);
  }
  made.name = arena_.text(scoped);
  return true;
}

bool Parser::type_layers(std::vector<TypeSyntax::Layer> &layers) {
  while (true) {
    if (take("*")) {
      layers.push_back({nullptr, false});
    } else if (take("[")) {
      Expression *length = nullptr;
      if (!peek().is("]")) {
        length = expression();
        if (length == nullptr) return false;
      }
      if (!expect("]")) return false;
      layers.push_back({length, true});
    } else if (!take_word("const") && !take_word("volatile")) {
      return true;
    }
  }
}

// --- C ---------------------------------------------------------------------------

bool Parser::c_definition() {
  if (peek().is_word("typedef")) return c_typedef() && expect(";");
  bool made = peek().is_word("enum") ? c_enum() != nullptr : c_record() != nullptr;
  if (!made) return false;
  // C wants a ';', and scripts leave it out. What follows may be an attach point, so no
  // token of it is read.
  if (ahead_.empty())
    lexer_.take(';');
  else
    take(";");
  return true;
}

bool Parser::skip_attributes(bool &packed) {
  // No token is read behind them: an attach point may follow.
  while (ahead_.empty() ? lexer_.peek_word() == "__attribute__" : peek().is_word("__attribute__")) {
    take();
    if (!expect("(")) return false;
    for (int depth = 1; depth > 0;) {
      if (peek().kind == TokenKind::kEnd) return expect(")");
      Token token = take();
      depth += token.is("(") ? 1 : token.is(")") ? -1 : 0;
      packed |= token.is_word("packed") || token.is_word("__packed__");
    }
  }
  return true;
}

CRecord *Parser::c_record() {
  Nested nested(*this);
  Token keyword = take(), name;
  if (nested.too_deep()) {
    diagnostics_.error(keyword.at, "types lie too deep in each other");
    return nullptr;
  }
  bool packed = false;
  if (!skip_attributes(packed)) return nullptr;
  if (peek().kind == TokenKind::kIdentifier) name = take();
  Location head = from(keyword.at);
  std::vector<CField> fields;
  if (!expect("{") || !c_fields(fields)) return nullptr;
  // Only what is there already: an attach point may follow.
  if (lexer_.peek_word() == "__attribute__" && !skip_attributes(packed)) return nullptr;
  auto *made = arena_.make<CRecord>(head, keyword.text == "union", packed, name.text, arena_.list(fields));
  records_.push_back(made);
  return made;
}

// Up to the '}'.
bool Parser::c_fields(std::vector<CField> &fields) {
  while (!take("}")) {
    if (take(";")) continue;
    bool defines = (peek().is_word("struct") || peek().is_word("union")) &&
                   (peek(1).is("{") || (peek(1).kind == TokenKind::kIdentifier && peek(2).is("{")));
    if (!defines) {
      TypeSyntax base = {};
      if (!type_base(base) || !c_declarators(base, fields)) return false;
      continue;
    }
    Location begin = peek().at;
    CRecord *inner = c_record();
    if (inner == nullptr) return false;
    bool is_anonymous = peek().is(";");
    CField field = {begin, {}, nullptr, inner, nullptr};
    if (!is_anonymous) {
      Token name;
      if (!expect_name("a field's name", name)) return false;
      field.name = name.text;
      // An array of it, say.
      std::vector<TypeSyntax::Layer> layers;
      if (!type_layers(layers)) return false;
      if (!layers.empty()) {
        diagnostics_.error(from(begin), "give this struct a name, and define it before it is used in an array");
        return false;
      }
    }
    fields.push_back(field);
    if (!expect(";")) return false;
  }
  return true;
}

bool Parser::c_declarators(const TypeSyntax &base, std::vector<CField> &fields) {
  do {
    Location begin = peek().at;
    std::vector<TypeSyntax::Layer> layers, dimensions;
    while (take("*") || take_word("const") || take_word("volatile"))
      if (last_.end - last_.begin == 1) layers.push_back({nullptr, false});
    Token name;
    TypeSyntax declared = base;
    Expression *bits = nullptr;
    if (take("(")) {
      // A pointer to a function: nobody looks behind it.
      if (!expect("*") || !expect_name("a field's name", name) || !expect(")") || !expect("(")) return false;
      for (int depth = 1; depth > 0;) {
        if (peek().kind == TokenKind::kEnd) return expect(")");
        Token token = take();
        depth += token.is("(") ? 1 : token.is(")") ? -1 : 0;
      }
      declared.base = TypeSyntax::Base::kNamed;
      declared.name = "void";
      layers = {{nullptr, false}};
    } else {
      if (peek().is(":")) {
        // Bits that nobody uses.
        name.at = peek().at;
      } else if (!expect_name("a field's name", name)) {
        return false;
      }
      if (!peek().is(":") && !type_layers(dimensions)) return false;
      // `int a[2][3]` is two of three.
      layers.insert(layers.end(), dimensions.rbegin(), dimensions.rend());
      if (take(":")) {
        bits = binary(1);
        if (bits == nullptr) return false;
      }
    }
    declared.layers = arena_.list(layers);
    declared.at = base.at.to(from(begin));
    fields.push_back({name.at, name.text, arena_.make<TypeSyntax>(declared), nullptr, bits});
  } while (take(","));
  return expect(";");
}

CEnum *Parser::c_enum() {
  Location begin = take().at;
  Token name;
  if (peek().kind == TokenKind::kIdentifier) name = take();
  Location head = from(begin);
  if (!expect("{")) return nullptr;
  std::vector<CEnumerator> values;
  while (!take("}")) {
    Token each;
    if (!expect_name("a name", each)) return nullptr;
    Expression *value = nullptr;
    if (take("=")) {
      value = expression();
      if (value == nullptr) return nullptr;
    }
    values.push_back({from(each.at), each.text, value});
    if (take(",") || peek().is("}")) continue;
    unexpected(", or }");
    return nullptr;
  }
  auto *made = arena_.make<CEnum>(head, name.text, arena_.list(values));
  enums_.push_back(made);
  return made;
}

bool Parser::c_typedef() {
  Location begin = take().at;
  bool defines = (peek().is_word("struct") || peek().is_word("union")) &&
                 (peek(1).is("{") || (peek(1).kind == TokenKind::kIdentifier && peek(2).is("{")));
  TypeSyntax base = {};
  CRecord *record = nullptr;
  if (defines) {
    record = c_record();
    if (record == nullptr) return false;
    base.base = record->is_union ? TypeSyntax::Base::kUnion : TypeSyntax::Base::kStruct;
    base.name = record->name;
    base.at = record->at;
  } else if (!type_base(base)) {
    return false;
  }
  std::vector<TypeSyntax::Layer> layers;
  if (!type_layers(layers)) return false;
  base.layers = arena_.list(layers);
  Token name;
  if (!expect_name("the type's name", name)) return false;
  if (record != nullptr && record->name.empty()) {
    record->name = name.text;
    base.name = name.text;
  }
  typedefs_.push_back({from(begin), name.text, arena_.make<TypeSyntax>(base)});
  return true;
}

}  // namespace waggle::script
