// count, sum, min, max, avg, stats, hist, lhist, tseries: one lookup, then what is counted is
// added where it is. Layouts are those of script/output/aggregate.h, buckets those of
// script/output/histogram.h.
#include <algorithm>

#include "base/check.h"
#include "script/lower/writer.h"
#include "script/output/aggregate.h"
#include "script/output/histogram.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

constexpr uint32_t kBucketBytes = 24;  // of tseries: value, count, epoch

}  // namespace

void Writer::count(const Step &step) {
  const Type &type = script_.maps[step.map].shape.value;
  Value key = map_key(step.map, step.key);
  // Before the lookup: nothing then lies between finding the value and changing it.
  Value value = step.value == nullptr ? Value(1) : scalar(*step.value);
  Value times = step.times == nullptr ? Value(1) : scalar(*step.times);
  Label done = b().label();
  Register found = find_or_insert(step.map, key, static_cast<uint32_t>(value_bytes(type)), step.action, done);
  count_into(type, {found}, value, times, done);
  b().bind(done);
}

void Writer::count_into(const Type &type, const Memory &at, const Value &value, const Value &times, const Label &done) {
  const AggregateParameters &parameters = type.parameters();
  auto multiplied = [&] { return times.is_constant(1) ? value : Value(b().mul(value, times)); };
  switch (type.kind()) {
    case TypeKind::kCount:
    case TypeKind::kSum:
      return add_to(at, multiplied());
    case TypeKind::kAvg:
    case TypeKind::kStats: {
      Value sum = multiplied();
      add_to(at, sum);
      return add_to(at.at(kWordBytes), times);
    }
    case TypeKind::kMin:
    case TypeKind::kMax:
      return count_extreme(type.is(TypeKind::kMax), type.is_signed(), at, value);
    case TypeKind::kHist:
      return count_bucket(at, hist_index_of(value, parameters.bits), hist_buckets(parameters.bits), times, done);
    case TypeKind::kLhist:
      return count_bucket(at, lhist_index_of(value, parameters),
                          lhist_buckets(parameters.low, parameters.high, parameters.step), times, done);
    default:
      CHECK(type.is(TypeKind::kTseries));
      return count_tseries(type, at, value, done);
  }
}

// Only this CPU writes there; what interrupts it may, too, where the kernel does not
// keep its programs apart.
void Writer::add_to(const Memory &memory, const Value &value) {
  if (exact_counts_)
    b().atomic_add(Size::k8, memory.base, static_cast<int32_t>(memory.offset), value);
  else
    store(Size::k8, memory, b().add(load(Size::k8, memory), value));
}

void Writer::count_extreme(bool is_max, bool is_signed, const Memory &at, const Value &value) {
  Label better = b().label(), end = b().label();
  b().branch_unless(load(Size::k8, at.at(kWordBytes)), better);
  Condition is_better = is_max ? (is_signed ? Condition::kGreater : Condition::kAbove)
                               : (is_signed ? Condition::kLess : Condition::kBelow);
  b().branch(codegen::inverse(is_better), value, load(Size::k8, at), end);
  b().bind(better);
  store(Size::k8, at, value);
  store(Size::k8, at.at(kWordBytes), 1);
  b().bind(end);
}

// The place of the highest bit that is set. Without branches: each would double what the
// verifier has to follow from here on.
// REQUIRES: below 2^63, and not 0
codegen::Value Writer::log2(const Value &value) {
  Value left = value, power = 0;
  for (uint32_t shift = 5; shift > 0; shift--) {
    const int64_t most = (int64_t{1} << (1u << shift)) - 1;
    // Its sign says whether there is something above.
    Register bits = b().shift_left(b().shift_right(b().sub(most, left), 63), shift);
    left = b().shift_right(left, bits);
    power = b().add(power, bits);
  }
  return b().add(power, b().shift_right(left, 1));
}

codegen::Value Writer::hist_index_of(const Value &value, uint32_t bits) {
  CHECK(bits <= kHistBitsMost);
  Register index = b().variable();
  Label end = b().label();
  b().assign(index, 0);
  b().branch(Condition::kLess, value, 0, end);
  b().assign(index, b().add(value, 1));
  b().branch(Condition::kBelow, value, uint64_t{1} << bits, end);
  Value power = log2(value);
  if (bits == 0) {
    b().assign(index, b().add(power, 2));
  } else {
    Value part = b().bit_and(b().shift_right(value, b().sub(power, bits)), (1u << bits) - 1);
    Value whole = b().shift_left(b().sub(power, bits - 1), bits);
    b().assign(index, b().add(b().add(whole, part), 1));
  }
  b().bind(end);
  return index;
}

codegen::Value Writer::lhist_index_of(const Value &value, const AggregateParameters &parameters) {
  const uint32_t buckets = lhist_buckets(parameters.low, parameters.high, parameters.step);
  Register index = b().variable();
  Label end = b().label();
  b().assign(index, 0);
  b().branch(Condition::kLess, value, parameters.low, end);
  b().assign(index, buckets - 1);
  b().branch(Condition::kGreaterEqual, value, parameters.high, end);
  b().assign(index, b().add(b().div(b().sub(value, parameters.low), parameters.step), 1));
  b().bind(end);
  return index;
}

void Writer::count_bucket(const Memory &at, const Value &index, uint32_t buckets, const Value &times,
                          const Label &done) {
  // For the verifier: it does not see that an index is never beyond.
  b().branch(Condition::kAboveEqual, index, buckets, done);
  Register bucket = b().add(address(at), b().mul(index, kWordBytes));
  add_to({bucket}, times);
}

void Writer::count_tseries(const Type &type, const Memory &at, const Value &value, const Label &done) {
  const AggregateParameters &parameters = type.parameters();
  CHECK(parameters.interval_ns > 0 && parameters.buckets > 0);
  Value now = b().call(BPF_FUNC_ktime_get_boot_ns, {});
  Register epoch = b().div(now, parameters.interval_ns);
  Register index = b().mod(epoch, parameters.buckets);
  b().branch(Condition::kAboveEqual, index, parameters.buckets, done);
  Memory bucket{b().add(address(at), b().mul(index, kBucketBytes))};
  const Memory count = bucket.at(kWordBytes), bucket_epoch = bucket.at(2 * kWordBytes);
  if (parameters.each == TypeKind::kNone) {
    store(Size::k8, bucket, value);
    store(Size::k8, count, now);
    return store(Size::k8, bucket_epoch, epoch);
  }
  Label begin = b().label(), end = b().label();
  b().branch_unless(load(Size::k8, count), begin);
  b().branch(Condition::kNotEqual, load(Size::k8, bucket_epoch), epoch, begin);
  store(Size::k8, count, b().add(load(Size::k8, count), 1));
  if (parameters.each == TypeKind::kMin || parameters.each == TypeKind::kMax) {
    const bool is_max = parameters.each == TypeKind::kMax;
    Condition is_worse = type.is_signed() ? (is_max ? Condition::kLessEqual : Condition::kGreaterEqual)
                                          : (is_max ? Condition::kBelowEqual : Condition::kAboveEqual);
    b().branch(is_worse, value, load(Size::k8, bucket), end);
    store(Size::k8, bucket, value);
  } else {
    store(Size::k8, bucket, b().add(load(Size::k8, bucket), value));
  }
  b().jump(end);
  b().bind(begin);
  store(Size::k8, bucket, value);
  store(Size::k8, count, 1);
  store(Size::k8, bucket_epoch, epoch);
  b().bind(end);
}

// visit(value) for the copy of each CPU.
template <typename Visit>
void Writer::each_cpu(uint32_t map, const Value &key, const Location &at, Visit visit) {
  if (!options_.has_per_cpu_lookup) {
    unsupported(at, "the values of all CPUs cannot be read in a program", "bpf_map_lookup_percpu_elem", "5.19");
    return;
  }
  Register cpu = b().variable();
  Label again = b().label(), next = b().label();
  b().assign(cpu, 0);
  b().bind(again);
  Register value = b().call(BPF_FUNC_map_lookup_percpu_elem, {Value::map(plan_.script_map(map)), key, cpu});
  b().branch_unless(value, next);
  visit(value);
  b().bind(next);
  b().assign(cpu, b().add(cpu, 1));
  b().branch(Condition::kBelow, cpu, options_.processors, again);
}

void Writer::zero_copies(uint32_t map, const Value &key, uint32_t bytes, const Location &at) {
  each_cpu(map, key, at, [&](Register value) { zero({value}, bytes); });
}

// The number that all CPUs' copies make, as reduce() and aggregate_number() have it.
codegen::Value Writer::reduced(uint32_t map, const Value &key, const Location &at) {
  const Type &type = script_.maps[map].shape.value;
  const uint32_t words = aggregate_words(type);
  Register sum = b().variable(), count = b().variable();
  b().assign(sum, 0);
  b().assign(count, 0);
  each_cpu(map, key, at, [&](Register value) {
    switch (type.kind()) {
      case TypeKind::kMin:
      case TypeKind::kMax: {
        const bool is_max = type.is(TypeKind::kMax);
        Label end = b().label(), better = b().label();
        b().branch_unless(b().load(Size::k8, value, kWordBytes), end);
        Register here = b().load(Size::k8, value);
        b().branch_unless(count, better);
        Condition is_worse = type.is_signed() ? (is_max ? Condition::kLessEqual : Condition::kGreaterEqual)
                                              : (is_max ? Condition::kBelowEqual : Condition::kAboveEqual);
        b().branch(is_worse, here, sum, end);
        b().bind(better);
        b().assign(sum, here);
        b().assign(count, 1);
        b().bind(end);
        return;
      }
      case TypeKind::kAvg:
      case TypeKind::kStats:
        b().assign(count, b().add(count, b().load(Size::k8, value, kWordBytes)));
        break;
      case TypeKind::kHist:
      case TypeKind::kLhist:
        for (uint32_t i = 1; i < words; i++)
          b().assign(sum, b().add(sum, b().load(Size::k8, value, static_cast<int32_t>(i * kWordBytes))));
        break;
      case TypeKind::kTseries:
        return;
      default:
        break;
    }
    b().assign(sum, b().add(sum, b().load(Size::k8, value)));
  });
  if (type.is(TypeKind::kAvg) || type.is(TypeKind::kStats)) return b().div(sum, count, type.is_signed());
  return sum;
}

}  // namespace waggle::script
