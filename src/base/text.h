// Small text helpers that the standard library lacks.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace waggle {

// The parts between separators; "a,,b" has an empty one, "" has none.
std::vector<std::string_view> split(std::string_view text, char separator);

std::string_view trim(std::string_view text);  // blanks, tabs and line ends

// Shell patterns: * and ?, all else literally. The whole text must match.
bool glob_match(std::string_view pattern, std::string_view text);
// The same, where more than '?' stands for one character: `match_one` says how many
// characters of the pattern's beginning stand for `c`, 0 when they do not.
bool glob_match(std::string_view pattern, std::string_view text, size_t (*match_one)(std::string_view pattern, char c));

// The candidate that a mistyped word most likely means: at most a third of its
// letters wrong. Empty when none is near. For "did you mean".
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become
// lone surrogates \udc80 to \udcff (PEP 383), so that a path survives the way
// out and back byte for byte.
void append_json_string(std::string &out, std::string_view text);

// Appends text for a terminal: control characters and broken UTF-8 become \xNN,
// so that a file name cannot move the cursor or end a line.
void append_printable(std::string &out, std::string_view text);

}  // namespace waggle
