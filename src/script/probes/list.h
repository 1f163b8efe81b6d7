// The text of -l and -lv: the probes that a pattern means on this host, and what they
// hand to a script; and the kernel's types, by name.
//
//   tracepoint:sched:sched_switch
//       char prev_comm[16]
//       pid_t prev_pid
// Of uprobes the arguments are those of the file's debug information.
// Threads: as the BtfTypes.
// source: bpftrace(8), "-l"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kernel/features.h"
#include "script/probes/btf_types.h"

namespace waggle::script {

struct ListOptions {
  bool with_arguments = false;  // -lv
  int32_t pid = 0;              // of -p; 0: none
  std::string traceable_functions;
};

// A line for each probe, in the order of providers, then of names; with arguments,
// these on lines of their own, indented by four blanks.
//   pattern  an attach point with wildcards, "kprobe:vfs_*"; a pattern alone, "*open*",
//            is looked for among all names; empty: everything.
//            "struct x*", "union x", "enum x": the names of those types of the kernel, and
//            with arguments their definitions in C
//   errors   Invalid      the pattern is no attach point
//            NotFound     nothing matches
//            Unsupported  this kernel has no probes of the one kind that the pattern names
Result<std::string> list_probes(std::string_view pattern, const ListOptions &options, BtfTypes &types,
                                const Kernel &kernel = Kernel::running());

}  // namespace waggle::script
