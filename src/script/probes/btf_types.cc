#include "script/probes/btf_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/text.h"

namespace waggle::script {
namespace {

// Records inside of records, arrays of arrays: no kernel has more than some ten.
constexpr unsigned kDepthMost = 32;
constexpr uint32_t kBitsOfByte = 8;

std::string_view keyword(BtfKind kind) {
  return kind == BtfKind::kUnion ? "union" : kind == BtfKind::kStruct ? "struct" : "enum";
}

bool is_char(const Btf &btf, BtfId id) {
  BtfType type = btf.type(btf.resolve(id));
  return type.kind == BtfKind::kInt && type.name == "char";
}

// The typedef that is the name of an anonymous type, the last before it.
std::string_view last_typedef(const Btf &btf, BtfId id) {
  std::string_view name;
  for (unsigned i = 0; i < 64; i++) {
    BtfType type = btf.type(btf.without_modifiers(id));
    if (type.kind != BtfKind::kTypedef) break;
    name = type.name;
    id = type.target;
  }
  return name;
}

// Whether a type, typedefs and modifiers aside, is tagged as the user's memory. Tags
// stand between the pointer and what it points at.
bool has_user_tag(const Btf &btf, BtfId id) {
  for (unsigned i = 0; i < 64; i++) {
    BtfType type = btf.type(id);
    if (type.kind == BtfKind::kTypeTag && type.name == "user") return true;
    if (!type.is_modifier()) return false;
    id = type.target;
  }
  return false;
}

Type integer_of(const Btf &btf, const BtfType &type) {
  std::optional<BtfInteger> integer = btf.integer(type.id);
  if (integer && integer->is_bool) return Type(TypeKind::kBool, type.bytes);
  bool is_signed = integer && integer->is_signed;
  // Scripts calculate with 64 bits; of __int128 they can read the halves.
  if (type.bytes > 8) return Type::array(Type::integer(8, false), type.bytes / 8);
  return Type::integer(std::max(type.bytes, 1u), is_signed);
}

uint32_t power_of_two_from(uint32_t bytes) {
  uint32_t power = 1;
  while (power < bytes) power *= 2;
  return power;
}

// Where a bit field is read. The member's own type is read at its place in an array
// of such, unless the record is packed and ends before, or the field crosses over.
Field bit_field(std::string_view name, Type type, uint64_t bit, uint32_t bit_size, uint32_t record_bytes) {
  uint32_t unit_bits = std::max(type.bytes(), 1u) * kBitsOfByte;
  auto offset = static_cast<uint32_t>(bit / unit_bits * (unit_bits / kBitsOfByte));
  auto within = static_cast<uint32_t>(bit % unit_bits);
  if (within + bit_size > unit_bits || offset + unit_bits / kBitsOfByte > record_bytes) {
    offset = static_cast<uint32_t>(bit / kBitsOfByte);
    within = static_cast<uint32_t>(bit % kBitsOfByte);
    uint32_t bytes = power_of_two_from((within + bit_size + kBitsOfByte - 1) / kBitsOfByte);
    // Rather before the field than behind the record.
    while (offset > 0 && offset + bytes > record_bytes) offset--, within += kBitsOfByte;
    if (type.is_integral()) type = Type::integer(std::min(bytes, 8u), type.is_signed());
  }
  return {std::string(name), std::move(type), offset, within, bit_size};
}

}  // namespace

Result<const Btf *> BtfTypes::kernel() {
  if (given_ != nullptr) return given_;
  if (failure_) return tl::unexpected(*failure_);
  if (kernel_) return kernel_->types.get();
  Result<KernelBtf> bytes = KernelBtf::load();
  if (!bytes) {
    failure_ = bytes.error();
    return tl::unexpected(*failure_);
  }
  auto file = std::make_unique<KernelBtf>(std::move(*bytes));
  Result<Btf> types = Btf::parse(file->bytes());
  if (!types) {
    failure_ = types.error();
    return tl::unexpected(*failure_);
  }
  kernel_ = Opened{"vmlinux", std::move(file), std::make_unique<Btf>(std::move(*types))};
  return kernel_->types.get();
}

void BtfTypes::open_modules() {
  if (modules_opened_ || given_ != nullptr || !kernel()) return;
  modules_opened_ = true;
  for (const std::string &name : modules_with_btf()) {
    // A module that goes away meanwhile is none.
    Result<KernelBtf> bytes = KernelBtf::load_module(name, *kernel_->bytes);
    if (!bytes) continue;
    auto file = std::make_unique<KernelBtf>(std::move(*bytes));
    Result<Btf> types = Btf::parse(file->bytes(), kernel_->types.get());
    if (!types) continue;
    modules_.push_back({name, std::move(file), std::make_unique<Btf>(std::move(*types))});
  }
}

BtfTypes::Found BtfTypes::find(BtfKind kind, std::string_view name, std::string_view module) {
  Result<const Btf *> btf = kernel();
  if (!btf) return {};
  if (module.empty() || module == "vmlinux") {
    if (BtfId id = (*btf)->find(kind, name)) return {*btf, id};
    if (!module.empty()) return {};
  }
  open_modules();
  for (const Opened &each : modules_) {
    if (!module.empty() && each.name != module) continue;
    BtfId id = each.types->find(kind, name);
    if (id != kBtfVoid && id >= each.types->first_id()) return {each.types.get(), id};
  }
  return {};
}

Type BtfTypes::resolve(std::string_view name) {
  name = trim(name);
  unsigned pointers = 0;
  while (name.ends_with('*')) {
    pointers++;
    name = trim(name.substr(0, name.size() - 1));
  }
  if (pointers > 8) return Type();
  for (std::string_view modifier : {"const ", "volatile "})
    if (name.starts_with(modifier)) name = trim(name.substr(modifier.size()));
  Type type;
  if (name == "void") type = Type(TypeKind::kVoid);
  struct Keyword {
    std::string_view word;
    BtfKind kinds[2];
  };
  constexpr Keyword kKeywords[] = {
      {"struct ", {BtfKind::kStruct, BtfKind::kStruct}},
      {"union ", {BtfKind::kUnion, BtfKind::kUnion}},
      {"enum ", {BtfKind::kEnum, BtfKind::kEnum64}},
  };
  bool with_keyword = false;
  for (const Keyword &each : kKeywords) {
    if (!name.starts_with(each.word)) continue;
    with_keyword = true;
    std::string_view word = trim(name.substr(each.word.size()));
    Found found;
    if (word.starts_with('#')) {
      // "#ID": an anonymous one of the kernel's own BTF.
      BtfId id = 0;
      auto [end, error] = std::from_chars(word.data() + 1, word.data() + word.size(), id);
      Result<const Btf *> btf = kernel();
      if (btf && error == std::errc() && end == word.data() + word.size() && (*btf)->contains(id)) found = {*btf, id};
      if (found.btf != nullptr && found.btf->kind(id) != each.kinds[0]) found = {};
    }
    for (BtfKind kind : each.kinds)
      if (found.btf == nullptr && !word.empty()) found = find(kind, word);
    if (found.btf != nullptr) type = convert_value(*found.btf, found.id, {}, pointers > 0, 0);
  }
  if (!with_keyword && type.is(TypeKind::kNone) && !name.empty()) {
    for (BtfKind kind : {BtfKind::kTypedef, BtfKind::kInt}) {
      Found found = find(kind, name);
      if (found.btf == nullptr) continue;
      type = convert_value(*found.btf, found.id, {}, pointers > 0, 0);
      break;
    }
    if (type.is(TypeKind::kNone)) type = c_integer(name).value_or(Type());
  }
  if (type.is(TypeKind::kNone)) return type;
  for (unsigned i = 0; i < pointers; i++) type = Type::pointer(type);
  return type;
}

Type BtfTypes::complete(const Type &type) {
  if (!type.is(TypeKind::kRecord) || !type.fields().empty()) return type;
  Type full = resolve(type.name());
  return full.is(TypeKind::kRecord) ? full : type;
}

Type BtfTypes::convert(const Btf &btf, BtfId id) {
  return convert_value(btf, id, {}, /*behind_pointer=*/false, 0);
}

Type BtfTypes::convert_value(const Btf &btf, BtfId id, std::string_view typedef_name, bool behind_pointer,
                             unsigned depth) {
  if (depth > kDepthMost) return Type();
  if (typedef_name.empty()) typedef_name = last_typedef(btf, id);
  BtfType type = btf.type(btf.resolve(id));
  switch (type.kind) {
    case BtfKind::kVoid:
    case BtfKind::kPrototype:
    case BtfKind::kFunction:
      return Type(TypeKind::kVoid);
    case BtfKind::kInt:
      return integer_of(btf, type);
    case BtfKind::kFloat:
      // Scripts have no floating point; the bits can be read.
      return type.bytes <= 8 ? Type::integer(type.bytes, false) : Type::array(Type::integer(8, false), type.bytes / 8);
    case BtfKind::kPointer:
      return convert_pointer(btf, type.target, depth);
    case BtfKind::kArray:
      return convert_array(btf, type, depth);
    case BtfKind::kEnum:
    case BtfKind::kEnum64:
      return convert_enum(btf, type);
    case BtfKind::kStruct:
    case BtfKind::kUnion:
      return convert_record(btf, type, typedef_name, behind_pointer, depth);
    case BtfKind::kForward: {
      auto record = std::make_shared<Record>();
      record->name = fmt::format("{} {}", type.kind_flag ? "union" : "struct", type.name);
      record->origin = this;
      return Type::record(std::move(record));
    }
    default:
      return Type();
  }
}

Type BtfTypes::convert_pointer(const Btf &btf, BtfId target, unsigned depth) {
  AddressSpace space = has_user_tag(btf, target) ? AddressSpace::kUser : AddressSpace::kNone;
  Type pointee = convert_value(btf, target, {}, /*behind_pointer=*/true, depth + 1);
  return Type::pointer(pointee.is(TypeKind::kNone) ? Type(TypeKind::kVoid) : pointee, space);
}

Type BtfTypes::convert_array(const Btf &btf, const BtfType &type, unsigned depth) {
  uint32_t length = btf.array_length(type.id);
  Type element = convert_value(btf, type.target, {}, /*behind_pointer=*/false, depth + 1);
  uint64_t bytes = uint64_t{element.bytes()} * length;
  if (bytes > INT32_MAX) length = 0;
  if (length > 0 && is_char(btf, type.target)) return Type::string(length);
  return Type::array(element, length);
}

Type BtfTypes::convert_enum(const Btf &btf, const BtfType &type) {
  Key key(&btf, type.id);
  if (auto known = enums_.find(key); known != enums_.end()) return known->second;
  std::vector<std::pair<std::string, int64_t>> values;
  values.reserve(type.count);
  for (BtfEnumerator each : btf.enumerators(type.id)) values.emplace_back(each.name, each.value);
  Type converted = Type::enumeration(std::string(type.name), std::clamp(type.bytes, 1u, 8u), std::move(values));
  enums_.emplace(key, converted);
  return converted;
}

Type BtfTypes::convert_record(const Btf &btf, const BtfType &type, std::string_view typedef_name, bool behind_pointer,
                              unsigned depth) {
  Key key(&btf, type.id);
  if (auto known = records_.find(key); known != records_.end() && !behind_pointer) return known->second;
  auto record = std::make_shared<Record>();
  record->bytes = type.bytes;
  if (!type.name.empty())
    record->name = fmt::format("{} {}", keyword(type.kind), type.name);
  else if (!typedef_name.empty())
    record->name = typedef_name;
  else if (behind_pointer)
    record->name = fmt::format("{} #{}", keyword(type.kind), type.id);
  if (behind_pointer) {
    record->origin = this;
    return Type::record(std::move(record));
  }
  add_fields(btf, type.id, 0, type.bytes, record->fields, depth + 1);
  Type converted = Type::record(std::move(record));
  records_.emplace(key, converted);
  return converted;
}

void BtfTypes::add_fields(const Btf &btf, BtfId id, uint64_t base_bits, uint32_t record_bytes,
                          std::vector<Field> &fields, unsigned depth) {
  // A record that holds itself by value is a lie; following it would not end.
  Key key(&btf, id);
  if (depth > kDepthMost || std::find(open_.begin(), open_.end(), key) != open_.end()) return;
  open_.push_back(key);
  for (BtfMember member : btf.members(id)) {
    uint64_t bit = base_bits + member.bit_offset;
    BtfType inner = btf.type(btf.without_modifiers(member.type));
    if (member.name.empty()) {
      // Bit fields without a name are padding.
      if (inner.is_record()) add_fields(btf, inner.id, bit, record_bytes, fields, depth + 1);
      continue;
    }
    Type type = convert_value(btf, member.type, {}, /*behind_pointer=*/false, depth);
    if (type.is(TypeKind::kNone)) continue;
    if (member.bit_size > 0)
      fields.push_back(bit_field(member.name, std::move(type), bit, member.bit_size, record_bytes));
    else
      fields.push_back({std::string(member.name), std::move(type), static_cast<uint32_t>(bit / kBitsOfByte), 0, 0});
  }
  open_.pop_back();
}

std::optional<Type> c_integer(std::string_view name) {
  struct Known {
    std::string_view name;
    uint8_t bytes;
    bool is_signed;
  };
  static constexpr Known kKnown[] = {
      {"u8", 1, false},        {"__u8", 1, false},   {"uint8_t", 1, false},  {"s8", 1, true},
      {"__s8", 1, true},       {"int8_t", 1, true},  {"u16", 2, false},      {"__u16", 2, false},
      {"uint16_t", 2, false},  {"s16", 2, true},     {"__s16", 2, true},     {"int16_t", 2, true},
      {"u32", 4, false},       {"__u32", 4, false},  {"uint32_t", 4, false}, {"s32", 4, true},
      {"__s32", 4, true},      {"int32_t", 4, true}, {"u64", 8, false},      {"__u64", 8, false},
      {"uint64_t", 8, false},  {"s64", 8, true},     {"__s64", 8, true},     {"int64_t", 8, true},
      {"size_t", 8, false},    {"ssize_t", 8, true}, {"pid_t", 4, true},     {"uid_t", 4, false},
      {"gid_t", 4, false},     {"uint", 4, false},   {"ulong", 8, false},    {"ushort", 2, false},
      {"umode_t", 2, false},   {"loff_t", 8, true},  {"clockid_t", 4, true}, {"key_t", 4, true},
      {"mqd_t", 4, true},      {"timer_t", 4, true}, {"dev_t", 4, false},    {"sector_t", 8, false},
      {"uintptr_t", 8, false},
  };
  if (name == "bool" || name == "_Bool") return Type(TypeKind::kBool, 1);
  for (const Known &each : kKnown)
    if (each.name == name) return Type::integer(each.bytes, each.is_signed);
  int longs = 0;
  bool is_unsigned = false, is_short = false, is_char = false, any = false;
  for (std::string_view word : split(name, ' ')) {
    any = true;
    if (word == "long")
      longs++;
    else if (word == "unsigned")
      is_unsigned = true;
    else if (word == "short")
      is_short = true;
    else if (word == "char")
      is_char = true;
    else if (word != "int" && word != "signed")
      return std::nullopt;
  }
  if (!any || longs > 2) return std::nullopt;
  uint32_t bytes = is_char ? 1 : is_short ? 2 : longs > 0 ? 8 : 4;
  return Type::integer(bytes, !is_unsigned);
}

namespace {

class DefinitionWriter {
 public:
  explicit DefinitionWriter(const Btf &btf) : btf_(btf) {}

  void write(const BtfType &type, unsigned indent) {
    text_ += keyword(type.kind);
    if (!type.name.empty()) text_ += fmt::format(" {}", type.name);
    text_ += " {\n";
    if (type.is_enum())
      write_enumerators(type, indent + 1);
    else
      for (BtfMember member : btf_.members(type.id)) write_member(member, indent + 1);
    text_.append(indent, '\t');
    text_ += '}';
  }

  std::string take() { return std::move(text_); }

 private:
  void write_enumerators(const BtfType &type, unsigned indent) {
    bool is_unsigned = btf_.is_unsigned_enum(type.id);
    for (BtfEnumerator each : btf_.enumerators(type.id)) {
      text_.append(indent, '\t');
      if (is_unsigned)
        text_ += fmt::format("{} = {},\n", each.name, static_cast<uint64_t>(each.value));
      else
        text_ += fmt::format("{} = {},\n", each.name, each.value);
    }
  }

  // The anonymous record or enum that a member's declaration begins with, behind
  // its pointers and arrays; kBtfVoid when it has a name.
  BtfId anonymous(BtfId id) const {
    for (unsigned i = 0; i < kDepthMost; i++) {
      BtfType type = btf_.type(btf_.without_modifiers(id));
      if (type.is_record() || type.is_enum()) return type.name.empty() ? type.id : kBtfVoid;
      if (type.kind != BtfKind::kPointer && type.kind != BtfKind::kArray) return kBtfVoid;
      id = type.target;
    }
    return kBtfVoid;
  }

  void write_member(const BtfMember &member, unsigned indent) {
    if (text_.size() > kTextBytesMost || indent > kDepthMost) return;
    text_.append(indent, '\t');
    std::string declaration = btf_.declaration(member.type, member.name);
    BtfId inner = anonymous(member.type);
    size_t body = declaration.find("{...}");
    if (inner != kBtfVoid && body != std::string::npos) {
      // Of "const struct {...} *name" what stands before the keyword.
      BtfType type = btf_.type(inner);
      size_t word = declaration.rfind(keyword(type.kind), body);
      if (word != std::string::npos) text_ += declaration.substr(0, word);
      write(type, indent);
      text_ += declaration.substr(body + 5);
    } else {
      text_ += declaration;
    }
    if (member.bit_size > 0) text_ += fmt::format(": {}", member.bit_size);
    text_ += ";\n";
  }

  static constexpr size_t kTextBytesMost = 4u << 20;

  const Btf &btf_;
  std::string text_;
};

}  // namespace

std::string c_definition(const Btf &btf, BtfId id) {
  BtfType type = btf.type(id);
  if (!type.is_record() && !type.is_enum()) return btf.declaration(id) + ";";
  DefinitionWriter writer(btf);
  writer.write(type, 0);
  return writer.take() + ";";
}

}  // namespace waggle::script
