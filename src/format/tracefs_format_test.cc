#include "format/tracefs_format.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace waggle {
namespace {

using Place = TracepointField::Place;

constexpr std::string_view kExec =
    "name: sched_process_exec\n"
    "ID: 365\n"
    "format:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
    "\n"
    "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
    "\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n"
    "\n"
    "print fmt: \"filename=%s pid=%d\", __get_str(filename), REC->pid\n";

TEST(TracepointFormat, IsParsed) {
  Result<TracepointFormat> format = parse_tracepoint_format(kExec);
  ASSERT_TRUE(format) << format.error().text();
  EXPECT_EQ(format->name, "sched_process_exec");
  EXPECT_EQ(format->id, 365u);
  EXPECT_EQ(format->print_format, "\"filename=%s pid=%d\", __get_str(filename), REC->pid");
  ASSERT_EQ(format->fields.size(), 4u);
  EXPECT_TRUE(format->field("common_pid")->is_common);
  EXPECT_FALSE(format->field("pid")->is_common);
  EXPECT_EQ(format->field("pid")->offset, 12u);
  EXPECT_EQ(format->field("filename")->place, Place::kFromRecord);
  EXPECT_EQ(format->field("ppid"), nullptr);
}

TEST(TracepointFormat, KnowsEveryShapeOfField) {
  struct Case {
    std::string_view declaration, name, type;
    uint32_t length;
    bool is_array;
    Place place;
  };
  constexpr Case kCases[] = {
      {"int x", "x", "int", 0, false, Place::kHere},
      {"const char * filename", "filename", "const char *", 0, false, Place::kHere},
      {"const char *filename", "filename", "const char *", 0, false, Place::kHere},
      {"unsigned long args[6]", "args", "unsigned long", 6, true, Place::kHere},
      {"char comm[TASK_COMM_LEN]", "comm", "char", 8, true, Place::kHere},
      {"u32 rates[MAX_RATES]", "rates", "u32", 0, true, Place::kHere},
      {"__u8 saddr[16]", "saddr", "__u8", 16, true, Place::kHere},
      {"char[] buf", "buf", "char", 8, true, Place::kHere},
      {"__data_loc char[] name", "name", "char", 0, true, Place::kFromRecord},
      {"__data_loc __u8[] data", "data", "__u8", 0, true, Place::kFromRecord},
      {"__rel_loc char[] name", "name", "char", 0, true, Place::kFromField},
      {"__data_loc cpumask_t * mask", "mask", "cpumask_t *", 0, false, Place::kFromRecord},
      {"struct in6_addr addr", "addr", "struct in6_addr", 0, false, Place::kHere},
      {"enum track_item item", "item", "enum track_item", 0, false, Place::kHere},
      {"void (*func)(struct rcu_head *)", "func", "void (*)(struct rcu_head *)", 0, false, Place::kHere},
  };
  for (const Case &c : kCases) {
    std::string text = "name: x\nID: 1\nformat:\n\tfield:" + std::string(c.declaration) +
                       ";\toffset:8;\tsize:8;\tsigned:1;\n\nprint fmt: \"\"\n";
    Result<TracepointFormat> format = parse_tracepoint_format(text);
    ASSERT_TRUE(format) << c.declaration << ": " << format.error().text();
    TracepointField wanted;
    wanted.name = c.name;
    wanted.type = c.type;
    wanted.offset = wanted.bytes = 8;
    wanted.length = c.length;
    wanted.is_array = c.is_array;
    wanted.is_signed = true;
    wanted.place = c.place;
    EXPECT_EQ(format->fields.at(0), wanted)
        << c.declaration << ": " << format->fields[0].name << ", " << format->fields[0].type;
  }
}

TEST(TracepointFormat, RefusesWhatIsMalformed) {
  constexpr std::string_view kBad[] = {
      "",
      "name: x\n",
      "ID: 1\n",
      "name: x\nID: one\n",
      "name: x\nID: 99999999999\n",
      "name: x\nID: 1\nformat:\n\tfield:int;\toffset:0;\tsize:4;\tsigned:1;\n",
      "name: x\nID: 1\nformat:\n\tfield:int x;\tsize:4;\tsigned:1;\n",
      "name: x\nID: 1\nformat:\n\tfield:int x;\toffset:-1;\tsize:4;\tsigned:1;\n",
      "name: x\nID: 1\nformat:\n\tfield:int x;\toffset:0;\tsigned:1;\n",
      "name: x\nID: 1\nformat:\n\tfield:void (*)(int);\toffset:0;\tsize:4;\tsigned:1;\n",
      "name: x\nID: 1\nformat:\n\tfield:;\toffset:0;\tsize:4;\n",
  };
  for (std::string_view text : kBad) {
    Result<TracepointFormat> format = parse_tracepoint_format(text);
    ASSERT_FALSE(format) << text;
    EXPECT_EQ(format.error().code, ErrorCode::kInvalid);
  }
  // A line that a later kernel may add.
  EXPECT_TRUE(parse_tracepoint_format("name: x\nversion: 2\nID: 1\n"));
}

TEST(TracepointFormat, ParsesAllOfTheRunningKernels) {
  namespace fs = std::filesystem;
  std::error_code error;
  size_t parsed = 0;
  fs::recursive_directory_iterator events("/sys/kernel/tracing/events", error);
  if (error) GTEST_SKIP() << "tracefs cannot be read: " << error.message();
  for (const fs::directory_entry &entry : events) {
    if (entry.path().filename() != "format") continue;
    std::ifstream file(entry.path());
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    Result<TracepointFormat> format = parse_tracepoint_format(text);
    ASSERT_TRUE(format) << entry.path() << ": " << format.error().text();
    EXPECT_EQ(format->name, entry.path().parent_path().filename());
    EXPECT_GE(format->fields.size(), 4u) << entry.path();
    for (const TracepointField &field : format->fields) {
      EXPECT_EQ(field.length != 0 ? field.bytes % field.length : 0, 0u) << entry.path() << " " << field.name;
      EXPECT_TRUE(field.place == Place::kHere || field.bytes == 4) << entry.path() << " " << field.name;
    }
    parsed++;
  }
  if (parsed == 0) GTEST_SKIP() << "tracefs is not mounted";
}

}  // namespace
}  // namespace waggle
