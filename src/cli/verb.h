// The command table: one Verb for each word after `waggle`. Help, shell
// completion, the man page and the reference docs are all made from it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace waggle {

// Exit statuses of every verb.
inline constexpr int kDone = 0, kFailed = 1, kMisused = 2;

struct Verb {
  std::string_view name;
  std::string_view summary;   // one line, without a full stop
  std::string_view examples;  // lines "waggle …      # why", first thing in --help
  // Adds options and arguments; returns what to do once they are parsed.
  std::function<int()> (*configure)(CLI::App &app);
};

// In the order of the help.
std::span<const Verb> verbs();

// The whole command line as CLI11 sees it; `chosen` becomes what the parsed verb does.
void build_command_line(CLI::App &app, std::function<int()> &chosen);

// Says an error on stderr and returns the exit status for it: 2 for misuse, else 1.
int report(const Error &error);

// The same for a command line that does not parse; `word` is its first word.
int report_misuse(const CLI::ParseError &error, const CLI::App &app, std::string_view word);

// A line of talk on stderr. That nobody reads it is no error (with fmt::print it
// is an exception).
void say(std::string_view line);

// For numbers: CLI11 reads -1 as the largest one there is.
CLI::Validator not_negative();
CLI::Validator positive();
// For texts: an empty one is an error.
CLI::Validator not_empty();

// The options of a verb, those in its groups too, without the groups' own --help.
std::vector<const CLI::Option *> all_options_of(const CLI::App &app);

}  // namespace waggle
