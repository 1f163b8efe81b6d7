// A script's text as the pieces that people see: also comments, lines of the preprocessor,
// and literals as they are written. Nothing is expanded and nothing is left out but white space.
//
// It follows the lexer and the parser (script/syntax) where a text is right, and makes
// something of any other.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace waggle::script {

struct Piece {
  enum class Kind : uint8_t {
    kWord,  // a name, keyword or number; $x, @x, $1
    kString,
    kPunctuator,
    kAttachPoint,
    kPredicateBegin,  // the / before a predicate
    kPredicateEnd,
    kLineComment,
    kBlockComment,
    kDirective,  // a line that begins with #, with those that go on behind a backslash
  };
  // What the definition is that a piece stands in.
  enum class Place : uint8_t { kProbe, kConfig, kCode, kRecord, kEnum, kOther };
  Kind kind = Kind::kWord;
  Place place = Place::kOther;
  std::string_view text;
  uint32_t begin = 0;   // bytes before it
  uint32_t breaks = 0;  // how many lines end between the piece before and this one

  bool is(std::string_view punctuator) const { return kind == Kind::kPunctuator && text == punctuator; }
  bool is_word(std::string_view word) const { return kind == Kind::kWord && text == word; }
  bool is_comment() const { return kind == Kind::kLineComment || kind == Kind::kBlockComment; }
  // Whether it says something: neither a comment nor of the preprocessor.
  bool is_code() const { return !is_comment() && kind != Kind::kDirective; }
};

// `text` must outlive the pieces.
std::vector<Piece> pieces_of(std::string_view text);

}  // namespace waggle::script
