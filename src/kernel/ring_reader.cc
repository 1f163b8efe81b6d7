#include "kernel/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace waggle {
namespace {

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
  ring.bytes_ = bytes;
  void *consumer = mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return fail_errno(errno, "cannot map the ring buffer");
  ring.consumer_page_ = static_cast<std::byte *>(consumer);
  void *producer = mmap(nullptr, page_bytes() + bytes, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page_bytes()));
  if (producer == MAP_FAILED) return fail_errno(errno, "cannot map the ring buffer");
  ring.producer_page_ = static_cast<std::byte *>(producer);
  ring.position_ = load_position(ring.consumer_page_);
  return ring;
}

RingReader::RingReader(RingReader &&other) noexcept {
  *this = std::move(other);
}

RingReader &RingReader::operator=(RingReader &&other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(consumer_page_, other.consumer_page_);
  std::swap(producer_page_, other.producer_page_);
  std::swap(position_, other.position_);
  std::swap(crossing_, other.crossing_);
  return *this;
}

RingReader::~RingReader() {
  if (consumer_page_ != nullptr) munmap(consumer_page_, page_bytes());
  if (producer_page_ != nullptr) munmap(producer_page_, page_bytes() + bytes_);
}

size_t RingReader::backlog() const {
  return load_position(producer_page_) - position_;
}

std::span<const std::byte> RingReader::next() {
  const std::byte *data = producer_page_ + page_bytes();
  while (position_ < load_position(producer_page_)) {
    size_t at = position_ & (bytes_ - 1);
    uint32_t header = __atomic_load_n(reinterpret_cast<const uint32_t *>(data + at), __ATOMIC_ACQUIRE);
    if (header & BPF_RINGBUF_BUSY_BIT) return {};
    uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    position_ += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    if (header & BPF_RINGBUF_DISCARD_BIT) continue;
    size_t begin = at + BPF_RINGBUF_HDR_SZ;
    if (begin + length <= bytes_) return {data + begin, length};
    // At most one record crosses the end between two releases: what is unread never exceeds the ring.
    size_t before = begin < bytes_ ? bytes_ - begin : 0;
    crossing_ = std::make_unique<std::byte[]>(length);
    memcpy(crossing_.get(), data + begin, before);
    memcpy(crossing_.get() + before, data + (begin + before - bytes_), length - before);
    return {crossing_.get(), length};
  }
  return {};
}

void RingReader::release() {
  __atomic_store_n(reinterpret_cast<uint64_t *>(consumer_page_), position_, __ATOMIC_RELEASE);
}

}  // namespace waggle
