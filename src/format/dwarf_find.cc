// Finds functions and types of format/dwarf.h by name and address.
//
// Units refer to a name by its place in .debug_str, where a linker keeps it once, often as
// the end of another name. So a unit in whose bytes neither the four bytes of such a place
// nor the name itself occur does not have it: looking through 100 MB takes less time than
// decoding 10 MB.
#include <algorithm>
#include <cstring>
#include <utility>

#include "format/dwarf.h"
#include "format/dwarf_parts.h"

namespace waggle {
namespace {

constexpr size_t kStringPlacesMost = 4096;  // "a" is the end of more names than are worth it
constexpr size_t kPlacesOneByOne = 3;
constexpr size_t kScopesMost = 1u << 20;
constexpr unsigned kScopeDepthMost = 64;
// So many questions for functions are cheaper to answer from a table of all.
constexpr unsigned kSearchesBeforeTable = 8;

bool has_bytes(std::span<const std::byte> in, const void *what, size_t bytes) {
  return ::memmem(in.data(), in.size(), what, bytes) != nullptr;
}

// Where the last part of a scoped name begins: of "ns::map<a::b>::get" that is "get".
size_t last_part(std::string_view name) {
  unsigned depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < name.size(); i++) {
    if (name[i] == '<') depth++;
    if (name[i] == '>' && depth > 0) depth--;
    if (depth == 0 && name.substr(i, 2) == "::") begin = i + 2, i++;
  }
  return begin;
}

// Of a demangled name without its arguments: "ns::add(int)" is "ns::add".
std::string_view without_arguments(std::string_view name) {
  unsigned depth = 0;
  for (size_t i = 0; i < name.size(); i++) {
    if (name[i] == '<') depth++;
    if (name[i] == '>' && depth > 0) depth--;
    bool is_nameless = name.substr(i).starts_with("(anonymous namespace)");
    if (depth == 0 && name[i] == '(' && i > 0 && !is_nameless) return name.substr(0, i);
  }
  return name;
}

std::string_view base_name(std::string_view name) {
  name = without_arguments(name);
  // As ABI tags are demangled: "to_text[abi:cxx11]".
  name = name.substr(0, name.find("[abi:"));
  return name.substr(last_part(name));
}

// "ns::point" is meant by "ns::point" and "point".
bool ends_with_name(std::string_view scoped, std::string_view name) {
  if (!scoped.ends_with(name)) return false;
  std::string_view before = scoped.substr(0, scoped.size() - name.size());
  return before.empty() || before.ends_with("::");
}

bool is_record(DwarfTag tag) {
  return tag == DwarfTag::kStructure || tag == DwarfTag::kClass || tag == DwarfTag::kUnion;
}

bool is_scope(DwarfTag tag) {
  return tag == DwarfTag::kNamespace || is_record(tag);
}

bool is_of(DwarfTypeWord word, DwarfTag tag) {
  bool is_struct = tag == DwarfTag::kStructure || tag == DwarfTag::kClass;
  bool is_union = tag == DwarfTag::kUnion, is_enum = tag == DwarfTag::kEnumeration;
  switch (word) {
    case DwarfTypeWord::kStruct:
      return is_struct;
    case DwarfTypeWord::kUnion:
      return is_union;
    case DwarfTypeWord::kEnum:
      return is_enum;
    case DwarfTypeWord::kAny:
      break;
  }
  return is_struct || is_union || is_enum || tag == DwarfTag::kTypedef || tag == DwarfTag::kBaseType ||
         tag == DwarfTag::kTemplateAlias;
}

}  // namespace

Dwarf::Filter Dwarf::filter_of(std::string_view name) const {
  Filter filter;
  filter.name = name;
  std::string wanted(name);
  wanted.push_back('\0');
  const std::span<const std::byte> all = sections_.str;
  for (size_t at = 0; at < all.size();) {
    const void *found = ::memmem(all.data() + at, all.size() - at, wanted.data(), wanted.size());
    if (found == nullptr) break;
    auto place = static_cast<size_t>(static_cast<const std::byte *>(found) - all.data());
    filter.string_places.push_back(static_cast<uint32_t>(place));
    at = place + 1;
    if (filter.string_places.size() > kStringPlacesMost || place > UINT32_MAX) {
      filter.is_exact = false;
      break;
    }
  }
  filter.low_halves.resize(1u << 16);
  for (uint32_t place : filter.string_places) filter.low_halves[place & 0xffff] = true;
  return filter;
}

// Whether one of its places is referred to. Of 64-bit offsets the lower half is looked at.
bool Dwarf::Filter::has_place(std::span<const std::byte> in) const {
  if (string_places.size() <= kPlacesOneByOne)
    return std::any_of(string_places.begin(), string_places.end(),
                       [&](uint32_t place) { return has_bytes(in, &place, sizeof(place)); });
  for (size_t at = 0; at + sizeof(uint32_t) <= in.size(); at++) {
    uint32_t word = 0;
    std::memcpy(&word, in.data() + at, sizeof(word));
    if (low_halves[word & 0xffff] && std::binary_search(string_places.begin(), string_places.end(), word)) return true;
  }
  return false;
}

bool Dwarf::may_have(const Unit &unit, const Filter &filter) const {
  if (!filter.is_exact) return true;
  std::span<const std::byte> bytes = sections_.info.subspan(unit.first, unit.end - unit.first);
  if (filter.has_place(bytes)) return true;
  if (!sections_.str_offsets.empty() && unit.version >= 5) {
    prepare(unit);
    // Its table's length lies before it, and before that a version and padding.
    const uint64_t header_bytes = unit.offset_bytes + uint64_t{4};
    if (unit.string_offsets >= header_bytes) {
      DwarfCursor cursor{sections_.str_offsets, unit.string_offsets - header_bytes};
      uint64_t length = cursor.number(unit.offset_bytes);
      cursor.skip(4);
      if (!cursor.failed && length >= 4 && cursor.has(length - 4)) {
        std::span<const std::byte> table = sections_.str_offsets.subspan(cursor.at, length - 4);
        if (filter.has_place(table)) return true;
      }
    }
  }
  std::string wanted(filter.name);
  wanted.push_back('\0');
  return has_bytes(bytes, wanted.data(), wanted.size());
}

// --- functions --------------------------------------------------------------------------

DwarfOffset Dwarf::search_functions(const Filter *filter, std::string_view name, uint64_t address) const {
  const std::string_view base = base_name(name);
  DwarfOffset found = kDwarfNone, named = kDwarfNone;
  for (const Unit &unit : units_) {
    if (filter != nullptr && !may_have(unit, *filter)) continue;
    walk(unit, [&](const DwarfEntry &entry, unsigned depth) {
      if (entry.tag == DwarfTag::kSubprogram) {
        if (address != 0 && entry.address == address) {
          found = entry.offset;
          return Walk::kStop;
        }
        if (named == kDwarfNone && !entry.is_declaration && !base.empty()) {
          DwarfEntry full = entry.origin == kDwarfNone ? entry : completed(entry);
          if (full.name == base || full.name == name || full.linkage_name == name) named = entry.offset;
        }
        return Walk::kOver;
      }
      bool enters = depth == 0 || entry.tag == DwarfTag::kNamespace || (is_record(entry.tag) && !unit.is_c);
      return enters ? Walk::kInto : Walk::kOver;
    });
    if (found != kDwarfNone) return found;
  }
  return named;
}

void Dwarf::make_function_table() const {
  lazy_->has_functions = true;
  for (const Unit &unit : units_)
    walk(unit, [&](const DwarfEntry &entry, unsigned depth) {
      if (entry.tag == DwarfTag::kSubprogram) {
        if (entry.address && *entry.address != 0) lazy_->functions.try_emplace(*entry.address, entry.offset);
        return Walk::kOver;
      }
      bool enters = depth == 0 || entry.tag == DwarfTag::kNamespace || (is_record(entry.tag) && !unit.is_c);
      return enters ? Walk::kInto : Walk::kOver;
    });
}

DwarfOffset Dwarf::find_function(std::string_view name, uint64_t address) const {
  begin();
  if (address != 0 && !lazy_->has_functions && lazy_->searches++ >= kSearchesBeforeTable) make_function_table();
  if (address != 0 && lazy_->has_functions)
    if (auto known = lazy_->functions.find(address); known != lazy_->functions.end()) return known->second;
  begin();
  std::string_view base = base_name(name);
  if (!base.empty()) {
    Filter filter = filter_of(base);
    if (DwarfOffset found = search_functions(&filter, name, address); found != kDwarfNone) return found;
  }
  // The name of a template or of an operator is written in another way than it is demangled.
  begin();
  return search_functions(nullptr, name, address);
}

// --- types ------------------------------------------------------------------------------

DwarfOffset Dwarf::search_types_in(const Unit &unit, DwarfTypeWord word, std::string_view name) const {
  const std::string_view base = name.substr(last_part(name));
  DwarfOffset found = kDwarfNone;
  walk(unit, [&](const DwarfEntry &entry, unsigned depth) {
    // A template's parameters may be written with other blanks; that is not looked through.
    if (is_of(word, entry.tag) && !entry.is_declaration && (entry.name == base || entry.origin != kDwarfNone)) {
      bool is_it = base.size() == name.size() ? completed(entry).name == base
                                              : ends_with_name(scoped_name(completed(entry)), name);
      if (is_it) {
        found = entry.offset;
        return Walk::kStop;
      }
    }
    bool enters = depth == 0 || (is_scope(entry.tag) && !unit.is_c);
    return enters ? Walk::kInto : Walk::kOver;
  });
  return found;
}

DwarfOffset Dwarf::search_types(const Filter *filter, DwarfTypeWord word, std::string_view name,
                                DwarfOffset near) const {
  const Unit *first = near == kDwarfNone ? nullptr : unit_of(near);
  if (first != nullptr && (filter == nullptr || may_have(*first, *filter)))
    if (DwarfOffset found = search_types_in(*first, word, name); found != kDwarfNone) return found;
  for (const Unit &unit : units_) {
    if (&unit == first || (filter != nullptr && !may_have(unit, *filter))) continue;
    if (DwarfOffset found = search_types_in(unit, word, name); found != kDwarfNone) return found;
  }
  return kDwarfNone;
}

DwarfOffset Dwarf::find_type(DwarfTypeWord word, std::string_view name, DwarfOffset near) const {
  begin();
  std::string_view base = name.substr(last_part(name));
  if (base.empty()) return kDwarfNone;
  Filter filter = filter_of(base);
  return search_types(&filter, word, name, near);
}

// --- scopes -----------------------------------------------------------------------------

const std::vector<Dwarf::Scope> &Dwarf::scopes(const Unit &unit) const {
  auto [known, is_new] = lazy_->scopes.try_emplace(unit.begin);
  if (!is_new) return known->second;
  std::vector<Scope> found;
  // Ends are known as the walk comes back: what is open is a stack of places in `found`.
  std::vector<size_t> open;
  walk(unit, [&](const DwarfEntry &entry, unsigned depth) {
    while (open.size() >= std::max(depth, 1u)) found[open.back()].end = entry.offset, open.pop_back();
    if (depth == 0) return Walk::kInto;
    if (!is_scope(entry.tag) || !entry.has_children || depth > kScopeDepthMost || found.size() >= kScopesMost)
      return Walk::kOver;
    open.push_back(found.size());
    found.push_back({entry.next, unit.end, entry.name});
    return Walk::kInto;
  });
  return lazy_->scopes[unit.begin] = std::move(found);
}

std::string Dwarf::scoped_name(const DwarfEntry &entry) const {
  const Unit *unit = unit_of(entry.offset);
  if (unit == nullptr) return std::string(entry.name);
  prepare(*unit);
  if (unit->is_c || entry.name.empty()) return std::string(entry.name);
  // What completes a declaration is named by where that is.
  DwarfOffset place = entry.offset;
  std::optional<DwarfEntry> known = entry;
  for (unsigned i = 0; known && known->origin != kDwarfNone && i < kScopeDepthMost; i++) {
    const Unit *declared_in = unit_of(known->origin);
    if (declared_in == nullptr) break;
    unit = declared_in, place = known->origin;
    known = this->entry(place);
  }
  std::string name;
  for (const Scope &scope : scopes(*unit)) {
    if (scope.begin > place) break;
    if (place < scope.end && !scope.name.empty()) name.append(scope.name).append("::");
  }
  return name.append(entry.name);
}

}  // namespace waggle
