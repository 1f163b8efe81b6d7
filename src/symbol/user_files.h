// Files that people name in short: "libc", "c", "libc.so.6", "bash", or a path.
// A library is the one that the dynamic linker would take, a program the one that
// a shell would; of a process it is the file that the process has mapped, in the
// process's own mount namespace.
// Threads: any number at once.
// source: ld.so(8), ldconfig(8); proc(5), /proc/PID/root
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

struct UserFile {
  std::string path;   // as waggle opens it: "/proc/42/root/usr/lib/libc.so.6"
  std::string shown;  // as who uses it sees it: "/usr/lib/libc.so.6"
  auto operator<=>(const UserFile &) const = default;
};

// Several where a short name means several, such as two versions of a library;
// each file once, whatever links lead to it.
//   pid     0: the host's
//   errors  NotFound  no such file, library or program; `fix` has a near name
//           Invalid   it is not a file
Result<std::vector<UserFile>> find_user_files(std::string_view name, int32_t pid);

// Whether a file's name is what the short name of a library or program means:
// "c" and "libc" are "libc.so.6", "libc-2.31.so" and musl's "ld-musl-x86_64.so.1".
bool is_file_named(std::string_view base_name, std::string_view short_name);

}  // namespace waggle
