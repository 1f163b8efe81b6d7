// The familiar names: every tool of BCC, libbpf-tools and Inspektor Gadget as a row
// that says which waggle command it is. A tool takes the options that people type
// from habit, and all of the command's own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/verb.h"

namespace waggle {

// An option that a peer's tool has, and the words of the command that it stands for.
//   effect  words separated by blanks. In them {} is the value, {ms}, {us} and {s}
//           the value with that unit when it is a bare number, {func} and {call} the
//           sensor and target of a probe, and {a:words,b:words} what the value stands
//           for, '+' for blanks. A word "drop:--where" takes
//           the tool's own --where away. "!words" is no effect but the reason why
//           there is none, said to whoever tries. Empty: it is so already.
struct Habit {
  std::string_view id;     // what rows of tools list
  std::string_view flags;  // "-D --disks"
  std::string_view value;  // "DISK"; empty for a flag
  std::string_view effect;
  std::string_view help;
};

struct Tool {
  std::string_view name = {};
  std::string_view origin = {};     // "BCC, libbpf-tools"
  std::string_view summary = {};    // one line, without a full stop
  std::string_view command = {};    // "watch block --view histogram"; empty: there is none
  std::string_view arguments = {};  // ids among kHabits of positional arguments, in order
  std::string_view habits = {};     // ids of the options it takes
  std::string_view examples = {};   // lines "waggle NAME …      # why"
  std::string_view reason = {};     // why there is no command
};

// By name. Those without a command too.
std::span<const Tool> tools();
// Null for a name that is no tool's.
const Tool *find_tool(std::string_view name);

// A habit of a tool or one of its positional arguments.  REQUIRES: the id is known
const Habit &habit_of(std::string_view id);

// The whole command line that a tool's command line stands for, without "waggle".
//   app     the command line of waggle: options of the command are known from it
//   errors  Misuse  an option or argument that neither the tool nor its command has
Result<std::vector<std::string>> expand_tool(const Tool &tool, std::span<const std::string> words, const CLI::App &app);

// What --help prints: examples first, at most 80 columns wide.
std::string help_of(const Tool &tool);

// One line for each tool, for `waggle list tools`.
int list_tools(bool json, bool names);

}  // namespace waggle
