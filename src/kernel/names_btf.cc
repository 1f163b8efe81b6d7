#include "kernel/names_btf.h"

#include <bpf/btf.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "kernel/names_table.h"

namespace waggle {
namespace {

constexpr std::string_view kDropReasonPrefix = "SKB_DROP_REASON_";

const KernelEnum &drop_reasons() {
  static const KernelEnum reasons =
      read_kernel_enum("skb_drop_reason", kDropReasonPrefix).value_or(KernelEnum(std::vector<KernelEnum::Member>()));
  return reasons;
}

const KernelEnum &reset_reasons() {
  static const KernelEnum reasons =
      read_kernel_enum("sk_rst_reason", "SK_RST_REASON_").value_or(KernelEnum(std::vector<KernelEnum::Member>()));
  return reasons;
}

std::vector<KernelEnum::Member> members_of(const btf *types, const btf_type *type, std::string_view prefix) {
  std::vector<KernelEnum::Member> members;
  auto add = [&](int64_t number, uint32_t name_offset) {
    std::string_view name = btf__name_by_offset(types, name_offset);
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    members.push_back({number, std::string(name)});
  };
  for (int i = 0; i < btf_vlen(type); ++i) {
    if (btf_is_enum64(type)) {
      const struct btf_enum64 &member = btf_enum64(type)[i];
      add(static_cast<int64_t>(btf_enum64_value(&member)), member.name_off);
    } else {
      const struct btf_enum &member = btf_enum(type)[i];
      add(btf_kflag(type) ? member.val : static_cast<int64_t>(static_cast<uint32_t>(member.val)), member.name_off);
    }
  }
  return members;
}

}  // namespace

KernelEnum::KernelEnum(std::vector<Member> members) : members_(std::move(members)) {
  std::stable_sort(members_.begin(), members_.end(),
                   [](const Member &a, const Member &b) { return a.number < b.number; });
}

std::string_view KernelEnum::name(int64_t number) const {
  auto found = std::lower_bound(members_.begin(), members_.end(), number,
                                [](const Member &member, int64_t wanted) { return member.number < wanted; });
  return found == members_.end() || found->number != number ? std::string_view() : std::string_view(found->name);
}

std::optional<int64_t> KernelEnum::number(std::string_view name) const {
  for (const Member &member : members_)
    if (equal_letters(member.name, name)) return member.number;
  return std::nullopt;
}

Result<KernelEnum> read_kernel_enum(const std::string &name, std::string_view prefix) {
  std::unique_ptr<btf, void (*)(btf *)> types(btf__load_vmlinux_btf(), btf__free);
  if (!types)
    return fail(ErrorCode::kUnsupported, "cannot read the kernel's enum " + name,
                "/sys/kernel/btf/vmlinux cannot be read: this kernel has no BTF",
                "boot a kernel with CONFIG_DEBUG_INFO_BTF");
  int32_t id = btf__find_by_name_kind(types.get(), name.c_str(), BTF_KIND_ENUM);
  if (id < 0) id = btf__find_by_name_kind(types.get(), name.c_str(), BTF_KIND_ENUM64);
  if (id < 0)
    return fail(ErrorCode::kNotFound, "cannot read the kernel's enum " + name, "this kernel has none of that name");
  return KernelEnum(members_of(types.get(), btf__type_by_id(types.get(), static_cast<uint32_t>(id)), prefix));
}

std::string_view drop_reason_name(uint32_t reason) {
  return drop_reasons().name(reason);
}

std::string_view reset_reason_name(uint32_t reason) {
  return reset_reasons().name(reason);
}

std::optional<int64_t> drop_reason_number(std::string_view name) {
  if (name.size() > kDropReasonPrefix.size() &&
      equal_letters(name.substr(0, kDropReasonPrefix.size()), kDropReasonPrefix))
    name.remove_prefix(kDropReasonPrefix.size());
  return drop_reasons().number(name);
}

}  // namespace waggle
