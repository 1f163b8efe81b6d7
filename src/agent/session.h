// A Session runs several sensors together: loads them side by side, reads their
// streams as one in the order of time, and knows what each produced and lost.
//
// The reader does not wait for events to be many: it drains on its own clock
// (every few milliseconds while rows flow) and sleeps in epoll(7) when they stop,
// so an idle host costs nothing and a burst costs no wake-ups.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "sensor/sensor.h"
#include "sensor/table_reader.h"

namespace waggle {

struct SensorRequest {
  std::string name;
  SensorOptions options;
  bool is_asked_for = true;  // rather than run to know of processes
};

class Session {
 public:
  struct Member {
    SensorRequest request;
    std::unique_ptr<Sensor> sensor;  // null: it could not start, and `error` says why
    Error error;
    std::unique_ptr<TableReader> table;  // where the table is wanted
    const Schema *events = nullptr;      // where the stream is wanted
  };

  // Loads and attaches all of them. A sensor that cannot start does not stop the
  // others: its Member says why.
  //   errors  the first Member's error, when none could start
  static Result<Session> start(std::vector<SensorRequest> requests);

  std::vector<Member> &members() { return members_; }

  using Visit = std::function<void(Member &, Row)>;
  // Shows every finished row to `visit`; returns how many. Rows of several streams are
  // merged by time among those that wait at once, 16,384 of each at most: one that its
  // program handed over late, or that is beyond those, comes after younger ones.
  size_t drain(const Visit &visit);

  // Sleeps until rows wait, `extra_fd` is readable (-1: none) or `deadline`.
  // Returns whether extra_fd is readable.
  bool wait(std::chrono::steady_clock::time_point deadline, int extra_fd);

  // For a loop with a wait of its own, after a drain() that found nothing: the descriptor
  // returned is readable for poll(2) once another row is there. A row that is being made
  // during the call may be noticed only when the next one comes.
  int fall_asleep();

  // No sensor counts or sends any more; drain() once more shows the rest.
  void stop();

 private:
  size_t drain_round(const Visit &visit);

  std::vector<Member> members_;
  Fd epoll_;
  int watched_extra_ = -1;
  size_t last_rows_ = 0;  // of the last drain()
};

// produced = filtered + delivered + lost, as one line for stderr.
std::string loss_line(std::string_view what, const Counts &counts);

}  // namespace waggle
