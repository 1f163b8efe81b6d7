// A tree as a script again, with all parentheses that C's rules put in thought, in one
// way of writing each thing. For debugging output and tests; what people read keeps
// their own comments and lines (the formatter's work).
#pragma once

#include <string>

#include "script/syntax/tree.h"

namespace waggle::script {

// REQUIRES: parsed without a mistake
std::string text_of(const Tree &tree);
std::string text_of(const Expression &expression);
std::string text_of(const TypeSyntax &type);

}  // namespace waggle::script
