// What `waggle run` and the name bpftrace do with a command line: list, explain, dump, or
// compile and run a script. Messages are bpftrace's where they mean the same, because people
// search for them; so are the exit statuses: 1 for whatever is wrong, else what exit() says.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace waggle {

// As the options were typed.
// bpftrace's, whose language, options and messages these are.
inline constexpr std::string_view kVersionOfLanguage = "0.27.1";

struct ScriptArguments {
  std::vector<std::string> programs;  // -e; the last one counts
  std::vector<std::string> words;     // the file and its parameters; of -l the pattern
  std::string command, pid, format, output, buffering, mode, duration;
  std::string stages;  // -d
  std::string probe_filter, traceable_functions;
  std::vector<std::string> include_directories, includes;  // -I, --include
  bool is_list = false, is_quiet = false, is_verbose = false, has_probe_warnings = false, no_warnings = false;
  bool is_unsafe = false, is_dry = false, is_test = false, is_bench = false, is_format = false, is_explain = false;
};

int run_script_command(const ScriptArguments &arguments);

// bpftrace's own command line.  words: without the program's name
int run_as_bpftrace(std::span<const std::string> words);

// The text of --info: what this kernel offers to scripts, in bpftrace's form.
std::string script_info();

}  // namespace waggle
