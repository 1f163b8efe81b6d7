#include "format/btf.h"

#include <fmt/format.h>
#include <linux/btf.h>

#include <algorithm>
#include <bit>
#include <compare>
#include <cstring>
#include <functional>
#include <mutex>

namespace waggle {
namespace {

// The kernel itself follows 32.
constexpr int kChainMost = 64;
constexpr size_t kTextMost = 4096;
constexpr size_t kNameMost = 512;  // KSYM_NAME_LEN
constexpr int kPartsMost = 256;    // types in one printed declaration
constexpr int kMembersVisitedMost = 1 << 16;
constexpr int kNestingMost = 32;

template <typename T>
T load(const std::byte *at) {
  T value;
  memcpy(&value, at, sizeof(value));
  return value;
}

BtfKind kind_of(uint32_t info) {
  return static_cast<BtfKind>(BTF_INFO_KIND(info));
}

bool has_size(BtfKind kind) {
  switch (kind) {
    case BtfKind::kInt:
    case BtfKind::kStruct:
    case BtfKind::kUnion:
    case BtfKind::kEnum:
    case BtfKind::kEnum64:
    case BtfKind::kFloat:
    case BtfKind::kSection:
      return true;
    default:
      return false;
  }
}

// Of the other kinds: whether the third word is the id of another type.
bool has_reference(BtfKind kind) {
  return !has_size(kind) && kind != BtfKind::kArray && kind != BtfKind::kForward;
}

// Whether vlen counts what follows; of a function it says how it is linked.
bool has_list(BtfKind kind) {
  return kind == BtfKind::kStruct || kind == BtfKind::kUnion || kind == BtfKind::kEnum || kind == BtfKind::kEnum64 ||
         kind == BtfKind::kPrototype || kind == BtfKind::kSection;
}

// Bytes that follow a type's three words.
size_t bytes_after(BtfKind kind, size_t count) {
  switch (kind) {
    case BtfKind::kInt:
      return sizeof(uint32_t);
    case BtfKind::kArray:
      return sizeof(btf_array);
    case BtfKind::kStruct:
    case BtfKind::kUnion:
      return count * sizeof(btf_member);
    case BtfKind::kEnum:
      return count * sizeof(btf_enum);
    case BtfKind::kEnum64:
      return count * sizeof(btf_enum64);
    case BtfKind::kPrototype:
      return count * sizeof(btf_param);
    case BtfKind::kVariable:
      return sizeof(btf_var);
    case BtfKind::kSection:
      return count * sizeof(btf_var_secinfo);
    case BtfKind::kDeclTag:
      return sizeof(btf_decl_tag);
    default:
      return 0;
  }
}

// Names that somebody may ask for.
bool is_indexed(const BtfType &type) {
  return !type.name.empty() && type.kind != BtfKind::kDeclTag && type.kind != BtfKind::kTypeTag;
}

uint32_t hash_of(BtfKind kind, std::string_view name) {
  size_t hash = std::hash<std::string_view>()(name) + static_cast<size_t>(kind) * 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

tl::unexpected<Error> invalid(std::string why) {
  return fail(ErrorCode::kInvalid, "cannot read the type information (BTF)", std::move(why));
}

}  // namespace

static_assert(sizeof(btf_member) == 12 && sizeof(btf_enum64) == 12 && sizeof(btf_var_secinfo) == 12);
static_assert(sizeof(btf_enum) == 8 && sizeof(btf_param) == 8);

// What is built when it is first asked for.
struct Btf::Lazy {
  struct Slot {
    BtfId id = kBtfVoid;  // kBtfVoid: free
    uint32_t hash = 0;
  };
  std::once_flag index_once;
  std::vector<Slot> index;  // open addressing; a power of two

  struct Tag {
    BtfId target;
    int32_t component;
    BtfId tag;
    auto operator<=>(const Tag &) const = default;
  };
  std::once_flag tags_once;
  std::vector<Tag> tags;  // sorted
};

Btf::Btf() : lazy_(std::make_unique<Lazy>()) {}
Btf::Btf(Btf &&) noexcept = default;
Btf &Btf::operator=(Btf &&) noexcept = default;
Btf::~Btf() = default;

Result<Btf> Btf::parse(std::span<const std::byte> bytes, const Btf *base) {
  CHECK(base == nullptr || base->base_ == nullptr);
  Btf btf;
  if (base != nullptr) {
    btf.base_ = base;
    btf.first_id_ = base->end_id();
    btf.first_string_ = static_cast<uint32_t>(base->strings_.size());
  }
  TRY(btf.read_header(bytes));
  TRY(btf.read_types());
  return btf;
}

Result<void> Btf::read_header(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(btf_header)) return invalid("it is shorter than its header");
  auto header = load<btf_header>(bytes.data());
  if (header.magic == __builtin_bswap16(BTF_MAGIC)) return invalid("it is of the other byte order");
  if (header.magic != BTF_MAGIC) return invalid("it does not begin with BTF's magic number");
  if (header.version != BTF_VERSION) return invalid(fmt::format("version {} is not known", header.version));
  if (header.hdr_len < sizeof(header) || header.hdr_len > bytes.size()) return invalid("the header's length is wrong");
  std::span<const std::byte> body = bytes.subspan(header.hdr_len);
  if (header.type_off > body.size() || header.type_len > body.size() - header.type_off)
    return invalid("the types reach beyond the end");
  if (header.str_off > body.size() || header.str_len > body.size() - header.str_off)
    return invalid("the strings reach beyond the end");
  types_ = body.subspan(header.type_off, header.type_len);
  strings_ = body.subspan(header.str_off, header.str_len);
  // With a NUL at the end every offset inside leads to a terminated string. Offset 0
  // is no name; in split BTF that is the base's.
  if (strings_.empty() ? base_ == nullptr : strings_.back() != std::byte{0})
    return invalid("the last string has no end");
  if (base_ == nullptr && strings_.front() != std::byte{0})
    return invalid("the strings do not begin with the empty one");
  if (strings_.size() > UINT32_MAX - first_string_) return invalid("there are too many strings");
  return {};
}

Result<void> Btf::read_types() {
  places_.reserve(types_.size() / 24);  // vmlinux has 25 bytes a type
  BtfId reference_most = kBtfVoid;
  for (size_t at = 0; at < types_.size();) {
    size_t bytes = TRY(check_type(at, end_id(), reference_most));
    places_.push_back(static_cast<uint32_t>(at));
    at += bytes;
  }
  if (!contains(reference_most))
    return invalid(fmt::format("a type refers to type {}, and there are {}", reference_most, end_id()));
  places_.shrink_to_fit();
  return {};
}

// The bytes of one type. References are only noted, because they may point ahead.
Result<size_t> Btf::check_type(size_t at, BtfId id, BtfId &reference_most) const {
  auto bad = [&](std::string_view what) { return invalid(fmt::format("type {} at byte {}: {}", id, at, what)); };
  size_t left = types_.size() - at;
  if (left < sizeof(btf_type)) return bad("it is cut off");
  auto head = load<btf_type>(types_.data() + at);
  BtfKind kind = kind_of(head.info);
  if (kind == BtfKind::kVoid || static_cast<size_t>(kind) >= kBtfKinds)
    return bad(fmt::format("kind {} is not known", BTF_INFO_KIND(head.info)));
  size_t count = has_list(kind) ? BTF_INFO_VLEN(head.info) : 0;
  size_t after = bytes_after(kind, count);
  if (after > left - sizeof(head)) return bad("it is cut off");
  if (!has_string(head.name_off)) return bad("its name is outside the strings");
  if (has_reference(kind)) reference_most = std::max(reference_most, head.type);

  const std::byte *each = types_.data() + at + sizeof(head);
  if (kind == BtfKind::kArray) {
    auto array = load<btf_array>(each);
    reference_most = std::max({reference_most, array.type, array.index_type});
  }
  for (size_t i = 0; i < count; i++) {
    // Members, enumerators and parameters begin with their name, then all but
    // enumerators have their type; a section's variables have only that.
    if (kind == BtfKind::kSection) {
      reference_most = std::max(reference_most, load<uint32_t>(each));
    } else {
      if (!has_string(load<uint32_t>(each))) return bad("the name of a part is outside the strings");
      if (kind != BtfKind::kEnum && kind != BtfKind::kEnum64)
        reference_most = std::max(reference_most, load<uint32_t>(each + sizeof(uint32_t)));
    }
    each += after / count;
  }
  return sizeof(head) + after;
}

bool Btf::has_string(uint32_t offset) const {
  return offset < first_string_ + strings_.size();
}

std::string_view Btf::name_at(uint32_t offset) const {
  if (offset < first_string_) return base_->name_at(offset);
  return reinterpret_cast<const char *>(strings_.data() + (offset - first_string_));
}

const std::byte *Btf::place(BtfId id) const {
  CHECK(id != kBtfVoid && contains(id));
  if (id < first_id_) return base_->place(id);
  return types_.data() + places_[id - first_id_];
}

BtfType Btf::type(BtfId id) const {
  BtfType type;
  if (id == kBtfVoid) return type;
  const std::byte *at = place(id);
  auto head = load<btf_type>(at);
  type.id = id;
  type.kind = kind_of(head.info);
  type.kind_flag = BTF_INFO_KFLAG(head.info) != 0;
  type.count = has_list(type.kind) ? BTF_INFO_VLEN(head.info) : 0;
  type.name = name_at(head.name_off);
  if (has_size(type.kind)) type.bytes = head.size;
  if (has_reference(type.kind)) type.target = head.type;
  if (type.kind == BtfKind::kArray) type.target = load<btf_array>(at + sizeof(head)).type;
  return type;
}

BtfKind Btf::kind(BtfId id) const {
  return id == kBtfVoid ? BtfKind::kVoid : kind_of(load<btf_type>(place(id)).info);
}

BtfId Btf::find(BtfKind kind, std::string_view name) const {
  std::call_once(lazy_->index_once, [this] { build_index(); });
  const uint32_t hash = hash_of(kind, name);
  const size_t mask = lazy_->index.size() - 1;
  for (size_t at = hash & mask; lazy_->index[at].id != kBtfVoid; at = (at + 1) & mask) {
    const Lazy::Slot &slot = lazy_->index[at];
    if (slot.hash != hash) continue;
    BtfType found = type(slot.id);
    if (found.kind == kind && found.name == name) return slot.id;
  }
  return base_ != nullptr ? base_->find(kind, name) : kBtfVoid;
}

void Btf::build_index() const {
  size_t named = 0;
  for (BtfId id = first_id_; id < end_id(); id++) named += is_indexed(type(id)) ? 1 : 0;
  std::vector<Lazy::Slot> &index = lazy_->index;
  index.resize(std::bit_ceil(named + named / 2 + 2));
  const size_t mask = index.size() - 1;
  for (BtfId id = first_id_; id < end_id(); id++) {
    BtfType each = type(id);
    if (!is_indexed(each)) continue;
    const uint32_t hash = hash_of(each.kind, each.name);
    size_t at = hash & mask;
    for (; index[at].id != kBtfVoid; at = (at + 1) & mask) {
      if (index[at].hash != hash) continue;
      // The first of a name stays, or a thousand of one name would make one long run.
      BtfType other = type(index[at].id);
      if (other.kind == each.kind && other.name == each.name) break;
    }
    if (index[at].id == kBtfVoid) index[at] = {id, hash};
  }
}

BtfMember Btf::decode(const std::byte *at, const BtfType &record, BtfMember *) const {
  auto raw = load<btf_member>(at);
  BtfMember member{name_at(raw.name_off), raw.type, raw.offset, 0};
  if (record.kind_flag) {
    member.bit_offset = BTF_MEMBER_BIT_OFFSET(raw.offset);
    member.bit_size = BTF_MEMBER_BITFIELD_SIZE(raw.offset);
    return member;
  }
  // Compilers before 2019 gave a bit field an integer type of so many bits.
  if (std::optional<BtfInteger> number = integer(resolve(raw.type)))
    if (number->bits != type(resolve(raw.type)).bytes * 8) {
      member.bit_size = number->bits;
      member.bit_offset += number->bit_offset;
    }
  return member;
}

BtfEnumerator Btf::decode(const std::byte *at, const BtfType &type, BtfEnumerator *) const {
  if (type.kind == BtfKind::kEnum64) {
    auto raw = load<btf_enum64>(at);
    return {name_at(raw.name_off), static_cast<int64_t>(static_cast<uint64_t>(raw.val_hi32) << 32 | raw.val_lo32)};
  }
  auto raw = load<btf_enum>(at);
  return {name_at(raw.name_off), type.kind_flag ? int64_t{raw.val} : int64_t{static_cast<uint32_t>(raw.val)}};
}

BtfParameter Btf::decode(const std::byte *at, const BtfType &, BtfParameter *) const {
  auto raw = load<btf_param>(at);
  return {name_at(raw.name_off), raw.type};
}

BtfSectionVariable Btf::decode(const std::byte *at, const BtfType &, BtfSectionVariable *) const {
  auto raw = load<btf_var_secinfo>(at);
  return {raw.type, raw.offset, raw.size};
}

BtfList<BtfMember> Btf::members(BtfId id) const {
  BtfType record = type(id);
  if (!record.is_record()) return {};
  return {this, place(id) + sizeof(btf_type), record};
}

BtfList<BtfEnumerator> Btf::enumerators(BtfId id) const {
  BtfType numbers = type(id);
  if (!numbers.is_enum()) return {};
  return {this, place(id) + sizeof(btf_type), numbers};
}

BtfList<BtfParameter> Btf::parameters(BtfId id) const {
  BtfType prototype = type(id);
  if (prototype.kind == BtfKind::kFunction) prototype = type(prototype.target);
  if (prototype.kind != BtfKind::kPrototype) return {};
  return {this, place(prototype.id) + sizeof(btf_type), prototype};
}

BtfList<BtfSectionVariable> Btf::variables(BtfId id) const {
  BtfType section = type(id);
  if (section.kind != BtfKind::kSection) return {};
  return {this, place(id) + sizeof(btf_type), section};
}

std::optional<BtfInteger> Btf::integer(BtfId id) const {
  if (type(id).kind != BtfKind::kInt) return std::nullopt;
  auto word = load<uint32_t>(place(id) + sizeof(btf_type));
  uint32_t encoding = BTF_INT_ENCODING(word);
  return BtfInteger{BTF_INT_BITS(word), BTF_INT_OFFSET(word), (encoding & BTF_INT_SIGNED) != 0,
                    (encoding & BTF_INT_CHAR) != 0, (encoding & BTF_INT_BOOL) != 0};
}

uint32_t Btf::array_length(BtfId id) const {
  if (type(id).kind != BtfKind::kArray) return 0;
  return load<btf_array>(place(id) + sizeof(btf_type)).nelems;
}

bool Btf::is_unsigned_enum(BtfId id) const {
  BtfType numbers = type(id);
  return numbers.is_enum() && !numbers.kind_flag;
}

std::optional<BtfId> Btf::returned(BtfId id) const {
  BtfType prototype = type(id);
  if (prototype.kind == BtfKind::kFunction) prototype = type(prototype.target);
  if (prototype.kind != BtfKind::kPrototype) return std::nullopt;
  return prototype.target;
}

BtfId Btf::without_modifiers(BtfId id) const {
  for (int i = 0; i < kChainMost; i++) {
    BtfType each = type(id);
    if (!each.is_modifier()) return id;
    id = each.target;
  }
  return kBtfVoid;
}

BtfId Btf::resolve(BtfId id) const {
  for (int i = 0; i < kChainMost; i++) {
    BtfType each = type(id);
    if (!each.is_modifier() && each.kind != BtfKind::kTypedef) return id;
    id = each.target;
  }
  return kBtfVoid;
}

std::optional<uint32_t> Btf::size_of(BtfId id) const {
  constexpr uint64_t kPointerBytes = 8;
  uint64_t factor = 1;  // of the arrays passed on the way
  auto product = [&](uint64_t bytes) -> std::optional<uint32_t> {
    if (factor != 0 && bytes > UINT32_MAX / factor) return std::nullopt;
    return static_cast<uint32_t>(factor * bytes);
  };
  for (int i = 0; i < kChainMost; i++) {
    BtfType each = type(id);
    if (has_size(each.kind)) return product(each.bytes);
    if (each.kind == BtfKind::kPointer) return product(kPointerBytes);
    if (each.kind == BtfKind::kArray) {
      std::optional<uint32_t> length = product(array_length(id));
      if (!length) return std::nullopt;
      factor = *length;
    } else if (!each.is_modifier() && each.kind != BtfKind::kTypedef && each.kind != BtfKind::kVariable) {
      return std::nullopt;
    }
    id = each.target;
  }
  return std::nullopt;
}

namespace {

// Depth first, in the order of declaration.
std::optional<BtfMember> search_member(const Btf &btf, BtfId id, std::string_view name, int depth, int &visits_left) {
  if (depth > kNestingMost) return std::nullopt;
  for (BtfMember member : btf.members(id)) {
    if (visits_left-- <= 0) return std::nullopt;
    if (member.name == name) return member;
    if (!member.name.empty()) continue;
    if (auto inner = search_member(btf, btf.without_modifiers(member.type), name, depth + 1, visits_left)) {
      inner->bit_offset += member.bit_offset;
      return inner;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<BtfMember> Btf::member(BtfId id, std::string_view name) const {
  if (name.empty()) return std::nullopt;
  int visits_left = kMembersVisitedMost;
  return search_member(*this, resolve(id), name, 0, visits_left);
}

std::optional<int64_t> Btf::enumerator(BtfId id, std::string_view name) const {
  for (BtfEnumerator each : enumerators(resolve(id)))
    if (each.name == name) return each.value;
  return std::nullopt;
}

std::vector<std::string_view> Btf::tags(BtfId id, int32_t component) const {
  CHECK(contains(id));
  std::call_once(lazy_->tags_once, [this] { build_tags(); });
  std::vector<std::string_view> texts;
  const std::vector<Lazy::Tag> &tags = lazy_->tags;
  for (auto each = std::lower_bound(tags.begin(), tags.end(), Lazy::Tag{id, component, kBtfVoid});
       each != tags.end() && each->target == id && each->component == component; ++each)
    texts.push_back(type(each->tag).name);
  return texts;
}

void Btf::build_tags() const {
  for (BtfId id = base_ != nullptr ? 1 : first_id_; id < end_id(); id++) {
    BtfType each = type(id);
    if (each.kind != BtfKind::kDeclTag) continue;
    auto component = static_cast<int32_t>(load<btf_decl_tag>(place(id) + sizeof(btf_type)).component_idx);
    lazy_->tags.push_back({each.target, component, id});
  }
  std::sort(lazy_->tags.begin(), lazy_->tags.end());
}

// C writes a declaration around its name: `declarator` is the part that is done,
// and grows outwards until a type that has a name ends it.
struct Btf::Printer {
  const Btf &btf;
  int parts_left = kPartsMost;

  static std::string joined(std::string_view base, std::string_view declarator) {
    std::string text(base.substr(0, kNameMost));
    if (declarator.empty()) return text;
    if (declarator.front() != '[') text += ' ';
    text += declarator;
    return text;
  }

  static std::string named(std::string_view keyword, std::string_view name, std::string_view declarator) {
    if (name.empty()) return joined(fmt::format("{} {{...}}", keyword), declarator);
    return joined(fmt::format("{} {}", keyword, name.substr(0, kNameMost)), declarator);
  }

  std::string parameters(BtfId prototype) {
    std::string text;
    BtfList<BtfParameter> list = btf.parameters(prototype);
    for (uint32_t i = 0; i < list.size(); i++) {
      if (i != 0) text += ", ";
      BtfParameter each = list[i];
      bool variadic = i + 1 == list.size() && each.name.empty() && each.type == kBtfVoid;
      if (variadic || parts_left <= 0 || text.size() > kTextMost) {
        text += "...";
        break;
      }
      text += declare(each.type, std::string(each.name.substr(0, kNameMost)));
    }
    return text.empty() ? "void" : text;
  }

  std::string declare(BtfId id, std::string declarator) {
    if (parts_left-- <= 0 || declarator.size() > kTextMost) return joined("...", declarator);
    const BtfType type = btf.type(id);
    switch (type.kind) {
      case BtfKind::kVoid:
        return joined("void", declarator);
      case BtfKind::kInt:
      case BtfKind::kFloat:
      case BtfKind::kTypedef:
      case BtfKind::kSection:
      case BtfKind::kDeclTag:
        return joined(type.name, declarator);
      case BtfKind::kStruct:
        return named("struct", type.name, declarator);
      case BtfKind::kUnion:
        return named("union", type.name, declarator);
      case BtfKind::kForward:
        return named(type.kind_flag ? "union" : "struct", type.name, declarator);
      case BtfKind::kEnum:
      case BtfKind::kEnum64:
        return named("enum", type.name, declarator);
      case BtfKind::kPointer: {
        declarator.insert(0, "*");
        BtfKind to = btf.type(btf.without_modifiers(type.target)).kind;
        if (to == BtfKind::kArray || to == BtfKind::kPrototype) declarator = fmt::format("({})", declarator);
        return declare(type.target, std::move(declarator));
      }
      case BtfKind::kConst:
        return qualify("const", type.target, std::move(declarator));
      case BtfKind::kVolatile:
        return qualify("volatile", type.target, std::move(declarator));
      case BtfKind::kRestrict:
        return qualify("restrict", type.target, std::move(declarator));
      case BtfKind::kTypeTag: {
        std::string_view tag = type.name.substr(0, kNameMost);
        std::string word = type.kind_flag ? fmt::format("__attribute__(({}))", tag) : fmt::format("__{}", tag);
        return declare(type.target, joined(word, declarator));
      }
      case BtfKind::kArray:
        return declare(type.target, fmt::format("{}[{}]", declarator, btf.array_length(id)));
      case BtfKind::kPrototype: {
        std::string list = parameters(id);
        return declare(type.target, fmt::format("{}({})", declarator, list));
      }
      case BtfKind::kFunction:
      case BtfKind::kVariable:
        if (declarator.empty()) declarator = type.name.substr(0, kNameMost);
        return declare(type.target, std::move(declarator));
    }
    return {};
  }

  // "char *const name" but "const char name".
  std::string qualify(std::string_view word, BtfId target, std::string declarator) {
    if (btf.type(btf.without_modifiers(target)).kind == BtfKind::kPointer)
      return declare(target, joined(word, declarator));
    return joined(word, declare(target, std::move(declarator)));
  }
};

std::string Btf::declaration(BtfId id, std::string_view name) const {
  Printer printer{*this};
  std::string text = printer.declare(id, std::string(name.substr(0, kNameMost)));
  if (text.size() > kTextMost) text = text.substr(0, kTextMost) + "...";
  return text;
}

}  // namespace waggle
