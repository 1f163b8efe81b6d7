// The last step of one function: real registers are given, jumps get their distances.
// For codegen alone.
#pragma once

#include "base/result.h"
#include "codegen/compile.h"
#include "codegen/machine.h"

namespace waggle::codegen {

// errors: Exhausted, a jump is too long
Result<CompiledFunction> emit(MachineCode machine);

}  // namespace waggle::codegen
