// One interval of `waggle top` as one line of JSON: docs/formats/top-json.md
// lists the keys.
#pragma once

#include <string>

#include "cli/top_snapshot.h"

namespace waggle {

// Appends the object and a line end. What is not known is null.
void append_top_json(std::string &out, const TopSnapshot &snapshot);

}  // namespace waggle
