#include "sensor/core_types.h"

#include <bpf/btf.h>
#include <fmt/format.h>
#include <gelf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.h"
#include "format/btf_subset.h"
#include "kernel/kernel_btf.h"

namespace waggle {
namespace {

// The beginning of .BTF.ext.
struct ExtensionHeader {
  uint16_t magic;
  uint8_t version, flags;
  uint32_t header_bytes;
  uint32_t functions_at, functions_bytes, lines_at, lines_bytes;
  uint32_t relocations_at, relocations_bytes;
};
// Of the relocations of one section; they follow.
struct SectionHeader {
  uint32_t name, count;
};

template <typename T>
T load(std::span<const std::byte> bytes, size_t at) {
  T value;
  CHECK(at <= bytes.size() && sizeof(value) <= bytes.size() - at);
  memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

std::span<const std::byte> section_of(std::span<const std::byte> elf, std::string_view name) {
  elf_version(EV_CURRENT);
  // It is not written to.
  Elf *file = elf_memory(reinterpret_cast<char *>(const_cast<std::byte *>(elf.data())), elf.size());
  CHECK(file != nullptr);
  size_t names = 0;
  CHECK(elf_getshdrstrndx(file, &names) == 0);
  std::span<const std::byte> found;
  for (Elf_Scn *section = nullptr; (section = elf_nextscn(file, section)) != nullptr;) {
    GElf_Shdr header;
    CHECK(gelf_getshdr(section, &header) != nullptr);
    if (name == elf_strptr(file, names, header.sh_name)) found = elf.subspan(header.sh_offset, header.sh_size);
  }
  elf_end(file);
  return found;
}

// Of `folio___until_6_12` the kernel's type is `folio`.
std::string_view without_flavor(std::string_view name) {
  return name.substr(0, name.rfind("___"));
}

using Names = std::unordered_set<std::string_view>;

// The names of the types that relocations of the programs to be loaded are about.
Names relocated_types(const bpf_object *object, std::span<const std::byte> elf) {
  std::set<std::string_view> sections = {".text"};
  bpf_program *program;
  bpf_object__for_each_program(program, object) {
    if (bpf_program__autoload(program)) sections.insert(bpf_program__section_name(program));
  }
  const btf *types = bpf_object__btf(object);
  Names names;
  std::span<const std::byte> extension = section_of(elf, ".BTF.ext");
  auto header = load<ExtensionHeader>(extension, 0);
  if (header.relocations_bytes == 0) return names;
  size_t at = header.header_bytes + header.relocations_at, end = at + header.relocations_bytes;
  size_t step = load<uint32_t>(extension, at);
  at += sizeof(uint32_t);
  while (at < end) {
    auto section = load<SectionHeader>(extension, at);
    at += sizeof(section);
    std::string_view name = btf__name_by_offset(types, section.name);
    // The mark of programs that are not loaded unless asked for is not theirs to libbpf.
    if (name.starts_with('?')) name.remove_prefix(1);
    bool loads = sections.count(name) > 0;
    for (uint32_t i = 0; i < section.count; i++, at += step) {
      if (!loads) continue;
      auto relocation = load<bpf_core_relo>(extension, at);
      const btf_type *type = btf__type_by_id(types, relocation.type_id);
      names.insert(without_flavor(btf__name_by_offset(types, type->name_off)));
    }
  }
  return names;
}

bool may_be_relocated(BtfKind kind) {
  return kind == BtfKind::kStruct || kind == BtfKind::kUnion || kind == BtfKind::kEnum || kind == BtfKind::kEnum64 ||
         kind == BtfKind::kTypedef || kind == BtfKind::kInt || kind == BtfKind::kFloat;
}

}  // namespace

namespace {

// Types that relocations can be about, by name: chains in a table as large as there are
// types. Made in the time of one walk over all of them, which each object took before.
class NameIndex {
 public:
  explicit NameIndex(const Btf &types) : types_(&types) {
    for (BtfId id = 1; id < types.end_id(); id++)
      if (may_be_relocated(types.kind(id))) links_.push_back({id, kEnd});
    heads_.resize(std::bit_ceil(links_.size() + 1), kEnd);
    for (uint32_t i = 0; i < links_.size(); i++) {
      uint32_t &head = heads_[slot_of(types.type(links_[i].id).name)];
      links_[i].next = std::exchange(head, i);
    }
  }

  void append(std::vector<BtfId> &ids, std::string_view name) const {
    for (uint32_t i = heads_[slot_of(name)]; i != kEnd; i = links_[i].next)
      if (types_->type(links_[i].id).name == name) ids.push_back(links_[i].id);
  }

 private:
  static constexpr uint32_t kEnd = UINT32_MAX;
  struct Link {
    BtfId id;
    uint32_t next;
  };
  size_t slot_of(std::string_view name) const { return std::hash<std::string_view>()(name) & (heads_.size() - 1); }

  const Btf *types_;
  std::vector<Link> links_;
  std::vector<uint32_t> heads_;
};

}  // namespace

struct LoadingLease::Types {
  Types(KernelBtf kernel_file, Btf kernel_types) : file(std::move(kernel_file)), types(std::move(kernel_types)) {}

  KernelBtf file;
  Btf types;
  mutable std::once_flag indexed;
  mutable std::optional<NameIndex> names;  // once it is `indexed`
};

LoadingLease::LoadingLease() {
  static std::mutex mutex;
  static std::weak_ptr<const Types> shared;
  std::lock_guard lock(mutex);
  types_ = shared.lock();
  if (types_ != nullptr) return;
  Result<KernelBtf> file = KernelBtf::load();
  if (!file) return;
  Result<Btf> types = Btf::parse(file->bytes());
  if (!types) return;
  types_ = std::make_shared<Types>(std::move(*file), std::move(*types));
  shared = types_;
}

std::optional<LoadingLease::Found> LoadingLease::find(std::unordered_set<std::string_view> &missing) const {
  if (types_ == nullptr) return std::nullopt;
  std::call_once(types_->indexed, [&] { types_->names.emplace(types_->types); });
  Found found{&types_->types, {}};
  std::erase_if(missing, [&](std::string_view name) {
    size_t before = found.ids.size();
    types_->names->append(found.ids, name);
    return found.ids.size() > before;
  });
  std::sort(found.ids.begin(), found.ids.end());
  return found;
}

CoreTypes::CoreTypes() : file_(memfd_create("waggle-kernel-types", MFD_CLOEXEC)) {
  if (file_.valid()) path_ = fmt::format("/proc/self/fd/{}", file_.get());
}

bool CoreTypes::fill(const LoadingLease &lease, const bpf_object *object, std::span<const std::byte> elf) {
  if (!file_.valid()) return false;
  Names missing = relocated_types(object, elf);
  std::optional<LoadingLease::Found> found = lease.find(missing);
  if (!found) return false;
  if (!missing.empty() && !modules_with_btf().empty()) return false;
  std::vector<std::byte> subset = btf_subset(*found->types, found->ids);
  return pwrite(file_.get(), subset.data(), subset.size(), 0) == static_cast<ssize_t>(subset.size());
}

}  // namespace waggle
