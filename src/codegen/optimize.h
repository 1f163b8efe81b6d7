// Makes a function shorter before it becomes BPF: constants are computed and put where they
// are used, copies disappear, addresses join the offsets of loads and stores, comparisons
// join the branches that test them; what cannot be reached or is not needed is removed, for
// the verifier refuses the former.
//
// It is local where locality is enough (facts are kept along straight code), and linear in
// the length of the function. What is not done: loads and calls are never joined or moved.
#pragma once

#include "codegen/ir.h"

namespace waggle::codegen {

void optimize(Function &function);

// Its passes, for tests. Each says whether it changed anything.
bool propagate(Function &function);      // computes what is known
bool simplify_flow(Function &function);  // jumps, labels, unreachable code
bool drop_unused(Function &function);    // instructions whose result nobody reads

}  // namespace waggle::codegen
