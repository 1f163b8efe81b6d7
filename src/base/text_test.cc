#include "base/text.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

TEST(Text, Splits) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), std::vector<std::string_view>{});
  EXPECT_EQ(split("a,", ','), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(trim(" \ta b\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(Text, MatchesShellPatterns) {
  struct Case {
    const char *pattern, *text;
    bool match;
  };
  constexpr Case kCases[] = {
      {"vfs_*", "vfs_read", true},
      {"vfs_*", "xvfs_read", false},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"*a*b*", "xxaxxbxx", true},
      {"*a*b", "ab_a", false},
      {"**", "anything", true},
      {"a*a*a*b", "aaaaaaaaaaaaaaaa", false},
  };
  for (const Case &c : kCases) EXPECT_EQ(glob_match(c.pattern, c.text), c.match) << c.pattern << " " << c.text;
}

TEST(Text, FindsTheNearestName) {
  constexpr std::string_view kNames[] = {"open", "exec", "tcp_close"};
  EXPECT_EQ(nearest("opne", kNames), "open");
  EXPECT_EQ(nearest("opens", kNames), "open");
  EXPECT_EQ(nearest("tcpclose", kNames), "tcp_close");
  EXPECT_EQ(nearest("zzzzzz", kNames), "");
}

TEST(Text, EscapesForJsonAndTerminals) {
  struct Case {
    std::string_view text;
    const char *json, *printable;
  };
  constexpr Case kCases[] = {
      {"plain", R"("plain")", "plain"},
      {"a\"b\\c", R"("a\"b\\c")", "a\"b\\c"},
      {"tab\tnl\n", R"("tab\tnl\n")", "tab\\x09nl\\x0a"},
      {"\x1b[2J", R"("\u001b[2J")", "\\x1b[2J"},
      {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"", "gr\xc3\xbc\xc3\x9f"},
      {"bad\xff\xc0\x80", R"("bad\udcff\udcc0\udc80")", "bad\\xff\\xc0\\x80"},
      {"\xed\xa0\x80", R"("\udced\udca0\udc80")", "\\xed\\xa0\\x80"},
      {"\xc2\x9b", "\"\xc2\x9b\"", "\\xc2\\x9b"},
      {"\xf0\x9f\x90\x9d", "\"\xf0\x9f\x90\x9d\"", "\xf0\x9f\x90\x9d"},
      {"cut\xf0\x9f", R"("cut\udcf0\udc9f")", "cut\\xf0\\x9f"},
  };
  for (const Case &c : kCases) {
    std::string json, printable;
    append_json_string(json, c.text);
    append_printable(printable, c.text);
    EXPECT_EQ(json, c.json);
    EXPECT_EQ(printable, c.printable);
  }
}

}  // namespace
}  // namespace waggle
