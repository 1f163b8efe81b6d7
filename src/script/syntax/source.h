// Texts that a script is made of, places in them, and what is wrong there.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::script {

// Bytes begin..end of one text.
struct Location {
  uint32_t source = 0;
  uint32_t begin = 0, end = 0;

  // From here to the end of `last`, which is of the same text or is left out.
  Location to(const Location &last) const {
    return {source, begin, last.source == source && last.end > begin ? last.end : end};
  }
};

struct LineColumn {
  uint32_t line = 1, column = 1;  // from 1; columns are bytes
};

struct Source {
  std::string name;  // "stdin", a file's path, "-e"
  std::string text;
  std::vector<uint32_t> lines;  // where each begins

  LineColumn place(uint32_t at) const;
  std::string_view line(uint32_t number) const;  // without its end; from 1
};

class Sources {
 public:
  // A script of more is refused where it is read.
  static constexpr size_t kBytesMost = 16u << 20;

  // returns  its number in Location. The text stays at its place.
  uint32_t add(std::string name, std::string text);
  const Source &at(uint32_t number) const { return all_[number]; }
  std::string_view text(const Location &at) const {
    return std::string_view(all_[at.source].text).substr(at.begin, at.end - at.begin);
  }

 private:
  std::deque<Source> all_;
};

enum class Severity : uint8_t { kError, kWarning };

struct Diagnostic {
  Severity severity = Severity::kError;
  Location at;
  std::string message;
  std::vector<std::string> hints;  // each a line of its own
};

// What was found, in the order of the text once it is printed.
class Diagnostics {
 public:
  // Nobody reads more.
  static constexpr size_t kErrorsMost = 50;

  // Adds one, unless the same was said of the same place. The answer takes hints.
  Diagnostic &error(const Location &at, std::string message) { return add(Severity::kError, at, std::move(message)); }
  Diagnostic &warning(const Location &at, std::string message) {
    return add(Severity::kWarning, at, std::move(message));
  }
  bool failed() const { return errors_ > 0; }
  bool full() const { return errors_ >= kErrorsMost; }
  const std::vector<Diagnostic> &all() const { return all_; }

  // As bpftrace prints them:
  //   stdin:1:9-12: ERROR: Unknown function: 'foo'
  //   begin { foo() }
  //           ~~~
  std::string text(const Sources &sources) const;

 private:
  Diagnostic &add(Severity severity, const Location &at, std::string message);

  std::vector<Diagnostic> all_;
  size_t errors_ = 0;
};

}  // namespace waggle::script
