#include "script/output/printf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "base/check.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

bool is_one_number(const Type &type) {
  switch (type.kind()) {
    case TypeKind::kCount:
    case TypeKind::kSum:
    case TypeKind::kMin:
    case TypeKind::kMax:
    case TypeKind::kAvg:
      return true;
    default:
      return type.is_integral() || type.is(TypeKind::kPointer);
  }
}

bool is_text(const Type &type) {
  switch (type.kind()) {
    case TypeKind::kNone:
    case TypeKind::kVoid:
    case TypeKind::kInteger:
    case TypeKind::kPointer:
    case TypeKind::kBuffer:
      return false;
    default:
      return !type.is_aggregate();
  }
}

// As bpftrace names it in messages.
std::string kind_name(const Type &type) {
  switch (type.kind()) {
    case TypeKind::kInteger:
    case TypeKind::kEnum:
      return "integer";
    case TypeKind::kString:
    case TypeKind::kKernelStack:
    case TypeKind::kUserStack:
    case TypeKind::kKernelSymbol:
    case TypeKind::kUserSymbol:
    case TypeKind::kInet:
    case TypeKind::kMacAddress:
    case TypeKind::kUsername:
    case TypeKind::kTimestamp:
    case TypeKind::kCgroupPath:
    case TypeKind::kErrno:
      return "string";
    case TypeKind::kBuffer:
      return "buffer";
    case TypeKind::kPointer:
      return "pointer";
    case TypeKind::kArray:
      return "array";
    case TypeKind::kRecord:
      return "record";
    case TypeKind::kTuple:
      return "tuple";
    default:
      return type.name();
  }
}

Type row_of(const std::vector<Type> &arguments) {
  std::vector<std::pair<std::string, Type>> fields;
  fields.reserve(arguments.size());
  for (const Type &type : arguments)
    fields.emplace_back("", type.is_aggregate() ? Type::integer(8, type.is_signed()) : type);
  return Type::tuple(fields);
}

}  // namespace

// Reads a format from left to right, then checks it against its arguments.
struct Format::Parser {
  std::string_view call, text;
  size_t at = 0;
  int next_argument = 0;

  bool take(std::string_view word) {
    if (text.substr(at, word.size()) != word) return false;
    at += word.size();
    return true;
  }

  void flags(Piece &piece) {
    for (;; at++) {
      switch (at < text.size() ? text[at] : '\0') {
        case '-':
          piece.is_left = true;
          break;
        case '+':
          piece.has_plus = true;
          break;
        case ' ':
          piece.has_blank = true;
          break;
        case '0':
          piece.has_zeros = true;
          break;
        case '#':
          piece.is_alternate = true;
          break;
        default:
          return;
      }
    }
  }

  // False: too great.
  bool extent(Extent &extent) {
    if (take("*")) {
      extent.is_given = true;
      extent.argument = next_argument++;
      return true;
    }
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])); at++) {
      extent.is_given = true;
      extent.value = std::min(extent.value * 10 + static_cast<uint32_t>(text[at] - '0'), kFormatWidthMost + 1);
    }
    return extent.value <= kFormatWidthMost;
  }

  void length(Piece &piece) {
    if (take("hh"))
      piece.bits = 8;
    else if (take("h"))
      piece.bits = 16;
    else if (take("ll") || take("l") || take("j") || take("z") || take("t"))
      piece.bits = 64;
  }

  // False: there is no such conversion.
  bool conversion(Piece &piece) {
    struct Named {
      char letter;
      Conversion conversion;
    };
    static constexpr Named kConversions[] = {
        {'d', Conversion::kSigned},  {'i', Conversion::kSigned},    {'u', Conversion::kUnsigned},
        {'x', Conversion::kHex},     {'X', Conversion::kHexUpper},  {'o', Conversion::kOctal},
        {'p', Conversion::kPointer}, {'c', Conversion::kCharacter}, {'s', Conversion::kText},
    };
    bool has_length = !piece.token.empty();
    if (!has_length && take("r")) {
      piece.conversion = Conversion::kBuffer;
      BufferForm form = take("x") ? BufferForm::kEscaped : take("h") ? BufferForm::kBlanks : BufferForm::kMixed;
      piece.buffer_form = static_cast<uint8_t>(form);
      return true;
    }
    if (at == text.size()) return false;
    for (const Named &each : kConversions) {
      if (each.letter != text[at]) continue;
      bool is_number = each.conversion < Conversion::kCharacter;
      at++;
      piece.conversion = each.conversion;
      return is_number || !has_length;
    }
    at++;
    return false;
  }

  FormatError wrong(std::string_view message, size_t begin, size_t end, int argument = -1) const {
    return {fmt::format("{}: {}", call, message), begin, end, argument};
  }

  // What follows a '%' that is not "%%".
  std::optional<FormatError> read(Piece &piece) {
    int argument = next_argument;
    piece.begin = at - 1;
    flags(piece);
    bool fits = extent(piece.width);
    if (fits && take(".")) {
      piece.precision.is_given = true;
      fits = extent(piece.precision);
    }
    if (!fits) return wrong(fmt::format("Width or precision above {}", kFormatWidthMost), piece.begin, at);
    size_t token = at;
    length(piece);
    bool is_conversion = at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]));
    if (!is_conversion) {
      // As in "100%": it stands for itself.
      next_argument = argument;
      std::string literal = piece.literal + std::string(text.substr(piece.begin, at - piece.begin));
      piece = {};
      piece.literal = std::move(literal);
      return std::nullopt;
    }
    piece.token = text.substr(token, at - token);
    bool is_known = conversion(piece);
    bool is_decimal = piece.conversion == Conversion::kSigned || piece.conversion == Conversion::kUnsigned;
    piece.is_plain = is_decimal && token == piece.begin + 1 && at == token + 1;
    piece.token = text.substr(token, at - token);
    piece.end = at;
    if (!is_known) return wrong("Unknown format string token: %" + piece.token, piece.begin, piece.end);
    piece.has_conversion = true;
    piece.argument = next_argument++;
    return std::nullopt;
  }

  std::optional<FormatError> read_all(std::vector<Piece> &pieces) {
    Piece piece;
    while (at < text.size()) {
      if (!take("%")) {
        piece.literal += text[at++];
      } else if (take("%")) {
        piece.literal += '%';
      } else {
        if (std::optional<FormatError> error = read(piece)) return error;
        if (piece.has_conversion) pieces.push_back(std::exchange(piece, {}));
      }
    }
    if (!piece.literal.empty()) pieces.push_back(std::move(piece));
    return std::nullopt;
  }

  std::optional<FormatError> check_count(size_t count) const {
    auto supplied = static_cast<int>(count);
    if (supplied == next_argument) return std::nullopt;
    bool is_few = supplied < next_argument;
    return wrong(fmt::format("{} arguments for format string ({} supplied, {} expected)",
                             is_few ? "Not enough" : "Too many", supplied, next_argument),
                 0, text.size(), is_few ? -1 : next_argument);
  }

  std::optional<FormatError> check_types(const Piece &piece, const std::vector<Type> &arguments) const {
    auto expected = [&](std::string_view token, std::string_view wanted, int argument) {
      std::string supplied = kind_name(arguments[static_cast<size_t>(argument)]);
      return wrong(fmt::format("%{} specifier expects a value of type {} ({} supplied)", token, wanted, supplied),
                   piece.begin, piece.end, argument);
    };
    for (const Extent *extent : {&piece.width, &piece.precision})
      if (extent->argument >= 0 && !is_one_number(arguments[static_cast<size_t>(extent->argument)]))
        return expected("*", "integer", extent->argument);
    if (!piece.has_conversion) return std::nullopt;
    const Type &type = arguments[static_cast<size_t>(piece.argument)];
    switch (piece.conversion) {
      case Conversion::kText:
        if (!is_text(type)) return expected(piece.token, "string", piece.argument);
        break;
      case Conversion::kBuffer:
        if (!type.is(TypeKind::kBuffer)) return expected(piece.token, "buffer", piece.argument);
        break;
      default:
        if (!is_one_number(type)) return expected(piece.token, "integer", piece.argument);
    }
    return std::nullopt;
  }
};

tl::expected<Format, FormatError> Format::compile(std::string_view call, std::string_view format,
                                                  std::vector<Type> arguments) {
  Format made;
  Parser parser{call, format};
  std::optional<FormatError> error = parser.read_all(made.pieces_);
  if (!error) error = parser.check_count(arguments.size());
  for (size_t i = 0; !error && i < made.pieces_.size(); i++) error = parser.check_types(made.pieces_[i], arguments);
  if (error) return tl::unexpected(*std::move(error));
  made.row_ = row_of(std::move(arguments));
  for (Piece &piece : made.pieces_)
    if (piece.has_conversion) made.widen(piece);
  return made;
}

// Without a length a number is printed whole, except that of a negative one u, x and o show
// as many bits as it would have in C: at least those of an int.
void Format::widen(Piece &piece) const {
  if (piece.bits != 0) return;
  const Type &type = row_.fields()[static_cast<size_t>(piece.argument)].type;
  bool is_unsigned = piece.conversion > Conversion::kSigned && piece.conversion < Conversion::kCharacter;
  constexpr uint32_t kIntBytes = 4;
  piece.bits = is_unsigned && type.is_signed() && type.bytes() <= kIntBytes ? 32 : 64;
  piece.is_plain = piece.is_plain && piece.bits == 64;
}

uint64_t Format::number_at(int argument, std::span<const std::byte> row) const {
  const Field &field = row_.fields()[static_cast<size_t>(argument)];
  return read_number(field.type, row.subspan(field.offset));
}

int Format::extent_of(const Extent &extent, std::span<const std::byte> row, int otherwise) const {
  if (!extent.is_given) return otherwise;
  if (extent.argument < 0) return static_cast<int>(extent.value);
  constexpr auto kMost = static_cast<int64_t>(kFormatWidthMost);
  return static_cast<int>(std::clamp(static_cast<int64_t>(number_at(extent.argument, row)), -kMost, kMost));
}

void Format::append_number(std::string &out, const Piece &piece, uint64_t value, int width, int precision) const {
  if (piece.is_plain) {
    if (piece.conversion == Conversion::kSigned)
      fmt::format_to(std::back_inserter(out), "{}", static_cast<int64_t>(value));
    else
      fmt::format_to(std::back_inserter(out), "{}", value);
    return;
  }
  bool is_negative = false;
  uint64_t cut = piece.bits == 64 ? value : value & ((uint64_t{1} << piece.bits) - 1);
  if (piece.conversion == Conversion::kSigned) {
    uint32_t shift = 64 - piece.bits;
    auto number = static_cast<int64_t>(value << shift) >> shift;
    is_negative = number < 0;
    cut = is_negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  }
  std::string prefix, digits;
  switch (piece.conversion) {
    case Conversion::kPointer:
      // As the C library has it.
      if (cut == 0) {
        digits = "(nil)";
        break;
      }
      [[fallthrough]];
    case Conversion::kHex:
      digits = fmt::format("{:x}", cut);
      if (piece.conversion == Conversion::kPointer || (piece.is_alternate && cut != 0)) prefix = "0x";
      break;
    case Conversion::kHexUpper:
      digits = fmt::format("{:X}", cut);
      if (piece.is_alternate && cut != 0) prefix = "0X";
      break;
    case Conversion::kOctal:
      digits = fmt::format("{:o}", cut);
      if (piece.is_alternate && cut != 0) digits.insert(0, 1, '0');
      break;
    default:
      digits = std::to_string(cut);
  }
  if (piece.conversion == Conversion::kSigned)
    prefix = is_negative ? "-" : piece.has_plus ? "+" : piece.has_blank ? " " : "";
  if (precision == 0 && cut == 0 && piece.conversion != Conversion::kPointer) digits.clear();
  auto room = static_cast<size_t>(std::abs(width));
  bool is_left = piece.is_left || width < 0;
  size_t least = precision > 0 ? static_cast<size_t>(precision) : 0;
  if (piece.has_zeros && !is_left && precision < 0 && room > prefix.size()) least = room - prefix.size();
  if (digits.size() < least) digits.insert(0, least - digits.size(), '0');
  size_t length = prefix.size() + digits.size(), padding = room > length ? room - length : 0;
  if (!is_left) out.append(padding, ' ');
  out += prefix;
  out += digits;
  if (is_left) out.append(padding, ' ');
}

void Format::append_piece(std::string &out, const Piece &piece, std::span<const std::byte> row,
                          Resolver &resolver) const {
  // A width below 0 is one with the flag -, a precision below 0 is none.
  int width = extent_of(piece.width, row, 0), precision = extent_of(piece.precision, row, -1);
  bool is_text = piece.conversion == Conversion::kText || piece.conversion == Conversion::kBuffer;
  if (!is_text && piece.conversion != Conversion::kCharacter)
    return append_number(out, piece, number_at(piece.argument, row), width, precision);
  size_t begin = out.size();
  const Field &field = row_.fields()[static_cast<size_t>(piece.argument)];
  std::span<const std::byte> value = row.subspan(field.offset);
  if (piece.conversion == Conversion::kCharacter)
    out += static_cast<char>(number_at(piece.argument, row));
  else if (piece.conversion == Conversion::kBuffer)
    append_buffer(out, buffer_content(field.type, value), static_cast<BufferForm>(piece.buffer_form));
  else
    append_text(out, field.type, value, resolver);
  if (is_text && precision >= 0 && out.size() - begin > static_cast<size_t>(precision))
    out.resize(begin + static_cast<size_t>(precision));
  size_t length = out.size() - begin, room = static_cast<size_t>(std::abs(width));
  if (room <= length) return;
  bool is_left = piece.is_left || width < 0;
  out.insert(is_left ? out.size() : begin, room - length, ' ');
}

void Format::append(std::string &out, std::span<const std::byte> row, Resolver &resolver) const {
  CHECK(row.size() >= row_.bytes());
  for (const Piece &piece : pieces_) {
    out += piece.literal;
    if (piece.has_conversion) append_piece(out, piece, row, resolver);
  }
}

}  // namespace waggle::script
