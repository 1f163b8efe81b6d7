#include "schema/condition.h"

#include <algorithm>
#include <cstring>

namespace waggle {
namespace {

constexpr uint64_t kFirstBit = uint64_t{1} << 63;

bool holds(const Condition &condition, Row row) {
  if (condition.size == 16) {
    uint64_t words[2] = {};
    if (condition.offset + sizeof(words) <= row.size()) memcpy(words, row.data() + condition.offset, sizeof(words));
    bool equal =
        (words[0] & condition.mask[0]) == condition.low[0] && (words[1] & condition.mask[1]) == condition.low[1];
    return equal != condition.negated;
  }
  Column column;
  column.offset = condition.offset;
  column.size = condition.size;
  column.is_signed = condition.is_signed;
  uint64_t value = natural(column, row);
  if (condition.is_signed) value ^= kFirstBit;
  value &= condition.mask[0];
  return (value >= condition.low[0] && value <= condition.high[0]) != condition.negated;
}

bool holds(const TextCondition &condition, Row row) {
  std::string value(text(condition.column, row));
  if (condition.column.kind == Kind::kArgv) {
    if (value.ends_with('\0')) value.pop_back();
    std::replace(value.begin(), value.end(), '\0', ' ');
  }
  bool found = condition.part ? value.find(condition.text) != std::string::npos : value == condition.text;
  return found != condition.negated;
}

template <typename Any>
bool all(std::span<const Any> conditions, Row row) {
  bool any = false;
  for (const Any &condition : conditions) {
    if (!any) any = holds(condition, row);
    if (condition.or_next) continue;
    if (!any) return false;
    any = false;
  }
  return true;
}

}  // namespace

bool all_hold(std::span<const Condition> conditions, Row row) {
  return all(conditions, row);
}
bool all_hold(std::span<const TextCondition> conditions, Row row) {
  return all(conditions, row);
}

}  // namespace waggle
