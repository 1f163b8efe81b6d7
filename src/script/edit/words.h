// The words of the language with what each is, a line long: for people who are typing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace waggle::script {

struct Word {
  enum class Kind : uint8_t { kProvider, kKeyword, kBuiltin, kFunction, kMapFunction, kSetting } kind;
  std::string_view name;
  std::string_view form;  // how it is written: "hist(int n [, int bits])", or its type: "uint32"
  std::string_view help;
};

// By kind, then by name. No name is there twice.
std::span<const Word> words();
// Null: there is none.
const Word *find_word(std::string_view name);

}  // namespace waggle::script
