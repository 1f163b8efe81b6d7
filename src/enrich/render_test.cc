#include "enrich/render.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "enrich/host_answers.h"
#include "enrich/process_table.h"

namespace waggle {
namespace {

Schema schema_of(Kind kind, uint32_t size, bool is_signed = false) {
  Column column;
  column.name = "c";
  column.kind = kind;
  column.size = size;
  column.is_signed = is_signed;
  Schema schema{"s", "", Shape::kStream, size, 0, {}};
  schema.columns.push_back(std::move(column));
  return schema;
}

TEST(Render, ValuesByKind) {
  struct Case {
    Kind kind;
    int64_t value;
    const char *people, *json;
  };
  constexpr Case kCases[] = {
      {Kind::kDuration, 1'230'000, "1.23ms", "1230000"},
      {Kind::kBytes, 4096, "4.00KiB", "4096"},
      {Kind::kErrno, 2, "ENOENT", "2"},
      {Kind::kErrno, 0, "-", "0"},
      {Kind::kSignal, 9, "SIGKILL", "9"},
      {Kind::kSignal, 0, "-", "0"},
      {Kind::kPid, 4242, "4242", "4242"},
      {Kind::kOpenFlags, 02000000, "O_RDONLY|O_CLOEXEC", "524288"},
      {Kind::kMode, 0644, "0644", "420"},
      {Kind::kFilesystem, 0xef53, "ext4", "\"ext4\""},
      {Kind::kFilesystem, 0x1234, "0x1234", "\"0x1234\""},
      {Kind::kFileOp, 1, "write", "\"write\""},
      {Kind::kFileOp, 9, "9", "\"9\""},
      {Kind::kTcpState, 1, "ESTABLISHED", "\"ESTABLISHED\""},
      {Kind::kTaskState, 2, "disk sleep", "\"disk sleep\""},
      {Kind::kSoftirq, 3, "NET_RX", "\"NET_RX\""},
      {Kind::kLockFlags, 32, "mutex", "\"mutex\""},
      {Kind::kFutexOp, 9, "FUTEX_WAIT_BITSET", "\"FUTEX_WAIT_BITSET\""},
      {Kind::kSignalCode, -6, "SI_TKILL", "\"SI_TKILL\""},
      {Kind::kSignalCode, 3, "3", "\"3\""},
      {Kind::kSignalResult, 3, "overflow_fail", "\"overflow_fail\""},
      {Kind::kSignalResult, 6, "failed", "\"failed\""},
      {Kind::kCapability, 21, "CAP_SYS_ADMIN", "\"CAP_SYS_ADMIN\""},
      {Kind::kMountFlags, 0x1001, "MS_RDONLY|MS_BIND", "\"MS_RDONLY|MS_BIND\""},
      {Kind::kUmountFlags, 0, "", "\"\""},
      {Kind::kPtraceRequest, 0x4206, "PTRACE_SEIZE", "\"PTRACE_SEIZE\""},
      {Kind::kBpfCommand, 5, "PROG_LOAD", "\"PROG_LOAD\""},
      {Kind::kBpfProgram, 2, "KPROBE", "\"KPROBE\""},
      {Kind::kBpfMap, 99, "99", "\"99\""},
      {Kind::kTaints, 1 << 12, "O", "\"O\""},
      {Kind::kTaskState, 0, "running", "\"running\""},
      {Kind::kTaskState, 0x402, "idle", "\"idle\""},
      {Kind::kTaskState, 0x2002, "disk sleep", "\"disk sleep\""},
      {Kind::kTaskState, 0x1 | 0x20, "zombie", "\"zombie\""},
      {Kind::kTcpCaState, 3, "Recovery", "\"Recovery\""},
      {Kind::kDnsType, 28, "AAAA", "\"AAAA\""},
      {Kind::kDnsType, 60000, "60000", "\"60000\""},
      {Kind::kDnsRcode, 3, "NXDOMAIN", "\"NXDOMAIN\""},
      {Kind::kNumber, -7, "-7", "-7"},
      {Kind::kFd, -1, "-1", "-1"},
      {Kind::kAddress, 0x7f00dead, "0x7f00dead", "\"0x7f00dead\""},
  };
  Host host;
  Renderer renderer(host);
  for (const Case &c : kCases) {
    Schema schema = schema_of(c.kind, 8, true);
    std::vector<Field> fields = all_fields(schema);
    std::string people, json;
    Row row = std::as_bytes(std::span(&c.value, 1));
    renderer.append_text(people, fields[0], row);
    renderer.append_json(json, fields[0], row);
    EXPECT_EQ(people, c.people);
    EXPECT_EQ(json, c.json);
  }
}

TEST(Render, FramesOfTheTracerAreKnown) {
  constexpr std::pair<std::string_view, bool> kCases[] = {
      {"bpf_prog_33546785c8fbc8aa_switched [bpf]", true},
      {"bpf_trace_run4", true},
      {"__traceiter_sched_switch", true},
      {"__bpf_trace_sched_switch", true},
      {"__schedule", false},
      {"bpf_prog_run_xdp", false},
      {"0xffffffff81000000", false},
  };
  for (auto &[name, of_tracer] : kCases) EXPECT_EQ(is_frame_of_tracer(name), of_tracer) << name;
}

TEST(Render, ArgumentsAsAShellTakesThem) {
  using namespace std::string_view_literals;
  struct Case {
    std::string_view bytes;
    const char *people, *json;
  };
  constexpr Case kCases[] = {
      {"ls\0-l\0"sv, "ls -l", R"(["ls","-l"])"},
      {"sh\0-c\0echo 'hi'\0"sv, R"(sh -c 'echo '\''hi'\''')", R"(["sh","-c","echo 'hi'"])"},
      {"a\0\0b\0"sv, "a '' b", R"(["a","","b"])"},
      {""sv, "", "[]"},
      {"\0"sv, "''", R"([""])"},
      {"\0\0"sv, "'' ''", R"(["",""])"},
      {"a\nb\0"sv, "'a\\x0ab'", R"(["a\nb"])"},
      {"cut off"sv, "'cut off'", R"(["cut off"])"},
      {"it's\0$x\0"sv, R"('it'\''s' '$x')", R"(["it's","$x"])"},
      {"\x1b[2J\0"sv, "'\\x1b[2J'", R"(["\u001b[2J"])"},
  };
  Host host;
  Renderer renderer(host);
  Schema schema = schema_of(Kind::kArgv, 4096);
  std::vector<Field> fields = all_fields(schema);
  for (const Case &c : kCases) {
    std::string people, json;
    Row row = std::as_bytes(std::span(c.bytes));
    renderer.append_text(people, fields[0], row);
    renderer.append_json(json, fields[0], row);
    EXPECT_EQ(people, c.people);
    EXPECT_EQ(json, c.json);
  }
}

TEST(Render, DirectoryOfAPath) {
  struct Case {
    std::string_view path, directory;
  };
  constexpr Case kCases[] = {
      {"/usr/lib/libc.so.6", "/usr/lib"},
      {"/etc", "/"},
      {"/", "/"},
      {"relative", "."},
      {"dir/file", "dir"},
      {"dir//file/", "dir"},
      {"//x", "/"},
      {"", ""},
      {"/a\x1b[2J/b", "/a\\x1b[2J"},
  };
  Host host;
  Renderer renderer(host);
  Schema schema = schema_of(Kind::kPath, 256);
  schema.columns[0].name = "path";
  Field field = parse_field(schema, "path.dir").value();
  for (const Case &c : kCases) {
    std::string people;
    renderer.append_text(people, field, std::as_bytes(std::span(c.path)));
    EXPECT_EQ(people, c.directory) << c.path;
  }
}

// What a recording, or a process of anybody's, calls itself moves no cursor.
TEST(Render, WhatAProcessLeadsToIsPrintable) {
  HostAnswers answers;
  answers.cgroup_paths[7] = "/a\x1b[2J";
  answers.names[{Kind::kUid, 7}] = "u\x1b[2J";
  Host host(answers);
  Process process;
  process.pid = 7;
  process.start_ns = 1;
  process.command = std::make_shared<const Command>(Command{"/bin/x", std::string("x\0\x1b[2J\0", 7)});
  process.placement = std::make_shared<const Placement>(Placement{"/p\x1b[2J", {}});
  host.add_process(std::move(process));
  Renderer renderer(host);
  struct Case {
    Kind kind;
    const char *field, *text;
  };
  constexpr Case kCases[] = {
      {Kind::kPid, "c.cmdline", "x '\\x1b[2J'"},
      {Kind::kPid, "c.cgroup", "/p\\x1b[2J"},
      {Kind::kCgroup, "c.path", "/a\\x1b[2J"},
      {Kind::kUid, "c", "u\\x1b[2J"},
  };
  for (const Case &c : kCases) {
    Schema schema = schema_of(c.kind, 8);
    Result<Field> field = parse_field(schema, c.field);
    ASSERT_TRUE(field) << c.field;
    uint64_t value = 7;
    std::string text;
    renderer.append_text(text, *field, std::as_bytes(std::span(&value, 1)));
    EXPECT_EQ(text, c.text) << c.field;
  }
}

TEST(Render, Addresses) {
  struct Case {
    uint8_t bytes[16];
    const char *text;
  };
  constexpr Case kCases[] = {
      {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, "10.0.0.1"},
      {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, "2001:db8::1"},
      {{}, "::"},
  };
  for (const Case &c : kCases) {
    std::string out;
    append_ip(out, std::span<const uint8_t, 16>(c.bytes));
    EXPECT_EQ(out, c.text);
  }
}

TEST(Field, FollowsByKind) {
  Schema schema = schema_of(Kind::kPid, 4);
  schema.columns[0].name = "pid";
  struct Case {
    const char *text, *error, *fix;
  };
  constexpr Case kCases[] = {
      {"pid", "", ""},
      {"pid.cmdline", "", ""},
      {"pdi", "sensor 's' has no column 'pdi'", "did you mean 'pid'?"},
      {"pid.colour", "'pid' does not lead to 'colour'", nullptr},
  };
  for (const Case &c : kCases) {
    Result<Field> field = parse_field(schema, c.text);
    EXPECT_EQ(field ? "" : field.error().what, c.error);
    if (!field && c.fix != nullptr) {
      EXPECT_EQ(field.error().fix, c.fix);
    }
  }
  EXPECT_EQ(parse_fields(schema, "+pid.exe", all_fields(schema))->size(), 2u);
  EXPECT_EQ(parse_fields(schema, "pid.exe", all_fields(schema))->size(), 1u);
  EXPECT_FALSE(parse_fields(schema, "", all_fields(schema)));
}

}  // namespace
}  // namespace waggle
