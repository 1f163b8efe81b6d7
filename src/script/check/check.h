// From the tree of a script to what it means (script/program/program.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernel/features.h"
#include "script/probes/btf_types.h"
#include "script/program/program.h"
#include "script/syntax/source.h"
#include "script/syntax/tree.h"

namespace waggle::script {

struct CheckOptions {
  int32_t pid = 0;                                              // -p; 0: none
  int32_t child = 0;                                            // the pid of -c, which has not begun to run; 0: none
  std::vector<std::string> positional;                          // $1, $2, …
  std::map<std::string, std::string, std::less<>> named;        // of getopt(): "" where no value was given
  std::map<std::string, std::string, std::less<>> environment;  // BPFTRACE_*, without that prefix
  bool is_unsafe = false;
  bool with_warnings = true;               // what goes wrong with maps is told as the script runs
  bool with_read_warnings = false;         // -k: so is memory that cannot be read
  std::string probe_filter;                // --probe-filter: a regular expression; empty: all probes
  std::string traceable_functions;         // as in ExpandOptions
  bool is_test = false, is_bench = false;  // --test, --bench: only those probes, else none of them
};

// What is wrong goes to `diagnostics`, in bpftrace's words where a message means the same. When
// it has failed, the script is not to be used.
Script check(const Tree &tree, const Sources &sources, Diagnostics &diagnostics, BtfTypes &types,
             const CheckOptions &options, const Kernel &kernel = Kernel::running());

}  // namespace waggle::script
