#include "script/types/type.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace waggle::script {

struct Type::Detail {
  Type element;
  uint32_t count = 0;
  StackMode stack_mode = StackMode::kBpftrace;
  std::shared_ptr<const Record> record;  // of kRecord and kTuple
  std::string name;                      // of kEnum
  std::vector<std::pair<std::string, int64_t>> enumerators;
  AggregateParameters parameters;
};

namespace {

// A pointer, and everything that is kept as one number.
constexpr uint32_t kWord = 8;

uint32_t aggregate_bytes(TypeKind kind) {
  switch (kind) {
    case TypeKind::kCount:
    case TypeKind::kSum:
      return kWord;
    case TypeKind::kMin:
    case TypeKind::kMax:
    case TypeKind::kAvg:
    case TypeKind::kStats:
      return 2 * kWord;
    default:
      // Of a bucket: how many there are is a matter of how they are stored.
      return kind == TypeKind::kTseries ? 3 * kWord : kWord;
  }
}

}  // namespace

Type Type::pointer(const Type &to, AddressSpace space) {
  Type type(TypeKind::kPointer, kWord);
  type.space_ = space;
  Detail detail;
  detail.element = to;
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

Type Type::array(const Type &of, uint32_t count) {
  Type type(TypeKind::kArray, of.bytes() * count);
  Detail detail;
  detail.element = of;
  detail.count = count;
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

Type Type::record(std::shared_ptr<const Record> record) {
  Type type(TypeKind::kRecord, record->bytes);
  Detail detail;
  detail.record = std::move(record);
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

Type Type::tuple(const std::vector<std::pair<std::string, Type>> &fields) {
  auto record = std::make_shared<Record>();
  uint32_t at = 0, most = 1;
  for (const auto &[name, each] : fields) {
    uint32_t alignment = each.alignment();
    most = std::max(most, alignment);
    at = (at + alignment - 1) / alignment * alignment;
    record->fields.push_back({name, each, at, 0, 0});
    at += each.bytes();
  }
  record->bytes = (at + most - 1) / most * most;
  Type type = Type::record(std::move(record));
  type.kind_ = TypeKind::kTuple;
  return type;
}

Type Type::enumeration(std::string name, uint32_t bytes, std::vector<std::pair<std::string, int64_t>> values) {
  bool is_signed = std::any_of(values.begin(), values.end(), [](const auto &each) { return each.second < 0; });
  Type type(TypeKind::kEnum, bytes, is_signed);
  Detail detail;
  detail.name = std::move(name);
  detail.enumerators = std::move(values);
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

Type Type::stack(TypeKind kind, StackMode mode, uint32_t frames) {
  CHECK(kind == TypeKind::kKernelStack || kind == TypeKind::kUserStack);
  Type type(kind, kind == TypeKind::kKernelStack ? kWord : 2 * kWord);
  Detail detail;
  detail.stack_mode = mode;
  detail.count = frames;
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

Type Type::aggregate(TypeKind kind, bool is_signed, const AggregateParameters &parameters) {
  Type type(kind, aggregate_bytes(kind), is_signed);
  CHECK(type.is_aggregate());
  Detail detail;
  detail.parameters = parameters;
  type.detail_ = std::make_shared<Detail>(std::move(detail));
  return type;
}

uint32_t Type::alignment() const {
  switch (kind_) {
    case TypeKind::kString:
    case TypeKind::kMacAddress:
    case TypeKind::kNone:
    case TypeKind::kVoid:
      return 1;
    case TypeKind::kBuffer:
      return 4;
    case TypeKind::kArray:
      return element().alignment();
    case TypeKind::kTuple: {
      uint32_t most = 1;
      for (const Field &field : fields()) most = std::max(most, field.type.alignment());
      return most;
    }
    case TypeKind::kBool:
    case TypeKind::kInteger:
    case TypeKind::kEnum:
      return std::clamp<uint32_t>(bytes_, 1, kWord);
    default:
      // Records too: where a field needs less, nobody is worse off.
      return kWord;
  }
}

const Type &Type::element() const {
  CHECK(kind_ == TypeKind::kPointer || kind_ == TypeKind::kArray);
  return detail_->element;
}
uint32_t Type::count() const {
  CHECK(kind_ == TypeKind::kArray || kind_ == TypeKind::kKernelStack || kind_ == TypeKind::kUserStack);
  return detail_->count;
}
StackMode Type::stack_mode() const {
  CHECK(kind_ == TypeKind::kKernelStack || kind_ == TypeKind::kUserStack);
  return detail_->stack_mode;
}
const std::vector<Field> &Type::fields() const {
  CHECK(kind_ == TypeKind::kRecord || kind_ == TypeKind::kTuple);
  return detail_->record->fields;
}
const Field *Type::field(const std::string &name) const {
  for (const Field &each : fields())
    if (each.name == name) return &each;
  return nullptr;
}
const void *Type::origin() const {
  CHECK(kind_ == TypeKind::kRecord);
  return detail_->record->origin;
}
const AggregateParameters &Type::parameters() const {
  CHECK(is_aggregate());
  return detail_->parameters;
}

std::string Type::name() const {
  switch (kind_) {
    case TypeKind::kNone:
      return "none";
    case TypeKind::kVoid:
      return "void";
    case TypeKind::kBool:
      return "bool";
    case TypeKind::kInteger:
      return fmt::format("{}int{}", is_signed_ ? "" : "u", bytes_ * 8);
    case TypeKind::kEnum:
      return "enum " + detail_->name;
    case TypeKind::kString:
      return fmt::format("string[{}]", bytes_);
    case TypeKind::kBuffer:
      return fmt::format("buffer[{}]", bytes_ - 4);
    case TypeKind::kPointer:
      return element().name() + (element().is(TypeKind::kPointer) ? "*" : " *");
    case TypeKind::kArray:
      return fmt::format("{}[{}]", element().name(), detail_->count);
    case TypeKind::kRecord:
      return detail_->record->name;
    case TypeKind::kTuple: {
      std::string text = "(";
      for (const Field &field : fields()) {
        if (text.size() > 1) text += ',';
        if (!field.name.empty()) text += field.name + "=";
        text += field.type.name();
      }
      return text + ")";
    }
    case TypeKind::kKernelStack:
      return "kstack";
    case TypeKind::kUserStack:
      return "ustack";
    case TypeKind::kKernelSymbol:
      return "ksym_t";
    case TypeKind::kUserSymbol:
      return "usym_t";
    case TypeKind::kInet:
      return "inet";
    case TypeKind::kMacAddress:
      return "mac_address";
    case TypeKind::kUsername:
      return "username";
    case TypeKind::kTimestamp:
      return "timestamp";
    case TypeKind::kCgroupPath:
      return "cgroup_path_t";
    case TypeKind::kErrno:
      return "strerror_t";
    case TypeKind::kCount:
      return "count_t";
    case TypeKind::kSum:
      return is_signed_ ? "sum_t" : "usum_t";
    case TypeKind::kMin:
      return is_signed_ ? "min_t" : "umin_t";
    case TypeKind::kMax:
      return is_signed_ ? "max_t" : "umax_t";
    case TypeKind::kAvg:
      return is_signed_ ? "avg_t" : "uavg_t";
    case TypeKind::kStats:
      return is_signed_ ? "stats_t" : "ustats_t";
    case TypeKind::kHist:
      return "hist_t";
    case TypeKind::kLhist:
      return "lhist_t";
    case TypeKind::kTseries:
      return "tseries_t";
  }
  return {};
}

std::string Type::enumerator(int64_t value) const {
  CHECK(kind_ == TypeKind::kEnum);
  for (const auto &[name, each] : detail_->enumerators)
    if (each == value) return name;
  return {};
}

const std::vector<std::pair<std::string, int64_t>> &Type::enumerators() const {
  CHECK(kind_ == TypeKind::kEnum);
  return detail_->enumerators;
}

bool Type::operator==(const Type &other) const {
  if (kind_ != other.kind_ || bytes_ != other.bytes_ || is_signed_ != other.is_signed_) return false;
  if (detail_ == other.detail_) return true;
  switch (kind_) {
    case TypeKind::kPointer:
      return element() == other.element();
    case TypeKind::kArray:
      return detail_->count == other.detail_->count && element() == other.element();
    case TypeKind::kEnum:
      return detail_->name == other.detail_->name;
    case TypeKind::kRecord: {
      const Record &one = *detail_->record, &two = *other.detail_->record;
      return &one == &two || (!one.name.empty() && one.name == two.name);
    }
    case TypeKind::kTuple: {
      const std::vector<Field> &one = fields(), &two = other.fields();
      return std::equal(one.begin(), one.end(), two.begin(), two.end(), [](const Field &a, const Field &b) {
        return a.name == b.name && a.type == b.type && a.offset == b.offset;
      });
    }
    case TypeKind::kKernelStack:
    case TypeKind::kUserStack:
      return detail_->stack_mode == other.detail_->stack_mode && detail_->count == other.detail_->count;
    default:
      break;
  }
  if (!is_aggregate()) return true;
  const AggregateParameters &one = parameters(), &two = other.parameters();
  return std::tie(one.bits, one.low, one.high, one.step, one.interval_ns, one.buckets, one.each) ==
         std::tie(two.bits, two.low, two.high, two.step, two.interval_ns, two.buckets, two.each);
}

}  // namespace waggle::script
