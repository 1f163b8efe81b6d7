// A script's meaning as text: one node or step a line, what is in it indented. For -d
// and tests.
// Threads: any number at once.
#pragma once

#include <string>
#include <string_view>

#include "script/program/program.h"

namespace waggle::script {

//   variables and maps with their types, then each program: its probes, predicate and body.
//     program begin
//       emit printf "hello %d" (int64)
//         constant 1 int64
std::string text_of(const Script &script);
std::string text_of(const Script &script, const Node &node);

std::string_view name_of(Op op);              // "map value"
std::string_view name_of(Action::Kind kind);  // "printf"

}  // namespace waggle::script
