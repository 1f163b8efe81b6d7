// Cgroup paths of any bytes, alone and as lines of /proc/PID/cgroup.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "kernel/cgroup.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  std::string_view text(reinterpret_cast<const char *>(data), size);

  CgroupLabels labels = parse_cgroup_path(text);
  CHECK(labels.container_id.empty() == (labels.runtime == ContainerRuntime::kNone));
  CHECK(labels.container_id.empty() || text.find(labels.container_id) != std::string_view::npos);
  CHECK(labels.user_unit.empty() || labels.unit.starts_with("user@"));
  CHECK(short_container_id(labels.container_id).size() <= labels.container_id.size());
  CHECK(unescape_unit_name(labels.unit).size() <= labels.unit.size());

  if (auto lines = parse_process_cgroup(text)) CHECK((choose_cgroup(*lines) == nullptr) == lines->empty());
  if (auto mounts = parse_mountinfo(text)) (void)find_cgroup_mounts(*mounts);
  return 0;
}
