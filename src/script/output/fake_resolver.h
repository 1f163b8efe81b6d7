// For tests: a Resolver that answers from tables, and bytes as BPF would write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "script/output/resolver.h"
#include "script/output/value.h"

namespace waggle::script {

class FakeResolver : public Resolver {
 public:
  std::map<uint64_t, std::vector<Symbol>> kernel, user;  // by address
  std::map<uint64_t, std::vector<Frame>> stacks;         // by id, of both kinds
  std::map<uint64_t, std::string> users, paths;
  std::map<uint64_t, TimeFormat> formats;
  int64_t boot_ns = 0;       // when it was, since 1970
  size_t cut_at = SIZE_MAX;  // characters of the longest string

  std::vector<Symbol> kernel_symbols(uint64_t address) override { return kernel[address]; }
  std::vector<Symbol> user_symbols(uint32_t, uint64_t address) override { return user[address]; }
  std::vector<Frame> kernel_stack(uint64_t id) override { return stacks[id]; }
  std::vector<Frame> user_stack(uint64_t id, uint32_t) override { return stacks[id]; }
  std::string user_name(uint64_t uid) override { return users[uid]; }
  std::string cgroup_path(uint64_t, uint64_t cgroup_id) override { return paths[cgroup_id]; }
  TimeFormat time_format(uint64_t id) override { return formats[id]; }
  int64_t wall_ns(Clock clock, uint64_t reading_ns) override {
    return static_cast<int64_t>(reading_ns) + (clock == Clock::kRealtime ? 0 : boot_ns);
  }
  int64_t now_ns() override { return boot_ns; }
  std::string_view trailer(size_t length) override { return length >= cut_at ? ".." : ""; }
};

// The bytes of numbers and texts, one after the other.
class Bytes {
 public:
  template <typename Number>
  Bytes &number(Number value) {
    auto *begin = reinterpret_cast<const std::byte *>(&value);
    made_.insert(made_.end(), begin, begin + sizeof(value));
    return *this;
  }
  Bytes &words(std::initializer_list<uint64_t> values) {
    for (uint64_t each : values) number(each);
    return *this;
  }
  // Filled with NULs to `bytes`.
  Bytes &text(std::string_view value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) made_.push_back(static_cast<std::byte>(i < value.size() ? value[i] : '\0'));
    return *this;
  }
  std::vector<std::byte> take() { return std::exchange(made_, {}); }

 private:
  std::vector<std::byte> made_;
};

template <typename Number>
std::vector<std::byte> bytes_of(Number value) {
  return Bytes().number(value).take();
}

inline std::string text_of(const Type &type, const std::vector<std::byte> &bytes, Resolver &resolver) {
  std::string text;
  append_text(text, type, bytes, resolver);
  return text;
}

inline std::string json_of(const Type &type, const std::vector<std::byte> &bytes, Resolver &resolver) {
  std::string text;
  append_json(text, type, bytes, resolver);
  return text;
}

}  // namespace waggle::script
