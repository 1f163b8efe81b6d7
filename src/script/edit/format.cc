#include "script/edit/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include "base/text.h"
#include "script/edit/pieces.h"
#include "script/probes/btf_types.h"
#include "script/syntax/parser.h"
#include "script/syntax/tree_text.h"

namespace waggle::script {
namespace {

using Kind = Piece::Kind;
using Place = Piece::Place;

constexpr size_t kWidth = 100;  // of a block that stays on one line
constexpr size_t kIndent = 2;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_keyword(const Piece &piece) {
  return piece.kind == Kind::kWord &&
         is_one_of(piece.text, {"if", "else", "while", "for", "unroll", "return", "let", "comptime"});
}

// Whether a value may end with it: a '-' behind it subtracts.
bool ends_value(const Piece &piece) {
  if (piece.kind == Kind::kString) return true;
  if (piece.kind == Kind::kWord) return !is_keyword(piece);
  return piece.is(")") || piece.is("]") || piece.is("}");
}

bool is_type_name(std::string_view word) {
  return is_one_of(word, {"string", "buffer", "inet", "void", "char", "short", "int", "long", "unsigned", "signed"}) ||
         word.ends_with("_t") || c_integer(word).has_value() ||
         ((word.starts_with("int") || word.starts_with("uint")) &&
          std::isdigit(static_cast<unsigned char>(word.back())) != 0);
}

// What a piece is to those beside it.
struct Role {
  bool is_prefix = false;   // a unary operator before its operand
  bool is_postfix = false;  // ++ or -- behind it
  bool is_star = false;     // of a pointer's type
  bool ends_cast = false;
  size_t partner = 0;  // of a bracket: the other one
};

class Formatter {
 public:
  explicit Formatter(std::string_view text) : pieces_(pieces_of(text)), roles_(pieces_.size()) {
    match_brackets();
    for (size_t i = 0; i < pieces_.size(); i++) find_role(i);
  }

  std::string text() {
    for (size_t i = 0; i < pieces_.size(); i++) {
      separate(i);
      out_ += pieces_[i].text;
      step(i);
    }
    if (!out_.empty()) out_ += '\n';
    return std::move(out_);
  }

 private:
  struct Open {
    size_t at;
    bool is_brace, is_flat;
  };

  // --- what pieces are -----------------------------------------------------------

  void match_brackets() {
    std::vector<size_t> open;
    for (size_t i = 0; i < pieces_.size(); i++) {
      roles_[i].partner = i;
      const Piece &piece = pieces_[i];
      if (piece.is("(") || piece.is("[") || piece.is("{")) open.push_back(i);
      if ((!piece.is(")") && !piece.is("]") && !piece.is("}")) || open.empty()) continue;
      roles_[i].partner = open.back();
      roles_[open.back()].partner = i;
      open.pop_back();
    }
  }

  const Piece *code_before(size_t i) const {
    while (i-- > 0)
      if (pieces_[i].is_code()) return &pieces_[i];
    return nullptr;
  }

  // The type in parentheses that [open, close] are: "(struct x *)", "(uint64)", "(pid_t)".
  bool is_cast(size_t open, size_t close) const {
    if (close <= open + 1 || (open > 0 && ends_value(pieces_[open - 1]) && !roles_[open - 1].ends_cast)) return false;
    const Piece &first = pieces_[open + 1];
    if (first.kind != Kind::kWord) return false;
    bool is_named = is_one_of(first.text, {"struct", "union", "enum"});
    size_t at = open + 1;
    while (at < close && pieces_[at].kind == Kind::kWord) at++;
    bool has_layers = at < close;
    for (; at < close; at++)
      if (!pieces_[at].is("*") && !pieces_[at].is("[") && !pieces_[at].is("]") && pieces_[at].kind != Kind::kWord)
        return false;
    if (is_named || is_type_name(first.text)) return true;
    return has_layers && pieces_[close - 1].is("*");
  }

  void find_role(size_t i) {
    Role &role = roles_[i];
    const Piece &piece = pieces_[i];
    if (piece.kind != Kind::kPunctuator) return;
    const Piece *before = code_before(i);
    if (piece.is(")") && role.partner < i) role.ends_cast = is_cast(role.partner, i);
    bool has_value =
        before != nullptr && ends_value(*before) && !(before->is(")") && roles_[before - pieces_.data()].ends_cast);
    if (piece.is("!") || piece.is("~")) role.is_prefix = true;
    if (piece.is("++") || piece.is("--")) (has_value ? role.is_postfix : role.is_prefix) = true;
    if (piece.is("-") || piece.is("+") || piece.is("&")) role.is_prefix = !has_value;
    if (!piece.is("*")) return;
    if (is_star_of_type(i))
      role.is_star = true;
    else
      role.is_prefix = !has_value;
  }

  bool is_star_of_type(size_t i) const {
    if (pieces_[i].place == Place::kRecord) return true;
    // "(struct x *)", "struct x **", "sizeof(struct x *)", "let $p : struct x *".
    size_t next = i + 1;
    while (next < pieces_.size() && pieces_[next].is("*")) next++;
    bool ends = next < pieces_.size() && (pieces_[next].is(")") || pieces_[next].is("=") || pieces_[next].is(";") ||
                                          pieces_[next].is(",") || pieces_[next].is("["));
    if (ends) return true;
    size_t before = i;
    while (before > 0 && pieces_[before - 1].is("*")) before--;
    return before > 1 && is_one_of(pieces_[before - 2].text, {"struct", "union", "enum"});
  }

  // --- on one line ----------------------------------------------------------------

  bool is_operator(size_t i) const {
    const Role &role = roles_[i];
    if (pieces_[i].kind != Kind::kPunctuator || role.is_prefix || role.is_postfix) return false;
    return !is_one_of(pieces_[i].text, {"(", ")", "[", "]", "{", "}", ";", ",", ".", "->", "..", "..."});
  }

  // Whether a blank stands before the piece, behind the one before, on one line.
  bool has_blank(size_t i) const {
    const Piece &left = pieces_[i - 1], &right = pieces_[i];
    const Role &left_role = roles_[i - 1], &right_role = roles_[i];
    if (left.is_comment() || right.is_comment()) return true;
    if (left.kind == Kind::kPredicateBegin || right.kind == Kind::kPredicateEnd) return false;
    if (right.kind == Kind::kPredicateBegin || left.kind == Kind::kPredicateEnd) return true;
    if (right.is(";") || right.is(",") || right.is(")") || right.is("]")) return false;
    if (is_one_of(left.text, {".", "->", ".."}) && left.kind == Kind::kPunctuator) return false;
    if (is_one_of(right.text, {".", "->", ".."}) && right.kind == Kind::kPunctuator) return false;
    if (left.is("{") && right.is("}")) return false;
    if (left.is("{") || right.is("}") || right.is("{")) return !left.is("(");
    if (left.is("(") || left.is("[")) return false;
    if (left_role.is_prefix || right_role.is_postfix) return needs_blank(left, right);
    if (left_role.is_star) return !right_role.is_star && right.kind == Kind::kWord && right.place != Place::kRecord;
    if (right_role.is_star) return true;
    if (left_role.ends_cast) return is_operator(i);
    if (right.is("(")) return left.kind != Kind::kWord || is_keyword(left) || left.is_word("fn");
    if (right.is("[")) return is_operator(i - 1) || left.is(",") || is_keyword(left);
    return true;
  }

  // "- -1" must not become "--1".
  static bool needs_blank(const Piece &left, const Piece &right) {
    return left.kind == Kind::kPunctuator && right.kind == Kind::kPunctuator &&
           left.text.back() == right.text.front() && is_one_of(left.text, {"-", "+", "&", "--", "++"});
  }

  // A block that people wrote on one line, if it is not too long for that.
  bool is_flat(size_t open) const {
    size_t close = roles_[open].partner, width = 0;
    if (close == open) return false;
    for (size_t i = open + 1; i <= close; i++) {
      const Piece &piece = pieces_[i];
      if (piece.breaks > 0 || piece.kind == Kind::kLineComment || piece.kind == Kind::kDirective) return false;
      width += piece.text.size() + (has_blank(i) ? 1 : 0);
    }
    return width <= kWidth;
  }

  // --- lines ----------------------------------------------------------------------

  size_t depth() const {
    return static_cast<size_t>(
        std::count_if(open_.begin(), open_.end(), [](const Open &each) { return each.is_brace && !each.is_flat; }));
  }
  bool in_flat_block() const {
    return std::any_of(open_.begin(), open_.end(), [](const Open &each) { return each.is_brace && each.is_flat; });
  }
  bool in_parentheses() const { return !open_.empty() && !open_.back().is_brace; }

  void new_line(size_t i, size_t indent) {
    if (out_.empty()) return;
    out_ += '\n';
    bool opens = pieces_[i - 1].is("{") || pieces_[i].is("}");
    if (pieces_[i].breaks > 1 && !opens) out_ += '\n';
    out_.append(indent * kIndent, ' ');
  }

  void separate(size_t i) {
    if (i == 0) return;
    const Piece &left = pieces_[i - 1], &right = pieces_[i];
    size_t now = depth();
    if (right.kind == Kind::kDirective) return new_line(i, 0);
    if (left.kind == Kind::kDirective) return new_line(i, right.is("}") && now > 0 ? now - 1 : now);
    if (right.is_comment() && right.breaks == 0) {
      out_ += ' ';
      return;
    }
    if (right.is("}") && !open_.empty() && open_.back().is_brace) {
      if (!open_.back().is_flat && !left.is("{")) return new_line(i, now - 1);
      if (!left.is("{")) out_ += ' ';
      return;
    }
    bool must = left.kind == Kind::kLineComment || (right.is_comment() && right.breaks > 0);
    if (is_new_statement_) {
      bool stays = in_flat_block() && !must;
      if (!stays) return new_line(i, now);
      out_ += ' ';
      return;
    }
    if (left.kind == Kind::kBlockComment && right.breaks > 0) must = true;
    if (must || is_kept_break(i)) return new_line(i, now + (is_in_head(i) ? 0 : is_in_list() ? 0 : 2));
    if (has_blank(i)) out_ += ' ';
  }

  // A break that its author chose, in a statement or a list.
  bool is_kept_break(size_t i) const {
    const Piece &left = pieces_[i - 1], &right = pieces_[i];
    if (in_flat_block()) return false;
    if (left.is(",") && left.place == Place::kProbe && is_in_head(i)) return true;
    if (right.kind == Kind::kPredicateBegin) return right.breaks > 0;
    if (left.is("{") && !in_flat_block()) return true;
    if (right.breaks == 0) return false;
    return !right.is("{") && !right.is(";") && !right.is(")") && !right.is("]") && !right.is_word("else") &&
           !(right.kind == Kind::kPunctuator && right.is(",")) && !is_in_predicate_;
  }

  // Between the first attach point of a probe and its body.
  bool is_in_head(size_t i) const { return open_.empty() && pieces_[i].place == Place::kProbe; }
  // Of enumerators, and of the configuration's settings.
  bool is_in_list() const {
    return !open_.empty() && open_.back().is_brace &&
           (pieces_[open_.back().at].place == Place::kEnum || pieces_[open_.back().at].place == Place::kConfig);
  }

  void step(size_t i) {
    const Piece &piece = pieces_[i];
    if (piece.kind == Kind::kPredicateBegin) is_in_predicate_ = true;
    if (piece.kind == Kind::kPredicateEnd) is_in_predicate_ = false;
    if (!piece.is_code()) return;
    is_new_statement_ = false;
    if (piece.is("{") || piece.is("(") || piece.is("[")) {
      bool is_brace = piece.is("{");
      open_.push_back({i, is_brace, is_brace && (in_flat_block() || is_flat(i))});
      is_new_statement_ = is_brace;
      return;
    }
    if ((piece.is(")") || piece.is("]") || piece.is("}")) && !open_.empty()) open_.pop_back();
    if (piece.is("}")) is_new_statement_ = !goes_on(i);
    if (piece.is(";")) is_new_statement_ = !in_parentheses();
    if (piece.is(",") && !open_.empty() && open_.back().is_brace && piece.place == Place::kConfig)
      is_new_statement_ = true;
  }

  // Whether a statement goes on behind the '}'.
  bool goes_on(size_t i) const {
    size_t next = i + 1;
    while (next < pieces_.size() && !pieces_[next].is_code()) next++;
    if (next >= pieces_.size()) return false;
    const Piece &piece = pieces_[next];
    // On the same level only definitions follow, but the name of a typedef.
    if (open_.empty())
      return piece.is(";") || (piece.place == Place::kRecord && piece.kind == Kind::kWord && is_after_record(next));
    if (piece.is_word("else")) return true;
    if (piece.place == Place::kRecord) return true;
    return is_one_of(piece.text, {";", ",", ")", "]", ".", "?", ":", "==", "!=", "+", "/", "%", "<", ">"}) &&
           piece.kind == Kind::kPunctuator;
  }
  bool is_after_record(size_t next) const {
    return pieces_[next].text == "__attribute__" || (next + 1 < pieces_.size() && pieces_[next + 1].is(";")) ||
           roles_[next].is_star;
  }

  std::vector<Piece> pieces_;
  std::vector<Role> roles_;
  std::vector<Open> open_;
  bool is_new_statement_ = true, is_in_predicate_ = false;
  std::string out_;
};

// What a text means, or what is wrong with it.
struct Meaning {
  std::string tree, mistakes;
};
Meaning meaning_of(std::string_view text, const std::string &name) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add(name, std::string(text)), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  if (diagnostics.failed()) return {{}, diagnostics.text(sources)};
  return {text_of(tree), {}};
}

// All that is not white space.
std::string letters_of(std::string_view text) {
  std::string letters;
  for (const Piece &piece : pieces_of(text)) letters.append(piece.text).append(1, '\n');
  return letters;
}

}  // namespace

Result<std::string> format_script(std::string_view text, const std::string &name) {
  Meaning before = meaning_of(text, name);
  if (!before.mistakes.empty()) {
    std::string_view mistakes = trim(before.mistakes);
    return fail(ErrorCode::kInvalid, fmt::format("{} is no script", name), std::string(mistakes));
  }
  std::string made = Formatter(text).text();
  if (meaning_of(made, name).tree != before.tree || letters_of(made) != letters_of(text))
    return fail(ErrorCode::kFailed, fmt::format("cannot format {}", name),
                "what came out meant something else, which is a mistake of waggle's");
  return made;
}

}  // namespace waggle::script
