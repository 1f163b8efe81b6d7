// Any text: it is formatted or refused. What was formatted stays as it is, and an editor
// may ask about any place of any text.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "script/edit/format.h"
#include "script/edit/pieces.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  size_t letters = 0;
  for (const waggle::script::Piece &piece : waggle::script::pieces_of(text)) letters += piece.text.size();
  CHECK(letters <= size);
  waggle::Result<std::string> once = waggle::script::format_script(text, "fuzz");
  if (!once) {
    // What is a script can be formatted.
    CHECK(once.error().code == waggle::ErrorCode::kInvalid);
    return 0;
  }
  waggle::Result<std::string> twice = waggle::script::format_script(*once, "fuzz");
  CHECK(twice.has_value() && *twice == *once);
  return 0;
}
