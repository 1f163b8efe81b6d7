#include "format/dwarf_btf.h"

#include <linux/btf.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "format/btf_writer.h"

namespace waggle {
namespace {

// What fits into a list of BTF, and into the offset of a member of a record with bit fields.
constexpr size_t kListMost = 0xffff;
constexpr uint64_t kBitOffsetMost = 0xffffff;
constexpr uint64_t kBytesMost = 1u << 31;
constexpr uint32_t kBitsOfByte = 8, kPointerBytes = 8;
constexpr unsigned kModifiersMost = 64;
// Beyond it nothing at all is followed.
constexpr size_t kItemsMost = 4 * kDwarfTypesMost;

// A type that gets a record of its own: its id is its place in the list.
struct Item {
  enum class What : uint8_t {
    kEntry,
    kDeclaration,  // the record is named, and no more
    kArrayRest,    // an array's dimensions from `dimension` on
    kPrototype,    // of a function or a type of functions
    kWord,         // what arrays are indexed with, and what cannot be said otherwise
  };
  What what = What::kEntry;
  DwarfOffset offset = kDwarfNone;
  uint32_t dimension = 0;
  auto operator<=>(const Item &) const = default;
};

bool is_record(DwarfTag tag) {
  return tag == DwarfTag::kStructure || tag == DwarfTag::kClass || tag == DwarfTag::kUnion;
}

uint32_t info_of(uint32_t kind, size_t count = 0, bool flag = false) {
  return kind << 24 | static_cast<uint32_t>(count) | (flag ? 1u << 31 : 0);
}

class Writer {
 public:
  explicit Writer(const Dwarf &dwarf) : dwarf_(dwarf) {}

  std::vector<std::byte> write(DwarfOffset root) {
    items_.push_back({Item::What::kEntry, root, 0});
    ids_.emplace(items_.front(), kDwarfRoot);
    // Each adds those it refers to.
    for (size_t i = 0; i < items_.size(); i++) write_item(Item(items_[i]));
    return out_.bytes();
  }

 private:
  BtfId id_of(const Item &item) {
    if (auto known = ids_.find(item); known != ids_.end()) return known->second;
    if (items_.size() >= kItemsMost) return kBtfVoid;
    items_.push_back(item);
    auto id = static_cast<BtfId>(items_.size());
    ids_.emplace(item, id);
    return id;
  }

  // Of the type that an entry refers to.
  BtfId id_of(DwarfOffset offset, bool behind_pointer = false) {
    std::optional<DwarfEntry> entry = offset == kDwarfNone ? std::nullopt : dwarf_.entry(offset);
    // BTF has no word for "atomic"; what a declaration's signature names is the definition.
    for (unsigned i = 0; entry && i < kModifiersMost; i++) {
      if (entry->tag == DwarfTag::kAtomic)
        entry = entry->type == kDwarfNone ? std::nullopt : dwarf_.entry(entry->type);
      else if (is_record(entry->tag) && entry->is_declaration && entry->origin != kDwarfNone)
        entry = dwarf_.entry(entry->origin);
      else
        break;
    }
    if (!entry || entry->tag == DwarfTag::kUnspecifiedType) return kBtfVoid;
    Item item{Item::What::kEntry, entry->offset, 0};
    if (entry->tag == DwarfTag::kSubroutineType) item.what = Item::What::kPrototype;
    bool is_far = items_.size() >= kDwarfTypesMost && behind_pointer && is_record(entry->tag) && !entry->name.empty();
    if (is_far && !ids_.contains(item)) item.what = Item::What::kDeclaration;
    return id_of(item);
  }

  void put(uint32_t name, uint32_t info, uint32_t size_or_type) {
    btf_type head = {};
    head.name_off = name;
    head.info = info;
    head.type = size_or_type;
    out_.put(head);
  }

  // What has no word in BTF is as many bytes of a number.
  void put_integer(std::string_view name, uint64_t bytes, uint32_t encoding) {
    auto known = static_cast<uint32_t>(std::clamp<uint64_t>(bytes, 1, 16));
    put(out_.string(name), info_of(BTF_KIND_INT), known);
    out_.put(encoding << 24 | std::min(known * kBitsOfByte, 128u));
  }

  void write_item(const Item &item) {
    if (item.what == Item::What::kWord) return put_integer("unsigned long", 8, 0);
    std::optional<DwarfEntry> found = dwarf_.entry(item.offset);
    // Once the limit of what is decoded has been reached.
    if (!found) return put(0, info_of(BTF_KIND_PTR), kBtfVoid);
    const DwarfEntry entry = dwarf_.completed(*found);
    switch (item.what) {
      case Item::What::kPrototype:
        return write_prototype(entry);
      case Item::What::kArrayRest:
        return write_array(entry, item.dimension);
      case Item::What::kDeclaration:
        return put(name_of(entry), info_of(BTF_KIND_FWD, 0, entry.tag == DwarfTag::kUnion), 0);
      default:
        return write_entry(entry);
    }
  }

  uint32_t name_of(const DwarfEntry &entry) { return out_.string(dwarf_.scoped_name(entry)); }

  void write_entry(const DwarfEntry &entry) {
    switch (entry.tag) {
      case DwarfTag::kSubprogram: {
        uint32_t name = name_of(entry);
        return put(name, info_of(BTF_KIND_FUNC, BTF_FUNC_STATIC), id_of(Item{Item::What::kPrototype, entry.offset, 0}));
      }
      case DwarfTag::kBaseType:
        return write_base(entry);
      case DwarfTag::kPointer:
      case DwarfTag::kReference:
      case DwarfTag::kRvalueReference:
        return put(0, info_of(BTF_KIND_PTR), id_of(entry.type, /*behind_pointer=*/true));
      case DwarfTag::kConst:
        return put(0, info_of(BTF_KIND_CONST), id_of(entry.type));
      case DwarfTag::kVolatile:
        return put(0, info_of(BTF_KIND_VOLATILE), id_of(entry.type));
      case DwarfTag::kRestrict:
        return put(0, info_of(BTF_KIND_RESTRICT), id_of(entry.type));
      case DwarfTag::kTypedef:
      case DwarfTag::kTemplateAlias: {
        uint32_t name = name_of(entry);
        return put(name, info_of(BTF_KIND_TYPEDEF), id_of(entry.type));
      }
      case DwarfTag::kStructure:
      case DwarfTag::kClass:
      case DwarfTag::kUnion:
        return write_record(entry);
      case DwarfTag::kEnumeration:
        return write_enum(entry);
      case DwarfTag::kArray:
        return write_array(entry, 0);
      default:
        // A pointer to a member, and what other languages have.
        return put_integer({}, entry.bytes.value_or(kPointerBytes), 0);
    }
  }

  void write_base(const DwarfEntry &entry) {
    uint64_t bytes = entry.bytes.value_or(0);
    switch (entry.encoding) {
      case DwarfEncoding::kBoolean:
        return put_integer(entry.name, bytes, BTF_INT_BOOL);
      case DwarfEncoding::kSigned:
      case DwarfEncoding::kSignedChar:
        return put_integer(entry.name, bytes, BTF_INT_SIGNED);
      case DwarfEncoding::kFloat:
      case DwarfEncoding::kComplex:
      case DwarfEncoding::kImaginary:
      case DwarfEncoding::kDecimalFloat:
        return put(out_.string(entry.name), info_of(BTF_KIND_FLOAT),
                   static_cast<uint32_t>(std::clamp<uint64_t>(bytes, 1, 32)));
      default:
        return put_integer(entry.name, bytes, 0);
    }
  }

  struct Member {
    std::string_view name;
    BtfId type = kBtfVoid;
    uint64_t bit = 0;
    uint32_t bits = 0;  // of a bit field
  };

  Member member_of(const DwarfEntry &entry) {
    Member member;
    if (entry.tag == DwarfTag::kMember) member.name = entry.name;
    member.type = id_of(entry.type);
    member.bit = entry.member_offset.value_or(0) * kBitsOfByte;
    if (!entry.bit_size) return member;
    member.bits = static_cast<uint32_t>(std::min<uint64_t>(*entry.bit_size, 64));
    if (entry.data_bit_offset) {
      member.bit += *entry.data_bit_offset;
    } else if (entry.bit_offset) {
      // Counted from the highest bit of what it is stored in.
      uint64_t storage = entry.bytes.value_or(bytes_of(entry.type)) * kBitsOfByte;
      uint64_t behind = *entry.bit_offset + member.bits;
      // In clang's DWARF 2 it may be negative, where the field crosses over.
      member.bit += storage - behind;
    }
    return member;
  }

  uint64_t bytes_of(DwarfOffset type) const {
    for (unsigned i = 0; i < kModifiersMost && type != kDwarfNone; i++) {
      std::optional<DwarfEntry> entry = dwarf_.entry(type);
      if (!entry) break;
      if (entry->bytes) return *entry->bytes;
      type = entry->type;
    }
    return 0;
  }

  void write_record(const DwarfEntry &entry) {
    bool is_union = entry.tag == DwarfTag::kUnion;
    uint32_t name = name_of(entry);
    if (entry.is_declaration) return put(name, info_of(BTF_KIND_FWD, 0, is_union), 0);
    std::vector<Member> members;
    bool has_bits = false;
    for (const DwarfEntry &child : dwarf_.children(entry)) {
      bool is_part = child.tag == DwarfTag::kMember || child.tag == DwarfTag::kInheritance;
      // A static member is declared as one, and has no place.
      bool is_static = child.is_external || child.is_declaration;
      if (!is_part || is_static || members.size() == kListMost) continue;
      members.push_back(member_of(child));
      has_bits |= members.back().bits > 0;
    }
    uint64_t bit_most = has_bits ? kBitOffsetMost : uint64_t{UINT32_MAX};
    std::erase_if(members, [&](const Member &member) { return member.bit > bit_most; });
    auto bytes = static_cast<uint32_t>(std::min(entry.bytes.value_or(0), kBytesMost));
    put(name, info_of(is_union ? BTF_KIND_UNION : BTF_KIND_STRUCT, members.size(), has_bits), bytes);
    for (const Member &member : members) {
      btf_member made = {};
      made.name_off = out_.string(member.name);
      made.type = member.type;
      made.offset = static_cast<uint32_t>(member.bit) | (has_bits ? member.bits << 24 : 0);
      out_.put(made);
    }
  }

  void write_enum(const DwarfEntry &entry) {
    std::vector<DwarfEntry> values;
    bool is_signed = false, is_wide = entry.bytes.value_or(4) > 4;
    for (const DwarfEntry &child : dwarf_.children(entry))
      if (child.tag == DwarfTag::kEnumerator && child.value && values.size() < kListMost) values.push_back(child);
    for (const DwarfEntry &each : values) is_signed |= *each.value < 0 && *each.value >= INT32_MIN;
    for (const DwarfEntry &each : values) is_wide |= *each.value > UINT32_MAX || *each.value < INT32_MIN;
    auto bytes = static_cast<uint32_t>(std::clamp<uint64_t>(entry.bytes.value_or(4), 1, 8));
    put(name_of(entry), info_of(is_wide ? BTF_KIND_ENUM64 : BTF_KIND_ENUM, values.size(), is_signed), bytes);
    for (const DwarfEntry &each : values) {
      auto value = static_cast<uint64_t>(*each.value);
      out_.put(out_.string(each.name));
      out_.put(static_cast<uint32_t>(value));
      if (is_wide) out_.put(static_cast<uint32_t>(value >> 32));
    }
  }

  void write_array(const DwarfEntry &entry, uint32_t dimension) {
    std::vector<uint64_t> counts;
    for (const DwarfEntry &child : dwarf_.children(entry)) {
      if (child.tag != DwarfTag::kSubrange) continue;
      // Without an end, or with one that is known as it runs, it has no elements.
      uint64_t count = child.count ? *child.count : child.upper_bound ? *child.upper_bound + 1 : 0;
      counts.push_back(count > kBytesMost ? 0 : count);
    }
    if (counts.empty()) counts.push_back(0);
    btf_array made = {};
    bool is_last = dimension + 1 >= counts.size();
    made.type = is_last ? id_of(entry.type) : id_of(Item{Item::What::kArrayRest, entry.offset, dimension + 1});
    made.index_type = id_of(Item{Item::What::kWord, kDwarfNone, 0});
    made.nelems = static_cast<uint32_t>(counts[std::min<size_t>(dimension, counts.size() - 1)]);
    put(0, info_of(BTF_KIND_ARRAY), 0);
    out_.put(made);
  }

  void write_prototype(const DwarfEntry &entry) {
    std::vector<DwarfEntry> parameters = dwarf_.parameters(entry);
    if (parameters.size() > kListMost) parameters.resize(kListMost);
    put(0, info_of(BTF_KIND_FUNC_PROTO, parameters.size()), id_of(entry.type));
    for (const DwarfEntry &each : parameters) {
      btf_param made = {};
      bool has_type = each.tag == DwarfTag::kFormalParameter;
      // Void is how BTF writes "...".
      made.name_off = has_type ? out_.string(each.name) : 0;
      made.type = has_type ? id_of(each.type) : kBtfVoid;
      if (has_type && made.type == kBtfVoid) made.type = id_of(Item{Item::What::kWord, kDwarfNone, 0});
      out_.put(made);
    }
  }

  const Dwarf &dwarf_;
  BtfWriter out_;
  std::deque<Item> items_;
  std::map<Item, BtfId> ids_;
};

}  // namespace

std::vector<std::byte> btf_of_dwarf(const Dwarf &dwarf, DwarfOffset root) {
  dwarf.begin();
  return Writer(dwarf).write(root);
}

}  // namespace waggle
