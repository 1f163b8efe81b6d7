// Opens files that belong to other processes, without trusting them: only
// regular files (opening a device has effects, opening a pipe waits), and names
// are followed inside of the process's own root, so that a container's link
// cannot lead to a file of the host.
// Threads: any number at once.
// source: openat2(2), RESOLVE_IN_ROOT; proc(5), /proc/PID/root and map_files
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "format/elf.h"

namespace waggle {

// One content of one file: changed content has another time, a new file of the
// same inode number too.
struct FileId {
  uint32_t device_major = 0, device_minor = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;  // CLOCK_REALTIME
  auto operator<=>(const FileId &) const = default;
};

struct FileFacts {
  FileId id;
  uint64_t bytes = 0;
  uint32_t uid = 0;
  bool regular = false;
};

// Of a path, links followed; never waits for a network file server. errors: as open_file().
Result<FileFacts> facts_of(const std::string &path);
Result<FileFacts> facts_of(const Fd &file);

// errors: NotFound, Denied, Failed; Invalid when it is not a regular file.
Result<Fd> open_regular(const std::string &path);

// The file at an absolute path as process `pid` sees it.
Result<Fd> open_in_root_of(int32_t pid, const std::string &path);

// The open file, and where it ends now.
Result<std::unique_ptr<ElfBytes>> elf_bytes(Fd file);

// The checksum of .gnu_debuglink over a whole file. errors: Failed.
Result<uint32_t> crc32_of(const ElfBytes &bytes);

}  // namespace waggle
