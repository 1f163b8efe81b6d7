// From a script's text to its tree.
//
// A mistake is told where it is, and parsing goes on behind the next ';' or '}', so that
// one run tells several. The tree of a text with mistakes has holes; nobody may use it.
// Limits: 256 expressions or blocks within each other.
// source: bpftrace(8), version 0.27
#pragma once

#include "script/syntax/arena.h"
#include "script/syntax/lexer.h"
#include "script/syntax/source.h"
#include "script/syntax/tree.h"

namespace waggle::script {

// `lexer` is at the beginning of the text. What is wrong goes to `diagnostics`.
Tree parse(Lexer &lexer, Arena &arena, Diagnostics &diagnostics);

}  // namespace waggle::script
