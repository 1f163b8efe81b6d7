#include "format/btf_subset.h"

#include <linux/btf.h>

#include <unordered_map>

#include "format/btf_writer.h"

namespace waggle {
namespace {

// What a type that is not copied becomes, and every pointer.
constexpr BtfId kPointerToVoid = 1;

class Subset {
 public:
  explicit Subset(const Btf &from) : from_(from) {
    out_.put(btf_type{0, static_cast<uint32_t>(BTF_KIND_PTR) << 24, {kBtfVoid}});
  }

  void add(BtfId root) {
    BtfType type = from_.type(root);
    if (type.kind == BtfKind::kTypedef || type.kind == BtfKind::kForward || has_layout(type.kind)) take({root});
  }

  std::vector<std::byte> bytes() && {
    // Copying a type appends those inside it.
    for (size_t i = 0; i < taken_.size(); i++) {
      Part part = taken_[i];
      part.is_outline ? outline(from_.type(part.id)) : copy(from_.type(part.id));
    }
    return out_.bytes();
  }

 private:
  static bool has_layout(BtfKind kind) {
    switch (kind) {
      case BtfKind::kInt:
      case BtfKind::kArray:
      case BtfKind::kStruct:
      case BtfKind::kUnion:
      case BtfKind::kEnum:
      case BtfKind::kEnum64:
      case BtfKind::kFloat:
        return true;
      default:
        return false;
    }
  }

  struct Part {
    BtfId id;
    bool is_outline = false;  // what kind of type it is, and no more: without name and members
    bool operator==(const Part &) const = default;
  };
  struct HashPart {
    size_t operator()(const Part &part) const { return part.id * size_t{2} + (part.is_outline ? 1 : 0); }
  };

  // The new id of a type, which will be copied.
  BtfId take(Part part) {
    auto [at, is_new] = new_ids_.try_emplace(part, static_cast<BtfId>(kPointerToVoid + 1 + taken_.size()));
    if (is_new) taken_.push_back(part);
    return at->second;
  }
  BtfId refer(BtfId id) {
    id = from_.resolve(id);
    if (id == kBtfVoid) return kBtfVoid;
    return has_layout(from_.type(id).kind) ? take({id}) : kPointerToVoid;
  }
  BtfId refer_to_outline(BtfId id) {
    id = from_.resolve(id);
    return id == kBtfVoid ? kBtfVoid : take({id, true});
  }

  void copy(const BtfType &type) {
    btf_type head = {};
    head.name_off = out_.string(type.name);
    head.info = static_cast<uint32_t>(type.kind) << 24 | type.count | (type.kind_flag ? 1u << 31 : 0);
    if (type.kind == BtfKind::kTypedef)
      head.type = refer_to_outline(type.target);
    else
      head.size = type.bytes;
    out_.put(head);
    if (std::optional<BtfInteger> integer = from_.integer(type.id)) {
      uint32_t encoding = (integer->is_signed ? BTF_INT_SIGNED : 0) | (integer->is_char ? BTF_INT_CHAR : 0) |
                          (integer->is_bool ? BTF_INT_BOOL : 0);
      out_.put(encoding << 24 | integer->bit_offset << 16 | integer->bits);
    }
    if (type.kind == BtfKind::kArray) out_.put(btf_array{refer(type.target), kBtfVoid, from_.array_length(type.id)});
    for (BtfMember member : from_.members(type.id)) {
      uint32_t size = type.kind_flag ? member.bit_size << 24 : 0;
      out_.put(btf_member{out_.string(member.name), refer(member.type), size | member.bit_offset});
    }
    for (BtfEnumerator value : from_.enumerators(type.id)) {
      auto low = static_cast<uint32_t>(value.value), high = static_cast<uint32_t>(value.value >> 32);
      if (type.kind == BtfKind::kEnum)
        out_.put(btf_enum{out_.string(value.name), static_cast<int32_t>(low)});
      else
        out_.put(btf_enum64{out_.string(value.name), low, high});
    }
  }

  // What a typedef stands for is compared by kinds, through pointers and parameters.
  void outline(const BtfType &type) {
    bool has_parameters = type.kind == BtfKind::kPrototype;
    btf_type head = {};
    head.info = static_cast<uint32_t>(type.kind) << 24 | (has_parameters ? type.count : 0);
    if (type.kind == BtfKind::kPointer || has_parameters)
      head.type = refer_to_outline(type.target);
    else
      head.size = type.bytes;
    out_.put(head);
    if (type.kind == BtfKind::kInt) out_.put(type.bytes * 8);
    if (type.kind == BtfKind::kArray)
      out_.put(btf_array{refer_to_outline(type.target), kBtfVoid, from_.array_length(type.id)});
    for (BtfParameter parameter : from_.parameters(type.id)) out_.put(btf_param{0, refer_to_outline(parameter.type)});
  }

  const Btf &from_;
  BtfWriter out_;
  std::vector<Part> taken_;  // in the order of the new ids
  std::unordered_map<Part, BtfId, HashPart> new_ids_;
};

}  // namespace

std::vector<std::byte> btf_subset(const Btf &from, std::span<const BtfId> roots) {
  Subset subset(from);
  for (BtfId root : roots) subset.add(root);
  return std::move(subset).bytes();
}

}  // namespace waggle
