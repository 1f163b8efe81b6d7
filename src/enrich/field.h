// A Field is what a view shows in one place: a column, or something that a
// column leads to. `pid` is a number; `pid.cmdline`, `pid.container`, `uid.name`
// and `device.mount` follow it by what it means, for every sensor alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/schema.h"

namespace waggle {

enum class Follow : uint8_t {
  kNothing,  // the column itself
  kComm,
  kExe,
  kCmdline,
  kParent,     // pid of the parent process
  kAncestors,  // names up to PID 1: "bash < sshd < systemd"
  kUser,
  kCgroupPath,
  kContainer,
  kUnit,
  kName,  // of a uid or gid
  kMount,
  kDirectory,  // of a path
};

struct Field {
  const Column *column = nullptr;
  Follow follow = Follow::kNothing;
  std::string name;               // "pid.cmdline"
  const Column *owner = nullptr;  // of a stack: the process it was taken in; of arguments: the function
  const Column *when = nullptr;   // the row's time, where it has one: a pid means a process at a time
};

// What can be followed from a kind, with one line of help each.
struct FollowInfo {
  Follow follow;
  std::string_view name;
  std::string_view help;
};
std::vector<FollowInfo> follows_of(Kind kind);

// "latency", "pid.cmdline", "cgroup.container".
//   errors  NotFound  no such column, or it cannot be followed so; with the nearest names
Result<Field> parse_field(const Schema &schema, std::string_view name);

// A list separated by commas. "+name" anywhere keeps the defaults and adds to them.
Result<std::vector<Field>> parse_fields(const Schema &schema, std::string_view list, std::vector<Field> defaults);

// Every column as it is.
std::vector<Field> all_fields(const Schema &schema);

// The columns worth a place on a terminal: all but thread, group, cgroup, those the
// sensor puts aside, raw identifiers and a snapshot's times that a reader rarely
// needs; `--columns` brings them back.
std::vector<Field> console_fields(const Schema &schema);

}  // namespace waggle
