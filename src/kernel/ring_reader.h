// Reads a BPF ring buffer in place.
//
// The kernel inserts a mapping's pages when it is made, and all of them count as this
// process's memory. So of a large ring only a window is mapped at a time, which moves with
// the reader: a ring of 16 MiB takes 1 MiB. The kernel shows the data pages twice in a row,
// so a record that wraps lies in one piece in a window that begins before it.
// Threads: one reader per ring. The kernel is never blocked: a full ring loses
// records, and the program counts them.
// source: kernel/bpf/ringbuf.c; Documentation/bpf/ringbuf.rst
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace waggle {

class RingReader {
 public:
  // map_fd  a BPF_MAP_TYPE_RINGBUF of `bytes` bytes (a power of two); stays open as long as this
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
  // Bytes [from, from + length) of the data, which has 2 * bytes_.
  struct Window {
    const std::byte *at = nullptr;
    size_t from = 0, length = 0;
    bool holds(size_t begin, size_t end) const { return at != nullptr && begin >= from && end <= from + length; }
  };

  RingReader() = default;
  // The data at [begin, begin + length); null when the kernel does not map it.
  const std::byte *data(size_t begin, size_t length);
  void unmap(Window &window) const;

  int map_fd_ = -1;
  size_t bytes_ = 0;
  std::byte *consumer_page_ = nullptr;
  std::byte *producer_page_ = nullptr;
  uint64_t position_ = 0;  // of the next record
  Window window_;
  std::vector<Window> left_;  // with records that are not released yet
};

}  // namespace waggle
