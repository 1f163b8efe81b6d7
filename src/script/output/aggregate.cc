#include "script/output/aggregate.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "script/output/histogram.h"

namespace waggle::script {
namespace {

constexpr size_t kWordBytes = sizeof(uint64_t);
constexpr uint32_t kTseriesWords = 3;

// {value or sum, count, epoch} of a tseries.
struct Bucket {
  uint64_t value = 0, count = 0, epoch = 0;
};

bool is_less(bool is_signed, uint64_t one, uint64_t two) {
  return is_signed ? static_cast<int64_t>(one) < static_cast<int64_t>(two) : one < two;
}

uint64_t divide(bool is_signed, uint64_t sum, uint64_t count) {
  if (count == 0) return 0;
  if (!is_signed) return sum / count;
  // A count that wrapped round, or of a map that something else wrote.
  auto divisor = static_cast<int64_t>(count);
  if (divisor <= 0) return 0;
  return static_cast<uint64_t>(static_cast<int64_t>(sum) / divisor);
}

// value, 1 when there is one
void merge_extreme(const Type &type, bool is_max, std::span<uint64_t> into, std::span<const uint64_t> copy) {
  if (copy[1] == 0) return;
  bool is_better = is_max ? is_less(type.is_signed(), into[0], copy[0]) : is_less(type.is_signed(), copy[0], into[0]);
  if (into[1] == 0 || is_better) into[0] = copy[0];
  into[1] = 1;
}

void merge_bucket(const Type &type, Bucket &into, const Bucket &copy) {
  if (copy.count == 0 || (into.count != 0 && copy.epoch < into.epoch)) return;
  if (into.count == 0 || copy.epoch > into.epoch) {
    into = copy;
    return;
  }
  switch (type.parameters().each) {
    case TypeKind::kMin:
      if (is_less(type.is_signed(), copy.value, into.value)) into.value = copy.value;
      break;
    case TypeKind::kMax:
      if (is_less(type.is_signed(), into.value, copy.value)) into.value = copy.value;
      break;
    case TypeKind::kSum:
    case TypeKind::kAvg:
      into.value += copy.value;
      break;
    default:
      if (copy.count > into.count) into = copy;
      return;
  }
  into.count += copy.count;
}

Bucket bucket_at(std::span<const uint64_t> words, size_t index) {
  size_t at = index * kTseriesWords;
  return {words[at], words[at + 1], words[at + 2]};
}

void merge_tseries(const Type &type, std::span<uint64_t> into, std::span<const uint64_t> copy) {
  for (size_t i = 0; i < into.size() / kTseriesWords; i++) {
    Bucket bucket = bucket_at(into, i);
    merge_bucket(type, bucket, bucket_at(copy, i));
    size_t at = i * kTseriesWords;
    into[at] = bucket.value;
    into[at + 1] = bucket.count;
    into[at + 2] = bucket.epoch;
  }
}

void merge(const Type &type, std::span<uint64_t> into, std::span<const uint64_t> copy) {
  switch (type.kind()) {
    case TypeKind::kMin:
    case TypeKind::kMax:
      return merge_extreme(type, type.is(TypeKind::kMax), into, copy);
    case TypeKind::kTseries:
      return merge_tseries(type, into, copy);
    default:
      for (size_t i = 0; i < into.size(); i++) into[i] += copy[i];
  }
}

}  // namespace

uint32_t aggregate_words(const Type &type) {
  const AggregateParameters &parameters = type.parameters();
  switch (type.kind()) {
    case TypeKind::kCount:
    case TypeKind::kSum:
      return 1;
    case TypeKind::kHist:
      CHECK(parameters.bits <= kHistBitsMost);
      return hist_buckets(parameters.bits);
    case TypeKind::kLhist:
      CHECK(parameters.step > 0 && parameters.low <= parameters.high);
      return lhist_buckets(parameters.low, parameters.high, parameters.step);
    case TypeKind::kTseries:
      CHECK(parameters.buckets > 0);
      return parameters.buckets * kTseriesWords;
    default:
      return 2;
  }
}

std::vector<uint64_t> words_of(std::span<const std::byte> value) {
  std::vector<uint64_t> words(value.size() / kWordBytes);
  // A range of no bytes may be null, which memcpy does not take.
  if (!words.empty()) std::memcpy(words.data(), value.data(), words.size() * kWordBytes);
  return words;
}

std::vector<std::byte> reduce(const Type &type, std::span<const std::byte> copies) {
  size_t count = aggregate_words(type);
  CHECK(copies.size() % (count * kWordBytes) == 0);
  std::vector<uint64_t> words = words_of(copies), reduced(count);
  for (size_t at = 0; at < words.size(); at += count)
    merge(type, reduced, std::span<const uint64_t>(words).subspan(at, count));
  std::vector<std::byte> value(count * kWordBytes);
  std::memcpy(value.data(), reduced.data(), value.size());
  return value;
}

Stats stats_of(const Type &type, std::span<const std::byte> value) {
  CHECK(type.is(TypeKind::kAvg) || type.is(TypeKind::kStats));
  std::vector<uint64_t> words = words_of(value);
  CHECK(words.size() == 2);
  return {words[1], divide(type.is_signed(), words[0], words[1]), words[0]};
}

uint64_t aggregate_number(const Type &type, std::span<const std::byte> value) {
  std::vector<uint64_t> words = words_of(value);
  CHECK(words.size() == aggregate_words(type));
  switch (type.kind()) {
    case TypeKind::kAvg:
    case TypeKind::kStats:
      return stats_of(type, value).average;
    case TypeKind::kHist:
    case TypeKind::kLhist: {
      uint64_t sum = 0;
      for (uint64_t each : words) sum += each;
      return sum;
    }
    case TypeKind::kTseries:
      return 0;
    default:
      return words[0];
  }
}

std::vector<Interval> intervals_of(const Type &type, std::span<const std::byte> value) {
  CHECK(type.is(TypeKind::kTseries));
  std::vector<uint64_t> words = words_of(value);
  size_t buckets = type.parameters().buckets;
  CHECK(words.size() == buckets * kTseriesWords);
  uint64_t newest = 0;
  bool is_empty = true;
  for (size_t i = 0; i < buckets; i++) {
    Bucket bucket = bucket_at(words, i);
    if (bucket.count == 0) continue;
    newest = std::max(newest, bucket.epoch);
    is_empty = false;
  }
  if (is_empty) return {};
  // What is older than all buckets together has been left standing only because nothing
  // was written in its place.
  uint64_t oldest = newest;
  for (size_t i = 0; i < buckets; i++) {
    Bucket bucket = bucket_at(words, i);
    if (bucket.count != 0 && newest - bucket.epoch < buckets) oldest = std::min(oldest, bucket.epoch);
  }
  std::vector<Interval> intervals(newest - oldest + 1);
  for (size_t i = 0; i < intervals.size(); i++) intervals[i].epoch = oldest + i;
  for (size_t i = 0; i < buckets; i++) {
    Bucket bucket = bucket_at(words, i);
    if (bucket.count == 0 || bucket.epoch < oldest) continue;
    bool is_average = type.parameters().each == TypeKind::kAvg;
    intervals[bucket.epoch - oldest].value =
        is_average ? divide(type.is_signed(), bucket.value, bucket.count) : bucket.value;
  }
  return intervals;
}

}  // namespace waggle::script
