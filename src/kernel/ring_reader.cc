#include "kernel/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace waggle {
namespace {

// Moving costs 30 us, reading 1 MiB of records a millisecond.
constexpr size_t kWindowBytes = 1u << 20;

size_t page_bytes() {
  static const auto kBytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return kBytes;
}

uint64_t load_position(const std::byte *page) {
  return __atomic_load_n(reinterpret_cast<const uint64_t *>(page), __ATOMIC_ACQUIRE);
}

}  // namespace

Result<RingReader> RingReader::open(int map_fd, size_t bytes) {
  RingReader ring;
  ring.map_fd_ = map_fd;
  ring.bytes_ = bytes;
  void *consumer = mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return fail_errno(errno, "cannot map the ring buffer");
  ring.consumer_page_ = static_cast<std::byte *>(consumer);
  void *producer = mmap(nullptr, page_bytes(), PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page_bytes()));
  if (producer == MAP_FAILED) return fail_errno(errno, "cannot map the ring buffer");
  ring.producer_page_ = static_cast<std::byte *>(producer);
  ring.position_ = load_position(ring.consumer_page_);
  if (ring.data(ring.position_ & (bytes - 1), BPF_RINGBUF_HDR_SZ) == nullptr)
    return fail_errno(errno, "cannot map the ring buffer");
  return ring;
}

RingReader::RingReader(RingReader &&other) noexcept {
  *this = std::move(other);
}

RingReader &RingReader::operator=(RingReader &&other) noexcept {
  std::swap(map_fd_, other.map_fd_);
  std::swap(bytes_, other.bytes_);
  std::swap(consumer_page_, other.consumer_page_);
  std::swap(producer_page_, other.producer_page_);
  std::swap(position_, other.position_);
  std::swap(window_, other.window_);
  std::swap(left_, other.left_);
  return *this;
}

RingReader::~RingReader() {
  if (consumer_page_ != nullptr) munmap(consumer_page_, page_bytes());
  if (producer_page_ != nullptr) munmap(producer_page_, page_bytes());
  unmap(window_);
  for (Window &each : left_) unmap(each);
}

void RingReader::unmap(Window &window) const {
  if (window.at != nullptr) munmap(const_cast<std::byte *>(window.at), window.length);
  window = {};
}

const std::byte *RingReader::data(size_t begin, size_t length) {
  if (window_.holds(begin, begin + length)) return window_.at + (begin - window_.from);
  size_t page = page_bytes();
  Window next;
  next.from = begin / page * page;
  size_t least = (begin + length - next.from + page - 1) / page * page;
  next.length = std::min(std::max(std::min(bytes_, kWindowBytes), least), 2 * bytes_ - next.from);
  void *at = mmap(nullptr, next.length, PROT_READ, MAP_SHARED, map_fd_, static_cast<off_t>(2 * page + next.from));
  if (at == MAP_FAILED) return nullptr;
  next.at = static_cast<const std::byte *>(at);
  if (window_.at != nullptr) left_.push_back(window_);
  window_ = next;
  return window_.at + (begin - window_.from);
}

size_t RingReader::backlog() const {
  return load_position(producer_page_) - position_;
}

std::span<const std::byte> RingReader::next() {
  while (position_ < load_position(producer_page_)) {
    size_t at = position_ & (bytes_ - 1);
    const std::byte *head = data(at, BPF_RINGBUF_HDR_SZ);
    if (head == nullptr) return {};
    uint32_t header = __atomic_load_n(reinterpret_cast<const uint32_t *>(head), __ATOMIC_ACQUIRE);
    if (header & BPF_RINGBUF_BUSY_BIT) return {};
    uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((header & BPF_RINGBUF_DISCARD_BIT) == 0) {
      head = data(at, BPF_RINGBUF_HDR_SZ + length);
      if (head == nullptr) return {};
    }
    position_ += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    if (header & BPF_RINGBUF_DISCARD_BIT) continue;
    return {head + BPF_RINGBUF_HDR_SZ, length};
  }
  return {};
}

void RingReader::release() {
  __atomic_store_n(reinterpret_cast<uint64_t *>(consumer_page_), position_, __ATOMIC_RELEASE);
  for (Window &each : left_) unmap(each);
  left_.clear();
}

}  // namespace waggle
