// Any text: it is parsed or refused. What is parsed and written again parses to the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "script/syntax/parser.h"
#include "script/syntax/tree_text.h"

namespace {

using namespace waggle::script;

// Empty: it was refused.
std::string parsed(std::string text) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add("fuzz", std::move(text)), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  (void)diagnostics.text(sources);
  return diagnostics.failed() ? std::string() : text_of(tree);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string once = parsed(std::string(reinterpret_cast<const char *>(data), size));
  // Records without a name are written where only those with one can be read.
  if (once.empty() || once.find("struct  ") != std::string::npos || once.find("union  ") != std::string::npos ||
      once.find("enum  ") != std::string::npos)
    return 0;
  std::string twice = parsed(once);
  // What took the deepest nesting lies deeper with its parentheses written.
  if (!twice.empty()) CHECK(once == twice);
  return 0;
}
