// What a case expects of what was printed.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/fd.h"
#include "base/text.h"
#include "case.h"

namespace waggle::conformance {
namespace {

using nlohmann::json;

std::string unmet_regex(const std::string &text, const std::string &output, bool wanted) {
  try {
    std::regex expression(text, std::regex::ECMAScript | std::regex::multiline);
    if (std::regex_search(output, expression) == wanted) return {};
  } catch (const std::regex_error &error) {
    return fmt::format("the expression /{}/ is wrong: {}", text, error.what());
  }
  return fmt::format("{} /{}/", wanted ? "nothing matches" : "something matches", text);
}

std::string unmet_json(const std::string &expected, const std::string &output) {
  std::vector<json> printed;
  for (std::string_view line : split(output, '\n')) {
    json value = json::parse(line, nullptr, false);
    if (!value.is_discarded()) printed.push_back(std::move(value));
  }
  for (std::string_view line : split(expected, '\n')) {
    if (trim(line).empty()) continue;
    json value = json::parse(line, nullptr, false);
    if (value.is_discarded()) return fmt::format("the case expects what is no JSON: {}", line);
    if (std::find(printed.begin(), printed.end(), value) == printed.end())
      return fmt::format("no line equals {}", line);
  }
  return {};
}

std::string file_text(const std::string &path, const std::string &data) {
  // Upstream's paths are from its own folder; ours are "data/…".
  for (const std::string &each : {data + "/../" + path, path})
    if (Result<std::string> text = read_file(each)) return *text;
  return {};
}

std::string_view without_last_newlines(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

std::string unmet_one(const Expectation &expectation, const std::string &text, const std::string &output,
                      const std::string &data) {
  switch (expectation.kind) {
    case Expectation::Kind::kText:
      if (output.find(text) != std::string::npos) return {};
      return fmt::format("there is no \"{}\"", text);
    case Expectation::Kind::kNoText:
      if (output.find(text) == std::string::npos) return {};
      return fmt::format("there is \"{}\"", text);
    case Expectation::Kind::kRegex:
    case Expectation::Kind::kNoRegex:
      return unmet_regex(text, output, expectation.kind == Expectation::Kind::kRegex);
    case Expectation::Kind::kFile: {
      std::string content = file_text(text, data);
      if (content.empty()) return fmt::format("there is no file {}", text);
      if (output.find(without_last_newlines(content)) != std::string::npos) return {};
      return fmt::format("there is not what {} has", text);
    }
    case Expectation::Kind::kJson: {
      bool is_file = !text.starts_with('{') && !text.starts_with('[');
      return unmet_json(is_file ? file_text(text, data) : text, output);
    }
  }
  return "an expectation of no kind";
}

}  // namespace

std::string unmet(const Case &made, const std::string &output, const std::string &data, const std::string &before_pid) {
  for (const Expectation &each : made.expectations) {
    std::string text = replace_all(each.text, "{{BEFORE_PID}}", before_pid);
    if (std::string problem = unmet_one(each, text, output, data); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace waggle::conformance
