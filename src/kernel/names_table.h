// The shape of the name tables and the searches in them; for names*.cc alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace waggle {

struct NamedNumber {
  int64_t number;
  std::string_view name;
};

// Where a number has two names (EAGAIN, EWOULDBLOCK) the first in the table is
// printed, and both are understood.
inline std::string_view find_name(std::span<const NamedNumber> table, int64_t number) {
  for (const NamedNumber &row : table)
    if (row.number == number) return row.name;
  return {};
}

inline bool equal_letters(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// For tables whose names stand without the prefix that people may type.
inline std::string_view without_prefix(std::string_view name, std::string_view prefix) {
  bool has = name.size() > prefix.size() && equal_letters(name.substr(0, prefix.size()), prefix);
  return has ? name.substr(prefix.size()) : name;
}

// `prefix`: what the table's names begin with, and people may leave out.
inline std::optional<int64_t> find_number(std::span<const NamedNumber> table, std::string_view name,
                                          std::string_view prefix = {}) {
  for (const NamedNumber &row : table) {
    if (equal_letters(row.name, name)) return row.number;
    if (!prefix.empty() && row.name.starts_with(prefix) && equal_letters(row.name.substr(prefix.size()), name))
      return row.number;
  }
  return std::nullopt;
}

// Appends the names of all rows whose bits are all set, in the table's order,
// and what is left in hexadecimal. A row of several bits stands before its parts.
inline void append_flags(std::string &out, uint64_t flags, std::span<const NamedNumber> table) {
  auto append = [&](std::string_view name) { out.append(out.empty() ? "" : "|").append(name); };
  for (const NamedNumber &row : table) {
    uint64_t bits = static_cast<uint64_t>(row.number);
    if (bits == 0 || (flags & bits) != bits) continue;
    append(row.name);
    flags &= ~bits;
  }
  if (flags == 0) return;
  std::string digits;
  for (; flags != 0; flags >>= 4) digits.insert(digits.begin(), "0123456789abcdef"[flags & 15]);
  append("0x" + digits);
}

extern const std::span<const NamedNumber> kSyscallNames;  // names_syscall.cc, ascending

}  // namespace waggle
