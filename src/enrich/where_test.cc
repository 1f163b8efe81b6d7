#include "enrich/where.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
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

TEST(Where, HoldsOrNot) {
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
  };
  Schema schema = test_schema();
  Host host;
  TestRow row;
  Row bytes = std::as_bytes(std::span(&row, 1));
  for (const Case &c : kCases) {
    Where where;
    Result<void> added = add_condition(where, schema, c.condition, host);
    ASSERT_TRUE(added) << c.condition << ": " << added.error().what;
    EXPECT_EQ(all_hold(where.numbers, bytes) && all_hold(where.texts, bytes), c.holds) << c.condition;
  }
}

TEST(Where, AllOfSeveralMustHold) {
  Schema schema = test_schema();
  Host host;
  TestRow row;
  Row bytes = std::as_bytes(std::span(&row, 1));
  Where where;
  for (const char *condition : {"port=80,443", "errno=EACCES,ENOENT", "uid=0"})
    ASSERT_TRUE(add_condition(where, schema, condition, host));
  EXPECT_TRUE(all_hold(where.numbers, bytes));
  row.uid = 1;
  EXPECT_FALSE(all_hold(where.numbers, bytes));
}

TEST(Where, SaysWhatIsWrong) {
  struct Case {
    const char *condition, *what;
  };
  constexpr Case kCases[] = {
      {"errno", "'errno' is no condition"},
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
      {"port=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "too many conditions"},
  };
  Schema schema = test_schema();
  Host host;
  for (const Case &c : kCases) {
    Where where;
    Result<void> added = add_condition(where, schema, c.condition, host);
    ASSERT_FALSE(added) << c.condition;
    EXPECT_EQ(added.error().what, c.what);
  }
}

}  // namespace
}  // namespace waggle
