// Account files of any bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "enrich/host_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  for (const waggle::AccountName &account : waggle::parse_account_names(text)) {
    CHECK(!account.name.empty() && account.name.size() <= 256);
    CHECK(account.name.find_first_of(":\n") == std::string::npos);
  }
  return 0;
}
