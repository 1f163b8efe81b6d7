#include "symbol/files.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace waggle {
namespace {

Result<FileFacts> facts(int directory, const char *path, int flags, const std::string &shown) {
  struct statx stat = {};
  if (::statx(directory, path, flags | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &stat) != 0)
    return fail_errno(errno, "cannot read the attributes of " + shown);
  FileFacts facts;
  facts.id = {stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino,
              int64_t{stat.stx_mtime.tv_sec} * 1'000'000'000 + stat.stx_mtime.tv_nsec};
  facts.bytes = stat.stx_size;
  facts.uid = stat.stx_uid;
  facts.regular = S_ISREG(stat.stx_mode);
  return facts;
}

// An O_PATH descriptor names a file without opening it: first we look, then we open.
Result<Fd> reopen_regular(const Fd &named, const std::string &path) {
  if (!TRY(facts_of(named)).regular) return fail(ErrorCode::kInvalid, "cannot read " + path, "it is not a file");
  return open_file("/proc/self/fd/" + std::to_string(named.get()), O_RDONLY);
}

class FileBytes : public ElfBytes {
 public:
  FileBytes(Fd file, uint64_t size) : file_(std::move(file)), size_(size) {}
  uint64_t size() const override { return size_; }

  bool read(uint64_t offset, std::span<std::byte> into) const override {
    while (!into.empty()) {
      ssize_t got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;  // 0: truncated since
      offset += static_cast<uint64_t>(got);
      into = into.subspan(static_cast<size_t>(got));
    }
    return true;
  }

 private:
  Fd file_;
  uint64_t size_;
};

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320u : 0);
    table[i] = value;
  }
  return table;
}

}  // namespace

Result<FileFacts> facts_of(const std::string &path) {
  return facts(AT_FDCWD, path.c_str(), 0, path);
}

Result<FileFacts> facts_of(const Fd &file) {
  return facts(file.get(), "", AT_EMPTY_PATH, "an open file");
}

Result<Fd> open_regular(const std::string &path) {
  return reopen_regular(TRY(open_file(path, O_PATH)), path);
}

Result<Fd> open_in_root_of(int32_t pid, const std::string &path) {
  std::string root_path = "/proc/" + std::to_string(pid) + "/root";
  Fd root = TRY(open_file(root_path, O_PATH | O_DIRECTORY));
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  int fd = static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how));
  // A seccomp filter that does not know openat2 says EPERM or ENOSYS; then no
  // link at the path's end is followed.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM))
    fd = ::openat(root.get(), path.c_str() + path.starts_with('/'), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, "cannot open " + root_path + path);
  Fd named(fd);
  return reopen_regular(named, root_path + path);
}

Result<std::unique_ptr<ElfBytes>> elf_bytes(Fd file) {
  uint64_t size = TRY(facts_of(file)).bytes;
  return std::make_unique<FileBytes>(std::move(file), size);
}

Result<uint32_t> crc32_of(const ElfBytes &bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  std::vector<std::byte> piece(256 << 10);
  uint32_t crc = ~0u;
  for (uint64_t offset = 0; offset < bytes.size(); offset += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), bytes.size() - offset));
    if (!bytes.read(offset, piece)) return fail(ErrorCode::kFailed, "cannot read a debug file");
    for (std::byte byte : piece) crc = kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

}  // namespace waggle
