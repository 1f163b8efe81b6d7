#include "view/view.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "view/aggregate.h"

namespace waggle {
namespace {

struct CallRow {
  uint64_t latency;
  uint32_t pid;
  int32_t error;
  char comm[16];
  char path[32];
};

Schema call_schema() {
  auto column = [](const char *name, Kind kind, size_t offset, size_t size) {
    Column made;
    made.name = name;
    made.kind = kind;
    made.offset = static_cast<uint32_t>(offset);
    made.size = static_cast<uint32_t>(size);
    return made;
  };
  Schema schema{"call", "calls", Shape::kStream, sizeof(CallRow), 0, {}};
  schema.columns = {column("latency", Kind::kDuration, offsetof(CallRow, latency), 8),
                    column("pid", Kind::kPid, offsetof(CallRow, pid), 4),
                    column("errno", Kind::kErrno, offsetof(CallRow, error), 4),
                    column("comm", Kind::kComm, offsetof(CallRow, comm), 16),
                    column("path", Kind::kPath, offsetof(CallRow, path), 32)};
  return schema;
}

CallRow call(uint64_t latency, uint32_t pid, int32_t error, const char *comm, const char *path) {
  CallRow row = {latency, pid, error, {}, {}};
  strncpy(row.comm, comm, sizeof(row.comm) - 1);
  strncpy(row.path, path, sizeof(row.path) - 1);
  return row;
}

// What a view writes for these rows and one interval.
template <typename Make>
std::string written(Make make, const ViewOptions &options) {
  static const Schema kSchema = call_schema();
  int fd = memfd_create("view", 0);
  Host host;
  Renderer renderer(host);
  std::string text;
  {
    Output output(fd);
    Result<std::unique_ptr<View>> view = make(kSchema, options, renderer, output);
    if (!view) return view.error().text();
    for (const CallRow &row :
         {call(1500, 10, 0, "bash", "/a"), call(2'000'000, 20, 2, "cat", "/b,\"c\""), call(3500, 10, 0, "bash", "/a")})
      (*view)->add(kSchema, std::as_bytes(std::span(&row, 1)));
    (*view)->tick(true);
  }
  off_t size = lseek(fd, 0, SEEK_END);
  text.resize(static_cast<size_t>(size));
  EXPECT_EQ(pread(fd, text.data(), text.size(), 0), size);
  close(fd);
  return text;
}

auto stream = [](const Schema &schema, const ViewOptions &options, Renderer &renderer, Output &output) {
  return make_stream_view({&schema}, options, renderer, output);
};

TEST(StreamView, WritesOneLineARow) {
  ViewOptions options;
  EXPECT_EQ(written(stream, options),
            " LATENCY     PID ERRNO    COMM            PATH\n"
            "  1.50us      10 -        bash            /a\n"
            "  2.00ms      20 ENOENT   cat             /b,\"c\"\n"
            "  3.50us      10 -        bash            /a\n");
  options.format = Format::kJson;
  options.columns = "pid,errno,path";
  EXPECT_EQ(written(stream, options),
            "{\"pid\":10,\"errno\":0,\"path\":\"/a\"}\n"
            "{\"pid\":20,\"errno\":2,\"path\":\"/b,\\\"c\\\"\"}\n"
            "{\"pid\":10,\"errno\":0,\"path\":\"/a\"}\n");
  options.format = Format::kCsv;
  EXPECT_EQ(written(stream, options), "pid,errno,path\n10,0,/a\n20,2,\"/b,\"\"c\"\"\"\n10,0,/a\n");
  options.columns = "pdi";
  EXPECT_EQ(written(stream, options), "error: sensor 'call' has no column 'pdi'\n  fix: did you mean 'pid'?\n");
}

TEST(SnapshotView, SortsAndCuts) {
  ViewOptions options;
  options.columns = "latency,pid";
  options.sort = "latency";
  options.top = 2;
  EXPECT_EQ(written(make_snapshot_view, options),
            " LATENCY PID\n"
            "  2.00ms 20\n"
            "  3.50us 10\n"
            "… and 1 more (--top 0 shows all)\n");
  options.sort = "path";
  options.top = 0;
  options.format = Format::kCsv;
  EXPECT_EQ(written(make_snapshot_view, options), "latency,pid\n1500,10\n3500,10\n2000000,20\n");
  options.sort = "";
  EXPECT_EQ(written(make_snapshot_view, options), "latency,pid\n1500,10\n2000000,20\n3500,10\n");
  options.sort = "size";
  EXPECT_EQ(written(make_snapshot_view, options).substr(0, 41), "error: sensor 'call' has no column 'size'");
}

TEST(TopView, GroupsAndSorts) {
  ViewOptions options;
  options.by = "comm";
  EXPECT_EQ(written(make_top_view, options),
            "COMM               COUNT LATENCY_AVG LATENCY_P50 LATENCY_P99 LATENCY_MAX\n"
            "bash                   2      2.50us      2.05us      3.50us      3.50us\n"
            "cat                    1      2.00ms      1.57ms      2.00ms      2.00ms\n");
  options.sort = "latency";
  options.top = 1;
  EXPECT_EQ(written(make_top_view, options),
            "COMM               COUNT LATENCY_AVG LATENCY_P50 LATENCY_P99 LATENCY_MAX\n"
            "cat                    1      2.00ms      1.57ms      2.00ms      2.00ms\n"
            "… and 1 more (--top 0 shows all)\n");
  options.sort = "size";
  EXPECT_EQ(written(make_top_view, options), "error: cannot sort by 'size'\n  fix: sort by one of: count, latency\n");
}

TEST(TopView, LabelsOfACsvAreQuotedWhereTheyMustBe) {
  ViewOptions options;
  options.by = "path,errno";
  options.format = Format::kCsv;
  std::string text = written(make_top_view, options);
  EXPECT_TRUE(text.starts_with("when,path,errno,count,latency_avg,")) << text;
  EXPECT_NE(text.find(",/a,0,2,"), std::string::npos) << text;
  EXPECT_NE(text.find(",\"/b,\"\"c\"\"\",2,1,"), std::string::npos) << text;
}

struct HeldRow {
  uint32_t pid, stack, unused[2];
  uint64_t count, held;
};

Schema held_schema() {
  auto column = [](const char *name, Kind kind, Role role, size_t offset, size_t size) {
    Column made;
    made.name = name;
    made.kind = kind;
    made.role = role;
    made.offset = static_cast<uint32_t>(offset);
    made.size = static_cast<uint32_t>(size);
    return made;
  };
  Schema schema{"held", "", Shape::kTable, sizeof(HeldRow), 16, {}};
  schema.columns = {column("pid", Kind::kPid, Role::kKey, offsetof(HeldRow, pid), 4),
                    column("id", Kind::kNumber, Role::kKey, offsetof(HeldRow, stack), 4),
                    column("count", Kind::kCount, Role::kValue, offsetof(HeldRow, count), 8),
                    column("held", Kind::kBytes, Role::kValue, offsetof(HeldRow, held), 8)};
  schema.columns[3].is_gauge = true;
  return schema;
}

// Rows that do not change are not told again: what they hold is still held.
TEST(Aggregate, GaugesStayFromIntervalToInterval) {
  Schema schema = held_schema();
  Host host;
  Renderer renderer(host);
  Aggregate aggregate(schema, *parse_fields(schema, "pid", {}));
  auto add = [&](uint32_t pid, uint32_t id, uint64_t count, uint64_t held) {
    HeldRow row = {pid, id, {}, count, held};
    aggregate.add(std::as_bytes(std::span(&row, 1)), renderer);
  };
  // pid=count/held of each group, the largest holder first.
  auto groups = [&] {
    size_t held = *aggregate.find_measure("held"), count = *aggregate.find_measure("count");
    std::string text;
    for (const Group *group : aggregate.sorted_by(held, 0))
      text += group->labels[0] + "=" + std::to_string(group->sums[aggregate.slot(count)]) + "/" +
              std::to_string(group->sums[aggregate.slot(held)]) + " ";
    aggregate.clear();
    return text;
  };
  add(1, 1, 5, 100), add(1, 2, 1, 50), add(2, 1, 3, 30), add(3, 1, 2, 0);
  EXPECT_EQ(groups(), "1=6/150 2=3/30 3=2/0 ");
  EXPECT_EQ(groups(), "1=0/150 2=0/30 ");
  add(1, 2, 1, 20), add(1, 2, 1, 10);  // a recording may tell a row twice in an interval
  EXPECT_EQ(groups(), "1=2/110 2=0/30 ");
  add(2, 1, 0, 0);
  EXPECT_EQ(groups(), "1=0/110 2=0/0 ");
  EXPECT_EQ(groups(), "1=0/110 ");
}

TEST(HistogramView, DrawsBars) {
  std::string text = written(make_histogram_view, {});
  EXPECT_NE(text.find("count 3"), std::string::npos) << text;
  EXPECT_NE(text.find("     1us .. 2us               1 |"), std::string::npos) << text;
  EXPECT_NE(text.find("     1ms .. 2ms               1 |"), std::string::npos) << text;
}

// A table as a sensor declares it: time by stack of the kernel.
struct BlockedRow {
  char comm[16];
  Histogram latency;
  uint32_t kernel_frames, user_frames;
  uint64_t frames[4];
};

Schema blocked_schema() {
  auto column = [](const char *name, Kind kind, Role role, size_t offset, size_t size) {
    Column made;
    made.name = name;
    made.kind = kind;
    made.role = role;
    made.offset = static_cast<uint32_t>(offset);
    made.size = static_cast<uint32_t>(size);
    return made;
  };
  Schema schema{"blocked", "", Shape::kTable, sizeof(BlockedRow), 16, {}};
  schema.columns = {column("comm", Kind::kComm, Role::kKey, 0, 16),
                    column("latency", Kind::kHistogram, Role::kValue, offsetof(BlockedRow, latency), sizeof(Histogram)),
                    column("stack", Kind::kStack, Role::kValue, offsetof(BlockedRow, kernel_frames), 40)};
  return schema;
}

// The lowest addresses are no functions of the kernel, and shown as they are.
BlockedRow blocked(const char *comm, const std::vector<uint64_t> &frames, const std::vector<uint64_t> &times) {
  BlockedRow row = {};
  strncpy(row.comm, comm, sizeof(row.comm) - 1);
  for (uint64_t time : times) row.latency.observe(time);
  row.kernel_frames = static_cast<uint32_t>(frames.size());
  std::copy(frames.begin(), frames.end(), row.frames);
  return row;
}

template <typename Make>
std::string blocked_written(Make make, const ViewOptions &options) {
  static const Schema kSchema = blocked_schema();
  int fd = memfd_create("view", 0);
  Host host;
  Renderer renderer(host);
  {
    Output output(fd);
    Result<std::unique_ptr<View>> view = make(kSchema, options, renderer, output);
    if (!view) return view.error().text();
    for (const BlockedRow &row : {blocked("cat", {0x11, 0x12}, {1000, 2400}), blocked("a;b", {0x11, 0x12}, {9'000'000}),
                                  blocked("cat", {0x11, 0x12}, {600}), blocked("idle", {0x13}, {})})
      (*view)->add(kSchema, std::as_bytes(std::span(&row, 1)));
    (*view)->tick(true);
  }
  std::string text(static_cast<size_t>(lseek(fd, 0, SEEK_END)), 0);
  EXPECT_EQ(pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  close(fd);
  return text;
}

std::string stacks_written(const ViewOptions &options) {
  return blocked_written(make_stack_view, options);
}

TEST(StreamView, ShowsStacksBelowTheirRows) {
  ViewOptions options;
  options.columns = "stack,comm";
  EXPECT_EQ(blocked_written(stream, options),
            "COMM\n"
            "cat\n                 0x11_[k]\n                 0x12_[k]\n"
            "a;b\n                 0x11_[k]\n                 0x12_[k]\n"
            "cat\n                 0x11_[k]\n                 0x12_[k]\n"
            "idle\n                 0x13_[k]\n");
  options.kernel_frames = false;
  EXPECT_EQ(blocked_written(stream, options), "COMM\ncat\na;b\ncat\nidle\n");
  options.kernel_frames = true;
  options.columns = "stack";
  EXPECT_TRUE(blocked_written(stream, options).starts_with("\n\n                 0x11_[k]\n"))
      << blocked_written(stream, options);
  options.format = Format::kJson;
  EXPECT_TRUE(blocked_written(stream, options)
                  .starts_with("{\"stack\":{\"kernel\":[\"0x11_[k]\",\"0x12_[k]\"],\"user\":[]}}\n"));
}

TEST(StackView, WeighsTheRowsOfATable) {
  ViewOptions options;
  EXPECT_EQ(stacks_written(options),
            " 99.96% 9.00ms  a:b  (1 times)\n                 0x11_[k]\n                 0x12_[k]\n\n"
            "  0.04% 4.00us  cat  (3 times)\n                 0x11_[k]\n                 0x12_[k]\n\n"
            "latency 9.00ms, 2 different stacks\n");
  options.folded = true;
  EXPECT_EQ(stacks_written(options), "a:b;0x12_[k];0x11_[k] 9000\ncat;0x12_[k];0x11_[k] 4\n");
  options.sort = "count";
  EXPECT_EQ(stacks_written(options), "cat;0x12_[k];0x11_[k] 3\na:b;0x12_[k];0x11_[k] 1\n");
  options = {};
  options.format = Format::kJson;
  EXPECT_EQ(stacks_written(options),
            "{\"comm\":\"a:b\",\"frames\":[\"0x11_[k]\",\"0x12_[k]\"],\"count\":1,\"latency\":9000000}\n"
            "{\"comm\":\"cat\",\"frames\":[\"0x11_[k]\",\"0x12_[k]\"],\"count\":3,\"latency\":4000}\n");
  options.sort = "bytes";
  EXPECT_EQ(stacks_written(options), "error: cannot weigh stacks by 'bytes'\n  fix: sort by one of: count, latency\n");
}

TEST(StackView, NeedsStacks) {
  EXPECT_EQ(written(make_stack_view, {}),
            "error: sensor 'call' has no stacks\n  fix: waggle watch cpu      samples stacks\n");
}

}  // namespace
}  // namespace waggle
