// Cursors over the text of /proc files: lines of a file, fields of a line. They
// never read past the text, never allocate and take any bytes at all; what is
// missing or malformed is a false return, and the parser says what it means.
#pragma once

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>

namespace waggle::procfs {

// The whole of `text` as a number; false for anything left over or out of range.
template <typename T>
bool to_number(std::string_view text, T &value, int base = 10) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

inline bool to_real(std::string_view text, double &value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

// Takes the text up to the separator off the front of `rest`; all of it when there is none.
inline std::string_view take_until(std::string_view &rest, char separator) {
  size_t at = rest.find(separator);
  std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

// Calls visit(line) for every line; stops early, returning false, when it returns false.
template <typename Visit>
bool each_line(std::string_view text, Visit visit) {
  while (!text.empty())
    if (!visit(take_until(text, '\n'))) return false;
  return true;
}

// Fields divided by runs of blanks and tabs.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  std::string_view word() {
    skip_blanks();
    size_t length = rest_.find_first_of(" \t");
    if (length == std::string_view::npos) length = rest_.size();
    std::string_view found = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return found;
  }
  template <typename T>
  bool number(T &value, int base = 10) {
    return to_number(word(), value, base);
  }
  bool skip(int count) {
    for (; count > 0; --count)
      if (word().empty()) return false;
    return true;
  }
  // What is left, without the blanks before it.
  std::string_view rest() {
    skip_blanks();
    return rest_;
  }

 private:
  void skip_blanks() {
    size_t blanks = rest_.find_first_not_of(" \t");
    rest_.remove_prefix(blanks == std::string_view::npos ? rest_.size() : blanks);
  }
  std::string_view rest_;
};

// Undoes the \ooo escapes that seq_file writes for blanks, tabs, line ends and backslashes.
inline std::string unescape_octal(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() && to_number(text.substr(i + 1, 3), value, 8) && value < 256) {
      plain += static_cast<char>(value);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace waggle::procfs
