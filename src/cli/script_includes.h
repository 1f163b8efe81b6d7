// Files of C definitions that a script includes: #include "FILE" beside it or in a directory of
// -I, and --include FILE. Definitions of the kernel come from its BTF, so #include <FILE> means
// nothing unless -I has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "script/syntax/arena.h"
#include "script/syntax/lexer.h"
#include "script/syntax/source.h"
#include "script/syntax/tree.h"

namespace waggle {

struct IncludedFile {
  std::string path, text;
};

// In their order; files that are not there are left out.
//   script       its file, or "stdin"
//   directories  of -I
//   files        of --include
std::vector<IncludedFile> included_files(std::string_view text, const std::string &script,
                                         const std::vector<std::string> &directories,
                                         const std::vector<std::string> &files);

// The constants that a file defines, for the script's own text.
void predefine(script::Lexer &lexer, const IncludedFile &file);

// The records, enums and typedefs of a file, before the script's own.
void add_definitions(script::Tree &tree, const IncludedFile &file, script::Sources &sources, script::Arena &arena,
                     script::Diagnostics &diagnostics);

}  // namespace waggle
