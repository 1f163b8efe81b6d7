// The BPF programs of a script, loaded: a program whose hook is chosen when it is loaded
// (fentry, typed tracepoints, iterators) is there once for each of its probes.
//
// Programs that events run begin with a look at a word that Maps::stop() sets. Taking a program from its hook
// waits for the kernel, 50 ms for each tracepoint; setting a word stops them all at once.
// Threads: one at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "script/lower/lower.h"
#include "script/program/program.h"
#include "script/syntax/source.h"

namespace waggle::script {

struct LoadedProgram {
  const Program *program = nullptr;
  std::vector<Fd> loaded;  // one for all probes, or one for each

  int of(size_t probe) const { return loaded[loaded.size() == 1 ? 0 : probe].get(); }
};

struct LoadFailure {
  const ConcreteProbe *probe = nullptr;
  Error error;
  std::string log;  // what the verifier said
};

struct Loaded {
  std::vector<LoadedProgram> programs;  // of Lowered::programs, in their order
  std::vector<LoadFailure> failures;    // the first of each program; such programs are left out
};

// The code, with a return before it as soon as the word of an array map is not 0.
codegen::Code stoppable(const codegen::Code &code, codegen::MapId word);

//   maps  descriptors, by codegen::MapId; the last is that of the word
Loaded load_programs(const Script &script, const Sources &sources, const Lowered &lowered, std::span<const int> maps);

}  // namespace waggle::script
