// Attach points of any text: parsed in all ways; what is accepted can be written
// and is parsed to the same again, and errors mark a part of the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "script/probes/attach_point.h"

namespace {

using namespace waggle::script;

// Text that parsing would cut at other places than it was cut at.
bool is_ambiguous(const AttachPoint &point) {
  for (const std::string *part :
       {&point.target, &point.function, &point.usdt_provider, &point.language, &point.pin, &point.mode})
    if (part->find_first_of(":\"+") != std::string::npos || (!part->empty() && (*part)[0] >= '0' && (*part)[0] <= '9'))
      return true;
  return point.target == "cpp" || point.function == "cpp";
}

void check(std::string_view text, const AttachPointOptions &options) {
  auto points = parse_attach_points(text, options);
  if (!points) {
    CHECK(points.error().begin < points.error().end || text.empty());
    CHECK(points.error().begin <= text.size());
    CHECK(!points.error().message.empty());
    return;
  }
  CHECK(!points->empty());
  for (const AttachPoint &point : *points) {
    std::string written = point.text();
    CHECK(written.starts_with(provider_name(point.provider)));
    if (point.unit != RateUnit::kNone && point.count != 0) (void)point.period_ns();
    if (options.listing || is_ambiguous(point) || point.address != 0) continue;
    auto again = parse_attach_point(written, options);
    CHECK(again.has_value());
    CHECK(again->text() == written);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 4096) return 0;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  for (bool has_process : {false, true})
    for (bool listing : {false, true}) check(text, {has_process, listing});
  std::string_view pattern = text.substr(0, text.find('\n'));
  std::string_view subject = text.substr(std::min(text.size(), pattern.size() + 1));
  if (!has_wildcard(pattern)) CHECK(wildcard_match(pattern, subject) == (pattern == subject));
  (void)wider_glob(pattern);
  return 0;
}
