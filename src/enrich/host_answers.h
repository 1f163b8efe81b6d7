// What a recording knows of the host it was made on: the answers to all that its
// rows lead to, so that a Host elsewhere gives the same ones.
// Threads: one; a Host that answers from it looks each time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "schema/kind.h"

namespace waggle {

struct KernelSymbolTexts {
  std::string name;         // "vfs_read"
  std::string with_offset;  // "vfs_read+0x1f"
};

struct HostAnswers {
  int64_t wall_minus_monotonic_ns = 0;
  int64_t now_ns = 0;  // CLOCK_REALTIME, as far as the recording has been read
  // What a value is called: a user, a disk, a drop reason, a place in the kernel.
  std::map<std::pair<Kind, uint64_t>, std::string> names;
  std::unordered_map<uint32_t, std::string> mount_points;  // by device
  std::unordered_map<uint64_t, KernelSymbolTexts> kernel_symbols;
  std::map<std::tuple<uint32_t, uint64_t, bool>, std::string> user_symbols;  // pid, address, is a return address
  std::unordered_map<uint64_t, std::string> cgroup_paths;
};

}  // namespace waggle
