// Maps: what their keys and values are across the whole script, reading and writing them.
#include <fmt/format.h>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

// Keys are kept as 64-bit integers, so that one key is one key whatever it was computed of.
Type key_type(const Value &value) {
  return widened(value.type());
}

bool is_number_aggregate(const Type &type) {
  return type.is_aggregate() && type.kind() < TypeKind::kHist;
}

std::string call_of(const Type &aggregate) {
  switch (aggregate.kind()) {
    case TypeKind::kCount:
      return "count()";
    case TypeKind::kSum:
      return "sum(retval)";
    case TypeKind::kMin:
      return "min(retval)";
    case TypeKind::kMax:
      return "max(retval)";
    case TypeKind::kAvg:
      return "avg(retval)";
    case TypeKind::kStats:
      return "stats(arg2)";
    case TypeKind::kHist:
      return "hist(retval)";
    case TypeKind::kLhist:
      return "lhist(rand %10, 0, 10, 1)";
    default:
      return "tseries(rand %10, 10s, 1)";
  }
}

}  // namespace

KnownMap &Checker::known_map(std::string_view name, const Location &at) {
  auto found = maps_.find(name);
  if (found == maps_.end()) {
    found = maps_.emplace(std::string(name), KnownMap()).first;
    found->second.name = name;
    found->second.at = at;
    changed_ = true;
    // The numbers of the others have changed, which the next pass takes up.
    found->second.index = static_cast<uint32_t>(maps_.size() - 1);
  }
  return found->second;
}

KnownMap *Checker::map_of(const MapAccess &map) {
  if (auto found = frame_->maps.find(map.name); found != frame_->maps.end()) return &known_map(found->second, map.at);
  if (frame_->is_macro) {
    wrong(map.at,
          fmt::format("Unhygienic access to map: @{}. Maps must be passed into the macro as arguments.", map.name));
    return nullptr;
  }
  return &known_map(map.name, map.at);
}

const Node *Checker::one_key(const Value &value, KnownMap &map, const Location &at) {
  if (!value) return nullptr;
  Type given = key_type(value);
  if (given.is(TypeKind::kNone) || given.is(TypeKind::kVoid) || given.is_aggregate()) {
    wrong(at, fmt::format("{} cannot be used as a map key", value.type().name()));
    return nullptr;
  }
  if (map.key.is(TypeKind::kNone)) {
    map.key = given;
    changed_ = true;
  } else if (std::optional<Type> common = common_type(map.key, given); common) {
    if (!(*common == map.key)) {
      map.key = *common;
      changed_ = true;
    }
  } else {
    wrong(at, fmt::format("Argument mismatch for @{}: trying to access with arguments: '{}' when map expects "
                          "arguments: '{}'",
                          map.name, given.name(), map.key.name()));
    return nullptr;
  }
  return convert(value, map.key);
}

std::optional<const Node *> Checker::scalar_key(KnownMap &map, const Location &at) {
  if (map.access == KnownMap::Access::kKeyed) {
    wrong(at, fmt::format("@{} used as a map without an explicit key (scalar map), previously used with an explicit "
                          "key (non-scalar map)",
                          map.name));
    return std::nullopt;
  }
  if (map.access == KnownMap::Access::kUnknown) {
    map.access = KnownMap::Access::kScalar;
    changed_ = true;
  }
  return nullptr;
}

std::optional<const Node *> Checker::key_of(const std::vector<Value> &keys, KnownMap &map, const Location &at) {
  if (map.access == KnownMap::Access::kScalar) {
    wrong(at, fmt::format("@{} used as a map with an explicit key (non-scalar map), previously used without an "
                          "explicit key (scalar map)",
                          map.name));
    return std::nullopt;
  }
  if (map.access == KnownMap::Access::kUnknown) {
    map.access = KnownMap::Access::kKeyed;
    changed_ = true;
  }
  Value key;
  if (keys.size() == 1) {
    key = keys.front();
  } else {
    std::vector<std::pair<std::string, Type>> fields;
    std::vector<const Node *> in;
    for (const Value &each : keys) {
      if (!each) return std::nullopt;
      fields.emplace_back("", each.type());
      in.push_back(each.node);
    }
    key = value(Op::kTuple, Type::tuple(fields), at, std::move(in));
  }
  const Node *made = one_key(key, map, at);
  if (made == nullptr) return std::nullopt;
  return made;
}

std::optional<const Node *> Checker::key_of(const MapAccess &access, KnownMap &map) {
  if (!access.has_key) return scalar_key(map, access.at);
  if (access.key.empty()) {
    wrong(access.at, fmt::format("@{} needs a key between its brackets", map.name));
    return std::nullopt;
  }
  std::vector<Value> keys;
  for (const Expression *each : access.key) keys.push_back(expression(*each));
  Location at = access.key.front()->at.to(access.key.back()->at);
  return key_of(keys, map, at);
}

Value Checker::read_map(KnownMap &map, const Node *key, const Location &at) {
  if (map.value.is(TypeKind::kNone)) {
    // Of a declared map, or of one that no value has been seen of yet.
    wrong(at, fmt::format("Undefined map: @{}", map.name));
    return {};
  }
  if (map.value.is_aggregate()) {
    Type number = Type::integer(8, map.value.is_signed());
    if (!is_number_aggregate(map.value)) number = map.value;
    Node &node = make(Op::kMapValue, number, at);
    if (key != nullptr) node.in.push_back(key);
    node.map = map.index;
    return {&node, false, map.value, map.name};
  }
  Node &node = make(Op::kMapValue, map.value, at);
  if (key != nullptr) node.in.push_back(key);
  node.map = map.index;
  return {&node, false, {}, map.name};
}

Value Checker::map_value(const MapAccess &access) {
  KnownMap *map = map_of(access);
  if (map == nullptr) return {};
  std::optional<const Node *> key = key_of(access, *map);
  if (!key) return {};
  Value read = read_map(*map, *key, access.at);
  if (read && read.type().is_aggregate())
    return wrong(access.at, fmt::format("Map value '{}' cannot be used as a number", read.type().name()));
  return read;
}

bool Checker::grow_value(KnownMap &map, const Value &value, const Location &at) {
  if (!value) return false;
  if (!value.aggregate.is(TypeKind::kNone)) {
    Diagnostic *made = nullptr;
    std::string message = fmt::format(
        "Map value '{}' cannot be assigned from one map to another. The function that returns this type "
        "must be called directly e.g. `@{} = {};`.",
        value.aggregate.name(), map.name, call_of(value.aggregate));
    std::string hint = fmt::format(
        "Add a cast to integer if you want the value of the aggregate, e.g. `@{} = "
        "(int64)@{};`.",
        map.name, value.map);
    (void)made;
    wrong(at, std::move(message), std::move(hint));
    return false;
  }
  const Type &given = value.type();
  if (given.is(TypeKind::kNone) || given.is(TypeKind::kVoid)) {
    wrong(at, fmt::format("Invalid expression for assignment: '{}' has no value", sources_.text(value.node->at)));
    return false;
  }
  Type wanted = widened(given);
  if (map.value.is(TypeKind::kNone)) {
    map.value = wanted;
    map.is_plain = value.is_plain;
    changed_ = true;
    return true;
  }
  std::optional<Type> common;
  if (map.value.is(TypeKind::kInteger) && wanted.is(TypeKind::kInteger)) {
    common = map.value;
    if (map.is_plain && !value.is_plain) {
      map.is_plain = false;
      common = wanted;
    }
  } else if (!map.value.is_aggregate()) {
    common = common_type(map.value, wanted);
  }
  if (!common) {
    wrong(at, fmt::format("Type mismatch for @{}: trying to assign value of type '{}' when map already contains a "
                          "value of type '{}'",
                          map.name, given.name(), map.value.name()));
    return false;
  }
  if (!(*common == map.value)) {
    map.value = *common;
    changed_ = true;
  }
  return true;
}

KnownMap *Checker::whole_map(const Expression &argument, std::string_view call) {
  if (argument.kind != ExpressionKind::kMap || as<MapAccess>(argument).has_key) {
    wrong(argument.at, fmt::format("{}() expects a map to be provided", call));
    return nullptr;
  }
  const auto &access = as<MapAccess>(argument);
  auto renamed = frame_->maps.find(access.name);
  std::string_view name = renamed != frame_->maps.end() ? renamed->second : access.name;
  auto found = maps_.find(name);
  if (found == maps_.end()) {
    wrong(argument.at, fmt::format("Undefined map: @{}", name));
    return nullptr;
  }
  return map_of(access);
}

}  // namespace waggle::script
