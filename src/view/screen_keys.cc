#include "view/screen_keys.h"

#include <optional>

namespace waggle {
namespace {

constexpr char kEsc = '\x1b';
// No terminal sends longer ones; more is a paste or noise.
constexpr size_t kSequenceMost = 32;

struct Sequence {
  std::string_view bytes;  // after ESC
  Key::Name name;
};
constexpr Sequence kSequences[] = {
    {"[A", Key::Name::kUp},      {"OA", Key::Name::kUp},      {"[B", Key::Name::kDown},      {"OB", Key::Name::kDown},
    {"[C", Key::Name::kRight},   {"OC", Key::Name::kRight},   {"[D", Key::Name::kLeft},      {"OD", Key::Name::kLeft},
    {"[H", Key::Name::kHome},    {"OH", Key::Name::kHome},    {"[1~", Key::Name::kHome},     {"[7~", Key::Name::kHome},
    {"[F", Key::Name::kEnd},     {"OF", Key::Name::kEnd},     {"[4~", Key::Name::kEnd},      {"[8~", Key::Name::kEnd},
    {"[5~", Key::Name::kPageUp}, {"[Z", Key::Name::kBackTab}, {"[6~", Key::Name::kPageDown}, {"OM", Key::Name::kEnter},
};

std::optional<Key> key_of_byte(char byte) {
  switch (byte) {
    case '\r':
    case '\n':
      return Key{Key::Name::kEnter, 0};
    case '\t':
      return Key{Key::Name::kTab, 0};
    case '\b':
    case '\x7f':
      return Key{Key::Name::kBackspace, 0};
    default:
      // Signed or not, depending on the machine.
      if (byte < ' ' || static_cast<unsigned char>(byte) >= 0x7f) return std::nullopt;
      return Key{Key::Name::kLetter, byte};
  }
}

// Whether the bytes after ESC are all of a sequence. A CSI ends with a byte from
// '@' to '~', an SS3 one byte after its O.
bool is_whole(std::string_view sequence) {
  if (sequence.empty()) return false;
  if (sequence[0] == 'O') return sequence.size() == 2;
  if (sequence[0] != '[') return true;
  return sequence.size() > 1 && sequence.back() >= '@' && sequence.back() <= '~';
}

}  // namespace

std::vector<Key> KeyDecoder::feed(std::string_view bytes) {
  std::vector<Key> keys;
  for (char byte : bytes) {
    if (pending_.empty()) {
      if (byte == kEsc)
        pending_ = byte;
      else if (std::optional<Key> key = key_of_byte(byte))
        keys.push_back(*key);
      continue;
    }
    if (byte == kEsc) {
      // Escape pressed twice, or a sequence that broke off.
      if (pending_.size() == 1) keys.push_back({Key::Name::kEscape, 0});
      pending_ = byte;
      continue;
    }
    pending_ += byte;
    std::string_view sequence = std::string_view(pending_).substr(1);
    if (!is_whole(sequence)) {
      if (pending_.size() > kSequenceMost) pending_.clear();
      continue;
    }
    for (const Sequence &known : kSequences)
      if (known.bytes == sequence) keys.push_back({known.name, 0});
    pending_.clear();
  }
  return keys;
}

std::vector<Key> KeyDecoder::settle() {
  bool alone = pending_.size() == 1;
  pending_.clear();
  return alone ? std::vector<Key>{{Key::Name::kEscape, 0}} : std::vector<Key>{};
}

}  // namespace waggle
