// waggle lsp: carries the messages of a language server over standard input and output.
// source: Language Server Protocol 3.17, "Base Protocol"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "cli/lsp_server.h"
#include "cli/verb.h"

namespace waggle {
namespace {

constexpr size_t kHeaderMost = 8 << 10, kMessageMost = 64u << 20;

Error bad_input(std::string why) {
  return {ErrorCode::kInvalid, "cannot go on as a language server", std::move(why),
          "start it from an editor: it speaks the Language Server Protocol"};
}

class Input {
 public:
  // The next message; nothing at the end.  errors: Invalid, Failed
  Result<std::optional<std::string>> next() {
    size_t head = 0;
    while ((head = bytes_.find("\r\n\r\n")) == std::string::npos) {
      if (bytes_.size() > kHeaderMost) return tl::unexpected(bad_input("a message's header has no end"));
      if (!TRY(more())) {
        if (trim(bytes_).empty()) return std::optional<std::string>();
        return tl::unexpected(bad_input("the input ends within a message"));
      }
    }
    size_t length = TRY(length_in(std::string_view(bytes_).substr(0, head)));
    bytes_.erase(0, head + 4);
    while (bytes_.size() < length)
      if (!TRY(more())) return tl::unexpected(bad_input("the input ends within a message"));
    std::string message = bytes_.substr(0, length);
    bytes_.erase(0, length);
    return message;
  }

 private:
  static Result<size_t> length_in(std::string_view header) {
    constexpr std::string_view kName = "content-length:";
    for (std::string_view line : split(header, '\n')) {
      std::string lower;
      for (char c : line.substr(0, kName.size()))
        lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (lower != kName) continue;
      std::string_view digits = trim(line.substr(kName.size()));
      size_t length = 0;
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
      if (error != std::errc() || end != digits.data() + digits.size() || length > kMessageMost)
        return tl::unexpected(bad_input(fmt::format("a message of '{}' bytes", digits)));
      return length;
    }
    return tl::unexpected(bad_input("a message without Content-Length"));
  }

  // False at the end.
  Result<bool> more() {
    std::array<char, 65536> bytes;
    ssize_t got = 0;
    do got = read(STDIN_FILENO, bytes.data(), bytes.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return fail_errno(errno, "cannot read from standard input");
    bytes_.append(bytes.data(), static_cast<size_t>(got));
    return got > 0;
  }

  std::string bytes_;
};

int run_lsp() {
  LanguageServer server;
  Input input;
  while (!server.has_ended()) {
    Result<std::optional<std::string>> message = input.next();
    if (!message) return report(message.error());
    if (!*message) return kFailed;
    for (const std::string &each : server.take(**message))
      fmt::print("Content-Length: {}\r\n\r\n{}", each.size(), each);
    if (fflush(stdout) != 0) return kFailed;
  }
  return server.was_shut_down() ? kDone : kFailed;
}

}  // namespace

std::function<int()> configure_lsp(CLI::App & /*app*/) {
  return run_lsp;
}

}  // namespace waggle
