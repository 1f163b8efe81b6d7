#include "view/screen_text.h"

#include <gtest/gtest.h>

#include "view/screen_keys.h"

namespace waggle {
namespace {

TEST(ScreenText, MeasuresColumnsNotBytes) {
  struct Case {
    std::string_view text;
    size_t columns;
  };
  constexpr Case kCases[] = {
      {"", 0}, {"abc", 3}, {"Grüße", 5}, {"日本", 4}, {"e\u0301", 1}, {"한글x", 5}, {"🐝", 2}, {"…", 1},
  };
  for (const Case &each : kCases) EXPECT_EQ(columns_of(each.text), each.columns) << each.text;
}

TEST(ScreenText, CutsByColumns) {
  struct Case {
    std::string_view text;
    size_t columns;
    bool keep_end;
    std::string_view shown;
  };
  constexpr Case kCases[] = {
      {"abcdef", 6, false, "abcdef"},
      {"abcdef", 5, false, "abcd…"},
      {"abcdef", 1, false, "…"},
      {"abcdef", 0, false, ""},
      {"/var/lib/mysql/t.ibd", 8, true, "…l/t.ibd"},
      // A wide letter that would cross the edge is left out.
      {"日本語", 4, false, "日…"},
      {"日本語", 5, false, "日本…"},
      {"日本語", 4, true, "…語"},
      // A mark stays with its letter, and goes with it.
      {"ae\u0301bc", 3, false, "ae\u0301…"},
      {"ae\u0301bc", 3, true, "…bc"},
  };
  for (const Case &each : kCases) EXPECT_EQ(cut_to(each.text, each.columns, each.keep_end), each.shown) << each.text;
}

TEST(ScreenText, ShowsNoControlCharacters) {
  struct Case {
    std::string_view text, shown;
  };
  constexpr Case kCases[] = {
      {"plain", "plain"},
      {"a\x1b[2Jb", "a\\x1b[2Jb"},
      {"tab\tnewline\n", "tab\\x09newline\\x0a"},
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"},
      {"\xff", "\\xff"},
      // Right-to-left override: "gpj.exe" would read as "exe.jpg".
      {"a\u202egpj", "a·gpj"},
      {"a\u200bb", "a·b"},
  };
  for (const Case &each : kCases) EXPECT_EQ(printable(each.text), each.shown);
}

TEST(ScreenText, LinesFillExactlyTheirColumns) {
  Line line;
  line.left("ab", 4).right("7", 3, Style::kSevere).put("日本");
  EXPECT_EQ(line.columns(), 11u);
  EXPECT_EQ(line.plain(), "ab    7日本");
  struct Case {
    size_t columns;
    bool colors;
    std::string_view bytes;
  };
  constexpr Case kCases[] = {
      {11, true, "ab    \x1b[1;31m7\x1b[0m日本"},
      {12, false, "ab    \x1b[1;7m7\x1b[0m日本 "},
      {10, false, "ab    \x1b[1;7m7\x1b[0m日 "},
      {3, false, "ab "},
  };
  for (const Case &each : kCases) {
    std::string out;
    line.append_screen(out, each.columns, each.colors);
    EXPECT_EQ(out, each.bytes);
  }
}

TEST(ScreenText, FramesWriteOnlyWhatChanged) {
  Line a, b, c;
  a.put("aa"), b.put("bb"), c.put("cc");
  EXPECT_EQ(frame_bytes({}, {a, b}, 2, 3, false), "\x1b[0m\x1b[2J\x1b[1;1Haa \x1b[2;1Hbb ");
  EXPECT_EQ(frame_bytes({a, b}, {a, b}, 2, 3, false), "");
  EXPECT_EQ(frame_bytes({a, b}, {a, c}, 2, 3, false), "\x1b[2;1Hcc ");
  // A line that is gone is blanked; one below the terminal's last is not written.
  EXPECT_EQ(frame_bytes({a, b}, {a}, 2, 3, false), "\x1b[2;1H   ");
  EXPECT_EQ(frame_bytes({a, b}, {a, b, c}, 2, 3, false), "");
}

std::string names_of(const std::vector<Key> &keys) {
  static constexpr std::string_view kNames[] = {"letter", "Escape", "Enter", "Tab",    "BackTab",  "Backspace", "Up",
                                                "Down",   "Left",   "Right", "PageUp", "PageDown", "Home",      "End"};
  std::string names;
  for (const Key &key : keys) {
    if (!names.empty()) names += ' ';
    if (key.name == Key::Name::kLetter)
      names += key.letter;
    else
      names += kNames[static_cast<size_t>(key.name)];
  }
  return names;
}

TEST(ScreenKeys, AreDecoded) {
  struct Case {
    std::string_view bytes, keys;
  };
  constexpr Case kCases[] = {
      {"q?1+", "q ? 1 +"},
      {"\r\n\t\x7f\b", "Enter Enter Tab Backspace Backspace"},
      {"\x1b[A\x1b[B\x1b[C\x1b[D", "Up Down Right Left"},
      {"\x1bOA\x1bOB\x1bOH\x1bOF", "Up Down Home End"},
      {"\x1b[5~\x1b[6~\x1b[1~\x1b[Z", "PageUp PageDown Home BackTab"},
      // Unknown sequences and Alt-letters are no keys, and take nothing with them.
      {"\x1b[200~q\x1b[1;5Cq\x1bxq", "q q q"},
      {"\x1b\x1b[A", "Escape Up"},
      // Beyond ASCII, and control characters: nothing.
      {"\x01\x1a\xc3\xa4", ""},
  };
  for (const Case &each : kCases) {
    KeyDecoder decoder;
    EXPECT_EQ(names_of(decoder.feed(each.bytes)), each.keys);
    // The same, byte by byte.
    KeyDecoder slow;
    std::vector<Key> keys;
    for (char byte : each.bytes)
      for (const Key &key : slow.feed(std::string_view(&byte, 1))) keys.push_back(key);
    EXPECT_EQ(names_of(keys), each.keys);
  }
}

TEST(ScreenKeys, EscapeIsAKeyWhenNothingFollows) {
  KeyDecoder decoder;
  EXPECT_TRUE(decoder.feed("\x1b").empty());
  EXPECT_TRUE(decoder.undecided());
  EXPECT_EQ(names_of(decoder.settle()), "Escape");
  EXPECT_FALSE(decoder.undecided());
  // A sequence that broke off is none.
  EXPECT_TRUE(decoder.feed("\x1b[1").empty());
  EXPECT_TRUE(decoder.settle().empty());
  // One without an end is given up, and what follows it is read again.
  EXPECT_TRUE(decoder.feed("\x1b[" + std::string(40, '1')).size() <= 40);
  EXPECT_FALSE(decoder.undecided());
}

}  // namespace
}  // namespace waggle
