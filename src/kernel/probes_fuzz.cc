// The text of kallsyms and of available_filter_functions, and patterns for probes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "kernel/probes.h"
#include "kernel/probes_kallsyms.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  if (auto symbol = parse_kernel_symbol(text)) CHECK(!symbol->name.empty());
  std::vector<CodeSymbol> symbols = select_code_symbols(text, "*");
  for (size_t i = 1; i < symbols.size(); i++) CHECK(symbols[i - 1].name < symbols[i].name);
  std::vector<std::string_view> names = parse_filter_functions(text);
  CHECK(std::is_sorted(names.begin(), names.end()));
  (void)probe_matches(text.substr(0, size / 2), text.substr(size / 2));
  return 0;
}
