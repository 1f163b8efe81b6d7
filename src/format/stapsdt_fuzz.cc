// Notes of USDT probes, and their arguments, of any bytes.
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "base/check.h"
#include "format/stapsdt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  constexpr auto kRegisters = static_cast<int>(std::size(kUsdtRegisters));
  auto notes = parse_stapsdt({reinterpret_cast<const std::byte *>(data), size});
  if (!notes) return 0;
  for (const StapsdtNote &note : *notes) {
    CHECK(!note.name.empty());
    for (const UsdtArgument &argument : parse_usdt_arguments(note.arguments)) {
      if (argument.where == UsdtArgument::Where::kUnknown) continue;
      CHECK(argument.bytes >= 1 && argument.bytes <= 8);
      CHECK(argument.base < kRegisters && argument.index < kRegisters);
      CHECK(argument.where != UsdtArgument::Where::kRegister || argument.base >= 0);
    }
  }
  return 0;
}
