#include "filter/filter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "codegen/interpret.h"
#include "filter/compile.h"
#include "filter/parse.h"

namespace waggle::filter {
namespace {

struct TestRow {
  uint64_t latency = 1'500'000;
  uint64_t bytes = 4096;
  int32_t errno_value = 2;
  int32_t fd = -1;
  uint32_t uid = 0;
  uint32_t flags = 0101;  // O_WRONLY|O_CREAT
  int32_t code = -6;      // SI_TKILL
  uint64_t filesystem = 0xef53;
  uint8_t remote[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  uint16_t port = 443;
  uint8_t state = 1;
  uint8_t op = 1;
  int16_t rcode = -1;
  uint8_t capability = 21;
  uint32_t request = 1 | 1 << 11;  // a synchronous write
  char comm[16] = "nginx";
  char argv[32] = "sh\0-c\0date";
};

Schema test_schema() {
  Schema schema{"test", "", Shape::kStream, sizeof(TestRow), 0, {}};
  auto add = [&](const char *name, Kind kind, size_t offset, size_t size, bool is_signed = false) {
    Column column;
    column.name = name;
    column.kind = kind;
    column.offset = static_cast<uint32_t>(offset);
    column.size = static_cast<uint32_t>(size);
    column.is_signed = is_signed;
    schema.columns.push_back(column);
  };
  add("latency", Kind::kDuration, offsetof(TestRow, latency), 8);
  add("bytes", Kind::kBytes, offsetof(TestRow, bytes), 8);
  add("errno", Kind::kErrno, offsetof(TestRow, errno_value), 4, true);
  add("fd", Kind::kFd, offsetof(TestRow, fd), 4, true);
  add("uid", Kind::kUid, offsetof(TestRow, uid), 4);
  add("flags", Kind::kOpenFlags, offsetof(TestRow, flags), 4);
  add("code", Kind::kSignalCode, offsetof(TestRow, code), 4, true);
  add("filesystem", Kind::kFilesystem, offsetof(TestRow, filesystem), 8);
  add("remote", Kind::kIp, offsetof(TestRow, remote), 16);
  add("port", Kind::kPort, offsetof(TestRow, port), 2);
  add("state", Kind::kTcpState, offsetof(TestRow, state), 1);
  add("op", Kind::kFileOp, offsetof(TestRow, op), 1);
  add("rcode", Kind::kDnsRcode, offsetof(TestRow, rcode), 2, true);
  add("capability", Kind::kCapability, offsetof(TestRow, capability), 1);
  add("request", Kind::kBlockOp, offsetof(TestRow, request), 4);
  add("comm", Kind::kComm, offsetof(TestRow, comm), 16);
  add("argv", Kind::kArgv, offsetof(TestRow, argv), 10);
  return schema;
}

// What the code for programs says of a row, and of its first `size` bytes.
bool program_holds(const std::vector<Node> &nodes, const Schema &schema, Row row, size_t size) {
  codegen::Function function = compile(nodes, schema);
  codegen::Interpreter interpreter({&function, 1}, {});
  std::vector<uint64_t> arguments = {reinterpret_cast<uint64_t>(row.data()), size};
  Result<uint64_t> said = interpreter.run(arguments);
  EXPECT_TRUE(said) << (said ? "" : said.error().what + ": " + said.error().why);
  return said.value_or(2) == 1;
}

TEST(Filter, HoldsOrNot) {
  struct Case {
    const char *condition;
    bool holds;
  };
  constexpr Case kCases[] = {
      {"errno=ENOENT", true},
      {"errno=enoent", true},
      {"errno=2", true},
      {"errno=0", false},
      {"errno!=0", true},
      {"errno=EACCES,ENOENT", true},
      {"errno=EACCES,EPERM", false},
      {"errno!=EACCES,EPERM", true},
      {"errno!=EACCES,ENOENT", false},
      {"fd<0", true},
      {"fd>=0", false},
      {"fd>-2", true},
      {"fd=-1", true},
      {"fd<=-2", false},
      {"latency>=1.5ms", true},
      {"latency>1.5ms", false},
      {"latency<2", true},
      {"latency<=1ms", false},
      {"bytes=4KiB", true},
      {"bytes>4k", false},
      {"uid=root", true},
      {"uid!=root", false},
      {"flags&O_CREAT", true},
      {"flags&O_WRONLY", true},
      {"flags&O_TRUNC", false},
      {"code=SI_TKILL", true},
      {"code=SI_USER,tkill", true},
      {"code=SI_USER", false},
      {"filesystem=ext4", true},
      {"filesystem=xfs,btrfs", false},
      {"remote=10.1.2.3", true},
      {"remote=10.1.2.4", false},
      {"remote!=10.1.2.4", true},
      {"remote=10.0.0.0/8", true},
      {"remote=10.2.0.0/15", false},
      {"remote=192.168.0.0/16,10.0.0.0/8", true},
      {"remote=ipv4", true},
      {"remote=ipv6", false},
      {"remote!=ipv6", true},
      {"remote=2001:db8::/32", false},
      {"remote=::/0", true},
      {"port=80,443", true},
      {"port>1023", false},
      {"state=ESTABLISHED", true},
      {"state=listen", false},
      {"op=write", true},
      {"op=read", false},
      {"comm=nginx", true},
      {"comm=ngin", false},
      {"comm~ngin", true},
      {"comm!~ngin", false},
      {"comm!=nginx", false},
      {"argv~-c date", true},
      {"rcode=UNANSWERED", true},
      {"rcode=-1", true},
      {"rcode=NXDOMAIN", false},
      {"capability=sys_admin", true},
      {"request=WRITE", true},
      {"request=req_op_write", true},
      {"request!=write", false},
      {"request=READ,WRITE", true},
      {"request=READ", false},
      {"request=1", false},
      {"errno==ENOENT", true},
      {"errno == ENOENT", true},
      {"errno == EACCES, ENOENT && fd < 0", true},
      {"errno==EACCES||fd==-1", true},
      {"!(errno == ENOENT)", false},
      {"!(errno == EACCES || uid == root) || port == 443", true},
      {"latency > 1ms && comm == \"nginx\"", true},
      {"latency > 1ms && comm == nginx && argv contains \"-c\"", true},
      {"latency > 2ms || comm startswith \"ngi\"", true},
      {"comm startswith \"gin\"", false},
      {"comm startswith \"\"", true},
      {"comm endswith inx", true},
      {"comm endswith \"in\"", false},
      {"comm == \"ngin\" || comm != \"nginx\"", false},
      {"comm == \"a very long name of a task\"", false},
      {"comm", true},
      {"!errno", false},
      {"errno && uid", false},
      {"flags & O_CREAT", true},
      {"flags & O_TRUNC || flags & O_WRONLY", true},
      {"(flags & 0x41) == 65", true},
      {"(flags & (O_CREAT | O_TRUNC)) != 0", true},
      {"bytes / 1024 == 4", true},
      {"bytes * 2 >= 8KiB && bytes * 2 <= 8KiB", true},
      {"latency / 2 == 750us", true},
      {"latency + 500us == 2ms", true},
      {"latency - bytes > 1ms", true},
      {"fd + 1 == 0", true},
      {"flags & (O_TRUNC | O_EXCL)", false},
      {"-fd == 1", true},
      {"~fd == 0", true},
      {"fd / 2 == 0 && fd % 2 == -1", true},
      {"fd >> 1 == -1", true},
      {"port << 1 == 886", true},
      {"port ^ 443", false},
      {"port | uid", true},
      {"bytes > latency", false},
      {"latency > bytes", true},
      {"uid > -1", true},
      {"10ms > latency", true},
      {"1ms >= latency", false},
      {"443 == port", true},
      {"ENOENT == errno", true},
      {"remote == 10.0.0.0/8 && (port == 80, 443)", true},
      {"remote != 10.0.0.0/8 || remote == ipv6", false},
      {"op == write && state == ESTABLISHED", true},
      {"capability == sys_admin && rcode == UNANSWERED", true},
      {"request == WRITE && request != READ", true},
      {"\"nginx\" == comm", true},
      {"uid == \"root\"", true},
      {"1 / uid == 0 && 7 % uid == 7", true},
  };
  Schema schema = test_schema();
  Host host;
  TestRow row;
  Row bytes = std::as_bytes(std::span(&row, 1));
  for (const Case &c : kCases) {
    Filter filter;
    Result<void> added = filter.add(c.condition, schema, host);
    ASSERT_TRUE(added) << c.condition << ": " << added.error().what << ": " << added.error().why;
    EXPECT_EQ(filter.holds(bytes), c.holds) << c.condition;
    Result<Node> node = parse(c.condition, schema, host);
    ASSERT_TRUE(node);
    if (!is_for_programs(*node)) continue;
    EXPECT_EQ(program_holds({*node}, schema, bytes, bytes.size()), c.holds) << c.condition;
  }
}

TEST(Filter, AllOfSeveralMustHold) {
  Schema schema = test_schema();
  Host host;
  TestRow row;
  Row bytes = std::as_bytes(std::span(&row, 1));
  Filter filter;
  EXPECT_TRUE(filter.empty());
  EXPECT_TRUE(filter.holds(bytes));
  for (const char *condition : {"port=80,443", "errno=EACCES,ENOENT", "uid=0 && port > 1"})
    ASSERT_TRUE(filter.add(condition, schema, host));
  EXPECT_TRUE(filter.holds(bytes));
  row.uid = 1;
  EXPECT_FALSE(filter.holds(bytes));
  std::vector<std::string> names;
  for (const Column &column : filter.columns()) names.push_back(column.name);
  EXPECT_EQ(names, (std::vector<std::string>{"port", "errno", "uid"}));
}

TEST(Filter, ProgramsTestWhatTheyCan) {
  Schema schema = test_schema();
  Host host;
  TestRow row;
  Row bytes = std::as_bytes(std::span(&row, 1));
  Filter filter;
  ASSERT_TRUE(filter.add("errno == 5 && argv contains date", schema, host));
  EXPECT_FALSE(filter.holds(bytes));
  // The argument is there, and the number is the program's.
  EXPECT_TRUE(filter.rest_holds(bytes));
  EXPECT_FALSE(filter.program(schema, 200)->empty());
  Filter rest;
  ASSERT_TRUE(rest.add("argv contains date || errno == 5", schema, host));
  EXPECT_TRUE(rest.program(schema, 200)->empty());
  EXPECT_TRUE(rest.rest_holds(bytes));
  std::string long_list = "port=1";
  for (int port = 2; port < 200; port++) long_list += "," + std::to_string(port);
  Filter many;
  ASSERT_TRUE(many.add(long_list, schema, host));
  Result<std::vector<bpf_insn>> program = many.program(schema, 200);
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().code, ErrorCode::kExhausted);
}

// A row that ends in text is cut there: what would follow is not read.
TEST(Filter, WhatARowLacksIsEmpty) {
  struct CutRow {
    uint32_t number = 7;
    char comm[16] = "cat";
    char path[32] = "/etc/passwd";
    char resolved[32] = "/left/over";
    uint64_t after = 9;
  } row;
  Schema schema{"cut", "", Shape::kStream, sizeof(CutRow), 0, {}};
  auto add = [&](const char *name, Kind kind, size_t offset, size_t size) {
    Column column;
    column.name = name;
    column.kind = kind;
    column.offset = static_cast<uint32_t>(offset);
    column.size = static_cast<uint32_t>(size);
    schema.columns.push_back(column);
  };
  add("number", Kind::kNumber, offsetof(CutRow, number), 4);
  add("comm", Kind::kComm, offsetof(CutRow, comm), 16);
  add("path", Kind::kPath, offsetof(CutRow, path), 32);
  add("resolved", Kind::kPath, offsetof(CutRow, resolved), 32);
  add("after", Kind::kNumber, offsetof(CutRow, after), 8);
  struct Case {
    const char *condition;
    bool cut, whole;
  };
  constexpr Case kCases[] = {
      {"path startswith /etc", true, true},
      {"path == /etc/passwd", true, true},
      {"path == /etc", false, false},
      {"resolved == /left/over", false, true},
      {"resolved startswith /left", false, true},
      {"resolved", false, true},
      {"!resolved", true, false},
      {"resolved == \"\"", true, false},
      {"resolved startswith \"\"", true, true},
      {"after == 9", false, true},
      {"after == 0", true, false},
      {"after + number == 7", true, false},
      {"number == 7 && comm == cat", true, true},
  };
  Host host;
  Row whole = std::as_bytes(std::span(&row, 1));
  Row cut = whole.first(offsetof(CutRow, path) + sizeof("/etc/passwd"));
  for (const Case &c : kCases) {
    SCOPED_TRACE(c.condition);
    Result<Node> node = parse(c.condition, schema, host);
    ASSERT_TRUE(node) << node.error().what;
    EXPECT_EQ(holds(*node, cut), c.cut);
    EXPECT_EQ(holds(*node, whole), c.whole);
    ASSERT_TRUE(is_for_programs(*node));
    EXPECT_EQ(program_holds({*node}, schema, whole, cut.size()), c.cut);
    EXPECT_EQ(program_holds({*node}, schema, whole, whole.size()), c.whole);
  }
}

// Random expressions, said by the tree and by its code.
TEST(Filter, TreeAndProgramAgree) {
  Schema schema = test_schema();
  Host host;
  std::mt19937_64 random(20261127);
  auto pick = [&](uint64_t below) { return random() % below; };
  const char *const kColumns[] = {"latency", "bytes", "errno", "fd", "uid", "flags", "port", "state", "rcode"};
  const char *const kOperators[] = {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"};
  const char *const kComparisons[] = {"==", "!=", "<", "<=", ">", ">="};
  auto number = [&](auto &&self, int depth) -> std::string {
    if (depth == 0 || pick(3) == 0) return kColumns[pick(std::size(kColumns))];
    std::string left = self(self, depth - 1), op = kOperators[pick(std::size(kOperators))];
    std::string right = pick(3) == 0 ? std::to_string(pick(70)) : self(self, depth - 1);
    return "(" + left + " " + op + " " + right + ")";
  };
  auto condition = [&](auto &&self, int depth) -> std::string {
    if (depth == 0 || pick(4) == 0) {
      if (pick(5) == 0) return pick(2) == 0 ? "comm startswith ngi" : "remote == 10.0.0.0/8";
      return number(number, 2) + " " + kComparisons[pick(std::size(kComparisons))] + " " + number(number, 1);
    }
    std::string left = self(self, depth - 1), right = self(self, depth - 1);
    switch (pick(3)) {
      case 0:
        return "(" + left + " && " + right + ")";
      case 1:
        return "(" + left + " || " + right + ")";
      default:
        return "!(" + left + ")";
    }
  };
  for (int i = 0; i < 2000; i++) {
    std::string text = condition(condition, 3);
    Result<Node> node = parse(text, schema, host);
    ASSERT_TRUE(node) << text << ": " << node.error().what << ": " << node.error().why;
    TestRow row;
    row.latency = random() >> pick(64);
    row.bytes = random() >> pick(64);
    row.fd = static_cast<int32_t>(random());
    row.errno_value = static_cast<int32_t>(pick(4)) - 2;
    row.rcode = static_cast<int16_t>(random());
    Row bytes = std::as_bytes(std::span(&row, 1));
    ASSERT_EQ(holds(*node, bytes), program_holds({*node}, schema, bytes, bytes.size())) << text;
  }
}

TEST(Filter, SaysWhatIsWrong) {
  struct Case {
    const char *condition, *what;
  };
  constexpr Case kCases[] = {
      {"=2", "'=2' is no condition"},
      {"nope=1", "sensor 'test' has no column 'nope'"},
      {"errno=ENOTHING", "bad value 'ENOTHING' of column 'errno'"},
      {"latency>=5parsecs", "bad duration '5parsecs'"},
      {"remote=10.0.0.0/33", "bad address '10.0.0.0/33'"},
      {"remote=fe80", "bad address 'fe80'"},
      {"remote>10.0.0.1", "column 'remote' cannot be tested so: 'remote>10.0.0.1'"},
      {"comm>nginx", "column 'comm' cannot be tested so: 'comm>nginx'"},
      {"port~8", "column 'port' cannot be tested so: 'port~8'"},
      {"uid.name=root", "'uid.name' cannot be tested"},
      {"flags&O_NOTHING", "bad value 'O_NOTHING' of column 'flags'"},
      {"", "'' is no condition"},
      {"errno == ENOENT &&", "'errno == ENOENT &&' is no condition"},
      {"(errno == ENOENT", "'(errno == ENOENT' is no condition"},
      {"errno == ENOENT)", "bad value 'ENOENT)' of column 'errno'"},
      {"comm == \"nginx", "'comm == \"nginx' is no condition"},
      {"erno == 2 && fd < 0", "sensor 'test' has no column 'erno'"},
      {"errno == ENOTHING && fd < 0", "bad value 'ENOTHING' of column 'errno'"},
      {"errno && comm > 5", "column 'comm' cannot be tested so: 'errno && comm > 5'"},
      {"remote + 1 == 2", "column 'remote' cannot be tested so: 'remote + 1 == 2'"},
      {"remote && uid", "column 'remote' cannot be tested so: 'remote && uid'"},
      {"latency startswith 5", "column 'latency' cannot be tested so: 'latency startswith 5'"},
      {"\"nginx\"", "'\"nginx\"' is no condition"},
      {"5 && uid", "'5 && uid' is no condition"},
      {"errno errno", "'errno errno' is no condition"},
      {"(errno == 1) + 1 == 2", "'(errno == 1) + 1 == 2' is no condition"},
  };
  Schema schema = test_schema();
  Host host;
  for (const Case &c : kCases) {
    Filter filter;
    Result<void> added = filter.add(c.condition, schema, host);
    ASSERT_FALSE(added) << c.condition;
    EXPECT_EQ(added.error().what, c.what);
  }
  EXPECT_EQ(parse(std::string_view("comm=\0", 6), schema, host).error().what, "the condition has a byte 0");
  std::string deep(100, '(');
  EXPECT_EQ(parse(deep, schema, host).error().why, "too many expressions within each other");
  EXPECT_EQ(parse(std::string(5000, '!'), schema, host).error().what, "the condition is too long");
}

}  // namespace
}  // namespace waggle::filter
