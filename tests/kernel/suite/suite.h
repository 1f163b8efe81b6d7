// The frame of the kernel suite: cases, what they need of a kernel, and how they fail.
//
// A case is a function that runs in a process of its own, in a mount namespace of
// its own, in an empty folder of its own. The first expectation that does not
// hold ends that process with one sentence, so a case reads from top to bottom
// without `if`s, and whatever it had mounted, started or opened ends with it.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::suite {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a kernel may lack. Each has its own test, which does not ask waggle.
enum class Need {
  kFunctions,  // functions of the kernel can be traced
  kCgroups,    // a cgroup v2 hierarchy is mounted
  kLoop,       // loop devices
  kExt4,
  kXfs,
  kOverlay,
  kNetem,        // packets can be lost on purpose
  kDropReasons,  // the kernel says why it dropped a packet
  kSchedstat,    // /proc/PID/schedstat
  kContention,   // the kernel tells who waits for a lock
  kModules,      // modules can be loaded
};

struct Case {
  std::string name;  // "exec: 1,000 programs are 1,000 rows"
  std::vector<Need> needs;
  std::function<void()> run;
  seconds limit = seconds(30);  // on a host; four times as long where it is emulated
};

// Each file of cases has one of these.
void add_process_cases(std::vector<Case> &cases);
void add_file_cases(std::vector<Case> &cases);
void add_filesystem_cases(std::vector<Case> &cases);
void add_block_cases(std::vector<Case> &cases);
void add_sched_cases(std::vector<Case> &cases);
void add_wait_cases(std::vector<Case> &cases);
void add_interrupt_cases(std::vector<Case> &cases);
void add_memory_cases(std::vector<Case> &cases);
void add_md_cases(std::vector<Case> &cases);
void add_net_cases(std::vector<Case> &cases);
void add_signal_cases(std::vector<Case> &cases);
void add_syscall_cases(std::vector<Case> &cases);
void add_security_cases(std::vector<Case> &cases);
void add_tcp_cases(std::vector<Case> &cases);
void add_dns_cases(std::vector<Case> &cases);
void add_function_cases(std::vector<Case> &cases);
void add_snapshot_cases(std::vector<Case> &cases);
void add_user_cases(std::vector<Case> &cases);
void add_watch_cases(std::vector<Case> &cases);
void add_slowest_cases(std::vector<Case> &cases);
void add_record_cases(std::vector<Case> &cases);
void add_tool_cases(std::vector<Case> &cases);
void add_gadget_cases(std::vector<Case> &cases);
void add_load_cases(std::vector<Case> &cases);

// Empty when the kernel has it, else why not.
std::string lack_of(Need need);

// As the command line says, for all cases.
struct Settings {
  std::string waggle;  // absolute path of the program under test
  uint64_t scale = 1;  // counts of activity are divided by this; checks stay exact
};
const Settings &settings();

// A count of activity, smaller on slow machines but never below `least`.
uint64_t scaled(uint64_t count, uint64_t least = 20);

// The folder of the case that runs.
const std::string &folder();

// Ends the case: it failed, or it cannot run here.
[[noreturn]] void fail_case(std::string_view why);
[[noreturn]] void skip_case(std::string_view why);
// Something to know about a case that passed.
void note(std::string_view what);

inline void expect(bool holds, std::string_view what) {
  if (!holds) fail_case(what);
}

// What was seen must be what is expected, told with a name for both.
template <typename Seen, typename Expected>
void expect_equal(const Seen &seen, const Expected &expected, std::string_view what) {
  if (!(seen == expected)) fail_case(fmt::format("{}: {} instead of {}", what, seen, expected));
}

template <typename Number>
void expect_between(Number seen, Number least, Number most, std::string_view what) {
  if (seen < least || seen > most) fail_case(fmt::format("{}: {} is not in {}..{}", what, seen, least, most));
}

// A system call that must succeed.
template <typename Value>
Value must(Value result, std::string_view what) {
  if (result < 0) fail_case(fmt::format("{}: {}", what, strerror(errno)));
  return result;
}

}  // namespace waggle::suite
