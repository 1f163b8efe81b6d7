// Runs a program three ways for tests: in the kernel, on an invented packet; compiled, by
// the emulator; and as it is written, by the interpreter. For tests alone.
#pragma once

#include <bpf/bpf.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "base/result.h"
#include "codegen/compile.h"
#include "codegen/emulate_for_test.h"
#include "codegen/interpret.h"
#include "codegen/load.h"

namespace waggle::codegen {

// Socket filters see a packet from behind its Ethernet header.
constexpr size_t kEthernetBytes = 14;
constexpr uint32_t kInputWords = 8;
constexpr size_t kMapWords = 8;  // of the array map that tests write results to
using Input = std::array<uint64_t, kInputWords>;
using MapWords = std::array<uint64_t, kMapWords>;

struct Ran {
  uint64_t returned = 0;  // from the kernel: 32 bits of it
  MapWords map{};
};

class KernelRunner {
 public:
  static Result<KernelRunner> make(std::span<const Function> program, std::string *log = nullptr) {
    return make(TRY(compile(program)), log);
  }
  static Result<KernelRunner> make(const Code &code, std::string *log = nullptr) {
    KernelRunner runner;
    runner.map_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "codegen_test", 4, sizeof(MapWords), 1, nullptr));
    if (!runner.map_.valid()) return fail_errno(errno, "no map");
    int maps[] = {runner.map_.get()};
    LoadRequest request;
    request.type = BPF_PROG_TYPE_SOCKET_FILTER;
    request.name = "codegen_test";
    request.maps = maps;
    request.source = {"test.bt", "first line\n  second line { }\nthird"};
    runner.program_ = TRY(load(code, request, log));
    return runner;
  }

  Result<Ran> run(const Input &input) {
    std::array<std::byte, kEthernetBytes + sizeof(Input)> packet{};
    memcpy(packet.data() + kEthernetBytes, input.data(), sizeof(input));
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = packet.size();
    uint32_t zero = 0;
    MapWords words{};
    bpf_map_update_elem(map_.get(), &zero, words.data(), BPF_ANY);
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) return fail_errno(errno, "no test run");
    Ran ran;
    ran.returned = options.retval;
    bpf_map_lookup_elem(map_.get(), &zero, ran.map.data());
    return ran;
  }

 private:
  Fd map_, program_;
};

inline void read_packet(const Input &input, const std::array<uint64_t, kArgumentsMost> &in) {
  auto *to = reinterpret_cast<void *>(in[2]);  // NOLINT(performance-no-int-to-ptr): it is an address
  memcpy(to, reinterpret_cast<const std::byte *>(input.data()) + in[1], in[3]);
}

inline Result<uint64_t> helper_for_test(const Input &input, Interpreter &interpreter, uint32_t helper,
                                        const std::array<uint64_t, kArgumentsMost> &in) {
  switch (helper) {
    case BPF_FUNC_skb_load_bytes:
      read_packet(input, in);
      return 0;
    case BPF_FUNC_ktime_get_ns:
      return 1'000'000;
    case BPF_FUNC_loop:
      for (uint64_t i = 0; i < in[0]; i++) {
        const uint64_t arguments[] = {i, in[2]};
        if (TRY(interpreter.call_address(in[1], arguments)) != 0) return i + 1;
      }
      return in[0];
    default:
      return fail(ErrorCode::kUnsupported, "not a helper of tests");
  }
}

inline Result<Ran> run_in_user_space(std::span<const Function> program, const Input &input) {
  Ran ran;
  Environment environment;
  environment.helper = [&](Interpreter &interpreter, uint32_t helper, const std::array<uint64_t, kArgumentsMost> &in) {
    return helper_for_test(input, interpreter, helper, in);
  };
  environment.map_value = [&](MapId) { return reinterpret_cast<uint64_t>(ran.map.data()); };
  Interpreter interpreter(program, std::move(environment));
  ran.returned = TRY(interpreter.run());
  return ran;
}

// Nothing: it has run too long. REQUIRES: no maps and no callbacks
inline std::optional<uint64_t> run_in_emulator(const Code &code, const Input &input) {
  constexpr uint64_t kInstructionsMost = 10'000'000;
  CHECK(code.maps.empty() && !code.has_callbacks);
  auto helper = [&](uint32_t id, const std::array<uint64_t, kArgumentsMost> &in) -> uint64_t {
    if (id == BPF_FUNC_ktime_get_ns) return 1'000'000;
    CHECK(id == BPF_FUNC_skb_load_bytes);
    read_packet(input, in);
    return 0;
  };
  return Emulator(code, helper, kInstructionsMost).run(0);
}

}  // namespace waggle::codegen
