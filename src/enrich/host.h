// What waggle knows of this host beyond the events themselves: names, processes,
// cgroups, symbols. Everything is made when first asked for, because most runs
// ask for little: a tool that prints pids needs no symbol table.
//
// Processes are told by the process sensors (observe()), so that one that lived
// for 5 ms still has a command line; the rest is read from /proc.
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enrich/field.h"
#include "schema/batch.h"

namespace waggle {

class Host {
 public:
  Host();
  ~Host();

  // Add to CLOCK_MONOTONIC to get CLOCK_REALTIME; read again every few seconds,
  // because the wall clock is stepped and slewed.
  int64_t wall_minus_monotonic_ns();

  std::string_view user_name(uint32_t uid);   // empty: not in /etc/passwd
  std::string_view group_name(uint32_t gid);  // empty: not in /etc/group
  std::string device_name(uint32_t device);   // kernel's dev_t: "sda", or "8:0"
  std::string mount_point(uint32_t device);   // empty: not mounted

  // "name" or "name+0x1f"; "0x…" where there is no symbol.
  std::string kernel_symbol(uint64_t address, bool with_offset);
  // "name", or "object+0x…" where there is no symbol; demangled.
  std::string user_symbol(uint32_t pid, uint64_t address, bool is_return_address);

  // Appends nothing where nobody knows. when_ns: CLOCK_MONOTONIC; 0 for now.
  void append_of_process(std::string &out, Follow follow, uint32_t pid, uint64_t when_ns = 0);
  void append_of_cgroup(std::string &out, Follow follow, uint64_t cgroup_id);

  // Reads /proc once, so that processes that end later are known.
  void know_processes();
  // Learns from a row of the sensors exec, fork and exit; ignores others.
  void observe(const Schema &schema, Row row);
  // Snapshots a process's mappings before it ends, for user_symbol().
  void note_mappings(uint32_t pid);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace waggle
