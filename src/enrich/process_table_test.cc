#include "enrich/process_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

namespace waggle {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t kMs = 1'000'000, kSecond = 1000 * kMs;

// No kernel gives out pids above 4,194,304, so /proc knows none of these.
constexpr int32_t kShell = 5'000'001, kChild = 5'000'002, kGrandchild = 5'000'003;

TEST(ProcessTable, FollowsForkExecExit) {
  ProcessTable table(nullptr);
  table.on_exec({.pid = kShell,
                 .ppid = 1,
                 .when_ns = 10 * kMs,
                 .filename = "/bin/sh",
                 .argv = "sh\0-c\0x y\0"sv,
                 .uid = 1000,
                 .cgroup_id = 7,
                 .comm = "sh"});
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 50 * kMs, .comm = "sh", .cgroup_id = 7});

  const Process *forked = table.find(kChild, 55 * kMs);
  ASSERT_NE(forked, nullptr);
  EXPECT_EQ(forked->command, table.find(kShell)->command);  // shared, not copied
  EXPECT_EQ(forked->uid, 1000u);
  EXPECT_EQ(forked->cgroup_id, 7u);

  table.on_exec({.pid = kChild,
                 .ppid = kShell,
                 .when_ns = 60 * kMs,
                 .filename = "/bin/ls",
                 .argv = "ls\0"sv,
                 .uid = 0,
                 .cgroup_id = 7,
                 .comm = "ls"});
  table.on_exit(kChild, 100 * kMs);
  const Process *process = table.find(kChild, 90 * kMs);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(process->comm, "ls");
  EXPECT_EQ(process->command->exe, "/bin/ls");
  EXPECT_EQ(process->start_ns, 50 * kMs);
  EXPECT_EQ(process->exit_ns, 100 * kMs);
  EXPECT_EQ(process->ppid, kShell);
  EXPECT_EQ(process->uid, 0u);
  EXPECT_EQ(table.find(kShell)->command->argv, "sh\0-c\0x y\0"sv);
  EXPECT_EQ(table.find(kChild, 105 * kMs), process);  // the last breath comes late
  EXPECT_EQ(table.find(kChild, 49 * kMs), nullptr);
  EXPECT_EQ(table.alive(), 1u);
  EXPECT_EQ(table.size(), 2u);
}

TEST(ProcessTable, TellsReusedPidsApartByTime) {
  ProcessTable table(nullptr);
  for (uint64_t round = 1; round <= 3; ++round) {
    std::string name = "p" + std::to_string(round);
    table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = round * kSecond, .comm = name});
    table.on_exec({.pid = kChild,
                   .ppid = kShell,
                   .when_ns = round * kSecond + kMs,
                   .filename = "/" + name,
                   .argv = "x\0"sv,
                   .comm = name});
    if (round != 2) table.on_exit(kChild, round * kSecond + 500 * kMs);  // the second's exit is lost
  }
  EXPECT_EQ(table.find(kChild, kSecond + 2 * kMs)->comm, "p1");
  EXPECT_EQ(table.find(kChild, kSecond + 600 * kMs)->comm, "p1");
  EXPECT_EQ(table.find(kChild, 2 * kSecond + 2 * kMs)->comm, "p2");
  EXPECT_EQ(table.find(kChild, 2 * kSecond + 2 * kMs)->exit_ns, 3 * kSecond);
  EXPECT_EQ(table.find(kChild, 3 * kSecond + 2 * kMs)->comm, "p3");
  EXPECT_EQ(table.find(kChild)->comm, "p3");
  EXPECT_EQ(table.alive(), 0u);
}

TEST(ProcessTable, TakesEventsOutOfOrder) {
  ProcessTable table(nullptr);
  table.on_exec({.pid = kChild,
                 .ppid = kShell,
                 .when_ns = 1010 * kMs,
                 .filename = "/bin/ls",
                 .argv = "ls\0"sv,
                 .uid = 5,
                 .comm = "ls"});
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 1000 * kMs, .comm = "sh"});
  EXPECT_EQ(table.size(), 1u);
  const Process *process = table.find(kChild, 1005 * kMs);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(process->comm, "ls");
  EXPECT_EQ(process->start_ns, 1000 * kMs);

  // The same fork, exit and exit again change nothing.
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 1000 * kMs, .comm = "sh"});
  table.on_exit(kChild, 1100 * kMs);
  table.on_exit(kChild, 1100 * kMs);
  table.on_exit(kGrandchild, 1100 * kMs);
  EXPECT_EQ(table.size(), 1u);

  // Older news of a pid goes behind the newer and ends where that begins.
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 100 * kMs, .comm = "old"});
  EXPECT_EQ(table.find(kChild, 200 * kMs)->comm, "old");
  EXPECT_EQ(table.find(kChild, 200 * kMs)->exit_ns, 1000 * kMs);
  EXPECT_EQ(table.find(kChild, 1050 * kMs)->comm, "ls");
}

TEST(ProcessTable, ForgetsByTimeAndByCount) {
  ProcessTable::Options options;
  options.keep_exited = std::chrono::seconds(10);
  options.exited_most = 100;
  ProcessTable table(nullptr, options);
  for (int32_t i = 0; i < 300; ++i) {
    table.on_fork({.parent_pid = kShell, .child_pid = kGrandchild + i, .when_ns = kSecond + static_cast<uint64_t>(i)});
    table.on_exit(kGrandchild + i, kSecond + static_cast<uint64_t>(i) + 1);
  }
  EXPECT_EQ(table.size(), 100u);
  EXPECT_EQ(table.find(kGrandchild), nullptr);
  EXPECT_NE(table.find(kGrandchild + 299), nullptr);
  table.on_exit(kShell, 12 * kSecond);
  EXPECT_EQ(table.size(), 0u);
}

TEST(ProcessTable, WalksTheParents) {
  ProcessTable table(nullptr);
  table.on_exec({.pid = kShell, .ppid = 0, .when_ns = 1 * kSecond, .filename = "/sh", .argv = "sh\0"sv, .comm = "sh"});
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 2 * kSecond, .comm = "make"});
  table.on_fork({.parent_pid = kChild, .child_pid = kGrandchild, .when_ns = 3 * kSecond, .comm = "cc"});
  table.on_exit(kChild, 4 * kSecond);
  table.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = 5 * kSecond, .comm = "other"});
  std::vector<const Process *> chain = table.ancestors(*table.find(kGrandchild));
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[0]->comm, "make");  // who had the pid then, not who has it now
  EXPECT_EQ(chain[1]->comm, "sh");

  // A loop of lies ends.
  ProcessTable loop(nullptr);
  loop.on_fork({.parent_pid = kShell, .child_pid = kChild, .when_ns = kSecond});
  loop.on_fork({.parent_pid = kChild, .child_pid = kShell, .when_ns = kSecond});
  EXPECT_LE(loop.ancestors(*loop.find(kShell)).size(), 2u);
}

TEST(ProcessTable, SeedsFromProc) {
  Result<CgroupTree> cgroups = CgroupTree::open();
  ProcessTable table(cgroups ? &*cgroups : nullptr);
  Result<size_t> read = table.seed();
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_GT(*read, 1u);
  const Process *self = table.find(::getpid());
  ASSERT_NE(self, nullptr);
  EXPECT_EQ(self->ppid, ::getppid());
  EXPECT_EQ(self->uid, ::getuid());
  EXPECT_NE(self->command->exe.find("enrich_test"), std::string::npos);
  EXPECT_NE(self->command->argv.find("enrich_test"), std::string::npos);
  EXPECT_EQ(self->cgroup_id != 0, cgroups.has_value());
  EXPECT_FALSE(self->placement->path.empty());
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t now_ns = static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
  EXPECT_LT(self->start_ns, now_ns);
  EXPECT_GT(self->start_ns + 600 * kSecond, now_ns);
  EXPECT_EQ(table.find(::getpid(), self->start_ns - 1), nullptr);
  EXPECT_FALSE(table.ancestors(*self).empty());
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.find(-1), nullptr);
}

// A child that waits to be told to end.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::pause();
    ::_exit(0);
  }
  ~Sleeper() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  int32_t pid() const { return pid_; }

 private:
  int32_t pid_;
};

TEST(ProcessTable, AsksProcForUnknownPidsAndKeepsTheAnswer) {
  ProcessTable table(nullptr);
  Sleeper child;
  int32_t pid = child.pid();
  const Process *process = table.find(pid);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(process->ppid, ::getpid());
  child.end();
  EXPECT_EQ(table.find(pid), process);
  table.resync();
  EXPECT_FALSE(table.find(pid)->alive());
  EXPECT_EQ(table.alive(), 0u);
}

TEST(ProcessTable, JoinsWhatProcAndEventsSayOfOneProcess) {
  ProcessTable table(nullptr);
  Sleeper child;
  uint64_t start_ns = table.find(child.pid())->start_ns;
  table.on_fork({.parent_pid = ::getpid(), .child_pid = child.pid(), .when_ns = start_ns + 7 * kMs, .comm = "x"});
  EXPECT_EQ(table.alive(), 1u);
  EXPECT_EQ(table.find(child.pid())->start_ns, start_ns + 7 * kMs);
  EXPECT_NE(table.find(child.pid())->command->exe, "");

  // Its exec is the first that is heard of it: /proc says when it began.
  ProcessTable late(nullptr);
  late.on_exec({.pid = child.pid(), .ppid = 1, .when_ns = start_ns + kSecond, .filename = "/x", .argv = "x\0"sv});
  EXPECT_EQ(late.find(child.pid(), start_ns + kMs)->command->exe, "/x");
  EXPECT_EQ(late.alive(), 1u);
}

}  // namespace
}  // namespace waggle
