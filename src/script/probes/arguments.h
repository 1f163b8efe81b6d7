// What a probe hands to a script as `args`: names, types, and where each value is in
// the context that the kernel passes to the BPF program.
//
//   tracepoints     the record that tracefs describes
//   fentry, fexit   u64 args[]: one slot a parameter, two for a struct of 9 to 16 bytes
//                   passed by value; behind them the value returned
//   raw tracepoints u64 args[], without the first parameter, which is the kernel's own
//   iterators       a pointer or number in each slot; the first is the iterator's state
// A slot is loaded whole, whatever the width of its type: the verifier refuses less.
// The slot of a parameter, offset / 8, is also the number of the register it is
// passed in, as long as it is below 6 and no struct went to the stack.
// Threads: as the BtfTypes.
// source: Documentation/bpf/prog_lsm.rst and kernel/bpf/btf.c, btf_ctx_access();
//   kernel/bpf/bpf_iter.c; include/trace/stages/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/tracefs_format.h"
#include "kernel/tracefs.h"
#include "script/probes/btf_types.h"
#include "script/types/type.h"

namespace waggle::script {

struct Argument {
  enum class Place : uint8_t {
    kContext,  // the value itself is at `offset`
    // At `offset` is a 32-bit word: its lower half says where the value begins, its upper
    // half how many bytes it has. `type` is a pointer to its elements.
    kFromRecord,  // counted from the beginning of the context
    kFromWord,    // counted from the end of the word
    // Where no program can read it: in a register of floating point.
    kNowhere,
  };

  std::string name;
  std::string declaration;  // as -lv has it: "struct file * file", "char comm[16]"
  Type type;
  uint32_t offset = 0;  // bytes into the context
  Place place = Place::kContext;
  bool is_listed = true;  // by -lv; the fields all tracepoints have, and an iterator's state, are not
};

struct Arguments {
  std::vector<Argument> parameters;
  std::optional<Argument> returned;  // of a function that returns something

  const Argument *find(std::string_view name) const;  // null: there is none
};

// Pointers are to the user's memory in tracepoints of system calls. BTF is asked only
// for types that tracefs's text does not tell: "struct in6_addr", "enum zone_type".
//   errors  NotFound, Denied, Invalid
Result<Arguments> tracepoint_arguments(const Tracefs &tracefs, std::string_view category, std::string_view name,
                                       BtfTypes &types);
Arguments tracepoint_arguments(const TracepointFormat &format, std::string_view category, BtfTypes &types);

// Of fentry and fexit; and of kprobes, by the registers of the slots.
//   module  "vmlinux", a module's name, or empty: whichever has it
//   errors  Unsupported  this kernel has no BTF; or a struct is too large for fentry
//           NotFound     BTF describes no such function
Result<Arguments> function_arguments(std::string_view function, std::string_view module, BtfTypes &types);

// errors: Unsupported, NotFound
Result<Arguments> raw_tracepoint_arguments(std::string_view name, std::string_view module, BtfTypes &types);

// errors: Unsupported, NotFound
Result<Arguments> iterator_arguments(std::string_view iterator, BtfTypes &types);

// Names of all iterators of the kernel, sorted: "bpf_map", "task", "task_file".
// errors: Unsupported  this kernel has no BTF
Result<std::vector<std::string>> iterator_names();

}  // namespace waggle::script
