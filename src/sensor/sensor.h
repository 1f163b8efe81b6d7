// A loaded sensor: opens a built-in BPF object, sets its parameters, chooses the
// hooks this kernel has, attaches, and yields batches with exact counts.
//
// Threads: a Sensor belongs to one thread at a time; different sensors may be
// loaded in different threads.
#pragma once

#include <linux/bpf.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "schema/batch.h"
#include "sensor/declaration.h"

namespace waggle {

struct SensorOptions {
  bool want_events = true;
  bool want_table = true;
  uint32_t pid = 0;    // 0: all
  std::string comm;    // empty: all
  int cgroup_fd = -1;  // an open cgroup v2 directory; it and its children
  // PARAMs of the sensor by name, values as people write them ("10ms", "4KiB").
  std::vector<std::pair<std::string, std::string>> parameters;
  // Functions of (row, bytes), kFilterInstructionsMost at most, that say with 1 which rows of
  // the stream, and with (key, bytes) which rows of the table, are wanted; empty: all.
  std::vector<bpf_insn> row_filter, key_filter;
  std::string target;     // replaces TARGET in section names: a function or pattern
  size_t ring_bytes = 0;  // a power of two; 0: the sensor's own choice
};

// produced = filtered + delivered + lost, always for snapshots, else once the sensor is detached and read
// to the end; while it runs, what waits in the ring is the difference.
struct Counts {
  uint64_t produced = 0, filtered = 0, delivered = 0, lost = 0;
  uint64_t in_flight() const { return produced - filtered - delivered - lost; }
};

// From the kernel's own accounting; runs and their time are zero while nobody has
// it on (kernel/bpf_stats.h).
struct Cost {
  uint64_t runs = 0, run_ns = 0;
  uint64_t instructions = 0;  // verified, all programs

  // Of one CPU, over so many seconds.
  double core_percent(double seconds) const { return seconds > 0 ? static_cast<double>(run_ns) / (seconds * 1e7) : 0; }
};

class Sensor {
 public:
  // Opens, configures and loads; nothing is attached yet.
  //   errors  NotFound     no such sensor, or no such parameter
  //           Invalid      a parameter's value
  //           Unsupported  no plan of hooks works on this kernel; `why` names what is missing
  //           Denied       privileges are missing
  static Result<Sensor> load(std::string_view name, const SensorOptions &options);
  Sensor(Sensor &&) noexcept;
  Sensor &operator=(Sensor &&) noexcept;
  ~Sensor();

  // Starts listening. When it cannot, nothing stays attached.
  Result<void> attach();
  // Stops counting and sending at once; what was produced stays readable. The
  // programs are detached when the Sensor is destroyed, which takes the kernel an
  // RCU grace period for each perf tracepoint (70 ms on an idle 6.18).
  void stop();

  // From now on only events that took at least this long are rows; the table has
  // all of them as before.  REQUIRES: declaration().parameter("min")
  void set_min(uint64_t ns);

  const Declaration &declaration() const;
  // Hooks in use, as libbpf sections.
  const std::vector<std::string> &hooks() const;
  // What is missing on this kernel, in the sensor's words ("without Unix sockets: this
  // kernel has ..."); empty when nothing is.
  const std::vector<std::string> &lacks() const;

  // Stream. Appends finished rows to the batch, `rows_most` at most; they stay
  // valid until release().  REQUIRES: declaration().events and want_events
  size_t poll(Batch &batch, size_t rows_most);
  void release();
  size_t backlog_bytes() const;
  size_t ring_bytes() const;
  // For epoll(7): readable after the next row once sleeping() has been called.
  int ring_fd() const;
  // The reader is about to sleep: let the next row wake it. Rows that came
  // meanwhile do not, so poll() once more between this call and the sleep.
  void sleeping();

  // Table: all rows as they are now, since attach().  REQUIRES: declaration().table and want_table
  Result<void> read_table(Batch &batch);
  // Forgets rows, by key.
  void drop_rows(const std::vector<std::vector<std::byte>> &keys);
  size_t table_capacity() const;   // rows
  size_t table_key_bytes() const;  // without the padding up to the value

  // Snapshot: what there is now, in the order of the kernel's walks.
  //   REQUIRES: declaration().snapshot; attach()
  Result<void> read_snapshot(Batch &batch);

  // Number of the stream's or snapshots' rows read, filtered, lost; of the table's events.
  // Until stop(), runs that the kernel left out may be told up to 5 s late.
  Counts stream_counts() const;
  Counts table_counts() const;
  Cost cost() const;

 private:
  struct State;
  explicit Sensor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace waggle
