#include "format/dwarf.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "format/dwarf_parts.h"

namespace waggle {
namespace {

constexpr size_t kUnitsMost = 1u << 20;  // Chromium has 40,000
constexpr size_t kAbbreviationsMost = 1u << 16, kAttributesMost = 1u << 18;

// DW_AT_*.
enum At : uint16_t {
  kAtSibling = 0x01,
  kAtName = 0x03,
  kAtByteSize = 0x0b,
  kAtBitOffset = 0x0c,
  kAtBitSize = 0x0d,
  kAtLowPc = 0x11,
  kAtLanguage = 0x13,
  kAtConstValue = 0x1c,
  kAtUpperBound = 0x2f,
  kAtAbstractOrigin = 0x31,
  kAtCount = 0x37,
  kAtMemberLocation = 0x38,
  kAtDeclaration = 0x3c,
  kAtEncoding = 0x3e,
  kAtExternal = 0x3f,
  kAtSpecification = 0x47,
  kAtType = 0x49,
  kAtRanges = 0x55,
  kAtSignature = 0x69,
  kAtDataBitOffset = 0x6b,
  kAtLinkageName = 0x6e,
  kAtStrOffsetsBase = 0x72,
  kAtAddrBase = 0x73,
  kAtRnglistsBase = 0x74,
  kAtMipsLinkageName = 0x2007,
};

// DW_FORM_*.
enum Form : uint16_t {
  kFormAddr = 0x01,
  kFormBlock2 = 0x03,
  kFormBlock4 = 0x04,
  kFormData2 = 0x05,
  kFormData4 = 0x06,
  kFormData8 = 0x07,
  kFormString = 0x08,
  kFormBlock = 0x09,
  kFormBlock1 = 0x0a,
  kFormData1 = 0x0b,
  kFormFlag = 0x0c,
  kFormSdata = 0x0d,
  kFormStrp = 0x0e,
  kFormUdata = 0x0f,
  kFormRefAddr = 0x10,
  kFormRef1 = 0x11,
  kFormRef2 = 0x12,
  kFormRef4 = 0x13,
  kFormRef8 = 0x14,
  kFormRefUdata = 0x15,
  kFormIndirect = 0x16,
  kFormSecOffset = 0x17,
  kFormExprloc = 0x18,
  kFormFlagPresent = 0x19,
  kFormStrx = 0x1a,
  kFormAddrx = 0x1b,
  kFormRefSup4 = 0x1c,
  kFormStrpSup = 0x1d,
  kFormData16 = 0x1e,
  kFormLineStrp = 0x1f,
  kFormRefSig8 = 0x20,
  kFormImplicitConst = 0x21,
  kFormLoclistx = 0x22,
  kFormRnglistx = 0x23,
  kFormRefSup8 = 0x24,
  kFormStrx1 = 0x25,
  kFormStrx2 = 0x26,
  kFormStrx3 = 0x27,
  kFormStrx4 = 0x28,
  kFormAddrx1 = 0x29,
  kFormAddrx2 = 0x2a,
  kFormAddrx3 = 0x2b,
  kFormAddrx4 = 0x2c,
  kFormGnuRefAlt = 0x1f20,
  kFormGnuStrpAlt = 0x1f21,
};

// DW_UT_*.
enum UnitType : uint8_t { kUnitCompile = 1, kUnitType = 2, kUnitPartial = 3, kUnitSkeleton = 4 };

// DW_LANG_* of C; of everything else names may be in scopes.
bool is_language_c(uint64_t language) {
  return language == 0x01 || language == 0x02 || language == 0x0c || language == 0x1d || language == 0x2c;
}

std::string_view text_at(std::span<const std::byte> section, uint64_t offset) {
  DwarfCursor cursor{section, offset};
  return cursor.text();
}

// An attribute as it is written: what it means depends on its name.
struct Written {
  enum class Kind : uint8_t { kNothing, kUnsigned, kSigned, kText, kReference, kSignature, kAddressIndex, kBlock };
  Kind kind = Kind::kNothing;
  uint64_t number = 0;
  std::string_view text;

  std::optional<uint64_t> constant() const {
    if (kind == Kind::kUnsigned || kind == Kind::kSigned) return number;
    return std::nullopt;
  }
};

}  // namespace

Dwarf::Dwarf() : lazy_(std::make_unique<Lazy>()) {}
Dwarf::Dwarf(Dwarf &&) noexcept = default;
Dwarf &Dwarf::operator=(Dwarf &&) noexcept = default;
Dwarf::~Dwarf() = default;

Result<Dwarf> Dwarf::parse(const DwarfSections &sections) {
  Dwarf dwarf;
  dwarf.sections_ = sections;
  TRY(dwarf.read_units());
  if (dwarf.units_.empty())
    return fail(ErrorCode::kUnsupported, "there is no debug information", "no unit of .debug_info can be read");
  return dwarf;
}

Result<void> Dwarf::read_units() {
  auto invalid = [](uint64_t at, std::string_view what) {
    return fail(ErrorCode::kInvalid, "the debug information is malformed",
                fmt::format("the unit at {:#x} of .debug_info {}", at, what));
  };
  DwarfCursor cursor{sections_.info};
  while (cursor.at < sections_.info.size()) {
    Unit unit;
    unit.begin = cursor.at;
    unit.offset_bytes = 4;
    uint64_t length = cursor.number(4);
    if (length == UINT32_MAX) {
      unit.offset_bytes = 8;
      length = cursor.number(8);
    }
    if (cursor.failed || !cursor.has(length)) return invalid(unit.begin, "reaches beyond its end");
    unit.end = cursor.at + length;
    // Padding between units.
    if (length == 0) continue;
    unit.version = static_cast<uint16_t>(cursor.number(2));
    uint8_t type = kUnitCompile;
    if (unit.version >= 5) {
      type = static_cast<uint8_t>(cursor.number(1));
      unit.address_bytes = static_cast<uint8_t>(cursor.number(1));
      unit.abbreviations = cursor.number(unit.offset_bytes);
      if (type == kUnitType) {
        unit.signature = cursor.number(8);
        unit.signed_type = unit.begin + cursor.number(unit.offset_bytes);
      }
      if (type == kUnitSkeleton) cursor.skip(8);
    } else {
      unit.abbreviations = cursor.number(unit.offset_bytes);
      unit.address_bytes = static_cast<uint8_t>(cursor.number(1));
    }
    if (cursor.failed || cursor.at > unit.end) return invalid(unit.begin, "ends in its header");
    unit.first = cursor.at;
    cursor.at = unit.end;
    bool is_readable = unit.version >= 2 && unit.version <= 5 && type >= kUnitCompile && type <= kUnitSkeleton &&
                       (unit.address_bytes == 4 || unit.address_bytes == 8);
    if (!is_readable) continue;
    if (units_.size() == kUnitsMost)
      return fail(ErrorCode::kExhausted, "the debug information is too large",
                  fmt::format("more than {} units", kUnitsMost));
    units_.push_back(unit);
  }
  return {};
}

void Dwarf::begin() const {
  lazy_->decoded = 0;
}

const Dwarf::Unit *Dwarf::unit_of(DwarfOffset offset) const {
  auto after = std::upper_bound(units_.begin(), units_.end(), offset,
                                [](DwarfOffset at, const Unit &unit) { return at < unit.begin; });
  if (after == units_.begin()) return nullptr;
  const Unit &unit = *(after - 1);
  return offset >= unit.first && offset < unit.end ? &unit : nullptr;
}

const Dwarf::Abbreviations *Dwarf::abbreviations_of(const Unit &unit) const {
  std::unique_ptr<Abbreviations> &known = lazy_->abbreviations[unit.abbreviations];
  if (known != nullptr) return known.get();
  known = std::make_unique<Abbreviations>();
  DwarfCursor cursor{sections_.abbrev, unit.abbreviations};
  while (known->dense.size() + known->others.size() < kAbbreviationsMost) {
    uint64_t code = cursor.unsigned_leb();
    if (cursor.failed || code == 0) break;
    Abbreviations::Row row;
    row.tag = static_cast<DwarfTag>(cursor.unsigned_leb());
    row.has_children = cursor.number(1) != 0;
    row.first = static_cast<uint32_t>(known->attributes.size());
    while (!cursor.failed && known->attributes.size() < kAttributesMost) {
      Attribute attribute;
      attribute.name = static_cast<uint16_t>(cursor.unsigned_leb());
      attribute.form = static_cast<uint16_t>(cursor.unsigned_leb());
      if (attribute.form == kFormImplicitConst) attribute.value = cursor.signed_leb();
      if (attribute.name == 0 && attribute.form == 0) break;
      known->attributes.push_back(attribute);
    }
    if (cursor.failed) break;
    row.count = static_cast<uint32_t>(known->attributes.size()) - row.first;
    if (code == known->dense.size() + 1)
      known->dense.push_back(row);
    else
      known->others.emplace(code, row);
  }
  return known.get();
}

// The bases of its tables, which its first entry has: behind attributes that need them, so
// that they are looked for before that entry is read.
void Dwarf::prepare(const Unit &unit) const {
  if (unit.is_prepared) return;
  unit.is_prepared = true;
  DwarfCursor cursor{sections_.info.first(unit.end), unit.first};
  const Abbreviations *abbreviations = abbreviations_of(unit);
  const Abbreviations::Row *row = abbreviations->find(cursor.unsigned_leb());
  if (row == nullptr) return;
  DwarfEntry ignored;
  for (uint32_t i = 0; i < row->count && !cursor.failed; i++) {
    const Attribute &attribute = abbreviations->attributes[row->first + i];
    uint64_t begin = cursor.at;
    take(unit, attribute, cursor, ignored);
    bool is_offset = attribute.form == kFormSecOffset || attribute.form == kFormData4;
    DwarfCursor again{cursor.bytes, begin};
    if (attribute.name == kAtStrOffsetsBase && is_offset) unit.string_offsets = again.number(unit.offset_bytes);
    if (attribute.name == kAtAddrBase && is_offset) unit.addresses = again.number(unit.offset_bytes);
    if (attribute.name == kAtRnglistsBase && is_offset) unit.range_lists = again.number(unit.offset_bytes);
    if (attribute.name == kAtLowPc && attribute.form == kFormAddr) unit.base_address = again.number(unit.address_bytes);
    if (attribute.name != kAtLanguage) continue;
    unsigned bytes = attribute.form == kFormData1 ? 1 : attribute.form == kFormData2 ? 2 : 0;
    unit.is_c = is_language_c(attribute.form == kFormImplicitConst ? static_cast<uint64_t>(attribute.value)
                                                                   : again.number(bytes));
  }
}

std::string_view Dwarf::indexed_string(const Unit &unit, uint64_t index) const {
  if (index > sections_.str_offsets.size()) return {};
  DwarfCursor cursor{sections_.str_offsets, unit.string_offsets + index * unit.offset_bytes};
  uint64_t offset = cursor.number(unit.offset_bytes);
  return cursor.failed ? std::string_view() : text_at(sections_.str, offset);
}

std::optional<uint64_t> Dwarf::indexed_address(const Unit &unit, uint64_t index) const {
  if (index > sections_.addr.size()) return std::nullopt;
  DwarfCursor cursor{sections_.addr, unit.addresses + index * unit.address_bytes};
  uint64_t address = cursor.number(unit.address_bytes);
  return cursor.failed ? std::nullopt : std::optional(address);
}

// Of a function in several pieces, of which the first is where it is entered.
std::optional<uint64_t> Dwarf::first_address(const Unit &unit, uint64_t ranges, bool is_index) const {
  uint64_t base = unit.base_address;
  if (unit.version < 5) {
    DwarfCursor cursor{sections_.ranges, ranges};
    const uint64_t all_ones = unit.address_bytes == 4 ? UINT32_MAX : UINT64_MAX;
    while (!cursor.failed) {
      uint64_t begin = cursor.number(unit.address_bytes), end = cursor.number(unit.address_bytes);
      if (begin == all_ones)
        base = end;
      else
        return cursor.failed || (begin == 0 && end == 0) ? std::nullopt : std::optional(base + begin);
    }
    return std::nullopt;
  }
  if (is_index) {
    if (ranges > sections_.rnglists.size()) return std::nullopt;
    DwarfCursor table{sections_.rnglists, unit.range_lists + ranges * unit.offset_bytes};
    ranges = unit.range_lists + table.number(unit.offset_bytes);
    if (table.failed) return std::nullopt;
  }
  // DW_RLE_*.
  enum : uint8_t { kBaseAddressx = 1, kStartxEndx, kStartxLength, kOffsetPair, kBaseAddress, kStartEnd, kStartLength };
  DwarfCursor cursor{sections_.rnglists, ranges};
  while (!cursor.failed) {
    switch (cursor.number(1)) {
      case kBaseAddressx:
        base = indexed_address(unit, cursor.unsigned_leb()).value_or(0);
        break;
      case kBaseAddress:
        base = cursor.number(unit.address_bytes);
        break;
      case kStartxEndx:
      case kStartxLength:
        return indexed_address(unit, cursor.unsigned_leb());
      case kOffsetPair:
        base += cursor.unsigned_leb();
        return cursor.failed ? std::nullopt : std::optional(base);
      case kStartEnd:
      case kStartLength:
        base = cursor.number(unit.address_bytes);
        return cursor.failed ? std::nullopt : std::optional(base);
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

bool Dwarf::read(const Unit &unit, DwarfOffset at, DwarfEntry &entry) const {
  // More than any walk over all of it takes.
  if (lazy_->decoded++ > 4 * sections_.info.size() + 4096) return false;
  if (!unit.is_prepared) prepare(unit);
  entry = DwarfEntry();
  entry.offset = at;
  DwarfCursor cursor{sections_.info.first(unit.end), at};
  uint64_t code = cursor.unsigned_leb();
  if (cursor.failed) return false;
  if (code != 0) {
    const Abbreviations *abbreviations = abbreviations_of(unit);
    const Abbreviations::Row *row = abbreviations->find(code);
    if (row == nullptr) return false;
    entry.tag = row->tag;
    entry.has_children = row->has_children;
    for (uint32_t i = 0; i < row->count && !cursor.failed; i++)
      take(unit, abbreviations->attributes[row->first + i], cursor, entry);
  }
  entry.next = cursor.at;
  return !cursor.failed;
}

void Dwarf::take(const Unit &unit, const Attribute &attribute, DwarfCursor &cursor, DwarfEntry &entry) const {
  using Kind = Written::Kind;
  Written written;
  auto is = [&](Kind kind, uint64_t number) {
    written.kind = kind;
    written.number = number;
  };
  auto text = [&](std::string_view given) {
    written.kind = Kind::kText;
    written.text = given;
  };
  auto block = [&](uint64_t bytes) {
    is(Kind::kBlock, 0);
    // In DWARF 2 a member is where "DW_OP_plus_uconst N" says.
    constexpr uint8_t kPlusConstant = 0x23;
    DwarfCursor inside{cursor.bytes, cursor.at};
    if (attribute.name == kAtMemberLocation && bytes > 1 && inside.number(1) == kPlusConstant)
      is(Kind::kUnsigned, inside.unsigned_leb());
    cursor.skip(bytes);
  };
  // What is signed is so by its form; data of a fixed size is extended where that matters.
  auto data = [&](unsigned bytes) {
    uint64_t number = cursor.number(bytes);
    // An enumerator's value and an array's last index, which is -1 where it has none.
    if (attribute.name == kAtUpperBound && bytes < 8 && number == (uint64_t{1} << (bytes * 8)) - 1) number = UINT64_MAX;
    is(Kind::kUnsigned, number);
  };
  uint64_t form = attribute.form == kFormIndirect ? cursor.unsigned_leb() : attribute.form;
  switch (form) {
    case kFormAddr:
      is(Kind::kUnsigned, cursor.number(unit.address_bytes));
      break;
    case kFormBlock1:
      block(cursor.number(1));
      break;
    case kFormBlock2:
      block(cursor.number(2));
      break;
    case kFormBlock4:
      block(cursor.number(4));
      break;
    case kFormBlock:
    case kFormExprloc:
      block(cursor.unsigned_leb());
      break;
    case kFormData1:
      data(1);
      break;
    case kFormData2:
      data(2);
      break;
    case kFormData4:
      data(4);
      break;
    case kFormData8:
      data(8);
      break;
    case kFormData16:
      cursor.skip(16);
      break;
    case kFormFlag:
      is(Kind::kUnsigned, cursor.number(1));
      break;
    case kFormFlagPresent:
      is(Kind::kUnsigned, 1);
      break;
    case kFormSdata:
      is(Kind::kSigned, static_cast<uint64_t>(cursor.signed_leb()));
      break;
    case kFormImplicitConst:
      is(Kind::kSigned, static_cast<uint64_t>(attribute.value));
      break;
    case kFormUdata:
      is(Kind::kUnsigned, cursor.unsigned_leb());
      break;
    case kFormString:
      text(cursor.text());
      break;
    case kFormStrp:
      text(text_at(sections_.str, cursor.number(unit.offset_bytes)));
      break;
    case kFormLineStrp:
      text(text_at(sections_.line_str, cursor.number(unit.offset_bytes)));
      break;
    case kFormStrx:
      text(indexed_string(unit, cursor.unsigned_leb()));
      break;
    case kFormStrx1:
    case kFormStrx2:
    case kFormStrx3:
    case kFormStrx4:
      text(indexed_string(unit, cursor.number(static_cast<unsigned>(form - kFormStrx1) + 1)));
      break;
    case kFormAddrx:
      is(Kind::kAddressIndex, cursor.unsigned_leb());
      break;
    case kFormAddrx1:
    case kFormAddrx2:
    case kFormAddrx3:
    case kFormAddrx4:
      is(Kind::kAddressIndex, cursor.number(static_cast<unsigned>(form - kFormAddrx1) + 1));
      break;
    case kFormRef1:
      is(Kind::kReference, unit.begin + cursor.number(1));
      break;
    case kFormRef2:
      is(Kind::kReference, unit.begin + cursor.number(2));
      break;
    case kFormRef4:
      is(Kind::kReference, unit.begin + cursor.number(4));
      break;
    case kFormRef8:
      is(Kind::kReference, unit.begin + cursor.number(8));
      break;
    case kFormRefUdata:
      is(Kind::kReference, unit.begin + cursor.unsigned_leb());
      break;
    case kFormRefAddr:
      // DWARF 2 has an address there, and means an offset.
      is(Kind::kReference, cursor.number(unit.version == 2 ? unit.address_bytes : unit.offset_bytes));
      break;
    case kFormRefSig8:
      is(Kind::kSignature, cursor.number(8));
      break;
    case kFormSecOffset:
      is(Kind::kUnsigned, cursor.number(unit.offset_bytes));
      break;
    case kFormStrpSup:
    case kFormGnuRefAlt:
    case kFormGnuStrpAlt:
      cursor.skip(unit.offset_bytes);
      break;
    case kFormRefSup4:
      cursor.skip(4);
      break;
    case kFormRefSup8:
      cursor.skip(8);
      break;
    case kFormRnglistx:
      is(Kind::kAddressIndex, cursor.unsigned_leb());
      break;
    case kFormLoclistx:
      (void)cursor.unsigned_leb();
      break;
    default:
      // Where its bytes end cannot be known.
      cursor.failed = true;
      return;
  }
  if (written.kind == Kind::kSignature) {
    is(Kind::kNothing, written.number);
    for (const Unit &each : units_)
      if (each.signed_type != kDwarfNone && each.signature == written.number) is(Kind::kReference, each.signed_type);
  }
  bool is_reference = written.kind == Kind::kReference;
  bool is_set = written.kind == Kind::kUnsigned && written.number != 0;
  switch (attribute.name) {
    case kAtSibling:
      if (is_reference) entry.sibling = written.number;
      break;
    case kAtName:
      entry.name = written.text;
      break;
    case kAtLinkageName:
    case kAtMipsLinkageName:
      entry.linkage_name = written.text;
      break;
    case kAtType:
      if (is_reference) entry.type = written.number;
      break;
    case kAtAbstractOrigin:
    case kAtSpecification:
    case kAtSignature:
      if (is_reference) entry.origin = written.number;
      break;
    case kAtLowPc:
      if (written.kind == Kind::kUnsigned) entry.address = written.number;
      if (written.kind == Kind::kAddressIndex) entry.address = indexed_address(unit, written.number);
      break;
    case kAtRanges:
      if (entry.tag == DwarfTag::kSubprogram && !entry.address)
        entry.address = first_address(unit, written.number, written.kind == Kind::kAddressIndex);
      break;
    case kAtByteSize:
      entry.bytes = written.constant();
      break;
    case kAtBitSize:
      entry.bit_size = written.constant();
      break;
    case kAtBitOffset:
      entry.bit_offset = written.constant();
      break;
    case kAtDataBitOffset:
      entry.data_bit_offset = written.constant();
      break;
    case kAtMemberLocation:
      // A list of locations is no place.
      if (form != kFormSecOffset) entry.member_offset = written.constant();
      break;
    case kAtCount:
      entry.count = written.constant();
      break;
    case kAtUpperBound:
      entry.upper_bound = written.constant();
      break;
    case kAtConstValue:
      if (std::optional<uint64_t> value = written.constant()) entry.value = static_cast<int64_t>(*value);
      break;
    case kAtEncoding:
      entry.encoding = static_cast<DwarfEncoding>(written.number);
      break;
    case kAtDeclaration:
      entry.is_declaration = is_set;
      break;
    case kAtExternal:
      entry.is_external = is_set;
      break;
    default:
      break;
  }
}

}  // namespace waggle
