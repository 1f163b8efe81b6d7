// Any bytes as an ELF file. The first byte chooses: the rest as it is, or the
// rest as changes (offset of 2 bytes, value of 1) to a whole file, which leads
// behind the checks that few random bytes pass.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "format/elf.h"
#include "format/elf_sample.h"

namespace {

std::vector<std::byte> changed_sample(const uint8_t *data, size_t size) {
  using namespace waggle;
  ElfSample sample;
  sample.text_offset = 0;
  sample.debug_link = "sample.debug";
  sample.symtab = {{"main", 0x1000, 0x20},
                   {"helper@@V2", 0x1020, 0, STB_LOCAL},
                   {"label", 0x1f00, 0, STB_GLOBAL, STT_NOTYPE},
                   {"data", 0x1050, 8, STB_GLOBAL, STT_OBJECT}};
  sample.dynsym = {{"main", 0x1000, 0x20}, {"strlen", 0, 0, STB_GLOBAL, STT_FUNC, SHN_UNDEF}};
  std::vector<std::byte> bytes = sample.build();
  for (size_t at = 0; at + 3 <= size; at += 3)
    bytes[(data[at] | data[at + 1] << 8) % bytes.size()] = std::byte{data[at + 2]};
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  if (size == 0) return 0;
  std::vector<std::byte> bytes;
  if (data[0] % 2 == 0)
    bytes = changed_sample(data + 1, size - 1);
  else
    bytes.assign(reinterpret_cast<const std::byte *>(data + 1), reinterpret_cast<const std::byte *>(data + size));

  constexpr size_t kBytesMost = 1 << 20;
  Result<ElfFile> file = ElfFile::open(bytes);
  if (!file) return 0;
  CHECK(file->build_id().size() <= 128);
  if (Result<ElfDebugLink> link = file->debug_link()) CHECK(link->file_name.find('/') == std::string::npos);
  for (const ElfSection &section : file->sections())
    if (auto content = file->content(section, kBytesMost)) CHECK(content->size() <= bytes.size());
  for (ElfSymbolTable table : {ElfSymbolTable::kSymtab, ElfSymbolTable::kDynsym}) {
    Result<ElfFunctions> functions = file->functions(table, kBytesMost);
    if (!functions) continue;
    CHECK(functions->rows.size() * sizeof(ElfFunction) + functions->names.size() <= kBytesMost);
    for (const ElfFunction &row : functions->rows) {
      CHECK(row.bytes > 0 && row.name < functions->names.size());
      CHECK(functions->name(row).size() <= 8192);
    }
  }
  return 0;
}
