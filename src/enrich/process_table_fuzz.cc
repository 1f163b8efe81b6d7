// A stream of fork, exec, exit and find in any order over a few pids that no
// kernel gives out, so that /proc has no part in it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "enrich/process_table.h"
#include "enrich/render.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  ProcessTable::Options options;
  options.exited_most = 8;
  options.argv_bytes_most = 4;
  ProcessTable table(nullptr, options);
  for (; size >= 4; data += 4, size -= 4) {
    int32_t pid = 5'000'000 + data[1] % 6, other = 5'000'000 + data[1] / 6 % 6;
    uint64_t when_ns = 1 + (static_cast<uint64_t>(data[2]) << 8 | data[3]) * 10'000'000;
    std::string_view text(reinterpret_cast<const char *>(data), 4);
    switch (data[0] % 4) {
      case 0:
        table.on_fork({.parent_pid = other, .child_pid = pid, .when_ns = when_ns, .comm = text});
        break;
      case 1:
        table.on_exec({.pid = pid, .ppid = other, .when_ns = when_ns, .filename = text, .argv = text, .comm = text});
        break;
      case 2:
        table.on_exit(pid, when_ns);
        break;
      case 3: {
        const Process *process = table.find(pid, when_ns);
        if (!process) break;
        CHECK(process->pid == pid && process->start_ns <= when_ns && process->command && process->placement);
        CHECK(table.ancestors(*process).size() <= 64);
        std::string line;
        append_command_line(line, process->command->argv);
        break;
      }
    }
    CHECK(table.size() - table.alive() <= 9);
  }
  return 0;
}
