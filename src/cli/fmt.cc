// waggle fmt FILE…: scripts as they are written well, on stdout or (-w) in place.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/fd.h"
#include "cli/verb.h"
#include "script/edit/format.h"
#include "script/syntax/source.h"

namespace waggle {
namespace {

struct FormatOptions {
  std::vector<std::string> files;
  bool writes = false, checks = false;
};

// Writes a file whole or not at all: a full disk must not eat a script.
Result<void> replace_file(const std::string &path, std::string_view text) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  std::string target = real ? real.get() : path;
  std::string beside = fmt::format("{}.{}.waggle", target, getpid());
  struct stat kept = {};
  auto give_up = [&](int number) {
    unlink(beside.c_str());
    return fail_errno(number, fmt::format("cannot write {}", path));
  };
  if (stat(target.c_str(), &kept) != 0) return fail_errno(errno, fmt::format("cannot write {}", path));
  Fd file = TRY(open_file(beside, O_WRONLY | O_CREAT | O_EXCL, 0600));
  for (std::string_view left = text; !left.empty();) {
    ssize_t wrote = write(file.get(), left.data(), left.size());
    if (wrote < 0 && errno != EINTR) return give_up(errno);
    if (wrote > 0) left.remove_prefix(static_cast<size_t>(wrote));
  }
  // Whose it is does not matter as much as that it is written.
  [[maybe_unused]] int owner = fchown(file.get(), kept.st_uid, kept.st_gid);
  if (fchmod(file.get(), kept.st_mode & 07777) != 0 || fsync(file.get()) != 0) return give_up(errno);
  if (rename(beside.c_str(), target.c_str()) != 0) return give_up(errno);
  return {};
}

// Whether the file was well written already.
Result<bool> format_file(const std::string &name, const FormatOptions &options) {
  std::string text = TRY(read_file(name == "-" ? "/dev/stdin" : name, script::Sources::kBytesMost));
  std::string made = TRY(script::format_script(text, name == "-" ? "stdin" : name));
  if (options.checks) {
    if (made != text) fmt::print("{}\n", name);
  } else if (!options.writes || name == "-") {
    fmt::print("{}", made);
  } else if (made != text) {
    TRY(replace_file(name, made));
  }
  return made == text;
}

int run_fmt(const FormatOptions &options) {
  int status = kDone;
  for (const std::string &name : options.files) {
    Result<bool> is_well = format_file(name, options);
    if (!is_well)
      status = report(is_well.error());
    else if (options.checks && !*is_well && status == kDone)
      status = kFailed;
  }
  return status;
}

}  // namespace

std::function<int()> configure_fmt(CLI::App &app) {
  auto options = std::make_shared<FormatOptions>();
  auto *files = app.add_option("FILE", options->files, "scripts; - is standard input");
  files->required();
  auto *writes = app.add_flag("-w,--write", options->writes, "into the files themselves");
  app.add_flag("--check", options->checks, "only name the files that would change; status 1 if there is one")
      ->excludes(writes);
  return [options] { return run_fmt(*options); };
}

}  // namespace waggle
