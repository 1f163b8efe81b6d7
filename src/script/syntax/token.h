// What the lexer makes of a script's text.
#pragma once

#include <cstdint>
#include <string_view>

#include "script/syntax/source.h"

namespace waggle::script {

enum class TokenKind : uint8_t {
  kEnd,
  kIdentifier,       // keywords too: which they are depends on where they stand
  kVariable,         // $name; text is without the $
  kMap,              // @name; text is without the @, and may be empty
  kPositional,       // $1
  kPositionalCount,  // $#
  kInteger,
  kString,  // text is what the escapes stand for
  kPunctuator,
  kPredicateEnd,  // the / that ends a predicate
  kBad,           // an error that has been told
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Location at;
  std::string_view text;      // of a punctuator the whole of it
  uint64_t value = 0;         // of kInteger and kPositional
  bool is_unsigned = false;   // an integer with the suffix u
  bool is_duration = false;   // 10ms: value is in nanoseconds
  bool is_expansion = false;  // of a #define: `at` is where it is used
  bool is_adjacent = false;   // nothing stands between it and the token before

  bool is(std::string_view punctuator) const { return kind == TokenKind::kPunctuator && text == punctuator; }
  bool is_word(std::string_view word) const { return kind == TokenKind::kIdentifier && text == word; }
};

}  // namespace waggle::script
