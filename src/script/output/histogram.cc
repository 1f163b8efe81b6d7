#include "script/output/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "base/check.h"

namespace waggle::script {
namespace {

constexpr uint64_t kKibi = 1024;
constexpr uint32_t kBarWidth = 52;

// The buckets to print, from first to last; none when all are empty.
struct Shown {
  uint32_t first = 0, last = 0;
  uint64_t most = 0;
};

std::optional<Shown> shown(std::span<const uint64_t> buckets) {
  Shown found;
  for (uint32_t i = 0; i < buckets.size(); i++) {
    if (buckets[i] == 0) continue;
    if (found.most == 0) found.first = i;
    found.last = i;
    found.most = std::max(found.most, buckets[i]);
  }
  if (found.most == 0) return std::nullopt;
  return found;
}

void append_bar(std::string &out, std::string_view label, uint64_t count, uint64_t most, uint32_t div) {
  // Single precision: where it rounds, bpftrace's bars do too.
  auto width =
      static_cast<uint32_t>(static_cast<float>(count) / static_cast<float>(most) * static_cast<float>(kBarWidth));
  fmt::format_to(std::back_inserter(out), "{:<16}{:>8} |{:<{}}|\n", label, count / div,
                 std::string(std::min(width, kBarWidth), '@'), kBarWidth);
}

// With the greatest suffix that says it exactly: 1K, 1280, 1M.
std::string power_label(uint64_t value) {
  static constexpr std::string_view kSuffixes = "KMGTPE";
  size_t scale = 0;
  while (value != 0 && value % kKibi == 0) {
    value /= kKibi;
    scale++;
  }
  std::string label = std::to_string(value);
  if (scale > 0) label += kSuffixes[scale - 1];
  return label;
}

// A suffix only where all bounds can have it: 1000, 2000, 128000 rather than 125K.
std::string linear_label(int64_t value, const LinearBuckets &linear) {
  auto kibi = static_cast<int64_t>(kKibi), mebi = kibi * kibi;
  for (auto [unit, suffix] : {std::pair{mebi, 'M'}, std::pair{kibi, 'K'}})
    if (value != 0 && linear.step % unit == 0 && value % unit == 0) return fmt::format("{}{}", value / unit, suffix);
  return std::to_string(value);
}

std::string hist_label(uint32_t index, uint32_t bits) {
  if (index == 0) return "(..., 0)";
  uint64_t lower = hist_lower(index, bits), upper = hist_lower(index + 1, bits);
  if (upper - lower == 1) return fmt::format("[{}]", lower);
  return fmt::format("[{}, {})", power_label(lower), power_label(upper));
}

std::string lhist_label(uint32_t index, uint32_t buckets, const LinearBuckets &linear) {
  if (index == 0) return fmt::format("(..., {})", linear_label(linear.low, linear));
  if (index + 1 == buckets) return fmt::format("[{}, ...)", linear_label(linear.high, linear));
  int64_t lower = lhist_lower(index, linear.low, linear.high, linear.step);
  return fmt::format("[{}, {})", linear_label(lower, linear), linear_label(lower + linear.step, linear));
}

void append_json_bucket(std::string &out, bool is_first, std::string_view bounds, uint64_t count) {
  fmt::format_to(std::back_inserter(out), "{}{{{}\"count\": {}}}", is_first ? "" : ", ", bounds, count);
}

void check_linear(std::span<const uint64_t> buckets, const LinearBuckets &linear) {
  CHECK(linear.step > 0 && linear.low <= linear.high);
  CHECK(buckets.size() == lhist_buckets(linear.low, linear.high, linear.step));
}

}  // namespace

void append_hist_text(std::string &out, std::span<const uint64_t> buckets, uint32_t bits, uint32_t div) {
  CHECK(bits <= kHistBitsMost && buckets.size() == hist_buckets(bits));
  std::optional<Shown> found = shown(buckets);
  if (!found) return;
  for (uint32_t i = found->first; i <= found->last; i++)
    append_bar(out, hist_label(i, bits), buckets[i], found->most, std::max(div, 1u));
}

void append_lhist_text(std::string &out, std::span<const uint64_t> buckets, LinearBuckets linear, uint32_t div) {
  check_linear(buckets, linear);
  std::optional<Shown> found = shown(buckets);
  if (!found) return;
  auto count = static_cast<uint32_t>(buckets.size());
  for (uint32_t i = found->first; i <= found->last; i++)
    append_bar(out, lhist_label(i, count, linear), buckets[i], found->most, std::max(div, 1u));
}

void append_hist_json(std::string &out, std::span<const uint64_t> buckets, uint32_t bits, uint32_t div) {
  CHECK(bits <= kHistBitsMost && buckets.size() == hist_buckets(bits));
  out += '[';
  if (std::optional<Shown> found = shown(buckets)) {
    for (uint32_t i = found->first; i <= found->last; i++) {
      std::string bounds = "\"max\": -1, ";
      if (i > 0) bounds = fmt::format("\"min\": {}, \"max\": {}, ", hist_lower(i, bits), hist_lower(i + 1, bits) - 1);
      append_json_bucket(out, i == found->first, bounds, buckets[i] / std::max(div, 1u));
    }
  }
  out += ']';
}

void append_lhist_json(std::string &out, std::span<const uint64_t> buckets, LinearBuckets linear, uint32_t div) {
  check_linear(buckets, linear);
  out += '[';
  if (std::optional<Shown> found = shown(buckets)) {
    for (uint32_t i = found->first; i <= found->last; i++) {
      std::string bounds;
      if (i == 0) {
        bounds = fmt::format("\"max\": {}, ", static_cast<int64_t>(static_cast<uint64_t>(linear.low) - 1));
      } else {
        int64_t lower = lhist_lower(i, linear.low, linear.high, linear.step);
        bounds = fmt::format("\"min\": {}, ", lower);
        if (i + 1 < buckets.size()) bounds += fmt::format("\"max\": {}, ", lower + linear.step - 1);
      }
      append_json_bucket(out, i == found->first, bounds, buckets[i] / std::max(div, 1u));
    }
  }
  out += ']';
}

}  // namespace waggle::script
