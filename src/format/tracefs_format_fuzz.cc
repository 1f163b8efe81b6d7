// Formats of tracepoints, as tracefs describes them, of any bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "format/tracefs_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  Result<TracepointFormat> format = parse_tracepoint_format({reinterpret_cast<const char *>(data), size});
  if (!format) return 0;
  CHECK(!format->name.empty() && format->id != 0);
  for (const TracepointField &field : format->fields) {
    CHECK(!field.name.empty() && !field.type.empty());
    CHECK(format->field(field.name) != nullptr);
    CHECK(field.length == 0 || field.is_array);
  }
  return 0;
}
