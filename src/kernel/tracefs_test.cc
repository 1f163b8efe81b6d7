#include "kernel/tracefs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace waggle {
namespace {

Mount mount_of(std::string type, std::string point, std::string root = "/") {
  Mount mount;
  mount.fs_type = std::move(type);
  mount.point = std::move(point);
  mount.root = std::move(root);
  return mount;
}

TEST(TracepointName, IsCategoryAndName) {
  struct Case {
    std::string_view text, category, name;
  };
  constexpr Case kCases[] = {
      {"sched:sched_switch", "sched", "sched_switch"},
      {"a:b", "a", "b"},
      {"sched_switch", "", ""},
      {":b", "", ""},
      {"a:", "", ""},
      {"a:b:c", "", ""},
      {"../x:y", "", ""},
      {"a:b/../c", "", ""},
      {"", "", ""},
  };
  for (const Case &c : kCases) {
    Result<TracepointName> parsed = parse_tracepoint_name(c.text);
    ASSERT_EQ(parsed.has_value(), !c.name.empty()) << c.text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->category, c.category);
    EXPECT_EQ(parsed->name, c.name);
  }
}

TEST(FindTracefs, PrefersTheUsualPlace) {
  struct Case {
    std::vector<Mount> mounts;
    std::string path;
  };
  const Case kCases[] = {
      {{}, ""},
      {{mount_of("sysfs", "/sys")}, ""},
      {{mount_of("tracefs", "/sys/kernel/tracing")}, "/sys/kernel/tracing"},
      {{mount_of("tracefs", "/sys/kernel/tracing"), mount_of("tracefs", "/sys/kernel/debug/tracing")},
       "/sys/kernel/tracing"},
      {{mount_of("tracefs", "/sys/kernel/debug/tracing"), mount_of("tracefs", "/sys/kernel/tracing")},
       "/sys/kernel/tracing"},
      {{mount_of("debugfs", "/sys/kernel/debug")}, "/sys/kernel/debug/tracing"},
      {{mount_of("debugfs", "/sys/kernel/debug"), mount_of("tracefs", "/mnt")}, "/mnt"},
      {{mount_of("tracefs", "/mnt", "/instances/x")}, ""},
  };
  for (const Case &c : kCases) EXPECT_EQ(find_tracefs(c.mounts), c.path);
}

// A directory that looks like tracefs under lockdown.
class ScratchTracefs {
 public:
  ScratchTracefs() {
    std::string name = std::filesystem::temp_directory_path() / "waggle-tracefs-XXXXXX";
    path_ = mkdtemp(name.data());
    write("events/sched/sched_switch/id", "314\n");
    write("events/sched/sched_switch/format", "name: sched_switch\n");
    write("events/sched/sched_exit/id", "what?\n");
    write("events/sched/enable", "0\n");
    write("events/ftrace/function/id", "1\n");
    write("events/header_page", "");
    write("events/block/block_rq_issue/id", "315\n");
  }
  ~ScratchTracefs() { std::filesystem::remove_all(path_); }
  void write(const std::string &file, std::string_view text) {
    std::filesystem::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }
  Tracefs tracefs() const { return Tracefs::at(path_); }

 private:
  std::filesystem::path path_;
};

TEST(Tracefs, ListsByTheFileOrTheDirectories) {
  ScratchTracefs scratch;
  Tracefs tracefs = scratch.tracefs();
  EXPECT_EQ(*tracefs.tracepoints(),
            (std::vector<std::string>{"block:block_rq_issue", "sched:sched_exit", "sched:sched_switch"}));
  scratch.write("available_events", "sched:sched_switch\nftrace:function\nblock:block_rq_issue\n");
  EXPECT_EQ(*tracefs.tracepoints(), (std::vector<std::string>{"block:block_rq_issue", "sched:sched_switch"}));
  EXPECT_EQ(Tracefs::at("/no/such/place").tracepoints().error().code, ErrorCode::kNotFound);
}

TEST(Tracefs, ReadsOneTracepoint) {
  ScratchTracefs scratch;
  Tracefs tracefs = scratch.tracefs();
  EXPECT_EQ(*tracefs.id("sched", "sched_switch"), 314u);
  EXPECT_EQ(*tracefs.format("sched", "sched_switch"), "name: sched_switch\n");
  EXPECT_EQ(tracefs.id("sched", "sched_exit").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(tracefs.id("sched", "sched_nothing").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(tracefs.format("sched", "../sched/sched_switch").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(tracefs.has("sched", "sched_switch"));
  EXPECT_FALSE(tracefs.has("sched", "sched_nothing"));
  EXPECT_FALSE(tracefs.has("sched", ""));
  EXPECT_FALSE(tracefs.has("", "sched"));
  EXPECT_FALSE(tracefs.has("ftrace", "function"));
}

TEST(Tracefs, KnowsTheRunningKernels) {
  Result<Tracefs> tracefs = Tracefs::open();
  if (!tracefs) GTEST_SKIP() << tracefs.error().why;
  Result<std::vector<std::string>> names = tracefs->tracepoints();
  ASSERT_TRUE(names) << names.error().text();
  EXPECT_GT(names->size(), 500u);
  EXPECT_TRUE(std::binary_search(names->begin(), names->end(), "sched:sched_switch"));
  EXPECT_GT(*tracefs->id("sched", "sched_switch"), 0u);
  EXPECT_NE(tracefs->format("sched", "sched_switch")->find("prev_comm"), std::string::npos);
}

}  // namespace
}  // namespace waggle
