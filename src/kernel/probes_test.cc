#include "kernel/probes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernel/features.h"
#include "kernel/probes_kallsyms.h"

namespace waggle {
namespace {

TEST(KernelSymbol, IsParsed) {
  struct Case {
    std::string_view line;
    bool valid;
    uint64_t address;
    char type;
    std::string_view name, module;
  };
  constexpr Case kCases[] = {
      {"ffffffff81000000 T _text", true, 0xffffffff81000000, 'T', "_text", ""},
      {"ffffffffc0000010 t init_one\t[ahci]", true, 0xffffffffc0000010, 't', "init_one", "ahci"},
      {"0000000000000000 D jiffies", true, 0, 'D', "jiffies", ""},
      {"", false, 0, 0, "", ""},
      {"ffffffff81000000", false, 0, 0, "", ""},
      {"ffffffff81000000 T ", false, 0, 0, "", ""},
      {"ffffffff81000000 T \t[x]", false, 0, 0, "", ""},
      {"ffffffff81000000 T name\tmodule", false, 0, 0, "", ""},
      {"ffffffff81000000 T name\t[]", false, 0, 0, "", ""},
      {"fffffffff81000000 T name", false, 0, 0, "", ""},
      {"name", false, 0, 0, "", ""},
  };
  for (const Case &c : kCases) {
    std::optional<KernelSymbol> symbol = parse_kernel_symbol(c.line);
    ASSERT_EQ(symbol.has_value(), c.valid) << c.line;
    if (!symbol) continue;
    EXPECT_EQ(symbol->address, c.address);
    EXPECT_EQ(symbol->type, c.type);
    EXPECT_EQ(symbol->name, c.name);
    EXPECT_EQ(symbol->module, c.module);
  }
}

TEST(CodeSymbols, LeaveOutWhatCannotHaveAProbe) {
  constexpr std::string_view kKallsyms =
      "ffffffff81000010 T __entry_text_start\n"
      "ffffffff81000080 T entry_SYSCALL_64\n"
      "ffffffff81001000 T __entry_text_end\n"
      "ffffffff81001000 T vfs_read\n"
      "ffffffff81001100 t vfs_read.cold\n"
      "ffffffff81001200 T vfs_write\n"
      "ffffffff81001300 t vfs_write\n"
      "ffffffff81001400 D vfs_data\n"
      "ffffffff82000000 T _sinittext\n"
      "ffffffff82000010 t vfs_init\n"
      "ffffffff82001000 T _einittext\n"
      "ffffffffc0000010 t vfs_caps\t[fuse]";
  std::vector<std::string> names;
  for (const CodeSymbol &symbol : select_code_symbols(kKallsyms, "vfs_*"))
    names.push_back(symbol.module + "/" + symbol.name);
  EXPECT_EQ(names, (std::vector<std::string>{"fuse/vfs_caps", "/vfs_read", "/vfs_write"}));
  EXPECT_TRUE(select_code_symbols(kKallsyms, "entry_*").empty());

  // Without CAP_SYSLOG all addresses are 0, and no section can be told.
  EXPECT_EQ(select_code_symbols("0000000000000000 T __entry_text_start\n0000000000000000 T a\n", "a").size(), 1u);
}

TEST(FilterFunctions, AreSorted) {
  EXPECT_EQ(parse_filter_functions("vfs_write\nnft_do_chain [nf_tables]\n\nvfs_read\n"),
            (std::vector<std::string_view>{"nft_do_chain", "vfs_read", "vfs_write"}));
  EXPECT_TRUE(parse_filter_functions("").empty());
}

TEST(ProbeMatches, ByTheWholeOrTheLastName) {
  struct Case {
    std::string_view pattern, probe;
    bool matches;
  };
  constexpr Case kCases[] = {
      {"*", "kprobe:vfs_read", true},
      {"vfs_*", "kprobe:vfs_read", true},
      {"vfs_*", "fentry:vfs_read", true},
      {"kprobe:vfs_*", "kprobe:vfs_read", true},
      {"kprobe:vfs_*", "fentry:vfs_read", false},
      {"tracepoint:sched:*", "tracepoint:sched:sched_switch", true},
      {"sched:*", "tracepoint:sched:sched_switch", true},
      {"sched_switch", "tracepoint:sched:sched_switch", true},
      {"sched_switch", "rawtracepoint:sched_switch", true},
      {"sched", "tracepoint:sched:sched_switch", false},
      {"block:*", "tracepoint:sched:sched_switch", false},
      {"", "kprobe:vfs_read", false},
      {"*", "nothing", true},
      {"x", "nothing", false},
  };
  for (const Case &c : kCases) EXPECT_EQ(probe_matches(c.pattern, c.probe), c.matches) << c.pattern << " " << c.probe;
}

TEST(KernelFunctions, AreFoundByPattern) {
  if (!Kernel::running().can(FeatureId::kBtf)) GTEST_SKIP() << Kernel::running().feature(FeatureId::kBtf).why_not;
  Result<std::vector<KernelFunction>> functions = find_kernel_functions("vfs_rea?");
  ASSERT_TRUE(functions) << functions.error().text();
  ASSERT_EQ(functions->size(), 1u);
  EXPECT_EQ(functions->front().name, "vfs_read");
  EXPECT_EQ(functions->front().module, "");
  EXPECT_EQ(functions->front().parameters, 4u);
  std::vector<std::string> names = *kernel_functions_matching("vfs_*");
  EXPECT_GT(names.size(), 20u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(kernel_functions_matching("no_such_function_*").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(has_kernel_symbol("vfs_read"));
  EXPECT_FALSE(has_kernel_symbol("vfs_rea"));
  EXPECT_FALSE(has_kernel_symbol(""));
}

TEST(Probes, AreFoundByPattern) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kTracefs)) GTEST_SKIP() << kernel.feature(FeatureId::kTracefs).why_not;
  EXPECT_EQ(*tracepoints_matching("sched:sched_switch"), std::vector<std::string>{"sched:sched_switch"});
  EXPECT_EQ(*tracepoints_matching("sched_switch"), std::vector<std::string>{"sched:sched_switch"});
  EXPECT_EQ(*probes_matching("tracepoint:sched:sched_switch"),
            std::vector<std::string>{"tracepoint:sched:sched_switch"});
  std::vector<std::string> wanted;
  if (kernel.can(FeatureId::kRawTracepoint)) wanted.push_back("rawtracepoint:sched_switch");
  wanted.push_back("tracepoint:sched:sched_switch");
  EXPECT_EQ(*probes_matching("sched_switch"), wanted);
  EXPECT_EQ(probes_matching("no_such_probe").error().code, ErrorCode::kNotFound);

  Result<std::vector<std::string>> kprobes = probes_matching("kprobe:vfs_read");
  if (kernel.can(FeatureId::kKprobe))
    EXPECT_EQ(*kprobes, std::vector<std::string>{"kprobe:vfs_read"});
  else
    EXPECT_EQ(kprobes.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace waggle
