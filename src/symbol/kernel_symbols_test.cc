#include "symbol/kernel_symbols.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/fd.h"

namespace waggle {
namespace {

constexpr std::string_view kText =
    "0000000000000000 A fixed_percpu_data\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 T startup\n"
    "ffffffff81000100 t local_alias\n"
    "ffffffff81000100 W weak_alias\n"
    "ffffffff81000100 T global_alias\n"
    "ffffffff81000200 t twin\n"
    "ffffffff81000300 t twin\n"
    "ffffffff81000400 T last.isra.0\n"
    "ffffffff81001000 T _etext\n"
    "ffffffff82000000 D jiffies\n"
    "ffffffffc0200000 t xfs_open\t[xfs]\n"
    "ffffffffc0200080 t xfs_close\t[xfs]\n"
    "ffffffffc0100000 t ext_open\t[ext]\n"
    "ffffffffc0200100 t xfs_late\t[xfs]\n"
    "ffffffffc0300000 t bpf_prog_6deef7357e7b4530_sd_fw_egress\t[bpf]\n";

TEST(KernelSymbols, FindsTheFunctionAtAnAddress) {
  struct Case {
    uint64_t address;
    std::string_view name;  // empty: none
    uint64_t offset;
    std::string_view module;
  };
  constexpr Case kCases[] = {
      {0, "", 0, ""},
      {0xffffffff80ffffff, "", 0, ""},
      {0xffffffff81000000, "startup", 0, ""},  // rather than the label at the same place
      {0xffffffff810000ff, "startup", 0xff, ""},
      {0xffffffff81000105, "global_alias", 5, ""},
      {0xffffffff81000301, "twin", 1, ""},
      {0xffffffff81000410, "last.isra.0", 0x10, ""},
      {0xffffffff81900000, "", 0, ""},  // far behind the last function
      {0xffffffff82000000, "", 0, ""},  // data
      {0xffffffffc0100004, "ext_open", 4, "ext"},
      {0xffffffffc0200084, "xfs_close", 4, "xfs"},
      {0xffffffffc0200104, "xfs_late", 4, "xfs"},
      {0xffffffffc0300010, "bpf_prog_6deef7357e7b4530_sd_fw_egress", 0x10, "bpf"},
      {0xffffffffc030ffff, "bpf_prog_6deef7357e7b4530_sd_fw_egress", 0xffff, "bpf"},
      {0xffffffffc0310000, "", 0, ""},
      {~uint64_t{0}, "", 0, ""},
  };
  Result<KernelSymbols> symbols = KernelSymbols::parse(kText);
  ASSERT_TRUE(symbols) << symbols.error().text();
  EXPECT_EQ(symbols->size(), 14u);
  for (const Case &c : kCases) {
    std::optional<KernelSymbol> found = symbols->find(c.address);
    ASSERT_EQ(found.has_value(), !c.name.empty()) << std::hex << c.address;
    if (!found) continue;
    EXPECT_EQ(found->name, c.name);
    EXPECT_EQ(found->offset, c.offset);
    EXPECT_EQ(found->module, c.module);
  }
}

TEST(KernelSymbols, FindsTheAddressOfAFunction) {
  Result<KernelSymbols> symbols = KernelSymbols::parse(kText);
  ASSERT_TRUE(symbols);
  struct Case {
    std::string_view name;
    uint64_t address;  // 0: none
  };
  constexpr Case kCases[] = {
      {"startup", 0xffffffff81000000},
      {"local_alias", 0xffffffff81000100},
      {"twin", 0xffffffff81000200},
      {"xfs_late", 0xffffffffc0200100},
      {"jiffies", 0},
      {"start", 0},
      {"startups", 0},
      {"", 0},
  };
  for (const Case &c : kCases) EXPECT_EQ(symbols->address_of(c.name).value_or(0), c.address) << c.name;
}

TEST(KernelSymbols, SaysWhatIsWrong) {
  struct Case {
    std::string_view text;
    ErrorCode code;
    std::string_view words;
  };
  constexpr Case kCases[] = {
      {"0000000000000000 T _stext\n0000000000000000 t other\n", ErrorCode::kDenied, "kptr_restrict"},
      {"hello\n", ErrorCode::kInvalid, "unexpected line 'hello'"},
      {"\n", ErrorCode::kInvalid, "unexpected line"},
      {"ffffffff81000000", ErrorCode::kInvalid, "unexpected line"},
      {"ffffffff81000000 T ", ErrorCode::kInvalid, "unexpected line"},
      {"ffffffff81000000\tT x\n", ErrorCode::kInvalid, "unexpected line"},
      {"fffffffffffffffff T x\n", ErrorCode::kInvalid, "unexpected line"},
  };
  for (const Case &c : kCases) {
    Result<KernelSymbols> symbols = KernelSymbols::parse(c.text);
    ASSERT_FALSE(symbols) << c.text;
    EXPECT_EQ(symbols.error().code, c.code) << c.text;
    EXPECT_NE(symbols.error().text().find(c.words), std::string::npos) << symbols.error().text();
  }
  Result<KernelSymbols> nothing = KernelSymbols::parse("");
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->find(0xffffffff81000000));
}

TEST(KernelSymbols, ReadsTheRunningKernel) {
  Result<KernelSymbols> symbols = KernelSymbols::load();
  if (!symbols && symbols.error().code == ErrorCode::kDenied) GTEST_SKIP() << symbols.error().text();
  ASSERT_TRUE(symbols) << symbols.error().text();
  ASSERT_GT(symbols->size(), 1000u);
  EXPECT_LE(symbols->bytes(), symbols->size() * 45);  // 9 MB for 200,000

  // What the file says of each address is what we say, or an alias of it.
  std::ifstream file("/proc/kallsyms");
  std::string line;
  size_t checked = 0;
  for (size_t i = 0; std::getline(file, line); i++) {
    if (i % 500 != 0 || line.size() < 20 || std::string_view("tTwW").find(line[17]) == std::string_view::npos) continue;
    uint64_t address = std::stoull(line.substr(0, 16), nullptr, 16);
    std::optional<KernelSymbol> found = symbols->find(address);
    ASSERT_TRUE(found) << line;
    EXPECT_EQ(found->offset, 0u) << line << " but " << found->name;
    EXPECT_TRUE(symbols->address_of(found->name)) << found->name;
    checked++;
  }
  EXPECT_GT(checked, 10u);
}

// A program that returns 0; its name ends in "_waggle_late".
Fd load_program() {
  const bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<uint64_t>(code);
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<uint64_t>("GPL");
  std::strcpy(attributes.prog_name, "waggle_late");
  return Fd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
}

TEST(KernelSymbols, SeesProgramsThatAreLoadedLater) {
  Result<KernelSymbols> symbols = KernelSymbols::load();
  if (!symbols) GTEST_SKIP() << symbols.error().text();
  Fd program = load_program();
  if (!program.valid()) GTEST_SKIP() << "BPF programs cannot be loaded here: " << std::strerror(errno);
  uint64_t address = 0;
  std::ifstream file("/proc/kallsyms");
  for (std::string line; std::getline(file, line);)
    if (line.find("_waggle_late\t[bpf]") != std::string::npos) address = std::stoull(line.substr(0, 16), nullptr, 16);
  if (address == 0) GTEST_SKIP() << "this kernel does not list BPF programs (net.core.bpf_jit_kallsyms)";
  std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  std::optional<KernelSymbol> found = symbols->find(address + 1);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->name.ends_with("_waggle_late")) << found->name;
  EXPECT_EQ(found->offset, 1u);
  EXPECT_EQ(found->module, "bpf");
}

}  // namespace
}  // namespace waggle
