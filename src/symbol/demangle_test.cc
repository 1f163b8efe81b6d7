#include "symbol/demangle.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

TEST(Demangle, Names) {
  struct Case {
    std::string_view name, expected;
  };
  constexpr Case kCases[] = {
      // Names that are not mangled stay.
      {"", ""},
      {"main", "main"},
      {"_start", "_start"},
      {"_Z", "_Z"},
      {"_ZN", "_ZN"},
      {"_ZNotReally", "_ZNotReally"},
      {"_R", "_R"},
      {"_RINVALID!", "_RINVALID!"},
      {"?bar@foo@@YAXXZ", "?bar@foo@@YAXXZ"},
      // C++
      {"_ZN3foo3barEi", "foo::bar(int)"},
      {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back(int const&)"},
      {"_ZNK6waggle5Error4textB5cxx11Ev", "waggle::Error::text[abi:cxx11]() const"},
      {"_Z3runv.cold", "run() [clone .cold]"},
      {"_Z3runi.constprop.0", "run(int) [clone .constprop.0]"},
      {"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"},
      // Rust, legacy: the hash is left out.
      {"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"},
      {"_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
       "<alloc::string::String as core::fmt::Display>::fmt"},
      // Rust, v0
      {"_RNvC6_123foo3bar", "123foo::bar"},
      {"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
      {"_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>"},
  };
  for (const Case &c : kCases) EXPECT_EQ(demangle(c.name), c.expected);
}

TEST(Demangle, BoundsItsInput) {
  // libiberty itself takes no C++ names of more than 1 KiB.
  std::string name = "_Z2000" + std::string(2000, 'x') + "v";
  EXPECT_EQ(demangle(name), name);
  name = "_Z" + std::to_string(kMangledBytesMost) + std::string(kMangledBytesMost, 'x') + "v";
  EXPECT_EQ(demangle(name), name);
  EXPECT_EQ(demangle(std::string_view("_Z3foov\0i", 9)), std::string_view("_Z3foov\0i", 9));
}

// Every parameter is a function of the one before, twice: 1 KiB for 2^100 bytes.
TEST(Demangle, BoundsItsOutput) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string name = "_Z1f1X";
  for (size_t i = 0; i < 80; i++) {
    // Parameter i is substitution 2i, which is written as one less in base 36.
    std::string number;
    if (size_t index = 2 * i; index > 0) {
      index--;
      if (index >= 36) number += kDigits[index / 36];
      number += kDigits[index % 36];
    }
    name += "PFvS" + number + "_S" + number + "_E";
  }
  ASSERT_LT(name.size(), 1024u);
  std::string text = demangle(name);
  EXPECT_EQ(text.size(), kDemangledBytesMost);
  EXPECT_TRUE(text.starts_with("f(X, void (*)(X, X), void (*)(void (*)(X, X), void (*)(X, X)), "));
  EXPECT_TRUE(text.ends_with("..."));
  EXPECT_EQ(demangle("_Z1fi"), "f(int)");  // nothing is left of the one before

  // The same for Rust: tuples of the one before, twice.
  std::string rust = "_RINvC1a1b";
  rust += "TuuE";
  size_t before = 10;
  for (int i = 0; i < 60; i++) {
    auto back = [&] {
      // "B" and where it points at, counted from behind "_R", in base 62.
      size_t at = before - 2;
      std::string number;
      if (at > 0) {
        at--;
        do {
          size_t digit = at % 62;
          char letter = static_cast<char>(digit < 10   ? '0' + digit
                                          : digit < 36 ? 'a' + (digit - 10)
                                                       : 'A' + (digit - 36));
          number.insert(number.begin(), letter);
          at /= 62;
        } while (at > 0);
      }
      return "B" + number + "_";
    };
    size_t start = rust.size();
    rust += "T" + back() + back() + "E";
    before = start;
  }
  rust += "E";
  text = demangle(rust);
  EXPECT_EQ(text.size(), kDemangledBytesMost);
  EXPECT_TRUE(text.starts_with("a::b::<((), ()), (((), ()), ((), ())), ")) << text.substr(0, 80);
  EXPECT_TRUE(text.ends_with("..."));
}

}  // namespace
}  // namespace waggle
