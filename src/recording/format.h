// The bytes of a recording: a header, then blocks, each a checked and compressed
// run of items. docs/formats/recording.md is the specification; what the items mean
// is in recorder.h and player.h.
//
// A recording is only ever appended to, a block at a time, so one whose writer was
// killed is read up to its last whole block.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle::recording {

inline constexpr std::string_view kMagic{"\x89WAGGLE\n", 8};
inline constexpr uint32_t kVersion = 1;
// Of one block, before and after compression: what a reader must be ready to hold.
inline constexpr size_t kBlockBytesMost = size_t{4} << 20;

// Names, frames, paths and processes of one recording: what a reader must be ready
// to hold, and a recorder must not go beyond. A profile of a large host over a day
// has some 100,000.
inline constexpr size_t kToldMost = 8 << 20;

enum class Tag : uint8_t {
  kHost = 1,
  kStream,
  kRow,
  kClock,
  kTick,
  kCounts,
  kName,
  kMount,
  kKernelSymbol,
  kUserSymbol,
  kCgroup,
  kProcess,
  kEnd,
};

struct Item {
  Tag tag;
  std::span<const std::byte> bytes;
};

// The fields of an item, one after the other: numbers little-endian, texts behind
// their length.
class FieldWriter {
 public:
  template <typename Number>
  FieldWriter &number(Number value) {
    static_assert(std::is_integral_v<Number>);
    bytes_.append(reinterpret_cast<const char *>(&value), sizeof(value));
    return *this;
  }
  FieldWriter &text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_ += value;
    return *this;
  }
  FieldWriter &rest(std::span<const std::byte> value) {
    bytes_.append(reinterpret_cast<const char *>(value.data()), value.size());
    return *this;
  }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads them back. After a field that is not there all are 0 or empty, and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <typename Number>
  Number number() {
    Number value = 0;
    if (std::span<const std::byte> bytes = take(sizeof(value)); !bytes.empty())
      memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  std::string_view text(size_t bytes_most) {
    auto bytes = number<uint32_t>();
    if (bytes > bytes_most) ok_ = false;
    std::span<const std::byte> taken = take(bytes);
    return {reinterpret_cast<const char *>(taken.data()), taken.size()};
  }
  std::span<const std::byte> rest() { return take(left_.size()); }
  bool ok() const { return ok_; }

 private:
  std::span<const std::byte> take(size_t bytes);

  std::span<const std::byte> left_;
  bool ok_ = true;
};

// What a file begins with, and a block with these items, which are at most kBlockBytesMost.
std::string header();
std::string block_of(std::string_view items);

class BlockWriter {
 public:
  // Writes the header. fd is borrowed.  errors: Failed, as write(2)
  static Result<BlockWriter> begin(int fd);

  // REQUIRES: it fits into a block with its 5 bytes of head
  void add(Tag tag, std::string_view bytes);
  void add(Tag tag, const FieldWriter &fields) { add(tag, fields.bytes()); }
  void add_row(uint16_t stream, std::span<const std::byte> row);

  size_t pending_bytes() const { return pending_.size(); }
  uint64_t written_bytes() const { return written_; }
  // Writes what was added as one block; nothing when there is nothing.
  //   errors  Failed  the disk is full, or the like; the blocks before stay readable
  Result<void> flush();

 private:
  explicit BlockWriter(int fd) : fd_(fd) {}
  Result<void> write(std::string_view bytes);

  int fd_;
  std::string pending_;
  uint64_t written_ = 0;
};

// Fills a buffer as far as there are bytes; fewer only at the end.
using Source = std::function<Result<size_t>(std::span<std::byte>)>;
Source source_of(int fd);  // borrowed
Source source_of(std::span<const std::byte> bytes);

class BlockReader {
 public:
  // Reads the header.
  //   errors  Invalid      it is no recording
  //           Unsupported  it is of a newer version
  static Result<BlockReader> open(Source source);

  // The next item, nothing after the last one; its bytes are valid until the next call.
  //   errors  Invalid  a block is damaged; Failed when the source cannot be read
  Result<std::optional<Item>> next();
  // Whether the last block had no end: its writer was killed.
  bool was_cut() const { return was_cut_; }

 private:
  explicit BlockReader(Source source) : source_(std::move(source)) {}
  Result<bool> read_block();

  Source source_;
  std::vector<std::byte> stored_, block_;
  size_t at_ = 0;  // in block_
  uint64_t offset_ = 0;
  bool was_cut_ = false;
};

}  // namespace waggle::recording
