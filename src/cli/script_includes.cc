#include "cli/script_includes.h"

#include "base/fd.h"
#include "base/text.h"
#include "script/syntax/parser.h"

namespace waggle {
namespace {

using namespace script;

// The name in a line `#include "name"` or `#include <name>`; empty: it is no such line.
std::string_view included_name(std::string_view line) {
  line = trim(line);
  if (!line.starts_with('#')) return {};
  line = trim(line.substr(1));
  constexpr std::string_view kWord = "include";
  if (!line.starts_with(kWord)) return {};
  line = trim(line.substr(kWord.size()));
  if (line.size() < 2 || (line.front() != '"' && line.front() != '<')) return {};
  size_t end = line.find(line.front() == '"' ? '"' : '>', 1);
  return end == std::string_view::npos ? std::string_view() : line.substr(1, end - 1);
}

void add_file(std::vector<IncludedFile> &files, const std::string &path) {
  if (Result<std::string> text = read_file(path, Sources::kBytesMost); text) files.push_back({path, std::move(*text)});
}

template <typename Item>
void add_before(std::span<const Item> &items, std::span<const Item> first, Arena &arena) {
  std::vector<Item> all(first.begin(), first.end());
  all.insert(all.end(), items.begin(), items.end());
  items = arena.list(all);
}

}  // namespace

std::vector<IncludedFile> included_files(std::string_view text, const std::string &script,
                                         const std::vector<std::string> &directories,
                                         const std::vector<std::string> &files) {
  std::vector<IncludedFile> found;
  for (const std::string &each : files) add_file(found, each);
  size_t slash = script.rfind('/');
  std::string beside = slash == std::string::npos ? "." : script.substr(0, slash);
  for (std::string_view line : split(text, '\n')) {
    std::string_view name = included_name(line);
    if (name.empty()) continue;
    size_t before = found.size();
    if (name.starts_with('/')) add_file(found, std::string(name));
    if (line.find('"') != std::string_view::npos) add_file(found, beside + "/" + std::string(name));
    for (const std::string &directory : directories) {
      if (found.size() > before) break;
      add_file(found, directory + "/" + std::string(name));
    }
  }
  return found;
}

void predefine(Lexer &lexer, const IncludedFile &file) {
  for (std::string_view line : split(file.text, '\n')) {
    line = trim(line);
    constexpr std::string_view kWord = "#define ";
    if (!line.starts_with(kWord)) continue;
    line = trim(line.substr(kWord.size()));
    size_t end = line.find_first_of(" \t(");
    if (end != std::string_view::npos && line[end] != '(') lexer.predefine(line.substr(0, end), trim(line.substr(end)));
  }
}

void add_definitions(Tree &tree, const IncludedFile &file, Sources &sources, Arena &arena, Diagnostics &diagnostics) {
  Lexer lexer(sources, sources.add(file.path, file.text), arena, diagnostics);
  Tree made = parse(lexer, arena, diagnostics);
  if (diagnostics.failed()) return;
  add_before(tree.records, made.records, arena);
  add_before(tree.enums, made.enums, arena);
  add_before(tree.typedefs, made.typedefs, arena);
}

}  // namespace waggle
