// Any bytes as debug information. The first byte chooses: the rest as .debug_info and
// .debug_abbrev, cut where the second says; or as changes (section and offset of 2 bytes,
// value of 1) to a whole file, which leads behind the checks that few random bytes pass.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "format/btf.h"
#include "format/dwarf.h"
#include "format/dwarf_btf.h"
#include "format/dwarf_sample.h"

namespace {

using namespace waggle;

void ask(const DwarfSections &sections) {
  Result<Dwarf> dwarf = Dwarf::parse(sections);
  if (!dwarf) return;
  auto convert = [&](DwarfOffset root) {
    if (root == kDwarfNone) return;
    std::vector<std::byte> bytes = btf_of_dwarf(*dwarf, root);
    Result<Btf> btf = Btf::parse(bytes);
    CHECK(btf.has_value());
    CHECK(btf->contains(kDwarfRoot));
    (void)btf->declaration(kDwarfRoot);
  };
  convert(dwarf->find_function("take", 0x1000));
  convert(dwarf->find_function("ns::take(int)", 0));
  convert(dwarf->find_type(DwarfTypeWord::kStruct, "box"));
  convert(dwarf->find_type(DwarfTypeWord::kAny, "ns::colour"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  std::span<const std::byte> rest(reinterpret_cast<const std::byte *>(data) + 2, size - 2);
  if (data[0] % 2 == 0) {
    size_t cut = data[1] * rest.size() / 256;
    DwarfSections sections;
    sections.info = rest.first(cut);
    sections.abbrev = rest.subspan(cut);
    sections.str = sections.line_str = sections.str_offsets = sections.addr = sections.ranges = sections.rnglists =
        sections.abbrev;
    ask(sections);
    return 0;
  }
  DwarfSample::Choice choice;
  choice.version = static_cast<uint16_t>(2 + data[1] % 4);
  choice.is_indexed = choice.version == 5 && (data[1] & 4) != 0;
  choice.with_siblings = (data[1] & 8) != 0;
  choice.is_wide = choice.version > 2 && (data[1] & 16) != 0;
  choice.language = (data[1] & 32) != 0 ? 4 : 0x1d;
  DwarfSample sample(choice);
  add_sample_unit(sample, choice.version < 4);
  DwarfSections sections = sample.sections();
  std::string *parts[] = {&sample.info, &sample.abbrev, &sample.str_offsets, &sample.addr};
  for (size_t at = 2; at + 3 <= size; at += 3) {
    std::string &part = *parts[data[at + 1] >> 6];
    size_t offset = data[at] | (data[at + 1] & 0x3f) << 8;
    if (!part.empty()) part[offset % part.size()] = static_cast<char>(data[at + 2]);
  }
  ask(sections);
  return 0;
}
