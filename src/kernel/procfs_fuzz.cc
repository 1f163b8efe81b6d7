// Every parser of procfs.h and procfs_host.h over the same bytes; what they
// promise of any answer is checked.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "kernel/procfs.h"
#include "kernel/procfs_host.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view text(reinterpret_cast<const char *>(data), size);

  if (auto stat = parse_process_stat(text)) CHECK(stat->comm.size() <= size);
  if (auto status = parse_process_status(text)) CHECK(status->namespace_pids.size() <= 33);
  (void)parse_process_io(text);
  if (auto lines = parse_process_cgroup(text))
    for (const CgroupLine &line : *lines) CHECK(line.path.empty() || line.path.front() == '/');
  if (auto ranges = parse_maps(text))
    for (const MapRange &range : *ranges) CHECK(range.start <= range.end && range.path.size() <= size);
  if (auto mounts = parse_mountinfo(text))
    for (const Mount &mount : *mounts) CHECK(!mount.fs_type.empty());
  (void)parse_partitions(text);

  (void)parse_kernel_stat(text);
  (void)parse_memory_info(text);
  (void)parse_load_average(text);
  (void)parse_pressure(text);
  (void)parse_diskstats(text);
  (void)parse_net_devices(text);
  (void)parse_net_counters(text);
  return 0;
}
