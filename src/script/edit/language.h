// What an editor asks about a script: what is wrong, what may be typed here, what is this.
// Threads: as the BtfTypes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "script/edit/words.h"
#include "script/probes/btf_types.h"
#include "script/syntax/source.h"

namespace waggle::script {

struct Mistake {
  Severity severity = Severity::kError;
  uint32_t begin = 0, end = 0;  // bytes of the text
  std::string message;          // with its hints, a line each
};
// In the order of the text; no two at the same place with the same message.
std::vector<Mistake> mistakes_of(const std::string &text, BtfTypes &types);

struct Completion {
  enum class Kind : uint8_t { kProbe, kKeyword, kValue, kFunction, kField, kVariable, kSetting } kind;
  std::string label, detail, help;
};
struct Completions {
  uint32_t begin = 0;   // they stand for the bytes from here to where was asked
  bool is_cut = false;  // there are more
  std::vector<Completion> all;
};
constexpr size_t kCompletionsMost = 500;

// What may be typed at byte `at`; at <= text.size(). Looking for probes takes what list_probes() takes.
Completions completions_at(const std::string &text, uint32_t at, BtfTypes &types);

// As Markdown; empty: nothing is known about what is there.
struct Hover {
  uint32_t begin = 0, end = 0;
  std::string text;
};
Hover hover_at(const std::string &text, uint32_t at, BtfTypes &types);

}  // namespace waggle::script
