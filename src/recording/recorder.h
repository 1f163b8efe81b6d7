// Writes a recording: the rows of sensors as the kernel wrote them, with all that
// they mean only on this host: the schema, the clock, names of users, disks and
// places in the kernel, frames of stacks, cgroups, processes.
//
// What a value is called is asked when the value first comes by, because a process
// or a module may be gone when the recording is read, and stands in the file before
// the row that needs it.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "enrich/host.h"
#include "enrich/render.h"
#include "recording/format.h"
#include "schema/batch.h"

namespace waggle::recording {

// Where and by what it was made.
struct Origin {
  std::string host, kernel, waggle;
};

// produced = filtered + delivered + lost, of the sensor when it ran.
struct StreamCounts {
  uint64_t produced = 0, filtered = 0, delivered = 0, lost = 0;
};

class Recorder {
 public:
  // fd and host are borrowed.  errors: Failed, when it cannot be written
  static Result<Recorder> begin(int fd, Host &host, const Origin &origin);

  // Declares a stream or a table, before its first row; the schema outlives the
  // Recorder. `is_asked_for`: rather than run to know of processes.
  // `without_stacks`: its columns of stacks are empty, because nobody asked for them.
  uint16_t add_stream(const Schema &schema, bool is_asked_for, bool without_stacks = false);
  // errors, of all below: Failed, when it cannot be written
  //   Exhausted  there would be more names than a reader takes: all before is whole

  // The processes there are now. REQUIRES: host.know_processes()
  Result<void> add_processes();
  Result<void> row(uint16_t id, Row row);
  // The rows of tables since the last tick are what changed until now, which is
  // CLOCK_MONOTONIC. What was recorded so far is in the file then.
  Result<void> tick(uint64_t now_ns);
  void counts(uint16_t stream, const StreamCounts &counts);
  // It ended in order, not by being killed.
  Result<void> end();

  uint64_t written_bytes() const { return blocks_.written_bytes(); }

 private:
  struct Stream {
    const Schema *schema;
    // The columns whose values have names to be told, by what is asked for them.
    std::vector<Field> named, mounted, cgroups, stacks;
  };
  Recorder(BlockWriter blocks, Host &host);
  void tell_clock(uint64_t now_ns);
  void tell_names(const Stream &stream, Row row);
  void tell_cgroup(uint64_t cgroup_id);
  void tell_user(uint32_t uid);
  void tell_frames(const Field &field, Row row);
  // Makes room for an item of so many bytes.
  Result<void> make_room(size_t bytes);
  // The same, where names of one row or process follow.  errors: Exhausted
  Result<void> make_room_for_names(size_t bytes);
  // Writes what tells a name: one of at most kToldMost.
  void tell(Tag tag, const FieldWriter &fields);

  BlockWriter blocks_;
  Host *host_;
  Renderer renderer_;
  std::vector<Stream> streams_;
  // What was told already. Hashes of kind and value would do, but a set of pairs is exact.
  std::set<std::pair<Kind, uint64_t>> names_;
  std::unordered_set<uint64_t> mounts_, kernel_frames_, cgroups_;
  std::set<std::tuple<uint32_t, uint64_t, bool>> user_frames_;
  size_t told_ = 0;
  uint64_t clock_told_ns_ = 0;
};

}  // namespace waggle::recording
