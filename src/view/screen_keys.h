// Keys out of the bytes a terminal sends. A key may arrive in pieces, and the
// Escape key is the beginning of every other special key: whoever reads says when
// nothing followed it.
// Threads: one. source: ECMA-48 §5.4; xterm's control sequences
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace waggle {

struct Key {
  enum class Name : uint8_t {
    kLetter,  // `letter` says which
    kEscape,
    kEnter,
    kTab,
    kBackTab,
    kBackspace,
    kUp,
    kDown,
    kLeft,
    kRight,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
  };
  Name name = Name::kLetter;
  char letter = 0;  // ASCII; letters beyond it are dropped

  bool operator==(const Key &) const = default;
};

class KeyDecoder {
 public:
  // The keys that these bytes complete.
  std::vector<Key> feed(std::string_view bytes);
  // Whether an Escape waits to be told apart from the beginning of a sequence.
  bool undecided() const { return !pending_.empty(); }
  // Nothing followed for a while: a pending Escape was the key itself.
  std::vector<Key> settle();

 private:
  std::string pending_;  // begins with ESC
};

}  // namespace waggle
