// BTF of any bytes, alone and, after a byte that says where to cut, as a module on
// top of a base.
#include <linux/btf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/check.h"
#include "kernel/kernel_btf.h"

namespace {

using namespace waggle;

void ask(const KernelBtf &btf) {
  size_t asked = 0;
  btf.each_function([&](std::string_view name, uint32_t) {
    if (asked++ < 16) (void)btf.find(BTF_KIND_FUNC, name);
  });
  for (const std::string &name : btf.names_after("b")) CHECK(name.size() < btf.bytes().size());
  (void)btf.find(BTF_KIND_INT, "int");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  if (Result<KernelBtf> alone = KernelBtf::from_bytes(bytes)) ask(*alone);
  if (size < 2) return 0;
  size_t cut = 1 + data[0] * (size - 1) / 256;
  Result<KernelBtf> base = KernelBtf::from_bytes(bytes.subspan(1, cut - 1));
  if (!base) return 0;
  if (Result<KernelBtf> module = KernelBtf::from_bytes(bytes.subspan(cut), &*base)) ask(*module);
  return 0;
}
