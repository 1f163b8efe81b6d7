// The parser's parts, which live in three files: statements and definitions (parser.cc),
// expressions (parser_expressions.cc), types and C definitions (parser_types.cc).
// Every part returns null, or false, when it has told a mistake.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "script/syntax/parser.h"

namespace waggle::script {

class Parser {
 public:
  Parser(Lexer &lexer, Arena &arena, Diagnostics &diagnostics)
      : lexer_(lexer), arena_(arena), diagnostics_(diagnostics) {}
  Tree parse();

 private:
  static constexpr int kDepthMost = 256;

  // How deep parts lie in each other.
  class Nested {
   public:
    explicit Nested(Parser &parser) : parser_(parser) { parser_.depth_++; }
    ~Nested() { parser_.depth_--; }
    Nested(const Nested &) = delete;
    Nested &operator=(const Nested &) = delete;
    bool too_deep() const { return parser_.depth_ > kDepthMost; }

   private:
    Parser &parser_;
  };

  // --- tokens
  const Token &peek(size_t ahead = 0);
  Token take();
  bool take(std::string_view punctuator);
  bool take_word(std::string_view word);
  bool expect(std::string_view punctuator);
  bool expect_name(std::string_view what, Token &name);
  // "syntax error, unexpected X, expecting Y"
  void unexpected(std::string_view expecting = {});
  Location from(const Location &begin) const { return begin.to(last_); }
  template <typename Node, typename... Rest>
  Node *expression(const Location &begin, Rest &&...rest) {
    return arena_.make<Node>(Expression{Node::kKind, expressions_++, from(begin)}, std::forward<Rest>(rest)...);
  }
  template <typename Node, typename... Rest>
  Node *statement(const Location &begin, Rest &&...rest) {
    return arena_.make<Node>(Statement{Node::kKind, from(begin)}, std::forward<Rest>(rest)...);
  }

  // --- parser.cc
  bool definition();
  bool config();
  bool map_declaration();
  bool macro();
  bool function();
  bool import();
  bool probe();
  bool parameters(std::vector<Parameter> &list, bool typed);
  Block *block();
  bool block_part(std::vector<Statement *> &statements, Expression *&value);
  Statement *keyword_statement(bool &known);
  Statement *let();
  Statement *loop_while();
  Statement *loop_for();
  Statement *loop_unroll();
  Variable *variable();
  void skip_statement();
  void skip_definition();

  // --- parser_expressions.cc
  Expression *expression();
  Expression *binary(int least);
  Expression *unary();
  Expression *postfix();
  Expression *primary();
  Expression *identifier();
  Expression *map_access();
  Expression *parenthesised();
  Expression *tuple(const Location &begin, Expression *first);
  Expression *record(const Location &begin);
  Expression *if_expression();
  Expression *call(const Token &name);
  Expression *of_type_or_expression(const Token &name);
  Expression *offset_of(const Token &name);
  Expression *container_of(const Token &name);
  bool list(std::string_view end, std::vector<Expression *> &items);
  bool cast_follows();

  // --- parser_types.cc
  TypeSyntax *type();
  bool type_base(TypeSyntax &made);
  bool type_layers(std::vector<TypeSyntax::Layer> &layers);
  // Whether a type stands at that token, as one that is no name of anything else.
  bool is_type_word(const Token &token) const;
  bool c_definition();
  CRecord *c_record();
  bool c_fields(std::vector<CField> &fields);
  bool c_declarators(const TypeSyntax &base, std::vector<CField> &fields);
  CEnum *c_enum();
  bool c_typedef();
  bool skip_attributes(bool &packed);

  Lexer &lexer_;
  Arena &arena_;
  Diagnostics &diagnostics_;
  std::deque<Token> ahead_;
  Location last_;  // of the token taken last
  uint32_t expressions_ = 0;
  int depth_ = 0;

  std::vector<ConfigEntry> config_;
  std::vector<Import> imports_;
  std::vector<CRecord *> records_;
  std::vector<CEnum *> enums_;
  std::vector<CTypedef> typedefs_;
  std::vector<MapDeclaration> maps_;
  std::vector<Macro *> macros_;
  std::vector<Function *> functions_;
  std::vector<Probe *> probes_;
};

}  // namespace waggle::script
