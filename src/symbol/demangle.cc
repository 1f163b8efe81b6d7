#include "symbol/demangle.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>

// Its declaration of basename(3) is not the one of <cstring>.
#define HAVE_DECL_BASENAME 1
#include <libiberty/demangle.h>

namespace waggle {
namespace {

// libiberty rather than abi::__cxa_demangle: the same C++ demangler, but one
// that prints into a callback. The other one returns the whole text, and takes
// time and memory without end for a hostile name.
//
// The only way to stop libiberty is to leave it: it keeps what it works with on
// the stack, so a longjmp over its frames loses nothing. Except in one place:
// while it prints a punycode identifier it holds its letters on the heap. Those
// come singly or are not ASCII, so we leave at pieces that are ASCII and longer;
// a text cannot grow without such pieces ("::", ", ").
struct Printer {
  std::jmp_buf full;
  char text[kDemangledBytesMost];
  size_t used = 0;
};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void print(const char *piece, size_t bytes, void *context) {
  auto &printer = *static_cast<Printer *>(context);
  if (bytes == 0) return;  // then the piece may be null
  size_t room = sizeof printer.text - printer.used;
  std::memcpy(printer.text + printer.used, piece, std::min(bytes, room));
  printer.used += std::min(bytes, room);
  if (bytes > room && bytes >= 2 && is_ascii({piece, bytes})) std::longjmp(printer.full, 1);
}

using Demangler = int(const char *, int, demangle_callbackref, void *);

// Holds no object with a destructor, as longjmp demands. False: not such a name.
bool run(Demangler *demangler, const char *name, Printer &printer) {
  printer.used = 0;
  if (setjmp(printer.full) != 0) return true;
  return demangler(name, DMGL_PARAMS | DMGL_ANSI, print, &printer) != 0 && printer.used > 0;
}

}  // namespace

std::string demangle(std::string_view name) {
  bool rust = name.starts_with("_R");
  if (!rust && !name.starts_with("_Z")) return std::string(name);
  if (name.size() > kMangledBytesMost || name.find('\0') != std::string_view::npos) return std::string(name);
  std::string terminated(name);
  Printer printer;
  // Legacy Rust names are C++ ones too, told by their hash: Rust goes first.
  bool done = run(rust_demangle_callback, terminated.c_str(), printer) ||
              (!rust && run(cplus_demangle_v3_callback, terminated.c_str(), printer));
  if (!done) return terminated;
  std::string text(printer.text, printer.used);
  if (text.size() == kDemangledBytesMost) text.replace(text.size() - 3, 3, "...");
  return text;
}

}  // namespace waggle
