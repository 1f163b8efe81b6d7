// The types and lines of a compiled program, in the form that bpf(BPF_PROG_LOAD) takes:
// with them the verifier's log quotes the source, bpftool shows it, and callbacks of
// bpf_loop and its like are allowed at all.
// source: Documentation/bpf/btf.rst; include/uapi/linux/btf.h
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "codegen/compile.h"

namespace waggle::codegen {

struct Source {
  std::string_view name;  // of the file
  std::string_view text;  // all of it: positions name its lines
};

struct ProgramBtf {
  std::vector<std::byte> types;
  std::vector<bpf_func_info> functions;
  std::vector<bpf_line_info> lines;  // none when no instruction has a position
};

// Names that BTF does not allow are made ones that it does. Lines are cut at 256 bytes,
// columns at 1023, which is what there is room for.
ProgramBtf describe(const Code &code, const Source &source);

}  // namespace waggle::codegen
