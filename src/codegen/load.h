// Gives a compiled program to the kernel.
// Threads: any number at once.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "codegen/compile.h"
#include "codegen/program_btf.h"

namespace waggle::codegen {

struct LoadRequest {
  bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
  bpf_attach_type expected_attach_type = {};
  uint32_t attach_btf_id = 0;   // of fentry, fexit, tp_btf, LSM and iterators
  int attach_btf_object = 0;    // descriptor of the module's BTF that the id is of; 0: vmlinux
  uint32_t flags = 0;           // BPF_F_SLEEPABLE, …
  std::string name;             // as bpftool shows it; cut at 15 bytes
  std::string license = "GPL";  // what many helpers ask for
  Source source;
  std::span<const int> maps;  // descriptors, by MapId
};

// A failed load is tried again for the verifier's words: a good program costs nothing more.
//   log      when not null, gets all that the verifier said about a refused program
//   errors   Denied   privileges are missing
//            Failed   the kernel refuses it; `why` has the end of the verifier's log
Result<Fd> load(const Code &code, const LoadRequest &request, std::string *log = nullptr);

}  // namespace waggle::codegen
