// printf's formats: compiled once against the types of the arguments, then applied to rows
// of them.
//
//   %[flags][width][.precision][length]conversion        flags: - + 0 # and blank
//   d i u x X o c   integers, bools, enums, pointers and aggregates that are one number.
//                   A length cuts it: hh to 8 bits, h to 16; l, ll, j, z and t to 64. Without
//                   one it is printed whole: bpftrace 0.17 cuts to 32 bits what is wider
//   p               the same, as an address: 0x and hexadecimal digits; 0 is (nil)
//   s               everything that is printed as text: strings, bools, enums, symbols,
//                   stacks, addresses of networks, users, times, arrays, tuples, records …
//   r rx rh         buffers: a\x00, \x61\x00, 61 00
//   %%              a percent sign; so is a % that no letter follows
// Width and precision may be `*`: an integer argument before the value.
// Escapes are the lexer's business: a format here is the bytes that it means.
//
// Threads: compile from any number at once; a Format never changes, append from any number.
// source: bpftrace(8), printf; printf(3)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

// Widths and precisions are at most this, also those that `*` takes from an argument.
inline constexpr uint32_t kFormatWidthMost = 65536;

// What is wrong with a format, and where in it: [begin, end) in bytes. `argument` is the
// argument that it is about, or -1. The message is worded as bpftrace's.
struct FormatError {
  std::string message;  // "printf: %d specifier expects a value of type integer (string supplied)"
  size_t begin = 0, end = 0;
  int argument = -1;
};

class Format {
 public:
  //   call  "printf", "errorf", "cat", "system", …: begins the messages
  static tl::expected<Format, FormatError> compile(std::string_view call, std::string_view format,
                                                   std::vector<Type> arguments);

  // How a row of arguments is laid out: the tuple of their types. Aggregates that are
  // arguments are one number there: an integer of their sign, of 8 bytes.
  const Type &row() const { return row_; }

  // REQUIRES: row.size() >= row().bytes()
  void append(std::string &out, std::span<const std::byte> row, Resolver &resolver) const;

 private:
  enum class Conversion : uint8_t { kSigned, kUnsigned, kHex, kHexUpper, kOctal, kCharacter, kPointer, kText, kBuffer };

  // A width or precision.
  struct Extent {
    bool is_given = false;
    int argument = -1;  // `*`: the argument that has it
    uint32_t value = 0;
  };

  struct Piece {
    std::string literal;  // before the conversion
    bool has_conversion = false;
    Conversion conversion = Conversion::kText;
    bool is_left = false, has_plus = false, has_blank = false, has_zeros = false, is_alternate = false;
    Extent width, precision;
    bool is_plain = false;  // %d or %u of 64 bits and nothing more: what nearly all are
    uint32_t bits = 0;      // what the length cuts to; 0: none is given
    int argument = -1;
    uint8_t buffer_form = 0;  // a BufferForm
    size_t begin = 0, end = 0;
    std::string token;  // what follows width and precision, for messages: "lld", "s", "rx"
  };

  struct Parser;

  void append_piece(std::string &out, const Piece &piece, std::span<const std::byte> row, Resolver &resolver) const;
  void append_number(std::string &out, const Piece &piece, uint64_t value, int width, int precision) const;
  void widen(Piece &piece) const;
  uint64_t number_at(int argument, std::span<const std::byte> row) const;
  int extent_of(const Extent &extent, std::span<const std::byte> row, int otherwise) const;

  std::vector<Piece> pieces_;
  Type row_;
};

}  // namespace waggle::script
