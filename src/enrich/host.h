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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "enrich/field.h"
#include "schema/batch.h"
#include "symbol/function_parameters.h"

namespace waggle {

struct HostAnswers;
struct Process;

class Host {
 public:
  Host();
  // Of another host and another time: all answers come from a recording, which
  // outlives this, and nothing is asked of the host that this runs on.
  explicit Host(const HostAnswers &answers);
  ~Host();

  // CLOCK_REALTIME.
  int64_t wall_now_ns();

  // Add to CLOCK_MONOTONIC to get CLOCK_REALTIME; read again every few seconds,
  // because the wall clock is stepped and slewed.
  int64_t wall_minus_monotonic_ns();

  // What a recording calls a value of such a kind; null on the host itself, where
  // the kernel, /etc and tables of names are asked.
  const std::string *told_name(Kind kind, uint64_t value);
  std::string_view user_name(uint32_t uid);   // empty: not in /etc/passwd
  std::string_view group_name(uint32_t gid);  // empty: not in /etc/group
  std::string device_name(uint32_t device);   // kernel's dev_t: "sda", or "8:0"
  std::optional<uint32_t> uid_of(std::string_view user);
  std::optional<uint32_t> gid_of(std::string_view group);
  // "sda", "/dev/sda" or "8:0".
  std::optional<uint32_t> device_of(std::string_view disk);
  std::string mount_point(uint32_t device);  // empty: not mounted

  // "name" or "name+0x1f"; "0x…" where there is no symbol.
  std::string kernel_symbol(uint64_t address, bool with_offset);
  // What the function at an address takes; null where BTF does not know it.
  const std::vector<FunctionParameter> *kernel_parameters(uint64_t function);
  // "name", or "object+0x…" where there is no symbol; demangled.
  std::string user_symbol(uint32_t pid, uint64_t address, bool is_return_address);

  // Appends nothing where nobody knows. when_ns: CLOCK_MONOTONIC; 0 for now.
  void append_of_process(std::string &out, Follow follow, uint32_t pid, uint64_t when_ns = 0);
  void append_of_cgroup(std::string &out, Follow follow, uint64_t cgroup_id);

  // Reads /proc once, so that processes that end later are known.
  void know_processes();
  // Learns from a row of the sensors exec, fork and exit; ignores others.
  void observe(const Schema &schema, Row row);
  // For recordings: what there is to tell of processes and cgroups, and telling it.
  std::vector<const Process *> living_processes();
  void add_process(Process process);
  std::string_view cgroup_path(uint64_t cgroup_id);
  // Snapshots a process's mappings before it ends, for user_symbol().
  void note_mappings(uint32_t pid);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace waggle
