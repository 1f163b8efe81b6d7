#include "script/output/printf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "script/output/fake_resolver.h"

namespace waggle::script {
namespace {

Type int64() {
  return Type::integer(8, true);
}
Type text() {
  return Type::string(16);
}

struct Argument {
  Type type;
  std::vector<std::byte> bytes;
};

Argument number(int64_t value) {
  return {int64(), bytes_of(value)};
}
Argument word(std::string_view value) {
  return {text(), Bytes().text(value, 16).take()};
}

std::vector<Type> types_of(const std::vector<Argument> &arguments) {
  std::vector<Type> types;
  types.reserve(arguments.size());
  for (const Argument &each : arguments) types.push_back(each.type);
  return types;
}

TEST(Format, PrintsRows) {
  Type color = Type::enumeration("color", 4, {{"red", 0}, {"blue", 7}});
  Argument buffer{Type::buffer(4), Bytes().number<uint32_t>(2).text(std::string_view("a\1", 2), 4).take()};
  Argument blue{color, bytes_of<uint32_t>(7)};
  Argument yes{Type(TypeKind::kBool, 1), bytes_of<uint8_t>(1)};
  Argument byte{Type::integer(1, true), bytes_of<int8_t>(-1)};
  Argument mac{Type(TypeKind::kMacAddress, 6), Bytes().text("\x01\x02\x03\x04\x05\x06", 6).take()};
  Argument pointer{Type::pointer(int64()), bytes_of<uint64_t>(0xbeef)};
  Argument pair{Type::tuple({{"", int64()}, {"", int64()}}), Bytes().words({1, 2}).take()};
  Argument total{Type::aggregate(TypeKind::kSum, false), bytes_of(~0ull)};
  struct Case {
    std::string_view format;
    std::vector<Argument> arguments;
    std::string text;
  };
  const Case kCases[] = {
      {"", {}, ""},
      {"100%%\n", {}, "100%\n"},
      {"%d", {number(-1)}, "-1"},
      {"100%", {}, "100%"},
      {"100%\n%*) %#5.3 %d %", {number(1)}, "100%\n%*) %#5.3 1 %"},
      {"%x %u %o %lx %d", {byte, byte, byte, byte, byte}, "ffffffff 4294967295 37777777777 ffffffffffffffff -1"},
      {"%i|%5d|%-5d|%05d|%+d|% d",
       {number(7), number(7), number(7), number(-7), number(7), number(7)},
       "7|    7|7    |-0007|+7| 7"},
      {"%ld %lld %jd %zd %td",
       {number(-1), number(INT64_MIN), number(1), number(2), number(3)},
       "-1 -9223372036854775808 1 2 3"},
      {"%d", {number(int64_t{1} << 40)}, "1099511627776"},
      {"%hhd %hd %hhu %hu", {number(0x1ff), number(0x1ffff), number(0x1ff), number(-1)}, "-1 -1 255 65535"},
      {"%u %lu", {number(-1), number(5)}, "18446744073709551615 5"},
      {"%x %X %#x %#X %o %#o %#x",
       {number(255), number(255), number(255), number(255), number(8), number(8), number(0)},
       "ff FF 0xff 0XFF 10 010 0"},
      {"%hhx", {byte}, "ff"},
      {"%08x|%#08x|%-8x|", {number(255), number(255), number(255)}, "000000ff|0x0000ff|ff      |"},
      {"%.3d|%8.3d|%.0d|%08.3d|%-+6.2d|",
       {number(5), number(-5), number(0), number(5), number(5)},
       "005|    -005||     005|+05   |"},
      {"%c%c", {number('h'), number('i')}, "hi"},
      {"%3c|%-3c|", {number('h'), number('i')}, "  h|i  |"},
      {"%p %p", {pointer, number(0)}, "0xbeef (nil)"},
      {"%s", {word("abc")}, "abc"},
      {"%5s|%-5s|%.2s|%5.1s|", {word("abc"), word("abc"), word("abc"), word("abc")}, "  abc|abc  |ab|    a|"},
      {"%*d|%-*d|%*d|", {number(4), number(7), number(4), number(7), number(-4), number(7)}, "   7|7   |7   |"},
      {"%.*s|%*.*s|", {number(2), word("abc"), number(4), number(1), word("abc")}, "ab|   a|"},
      {"%.*s|%.*d|", {number(-1), word("abc"), number(-1), number(5)}, "abc|5|"},
      {"%s %d", {blue, blue}, "blue 7"},
      {"%s %d", {yes, yes}, "true 1"},
      {"%s", {mac}, "01:02:03:04:05:06"},
      {"%s", {pair}, "(1, 2)"},
      {"%r %rx %rh", {buffer, buffer, buffer}, "a\\x01 \\x61\\x01 61 01"},
      {"%rhh", {buffer}, "61 01h"},
      {"%u %d", {total, total}, "18446744073709551615 -1"},
  };
  FakeResolver resolver;
  for (const Case &each : kCases) {
    auto format = Format::compile("printf", each.format, types_of(each.arguments));
    ASSERT_TRUE(format.has_value()) << each.format << ": " << format.error().message;
    std::vector<std::byte> row(format->row().bytes());
    for (size_t i = 0; i < each.arguments.size(); i++) {
      const std::vector<std::byte> &bytes = each.arguments[i].bytes;
      std::memcpy(row.data() + format->row().fields()[i].offset, bytes.data(), bytes.size());
    }
    std::string made;
    format->append(made, row, resolver);
    EXPECT_EQ(made, each.text) << each.format;
  }
}

TEST(Format, SaysWhatIsWrongAndWhere) {
  struct Case {
    std::string_view format;
    std::vector<Type> arguments;
    std::string message;
    std::string_view marked;
    int argument;
  };
  Type buffer = Type::buffer(4);
  Type stack = Type::stack(TypeKind::kKernelStack, StackMode::kBpftrace, 3);
  Type hist = Type::aggregate(TypeKind::kHist, true);
  const Case kCases[] = {
      {"a %d", {}, "printf: Not enough arguments for format string (0 supplied, 1 expected)", "a %d", -1},
      {"%*d", {int64()}, "printf: Not enough arguments for format string (1 supplied, 2 expected)", "%*d", -1},
      {"a", {int64()}, "printf: Too many arguments for format string (1 supplied, 0 expected)", "a", 0},
      {"a %-5d", {text()}, "printf: %d specifier expects a value of type integer (string supplied)", "%-5d", 0},
      {"%lld", {text()}, "printf: %lld specifier expects a value of type integer (string supplied)", "%lld", 0},
      {"%s", {int64()}, "printf: %s specifier expects a value of type string (integer supplied)", "%s", 0},
      {"%d%s", {int64(), buffer}, "printf: %s specifier expects a value of type string (buffer supplied)", "%s", 1},
      {"%rx", {text()}, "printf: %rx specifier expects a value of type buffer (string supplied)", "%rx", 0},
      {"%p", {text()}, "printf: %p specifier expects a value of type integer (string supplied)", "%p", 0},
      {"%d", {stack}, "printf: %d specifier expects a value of type integer (string supplied)", "%d", 0},
      {"%d", {hist}, "printf: %d specifier expects a value of type integer (hist_t supplied)", "%d", 0},
      {"%s", {hist}, "printf: %s specifier expects a value of type string (hist_t supplied)", "%s", 0},
      {"%*d", {text(), int64()}, "printf: %* specifier expects a value of type integer (string supplied)", "%*d", 0},
      {"ab %f", {int64()}, "printf: Unknown format string token: %f", "%f", -1},
      {"%ls", {text()}, "printf: Unknown format string token: %ls", "%ls", -1},
      {"%lr", {buffer}, "printf: Unknown format string token: %lr", "%lr", -1},
      {"%99999999999d", {int64()}, "printf: Width or precision above 65536", "%99999999999", -1},
      {"%.65537d", {int64()}, "printf: Width or precision above 65536", "%.65537", -1},
  };
  for (const Case &each : kCases) {
    auto format = Format::compile("printf", each.format, each.arguments);
    ASSERT_FALSE(format.has_value()) << each.format;
    const FormatError &error = format.error();
    EXPECT_EQ(error.message, each.message);
    EXPECT_EQ(each.format.substr(error.begin, error.end - error.begin), each.marked) << each.format;
    EXPECT_EQ(error.argument, each.argument) << each.format;
  }
}

TEST(Format, BoundsAWidthThatAnArgumentHas) {
  auto format = Format::compile("printf", "%*d%.*s", {int64(), int64(), int64(), text()});
  ASSERT_TRUE(format.has_value());
  FakeResolver resolver;
  for (int64_t width : {INT64_MIN, INT64_MAX}) {
    std::string made;
    format->append(made, Bytes().number(width).words({1}).number(width).text("a", 16).take(), resolver);
    EXPECT_EQ(made.size(), kFormatWidthMost + 1);
  }
}

}  // namespace
}  // namespace waggle::script
