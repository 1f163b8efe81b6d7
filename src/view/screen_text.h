// Lines of a full-screen view, in columns of a terminal: what is put on one is
// made printable, measured and cut by the columns it takes, never by its bytes,
// so that no name can move the cursor or push its neighbour aside.
// Pure: no terminal is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace waggle {

// What a piece of text is, not how it looks: that depends on the terminal.
// Colours are those that can be read on dark and on light grounds alike; without
// colours, bold and reverse say the same.
enum class Style : uint8_t {
  kPlain,
  kDim,      // labels, units, what can be skipped
  kBold,     // headings
  kFocus,    // the heading that keys act on
  kWarning,  // worth a look
  kSevere,   // saturated, failing or lost
};

// The columns a code point takes: 0 for combining marks, 2 for wide letters.
size_t columns_of(char32_t letter);

// Text as a terminal may show it: control characters and broken UTF-8 as \xNN,
// and marks that reorder or hide text (U+202E and the like) as a dot.
std::string printable(std::string_view text);

// The columns of a printable text.
size_t columns_of(std::string_view text);

// The text if it fits into `columns`, else its beginning and "…"; with
// `keep_end`, "…" and its end: the end of a path says more than its beginning.
std::string cut_to(std::string_view text, size_t columns, bool keep_end = false);

class Line {
 public:
  // Appends a text, made printable.
  Line &put(std::string_view text, Style style = Style::kPlain);
  // The same in exactly `columns` columns: cut, or filled up with blanks.
  Line &left(std::string_view text, size_t columns, Style style = Style::kPlain, bool keep_end = false);
  Line &right(std::string_view text, size_t columns, Style style = Style::kPlain);
  // Blanks up to this column; nothing when the line is there already.
  Line &to(size_t column);

  size_t columns() const { return columns_; }
  bool empty() const { return spans_.empty(); }

  // Appends the line in exactly `columns` columns, with SGR sequences.
  void append_screen(std::string &out, size_t columns, bool colors) const;
  // The line as plain text, at most `columns` columns, without blanks at its end.
  std::string plain(size_t columns = SIZE_MAX) const;

  bool operator==(const Line &) const = default;

 private:
  struct Span {
    std::string text;
    Style style;
    bool operator==(const Span &) const = default;
  };
  void append(std::string text, size_t columns, Style style);

  std::vector<Span> spans_;
  size_t columns_ = 0;
};

// The bytes that turn the picture `before` into `after` on a terminal of this
// size. Lines beyond it are left out; an empty `before` means that nothing is
// known of the terminal, which is then cleared first.
std::string frame_bytes(const std::vector<Line> &before, const std::vector<Line> &after, size_t rows, size_t columns,
                        bool colors);

}  // namespace waggle
