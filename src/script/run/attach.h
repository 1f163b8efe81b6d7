// Attaches loaded programs to their probes, each by its mechanism. They are detached when the
// Attachments ends, which waits for the kernel, 50 to 70 ms for each tracepoint.
// Threads: one at a time.
// source: bpf(2) BPF_LINK_CREATE; kernel/bpf/syscall.c; kernel/trace/bpf_trace.c
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "script/run/programs.h"

namespace waggle::script {

struct AttachFailure {
  const ConcreteProbe *probe = nullptr;
  Error error;
};

class Attachments {
 public:
  // REQUIRES: the program's mechanism is neither kItself nor kIterator
  //   pid      of -p or -c; 0: none
  //   returns  the probes that could not be attached; all others are
  std::vector<AttachFailure> attach(const LoadedProgram &program, int32_t pid);

  // Detaches watchpoints at an address.
  void unwatch(uint64_t address);
  // Whether something was attached whose end takes the kernel time.
  bool ends_slowly() const { return !hooks_.empty() || !links_.empty(); }

 private:
  struct Watch {
    uint64_t address = 0;
    size_t begin = 0, end = 0;  // in hooks_
  };

  Result<void> attach_events(const ConcreteProbe &probe, int program, int32_t pid);
  Result<void> attach_raw(const ConcreteProbe &probe, int program);
  template <typename Link>
  void attach_many(const LoadedProgram &program, size_t begin, size_t end, Link link,
                   std::vector<AttachFailure> &failures);
  void attach_kprobes(const LoadedProgram &program, std::vector<AttachFailure> &failures);
  void attach_uprobes(const LoadedProgram &program, int32_t pid, std::vector<AttachFailure> &failures);

  std::vector<Fd> hooks_;  // perf events
  std::vector<Fd> links_;
  std::vector<Watch> watches_;
  bool has_event_links_ = true;  // until the kernel says it has not
};

}  // namespace waggle::script
