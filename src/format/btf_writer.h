// Puts BTF together: records of <linux/btf.h> one after the other, and the names they use.
// Types have ids from 1, in the order of their records.
// Threads: one at a time.
// source: Documentation/bpf/btf.rst
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace waggle {

class BtfWriter {
 public:
  // The offset of a name, which is kept once; 0 for an empty one.
  uint32_t string(std::string_view text);

  // A btf_type, or a part of one that follows it.
  template <typename T>
  void put(const T &record) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(uint32_t) == 0);
    types_.append(reinterpret_cast<const char *>(&record), sizeof(record));
  }

  // All of it, with its header.
  std::vector<std::byte> bytes() const;

 private:
  std::string types_;
  std::string strings_ = std::string(1, '\0');
  std::unordered_map<std::string, uint32_t> offsets_;
};

}  // namespace waggle
