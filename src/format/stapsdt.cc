#include "format/stapsdt.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

#include "base/text.h"

namespace waggle {
namespace {

constexpr uint32_t kStapsdtType = 3;
constexpr std::string_view kOwner("stapsdt\0", 8);
constexpr size_t kNotesMost = 1 << 20;

struct NoteHeader {
  uint32_t owner_bytes, content_bytes, type;
};

size_t padded(size_t bytes) {
  return (bytes + 3) & ~size_t{3};
}

// Takes the text up to a NUL from the front.
std::string_view take_text(std::string_view &rest) {
  size_t end = std::min(rest.find('\0'), rest.size());
  std::string_view text = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return text;
}

std::optional<StapsdtNote> parse_content(std::string_view content) {
  uint64_t addresses[3];
  if (content.size() < sizeof(addresses)) return std::nullopt;
  memcpy(addresses, content.data(), sizeof(addresses));
  content.remove_prefix(sizeof(addresses));
  StapsdtNote note{addresses[0], addresses[1], addresses[2], {}, {}, {}};
  note.provider = take_text(content);
  note.name = take_text(content);
  note.arguments = take_text(content);
  if (note.name.empty()) return std::nullopt;
  return note;
}

// A register by any of its names.
struct RegisterName {
  int8_t number = -1;
  uint8_t shift = 0;
};

RegisterName register_of(std::string_view name) {
  auto number = [](std::string_view full) {
    auto found = std::find(std::begin(kUsdtRegisters), std::end(kUsdtRegisters), full);
    return full.empty() || found == std::end(kUsdtRegisters)
               ? RegisterName{}
               : RegisterName{static_cast<int8_t>(found - std::begin(kUsdtRegisters)), 0};
  };
  if (name.size() < 2) return {};
  // r8d, r8w, r8b
  if (name[0] == 'r' && name[1] >= '0' && name[1] <= '9') {
    if (name.ends_with('d') || name.ends_with('w') || name.ends_with('b')) name.remove_suffix(1);
    return number(name);
  }
  if (name[0] == 'r') return number(name);
  if (name[0] == 'e') return number("r" + std::string(name.substr(1)));
  // ax, al, ah, sil, bpl, …
  if (name.size() == 2 && name[1] == 'h') {
    RegisterName found = number("r" + std::string(1, name[0]) + "x");
    found.shift = 8;
    return found;
  }
  if (name.size() == 2 && name[1] == 'l') return number("r" + std::string(1, name[0]) + "x");
  if (name.size() == 3 && name.ends_with('l')) name.remove_suffix(1);
  return number("r" + std::string(name));
}

std::optional<int64_t> number_of(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x")) base = 16, text.remove_prefix(2);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - value : value);
}

// "%rbp" within brackets; false when it is no 64-bit register.
bool take_address_register(std::string_view text, int8_t &number) {
  text = trim(text);
  if (!text.starts_with("%r")) return false;
  number = register_of(text.substr(1)).number;
  // Of %rip: the place of the probe is not what the assembler counted from.
  return number >= 0 && kUsdtRegisters[number] != "rip";
}

// "(%base)", "(%base,%index)", "(%base,%index,scale)", "(,%index,scale)"
bool take_brackets(std::string_view text, UsdtArgument &argument) {
  std::vector<std::string_view> parts = split(text, ',');
  if (parts.empty() || parts.size() > 3) return false;
  if (!trim(parts[0]).empty() && !take_address_register(parts[0], argument.base)) return false;
  if (parts.size() > 1 && !take_address_register(parts[1], argument.index)) return false;
  if (parts.size() > 2) {
    std::optional<int64_t> scale = number_of(trim(parts[2]));
    if (!scale || (*scale != 1 && *scale != 2 && *scale != 4 && *scale != 8)) return false;
    argument.scale = static_cast<uint8_t>(*scale);
  }
  return true;
}

}  // namespace

Result<std::vector<StapsdtNote>> parse_stapsdt(std::span<const std::byte> section) {
  std::string_view rest(reinterpret_cast<const char *>(section.data()), section.size());
  std::vector<StapsdtNote> notes;
  while (rest.size() >= sizeof(NoteHeader) && notes.size() < kNotesMost) {
    NoteHeader header;
    memcpy(&header, rest.data(), sizeof(header));
    rest.remove_prefix(sizeof(header));
    size_t owner_bytes = padded(header.owner_bytes), content_bytes = padded(header.content_bytes);
    if (owner_bytes > rest.size() || header.content_bytes > rest.size() - owner_bytes)
      return fail(ErrorCode::kInvalid, "malformed USDT probes", "a note ends outside of its section");
    if (header.type == kStapsdtType && rest.substr(0, header.owner_bytes) == kOwner)
      if (std::optional<StapsdtNote> note = parse_content(rest.substr(owner_bytes, header.content_bytes)))
        notes.push_back(std::move(*note));
    rest.remove_prefix(std::min(owner_bytes + content_bytes, rest.size()));
  }
  return notes;
}

UsdtArgument parse_usdt_argument(std::string_view text) {
  UsdtArgument argument, unknown;
  size_t at = text.find('@');
  if (at == std::string_view::npos) return unknown;
  std::optional<int64_t> bytes = number_of(text.substr(0, at));
  std::string_view place = text.substr(at + 1);
  if (!bytes) return unknown;
  argument.is_signed = *bytes < 0;
  argument.bytes = static_cast<uint8_t>(*bytes < 0 ? 0 - *bytes : *bytes);
  if (*bytes < -8 || *bytes > 8 || (argument.bytes & (argument.bytes - 1)) != 0 || argument.bytes == 0) return unknown;
  if (place.starts_with('$')) {
    std::optional<int64_t> constant = number_of(place.substr(1));
    if (!constant) return unknown;
    argument.where = UsdtArgument::Where::kConstant;
    argument.constant = *constant;
    return argument;
  }
  if (place.starts_with('%')) {
    RegisterName found = register_of(place.substr(1));
    if (found.number < 0) return unknown;
    argument.where = UsdtArgument::Where::kRegister;
    argument.base = found.number;
    argument.shift = found.shift;
    return argument;
  }
  size_t open = place.find('(');
  if (open == std::string_view::npos || !place.ends_with(')')) return unknown;
  if (open > 0) {
    std::optional<int64_t> displacement = number_of(place.substr(0, open));
    if (!displacement) return unknown;
    argument.constant = *displacement;
  }
  if (!take_brackets(place.substr(open + 1, place.size() - open - 2), argument)) return unknown;
  argument.where = UsdtArgument::Where::kMemory;
  return argument;
}

std::vector<UsdtArgument> parse_usdt_arguments(std::string_view text) {
  std::vector<UsdtArgument> arguments;
  for (std::string_view word : split(text, ' '))
    if (!word.empty()) arguments.push_back(parse_usdt_argument(word));
  return arguments;
}

}  // namespace waggle
