// The attempts behind features.h: each makes a program, a map or an event and
// lets go of it again. For features.cc alone.
#pragma once

#include <cstdint>
#include <string>

namespace waggle {

class Kernel;

// What became of an attempt: why it failed, empty when it did not.
struct Attempt {
  std::string why;
  bool for_want_of_privilege = false;

  bool worked() const { return why.empty(); }
};

// Whether this process has a capability (CAP_BPF, …) in effect.
bool has_capability(unsigned number);

namespace attempt {

Attempt load();
Attempt kprobe();
Attempt kprobe_multi();
Attempt fentry();
Attempt lsm();
Attempt tp_btf();
Attempt raw_tracepoint();
Attempt tracepoint(const Kernel &kernel);
Attempt uprobe();
Attempt usdt_semaphores();
Attempt cpu_clock();
Attempt cpu_cycles();
Attempt iterators();
Attempt ring_buffer();
Attempt task_storage();
Attempt cgroup_array();
Attempt loop();
Attempt cookie();
Attempt stats();
Attempt memory();
Attempt no_lockdown();

}  // namespace attempt
}  // namespace waggle
