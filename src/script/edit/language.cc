#include "script/edit/language.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <utility>

#include "base/text.h"
#include "script/check/check.h"
#include "script/edit/pieces.h"
#include "script/probes/list.h"
#include "script/syntax/parser.h"

namespace waggle::script {
namespace {

using Kind = Piece::Kind;

uint32_t end_of(const Piece &piece) {
  return piece.begin + static_cast<uint32_t>(piece.text.size());
}

// The piece that is typed at `at`: that begins before it and ends there or behind it. `index`
// is then its own, else that of the first piece behind.
const Piece *piece_before(const std::vector<Piece> &pieces, uint32_t at, size_t &index) {
  for (index = 0; index < pieces.size(); index++) {
    if (pieces[index].begin >= at) return nullptr;
    if (end_of(pieces[index]) >= at) return &pieces[index];
  }
  return nullptr;
}

// The first attach point of the probe that pieces[index] stands in; empty: it stands in none.
std::string_view attach_point_of(const std::vector<Piece> &pieces, size_t index) {
  std::string_view found;
  size_t depth = 0;
  bool in_list = false;
  for (size_t i = 0; i < index && i < pieces.size(); i++) {
    const Piece &piece = pieces[i];
    if (piece.kind == Kind::kAttachPoint) {
      if (!in_list) found = piece.text;
      in_list = true;
    }
    if (piece.is("{")) depth++;
    if (piece.is("}") && depth > 0 && --depth == 0) {
      found = {};
      in_list = false;
    }
  }
  return found;
}

bool is_access(const Piece &piece) {
  return piece.is(".") || piece.is("->");
}

// The declarations that `args` has in a probe: "char comm[16]".
std::vector<std::string> arguments_of(std::string_view attach_point, BtfTypes &types) {
  std::vector<std::string> declarations;
  // Fields that a hundred probes have in common are not worth a second's wait.
  if (attach_point.empty() || attach_point.find('*') != std::string_view::npos) return declarations;
  Result<std::string> listed =
      list_probes(attach_point, {.with_arguments = true, .pid = 0, .traceable_functions = {}}, types);
  if (!listed) return declarations;
  for (std::string_view line : split(*listed, '\n')) {
    if (line.starts_with("    "))
      declarations.emplace_back(trim(line));
    else if (!declarations.empty())
      break;
  }
  return declarations;
}

// "comm" of "char comm[16]", "file" of "struct file * file".
std::string_view name_in(std::string_view declaration) {
  size_t end = std::min(declaration.find('['), declaration.size());
  std::string_view text = trim(declaration.substr(0, end));
  return text.substr(text.find_last_of(" *") + 1);
}

void add_fields(Completions &to, const std::vector<Piece> &pieces, size_t access, BtfTypes &types) {
  if (access == 0) return;
  const Piece &owner = pieces[access - 1];
  if (owner.is_word("args")) {
    for (const std::string &each : arguments_of(attach_point_of(pieces, access), types))
      to.all.push_back({Completion::Kind::kField, std::string(name_in(each)), each, ""});
  } else if (owner.is_word("curtask")) {
    Type task = types.resolve("struct task_struct");
    if (!task.is(TypeKind::kRecord)) return;
    for (const Field &field : task.fields())
      if (!field.name.empty()) to.all.push_back({Completion::Kind::kField, field.name, field.type.name(), ""});
  }
}

Completion::Kind kind_of(Word::Kind kind) {
  switch (kind) {
    case Word::Kind::kProvider:
      return Completion::Kind::kProbe;
    case Word::Kind::kKeyword:
      return Completion::Kind::kKeyword;
    case Word::Kind::kBuiltin:
      return Completion::Kind::kValue;
    case Word::Kind::kFunction:
    case Word::Kind::kMapFunction:
      return Completion::Kind::kFunction;
    case Word::Kind::kSetting:
      return Completion::Kind::kSetting;
  }
  return Completion::Kind::kValue;
}

void add_words(Completions &to, std::string_view typed, std::initializer_list<Word::Kind> kinds) {
  for (const Word &each : words()) {
    if (!each.name.starts_with(typed) || std::find(kinds.begin(), kinds.end(), each.kind) == kinds.end()) continue;
    to.all.push_back({kind_of(each.kind), std::string(each.name), std::string(each.form), std::string(each.help)});
  }
}

void add_probes(Completions &to, std::string_view typed, BtfTypes &types) {
  if (typed.find(':') == std::string_view::npos) {
    add_words(to, typed, {Word::Kind::kProvider});
    for (std::string_view each : {"config", "let", "macro", "struct", "enum"})
      if (each.starts_with(typed)) to.all.push_back({Completion::Kind::kKeyword, std::string(each), "", ""});
    return;
  }
  std::string pattern = std::string(typed) + "*";
  // A category alone: its names are wanted too.
  if (typed.starts_with("tracepoint:") && std::count(typed.begin(), typed.end(), ':') == 1) pattern += ":*";
  Result<std::string> listed = list_probes(pattern, {}, types);
  if (!listed) return;
  for (std::string_view line : split(*listed, '\n')) {
    if (line.empty()) continue;
    if (to.all.size() >= kCompletionsMost) {
      to.is_cut = true;
      return;
    }
    to.all.push_back({Completion::Kind::kProbe, std::string(line), "", ""});
  }
}

// Names that the text itself has: of variables and maps, or of macros and functions.
void add_names(Completions &to, const std::vector<Piece> &pieces, const Piece *typed, std::string_view prefix) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < pieces.size(); i++) {
    const Piece &piece = pieces[i];
    bool is_sigil = prefix.starts_with('$') || prefix.starts_with('@');
    bool is_made = i > 0 && (pieces[i - 1].is_word("macro") || pieces[i - 1].is_word("fn"));
    bool fits =
        is_sigil ? piece.text.starts_with(prefix) && piece.text.size() > 1 : is_made && piece.text.starts_with(prefix);
    if (piece.kind != Kind::kWord || &piece == typed || !fits || !seen.insert(piece.text).second) continue;
    to.all.push_back(
        {is_sigil ? Completion::Kind::kVariable : Completion::Kind::kFunction, std::string(piece.text), "", ""});
  }
}

bool is_comment_at(const Piece &piece, uint32_t at) {
  return piece.is_comment() && piece.begin < at && (piece.kind == Kind::kLineComment || at < end_of(piece));
}

std::string code_block(std::string_view text) {
  return fmt::format("```\n{}\n```", text);
}

}  // namespace

namespace {

struct Meaning {
  std::vector<Mistake> mistakes;
  std::vector<std::pair<std::string, std::string>> types;  // of variables and maps: "$x", "uint64"
};

Meaning meaning_of(const std::string &text, BtfTypes &types) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add("script", text), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  Meaning meaning;
  if (!diagnostics.failed()) {
    CheckOptions options;
    options.is_unsafe = true;  // how it will be run is not known
    Script script = check(tree, sources, diagnostics, types, options);
    for (const ScriptVariable &each : script.variables)
      meaning.types.emplace_back("$" + each.name, fmt::format("${} : {}", each.name, each.type.name()));
    for (const ScriptMap &each : script.maps) {
      std::string key = each.shape.key.is(TypeKind::kNone) ? "" : fmt::format("[{}]", each.shape.key.name());
      meaning.types.emplace_back(each.shape.name,
                                 fmt::format("{}{} : {}", each.shape.name, key, each.shape.value.name()));
    }
  }
  for (const Diagnostic &each : diagnostics.all()) {
    // Who may not see the kernel's probes can still write scripts.
    if (geteuid() != 0 && each.message.starts_with("Unable to attach probe")) continue;
    Mistake made = {each.severity, each.at.begin, each.at.end, each.message};
    for (const std::string &hint : each.hints) made.message += "\n" + hint;
    meaning.mistakes.push_back(std::move(made));
  }
  std::stable_sort(meaning.mistakes.begin(), meaning.mistakes.end(),
                   [](const Mistake &one, const Mistake &other) { return one.begin < other.begin; });
  return meaning;
}

}  // namespace

std::vector<Mistake> mistakes_of(const std::string &text, BtfTypes &types) {
  return meaning_of(text, types).mistakes;
}

Completions completions_at(const std::string &text, uint32_t at, BtfTypes &types) {
  std::vector<Piece> pieces = pieces_of(text);
  size_t index = 0;
  const Piece *typed = piece_before(pieces, at, index);
  Completions found;
  found.begin = at;
  if (typed != nullptr && (is_comment_at(*typed, at) || typed->kind == Kind::kDirective)) return found;
  if (typed != nullptr && typed->kind == Kind::kString) return found;
  if (typed != nullptr && is_access(*typed)) {
    add_fields(found, pieces, index, types);
    return found;
  }
  bool is_word = typed != nullptr && (typed->kind == Kind::kWord || typed->kind == Kind::kAttachPoint);
  std::string_view prefix;
  if (is_word) {
    found.begin = typed->begin;
    prefix = typed->text.substr(0, at - typed->begin);
  }
  if (is_word && typed->kind == Kind::kWord && index > 0 && is_access(pieces[index - 1])) {
    add_fields(found, pieces, index - 1, types);
    return found;
  }
  // Between definitions, behind a list's comma too.
  size_t depth = 0;
  for (size_t i = 0; i < index; i++) depth += pieces[i].is("{") ? 1 : pieces[i].is("}") && depth > 0 ? -1 : 0;
  bool is_outside = depth == 0 && (!is_word || typed->kind == Kind::kAttachPoint);
  if (is_outside) {
    add_probes(found, prefix, types);
    return found;
  }
  bool in_config = index > 0 && pieces[std::min(index, pieces.size()) - 1].place == Piece::Place::kConfig;
  if (in_config) {
    add_words(found, prefix, {Word::Kind::kSetting});
    return found;
  }
  add_names(found, pieces, typed, prefix);
  if (!prefix.starts_with('$') && !prefix.starts_with('@'))
    add_words(found, prefix,
              {Word::Kind::kKeyword, Word::Kind::kBuiltin, Word::Kind::kFunction, Word::Kind::kMapFunction});
  return found;
}

Hover hover_at(const std::string &text, uint32_t at, BtfTypes &types) {
  std::vector<Piece> pieces = pieces_of(text);
  size_t index = 0;
  const Piece *piece = piece_before(pieces, at + 1, index);
  if (piece == nullptr || (piece->kind != Kind::kWord && piece->kind != Kind::kAttachPoint)) return {};
  Hover hover = {piece->begin, end_of(*piece), {}};
  if (piece->kind == Kind::kAttachPoint) {
    std::string listed = std::string(piece->text);
    for (const std::string &each : arguments_of(piece->text, types)) listed += "\n    " + each;
    hover.text = code_block(listed);
    const Word *provider = find_word(piece->text.substr(0, piece->text.find(':')));
    if (provider != nullptr) hover.text += fmt::format("\n{}", provider->help);
    return hover;
  }
  if (index > 1 && is_access(pieces[index - 1]) && pieces[index - 2].is_word("args")) {
    for (const std::string &each : arguments_of(attach_point_of(pieces, index), types))
      if (name_in(each) == piece->text) hover.text = code_block(each);
    return hover;
  }
  if (index > 1 && is_access(pieces[index - 1]) && pieces[index - 2].is_word("curtask")) {
    Type task = types.resolve("struct task_struct");
    const Field *field = task.is(TypeKind::kRecord) ? task.field(std::string(piece->text)) : nullptr;
    if (field != nullptr) hover.text = code_block(fmt::format("{} {}", field->type.name(), field->name));
    return hover;
  }
  if (piece->text.starts_with('$') || piece->text.starts_with('@')) {
    // Two blocks may have two variables of one name.
    std::set<std::string> declarations;
    for (const auto &[name, declaration] : meaning_of(text, types).types)
      if (name == piece->text) declarations.insert(declaration);
    std::string listed = fmt::format("{}", fmt::join(declarations, "\n"));
    if (!listed.empty()) hover.text = code_block(listed);
    return hover;
  }
  if (const Word *word = find_word(piece->text))
    hover.text =
        fmt::format("{}\n{}",
                    code_block(word->kind == Word::Kind::kBuiltin ? fmt::format("{} : {}", piece->text, word->form)
                                                                  : std::string(word->form)),
                    word->help);
  return hover;
}

}  // namespace waggle::script
