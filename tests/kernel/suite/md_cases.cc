// Slow writes through md: a raid1 of two disks, and every flush that goes through it.
// source: linux/raid/md_u.h; drivers/md/md.c

#include <fcntl.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

// /dev/md127, a mirror of two disks that keeps no superblock on them ("mdadm --build").
class Mirror {
 public:
  Mirror(const LoopDevice &one, const LoopDevice &other, uint64_t bytes) {
    run_program({"modprobe", "md_mod"});
    if (run_program({"modprobe", "raid1"}).status != 0 && access("/proc/mdstat", F_OK) != 0)
      skip_case("this kernel has no md (modprobe raid1)");
    if (read_file("/proc/mdstat").find("md127") != std::string::npos) skip_case("md127 is somebody's");
    // No file is made by this open: a kernel without it makes the array as the device is opened.
    if (int fd = open("/sys/module/md_mod/parameters/new_array", O_WRONLY | O_CLOEXEC); fd >= 0) {
      (void)!write(fd, "md127", 5);
      close(fd);
    }
    if (mknod(path_, S_IFBLK | 0600, makedev(MD_MAJOR, 127)) != 0 && errno != EEXIST) fail_case("mknod /dev/md127");
    fd_ = must(open(path_, O_RDWR | O_CLOEXEC), "open /dev/md127");
    mdu_array_info_t array = {};
    array.minor_version = 90;
    array.level = 1;
    array.size = static_cast<int>(bytes / 1024);
    array.nr_disks = array.raid_disks = array.active_disks = array.working_disks = 2;
    array.md_minor = 127;
    array.not_persistent = 1;
    array.state = 1 << MD_SB_CLEAN;
    must(ioctl(fd_, SET_ARRAY_INFO, &array), "SET_ARRAY_INFO");
    int number = 0;
    for (const LoopDevice *device : {&one, &other}) {
      struct stat status = {};
      must(stat(device->path().c_str(), &status), "stat");
      mdu_disk_info_t disk = {};
      disk.number = disk.raid_disk = number++;
      disk.major = static_cast<int>(major(status.st_rdev));
      disk.minor = static_cast<int>(minor(status.st_rdev));
      disk.state = 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC;
      must(ioctl(fd_, ADD_NEW_DISK, &disk), "ADD_NEW_DISK");
    }
    must(ioctl(fd_, RUN_ARRAY, nullptr), "RUN_ARRAY");
  }
  // An array outlives its file descriptor: a case ends only after this.
  void stop() {
    for (int tries = 0; tries < 100 && ioctl(fd_, STOP_ARRAY, nullptr) != 0 && errno == EBUSY; tries++) usleep(10'000);
    close(fd_);
    fd_ = -1;
  }
  Mirror(const Mirror &) = delete;
  Mirror &operator=(const Mirror &) = delete;
  int fd() const { return fd_; }

 private:
  static constexpr const char *path_ = "/dev/md127";
  int fd_ = -1;
};

// Each fsync of the array is one flush through md, made by this process.
void md_flushes() {
  constexpr uint64_t kBytes = 8 << 20, kFlushes = 30;
  LoopDevice one(kBytes), other(kBytes);
  Mirror mirror(one, other, kBytes);
  Watch rows_watch({"func:md_flush_request", "--view", "stream", "-p", std::to_string(getpid())});
  Watch table_watch({"func:md_flush_request", "--view", "top", "--top", "0", "-p", std::to_string(getpid())});
  for (uint64_t i = 0; i < kFlushes; i++) must(fsync(mirror.fd()), "fsync");
  Seen seen = rows_watch.stop(), table = table_watch.stop();
  mirror.stop();
  expect_equal(seen.rows.size(), kFlushes, "flushes that went through md");
  for (const Json &row : seen.rows) expect_equal(text(row, "function"), "md_flush_request [md_mod]", "function");
  expect_equal(table.rows.size(), size_t{1}, "rows of the table");
  expect_equal(number(table.rows[0], "count"), kFlushes, "flushes in the table");
}

}  // namespace

void add_md_cases(std::vector<Case> &cases) {
  cases.push_back({"md: flushes of a raid1 are counted", {Need::kFunctions, Need::kLoop}, md_flushes, seconds(60)});
}

}  // namespace waggle::suite
