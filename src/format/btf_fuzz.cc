// BTF of any bytes; and, after a byte that says where to cut, a base with a module
// on top of it. Every accessor is called for every type.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "format/btf.h"
#include "format/btf_subset.h"

namespace {

using namespace waggle;

void walk(const Btf &btf) {
  // What one input may cost: printing is the slowest.
  constexpr BtfId kTypesMost = 512;
  for (BtfId id = 0; id < btf.end_id() && id < kTypesMost; id++) {
    BtfType type = btf.type(id);
    CHECK(btf.contains(type.target));
    for (BtfMember member : btf.members(id)) {
      CHECK(btf.contains(member.type));
      (void)btf.member(id, member.name);
    }
    for (BtfEnumerator each : btf.enumerators(id)) CHECK(btf.enumerator(id, each.name).has_value());
    for (BtfParameter each : btf.parameters(id)) CHECK(btf.contains(each.type));
    for (BtfSectionVariable each : btf.variables(id)) CHECK(btf.contains(each.variable));
    CHECK(btf.integer(id).has_value() == (type.kind == BtfKind::kInt));
    (void)btf.array_length(id);
    (void)btf.is_unsigned_enum(id);
    if (auto returned = btf.returned(id)) CHECK(btf.contains(*returned));
    CHECK(!btf.type(btf.resolve(id)).is_modifier());
    (void)btf.size_of(id);
    (void)btf.tags(id);
    (void)btf.tags(id, 0);
    CHECK(btf.declaration(id, "name").size() <= 4096 + 3);
    if (type.name.empty() || type.kind == BtfKind::kDeclTag || type.kind == BtfKind::kTypeTag) continue;
    BtfId found = btf.find(type.kind, type.name);
    CHECK(found != kBtfVoid && btf.type(found).name == type.name && btf.type(found).kind == type.kind);
  }
  std::vector<BtfId> roots;
  for (BtfId id = 0; id < btf.end_id() && id < kTypesMost; id++) roots.push_back(id);
  Result<Btf> subset = Btf::parse(btf_subset(btf, roots));
  CHECK(subset.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  Result<Btf> alone = Btf::parse(bytes);
  if (alone) walk(*alone);
  if (size < 2) return 0;
  size_t cut = 1 + data[0] * (size - 1) / 256;
  Result<Btf> base = Btf::parse(bytes.subspan(1, cut - 1));
  if (!base) return 0;
  Result<Btf> module = Btf::parse(bytes.subspan(cut), &*base);
  if (module) walk(*module);
  return 0;
}
