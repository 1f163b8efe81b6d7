// Debug information made in memory, for tests and for the fuzzer: of any version and in
// forms that no compiler here would choose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/dwarf.h"

namespace waggle {

class DwarfSample {
 public:
  struct Choice {
    uint16_t version = 5;
    bool is_wide = false;     // offsets of 64 bits
    bool is_indexed = false;  // strings and addresses by their numbers in tables
    bool with_siblings = false;
    uint64_t language = 0x1d;  // C11; C++ is 4
  };
  // An attribute: a number, an entry by its number, or a text.
  struct Value {
    enum class Kind : uint8_t { kNumber, kEntry, kText, kAddress, kBlock, kOffset };
    uint16_t name = 0;
    Kind kind = Kind::kNumber;
    uint64_t number = 0;
    std::string text;
  };
  static Value name(std::string text) { return {0x03, Value::Kind::kText, 0, std::move(text)}; }
  static Value linkage_name(std::string text) { return {0x6e, Value::Kind::kText, 0, std::move(text)}; }
  static Value bytes(uint64_t number) { return {0x0b, Value::Kind::kNumber, number, {}}; }
  static Value encoding(uint64_t number) { return {0x3e, Value::Kind::kNumber, number, {}}; }
  static Value type(size_t entry) { return {0x49, Value::Kind::kEntry, entry, {}}; }
  static Value origin(size_t entry) { return {0x31, Value::Kind::kEntry, entry, {}}; }
  static Value specification(size_t entry) { return {0x47, Value::Kind::kEntry, entry, {}}; }
  static Value address(uint64_t number) { return {0x11, Value::Kind::kAddress, number, {}}; }
  // Where in `ranges` or `rnglists`.
  static Value pieces(uint64_t place) { return {0x55, Value::Kind::kOffset, place, {}}; }
  static Value at(uint64_t number) { return {0x38, Value::Kind::kNumber, number, {}}; }
  // As DWARF 2 has it: DW_OP_plus_uconst.
  static Value at_by_block(uint64_t number) { return {0x38, Value::Kind::kBlock, number, {}}; }
  static Value bit_size(uint64_t number) { return {0x0d, Value::Kind::kNumber, number, {}}; }
  static Value bit_offset(uint64_t number) { return {0x0c, Value::Kind::kNumber, number, {}}; }
  static Value data_bit_offset(uint64_t number) { return {0x6b, Value::Kind::kNumber, number, {}}; }
  static Value upper_bound(uint64_t number) { return {0x2f, Value::Kind::kNumber, number, {}}; }
  static Value count(uint64_t number) { return {0x37, Value::Kind::kNumber, number, {}}; }
  static Value constant(uint64_t number) { return {0x1c, Value::Kind::kNumber, number, {}}; }
  static Value declaration() { return {0x3c, Value::Kind::kNumber, 1, {}}; }
  static Value external() { return {0x3f, Value::Kind::kNumber, 1, {}}; }

  DwarfSample() : DwarfSample(Choice()) {}
  explicit DwarfSample(Choice choice) : choice_(choice) {}

  // Entries are numbered as they are added, from 0, which is the first unit's root.
  size_t add(DwarfTag tag, std::vector<Value> values, bool has_children = false);
  // The same with children, which end with end().
  size_t begin(DwarfTag tag, std::vector<Value> values) { return add(tag, std::move(values), true); }
  void end();
  size_t next() const { return entries_; }  // the number of the entry that comes next
  void begin_unit();
  void end_unit();

  DwarfSections sections() const;
  DwarfOffset place(size_t entry) const { return places_[entry]; }
  std::string info, abbrev, str = std::string(1, '\0'), str_offsets, addr, ranges, rnglists;

 private:
  struct Fixup {
    size_t at;
    size_t entry;
    uint64_t minus;
  };
  static void put(std::string &to, uint64_t number, unsigned bytes) {
    to.append(reinterpret_cast<const char *>(&number), bytes);
  }
  static void put_leb(std::string &to, uint64_t number) {
    do {
      to += static_cast<char>((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
      number >>= 7;
    } while (number != 0);
  }
  unsigned offset_bytes() const { return choice_.is_wide ? 8 : 4; }
  void put_value(const Value &value);

  Choice choice_;
  size_t entries_ = 0;
  uint64_t codes_ = 0, strings_ = 0, addresses_ = 0;
  size_t unit_ = 0;
  std::vector<DwarfOffset> places_;
  std::vector<Fixup> fixups_;
  std::vector<size_t> open_;  // where siblings are to be written
};

inline void DwarfSample::begin_unit() {
  unit_ = info.size();
  if (choice_.is_wide) put(info, UINT32_MAX, 4);
  put(info, 0, offset_bytes());
  put(info, choice_.version, 2);
  if (choice_.version >= 5) put(info, 1, 1), put(info, 8, 1);
  put(info, 0, offset_bytes());  // one table of abbreviations for all
  if (choice_.version < 5) put(info, 8, 1);
  if (choice_.is_indexed && str_offsets.empty()) {
    // Their lengths are written when all is known.
    if (choice_.is_wide) put(str_offsets, UINT32_MAX, 4);
    put(str_offsets, 0, offset_bytes());
    put(str_offsets, 5, 4);
    put(addr, 0, 4), put(addr, 8 << 16 | 5, 4);
  }
  std::vector<Value> values{name("unit.c"), {0x13, Value::Kind::kNumber, choice_.language, {}}};
  // The bases come behind a name that needs them.
  if (choice_.is_indexed) {
    values.push_back({0x72, Value::Kind::kNumber, (choice_.is_wide ? 12u : 4u) + 4, {}});
    values.push_back({0x73, Value::Kind::kNumber, 8, {}});
  }
  begin(static_cast<DwarfTag>(0x11), std::move(values));
}

inline void DwarfSample::end_unit() {
  end();
  size_t header = choice_.is_wide ? 12 : 4;
  uint64_t length = info.size() - unit_ - header;
  info.replace(unit_ + header - offset_bytes(), offset_bytes(),
               std::string(reinterpret_cast<const char *>(&length), offset_bytes()));
  if (choice_.is_indexed) {
    uint64_t strings_length = str_offsets.size() - header;
    str_offsets.replace(header - offset_bytes(), offset_bytes(),
                        std::string(reinterpret_cast<const char *>(&strings_length), offset_bytes()));
  }
}

inline size_t DwarfSample::add(DwarfTag tag, std::vector<Value> values, bool has_children) {
  places_.push_back(info.size());
  put_leb(info, ++codes_);
  put_leb(abbrev, codes_);
  put_leb(abbrev, static_cast<uint16_t>(tag));
  put(abbrev, has_children ? 1 : 0, 1);
  if (has_children) {
    open_.push_back(0);
    if (choice_.with_siblings && open_.size() > 1) {
      put_leb(abbrev, 0x01), put_leb(abbrev, 0x13);
      open_.back() = info.size();
      put(info, 0, 4);
    }
  }
  for (const Value &value : values) put_value(value);
  put(abbrev, 0, 2);
  return entries_++;
}

inline void DwarfSample::end() {
  info += '\0';
  uint64_t sibling = info.size() - unit_;
  size_t at = open_.back();
  open_.pop_back();
  if (at != 0) info.replace(at, 4, std::string(reinterpret_cast<const char *>(&sibling), 4));
}

inline void DwarfSample::put_value(const Value &value) {
  put_leb(abbrev, value.name);
  bool is_base = value.name == 0x72 || value.name == 0x73;
  switch (value.kind) {
    case Value::Kind::kText:
      if (choice_.is_indexed) {
        put_leb(abbrev, 0x1a);
        put_leb(info, strings_++);
        put(str_offsets, str.size(), offset_bytes());
      } else if (value.text.size() < 4) {
        put_leb(abbrev, 0x08);
        info += value.text + '\0';
        return;
      } else {
        put_leb(abbrev, 0x0e);
        put(info, str.size(), offset_bytes());
      }
      str += value.text + '\0';
      return;
    case Value::Kind::kAddress:
      if (choice_.is_indexed) {
        put_leb(abbrev, 0x1b);
        put_leb(info, addresses_++);
        put(addr, value.number, 8);
      } else {
        put_leb(abbrev, 0x01);
        put(info, value.number, 8);
      }
      return;
    case Value::Kind::kEntry:
      put_leb(abbrev, 0x13);
      fixups_.push_back({info.size(), static_cast<size_t>(value.number), unit_});
      put(info, 0, 4);
      return;
    case Value::Kind::kBlock: {
      std::string block(1, '\x23');
      put_leb(block, value.number);
      put_leb(abbrev, 0x0a);
      put(info, block.size(), 1);
      info += block;
      return;
    }
    case Value::Kind::kOffset:
      put_leb(abbrev, choice_.version < 4 ? 0x06 : 0x17);
      put(info, value.number, choice_.version < 4 ? 4 : offset_bytes());
      return;
    case Value::Kind::kNumber:
      // In as few bytes as compilers take, which is what tells -1 from others.
      if (is_base) {
        put_leb(abbrev, 0x17);
        put(info, value.number, offset_bytes());
      } else if (static_cast<int64_t>(value.number) < 0) {
        put_leb(abbrev, 0x0d);
        for (int i = 0; i < 9; i++) put(info, 0x80 | ((value.number >> (7 * i)) & 0x7f), 1);
        put(info, 0x7f, 1);
      } else {
        unsigned bytes = value.number <= UINT8_MAX ? 1 : value.number <= UINT32_MAX ? 4 : 8;
        put_leb(abbrev, bytes == 1 ? 0x0b : bytes == 4 ? 0x06 : 0x07);
        put(info, value.number, bytes);
      }
      return;
  }
}

inline DwarfSections DwarfSample::sections() const {
  auto *self = const_cast<DwarfSample *>(this);
  for (const Fixup &each : fixups_) {
    uint64_t offset = places_[each.entry] - each.minus;
    self->info.replace(each.at, 4, std::string(reinterpret_cast<const char *>(&offset), 4));
  }
  auto bytes = [](const std::string &text) { return std::as_bytes(std::span(text)); };
  return {bytes(info), bytes(abbrev), bytes(str), {}, bytes(str_offsets), bytes(addr), bytes(ranges), bytes(rnglists)};
}

// A unit of C with what conversion knows of, for tests of several folders:
//   struct point { int x, y; };
//   struct box { char name[16]; const struct point *at; int grid[2][3];
//                unsigned low : 4; int deep : 9; struct { long inside; }; struct far *away; };
//   enum colour { RED, GREEN = 5, LESS = -1 };
//   int take(struct box *box, enum colour colour, unsigned char small, double real,
//            struct point value, long last, ...);      at 0x1000
inline void add_sample_unit(DwarfSample &sample, bool old_bit_fields = false) {
  using S = DwarfSample;
  using enum DwarfTag;
  auto place = [&](uint64_t at) { return old_bit_fields ? S::at_by_block(at) : S::at(at); };
  sample.begin_unit();
  size_t integer = sample.add(kBaseType, {S::name("int"), S::bytes(4), S::encoding(5)});
  size_t unsigned_integer = sample.add(kBaseType, {S::name("unsigned int"), S::bytes(4), S::encoding(7)});
  size_t character = sample.add(kBaseType, {S::name("char"), S::bytes(1), S::encoding(6)});
  size_t small = sample.add(kBaseType, {S::name("unsigned char"), S::bytes(1), S::encoding(8)});
  size_t number = sample.add(kBaseType, {S::name("long"), S::bytes(8), S::encoding(5)});
  size_t real = sample.add(kBaseType, {S::name("double"), S::bytes(8), S::encoding(4)});
  size_t point = sample.begin(kStructure, {S::name("point"), S::bytes(8)});
  sample.add(kMember, {S::name("x"), S::type(integer), place(0)});
  sample.add(kMember, {S::name("y"), S::type(integer), place(4)});
  sample.end();
  size_t constant = sample.add(kConst, {S::type(point)});
  size_t pointer = sample.add(kPointer, {S::bytes(8), S::type(constant)});
  size_t text = sample.begin(kArray, {S::type(character)});
  sample.add(kSubrange, {S::upper_bound(15)});
  sample.end();
  size_t grid = sample.begin(kArray, {S::type(integer)});
  sample.add(kSubrange, {S::upper_bound(1)});
  sample.add(kSubrange, {S::count(3)});
  sample.end();
  size_t inner = sample.begin(kStructure, {S::bytes(8)});
  sample.add(kMember, {S::name("inside"), S::type(number), place(0)});
  sample.end();
  size_t far = sample.add(kStructure, {S::name("far"), S::declaration()});
  size_t away = sample.add(kPointer, {S::bytes(8), S::type(far)});
  size_t box = sample.begin(kStructure, {S::name("box"), S::bytes(72)});
  sample.add(kMember, {S::name("name"), S::type(text), place(0)});
  sample.add(kMember, {S::name("at"), S::type(pointer), place(16)});
  sample.add(kMember, {S::name("grid"), S::type(grid), place(24)});
  if (old_bit_fields) {
    sample.add(kMember,
               {S::name("low"), S::type(unsigned_integer), S::bytes(4), S::bit_size(4), S::bit_offset(28), place(48)});
    sample.add(kMember, {S::name("deep"), S::type(integer), S::bytes(4), S::bit_size(9), S::bit_offset(19), place(48)});
  } else {
    sample.add(kMember, {S::name("low"), S::type(unsigned_integer), S::bit_size(4), S::data_bit_offset(384)});
    sample.add(kMember, {S::name("deep"), S::type(integer), S::bit_size(9), S::data_bit_offset(388)});
  }
  sample.add(kMember, {S::type(inner), place(56)});
  sample.add(kMember, {S::name("away"), S::type(away), place(64)});
  sample.add(kMember, {S::name("shared"), S::type(integer), S::external(), S::declaration()});
  sample.end();
  size_t box_pointer = sample.add(kPointer, {S::bytes(8), S::type(box)});
  size_t colour = sample.begin(kEnumeration, {S::name("colour"), S::bytes(4)});
  sample.add(kEnumerator, {S::name("RED"), S::constant(0)});
  sample.add(kEnumerator, {S::name("GREEN"), S::constant(5)});
  sample.add(kEnumerator, {S::name("LESS"), S::constant(UINT64_MAX)});
  sample.end();
  sample.begin(kSubprogram, {S::name("take"), S::type(integer), S::address(0x1000)});
  sample.add(kFormalParameter, {S::name("box"), S::type(box_pointer)});
  sample.add(kFormalParameter, {S::name("colour"), S::type(colour)});
  sample.add(kFormalParameter, {S::name("small"), S::type(small)});
  sample.add(kFormalParameter, {S::name("real"), S::type(real)});
  sample.add(kFormalParameter, {S::name("value"), S::type(point)});
  sample.add(kFormalParameter, {S::name("last"), S::type(number)});
  sample.add(kUnspecifiedParameters, {});
  sample.end();
  sample.end_unit();
}

}  // namespace waggle
