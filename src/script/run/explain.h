// What a script will do to the host, as text for people: what attaches and how, how many
// instructions run at most in a row, what memory its maps take.
#pragma once

#include <string>

#include "script/lower/lower.h"
#include "script/program/program.h"

namespace waggle::script {

//   PROBE                                  HOOK         INSTRUCTIONS
//   tracepoint:raw_syscalls:sys_enter      tracepoint             33
//
//   MAP      KIND          ENTRIES  KEY  VALUE     BYTES
//   @        percpu hash      4096   16      8  1.00MiB
std::string explain(const Script &script, const Lowered &lowered);

}  // namespace waggle::script
