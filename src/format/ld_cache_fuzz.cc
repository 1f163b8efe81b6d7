// The cache of the dynamic linker, of any bytes.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "format/ld_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  auto libraries = parse_ld_cache({reinterpret_cast<const std::byte *>(data), size});
  if (!libraries) return 0;
  CHECK(libraries->size() <= size / 24);
  for (const CachedLibrary &library : *libraries) CHECK(!library.name.empty() && library.path.starts_with('/'));
  return 0;
}
