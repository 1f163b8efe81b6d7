// Entries of format/dwarf.h, and what others say of them.
#include <optional>
#include <vector>

#include "format/dwarf.h"
#include "format/dwarf_parts.h"

namespace waggle {
namespace {

constexpr size_t kChildrenMost = 1u << 16;
constexpr unsigned kOriginsMost = 8;  // an inlined method of a template has two

}  // namespace

std::optional<DwarfEntry> Dwarf::entry(DwarfOffset offset) const {
  const Unit *unit = unit_of(offset);
  DwarfEntry entry;
  if (unit == nullptr || !read(*unit, offset, entry) || entry.tag == DwarfTag::kNull) return std::nullopt;
  return entry;
}

DwarfOffset Dwarf::behind_children(const Unit &unit, const DwarfEntry &entry) const {
  if (!entry.has_children) return entry.next;
  // Always onwards, whatever is written there.
  auto known = [&](const DwarfEntry &of) { return of.sibling > of.next && of.sibling <= unit.end; };
  if (known(entry)) return entry.sibling;
  DwarfOffset at = entry.next;
  DwarfEntry inner;
  for (unsigned depth = 1; depth > 0;) {
    if (at >= unit.end || !read(unit, at, inner)) return unit.end;
    at = inner.next;
    if (inner.tag == DwarfTag::kNull)
      depth--;
    else if (inner.has_children && known(inner))
      at = inner.sibling;
    else if (inner.has_children)
      depth++;
  }
  return at;
}

std::vector<DwarfEntry> Dwarf::children(const DwarfEntry &entry) const {
  std::vector<DwarfEntry> found;
  const Unit *unit = unit_of(entry.offset);
  if (unit == nullptr || !entry.has_children) return found;
  DwarfOffset at = entry.next;
  DwarfEntry child;
  while (found.size() < kChildrenMost && at < unit->end && read(*unit, at, child) && child.tag != DwarfTag::kNull) {
    at = behind_children(*unit, child);
    found.push_back(child);
  }
  return found;
}

DwarfEntry Dwarf::completed(DwarfEntry entry) const {
  DwarfOffset origin = entry.origin;
  for (unsigned i = 0; i < kOriginsMost && origin != kDwarfNone; i++) {
    std::optional<DwarfEntry> known = this->entry(origin);
    if (!known) break;
    if (entry.name.empty()) entry.name = known->name;
    if (entry.linkage_name.empty()) entry.linkage_name = known->linkage_name;
    if (entry.type == kDwarfNone) entry.type = known->type;
    origin = known->origin;
  }
  return entry;
}

std::vector<DwarfEntry> Dwarf::parameters(const DwarfEntry &function) const {
  std::vector<DwarfEntry> found;
  DwarfEntry of = function;
  for (unsigned i = 0; i < kOriginsMost; i++) {
    for (const DwarfEntry &child : children(of))
      if (child.tag == DwarfTag::kFormalParameter || child.tag == DwarfTag::kUnspecifiedParameters)
        found.push_back(completed(child));
    // A definition that has none of its own has those it was declared with.
    std::optional<DwarfEntry> origin = of.origin == kDwarfNone ? std::nullopt : entry(of.origin);
    if (!found.empty() || !origin) break;
    of = *origin;
  }
  return found;
}

}  // namespace waggle
