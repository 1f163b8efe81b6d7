// What processes have mapped, as the kernel tells it while it happens: so that addresses of
// a process that lived for a millisecond still have names.
//
// /proc/PID/maps answers only for who lives, and an event is read a few milliseconds after it
// was sent. A perf event on each CPU records every mapping of code, every exec and fork.
// It costs each of these a microsecond, so it is there only for scripts that print addresses
// of user space.
// Memory: 100 bytes a mapping; of the last 8,192 processes.
// Threads: one at a time.
// source: perf_event_open(2), PERF_RECORD_MMAP2, PERF_RECORD_FORK, PERF_RECORD_COMM
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "symbol/functions.h"

namespace waggle::script {

class Mappings {
 public:
  // errors: Denied, Failed
  static Result<Mappings> open();
  Mappings(Mappings &&) = default;
  Mappings &operator=(Mappings &&) = default;
  ~Mappings() = default;

  // Takes in what the kernel has told since the last call.
  void read();

  struct Symbol {
    std::string name, path;
    uint64_t offset = 0;  // into the function
  };
  // The function at an address of a process that began after open(); nothing for others, and
  // where the file has no symbols.
  std::optional<Symbol> find(uint32_t pid, uint64_t address);
  // Who forked it, and has the same mappings unless it has executed a program since; 0: not known.
  uint32_t parent_of(uint32_t pid) const;

  // Takes in one record; for tests, too.
  void learn(std::span<const std::byte> record);

 private:
  struct Ring {
    Fd event;
    std::byte *pages = nullptr;
    Ring(Fd of, std::byte *at) : event(std::move(of)), pages(at) {}
    Ring(Ring &&other) noexcept : event(std::move(other.event)), pages(std::exchange(other.pages, nullptr)) {}
    Ring &operator=(Ring &&) = delete;
    ~Ring();
  };
  struct Mapping {
    uint64_t start = 0, end = 0, offset = 0;
    std::string path;
  };
  struct Process {
    std::vector<Mapping> mappings;
    uint32_t parent = 0;
  };
  struct File {
    struct Segment {
      uint64_t offset = 0, bytes = 0, address = 0;
    };
    std::vector<Segment> segments;
    std::unique_ptr<ElfFunctionTable> functions;  // null: there are none
  };

  Mappings() = default;
  Process &process(uint32_t pid);
  const File &file(const std::string &path);

  std::vector<Ring> rings_;
  std::unordered_map<uint32_t, Process> processes_;
  std::deque<uint32_t> order_;  // of processes_, oldest first
  std::map<std::string, File> files_;
  std::vector<std::pair<uint64_t, std::vector<std::byte>>> waiting_;  // records by time (ns), not yet learned
};

}  // namespace waggle::script
