#include "script/output/time_text.h"

#include <fmt/format.h>

#include <ctime>

namespace waggle::script {
namespace {

constexpr int64_t kNanosecondsOfSecond = 1'000'000'000;

// %f is not strftime's: it becomes digits first.
std::string with_microseconds(std::string_view format, int64_t microseconds) {
  std::string made;
  for (size_t i = 0; i < format.size(); i++) {
    if (format[i] != '%' || i + 1 == format.size()) {
      made += format[i];
      continue;
    }
    if (format[++i] == 'f') {
      made += fmt::format("{:06}", microseconds);
    } else {
      made += '%';
      made += format[i];
    }
  }
  return made;
}

}  // namespace

void append_time(std::string &out, std::string_view format, int64_t wall_ns) {
  int64_t nanoseconds = wall_ns % kNanosecondsOfSecond;
  time_t seconds = wall_ns / kNanosecondsOfSecond;
  if (nanoseconds < 0) {
    nanoseconds += kNanosecondsOfSecond;
    seconds--;
  }
  struct tm local = {};
  if (!localtime_r(&seconds, &local)) return;
  // A letter that is always there tells an empty text from one that did not fit. It is the
  // first: after a last % it would be a conversion.
  std::string whole = "x" + with_microseconds(format.substr(0, kTimeFormatBytesMost), nanoseconds / 1000);
  // The longest conversion, %c, makes some tens of bytes of two; a width may ask for more.
  for (size_t room = whole.size() * 8 + 64; room <= (64u << 10); room *= 4) {
    std::string text(room, '\0');
    size_t length = strftime(text.data(), text.size(), whole.c_str(), &local);
    if (length == 0) continue;
    out.append(text, 1, length - 1);
    return;
  }
}

}  // namespace waggle::script
