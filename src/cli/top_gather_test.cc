#include "cli/top_gather.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "kernel/procfs.h"

namespace waggle {
namespace {

const TopSnapshot::Process *find(const TopSnapshot &snapshot, int32_t pid) {
  for (const TopSnapshot::Process &process : snapshot.processes)
    if (process.pid == pid) return &process;
  return nullptr;
}

// What a process did before the first look is not of the first interval.
TEST(TopGatherer, IntervalsBeginWithTheFirstLook) {
  TopGatherer gatherer;
  Result<TopSnapshot> first = gatherer.look(true);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->seconds, 0);
  EXPECT_GT(first->cpus, 0u);
  const TopSnapshot::Process *self = find(*first, getpid());
  ASSERT_NE(self, nullptr);
  EXPECT_FALSE(self->read_bytes.has_value());
  Result<ProcessFiles> files = ProcessFiles::open(getpid());
  ASSERT_TRUE(files);
  Result<ProcessIo> before = files->io();

  usleep(20'000);
  Result<TopSnapshot> second = gatherer.look(true);
  ASSERT_TRUE(second);
  EXPECT_GT(second->seconds, 0.01);
  self = find(*second, getpid());
  ASSERT_NE(self, nullptr);
  if (!before) GTEST_SKIP() << before.error().why;
  Result<ProcessIo> after = files->io();
  ASSERT_TRUE(after);
  ASSERT_TRUE(self->read_bytes.has_value());
  EXPECT_LE(*self->read_bytes, after->read_bytes - before->read_bytes);
  EXPECT_LE(*self->written_bytes, after->written_bytes - before->written_bytes);
}

TEST(TopGatherer, WithoutSensorsWhatTheyTellIsUnknown) {
  TopGatherer gatherer;
  gatherer.do_without({ErrorCode::kUnsupported, "what", "why", ""});
  Result<TopSnapshot> snapshot = gatherer.look(false);
  ASSERT_TRUE(snapshot);
  EXPECT_FALSE(snapshot->run_queue || snapshot->files || snapshot->drops || snapshot->opens || snapshot->rtt);
  EXPECT_EQ(snapshot->sensors.size(), TopGatherer::requests().size());
  EXPECT_EQ(snapshot->sensors[0].why, "why");
  EXPECT_FALSE(gatherer.gathered("exec").has_value());
}

}  // namespace
}  // namespace waggle
