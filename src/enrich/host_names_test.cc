#include "enrich/host_names.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace waggle {
namespace {

TEST(AccountNames, AreReadFromAnyFile) {
  struct Case {
    std::string_view text;
    std::vector<std::pair<uint32_t, std::string>> names;
  };
  const Case kCases[] = {
      {"root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/:/bin/false\n", {{0, "root"}, {33, "www-data"}}},
      {"adm:x:4:alice,bob\nempty::5:", {{4, "adm"}, {5, "empty"}}},
      {"# comment\n\n+::0:0:::\nnoid:x\nbad:x:1x:\nneg:x:-1:\nbig:x:4294967296:\n:x:7:\n", {}},
      {"last:x:4294967295", {{4294967295u, "last"}}},
  };
  for (const Case &c : kCases) {
    std::vector<std::pair<uint32_t, std::string>> names;
    for (AccountName &account : parse_account_names(c.text)) names.emplace_back(account.id, account.name);
    EXPECT_EQ(names, c.names) << c.text;
  }
}

TEST(HostNames, FollowTheFiles) {
  std::string path = "/tmp/waggle_passwd_" + std::to_string(::getpid());
  std::ofstream(path) << "alice:x:1000:1000::/:/bin/sh\ntwin:x:1000:1000::/:/bin/sh\n";
  HostNames names(path, "/no/such/file", std::chrono::milliseconds(10));
  EXPECT_EQ(names.user(1000), "alice");
  EXPECT_EQ(names.user(1001), "");
  EXPECT_EQ(names.uid_of("alice"), 1000u);
  EXPECT_EQ(names.uid_of("bob"), std::nullopt);
  EXPECT_EQ(names.group(0), "");

  std::ofstream(path + ".new") << "bob:x:1000:1000::/:/bin/sh\n";
  ::rename((path + ".new").c_str(), path.c_str());
  ::usleep(30'000);
  EXPECT_EQ(names.user(1000), "bob");
  ::unlink(path.c_str());
  ::usleep(30'000);
  EXPECT_EQ(names.user(1000), "bob");  // a file that is being replaced does not take the names away
}

TEST(HostNames, NameTheDiskAndMountOfTheRoot) {
  struct stat root {};
  ASSERT_EQ(::stat("/", &root), 0);
  HostNames names;
  DeviceNumber device = DeviceNumber::from_user(root.st_dev);
  EXPECT_EQ(names.mount_point(device), "/");
  EXPECT_EQ(names.mount_point(device), "/");
  EXPECT_EQ(names.mount_point({4095, 1}), "");
  EXPECT_EQ(names.disk({4095, 1}), "");
  EXPECT_EQ(names.disk({0, 40}), "");
  if (device.major == 0) GTEST_SKIP() << "the root is on no disk";
  EXPECT_FALSE(names.disk(device).empty());
  EXPECT_EQ(names.disk(DeviceNumber::from_kernel(device.to_kernel())), names.disk(device));
}

}  // namespace
}  // namespace waggle
