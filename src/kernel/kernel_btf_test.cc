#include "kernel/kernel_btf.h"

#include <gtest/gtest.h>
#include <linux/btf.h>

#include <cstddef>
#include <cstring>

namespace waggle {
namespace {

// BTF put together by hand: types are 32-bit words, strings are kept as given.
std::vector<std::byte> btf_of(const std::vector<uint32_t> &types, std::string_view strings) {
  btf_header header = {};
  header.magic = BTF_MAGIC;
  header.version = BTF_VERSION;
  header.hdr_len = sizeof(header);
  header.type_len = static_cast<uint32_t>(types.size() * sizeof(uint32_t));
  header.str_off = header.type_len;
  header.str_len = static_cast<uint32_t>(strings.size());
  std::vector<std::byte> bytes(sizeof(header) + header.type_len + header.str_len);
  memcpy(bytes.data(), &header, sizeof(header));
  memcpy(bytes.data() + sizeof(header), types.data(), header.type_len);
  memcpy(bytes.data() + sizeof(header) + header.type_len, strings.data(), strings.size());
  return bytes;
}

constexpr uint32_t info(uint32_t kind, uint32_t vlen = 0) {
  return kind << 24 | vlen;
}

using std::string_view_literals::operator""sv;
//                                    1    5     10             24
constexpr std::string_view kStrings = "\0int\0read\0btf_trace_read\0btf_trace_gone\0"sv;

// 1 int; 2 int (int, int); 3 read(); 4 typedef btf_trace_read
const std::vector<uint32_t> kTypes = {
    1,  info(BTF_KIND_INT),           4, 32,           //
    0,  info(BTF_KIND_FUNC_PROTO, 2), 1, 0,  1, 0, 1,  //
    5,  info(BTF_KIND_FUNC),          2,               //
    10, info(BTF_KIND_TYPEDEF),       1,
};

TEST(KernelBtf, FindsByNameAndKind) {
  std::vector<std::byte> bytes = btf_of(kTypes, kStrings);
  Result<KernelBtf> btf = KernelBtf::from_bytes(bytes);
  ASSERT_TRUE(btf);
  struct Case {
    uint32_t kind;
    std::string_view name;
    uint32_t id;
  };
  constexpr Case kCases[] = {
      {BTF_KIND_INT, "int", 1},    {BTF_KIND_FUNC, "read", 3}, {BTF_KIND_TYPEDEF, "btf_trace_read", 4},
      {BTF_KIND_INT, "read", 0},   {BTF_KIND_FUNC, "rea", 0},  {BTF_KIND_FUNC, "trace_read", 0},
      {BTF_KIND_FUNC, "write", 0}, {BTF_KIND_FUNC, "", 0},
  };
  for (const Case &c : kCases) EXPECT_EQ(btf->find(c.kind, c.name), c.id) << c.name;
  EXPECT_EQ(btf->names_after("btf_trace_"), (std::vector<std::string>{"read", "gone"}));
  std::vector<std::pair<std::string, uint32_t>> functions;
  btf->each_function([&](std::string_view name, uint32_t parameters) { functions.emplace_back(name, parameters); });
  EXPECT_EQ(functions, (std::vector<std::pair<std::string, uint32_t>>{{"read", 2}}));
}

TEST(KernelBtf, ReadsAModuleOnTopOfVmlinux) {
  std::vector<std::byte> base_bytes = btf_of(kTypes, kStrings);
  Result<KernelBtf> base = KernelBtf::from_bytes(base_bytes);
  ASSERT_TRUE(base);
  // 5 read(), named by vmlinux's string; 6 int (int); 7 init(), named by its own
  const auto own = static_cast<uint32_t>(kStrings.size());
  std::vector<std::byte> bytes = btf_of(
      {
          5,
          info(BTF_KIND_FUNC),
          2,  //
          0,
          info(BTF_KIND_FUNC_PROTO, 1),
          1,
          0,
          1,  //
          own + 1,
          info(BTF_KIND_FUNC),
          6,
      },
      "\0init\0"sv);
  Result<KernelBtf> module = KernelBtf::from_bytes(bytes, &*base);
  ASSERT_TRUE(module);
  EXPECT_EQ(module->find(BTF_KIND_FUNC, "read"), 5u);
  EXPECT_EQ(module->find(BTF_KIND_FUNC, "init"), 7u);
  EXPECT_EQ(module->find(BTF_KIND_INT, "int"), 0u);
  std::vector<std::pair<std::string, uint32_t>> functions;
  module->each_function([&](std::string_view name, uint32_t parameters) { functions.emplace_back(name, parameters); });
  EXPECT_EQ(functions, (std::vector<std::pair<std::string, uint32_t>>{{"read", 0}, {"init", 1}}));
}

TEST(KernelBtf, RefusesWhatIsNoBtf) {
  std::vector<std::byte> good = btf_of(kTypes, kStrings);
  auto with = [&](size_t at, uint32_t value) {
    std::vector<std::byte> bytes = good;
    memcpy(bytes.data() + at, &value, sizeof(value));
    return bytes;
  };
  const std::vector<std::byte> kBad[] = {
      {},
      {good.begin(), good.begin() + 20},
      with(0, 0x12345678),                            // magic
      with(offsetof(btf_header, hdr_len), 8),         //
      with(offsetof(btf_header, hdr_len), 1u << 20),  //
      with(offsetof(btf_header, type_len), ~0u),      //
      with(offsetof(btf_header, str_off), ~0u),       //
      with(offsetof(btf_header, str_len), 8),         // ends within a string
  };
  for (const std::vector<std::byte> &bytes : kBad) {
    Result<KernelBtf> btf = KernelBtf::from_bytes(bytes);
    ASSERT_FALSE(btf);
    EXPECT_EQ(btf.error().code, ErrorCode::kInvalid);
  }
  // A kind that nobody knows ends the search, and a type that is cut off does.
  std::vector<uint32_t> types = kTypes;
  types[1] = info(31);
  std::vector<std::byte> unknown = btf_of(types, kStrings);
  EXPECT_EQ(KernelBtf::from_bytes(unknown)->find(BTF_KIND_FUNC, "read"), 0u);
  types = kTypes;
  types[5] = info(BTF_KIND_FUNC_PROTO, 0xffff);
  std::vector<std::byte> cut = btf_of(types, kStrings);
  EXPECT_EQ(KernelBtf::from_bytes(cut)->find(BTF_KIND_FUNC, "read"), 0u);
}

TEST(KernelBtf, LoadsTheRunningKernels) {
  Result<KernelBtf> btf = KernelBtf::load();
  if (!btf) GTEST_SKIP() << btf.error().why;
  EXPECT_NE(btf->find(BTF_KIND_STRUCT, "task_struct"), 0u);
  EXPECT_NE(btf->find(BTF_KIND_FUNC, "vfs_read"), 0u);
  EXPECT_EQ(btf->find(BTF_KIND_STRUCT, "no such thing"), 0u);
  uint32_t vfs_read_parameters = 0;
  size_t functions = 0;
  btf->each_function([&](std::string_view name, uint32_t parameters) {
    functions++;
    if (name == "vfs_read") vfs_read_parameters = parameters;
  });
  EXPECT_EQ(vfs_read_parameters, 4u);
  EXPECT_GT(functions, 10'000u);

  KernelBtf moved = std::move(*btf);
  EXPECT_NE(moved.find(BTF_KIND_STRUCT, "task_struct"), 0u);
  EXPECT_TRUE(btf->bytes().empty());
}

TEST(KernelBtf, LoadsModules) {
  Result<KernelBtf> vmlinux = KernelBtf::load();
  if (!vmlinux) GTEST_SKIP() << vmlinux.error().why;
  std::vector<std::string> modules = modules_with_btf();
  EXPECT_EQ(KernelBtf::load_module("../btf/vmlinux", *vmlinux).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(KernelBtf::load_module("no_such_module", *vmlinux).error().code, ErrorCode::kNotFound);
  if (modules.empty()) GTEST_SKIP() << "no module with BTF is loaded";
  size_t functions = 0;
  for (const std::string &name : modules) {
    Result<KernelBtf> module = KernelBtf::load_module(name, *vmlinux);
    ASSERT_TRUE(module) << name;
    module->each_function([&](std::string_view function, uint32_t) { functions += !function.empty(); });
  }
  EXPECT_GT(functions, 0u);
}

}  // namespace
}  // namespace waggle
