#include "base/quantity.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

TEST(Quantity, ParsesDurations) {
  struct Case {
    const char *text;
    uint64_t ns;
    const char *error;
  };
  constexpr Case kCases[] = {
      {"250ns", 250, ""},
      {"10us", 10'000, ""},
      {"10µs", 10'000, ""},
      {"1.5s", 1'500'000'000, ""},
      {"2m", 120'000'000'000, ""},
      {"1h", 3'600'000'000'000, ""},
      {"10", 10'000'000, ""},  // bare numbers are milliseconds here
      {"", 0, "bad duration ''"},
      {"ms", 0, "bad duration 'ms'"},
      {"-5ms", 0, "bad duration '-5ms'"},
      {"5 parsecs", 0, "bad duration '5 parsecs'"},
      {"1e300s", 0, "bad duration '1e300s'"},
      {"nan", 0, "bad duration 'nan'"},
  };
  for (const Case &c : kCases) {
    Result<uint64_t> got = parse_duration_ns(c.text, 1'000'000);
    EXPECT_EQ(got ? "" : got.error().what, c.error) << c.text;
    if (got) {
      EXPECT_EQ(*got, c.ns) << c.text;
    }
  }
}

TEST(Quantity, ParsesSizes) {
  struct Case {
    const char *text;
    uint64_t bytes;
    bool good;
  };
  constexpr Case kCases[] = {{"512", 512, true},         {"4KiB", 4096, true},  {"4k", 4096, true},
                             {"10MB", 10'000'000, true}, {"1G", 1 << 30, true}, {"4 KiB", 0, false},
                             {"KiB", 0, false},          {"1EB", 0, false}};
  for (const Case &c : kCases) {
    Result<uint64_t> got = parse_bytes(c.text);
    EXPECT_EQ(got.has_value(), c.good) << c.text;
    if (got) {
      EXPECT_EQ(*got, c.bytes) << c.text;
    }
  }
}

TEST(Quantity, ParsesIntegers) {
  EXPECT_EQ(parse_integer("42").value_or(0), 42);
  EXPECT_EQ(parse_integer("-42").value_or(0), -42);
  EXPECT_EQ(parse_integer("0x2a").value_or(0), 42);
  for (const char *bad : {"", "-", "0x", "12a", "--1", "99999999999999999999", "0x-1"})
    EXPECT_FALSE(parse_integer(bad)) << bad;
}

TEST(Quantity, RendersForPeople) {
  struct Case {
    void (*append)(std::string &, uint64_t);
    uint64_t value;
    const char *text;
  };
  constexpr Case kCases[] = {
      {append_duration, 0, "0ns"},
      {append_duration, 999, "999ns"},
      {append_duration, 1234, "1.23us"},
      {append_duration, 45'600'000, "45.6ms"},
      {append_duration, 999'600, "1.00ms"},
      {append_duration, 12'000'000'000, "12.0s"},
      {append_duration, 200'000'000'000, "3m20s"},
      {append_duration, 7'500'000'000'000, "2h05m"},
      {append_duration, 273'600'000'000'000, "3d04h"},
      {append_bytes, 512, "512B"},
      {append_bytes, 4096, "4.00KiB"},
      {append_bytes, 1'572'864, "1.50MiB"},
      {append_bytes, 1'047'552'000, "999MiB"},
      {append_count, 9999, "9999"},
      {append_count, 56'700, "56.7k"},
      {append_count, 8'900'000, "8.90M"},
  };
  for (const Case &c : kCases) {
    std::string out;
    c.append(out, c.value);
    EXPECT_EQ(out, c.text) << c.value;
  }
}

}  // namespace
}  // namespace waggle
