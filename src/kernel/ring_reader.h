// Reads a BPF ring buffer in place.
//
// The kernel maps the data pages twice in a row, so that a record never wraps;
// mapping them twice would count twice in our resident memory (the pages are
// inserted at mmap time), so the reader maps them once and copies the rare
// record that crosses the end.
// Threads: one reader per ring. The kernel is never blocked: a full ring loses
// records, and the program counts them.
// source: kernel/bpf/ringbuf.c; Documentation/bpf/ringbuf.rst
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace waggle {

class RingReader {
 public:
  // map_fd  a BPF_MAP_TYPE_RINGBUF of `bytes` bytes (a power of two)
  // errors  Failed when the pages cannot be mapped
  static Result<RingReader> open(int map_fd, size_t bytes);
  RingReader(RingReader &&) noexcept;
  RingReader &operator=(RingReader &&) noexcept;
  ~RingReader();

  // The next finished record, or an empty span when there is none now. Valid until release().
  std::span<const std::byte> next();
  // Gives the room of all records seen so far back to the kernel.
  void release();
  // Bytes that wait to be read.
  size_t backlog() const;
  size_t bytes() const { return bytes_; }

 private:
  RingReader() = default;

  size_t bytes_ = 0;
  std::byte *consumer_page_ = nullptr;
  std::byte *producer_page_ = nullptr;  // followed by the data
  uint64_t position_ = 0;               // of the next record
  std::unique_ptr<std::byte[]> crossing_;
};

}  // namespace waggle
