// Any text as /proc/kallsyms; every answer must be among the symbols.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "symbol/kernel_symbols.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  Result<KernelSymbols> symbols = KernelSymbols::parse(text);
  if (!symbols) return 0;
  CHECK(symbols->size() <= size);
  for (uint64_t address : {uint64_t{0}, uint64_t{0xa}, uint64_t{0xffffffff81000000}, ~uint64_t{0}}) {
    std::optional<KernelSymbol> found = symbols->find(address);
    if (found && !found->name.empty()) CHECK(symbols->address_of(found->name) <= address);
  }
  return 0;
}
