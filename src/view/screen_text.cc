#include "view/screen_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace waggle {
namespace {

struct LetterRange {
  char32_t first, last;
};

// Marks that are drawn over the letter before them, and letters without a width.
// source: Unicode 15, general categories Mn and Me of the scripts terminals draw
constexpr LetterRange kZeroWidth[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0900, 0x0902},
    {0x093c, 0x093c}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x20d0, 0x20f0}, {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};
// source: Unicode 15, EastAsianWidth.txt, W and F
constexpr LetterRange kWide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe},
    {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26a1, 0x26a1},   {0x2705, 0x2705},   {0x274c, 0x274c},
    {0x2795, 0x2797},   {0x2b1b, 0x2b1c},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x2fffd}, {0x30000, 0x3fffd},
};
// Letters that hide themselves or turn the direction of what follows: a name that
// holds one reads as another name.
constexpr LetterRange kDeceiving[] = {
    {0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x180e, 0x180e}, {0x200b, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f},
};

template <size_t N>
bool within(char32_t letter, const LetterRange (&ranges)[N]) {
  auto after = std::upper_bound(std::begin(ranges), std::end(ranges), letter,
                                [](char32_t value, const LetterRange &range) { return value < range.first; });
  return after != std::begin(ranges) && letter <= std::prev(after)->last;
}

// The code point at the front of valid UTF-8, and how many bytes it takes.
struct Letter {
  char32_t value;
  size_t bytes;
};
Letter first_letter(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  bytes = std::min(bytes, text.size());
  char32_t value = bytes == 1 ? lead : lead & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; i++) value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return {value, bytes};
}

// Bytes of the longest beginning that takes at most `columns`.
size_t bytes_within(std::string_view text, size_t columns) {
  size_t bytes = 0, used = 0;
  while (bytes < text.size()) {
    Letter letter = first_letter(text.substr(bytes));
    used += columns_of(letter.value);
    if (used > columns) break;
    bytes += letter.bytes;
  }
  return bytes;
}

// The longest end that takes at most `columns`.
std::string_view end_within(std::string_view text, size_t columns) {
  size_t excess = columns_of(text) - columns;
  size_t bytes = 0, passed = 0;
  while (bytes < text.size()) {
    Letter letter = first_letter(text.substr(bytes));
    // Marks belong to the letter before them, which is cut off.
    if (passed >= excess && columns_of(letter.value) > 0) break;
    passed += columns_of(letter.value);
    bytes += letter.bytes;
  }
  return text.substr(bytes);
}

std::string_view sgr(Style style, bool colors) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kFocus:
      return "\x1b[1;7m";
    case Style::kWarning:
      // Yellow cannot be read on white, nor blue on black.
      return colors ? "\x1b[1;35m" : "\x1b[1m";
    case Style::kSevere:
      return colors ? "\x1b[1;31m" : "\x1b[1;7m";
  }
  return "";
}

constexpr std::string_view kPlainAgain = "\x1b[0m";
constexpr std::string_view kEllipsis = "…";

}  // namespace

size_t columns_of(char32_t letter) {
  if (letter < 0x300) return 1;
  if (within(letter, kZeroWidth)) return 0;
  return within(letter, kWide) ? 2 : 1;
}

std::string printable(std::string_view text) {
  std::string safe;
  append_printable(safe, text);
  bool ascii = std::all_of(safe.begin(), safe.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return safe;
  std::string shown;
  for (std::string_view left = safe; !left.empty();) {
    Letter letter = first_letter(left);
    if (within(letter.value, kDeceiving))
      shown += "·";
    else
      shown += left.substr(0, letter.bytes);
    left.remove_prefix(letter.bytes);
  }
  return shown;
}

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    Letter letter = first_letter(text);
    columns += columns_of(letter.value);
    text.remove_prefix(letter.bytes);
  }
  return columns;
}

std::string cut_to(std::string_view text, size_t columns, bool keep_end) {
  if (columns_of(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  if (keep_end) return std::string(kEllipsis) + std::string(end_within(text, columns - 1));
  return std::string(text.substr(0, bytes_within(text, columns - 1))) + std::string(kEllipsis);
}

void Line::append(std::string text, size_t columns, Style style) {
  if (text.empty()) return;
  columns_ += columns;
  if (!spans_.empty() && spans_.back().style == style)
    spans_.back().text += text;
  else
    spans_.push_back({std::move(text), style});
}

Line &Line::put(std::string_view text, Style style) {
  std::string safe = printable(text);
  size_t columns = columns_of(safe);
  append(std::move(safe), columns, style);
  return *this;
}

Line &Line::left(std::string_view text, size_t columns, Style style, bool keep_end) {
  std::string shown = cut_to(printable(text), columns, keep_end);
  size_t used = columns_of(shown);
  append(std::move(shown), used, style);
  append(std::string(columns - used, ' '), columns - used, Style::kPlain);
  return *this;
}

Line &Line::right(std::string_view text, size_t columns, Style style) {
  std::string shown = cut_to(printable(text), columns);
  size_t used = columns_of(shown);
  append(std::string(columns - used, ' '), columns - used, Style::kPlain);
  append(std::move(shown), used, style);
  return *this;
}

Line &Line::to(size_t column) {
  if (column > columns_) append(std::string(column - columns_, ' '), column - columns_, Style::kPlain);
  return *this;
}

void Line::append_screen(std::string &out, size_t columns, bool colors) const {
  size_t left = columns;
  for (const Span &span : spans_) {
    std::string_view text = span.text;
    text = text.substr(0, bytes_within(text, left));
    std::string_view look = sgr(span.style, colors);
    out += look;
    out += text;
    if (!look.empty()) out += kPlainAgain;
    left -= columns_of(text);
    if (text.size() < span.text.size()) break;
  }
  out.append(left, ' ');
}

std::string Line::plain(size_t columns) const {
  std::string text;
  for (const Span &span : spans_) text += span.text;
  text.resize(bytes_within(text, columns));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string frame_bytes(const std::vector<Line> &before, const std::vector<Line> &after, size_t rows, size_t columns,
                        bool colors) {
  std::string out;
  if (before.empty()) out += "\x1b[0m\x1b[2J";
  size_t lines = std::min(rows, std::max(before.size(), after.size()));
  for (size_t i = 0; i < lines; i++) {
    const Line blank;
    const Line &now = i < after.size() ? after[i] : blank;
    if (!before.empty() && now == (i < before.size() ? before[i] : blank)) continue;
    fmt::format_to(std::back_inserter(out), "\x1b[{};1H", i + 1);
    // Lines are filled up with blanks: erasing to the end of the line instead
    // would take the last letter of a full one, where the cursor rests.
    now.append_screen(out, columns, colors);
  }
  return out;
}

}  // namespace waggle
