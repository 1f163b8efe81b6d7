#include "script/probes/list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace waggle::script {
namespace {

std::string listed(std::string_view pattern, const ListOptions &options = {}) {
  BtfTypes types;
  Result<std::string> text = list_probes(pattern, options, types);
  return text ? *text : text.error().text();
}
constexpr std::string_view kNotFound = "error: ";

TEST(List, KindsWithFixedNames) {
  struct Case {
    std::string_view pattern, wanted;
  };
  constexpr Case kCases[] = {
      {"software:*clock*", "software:cpu-clock:\nsoftware:task-clock:\n"},
      {"software:page-faults", "software:page-faults:\n"},
      {"software:faults", "software:page-faults:\n"},
      {"hardware:c*-cycles", "hardware:cpu-cycles:\n"},
      {"interval", "interval:hz:\ninterval:ms:\ninterval:s:\ninterval:us:\n"},
      {"profile:*s", "profile:ms:\nprofile:s:\nprofile:us:\n"},
      {"interval:s:1", "interval:s:1\n"},
      {"begin", "begin\n"},
      {"self", "self:signal:SIGUSR1\n"},
  };
  for (const Case &c : kCases) EXPECT_EQ(listed(c.pattern), c.wanted) << c.pattern;
}

TEST(List, SaysWhatIsWrong) {
  BtfTypes types;
  EXPECT_EQ(list_probes("nosuch:*", {}, types).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(list_probes("tracepoint:sched:nosuch*", {}, types).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(list_probes("uprobe:*:f", {}, types).error().code, ErrorCode::kInvalid);
}

TEST(List, TracepointsWithTheirArguments) {
  if (!Kernel::running().can(FeatureId::kTracefs)) GTEST_SKIP() << "this kernel has no tracefs";
  EXPECT_EQ(listed("tracepoint:sched:sched_switch"), "tracepoint:sched:sched_switch\n");
  EXPECT_EQ(listed("t:*sched_switch"), "tracepoint:sched:sched_switch\n");
  EXPECT_NE(listed("*sched_switch*").find("tracepoint:sched:sched_switch\n"), std::string::npos);
  ListOptions verbose;
  verbose.with_arguments = true;
  std::string text = listed("tracepoint:sched:sched_switch", verbose);
  EXPECT_TRUE(
      text.starts_with("tracepoint:sched:sched_switch\n"
                       "    char prev_comm[16]\n"
                       "    pid_t prev_pid\n"
                       "    int prev_prio\n"
                       "    long prev_state\n"))
      << text;
  text = listed("tracepoint:raw_syscalls:sys_exit", verbose);
  EXPECT_EQ(text, "tracepoint:raw_syscalls:sys_exit\n    long id\n    long ret\n");
}

TEST(List, TypesAndTypedProbes) {
  if (!Kernel::running().can(FeatureId::kBtf)) GTEST_SKIP() << "this kernel has no BTF";
  ListOptions verbose;
  verbose.with_arguments = true;
  EXPECT_EQ(listed("struct iovec"), "struct iovec\n");
  EXPECT_EQ(listed("struct iovec", verbose),
            "struct iovec {\n"
            "\tvoid *iov_base;\n"
            "\t__kernel_size_t iov_len;\n"
            "};\n\n");
  EXPECT_NE(listed("struct *iovec").find("struct iovec\n"), std::string::npos);
  EXPECT_TRUE(listed("union sigval", verbose).starts_with("union sigval {\n\tint sival_int;\n"));
  EXPECT_TRUE(listed("enum pid_type", verbose).starts_with("enum pid_type {\n\tPIDTYPE_PID = 0,\n"));
  EXPECT_TRUE(listed("struct nosuch").starts_with(kNotFound));
  EXPECT_TRUE(listed("enum iovec").starts_with(kNotFound));

  EXPECT_EQ(listed("iter:task_file", verbose),
            "iter:task_file\n    struct task_struct * task\n    u32 fd\n    struct file * file\n");
  std::string raw = listed("rawtracepoint:sched_switch", verbose);
  EXPECT_TRUE(raw.starts_with("rawtracepoint:vmlinux:sched_switch\n    bool preempt\n    struct task_struct * prev\n"))
      << raw;
}

TEST(List, UserProbes) {
  EXPECT_EQ(listed("uprobe:/proc/self/exe:expand_test_one"), "uprobe:/proc/self/exe:expand_test_one\n");
  ListOptions own;
  own.pid = getpid();
  EXPECT_TRUE(listed("uprobe:expand_test_one", own).ends_with(":expand_test_one\n"));
}

// A user waits for it: it takes some milliseconds, and whole seconds would be a mistake.
TEST(List, OfAllTracepointsIsQuick) {
  if (!Kernel::running().can(FeatureId::kTracefs)) GTEST_SKIP() << "this kernel has no tracefs";
  auto begin = std::chrono::steady_clock::now();
  std::string text = listed("tracepoint:*");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_GT(std::count(text.begin(), text.end(), '\n'), 500);
}

}  // namespace
}  // namespace waggle::script
