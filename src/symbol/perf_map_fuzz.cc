// Any text as a perf map, taken in two pieces as it is when a runtime is still writing.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "symbol/functions.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  PerfMap map;
  size_t taken = map.append(text.substr(0, size / 2));
  CHECK(taken <= size / 2);
  text.remove_prefix(taken);
  taken = map.append(text);
  CHECK(taken <= text.size() && text.find('\n', taken) == std::string_view::npos);
  CHECK(map.size() <= size);
  for (uint64_t address : {uint64_t{0}, uint64_t{0x10}, uint64_t{0x7f0000001000}, ~uint64_t{0}})
    if (auto found = map.find(address)) CHECK(found->start <= address && found->name.size() <= size);
  return 0;
}
