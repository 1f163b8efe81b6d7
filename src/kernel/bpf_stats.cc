#include "kernel/bpf_stats.h"

#include <bpf/bpf.h>

namespace waggle {

Result<Fd> count_program_runs() {
  int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd < 0) return fail_errno(-fd, "cannot measure what BPF programs cost", "run it as root, or with CAP_SYS_ADMIN");
  return Fd(fd);
}

}  // namespace waggle
