// count(), sum(), hist() and their like: what a map's value is made of.
#include <fmt/format.h>

#include "script/check/checker.h"
#include "script/check/type_rules.h"
#include "script/output/histogram.h"

namespace waggle::script {
namespace {

struct Row {
  std::string_view name;
  TypeKind kind;
};
constexpr Row kRows[] = {{"count", TypeKind::kCount}, {"sum", TypeKind::kSum},     {"min", TypeKind::kMin},
                         {"max", TypeKind::kMax},     {"avg", TypeKind::kAvg},     {"stats", TypeKind::kStats},
                         {"hist", TypeKind::kHist},   {"lhist", TypeKind::kLhist}, {"tseries", TypeKind::kTseries}};

constexpr uint32_t kTseriesBucketsMost = 1'000'000;

}  // namespace

// Elsewhere than on the right of an assignment to a map.
Value Checker::call_aggregate(const Call &of) {
  return wrong(of.at, fmt::format("{}() must be assigned directly to a map", of.name));
}

// @m[key] = sum(x). False: the call is no aggregate.
bool Checker::aggregate(const Assign &assign, const MapAccess &target, const Call &of) {
  TypeKind kind = TypeKind::kNone;
  for (const Row &row : kRows)
    if (row.name == of.name) kind = row.kind;
  for (const Macro *macro : tree_.macros)
    if (macro->name == of.name) kind = TypeKind::kNone;
  if (kind == TypeKind::kNone) return false;
  for (const CallRow &row : call_rows())
    if (row.name == of.name && !count_fits(of, row.fewest, row.most)) return true;
  KnownMap *map = map_of(target);
  if (map == nullptr) return true;
  std::optional<const Node *> key = key_of(target, *map);
  Value counted;
  if (!of.arguments.empty()) {
    counted = expression(*of.arguments[0]);
    if (!counted) return true;
    if (!counted.type().is_integral()) {
      wrong(of.arguments[0]->at,
            fmt::format("{}() only supports int arguments ({} provided)", of.name, counted.type().name()));
      return true;
    }
  }
  AggregateParameters parameters;
  if (kind == TypeKind::kHist && of.arguments.size() > 1) {
    std::optional<int64_t> bits = literal(of, 1);
    if (!bits) return true;
    if (*bits < 0 || *bits > static_cast<int64_t>(kHistBitsMost)) {
      wrong(of.arguments[1]->at, fmt::format("{}: bits {} must be 0..{}", of.name, *bits, kHistBitsMost));
      return true;
    }
    parameters.bits = static_cast<uint32_t>(*bits);
  }
  if (kind == TypeKind::kLhist) {
    std::optional<int64_t> low = literal(of, 1), high = literal(of, 2), step = literal(of, 3);
    if (!low || !high || !step) return true;
    if (*step <= 0) {
      wrong(of.at, fmt::format("lhist() step must be >= 1 ({} provided)", *step));
      return true;
    }
    if (*low >= *high) {
      wrong(of.at, fmt::format("lhist() min must be less than max (provided min {} and max {})", *low, *high));
      return true;
    }
    uint64_t buckets = (static_cast<uint64_t>(*high) - static_cast<uint64_t>(*low)) / static_cast<uint64_t>(*step);
    if (buckets > kLhistBucketsMost) {
      wrong(of.at, fmt::format("lhist() too many buckets, must be <= {} (would need {})", kLhistBucketsMost, buckets));
      return true;
    }
    if (static_cast<uint64_t>(*high) - static_cast<uint64_t>(*low) < static_cast<uint64_t>(*step)) {
      wrong(of.at, fmt::format("lhist() step is too large for the given range (provided step {} for range {})", *step,
                               *high - *low));
      return true;
    }
    parameters.low = *low;
    parameters.high = *high;
    parameters.step = *step;
  }
  if (kind == TypeKind::kTseries) {
    std::optional<int64_t> interval = literal(of, 1), buckets = literal(of, 2);
    if (!interval || !buckets) return true;
    if (*interval <= 0) {
      wrong(of.at, fmt::format("tseries() interval_ns must be >= 1 ({} provided)", *interval));
      return true;
    }
    if (*buckets <= 0) {
      wrong(of.at, fmt::format("tseries() num_intervals must be >= 1 ({} provided)", *buckets));
      return true;
    }
    if (*buckets > kTseriesBucketsMost) {
      wrong(of.at, fmt::format("tseries() num_intervals must be < {} ({} provided)", kTseriesBucketsMost, *buckets));
      return true;
    }
    parameters.interval_ns = static_cast<uint64_t>(*interval);
    parameters.buckets = static_cast<uint32_t>(*buckets);
    if (of.arguments.size() > 3) {
      std::optional<std::string> each = literal_text(of, 3);
      if (!each) return true;
      struct EachRow {
        std::string_view name;
        TypeKind kind;
      };
      constexpr EachRow kEach[] = {{"none", TypeKind::kNone},
                                   {"avg", TypeKind::kAvg},
                                   {"max", TypeKind::kMax},
                                   {"min", TypeKind::kMin},
                                   {"sum", TypeKind::kSum}};
      bool found = false;
      for (const EachRow &row : kEach) {
        if (row.name != *each) continue;
        parameters.each = row.kind;
        found = true;
      }
      if (!found) {
        wrong(of.arguments[3]->at,
              fmt::format("tseries() expects one of the following aggregation functions: avg, max, min, sum (\"{}\" "
                          "provided)",
                          *each));
        return true;
      }
    }
  }
  bool is_signed = counted && counted.type().is_signed() && !(counted.is_plain && counted.node->number >= 0);
  if (counted && counted.is_plain && map->value.kind() == kind) is_signed = map->value.is_signed();
  if (counted && counted.is_plain && map->value.is(TypeKind::kNone)) is_signed = true;
  if (kind == TypeKind::kHist || kind == TypeKind::kLhist) is_signed = false;
  Type type = Type::aggregate(kind, is_signed, parameters);
  if (map->value.is(TypeKind::kNone)) {
    map->value = type;
    map->is_plain = counted && counted.is_plain;
    changed_ = true;
  } else if (map->value.kind() != kind) {
    wrong(assign.at, fmt::format("Type mismatch for @{}: trying to assign value of type '{}' when map already contains "
                                 "a value of type '{}'",
                                 map->name, type.name(), map->value.name()));
    return true;
  } else if (!(map->value == type)) {
    bool same_but_sign = Type::aggregate(kind, map->value.is_signed(), parameters) == map->value;
    if (!same_but_sign) {
      if (kind == TypeKind::kLhist)
        wrong(of.at, "Different lhist bounds in a single map unsupported");
      else if (kind == TypeKind::kHist)
        wrong(of.at, "Different bits in a single hist unsupported");
      else
        wrong(of.at, "Different tseries bounds in a single map unsupported");
      return true;
    }
    if (map->is_plain && !counted.is_plain) {
      map->value = type;
      map->is_plain = false;
      changed_ = true;
    }
  }
  if (!key) return true;
  Step &made = step(Step::Kind::kMapCount, assign.at);
  made.map = map->index;
  made.key = *key;
  if (counted) made.value = convert(counted, Type::integer(8, counted.type().is_signed() || counted.is_plain));
  made.action = map_full(assign.at);
  return true;
}

}  // namespace waggle::script
