// Reads the debug information of programs: what the functions of a file take, and how its
// types are laid out. Versions 2 to 5, of 32 and 64 bits, little-endian.
//
// A file has megabytes of it and a script asks for one function, so nothing is made of it
// but what is asked for: entries are decoded where they lie, and units whose bytes do not
// hold the name that is looked for are passed over without decoding any.
//
// Files come from programs that waggle watches. Every offset is checked against its
// section, what is malformed ends the unit it is in, and a call decodes a bounded number
// of entries: any bytes yield values in bounded time.
//
// Not read: split units (.dwo), supplementary files (dwz -m) and .debug_types.
// Threads: one, and what is const too: abbreviations are kept as they are first used.
// source: DWARF 5, chapters 2, 3, 5 and 7; DWARF 2 and 4 for what they do otherwise
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace waggle {

// Their contents, decompressed; empty where the file has none. They outlive the Dwarf.
struct DwarfSections {
  std::span<const std::byte> info, abbrev, str, line_str, str_offsets, addr;
  std::span<const std::byte> ranges, rnglists;
};

// The numbers are the format's own.
enum class DwarfTag : uint16_t {
  kNull = 0x00,  // the end of a list of children
  kArray = 0x01,
  kClass = 0x02,
  kEnumeration = 0x04,
  kFormalParameter = 0x05,
  kMember = 0x0d,
  kPointer = 0x0f,
  kReference = 0x10,
  kStructure = 0x13,
  kSubroutineType = 0x15,
  kTypedef = 0x16,
  kUnion = 0x17,
  kUnspecifiedParameters = 0x18,
  kInheritance = 0x1c,
  kPointerToMember = 0x1f,
  kSubrange = 0x21,
  kBaseType = 0x24,
  kConst = 0x26,
  kEnumerator = 0x28,
  kSubprogram = 0x2e,
  kVolatile = 0x35,
  kRestrict = 0x37,
  kNamespace = 0x39,
  kUnspecifiedType = 0x3b,
  kRvalueReference = 0x42,
  kTemplateAlias = 0x43,
  kAtomic = 0x47,
};

// Of a base type: DW_ATE_*.
enum class DwarfEncoding : uint8_t {
  kNone = 0,
  kBoolean = 2,
  kComplex = 3,
  kFloat = 4,
  kSigned = 5,
  kSignedChar = 6,
  kUnsigned = 7,
  kUnsignedChar = 8,
  kImaginary = 9,
  kDecimalFloat = 15,
};

// Where an entry begins in .debug_info. No entry is at 0, where the first unit's header is.
using DwarfOffset = uint64_t;
constexpr DwarfOffset kDwarfNone = 0;

struct DwarfEntry {
  DwarfOffset offset = kDwarfNone;
  DwarfTag tag = DwarfTag::kNull;
  bool has_children = false;
  bool is_declaration = false, is_external = false;
  DwarfEncoding encoding = DwarfEncoding::kNone;
  std::string_view name, linkage_name;
  DwarfOffset type = kDwarfNone;    // of what it is a pointer to, an array of, or returns
  DwarfOffset origin = kDwarfNone;  // the entry that it completes: its abstract origin or specification
  DwarfOffset sibling = kDwarfNone;
  std::optional<uint64_t> address;  // where a function's code begins, as the file was linked
  std::optional<uint64_t> bytes, bit_size, bit_offset, data_bit_offset, member_offset, count, upper_bound;
  std::optional<int64_t> value;   // of an enumerator
  DwarfOffset next = kDwarfNone;  // behind its attributes
};

// What a name is looked for among.
enum class DwarfTypeWord : uint8_t { kAny, kStruct, kUnion, kEnum };

class Dwarf {
 public:
  // Reads the units' headers: 10 us for a thousand.
  //   errors  Invalid      a header lies outside of the section
  //           Unsupported  there is no debug information, or only split units
  static Result<Dwarf> parse(const DwarfSections &sections);
  Dwarf(Dwarf &&) noexcept;
  Dwarf &operator=(Dwarf &&) noexcept;
  ~Dwarf();

  // The function whose code begins at `address`; else one of that name, which may be as it
  // is written ("add"), as it is demangled ("ns::add(int)") or as it is linked.
  // kDwarfNone: there is none. Asked for many, it makes a table of all.
  DwarfOffset find_function(std::string_view name, uint64_t address) const;

  // The definition of a type: "point", "ns::point"; without the namespaces the first that
  // ends so. `near` is an entry whose unit is looked into first.
  DwarfOffset find_type(DwarfTypeWord word, std::string_view name, DwarfOffset near = kDwarfNone) const;

  // Nothing where no entry can begin, and when a call has decoded too many.
  std::optional<DwarfEntry> entry(DwarfOffset offset) const;
  // Its children, theirs not included; at most 2^16.
  std::vector<DwarfEntry> children(const DwarfEntry &entry) const;
  // The same entry with the name and type of the entry that it completes.
  DwarfEntry completed(DwarfEntry entry) const;
  // A function's formal parameters, completed, and "..." as an kUnspecifiedParameters.
  std::vector<DwarfEntry> parameters(const DwarfEntry &function) const;
  // "ns::point": with the namespaces and classes that it is in.
  std::string scoped_name(const DwarfEntry &entry) const;

  // Allows as much decoding again: whoever begins something new says so.
  void begin() const;

 private:
  struct Unit;
  struct Abbreviations;
  struct Attribute;
  struct Scope;
  struct Filter;
  struct Lazy;
  enum class Walk : uint8_t { kOver, kInto, kStop };

  Dwarf();
  Result<void> read_units();
  const Unit *unit_of(DwarfOffset offset) const;
  const Abbreviations *abbreviations_of(const Unit &unit) const;
  void prepare(const Unit &unit) const;
  bool read(const Unit &unit, DwarfOffset at, DwarfEntry &entry) const;
  void take(const Unit &unit, const Attribute &attribute, struct DwarfCursor &cursor, DwarfEntry &entry) const;
  std::string_view indexed_string(const Unit &unit, uint64_t index) const;
  std::optional<uint64_t> indexed_address(const Unit &unit, uint64_t index) const;
  std::optional<uint64_t> first_address(const Unit &unit, uint64_t ranges, bool is_index) const;
  DwarfOffset behind_children(const Unit &unit, const DwarfEntry &entry) const;
  // Calls visit(entry, depth) for the root, at depth 0, and what it is let into.
  template <typename Visit>
  void walk(const Unit &unit, Visit visit) const;
  // The namespaces and classes of a unit, outer ones before inner ones.
  const std::vector<Scope> &scopes(const Unit &unit) const;

  Filter filter_of(std::string_view name) const;
  bool may_have(const Unit &unit, const Filter &filter) const;
  void make_function_table() const;
  DwarfOffset search_functions(const Filter *filter, std::string_view name, uint64_t address) const;
  DwarfOffset search_types(const Filter *filter, DwarfTypeWord word, std::string_view name, DwarfOffset near) const;
  DwarfOffset search_types_in(const Unit &unit, DwarfTypeWord word, std::string_view name) const;

  DwarfSections sections_;
  std::vector<Unit> units_;  // by offset
  std::unique_ptr<Lazy> lazy_;
};

}  // namespace waggle
