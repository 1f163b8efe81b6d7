// From a script's text to tokens, with the small preprocessor that scripts need: #define
// (also with parameters), #undef, #ifdef, #ifndef, #if, #elif, #else, #endif. #include is
// passed over: types come from the kernel's BTF. BPFTRACE_HAVE_BTF is defined.
//
// Attach points are no tokens: `uprobe:/bin/bash:readline+4` means what it says there, so
// the parser asks for them as text.
// Threads: one at a time. Limits: 64 expansions within each other, 100,000 tokens of
// expansions in all.
// source: bpftrace(8), "Preprocessor Options"; C17 6.10
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "script/syntax/arena.h"
#include "script/syntax/source.h"
#include "script/syntax/token.h"

namespace waggle::script {

class Lexer {
 public:
  // All must outlive the tokens.
  Lexer(const Sources &sources, uint32_t source, Arena &arena, Diagnostics &diagnostics);

  Token next();

  // As if the text began with a #define of it.
  void predefine(std::string_view name, std::string_view body);

  // The word that comes next, of letters, digits and '_', which is not taken. Empty at the
  // end and before anything else.
  std::string_view peek_word();
  // Whether all of the text has been read, up to white space and comments.
  bool at_end();

  // One attach point: up to white space, a comma or '{', which quotes may hold; or a '/'
  // that no ':' came before. Empty text: there is none.
  struct AttachText {
    std::string_view text;
    Location at;
  };
  AttachText attach_point();
  // Takes the next character if it is `c`, after white space.
  bool take(char c);

  // Until the predicate has ended, a '/' before a '{' is kPredicateEnd.
  void begin_predicate() { in_predicate_ = true; }
  void end_predicate() { in_predicate_ = false; }

  // Here, as a place of no length.
  Location here() const { return {source_, at_, at_}; }

 private:
  struct Define {
    bool has_parameters = false;
    std::vector<std::string_view> parameters;
    std::string_view body;
  };
  struct Condition {
    bool outer = true;      // the text around it is taken
    bool taken = false;     // a branch of it has been
    bool is_taken = false;  // this one is
    Location at;
  };
  struct Expansion {
    std::string_view name;
    size_t left;  // how many tokens are pending when it is done
  };

  // Of a #define's body.
  Lexer(const Lexer &outer, std::string_view body);

  bool taking() const { return conditions_.empty() || (conditions_.back().outer && conditions_.back().is_taken); }
  void skip_space();
  void directive();
  void define(std::string_view rest, const Location &at);
  bool holds(std::string_view expression, const Location &at);
  Token scan();
  Token scan_one(uint32_t begin);
  Token scan_number(uint32_t begin);
  Token scan_string(uint32_t begin);
  Token token(TokenKind kind, uint32_t begin, std::string_view text) const;
  Token bad(uint32_t begin, std::string message);
  Token pop();
  void push_pending(const std::vector<Token> &tokens);
  bool expand(const Token &name);
  bool take_arguments(const Token &name, std::vector<std::vector<Token>> &arguments);
  std::vector<Token> tokens_of(std::string_view body, const Location &at);

  const Sources &sources_;
  uint32_t source_;
  std::string_view text_;
  Arena &arena_;
  Diagnostics ignored_;
  Diagnostics &diagnostics_;
  uint32_t at_ = 0;
  bool at_line_start_ = true, in_predicate_ = false, is_whole_text_ = true;
  std::map<std::string_view, Define> defines_;
  std::vector<Condition> conditions_;
  std::vector<Token> pending_;  // of expansions; the last is next
  std::vector<Expansion> expansions_;
  size_t expanded_ = 0;
};

}  // namespace waggle::script
