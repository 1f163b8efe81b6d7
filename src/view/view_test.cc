#include "view/view.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

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

TEST(HistogramView, DrawsBars) {
  std::string text = written(make_histogram_view, {});
  EXPECT_NE(text.find("count 3"), std::string::npos) << text;
  EXPECT_NE(text.find("     1us .. 2us               1 |"), std::string::npos) << text;
  EXPECT_NE(text.find("     1ms .. 2ms               1 |"), std::string::npos) << text;
}

TEST(StackView, NeedsStacks) {
  EXPECT_EQ(written(make_stack_view, {}),
            "error: sensor 'call' has no stacks\n  fix: waggle watch cpu      samples stacks\n");
}

}  // namespace
}  // namespace waggle
