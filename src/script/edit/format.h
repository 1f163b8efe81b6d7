// A script as it is written well: one statement a line, two blanks for each block. What people
// decide stays theirs: comments, single blank lines, where a long statement goes on in the next
// line, and blocks that are on one line.
//
//   format(format(text)) == format(text)
//   the trees of both are equal: only white space changes, and that is checked each time
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace waggle::script {

// errors  Invalid  the text is no script; `what` has the parser's diagnostics, which name it `name`
Result<std::string> format_script(std::string_view text, const std::string &name);

}  // namespace waggle::script
