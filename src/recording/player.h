// Reads a recording: its streams, their rows in the order in which they were seen,
// and, into HostAnswers and a Host that answers from them, what they mean.
//
// A recording comes from outside: whatever its bytes are, what they say is checked
// before it is used, and memory stays within the limits of format.h and below.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "enrich/host.h"
#include "enrich/host_answers.h"
#include "recording/format.h"
#include "recording/recorder.h"
#include "schema/batch.h"

namespace waggle::recording {

struct PlayedStream {
  bool is_asked_for = true;     // rather than recorded to know of processes
  bool without_stacks = false;  // the sensor can take them, and was not asked to
  Schema schema;
  StreamCounts counts;  // as far as the recording has been read
};

class Player {
 public:
  struct Event {
    enum class What : uint8_t { kRow, kTick };
    What what;
    PlayedStream *stream = nullptr;  // of a row
    Row row;                         // valid until the next call of next()
    uint64_t tick_ns = 0;            // of a tick: CLOCK_MONOTONIC of the recording host
  };

  // Reads up to the first event.
  //   errors  Invalid, Unsupported  as BlockReader::open() and next()
  static Result<std::unique_ptr<Player>> open(Source source);
  Player(const Player &) = delete;
  Player &operator=(const Player &) = delete;

  const Origin &origin() const { return origin_; }
  std::vector<std::unique_ptr<PlayedStream>> &streams() { return streams_; }
  // Answers as the recording host did.
  Host &host() { return *host_; }
  HostAnswers &answers() { return answers_; }

  // Nothing at the end. Rows of the process sensors are observed by host() already.
  //   errors  Invalid  the recording is damaged, or says what cannot be
  Result<std::optional<Event>> next();
  // After the end: whether the recorder was killed, or its disk was full.
  bool was_cut() const { return blocks_.was_cut() || !ended_; }

 private:
  explicit Player(BlockReader blocks);
  Result<std::optional<Event>> read_event();
  Result<std::optional<Event>> take(const Item &item);
  Result<void> take_stream(FieldReader &fields);
  Result<std::optional<Event>> take_row(FieldReader &fields);
  Result<void> take_process(FieldReader &fields);
  Result<void> take_name(FieldReader &fields);

  BlockReader blocks_;
  Origin origin_;
  std::vector<std::unique_ptr<PlayedStream>> streams_;
  HostAnswers answers_;
  std::unique_ptr<Host> host_;
  std::optional<Event> first_;  // read by open()
  bool began_ = false, ended_ = false;
  size_t told_ = 0;  // names, frames, paths and processes
};

}  // namespace waggle::recording
