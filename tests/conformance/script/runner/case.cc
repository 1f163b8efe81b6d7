#include "case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include "base/fd.h"
#include "base/text.h"

namespace waggle::conformance {
namespace {

using Set = std::function<void(Case &, const std::string &)>;

Set expects(Expectation::Kind kind) {
  return [kind](Case &made, const std::string &text) { made.expectations.push_back({kind, text}); };
}
Set appends(std::vector<std::string> Case::*list) {
  return [list](Case &made, const std::string &text) { (made.*list).push_back(text); };
}
Set appends_words(std::vector<std::string> Case::*list) {
  return [list](Case &made, const std::string &text) {
    for (std::string_view word : split(text, ' '))
      if (!trim(word).empty()) (made.*list).emplace_back(trim(word));
  };
}
Set sets(std::string Case::*text_of) {
  return [text_of](Case &made, const std::string &text) { made.*text_of = text; };
}

const std::map<std::string, Set, std::less<>> &fields() {
  static const std::map<std::string, Set, std::less<>> kFields = {
      {"PROG", sets(&Case::program)},
      {"RUN", sets(&Case::run)},
      {"ARG", sets(&Case::arguments)},
      {"ARGS", sets(&Case::arguments)},
      {"EXPECT", expects(Expectation::Kind::kText)},
      {"EXPECT_NONE", expects(Expectation::Kind::kNoText)},
      {"EXPECT_REGEX", expects(Expectation::Kind::kRegex)},
      {"EXPECT_REGEX_NONE", expects(Expectation::Kind::kNoRegex)},
      {"EXPECT_FILE", expects(Expectation::Kind::kFile)},
      {"EXPECT_JSON", expects(Expectation::Kind::kJson)},
      {"SETUP", appends(&Case::setup)},
      {"CLEANUP", appends(&Case::cleanup)},
      {"BEFORE", appends(&Case::before)},
      {"AFTER", appends(&Case::after)},
      {"ENV", appends_words(&Case::environment)},
      {"ARCH", sets(&Case::architectures)},
      {"MIN_KERNEL", sets(&Case::least_kernel)},
      {"MAX_KERNEL", sets(&Case::most_kernel)},
      {"REQUIRES", appends(&Case::required)},
      {"REQUIRES_FEATURE", appends_words(&Case::features)},
      {"SKIP_IF_ENV_HAS", appends(&Case::excluded_environment)},
      {"WILL_FAIL", [](Case &made, const std::string &) { made.will_fail = true; }},
      {"NEW_PIDNS", [](Case &made, const std::string &) { made.in_pid_namespace = true; }},
      {"RETURN_CODE", [](Case &made, const std::string &text) { made.status = atoi(text.c_str()); }},
      {"TIMEOUT",
       [](Case &made, const std::string &text) { made.limit = std::chrono::seconds(std::max(1, atoi(text.c_str()))); }},
  };
  return kFields;
}

struct Item {
  std::string word, text;
  size_t line;
};

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::vector<Item> items_of(std::string_view text) {
  std::vector<Item> items;
  size_t number = 0, blanks = 0;
  for (std::string_view line : split(text, '\n')) {
    number++;
    if (trim(line).empty()) {
      blanks++;
      continue;
    }
    if (is_space(line[0]) && !items.empty()) {
      // As deep as the text of the line above; what is deeper is the text's own.
      size_t deep = 0;
      while (deep < items.back().word.size() + 1 && deep < line.size() && is_space(line[deep])) deep++;
      items.back().text += std::string(blanks + 1, '\n') + std::string(line.substr(deep));
    } else if (line[0] != '#') {
      size_t end = line.find_first_of(" \t");
      std::string_view word = line.substr(0, end);
      std::string_view rest = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
      items.push_back({std::string(word), std::string(rest), number});
    }
    blanks = 0;
  }
  return items;
}

}  // namespace

Result<std::vector<Case>> read_cases(const std::string &path) {
  std::string text = TRY(read_file(path));
  std::string suite = path.substr(path.rfind('/') + 1);
  std::vector<Case> cases;
  std::set<std::string> names;
  auto bad = [&](size_t line, std::string why) {
    return fail(ErrorCode::kInvalid, fmt::format("{}:{} is no case", path, line), std::move(why));
  };
  for (const Item &item : items_of(text)) {
    if (item.word == "NAME") {
      Case made;
      made.suite = suite;
      made.name = trim(item.text);
      made.line = item.line;
      if (!names.insert(made.name).second) return bad(item.line, fmt::format("'{}' is the name of two", made.name));
      cases.push_back(std::move(made));
      continue;
    }
    auto field = fields().find(item.word);
    if (field == fields().end()) return bad(item.line, fmt::format("'{}' is no word of a case", item.word));
    if (cases.empty()) return bad(item.line, "a case begins with NAME");
    // What programs expect is compared as it stands; the blanks that align it are not part of it.
    field->second(cases.back(), item.text.substr(std::min(item.text.find_first_not_of(' '), item.text.size())));
  }
  for (const Case &each : cases) {
    if (each.program.empty() == each.run.empty()) return bad(each.line, "a case has either PROG or RUN");
    bool ends_itself = each.will_fail || each.status.has_value();
    if (each.expectations.empty() && !ends_itself) return bad(each.line, "a case without EXPECT proves nothing");
  }
  return cases;
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace waggle::conformance
