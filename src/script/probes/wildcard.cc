#include "base/text.h"
#include "script/probes/attach_point.h"

namespace waggle::script {
namespace {

// The length of the bracket expression that `pattern` begins with; 0: it is none.
size_t bracket_length(std::string_view pattern) {
  size_t first = pattern.size() > 1 && pattern[1] == '!' ? 2 : 1;
  size_t end = pattern.find(']', first);
  return end == std::string_view::npos || end == first ? 0 : end + 1;
}

bool bracket_holds(std::string_view bracket, char c) {
  std::string_view set = bracket.substr(1, bracket.size() - 2);
  bool inverted = set.front() == '!';
  if (inverted) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); i++) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found |= set[i] <= c && c <= set[i + 2];
      i += 2;
    } else {
      found |= set[i] == c;
    }
  }
  return found != inverted;
}

// How many bytes of the pattern the character takes; 0: it does not match.
size_t match_one(std::string_view pattern, char c) {
  if (pattern.empty()) return 0;
  if (pattern[0] == '[') {
    if (size_t length = bracket_length(pattern)) return bracket_holds(pattern.substr(0, length), c) ? length : 0;
  }
  return pattern[0] == '?' || pattern[0] == c ? 1 : 0;
}

}  // namespace

bool has_wildcard(std::string_view text) {
  for (size_t i = 0; i < text.size(); i++)
    if (text[i] == '*' || text[i] == '?' || (text[i] == '[' && bracket_length(text.substr(i)) > 0)) return true;
  return false;
}

bool wildcard_match(std::string_view pattern, std::string_view text) {
  return glob_match(pattern, text, match_one);
}

std::string wider_glob(std::string_view pattern) {
  std::string glob;
  for (size_t i = 0; i < pattern.size(); i++) {
    size_t length = pattern[i] == '[' ? bracket_length(pattern.substr(i)) : 0;
    glob += length > 0 ? '?' : pattern[i];
    if (length > 0) i += length - 1;
  }
  return glob;
}

}  // namespace waggle::script
