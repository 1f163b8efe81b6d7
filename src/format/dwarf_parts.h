// What the files of format/dwarf.h share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/dwarf.h"

namespace waggle {

// Reads forwards; behind the end it yields zeros and has failed.
struct DwarfCursor {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
  bool failed = false;

  bool has(uint64_t count) {
    if (at > bytes.size() || count > bytes.size() - at) failed = true;
    return !failed;
  }
  void skip(uint64_t count) {
    if (has(count)) at += count;
  }
  uint64_t number(unsigned count) {
    uint64_t value = 0;
    if (!has(count)) return 0;
    std::memcpy(&value, bytes.data() + at, count);
    at += count;
    return value;
  }
  uint64_t unsigned_leb() {
    uint64_t value = 0;
    for (unsigned shift = 0; has(1); shift += 7) {
      auto byte = static_cast<uint8_t>(bytes[at++]);
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  int64_t signed_leb() {
    uint64_t value = 0;
    for (unsigned shift = 0; has(1);) {
      auto byte = static_cast<uint8_t>(bytes[at++]);
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      break;
    }
    return static_cast<int64_t>(value);
  }
  std::string_view text() {
    if (!has(1)) return {};
    auto *begin = reinterpret_cast<const char *>(bytes.data() + at);
    size_t length = ::strnlen(begin, bytes.size() - at);
    skip(length + 1);
    return failed ? std::string_view() : std::string_view(begin, length);
  }
};

struct Dwarf::Attribute {
  uint16_t name = 0, form = 0;
  int64_t value = 0;  // of DW_FORM_implicit_const
};

struct Dwarf::Abbreviations {
  struct Row {
    DwarfTag tag = DwarfTag::kNull;
    bool has_children = false;
    uint32_t first = 0, count = 0;  // in `attributes`
  };
  std::vector<Row> dense;  // code - 1
  std::unordered_map<uint64_t, Row> others;
  std::vector<Attribute> attributes;

  const Row *find(uint64_t code) const {
    if (code != 0 && code <= dense.size()) return &dense[code - 1];
    auto found = others.find(code);
    return found == others.end() ? nullptr : &found->second;
  }
};

struct Dwarf::Unit {
  DwarfOffset begin = 0, first = 0, end = 0;  // its header, its first entry, and behind its last
  uint64_t abbreviations = 0;                 // in .debug_abbrev
  uint16_t version = 0;
  uint8_t address_bytes = 0, offset_bytes = 0;
  uint64_t signature = 0;  // of a type unit
  DwarfOffset signed_type = kDwarfNone;
  // From its first entry, once somebody has asked.
  mutable bool is_prepared = false;
  mutable bool is_c = false;  // which has no scopes
  mutable uint64_t string_offsets = 0, addresses = 0, range_lists = 0;
  mutable uint64_t base_address = 0;  // that ranges are counted from
};

// A namespace or class.
struct Dwarf::Scope {
  DwarfOffset begin = 0, end = 0;
  std::string_view name;
};

// What a unit's bytes have in them when a name is there.
struct Dwarf::Filter {
  std::string_view name;
  bool is_exact = true;                 // false: it says nothing
  std::vector<uint32_t> string_places;  // in .debug_str, sorted
  std::vector<bool> low_halves;         // of those

  bool has_place(std::span<const std::byte> in) const;
};

struct Dwarf::Lazy {
  std::unordered_map<uint64_t, std::unique_ptr<Abbreviations>> abbreviations;
  std::unordered_map<DwarfOffset, std::vector<Scope>> scopes;  // by unit
  std::unordered_map<uint64_t, DwarfOffset> functions;         // by address
  bool has_functions = false;
  unsigned searches = 0;
  uint64_t decoded = 0;
};

template <typename Visit>
void Dwarf::walk(const Unit &unit, Visit visit) const {
  DwarfOffset at = unit.first;
  unsigned depth = 0;
  DwarfEntry entry;
  while (at < unit.end && read(unit, at, entry)) {
    at = entry.next;
    if (entry.tag == DwarfTag::kNull) {
      // Padding behind a root without children is none of its.
      if (depth <= 1) return;
      depth--;
      continue;
    }
    Walk how = visit(entry, depth);
    if (how == Walk::kStop) return;
    if (!entry.has_children) {
      if (depth == 0) return;
      continue;
    }
    if (how == Walk::kInto)
      depth++;
    else
      at = behind_children(unit, entry);
  }
}

}  // namespace waggle
