#include "script/run/sink.h"

#include <unistd.h>

#include <cerrno>

namespace waggle::script {
namespace {

constexpr size_t kPiece = 64u << 10;

// returns  0, or the errno of the write that failed
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

Result<Sink> Sink::to_file(const std::string &path, Buffering buffering) {
  Sink sink(buffering);
  sink.file_ = TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  return sink;
}

void Sink::out(std::string_view text) {
  gathered_ += text;
  if (gathered_.size() >= kPiece) write_out(gathered_.size());
}

void Sink::error(std::string_view text) {
  flush();
  write_all(STDERR_FILENO, text);
}

void Sink::settle() {
  if (gathered_.empty() || buffering_ == Buffering::kFull) return;
  if (buffering_ == Buffering::kNone) return flush();
  size_t line = gathered_.rfind('\n');
  if (line != std::string::npos) write_out(line + 1);
}

void Sink::flush() {
  if (!gathered_.empty()) write_out(gathered_.size());
}

void Sink::write_out(size_t bytes) {
  if (failure_ == 0) failure_ = write_all(descriptor(), std::string_view(gathered_).substr(0, bytes));
  gathered_.erase(0, bytes);
}

}  // namespace waggle::script
