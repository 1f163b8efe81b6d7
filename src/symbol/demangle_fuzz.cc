// Any bytes as a mangled name; a name that takes long is found by the fuzzer's own time limit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "symbol/demangle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view bytes(reinterpret_cast<const char *>(data), size);
  for (const char *prefix : {"", "_Z", "_ZN", "_R"}) {
    std::string name = prefix + std::string(bytes);
    CHECK(demangle(name).size() <= std::max(name.size(), kDemangledBytesMost));
  }
  return 0;
}
