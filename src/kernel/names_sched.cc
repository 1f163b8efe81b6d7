// Names of what schedules and waits: soft interrupts, locks, futexes.

#include <linux/futex.h>

#include "kernel/names.h"
#include "kernel/names_table.h"

namespace waggle {
namespace {

// source: include/linux/interrupt.h; /proc/softirqs has the same names
constexpr NamedNumber kSoftirqs[] = {
    {0, "HI"},       {1, "TIMER"},   {2, "NET_TX"}, {3, "NET_RX"},  {4, "BLOCK"},
    {5, "IRQ_POLL"}, {6, "TASKLET"}, {7, "SCHED"},  {8, "HRTIMER"}, {9, "RCU"},
};

// source: include/trace/events/lock.h, LCB_F_*
constexpr int64_t kSpin = 1, kRead = 2, kWrite = 4, kRealTime = 8, kPerCpu = 16, kMutex = 32;
// A real-time kernel's rwlock is made of an rtmutex.
constexpr NamedNumber kLocks[] = {
    {0, "semaphore"},
    {kSpin, "spinlock"},
    {kSpin | kRead, "rwlock read"},
    {kSpin | kWrite, "rwlock write"},
    {kRead, "rwsem read"},
    {kWrite, "rwsem write"},
    {kRealTime, "rtmutex"},
    {kRealTime | kRead, "rwlock read"},
    {kRealTime | kWrite, "rwlock write"},
    {kPerCpu | kRead, "percpu-rwsem read"},
    {kPerCpu | kWrite, "percpu-rwsem write"},
    {kMutex, "mutex"},
    {kMutex | kSpin, "mutex"},
};

// source: include/uapi/linux/futex.h
constexpr NamedNumber kFutexOps[] = {
    {FUTEX_WAIT, "FUTEX_WAIT"},
    {FUTEX_WAKE, "FUTEX_WAKE"},
    {FUTEX_FD, "FUTEX_FD"},
    {FUTEX_REQUEUE, "FUTEX_REQUEUE"},
    {FUTEX_CMP_REQUEUE, "FUTEX_CMP_REQUEUE"},
    {FUTEX_WAKE_OP, "FUTEX_WAKE_OP"},
    {FUTEX_LOCK_PI, "FUTEX_LOCK_PI"},
    {FUTEX_UNLOCK_PI, "FUTEX_UNLOCK_PI"},
    {FUTEX_TRYLOCK_PI, "FUTEX_TRYLOCK_PI"},
    {FUTEX_WAIT_BITSET, "FUTEX_WAIT_BITSET"},
    {FUTEX_WAKE_BITSET, "FUTEX_WAKE_BITSET"},
    {FUTEX_WAIT_REQUEUE_PI, "FUTEX_WAIT_REQUEUE_PI"},
    {FUTEX_CMP_REQUEUE_PI, "FUTEX_CMP_REQUEUE_PI"},
    {13, "FUTEX_LOCK_PI2"},  // 5.14
};

}  // namespace

std::string_view softirq_name(int64_t vector) {
  return find_name(kSoftirqs, vector);
}
std::optional<int64_t> softirq_number(std::string_view name) {
  return find_number(kSoftirqs, name);
}

std::string_view lock_name(uint64_t flags) {
  return find_name(kLocks, static_cast<int64_t>(flags));
}

std::string_view futex_op_name(int64_t operation) {
  return find_name(kFutexOps, operation);
}
std::optional<int64_t> futex_op_number(std::string_view name) {
  return find_number(kFutexOps, name, "FUTEX_");
}

}  // namespace waggle
