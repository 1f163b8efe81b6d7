// UserSymbols turns addresses of user space into function names. It knows
// processes by snapshots of their mappings, which outlive them, and files by
// tables of functions, which processes share.
//
// A frame never vanishes: without a symbol it is "object+0x…", in memory that is
// no file "[anon]+0x…", and outside of all mappings "0x…".
//
// Where symbols come from, first found: .symtab; the debug file, by build id,
// then by .gnu_debuglink; .dynsym. For code that was compiled at run time:
// /tmp/perf-PID.map as the process sees it. For [vdso]: waggle's own, which is the same image.
//
// Files are opened through /proc/PID/map_files, then /proc/PID/root, so that
// containers and replaced files work; never anything but regular files, never
// through a link that leads out of the container. Descriptors are not kept,
// because one would hold a container's mount: only files of processes that were
// noted and not yet asked about stay open, 64 of them, for 30 s.
//
// Memory: tables are dropped, least recently used first, above
// Limits::table_bytes_most; a file whose own table is larger has no symbols.
// Snapshots take some 40 bytes a mapping, and are kept of the last
// Limits::processes_most processes asked about, at most 65,536 mappings each.
// Threads: one.
// source: proc(5); GDB manual, "Separate Debug Files"; Linux tools/perf/Documentation/jit-interface.txt
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace waggle {

struct UserFrame {
  std::string symbol;  // demangled; empty when unknown
  // Into the symbol; without one, the address as the object was linked, which
  // addr2line takes; in [anon] from the start of the mapping; without an object
  // the address itself.
  uint64_t offset = 0;
  std::string object;    // "libc.so.6", "[vdso]", "[anon]", "[heap]"; empty outside of all mappings
  std::string path;      // of the object, as the process sees it; empty when it has none
  std::string build_id;  // hexadecimal; empty when unknown

  // "symbol", "symbol+0x1f", "object+0x1f", "0x1f".
  std::string text(bool with_offset) const;
};

// What the address of a frame points at. A return address may be the first byte
// of the next function, so callers are looked up by the byte before it.
enum class FrameAddress : uint8_t {
  kInstruction,  // the innermost frame, or one that a signal interrupted
  kReturn,       // its callers
};

class UserSymbols {
 public:
  struct Limits {
    size_t table_bytes_most = 128u << 20;
    size_t processes_most = 4096;
    std::string debug_directory = "/usr/lib/debug";
  };

  UserSymbols();
  explicit UserSymbols(Limits limits);
  ~UserSymbols();
  UserSymbols(const UserSymbols &) = delete;
  UserSymbols &operator=(const UserSymbols &) = delete;

  // Snapshots the mappings of a process, and opens files not seen before, so
  // that its frames have names when it has exited. Call it when a process is
  // first seen and after it has executed another program. 50 to 100 us. A
  // process that is gone keeps the snapshot it has.
  //   pid  thread group id in waggle's pid namespace
  void note(int32_t pid);

  // Takes a snapshot when there is none, or when the address is in none of the
  // mappings, then at most every 250 ms. Notices after at most 1 s that a pid
  // belongs to another process or program. Addresses of the program before are
  // still found.
  UserFrame resolve(int32_t pid, uint64_t address, FrameAddress kind);

  size_t table_bytes() const;  // now held by tables
  size_t tables() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace waggle
