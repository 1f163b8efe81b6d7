// What a value stands for beyond its bytes: symbols, stacks, users, cgroups, times.
// The runtime answers from the kernel and the symbol library; tests answer from tables.
//
// Nothing here fails: what is not known is empty, and is printed as its number.
// Threads: each Resolver says; those that print call it from the thread that prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::script {

struct Symbol {
  std::string name;
  uint64_t offset = 0;      // bytes from its beginning
  std::string module;       // "vmlinux", "/usr/bin/nginx"; empty: not known
  std::string source;       // "src/main.c:12"; empty: not known
  bool is_inlined = false;  // in the symbol after it
};

struct Frame {
  uint64_t address = 0;
  std::string build_id;      // 40 hexadecimal digits; empty: only the address is known
  uint64_t file_offset = 0;  // in the file of that build id
};

enum class Clock : uint8_t { kMonotonic, kBoot, kTai, kRealtime };

// A format of strftime(3), with %f for microseconds.
struct TimeFormat {
  std::string text;
  Clock clock = Clock::kBoot;
};

class Resolver {
 public:
  virtual ~Resolver() = default;

  // The function at an address, before it those inlined there, innermost first.
  virtual std::vector<Symbol> kernel_symbols(uint64_t address) = 0;
  virtual std::vector<Symbol> user_symbols(uint32_t pid, uint64_t address) = 0;
  // The frames of a stack by its id in the stack map, innermost first.
  virtual std::vector<Frame> kernel_stack(uint64_t id) = 0;
  virtual std::vector<Frame> user_stack(uint64_t id, uint32_t pid) = 0;
  virtual std::string user_name(uint64_t uid) = 0;
  // "unified:/user.slice,memory:/a": the paths in all hierarchies that the pattern picks.
  virtual std::string cgroup_path(uint64_t pattern_id, uint64_t cgroup_id) = 0;
  virtual TimeFormat time_format(uint64_t id) = 0;
  // Nanoseconds since 1970 of a reading of a clock.
  virtual int64_t wall_ns(Clock clock, uint64_t reading_ns) = 0;
  virtual int64_t now_ns() = 0;  // since 1970
  // What is printed after a string of so many characters: str_trunc_trailer (".." unless the
  // script says otherwise) where max_strlen cut it, else nothing.
  virtual std::string_view trailer(size_t length) = 0;
};

}  // namespace waggle::script
