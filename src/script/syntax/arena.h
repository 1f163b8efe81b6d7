// Where a tree's nodes live: allocated one after the other, freed together. Nothing in it
// has a destructor that does something.
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <memory>
#include <memory_resource>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace waggle::script {

class Arena {
 public:
  Arena() : memory_(kFirstBlock) {}
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;

  template <typename T, typename... Arguments>
  T *make(Arguments &&...arguments) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (memory_.allocate(sizeof(T), alignof(T))) T{std::forward<Arguments>(arguments)...};
  }

  template <typename T>
  std::span<T> list(const std::vector<T> &items) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (items.empty()) return {};
    T *at = std::pmr::polymorphic_allocator<T>(&memory_).allocate(items.size());
    std::uninitialized_copy(items.begin(), items.end(), at);
    return {at, items.size()};
  }

  std::string_view text(std::string_view text) {
    if (text.empty()) return {};
    char *at = static_cast<char *>(memory_.allocate(text.size(), 1));
    std::copy(text.begin(), text.end(), at);
    return {at, text.size()};
  }

 private:
  static constexpr size_t kFirstBlock = 16 << 10;

  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace waggle::script
