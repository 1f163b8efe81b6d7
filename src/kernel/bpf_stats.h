// The kernel's own accounting of BPF programs: how often each ran, and for how long.
// source: bpf(2) BPF_ENABLE_STATS (5.8); kernel/bpf/syscall.c
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace waggle {

// The kernel counts the runs and the time of every program while this is open; it
// costs each run two looks at the clock, so it is off unless somebody wants to know.
//   errors  Denied  CAP_SYS_ADMIN is missing
Result<Fd> count_program_runs();

}  // namespace waggle
