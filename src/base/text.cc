#include "base/text.h"

#include <algorithm>

namespace waggle {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Bytes of the UTF-8 character at the start of text; 0 when it is not one (RFC 3629 §4).
size_t utf8_length(std::string_view text) {
  auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if ((lead & 0xf0) == 0xe0) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xe0 && at(1) < 0xa0) return 0;   // overlong
    if (lead == 0xed && at(1) >= 0xa0) return 0;  // surrogate
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xf0 && at(1) < 0x90) return 0;
    if (lead == 0xf4 && at(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

// Length of the front of text that needs no escape in JSON and is plain ASCII.
size_t plain_length(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') break;
    i++;
  }
  return i;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  while (true) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool glob_match(std::string_view pattern, std::string_view text) {
  return glob_match(pattern, text, [](std::string_view rest, char c) -> size_t {
    return !rest.empty() && (rest[0] == '?' || rest[0] == c) ? 1 : 0;
  });
}

bool glob_match(std::string_view pattern, std::string_view text,
                size_t (*match_one)(std::string_view pattern, char c)) {
  // The last star seen is the only one worth going back to.
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (size_t taken = match_one(pattern.substr(p), text[t]); taken > 0) {
      p += taken;
      t++;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  size_t best_distance = word.size() / 3 + 1;
  for (std::string_view candidate : candidates) {
    // Levenshtein's distance, one row at a time.
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t i = 0; i < row.size(); i++) row[i] = i;
    for (size_t i = 0; i < word.size(); i++) {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 0; j < candidate.size(); j++) {
        size_t change = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance || (row.back() == best_distance && best.empty())) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

void append_json_string(std::string &out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    auto c = static_cast<unsigned char>(text[0]);
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else if (size_t utf8 = utf8_length(text)) {
      out.append(text.substr(0, utf8));
      length = utf8;
    } else {
      out += "\\udc";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void append_printable(std::string &out, std::string_view text) {
  while (!text.empty()) {
    auto c = static_cast<unsigned char>(text[0]);
    size_t length = c < 0x20 || c == 0x7f ? 0 : utf8_length(text);
    // U+0080 to U+009F are control characters too (CSI is one of them).
    if (length == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0) length = 0;
    if (length > 0) {
      out.append(text.substr(0, length));
    } else {
      length = 1;
      out += "\\x";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
    text.remove_prefix(length);
  }
}

}  // namespace waggle
