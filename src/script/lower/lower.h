// From what a script means to BPF: its maps, and a program for each body.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "codegen/compile.h"
#include "codegen/program_btf.h"
#include "script/program/program.h"

namespace waggle::script {

// Values and temporaries are made of words.
inline constexpr uint32_t kWordBytes = 8;
constexpr uint32_t rounded_to_words(size_t bytes) {
  return static_cast<uint32_t>((bytes + kWordBytes - 1) / kWordBytes * kWordBytes);
}

// A map that the runtime creates. Its place in Lowered::maps is its codegen::MapId.
struct MapPlan {
  enum class Role : uint8_t {
    kScript,   // Script::maps[index]: see below
    kRing,     // events: {u32 action, u32 0}, then the action's row
    kLost,     // per-CPU array of one u64: events that found no room in the ring
    kStacks,   // hash: u64 id to {u32 frames, u32 0, u64 address[stack_frames_most]}, innermost first
    kGlobals,  // array of one value: a u64 for each Global; read by programs only
    kScratch,  // for programs alone
  };
  Role role = Role::kScratch;
  uint32_t index = 0;
  std::string name;  // for bpftool: at most 15 letters, digits and _
  bpf_map_type type = BPF_MAP_TYPE_UNSPEC;
  uint32_t key_bytes = 0, value_bytes = 0, entries = 0, flags = 0;
};
// Of kScript: keys are as the type of the map's key is laid out, padding 0; a scalar map has one
// key, u32 0 in an array, else u64 0. Values are value_bytes() of their type (script/output/value.h),
// rounded up to 8; of aggregates one copy a CPU, as aggregate.h lays them out. An array holds its value
// from the beginning.

// One BPF program. It is attached to all of Script::programs[program].probes; its context and
// program type follow from their mechanism.
struct LoweredProgram {
  uint32_t program = 0;
  codegen::Code code;
  std::vector<codegen::Function> functions;  // what `code` was made of: for -d codegen
};

struct Lowered {
  std::vector<MapPlan> maps;
  std::vector<LoweredProgram> programs;
};

// What of the kernel the code depends on: for tests, and for kernels that are not the running one.
struct LowerOptions {
  bool has_loop = false;              // bpf_loop, since 5.17
  bool has_for_each = false;          // bpf_for_each_map_elem, since 5.13
  bool has_function_address = false;  // bpf_get_func_ip, since 5.15
  bool has_namespace_pid = false;     // bpf_get_ns_current_pid_tgid, since 5.7; and waggle is in a namespace of its own
  bool has_tai = false;               // bpf_ktime_get_tai_ns, since 6.1
  bool has_safe_allocation = false;   // entries of maps are allocated in any context, since 6.1
  bool has_per_cpu_lookup = false;    // bpf_map_lookup_percpu_elem, since 5.19
  uint64_t per_cpu_offsets = 0;       // address of the kernel's __per_cpu_offset; 0: not known
  uint32_t processors = 1;            // possible CPUs
  uint64_t ring_bytes = 0;            // a power of two, and a multiple of the page size
};

// errors  Unsupported  the kernel lacks what the script needs; says which, and where in the script
//         Exhausted    a program that is too large
Result<Lowered> lower(const Script &script, const Sources &sources, const LowerOptions &options);

}  // namespace waggle::script
