#include "format/btf_subset.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace waggle {
namespace {

// Both types take the same place and have the same parts, up to pointers.
class Comparison {
 public:
  Comparison(const Btf &whole, const Btf &subset) : whole_(whole), subset_(subset) {}

  void compare(BtfId left, BtfId right, const std::string &where) {
    left = whole_.resolve(left);
    right = subset_.resolve(right);
    if (!seen_.emplace(left, right).second) return;
    BtfType a = whole_.type(left), b = subset_.type(right);
    ASSERT_EQ(a.kind, b.kind) << where;
    ASSERT_EQ(a.count, b.count) << where;
    ASSERT_EQ(whole_.size_of(left), subset_.size_of(right)) << where;
    if (a.kind == BtfKind::kPointer) return;
    ASSERT_EQ(a.name, b.name) << where;
    if (auto integer = whole_.integer(left)) {
      auto other = subset_.integer(right);
      ASSERT_TRUE(other.has_value()) << where;
      EXPECT_EQ(std::tie(integer->bits, integer->is_signed, integer->is_char, integer->is_bool),
                std::tie(other->bits, other->is_signed, other->is_char, other->is_bool))
          << where;
    }
    if (a.kind == BtfKind::kArray) {
      EXPECT_EQ(whole_.array_length(left), subset_.array_length(right)) << where;
      compare(a.target, b.target, where + "[]");
    }
    BtfList<BtfMember> ours = whole_.members(left), theirs = subset_.members(right);
    for (uint32_t i = 0; i < ours.size(); i++) {
      BtfMember one = ours[i], two = theirs[i];
      EXPECT_EQ(std::tie(one.name, one.bit_offset, one.bit_size), std::tie(two.name, two.bit_offset, two.bit_size))
          << where;
      compare(one.type, two.type, where + "." + std::string(one.name));
    }
    BtfList<BtfEnumerator> values = whole_.enumerators(left), copies = subset_.enumerators(right);
    for (uint32_t i = 0; i < values.size(); i++) {
      BtfEnumerator one = values[i], two = copies[i];
      EXPECT_EQ(std::tie(one.name, one.value), std::tie(two.name, two.value)) << where;
    }
  }
  size_t seen() const { return seen_.size(); }

 private:
  const Btf &whole_, &subset_;
  std::set<std::pair<BtfId, BtfId>> seen_;
};

std::string kernels_types() {
  std::ifstream file("/sys/kernel/btf/vmlinux", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(BtfSubset, HasTheLayoutOfTheRunningKernelsTypes) {
  std::string content = kernels_types();
  if (content.empty()) GTEST_SKIP() << "this kernel has no BTF";
  Result<Btf> whole = Btf::parse(std::as_bytes(std::span(content)));
  ASSERT_TRUE(whole.has_value());
  std::vector<BtfId> roots;
  for (const char *name : {"task_struct", "sk_buff", "bio", "super_block", "tcp_sock"})
    roots.push_back(whole->find(BtfKind::kStruct, name));
  roots.push_back(whole->find(BtfKind::kEnum, "bpf_func_id"));
  BtfId callback = whole->find(BtfKind::kTypedef, "work_func_t");  // void (*)(struct work_struct *)
  roots.push_back(callback);

  std::vector<std::byte> bytes = btf_subset(*whole, roots);
  EXPECT_LT(bytes.size(), content.size() / 10);
  Result<Btf> subset = Btf::parse(bytes);
  ASSERT_TRUE(subset.has_value()) << subset.error().why;
  Comparison comparison(*whole, *subset);
  for (BtfId root : roots) {
    BtfType type = whole->type(root);
    ASSERT_NE(root, kBtfVoid);
    BtfId copy = subset->find(type.kind, type.name);
    ASSERT_NE(copy, kBtfVoid) << type.name;
    if (root == callback) continue;
    comparison.compare(root, copy, std::string(type.name));
    // Its users ask by name for members of anonymous ones too.
    for (BtfMember member : whole->members(root)) EXPECT_TRUE(member.name.empty() || subset->member(copy, member.name));
  }
  EXPECT_GT(comparison.seen(), 100u);
  EXPECT_EQ(subset->type_name(subset->type(subset->find(BtfKind::kTypedef, "work_func_t")).target),
            "void (*)(struct {...} *)");
}

TEST(BtfSubset, OfNothingIsValid) {
  std::vector<BtfId> none;
  std::string content = kernels_types();
  if (content.empty()) GTEST_SKIP() << "this kernel has no BTF";
  Result<Btf> whole = Btf::parse(std::as_bytes(std::span(content)));
  ASSERT_TRUE(whole.has_value());
  // Void, functions and void pointers are left out.
  std::vector<BtfId> unfit = {kBtfVoid, whole->find(BtfKind::kFunction, "schedule")};
  for (const std::vector<BtfId> &roots : {none, unfit}) {
    std::vector<std::byte> bytes = btf_subset(*whole, roots);
    Result<Btf> subset = Btf::parse(bytes);
    ASSERT_TRUE(subset.has_value()) << subset.error().why;
    EXPECT_EQ(subset->end_id(), 2u);
  }
}

}  // namespace
}  // namespace waggle
