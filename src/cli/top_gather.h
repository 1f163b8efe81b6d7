// Gathers what `waggle top` shows: readings of /proc, and all sensors that say
// something about a host as a whole, aggregated in the kernel where they can be.
// Columns are found by name or kind: a sensor that is missing, or lacks a column,
// leaves what it would have told unknown.
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/session.h"
#include "cli/top_snapshot.h"
#include "enrich/host.h"
#include "enrich/render.h"
#include "view/aggregate.h"

namespace waggle {

class TopGatherer {
 public:
  // All that a sensor has told: one row a group.
  struct Gathered {
    const Schema *schema = nullptr;
    const Aggregate *groups = nullptr;
    std::string summary;        // of the sensor, in its words
    std::string since;          // "12:03:07"
    bool forgets_idle = false;  // its table is nearly full: idle rows are dropped from it
  };

  // The sensors that top wants.
  static std::vector<SensorRequest> requests();

  TopGatherer();
  ~TopGatherer();

  // /proc alone, with sensors said to be starting.
  void expect_sensors();
  // The sensors run: what they tell counts from now on.
  void use(Session session);
  // None runs, for this reason.
  void do_without(const Error &reason);

  // Takes the rows that wait in the rings; returns how many. To be called often
  // enough that rings do not fill up.
  size_t drain();

  // Ends the interval and says what was in it. Reading every process's I/O takes
  // a while on a host with thousands, so without `all_io` only those are asked
  // that have used the CPU.
  //   errors  those of read_host_stats()
  Result<TopSnapshot> look(bool all_io);

  // A sensor that keeps a table is asked for it anew. The pointers are good until
  // the next call. Nothing when the sensor does not run, or its table cannot be read.
  std::optional<Gathered> gathered(std::string_view sensor);

  // Null until use().
  Session *session() { return session_.get(); }

 private:
  struct Tallies;
  struct IoReading {
    uint64_t start_boot_ns = 0, cpu_ns = 0, read_bytes = 0, written_bytes = 0;
  };
  // A sensor's groups, kept where it has no table to ask.
  struct Kept {
    std::unique_ptr<Aggregate> groups;
    std::string since;
  };

  Session::Member *running(std::string_view sensor);
  void visit_event(Session::Member &member, Row row);
  std::optional<Batch> changes_of(std::string_view sensor);
  void tell_told(TopSnapshot &snapshot);
  void tell_run_queue(TopSnapshot &snapshot);
  void count_samples();
  void count_requests();
  void tell_files(TopSnapshot &snapshot);
  void tell_filesystems(TopSnapshot &snapshot);
  void tell_paths(TopSnapshot &snapshot);
  void tell_connects(TopSnapshot &snapshot);
  void tell_drops(TopSnapshot &snapshot);
  void tell_sensors(TopSnapshot &snapshot);
  void tell_events(TopSnapshot &snapshot);
  void tell_opens(TopSnapshot &snapshot);
  void tell_disks(TopSnapshot &snapshot);
  void tell_processes(TopSnapshot &snapshot, const HostStats &now, bool all_io);
  void tell_io(TopSnapshot::Process &process, const HostStats::Process &now, bool all_io);
  void name_commands(TopSnapshot &snapshot);

  Host host_;
  Renderer renderer_;
  std::unique_ptr<Session> session_;
  std::vector<TopSnapshot::SensorState> sensors_;
  std::unordered_map<std::string, Kept> kept_;  // by sensor
  std::unique_ptr<Tallies> tallies_;            // of the interval that runs
  HostStats before_;                            // the last reading; when_ns 0: none yet
  uint64_t looked_boot_ns_ = 0;                 // CLOCK_BOOTTIME of it
  uint64_t sensors_since_ns_ = 0;               // CLOCK_MONOTONIC
  std::string started_;                         // the wall clock when the sensors did
  Counts opens_before_;
  std::unordered_map<int32_t, IoReading> io_;  // by pid
};

}  // namespace waggle
