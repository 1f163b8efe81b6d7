#include "script/syntax/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace waggle::script {

LineColumn Source::place(uint32_t at) const {
  auto after = std::upper_bound(lines.begin(), lines.end(), at);
  auto line = static_cast<uint32_t>(after - lines.begin());
  return {line, at - lines[line - 1] + 1};
}

std::string_view Source::line(uint32_t number) const {
  std::string_view rest = std::string_view(text).substr(lines[number - 1]);
  return rest.substr(0, rest.find('\n'));
}

uint32_t Sources::add(std::string name, std::string text) {
  CHECK(text.size() <= kBytesMost);
  Source &source = all_.emplace_back();
  source.name = std::move(name);
  source.text = std::move(text);
  source.lines.push_back(0);
  for (uint32_t i = 0; i < source.text.size(); i++)
    if (source.text[i] == '\n') source.lines.push_back(i + 1);
  return static_cast<uint32_t>(all_.size() - 1);
}

Diagnostic &Diagnostics::add(Severity severity, const Location &at, std::string message) {
  auto same = std::find_if(all_.begin(), all_.end(), [&](const Diagnostic &each) {
    return each.at.source == at.source && each.at.begin == at.begin && each.message == message;
  });
  if (same != all_.end()) return *same;
  errors_ += severity == Severity::kError ? 1 : 0;
  return all_.emplace_back(Diagnostic{severity, at, std::move(message), {}});
}

std::string Diagnostics::text(const Sources &sources) const {
  std::vector<const Diagnostic *> ordered;
  ordered.reserve(all_.size());
  for (const Diagnostic &each : all_) ordered.push_back(&each);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Diagnostic *a, const Diagnostic *b) {
    return std::pair(a->at.source, a->at.begin) < std::pair(b->at.source, b->at.begin);
  });
  std::string text;
  auto out = std::back_inserter(text);
  for (const Diagnostic *each : ordered) {
    const Source &source = sources.at(each->at.source);
    LineColumn begin = source.place(each->at.begin), end = source.place(each->at.end);
    const char *word = each->severity == Severity::kError ? "ERROR" : "WARNING";
    if (begin.line != end.line) {
      fmt::format_to(out, "{}:{}-{}: {}: {}\n", source.name, begin.line, end.line, word, each->message);
    } else {
      fmt::format_to(out, "{}:{}:{}-{}: {}: {}\n", source.name, begin.line, begin.column, end.column, word,
                     each->message);
      // Tabs stay tabs, so that the marks stand under what they mark.
      std::string_view line = source.line(begin.line);
      std::string indent(line.substr(0, begin.column - 1));
      std::replace_if(
          indent.begin(), indent.end(), [](char c) { return c != '\t'; }, ' ');
      fmt::format_to(out, "{}\n{}{:~<{}}\n", line, indent, "", std::max(end.column - begin.column, 1u));
    }
    for (const std::string &hint : each->hints) fmt::format_to(out, "HINT: {}\n", hint);
  }
  return text;
}

}  // namespace waggle::script
