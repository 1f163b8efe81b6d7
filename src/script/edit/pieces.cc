#include "script/edit/pieces.h"

#include <algorithm>
#include <cctype>

namespace waggle::script {
namespace {

constexpr std::string_view kLongPunctuators[] = {
    "<<=", ">>=", "...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=",
    "-=",  "*=",  "/=",  "%=", "&=", "|=", "^=", "++", "--", "->", "..", "::"};

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_blank(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Piece> all() {
    while (space()) {
      char c = rest()[0];
      if (c == '#' && at_line_start_)
        add(Piece::Kind::kDirective, directive_end());
      else if (rest().starts_with("//"))
        add(Piece::Kind::kLineComment, line_end());
      else if (rest().starts_with("/*"))
        add(Piece::Kind::kBlockComment, end_of_block_comment());
      else
        code();
      at_line_start_ = false;
    }
    return std::move(pieces_);
  }

 private:
  enum class Awaits : uint8_t {
    kDefinition,
    kAttachPoint,  // of a probe's list
    kHeadEnd,      // a comma, a predicate or the body
    kPredicate,    // its end
    kEnd,          // of a definition that `{` or `;` ends
    kRecordsEnd,   // an attribute or a ';' behind a record
  };

  std::string_view rest() const { return text_.substr(at_); }
  size_t line_end() const { return std::min(rest().find('\n'), rest().size()); }
  size_t end_of_block_comment() const {
    size_t end = rest().find("*/", 2);
    return end == std::string_view::npos ? rest().size() : end + 2;
  }

  // Whether something follows.
  bool space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') {
        breaks_++;
        at_line_start_ = true;
      } else if (rest().starts_with("\\\n")) {
        at_++;
        breaks_++;
      } else if (!is_blank(text_[at_])) {
        return true;
      }
      at_++;
    }
    return false;
  }

  size_t directive_end() const {
    size_t end = 0;
    while (end < rest().size() && rest()[end] != '\n') {
      std::string_view here = rest().substr(end);
      size_t comment = here.starts_with("/*") ? here.find("*/", 2) : std::string_view::npos;
      if (here.starts_with("\\\n"))
        end += 2;
      else if (comment != std::string_view::npos)
        end += comment + 2;
      else if (here.starts_with("//"))
        return end + std::min(here.find('\n'), here.size());
      else
        end++;
    }
    return end;
  }

  void add(Piece::Kind kind, size_t length) {
    std::string_view text = rest().substr(0, length);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    pieces_.push_back({kind, place_, text, static_cast<uint32_t>(at_), breaks_});
    at_ += length;
    breaks_ = 0;
  }

  void code() {
    if (awaits_ == Awaits::kDefinition || awaits_ == Awaits::kRecordsEnd) begin_definition();
    if (awaits_ == Awaits::kAttachPoint || awaits_ == Awaits::kHeadEnd) return head();
    token();
  }

  std::string_view word() const {
    size_t end = 0;
    while (end < rest().size() && is_word_char(rest()[end])) end++;
    return rest().substr(0, end);
  }

  void begin_definition() {
    std::string_view name = word();
    if (awaits_ == Awaits::kRecordsEnd && (name == "__attribute__" || rest()[0] == ';')) {
      awaits_ = Awaits::kEnd;
      return;
    }
    struct {
      std::string_view word;
      Piece::Place place;
    } constexpr kDefinitions[] = {
        {"config", Piece::Place::kConfig}, {"macro", Piece::Place::kCode},   {"fn", Piece::Place::kCode},
        {"struct", Piece::Place::kRecord}, {"union", Piece::Place::kRecord}, {"typedef", Piece::Place::kRecord},
        {"enum", Piece::Place::kEnum},     {"let", Piece::Place::kOther},    {"import", Piece::Place::kOther},
    };
    is_typedef_ = name == "typedef";
    for (const auto &each : kDefinitions) {
      if (each.word != name) continue;
      place_ = each.place;
      awaits_ = Awaits::kEnd;
      return;
    }
    place_ = Piece::Place::kProbe;
    awaits_ = Awaits::kAttachPoint;
  }

  void head() {
    char c = rest()[0];
    if (c == ',') {
      awaits_ = Awaits::kAttachPoint;
      return add(Piece::Kind::kPunctuator, 1);
    }
    if (c == '{') {
      awaits_ = Awaits::kEnd;
      return token();
    }
    if (c == '/') {
      awaits_ = Awaits::kPredicate;
      return add(Piece::Kind::kPredicateBegin, 1);
    }
    bool in_quotes = false, has_colon = false;
    size_t end = 0;
    for (; end < rest().size(); end++) {
      char each = rest()[end];
      bool ends = is_blank(each) || each == ',' || each == '{' || (each == '/' && !has_colon);
      if (each == '\n' || (!in_quotes && ends)) break;
      has_colon |= each == ':';
      in_quotes ^= each == '"';
    }
    awaits_ = Awaits::kHeadEnd;
    add(Piece::Kind::kAttachPoint, end);
  }

  // Whether the '/' here is the last of a predicate: a '{' follows.
  bool ends_predicate() const {
    Scanner ahead(text_);
    ahead.at_ = at_ + 1;
    while (ahead.space()) {
      if (ahead.rest().starts_with("//"))
        ahead.at_ += ahead.line_end();
      else if (ahead.rest().starts_with("/*"))
        ahead.at_ += ahead.end_of_block_comment();
      else
        return ahead.rest()[0] == '{';
    }
    return false;
  }

  void token() {
    char c = rest()[0];
    if (c == '"') return add(Piece::Kind::kString, string_length());
    if (is_word_char(c) || c == '$' || c == '@') {
      size_t end = rest().starts_with("$#") ? 2 : 1;
      while (end < rest().size() && is_word_char(rest()[end])) end++;
      return add(Piece::Kind::kWord, end);
    }
    if (c == '/' && awaits_ == Awaits::kPredicate && ends_predicate()) {
      awaits_ = Awaits::kHeadEnd;
      return add(Piece::Kind::kPredicateEnd, 1);
    }
    for (std::string_view each : kLongPunctuators)
      if (rest().starts_with(each)) return add(Piece::Kind::kPunctuator, each.size());
    add(Piece::Kind::kPunctuator, 1);
    if (c == '{') depth_++;
    if (c == '}' && depth_ > 0) depth_--;
    if (depth_ > 0 || awaits_ == Awaits::kPredicate) return;
    if (c == '}' && !is_typedef_)
      awaits_ =
          place_ == Piece::Place::kRecord || place_ == Piece::Place::kEnum ? Awaits::kRecordsEnd : Awaits::kDefinition;
    if (c == ';') awaits_ = Awaits::kDefinition;
  }

  size_t string_length() const {
    size_t end = 1;
    while (end < rest().size() && rest()[end] != '"' && rest()[end] != '\n') end += rest()[end] == '\\' ? 2 : 1;
    return std::min(end + 1, rest().size());
  }

  std::string_view text_;
  size_t at_ = 0, depth_ = 0;
  uint32_t breaks_ = 0;
  bool at_line_start_ = true, is_typedef_ = false;
  Awaits awaits_ = Awaits::kDefinition;
  Piece::Place place_ = Piece::Place::kOther;
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<Piece> pieces_of(std::string_view text) {
  return Scanner(text).all();
}

}  // namespace waggle::script
