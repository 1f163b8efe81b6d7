#include "agent/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "base/check.h"
#include "sensor/core_types.h"

namespace waggle {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often the reader looks while rows flow. A 4 MiB ring takes 40 ms to fill at
// a million short rows a second; a trickle is not worth as many wake-ups.
constexpr milliseconds kBurstPoll{5}, kTricklePoll{20};
constexpr size_t kTrickleRows = 256;
// An event whose program ran while the reader was falling asleep waits at most so long.
constexpr milliseconds kSleepMost{250};
// Rows shown between two releases of ring memory.
constexpr size_t kRowsPerRound = 16384;

uint64_t time_of(const Schema &schema, Row row) {
  const Column *when = schema.first_of(Kind::kTime);
  return when == nullptr ? 0 : natural(*when, row);
}

void start_member(Session::Member &member) {
  Result<Sensor> sensor = Sensor::load(member.request.name, member.request.options);
  if (!sensor) {
    member.error = std::move(sensor).error();
    return;
  }
  member.sensor = std::make_unique<Sensor>(std::move(*sensor));
}

}  // namespace

Result<Session> Session::start(std::vector<SensorRequest> requests) {
  Session session;
  for (SensorRequest &request : requests)
    session.members_.push_back({std::move(request), nullptr, {}, nullptr, nullptr});

  LoadingLease lease;
  // Verification is the kernel's work on our time: it uses every CPU there is.
  std::atomic<size_t> next{0};
  auto load_some = [&]() noexcept {
    for (size_t i; (i = next++) < session.members_.size();) start_member(session.members_[i]);
  };
  size_t helpers = std::min<size_t>(std::thread::hardware_concurrency(), session.members_.size());
  std::vector<std::thread> threads;
  for (size_t i = 1; i < helpers; i++) threads.emplace_back(load_some);
  load_some();
  for (std::thread &thread : threads) thread.join();

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return fail_errno(errno, "cannot wait for events");
  session.epoll_ = Fd(epoll);
  bool any = false;
  for (Member &member : session.members_) {
    if (member.sensor == nullptr) continue;
    if (Result<void> attached = member.sensor->attach(); !attached) {
      member.error = std::move(attached).error();
      member.sensor.reset();
      continue;
    }
    any = true;
    const Declaration &declaration = member.sensor->declaration();
    if (declaration.events && member.request.options.want_events) {
      member.events = &*declaration.events;
      epoll_event event = {};
      event.events = EPOLLIN;
      if (epoll_ctl(epoll, EPOLL_CTL_ADD, member.sensor->ring_fd(), &event) != 0)
        return fail_errno(errno, "cannot wait for events");
    }
    if (declaration.table && member.request.options.want_table)
      member.table = std::make_unique<TableReader>(*member.sensor);
  }
  if (!any) return tl::unexpected(session.members_.front().error);
  return session;
}

size_t Session::drain(const Visit &visit) {
  size_t total = 0;
  while (size_t rows = drain_round(visit)) total += rows;
  last_rows_ = total;
  return total;
}

size_t Session::drain_round(const Visit &visit) {
  struct Pending {
    uint64_t when;
    Member *member;
    Row row;
  };
  std::vector<Pending> pending;
  size_t streams = 0;
  for (Member &member : members_) streams += member.sensor != nullptr && member.events != nullptr;
  size_t total = 0;
  for (Member &member : members_) {
    if (member.sensor == nullptr || member.events == nullptr) continue;
    Batch batch(*member.events);
    size_t rows = member.sensor->poll(batch, kRowsPerRound);
    total += rows;
    for (size_t i = 0; i < rows; i++) {
      // A stream by itself is in order already.
      if (streams == 1)
        visit(member, batch.row(i));
      else
        pending.push_back({time_of(*member.events, batch.row(i)), &member, batch.row(i)});
    }
  }
  std::stable_sort(pending.begin(), pending.end(), [](auto &a, auto &b) { return a.when < b.when; });
  for (const Pending &each : pending) visit(*each.member, each.row);
  for (Member &member : members_)
    if (member.sensor != nullptr && member.events != nullptr) member.sensor->release();
  return total;
}

bool Session::wait(steady_clock::time_point deadline, int extra_fd) {
  if (extra_fd != watched_extra_) {
    if (watched_extra_ >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched_extra_, nullptr);
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u32 = 1;
    if (extra_fd >= 0) CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, extra_fd, &event) == 0);
    watched_extra_ = extra_fd;
  }
  auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
  auto timeout = [&](milliseconds most) { return static_cast<int>(std::clamp(left, milliseconds{0}, most).count()); };
  if (last_rows_ > 0) {
    // epoll(7) would return at once for every row that is already there.
    pollfd extra = {extra_fd, POLLIN, 0};
    return poll(&extra, 1, timeout(last_rows_ > kTrickleRows ? kBurstPoll : kTricklePoll)) > 0;
  }
  fall_asleep();
  milliseconds most = kSleepMost;
  for (Member &member : members_)
    if (member.sensor != nullptr && member.events != nullptr && member.sensor->backlog_bytes() > 0)
      most = milliseconds{0};
  epoll_event events[8];
  int ready = epoll_wait(epoll_.get(), events, 8, timeout(most));
  for (int i = 0; i < ready; i++)
    if (events[i].data.u32 == 1) return true;
  return false;
}

int Session::fall_asleep() {
  for (Member &member : members_)
    if (member.sensor != nullptr && member.events != nullptr) member.sensor->sleeping();
  return epoll_.get();
}

void Session::stop() {
  for (Member &member : members_)
    if (member.sensor != nullptr) member.sensor->stop();
}

std::string loss_line(std::string_view what, const Counts &counts) {
  return fmt::format("{}: {} produced = {} filtered + {} delivered + {} lost", what, counts.produced, counts.filtered,
                     counts.delivered, counts.lost);
}

}  // namespace waggle
