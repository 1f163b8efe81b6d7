#include "script/check/c_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace waggle::script {
namespace {

constexpr uint32_t kBitsOfByte = 8;
constexpr uint32_t kRecordBytesMost = 1u << 28;

// Of headers that scripts include: macros, which BTF does not have.
struct HeaderMacro {
  std::string_view name;
  int64_t value;
};
constexpr HeaderMacro kMacros[] = {{"NULL", 0},
                                   {"AF_UNSPEC", 0},
                                   {"AF_UNIX", 1},
                                   {"AF_LOCAL", 1},
                                   {"AF_INET", 2},
                                   {"AF_INET6", 10},
                                   {"AF_NETLINK", 16},
                                   {"AF_PACKET", 17},
                                   {"AF_VSOCK", 40},
                                   {"PF_INET", 2},
                                   {"PF_INET6", 10},
                                   {"O_RDONLY", 0},
                                   {"O_WRONLY", 1},
                                   {"O_RDWR", 2},
                                   {"O_ACCMODE", 3},
                                   {"O_CREAT", 0100},
                                   {"O_EXCL", 0200},
                                   {"O_TRUNC", 01000},
                                   {"O_APPEND", 02000},
                                   {"O_NONBLOCK", 04000},
                                   {"O_DIRECTORY", 0200000},
                                   {"O_CLOEXEC", 02000000},
                                   {"S_IFMT", 0170000},
                                   {"S_IFSOCK", 0140000},
                                   {"S_IFLNK", 0120000},
                                   {"S_IFREG", 0100000},
                                   {"S_IFBLK", 0060000},
                                   {"S_IFDIR", 0040000},
                                   {"S_IFCHR", 0020000},
                                   {"S_IFIFO", 0010000},
                                   {"PROT_READ", 1},
                                   {"PROT_WRITE", 2},
                                   {"PROT_EXEC", 4},
                                   {"MAP_SHARED", 1},
                                   {"MAP_PRIVATE", 2},
                                   {"MAP_ANONYMOUS", 32},
                                   {"TASK_RUNNING", 0},
                                   {"TASK_INTERRUPTIBLE", 1},
                                   {"TASK_UNINTERRUPTIBLE", 2},
                                   {"EPERM", 1},
                                   {"ENOENT", 2},
                                   {"EINTR", 4},
                                   {"EIO", 5},
                                   {"EAGAIN", 11},
                                   {"ENOMEM", 12},
                                   {"EACCES", 13},
                                   {"EEXIST", 17},
                                   {"EINVAL", 22},
                                   {"ENOSPC", 28},
                                   {"PAGE_SIZE", 4096},
                                   {"PAGE_SHIFT", 12},
                                   {"NSEC_PER_SEC", 1000000000},
                                   {"NSEC_PER_MSEC", 1000000},
                                   {"NSEC_PER_USEC", 1000},
                                   {"USEC_PER_SEC", 1000000},
                                   {"MSEC_PER_SEC", 1000},
                                   {"REQ_OP_MASK", 255},
                                   {"SIGHUP", 1},
                                   {"SIGINT", 2},
                                   {"SIGKILL", 9},
                                   {"SIGSEGV", 11},
                                   {"SIGTERM", 15},
                                   {"INT_MAX", INT32_MAX},
                                   {"UINT_MAX", UINT32_MAX},
                                   {"LONG_MAX", INT64_MAX},
                                   {"TASK_COMM_LEN", 16},
                                   {"PATH_MAX", 4096},
                                   {"NAME_MAX", 255},
                                   {"BITS_PER_LONG", 64},
                                   {"MINORBITS", 20},
                                   {"MINORMASK", 0xfffff}};

uint32_t round_up(uint32_t value, uint32_t to) {
  return (value + to - 1) / to * to;
}

std::string_view keyword(TypeSyntax::Base base) {
  switch (base) {
    case TypeSyntax::Base::kStruct:
      return "struct ";
    case TypeSyntax::Base::kUnion:
      return "union ";
    case TypeSyntax::Base::kEnum:
      return "enum ";
    default:
      return "";
  }
}

std::optional<Type> word(std::string_view name) {
  struct Known {
    std::string_view name;
    uint32_t bytes;
    bool is_signed;
  };
  static constexpr Known kKnown[] = {{"int8", 1, true},    {"int16", 2, true},   {"int32", 4, true},
                                     {"int64", 8, true},   {"uint8", 1, false},  {"uint16", 2, false},
                                     {"uint32", 4, false}, {"uint64", 8, false}, {"size_t", 8, false}};
  for (const Known &each : kKnown)
    if (each.name == name) return Type::integer(each.bytes, each.is_signed);
  if (name == "void") return Type(TypeKind::kVoid);
  if (name == "bool") return Type(TypeKind::kBool, 1);
  return std::nullopt;
}

}  // namespace

void CTypes::define() {
  for (const CEnum *each : tree_.enums) {
    std::vector<std::pair<std::string, int64_t>> values;
    int64_t next = 0;
    for (const CEnumerator &value : each->values) {
      if (value.value != nullptr && !number_of(*value.value, next))
        diagnostics_.error(value.at, fmt::format("enumerator '{}' is not a number", value.name));
      values.emplace_back(value.name, next);
      next = static_cast<int64_t>(static_cast<uint64_t>(next) + 1);
      // Those after it may be said in terms of it.
      constants_[std::string(value.name)] = {values.back().second, Type::integer(8, true)};
    }
    bool is_wide = std::any_of(values.begin(), values.end(),
                               [](const auto &v) { return v.second > UINT32_MAX || v.second < INT32_MIN; });
    Type type = Type::enumeration(std::string(each->name), is_wide ? 8 : 4, values);
    for (const auto &[name, value] : values) constants_[name] = {value, type};
    if (!each->name.empty()) defined_[fmt::format("enum {}", each->name)] = type;
  }
  // Typedefs and records in the order that they were written would do, were typedefs not kept
  // apart: a record may need one, and one may name a record.
  for (const CTypedef &each : tree_.typedefs) typedefs_.emplace(each.name, Type());
  for (int round = 0; round < 2; round++) {
    for (const CTypedef &each : tree_.typedefs) {
      Type type = field_type(*each.type);
      if (!type.is(TypeKind::kNone)) typedefs_[std::string(each.name)] = type;
    }
    if (round == 1) break;
    for (const CRecord *each : tree_.records) {
      Type type = record(*each);
      anonymous_[each] = type;
      if (each->name.empty()) continue;
      if (defined_.contains(type.name())) diagnostics_.error(each->at, fmt::format("redefinition of '{}'", each->name));
      defined_[type.name()] = type;
    }
  }
}

bool CTypes::number_of(const Expression &expression, int64_t &value) {
  switch (expression.kind) {
    case ExpressionKind::kInteger:
      value = static_cast<int64_t>(as<IntegerLiteral>(expression).value);
      return true;
    case ExpressionKind::kIdentifier: {
      const Constant *known = constant(as<Identifier>(expression).name);
      if (known != nullptr) value = known->value;
      return known != nullptr;
    }
    case ExpressionKind::kUnary: {
      const auto &unary = as<Unary>(expression);
      if (!number_of(*unary.operand, value)) return false;
      if (unary.op == UnaryOperator::kMinus) value = static_cast<int64_t>(0 - static_cast<uint64_t>(value));
      if (unary.op == UnaryOperator::kBitNot) value = ~value;
      return unary.op == UnaryOperator::kMinus || unary.op == UnaryOperator::kBitNot ||
             unary.op == UnaryOperator::kPlus;
    }
    case ExpressionKind::kBinary: {
      const auto &binary = as<Binary>(expression);
      int64_t left = 0, right = 0;
      if (!number_of(*binary.left, left) || !number_of(*binary.right, right)) return false;
      auto a = static_cast<uint64_t>(left), b = static_cast<uint64_t>(right);
      switch (binary.op) {
        case BinaryOperator::kAdd:
          value = static_cast<int64_t>(a + b);
          return true;
        case BinaryOperator::kSubtract:
          value = static_cast<int64_t>(a - b);
          return true;
        case BinaryOperator::kMultiply:
          value = static_cast<int64_t>(a * b);
          return true;
        case BinaryOperator::kShiftLeft:
          value = b > 63 ? 0 : static_cast<int64_t>(a << b);
          return true;
        case BinaryOperator::kBitOr:
          value = static_cast<int64_t>(a | b);
          return true;
        case BinaryOperator::kDivide:
          if (right <= 0) return false;
          value = left / right;
          return true;
        default:
          return false;
      }
    }
    default:
      return false;
  }
}

uint32_t CTypes::alignment_of(const Type &type) const {
  switch (type.kind()) {
    case TypeKind::kArray:
      return alignment_of(type.element());
    case TypeKind::kRecord: {
      auto known = alignments_.find(type.name());
      if (known != alignments_.end()) return known->second;
      uint32_t most = 1;
      for (const Field &field : type.fields()) most = std::max(most, alignment_of(field.type));
      return most;
    }
    default:
      return type.alignment();
  }
}

Type CTypes::field_base(const TypeSyntax &syntax, bool behind_pointer) {
  if (syntax.base == TypeSyntax::Base::kTypeof) return Type();
  Type known = resolve(syntax.base, syntax.name);
  bool is_record = syntax.base == TypeSyntax::Base::kStruct || syntax.base == TypeSyntax::Base::kUnion;
  if (behind_pointer && (is_record || known.is(TypeKind::kRecord))) {
    // Only its name: it may be the record that the pointer is in.
    auto named = std::make_shared<Record>();
    named->name = is_record ? fmt::format("{}{}", keyword(syntax.base), syntax.name) : known.name();
    named->bytes = known.bytes();
    return Type::record(std::move(named));
  }
  return known;
}

Type CTypes::field_type(const TypeSyntax &syntax) {
  bool behind_pointer = !syntax.layers.empty() && !syntax.layers.front().is_array;
  Type type = field_base(syntax, behind_pointer);
  if (type.is(TypeKind::kNone) && behind_pointer) type = Type(TypeKind::kVoid);
  // A C compiler's char[] is a string; so is a record's.
  bool is_char = syntax.base == TypeSyntax::Base::kNamed && syntax.name == "int8";
  for (const TypeSyntax::Layer &layer : syntax.layers) {
    if (!layer.is_array) {
      type = Type::pointer(type);
      is_char = false;
      continue;
    }
    int64_t count = 0;
    if (layer.length != nullptr && !number_of(*layer.length, count))
      diagnostics_.error(layer.length->at, "the length of an array must be a number");
    if (count < 0 || (type.bytes() > 0 && count > kRecordBytesMost / type.bytes())) {
      diagnostics_.error(syntax.at, fmt::format("an array of {} is too large", count));
      return Type();
    }
    type = is_char && count > 0 ? Type::string(static_cast<uint32_t>(count))
                                : Type::array(type, static_cast<uint32_t>(count));
    is_char = false;
  }
  return type;
}

Type CTypes::record(const CRecord &syntax) {
  auto made = std::make_shared<Record>();
  if (!syntax.name.empty()) made->name = fmt::format("{} {}", syntax.is_union ? "union" : "struct", syntax.name);
  uint64_t bit = 0;  // where the next field may begin
  uint32_t alignment = 1, bytes = 0;
  for (const CField &each : syntax.fields) {
    Type type = each.record != nullptr ? anonymous_[each.record] : field_type(*each.type);
    if (type.is(TypeKind::kNone) || type.is(TypeKind::kVoid)) {
      diagnostics_.error(each.at, fmt::format("Cannot resolve unknown type \"{}{}\"",
                                              each.type != nullptr ? keyword(each.type->base) : "",
                                              each.type != nullptr ? each.type->name : each.name));
      continue;
    }
    uint32_t own = syntax.is_packed ? 1 : alignment_of(type);
    if (syntax.is_union) bit = 0;
    if (each.bits != nullptr) {
      int64_t width = 0;
      uint32_t unit = type.bytes() * kBitsOfByte;
      if (!number_of(*each.bits, width) || width < 0 || width > unit) {
        diagnostics_.error(each.at, "the width of a bit field must be a number that its type holds");
        continue;
      }
      if (width == 0) {
        bit = round_up(static_cast<uint32_t>(bit), unit);
        continue;
      }
      // It does not cross a boundary of its type.
      if (!syntax.is_packed && bit / unit != (bit + static_cast<uint64_t>(width) - 1) / unit)
        bit = (bit + unit - 1) / unit * unit;
      if (!each.name.empty()) {
        auto offset = static_cast<uint32_t>(bit / unit * type.bytes());
        auto within = static_cast<uint32_t>(bit - uint64_t{offset} * kBitsOfByte);
        if (within + static_cast<uint64_t>(width) > unit) {
          // Packed: from the byte it begins in, as wide as it needs.
          offset = static_cast<uint32_t>(bit / kBitsOfByte);
          within = static_cast<uint32_t>(bit % kBitsOfByte);
          uint32_t wide = type.bytes();
          while (within + static_cast<uint64_t>(width) > uint64_t{wide} * kBitsOfByte && wide < 8) wide *= 2;
          type = Type::integer(wide, type.is_signed());
        }
        made->fields.push_back({std::string(each.name), type, offset, within, static_cast<uint32_t>(width)});
      }
      bit += static_cast<uint64_t>(width);
    } else {
      uint64_t unit = uint64_t{own} * kBitsOfByte;
      bit = (bit + unit - 1) / unit * unit;
      auto offset = static_cast<uint32_t>(bit / kBitsOfByte);
      if (each.name.empty() && type.is(TypeKind::kRecord)) {
        // Its fields are this one's, as C reaches them.
        for (Field inner : type.fields()) {
          inner.offset += offset;
          made->fields.push_back(std::move(inner));
        }
      } else {
        made->fields.push_back({std::string(each.name), type, offset, 0, 0});
      }
      bit += uint64_t{type.bytes()} * kBitsOfByte;
    }
    if (bit / kBitsOfByte > kRecordBytesMost) {
      diagnostics_.error(each.at, "the record is too large");
      break;
    }
    alignment = std::max(alignment, own);
    bytes = std::max(bytes, static_cast<uint32_t>((bit + kBitsOfByte - 1) / kBitsOfByte));
  }
  made->bytes = round_up(bytes, alignment);
  if (!made->name.empty()) alignments_[made->name] = alignment;
  return Type::record(std::move(made));
}

Type CTypes::resolve(TypeSyntax::Base base, std::string_view name) {
  if (base == TypeSyntax::Base::kNamed) {
    if (std::optional<Type> known = word(name)) return *known;
    if (auto known = typedefs_.find(name); known != typedefs_.end()) return complete(known->second);
    if (std::optional<Type> known = c_integer(name)) return *known;
    for (TypeSyntax::Base each : {TypeSyntax::Base::kStruct, TypeSyntax::Base::kUnion, TypeSyntax::Base::kEnum})
      if (auto known = defined_.find(fmt::format("{}{}", keyword(each), name)); known != defined_.end())
        return known->second;
    Type type = of_program(name);
    if (type.is(TypeKind::kNone)) type = types_.resolve(name);
    for (TypeSyntax::Base each : {TypeSyntax::Base::kStruct, TypeSyntax::Base::kUnion, TypeSyntax::Base::kEnum})
      if (type.is(TypeKind::kNone)) type = types_.resolve(fmt::format("{}{}", keyword(each), name));
    return type;
  }
  std::string full = fmt::format("{}{}", keyword(base), name);
  if (auto known = defined_.find(full); known != defined_.end()) return known->second;
  Type type = of_program(full);
  return type.is(TypeKind::kNone) ? types_.resolve(full) : type;
}

void CTypes::look_into(ProgramTypes *program) {
  program_ = program;
  has_looked_ = false;
  bool is_new = std::find(programs_.begin(), programs_.end(), program) == programs_.end();
  if (program != nullptr && is_new) programs_.push_back(program);
}

Type CTypes::of_program(std::string_view name) {
  if (program_ == nullptr) return Type();
  has_looked_ = true;
  return program_->resolve(name);
}

Type CTypes::complete(const Type &type) {
  if (!type.is(TypeKind::kRecord) || !type.fields().empty()) return type;
  if (auto known = defined_.find(type.name()); known != defined_.end()) return known->second;
  for (ProgramTypes *program : programs_)
    if (program->has_made(type)) return program->complete(type);
  // What the script only names may be anybody's.
  if (type.origin() == nullptr)
    if (Type full = of_program(type.name()); full.is(TypeKind::kRecord)) return full;
  return types_.complete(type);
}

const CTypes::Constant *CTypes::constant(std::string_view name) {
  auto known = constants_.find(name);
  if (known == constants_.end()) {
    for (const HeaderMacro &macro : kMacros) {
      if (macro.name != name) continue;
      return &constants_.emplace(std::string(name), Constant{macro.value, Type::integer(8, true)}).first->second;
    }
  }
  if (known == constants_.end() && !has_kernel_enumerators_) {
    kernel_enumerators();
    known = constants_.find(name);
  }
  return known == constants_.end() ? nullptr : &known->second;
}

void CTypes::kernel_enumerators() {
  has_kernel_enumerators_ = true;
  Result<const Btf *> btf = types_.kernel();
  if (!btf) return;
  for (BtfId id = (*btf)->first_id(); id < (*btf)->end_id(); id++) {
    BtfType type = (*btf)->type(id);
    if (!type.is_enum()) continue;
    Type converted = types_.convert(**btf, id);
    // The first one counts, and the script's own before all.
    for (const auto &[name, value] : converted.enumerators()) constants_.try_emplace(name, Constant{value, converted});
  }
}

}  // namespace waggle::script
