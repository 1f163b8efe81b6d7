#include "script/check/type_rules.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace waggle::script {
namespace {

constexpr uint32_t kWord = 8;

std::optional<Type> common_integer(const Type &one, const Type &other) {
  uint32_t bytes = std::max(one.bytes(), other.bytes());
  if (one.is_signed() == other.is_signed()) return Type::integer(bytes, one.is_signed());
  // A wider signed type holds all of a narrower unsigned one.
  const Type &is_signed = one.is_signed() ? one : other, &is_unsigned = one.is_signed() ? other : one;
  if (is_signed.bytes() > is_unsigned.bytes()) return is_signed;
  if (bytes < kWord) return Type::integer(bytes * 2, true);
  // Nothing holds both: the first one's sign counts.
  return Type::integer(kWord, one.is_signed());
}

std::optional<Type> common_tuple(const Type &one, const Type &other) {
  const std::vector<Field> &left = one.fields(), &right = other.fields();
  if (left.size() != right.size()) return std::nullopt;
  std::vector<std::pair<std::string, Type>> fields;
  for (size_t i = 0; i < left.size(); i++) {
    if (left[i].name != right[i].name) return std::nullopt;
    std::optional<Type> each = common_type(left[i].type, right[i].type);
    if (!each) return std::nullopt;
    fields.emplace_back(left[i].name, *each);
  }
  return Type::tuple(fields);
}

}  // namespace

Type type_of_number(uint64_t value, bool is_unsigned) {
  if (is_unsigned || value > INT64_MAX) {
    uint32_t bytes = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : kWord;
    return Type::integer(bytes, false);
  }
  return Type::integer(value <= INT8_MAX ? 1 : value <= INT16_MAX ? 2 : value <= INT32_MAX ? 4 : kWord, true);
}

std::optional<Type> common_type(const Type &one, const Type &other) {
  if (one == other) return one;
  if (one.is(TypeKind::kNone)) return other;
  bool of_integers =
      (one.is(TypeKind::kInteger) && other.is_integral()) || (one.is_integral() && other.is(TypeKind::kInteger));
  if (of_integers) return common_integer(one, other);
  if (one.kind() != other.kind()) return std::nullopt;
  switch (one.kind()) {
    case TypeKind::kString:
    case TypeKind::kBuffer:
      return one.bytes() >= other.bytes() ? one : other;
    case TypeKind::kTuple:
      return common_tuple(one, other);
    case TypeKind::kPointer:
      // What points at anything may point at that.
      if (one.element().is(TypeKind::kVoid)) return other;
      if (other.element().is(TypeKind::kVoid)) return one;
      if (one.element().is(TypeKind::kInteger) && other.element().is(TypeKind::kInteger) &&
          one.element().bytes() == other.element().bytes())
        return one;
      return std::nullopt;
    case TypeKind::kEnum:
      return Type::integer(std::max(one.bytes(), other.bytes()), one.is_signed() || other.is_signed());
    default:
      return std::nullopt;
  }
}

Type widened(const Type &type) {
  if (type.is(TypeKind::kInteger)) return Type::integer(kWord, type.is_signed());
  if (!type.is(TypeKind::kTuple)) return type;
  std::vector<std::pair<std::string, Type>> fields;
  for (const Field &field : type.fields()) fields.emplace_back(field.name, widened(field.type));
  return Type::tuple(fields);
}

bool fits(int64_t value, bool is_above_signed, const Type &type) {
  if (type.bytes() >= kWord) return type.is_signed() ? !is_above_signed : is_above_signed || value >= 0;
  if (is_above_signed) return false;
  uint32_t bits = type.bytes() * 8;
  if (!type.is_signed()) return value >= 0 && value < (int64_t{1} << bits);
  return value >= -(int64_t{1} << (bits - 1)) && value < (int64_t{1} << (bits - 1));
}

}  // namespace waggle::script
