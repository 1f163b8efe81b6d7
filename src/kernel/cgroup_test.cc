#include "kernel/cgroup.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace waggle {
namespace {

Mount mount_of(std::string type, std::string point, std::string fs_options) {
  Mount mount;
  mount.fs_type = std::move(type);
  mount.point = std::move(point);
  mount.fs_options = std::move(fs_options);
  return mount;
}

TEST(CgroupMounts, AreFoundOnEveryKindOfHost) {
  CgroupMounts pure =
      find_cgroup_mounts(std::vector<Mount>{mount_of("ext4", "/", "rw"), mount_of("cgroup2", "/var/lib/x/cgroup", "rw"),
                                            mount_of("cgroup2", "/sys/fs/cgroup", "rw")});
  EXPECT_EQ(pure.v2, "/sys/fs/cgroup");
  EXPECT_FALSE(pure.hybrid());

  CgroupMounts hybrid = find_cgroup_mounts(
      std::vector<Mount>{mount_of("cgroup", "/sys/fs/cgroup/cpu", "rw,cpu,cpuacct"),
                         mount_of("cgroup", "/sys/fs/cgroup/systemd", "rw,xattr,release_agent=/lib/x,name=systemd"),
                         mount_of("cgroup2", "/sys/fs/cgroup/unified", "rw,nsdelegate")});
  EXPECT_TRUE(hybrid.hybrid());
  ASSERT_EQ(hybrid.v1.size(), 2u);
  EXPECT_EQ(hybrid.v1[0].controllers, "cpu,cpuacct");
  EXPECT_EQ(hybrid.v1[1].controllers, "name=systemd");
  EXPECT_TRUE(find_cgroup_mounts({}).v2.empty());
}

TEST(ChooseCgroup, PrefersTheLineThatSaysMost) {
  const std::string id(64, 'a');
  auto line = [](uint32_t hierarchy, std::string controllers, std::string path) {
    return CgroupLine{hierarchy, std::move(controllers), std::move(path), false};
  };
  struct Case {
    std::vector<CgroupLine> lines;
    std::string path;
  };
  const Case kCases[] = {
      {{line(2, "cpu", "/docker/" + id), line(0, "", "/")}, "/docker/" + id},
      {{line(1, "name=systemd", "/system.slice/ssh.service"), line(0, "", "/system.slice/ssh.service")},
       "/system.slice/ssh.service"},
      {{line(1, "name=systemd", "/system.slice/ssh.service"), line(0, "", "/")}, "/system.slice/ssh.service"},
      {{line(4, "memory", "/somewhere"), line(0, "", "/v2")}, "/v2"},
      {{line(4, "memory", "/somewhere")}, "/somewhere"},
  };
  for (const Case &c : kCases) EXPECT_EQ(choose_cgroup(c.lines)->path, c.path);
  EXPECT_EQ(choose_cgroup({}), nullptr);
}

// A cgroup below the root, removed on every way out.
class ScratchCgroup {
 public:
  explicit ScratchCgroup(std::string directory) : directory_(std::move(directory)) {
    made_ = ::mkdir(directory_.c_str(), 0755) == 0;
  }
  ~ScratchCgroup() { remove(); }
  void remove() {
    if (made_) ::rmdir(directory_.c_str());
    made_ = false;
  }
  bool made() const { return made_; }
  uint64_t id() const {
    struct stat status {};
    ::stat(directory_.c_str(), &status);
    return status.st_ino;
  }

 private:
  std::string directory_;
  bool made_ = false;
};

TEST(CgroupTree, FindsPathsAndIds) {
  Result<CgroupTree> tree = CgroupTree::open();
  if (!tree) GTEST_SKIP() << tree.error().text();
  std::string name = "/waggle_test_" + std::to_string(::getpid());
  const std::string container(64, 'e');
  ScratchCgroup parent(tree->mounts().v2 + name);
  if (!parent.made()) GTEST_SKIP() << "cannot make cgroups here: needs root";
  ScratchCgroup child(tree->mounts().v2 + name + "/docker-" + container + ".scope");
  ScratchCgroup inner(tree->mounts().v2 + name + "/docker-" + container + ".scope/init");

  EXPECT_EQ(tree->path_of(parent.id()), name);
  EXPECT_EQ(tree->path_of(inner.id()), name + "/docker-" + container + ".scope/init");
  EXPECT_EQ(*tree->id_of(name), parent.id());
  EXPECT_EQ(tree->path_of(*tree->id_of("/")), "/");
  EXPECT_EQ(tree->path_of(0xffffffffffff), "");

  struct stat opened {};
  Result<Fd> by_prefix = tree->open_container("eeeeeeeeeeee");
  ASSERT_TRUE(by_prefix) << by_prefix.error().text();
  ::fstat(by_prefix->get(), &opened);
  EXPECT_EQ(opened.st_ino, child.id());
  Result<Fd> by_id = tree->open_id(parent.id());
  ASSERT_TRUE(by_id);
  ::fstat(by_id->get(), &opened);
  EXPECT_EQ(opened.st_ino, parent.id());
  EXPECT_EQ(tree->open_container("dddd").error().code, ErrorCode::kNotFound);

  ScratchCgroup other(tree->mounts().v2 + name + "/docker-" + std::string(63, 'e') + "f.scope");
  EXPECT_EQ(tree->open_container("eeeeeeeeeeee").error().code, ErrorCode::kInvalid);

  // Late rows of a cgroup that is gone still resolve; it cannot be attached to.
  uint64_t gone = inner.id();
  inner.remove();
  EXPECT_EQ(tree->path_of(gone), name + "/docker-" + container + ".scope/init");
  EXPECT_EQ(tree->open_id(gone).error().code, ErrorCode::kNotFound);
}

TEST(CgroupTree, StaysInsideTheHierarchy) {
  Result<CgroupTree> tree = CgroupTree::open();
  if (!tree) GTEST_SKIP() << tree.error().text();
  for (std::string_view path : {"", "a", "/..", "/a/../..", "/a/.."})
    EXPECT_EQ(tree->open_path(path).error().code, ErrorCode::kInvalid) << path;
  EXPECT_EQ(tree->open_path("/no/such/cgroup").error().code, ErrorCode::kNotFound);
}

TEST(CgroupTree, ForgetsTheOldestOfMany) {
  Result<CgroupTree> tree = CgroupTree::open();
  if (!tree) GTEST_SKIP() << tree.error().text();
  for (uint64_t i = 0; i < 20000; ++i) tree->learn((uint64_t{1} << 40) + i, "/c" + std::to_string(i));
  EXPECT_EQ(tree->size(), 16384u);
  EXPECT_EQ(tree->path_of((uint64_t{1} << 40) + 19999), "/c19999");
  EXPECT_EQ(tree->path_of(uint64_t{1} << 40), "");
}

}  // namespace
}  // namespace waggle
