#include "script/probes/expand.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "symbol/files.h"

extern "C" {
__attribute__((noinline, used)) int expand_test_one(int value) {
  return value + 1;
}
__attribute__((noinline, used)) int expand_test_two(int value) {
  return value + 2;
}
}

namespace waggle::script {
namespace expand_test {
__attribute__((noinline, used)) int in_a_namespace(int value) {
  return value + 3;
}
}  // namespace expand_test
namespace {

// Functions that nobody calls are not linked.
volatile int called = expand_test_one(1) + expand_test_two(2) + expand_test::in_a_namespace(3);

AttachPoint parsed(std::string_view text, bool has_process = false) {
  auto point = parse_attach_point(text, {has_process, false});
  EXPECT_TRUE(point) << text << ": " << point.error().message;
  return point.value_or(AttachPoint());
}

std::string names_of(const Result<std::vector<ConcreteProbe>> &probes) {
  if (!probes) return probes.error().text();
  std::string names;
  for (const ConcreteProbe &probe : *probes) names += (names.empty() ? "" : " ") + probe.name;
  return names;
}

TEST(Mechanism, IsChosenByWhatTheKernelHas) {
  Hooks all;
  all.kprobe = all.kprobe_multi = all.fentry = all.tp_btf = all.raw_tracepoint = true;
  Hooks only_fentry;
  only_fentry.fentry = true;
  only_fentry.why_no_kprobe = "this kernel has no kprobes";
  Hooks only_kprobe;
  only_kprobe.kprobe = true;
  only_kprobe.why_no_fentry = "this kernel refuses fentry";
  Hooks only_multi;
  only_multi.kprobe_multi = true;
  only_multi.why_no_kprobe = "this kernel has no kprobes";
  Hooks only_raw;
  only_raw.raw_tracepoint = true;
  Hooks none;
  none.why_no_kprobe = "this kernel has no kprobes";
  none.why_no_fentry = "this kernel refuses fentry";
  none.why_no_raw_tracepoint = "this kernel has no raw tracepoints";
  struct Case {
    std::string_view text;
    const Hooks &hooks;
    std::string_view mechanism;  // empty: none will do
    std::string_view why;        // for -v, or of the error
  };
  const Case cases[] = {
      {"kprobe:f", all, "kprobe", ""},
      {"kprobe:f*", all, "kprobe.multi", ""},
      {"kprobe:mod:f*", all, "kprobe", ""},
      {"kprobe:f+4", all, "kprobe", ""},
      {"fentry:f", all, "fentry", ""},
      {"fexit:f*", all, "fentry", ""},
      {"rawtracepoint:x", all, "tp_btf", ""},
      {"kprobe:f", only_fentry, "fentry", "no kprobes"},
      {"kretprobe:f*", only_fentry, "fentry", "no kprobes"},
      {"kprobe:f+4", only_fentry, "", "inside of a function needs kprobes"},
      {"fentry:f", only_kprobe, "kprobe", "refuses fentry"},
      {"fentry:bpf:f", only_kprobe, "", "fentry alone"},
      {"kprobe:f", only_multi, "kprobe.multi", "no kprobes"},
      {"fexit:f", only_multi, "kprobe.multi", ""},
      {"rawtracepoint:x", only_raw, "raw_tracepoint", "typed"},
      {"kprobe:f", none, "", "no kprobe: this kernel has no kprobes; no fentry: this kernel refuses fentry"},
      {"fentry:f", none, "", "no fentry: this kernel refuses fentry; no kprobe: this kernel has no kprobes"},
      {"rawtracepoint:x", none, "", "no raw tracepoints"},
  };
  for (const Case &c : cases) {
    Result<Choice> choice = choose_mechanism(parsed(c.text), c.hooks);
    ASSERT_EQ(choice.has_value(), !c.mechanism.empty()) << c.text;
    if (choice) {
      EXPECT_EQ(mechanism_name(choice->mechanism), c.mechanism) << c.text;
      EXPECT_EQ(choice->instead.empty(), c.why.empty()) << c.text << ": " << choice->instead;
      EXPECT_NE(choice->instead.find(c.why), std::string::npos) << c.text << ": " << choice->instead;
    } else {
      EXPECT_EQ(choice.error().code, ErrorCode::kUnsupported);
      EXPECT_NE(choice.error().what.find(c.text), std::string::npos) << choice.error().what;
      EXPECT_NE(choice.error().why.find(c.why), std::string::npos) << choice.error().why;
    }
  }
}

TEST(SimilarTracepoints, ShareWords) {
  const std::vector<std::string> tracepoints = {
      "sched:sched_switch",       "sched:sched_wakeup",     "syscalls:sys_enter_openat2", "syscalls:sys_enter_read",
      "syscalls:sys_enter_readv", "tcp:tcp_retransmit_skb", "tcp:tcp_send_reset",         "skb:kfree_skb",
      "block:block_rq_issue",
  };
  struct Case {
    std::string_view function, wanted;
  };
  constexpr Case kCases[] = {
      {"vfs_read", "syscalls:sys_enter_read"},
      {"do_sys_openat2", "syscalls:sys_enter_openat2"},
      {"tcp_retransmit_skb", "tcp:tcp_retransmit_skb"},
      {"__x64_sys_read", "syscalls:sys_enter_read"},
      {"blk_account_io_done", ""},
      {"", ""},
  };
  for (const Case &c : kCases) {
    std::vector<std::string> found = similar_tracepoints(c.function, tracepoints, 3);
    EXPECT_EQ(found.empty() ? "" : found[0], c.wanted) << c.function;
    EXPECT_LE(found.size(), 3u);
  }
}

TEST(Expand, WhatNeedsNoSearch) {
  for (std::string_view text : {"begin", "end", "self:signal:SIGUSR1", "bench:b", "test:t"}) {
    Result<std::vector<ConcreteProbe>> probes = expand(parsed(text));
    ASSERT_TRUE(probes) << probes.error().text();
    EXPECT_EQ(names_of(probes), text);
    EXPECT_EQ((*probes)[0].mechanism, Mechanism::kItself);
  }
  Result<std::vector<ConcreteProbe>> watch = expand(parsed("watchpoint:0x10:8:w"));
  ASSERT_TRUE(watch);
  EXPECT_EQ((*watch)[0].mechanism, Mechanism::kWatchpoint);
  Result<std::vector<ConcreteProbe>> interval = expand(parsed("interval:1s"));
  if (interval) {
    EXPECT_EQ((*interval)[0].mechanism, Mechanism::kPerfEvent);
  }
}

TEST(Expand, Tracepoints) {
  if (!Kernel::running().can(FeatureId::kTracefs)) GTEST_SKIP() << "this kernel has no tracefs";
  Result<std::vector<ConcreteProbe>> one = expand(parsed("tracepoint:sched:sched_switch"));
  ASSERT_TRUE(one) << one.error().text();
  EXPECT_EQ(names_of(one), "tracepoint:sched:sched_switch");
  EXPECT_EQ((*one)[0].mechanism, Mechanism::kTracepoint);
  EXPECT_EQ(names_of(expand(parsed("tracepoint:sched:sched_wak[i-r]ng"))), "tracepoint:sched:sched_waking");
  EXPECT_EQ(names_of(expand(parsed("t:sch?d:sched_switch"))), "tracepoint:sched:sched_switch");
  EXPECT_EQ(names_of(expand(parsed("t:*sched_switch"))), "tracepoint:sched:sched_switch");

  Result<std::vector<ConcreteProbe>> none = expand(parsed("tracepoint:sched:sched_swich"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(none.error().what, "Unable to attach probe: tracepoint:sched:sched_swich");
  EXPECT_EQ(none.error().why, "tracepoint not found: sched:sched_swich");
  EXPECT_EQ(none.error().fix, "did you mean 'tracepoint:sched:sched_switch'?");
  EXPECT_EQ(expand(parsed("tracepoint:sched:zzz*")).error().what, "No matches for tracepoint:sched:zzz*");

  ExpandOptions few;
  few.probes_most = 2;
  Result<std::vector<ConcreteProbe>> many = expand(parsed("tracepoint:sched:*"), few);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, ErrorCode::kExhausted);
  EXPECT_NE(many.error().what.find("exceeds the current limit of 2 probes"), std::string::npos);
  few.listing = true;
  EXPECT_TRUE(expand(parsed("tracepoint:sched:*"), few));
}

TEST(Expand, RawTracepointsAndIterators) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kBtf)) GTEST_SKIP() << "this kernel has no BTF";
  ExpandOptions listing;
  listing.listing = true;
  EXPECT_EQ(names_of(expand(parsed("rawtracepoint:sched_switch"), listing)), "rawtracepoint:vmlinux:sched_switch");
  EXPECT_EQ(names_of(expand(parsed("rawtracepoint:vmlinux:sched_swit*"), listing)),
            "rawtracepoint:vmlinux:sched_switch");
  Result<std::vector<ConcreteProbe>> none = expand(parsed("rawtracepoint:sched_swich"), listing);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fix, "did you mean 'rawtracepoint:sched_switch'?");
  if (kernel.can(FeatureId::kTpBtf)) {
    EXPECT_EQ((*expand(parsed("rt:sched_switch")))[0].mechanism, Mechanism::kTpBtf);
  }

  EXPECT_EQ(names_of(expand(parsed("iter:task"), listing)), "iter:task");
  EXPECT_NE(names_of(expand(parsed("iter:task*"), listing)).find("iter:task iter:task_file"), std::string::npos);
  Result<std::vector<ConcreteProbe>> iterator = expand(parsed("iter:tsk"), listing);
  ASSERT_FALSE(iterator);
  EXPECT_EQ(iterator.error().why, "iter tsk not available for your kernel version");
  EXPECT_EQ(iterator.error().fix, "did you mean 'iter:task'?");
}

TEST(Expand, FunctionsOrSaysWhatThereIsInstead) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kBtf)) GTEST_SKIP() << "this kernel has no BTF";
  Result<Choice> choice = choose_mechanism(parsed("kprobe:vfs_read"), kernel);
  if (!choice) {
    Result<std::vector<ConcreteProbe>> refused = expand(parsed("kprobe:vfs_read"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().what, "cannot attach kprobe:vfs_read");
    EXPECT_FALSE(refused.error().why.empty());
    if (kernel.can(FeatureId::kTracefs)) {
      EXPECT_NE(refused.error().fix.find("tracepoint:syscalls:sys_enter_read"), std::string::npos);
    }
    GTEST_SKIP() << refused.error().why;
  }
  EXPECT_EQ(names_of(expand(parsed("kprobe:vfs_read"))), "kprobe:vfs_read");
  EXPECT_EQ(names_of(expand(parsed("fentry:vfs_read"))), "fentry:vmlinux:vfs_read");
  EXPECT_NE(names_of(expand(parsed("kprobe:vfs_rea[d-d]*"))).find("kprobe:vfs_read"), std::string::npos);
  Result<std::vector<ConcreteProbe>> none = expand(parsed("kprobe:vfs_raed"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_NE(none.error().fix.find("did you mean"), std::string::npos);
}

TEST(Expand, FunctionsOfAFile) {
  const std::string path = testing::TempDir() + "waggle_expand_traceable";
  std::ofstream(path) << "vfs_read\nvfs_write\nnft_do_chain [nf_tables]\nvfs_read.cold\nfuse_read\t[fuse]\n";
  ExpandOptions options;
  options.traceable_functions = path;
  options.listing = true;
  // Only where something can be attached to functions are there any.
  if (!choose_mechanism(parsed("kprobe:vfs_*"))) GTEST_SKIP() << "this kernel has no kprobes";
  EXPECT_EQ(names_of(expand(parsed("kprobe:vfs_*"), options)), "kprobe:vfs_read kprobe:vfs_write");
  EXPECT_EQ(names_of(expand(parsed("kprobe:nf_tables:*"), options)), "kprobe:nf_tables:nft_do_chain");
  ::unlink(path.c_str());
}

TEST(Expand, UserFunctions) {
  const std::string self = "/proc/self/exe";
  ExpandOptions listing;
  listing.listing = true;
  struct Case {
    std::string text;
    std::string wanted;
  };
  const Case cases[] = {
      {"uprobe:" + self + ":expand_test_one", "uprobe:/proc/self/exe:expand_test_one"},
      {"uprobe:" + self + ":expand_test_*",
       "uprobe:/proc/self/exe:expand_test_one uprobe:/proc/self/exe:expand_test_two"},
      {"uprobe:" + self + ":expand_test_t[vwx]o", "uprobe:/proc/self/exe:expand_test_two"},
      {"uretprobe:" + self + ":expand_test_one", "uretprobe:/proc/self/exe:expand_test_one"},
      {"uprobe:" + self + ":expand_test_one+1", "uprobe:/proc/self/exe:expand_test_one+1"},
      {"uprobe:" + self + ":cpp:waggle::script::expand_test::in_a_namespace",
       "uprobe:/proc/self/exe:cpp:waggle::script::expand_test::in_a_namespace(int)"},
  };
  for (const Case &c : cases) {
    Result<std::vector<ConcreteProbe>> probes = expand(parsed(c.text), listing);
    EXPECT_EQ(names_of(probes), c.wanted);
    ASSERT_TRUE(probes);
    EXPECT_NE((*probes)[0].place.offset, 0u);
    EXPECT_EQ((*probes)[0].place.path, self);
  }
  uint64_t plain = (*expand(parsed(cases[0].text), listing))[0].place.offset;
  EXPECT_EQ((*expand(parsed(cases[4].text), listing))[0].place.offset, plain + 1);

  Result<std::vector<ConcreteProbe>> beyond = expand(parsed("uprobe:" + self + ":expand_test_one+4096"), listing);
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().what.find("Offset outside the function bounds"), std::string::npos);
  Result<std::vector<ConcreteProbe>> none = expand(parsed("uprobe:" + self + ":expand_test_onee"), listing);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fix, "did you mean 'expand_test_one'?");
  Result<std::vector<ConcreteProbe>> no_file = expand(parsed("uprobe:/no/such/file:f"), listing);
  ASSERT_FALSE(no_file);
  EXPECT_EQ(no_file.error().what, "uprobe target file '/no/such/file' does not exist or is not executable");
  EXPECT_EQ(expand(parsed("uprobe:*:malloc"), listing).error().code, ErrorCode::kInvalid);
}

TEST(Expand, AnAddressOfAFile) {
  ExpandOptions listing;
  listing.listing = true;
  Result<Fd> file = open_regular("/proc/self/exe");
  ASSERT_TRUE(file);
  Result<ElfFile> elf = ElfFile::open(*elf_bytes(std::move(*file)));
  ASSERT_TRUE(elf);
  auto code = std::find_if(elf->segments().begin(), elf->segments().end(), [](auto &s) { return s.executable; });
  ASSERT_NE(code, elf->segments().end());
  AttachPoint point = parsed("uprobe:/proc/self/exe:0x1");
  point.address = code->address + 16;
  Result<std::vector<ConcreteProbe>> probes = expand(point, listing);
  ASSERT_TRUE(probes) << probes.error().text();
  EXPECT_EQ((*probes)[0].place.offset, code->offset + 16);
  point.address = uint64_t{1} << 60;
  EXPECT_EQ(expand(point, listing).error().code, ErrorCode::kInvalid);
}

TEST(Expand, FunctionsOfAProcess) {
  ExpandOptions options;
  options.pid = getpid();
  options.listing = true;
  Result<std::vector<ConcreteProbe>> own = expand(parsed("uprobe:expand_test_one", true), options);
  ASSERT_TRUE(own) << own.error().text();
  EXPECT_TRUE((*own)[0].name.ends_with(":expand_test_one"));
  EXPECT_TRUE((*own)[0].place.path.starts_with("/proc/"));
  Result<std::vector<ConcreteProbe>> library = expand(parsed("uprobe:libc:malloc", true), options);
  ASSERT_TRUE(library) << library.error().text();
  EXPECT_NE((*library)[0].point.target.find("libc"), std::string::npos);
  Result<std::vector<ConcreteProbe>> any = expand(parsed("uprobe:*:expand_test_t*", true), options);
  ASSERT_TRUE(any) << any.error().text();
  EXPECT_TRUE((*any)[0].name.ends_with(":expand_test_two"));
  EXPECT_FALSE(expand(parsed("usdt::no_such_probe", true), options));
}

}  // namespace
}  // namespace waggle::script
