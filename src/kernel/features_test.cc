#include "kernel/features.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace waggle {
namespace {

TEST(KernelConfig, ReadsOptions) {
  KernelConfig config(
      "# CONFIG_KPROBES is not set\n"
      "CONFIG_BPF=y\n"
      "CONFIG_BPF_SYSCALL=m\n"
      "CONFIG_LSM=\"landlock,bpf\"\n"
      "CONFIG_HZ=250\n"
      "XCONFIG_HIGH=y\n"
      "CONFIG_LAST=y");
  struct Case {
    std::string_view option, value;
  };
  constexpr Case kCases[] = {
      {"CONFIG_KPROBES", ""}, {"CONFIG_BPF", "y"},  {"CONFIG_BPF_SYSCALL", "m"}, {"CONFIG_LSM", "landlock,bpf"},
      {"CONFIG_HZ", "250"},   {"CONFIG_HIGH", ""},  {"CONFIG_LAST", "y"},        {"CONFIG_", ""},
      {"CONFIG_NONE", ""},    {"CONFIG_LAST=", ""},
  };
  for (const Case &c : kCases) EXPECT_EQ(config.value(c.option), c.value) << c.option;
}

TEST(Features, AllSayWhatTheyAre) {
  std::vector<Feature> features = Kernel::running().features();
  ASSERT_EQ(features.size(), kFeatures);
  std::set<std::string_view> names;
  for (const Feature &feature : features) {
    EXPECT_TRUE(names.insert(feature.name).second) << feature.name;
    EXPECT_FALSE(feature.what_it_gives.empty()) << feature.name;
    EXPECT_EQ(feature.available, feature.why_not.empty()) << feature.name;
  }
}

TEST(Features, AreTriedOnceByAnyThread) {
  Kernel kernel;
  std::vector<std::thread> threads;
  std::vector<const Feature *> seen(4);
  threads.reserve(seen.size());
  for (const Feature *&each : seen) threads.emplace_back([&] { each = &kernel.feature(FeatureId::kLoad); });
  for (std::thread &thread : threads) thread.join();
  for (const Feature *each : seen) EXPECT_EQ(each, seen.front());
}

// The kernel's own build configuration knows the answer to some of the questions.
TEST(Features, AgreeWithTheConfiguration) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kLoad)) GTEST_SKIP() << kernel.feature(FeatureId::kLoad).why_not;
  Result<KernelConfig> config = KernelConfig::read();
  if (!config) GTEST_SKIP() << config.error().why;
  struct Case {
    FeatureId id;
    std::string_view option;
  };
  constexpr Case kCases[] = {
      {FeatureId::kBtf, "CONFIG_DEBUG_INFO_BTF"},    {FeatureId::kKprobe, "CONFIG_KPROBE_EVENTS"},
      {FeatureId::kKprobeMulti, "CONFIG_FPROBE"},    {FeatureId::kUprobe, "CONFIG_UPROBE_EVENTS"},
      {FeatureId::kTracepoint, "CONFIG_BPF_EVENTS"},
  };
  for (const Case &c : kCases)
    EXPECT_EQ(kernel.can(c.id), config->value(c.option) == "y") << c.option << " " << kernel.feature(c.id).why_not;
}

TEST(HookAvailable, SaysWhatIsMissing) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kLoad)) GTEST_SKIP() << kernel.feature(FeatureId::kLoad).why_not;
  if (!kernel.can(FeatureId::kBtf)) GTEST_SKIP() << kernel.feature(FeatureId::kBtf).why_not;
  if (!kernel.can(FeatureId::kTracefs)) GTEST_SKIP() << kernel.feature(FeatureId::kTracefs).why_not;
  struct Case {
    std::string_view section;
    FeatureId needs;       // whose absence explains a refusal
    std::string_view why;  // when the feature is there; empty: the hook is available
  };
  constexpr Case kCases[] = {
      {"tp_btf/sched_switch", FeatureId::kTpBtf, ""},
      {"tp_btf/no_such_thing", FeatureId::kTpBtf, "this kernel has no tracepoint no_such_thing"},
      {"raw_tp/sched_switch", FeatureId::kRawTracepoint, ""},
      {"raw_tracepoint/no_such_thing", FeatureId::kRawTracepoint, "this kernel has no tracepoint no_such_thing"},
      {"tracepoint/sched/sched_switch", FeatureId::kTracepoint, ""},
      {"tp/syscalls/sys_enter_openat", FeatureId::kTracepoint, ""},
      {"tracepoint/sched/no_such_thing", FeatureId::kTracepoint, "this kernel has no tracepoint sched:no_such_thing"},
      {"tracepoint/sched:sched_*", FeatureId::kTracepoint, ""},
      {"tracepoint/../x", FeatureId::kTracepoint, "this kernel has no tracepoint ..:x"},
      {"fentry/vfs_read", FeatureId::kFentry, ""},
      {"fexit/vfs_read", FeatureId::kFentry, ""},
      {"fentry/no_such_thing", FeatureId::kFentry, "this kernel's BTF has no function no_such_thing()"},
      {"kprobe/vfs_read", FeatureId::kKprobe, ""},
      {"kprobe/vfs_read+0x4", FeatureId::kKprobe, ""},
      {"kretprobe/vfs_read", FeatureId::kKprobe, ""},
      {"kprobe/vfs_*", FeatureId::kKprobe, ""},
      {"kprobe", FeatureId::kKprobe, ""},
      {"kprobe/no_such_thing", FeatureId::kKprobe, "this kernel has no function no_such_thing()"},
      {"ksyscall/read", FeatureId::kKprobe, ""},
      {"kprobe.multi/vfs_*", FeatureId::kKprobeMulti, ""},
      {"kretprobe.multi/vfs_*", FeatureId::kKprobeMulti, ""},
      {"lsm/file_open", FeatureId::kLsm, ""},
      {"lsm/no_such_thing", FeatureId::kLsm, "this kernel has no LSM hook no_such_thing"},
      {"iter/task", FeatureId::kIterators, ""},
      {"iter/no_such_thing", FeatureId::kIterators, "this kernel has no iterator over no_such_thing"},
      {"perf_event", FeatureId::kCpuClock, ""},
      {"perf_event/major-faults", FeatureId::kCpuClock, ""},
      {"perf_event/no_such_thing", FeatureId::kCpuClock, "there is no software event 'no_such_thing'"},
      {"uprobe//bin/sh:main", FeatureId::kUprobe, ""},
      {"uretprobe", FeatureId::kUprobe, ""},
      {"usdt/libc.so.6:libc:setjmp", FeatureId::kUprobe, ""},
      {"xdp", FeatureId::kLoad, ""},
      {"", FeatureId::kLoad, ""},
  };
  for (const Case &c : kCases) {
    Result<void> available = hook_available(c.section, kernel);
    const Feature &feature = kernel.feature(c.needs);
    if (feature.available && c.why.empty()) {
      EXPECT_TRUE(available) << c.section << ": " << available.error().why;
      continue;
    }
    ASSERT_FALSE(available) << c.section;
    EXPECT_EQ(available.error().what, "cannot listen at " + std::string(c.section));
    EXPECT_EQ(available.error().why, feature.available ? c.why : feature.why_not) << c.section;
  }
}

TEST(HookAvailable, NamesTheReleaseThatAddedATracepoint) {
  const Kernel &kernel = Kernel::running();
  if (!kernel.can(FeatureId::kTracefs)) GTEST_SKIP() << kernel.feature(FeatureId::kTracefs).why_not;
  struct Case {
    std::string_view section, release;
  };
  constexpr Case kCases[] = {
      {"tracepoint/block/block_io_start", "6.5"},       {"tracepoint/block/block_io_done", "6.5"},
      {"tracepoint/lock/contention_begin", "5.19"},     {"tracepoint/lock/contention_end", "5.19"},
      {"tracepoint/sock/sock_send_length", "6.3"},      {"tracepoint/sock/sock_recv_length", "6.3"},
      {"tracepoint/sock/inet_sk_error_report", "5.14"},
  };
  bool all_there = true;
  for (const Case &c : kCases) {
    Result<void> available = hook_available(c.section, kernel);
    if (available) continue;
    all_there = false;
    EXPECT_NE(available.error().why.find("(added in " + std::string(c.release) + ")"), std::string::npos) << c.section;
  }
  if (all_there) GTEST_SKIP() << "this kernel has them all";
}

}  // namespace
}  // namespace waggle
