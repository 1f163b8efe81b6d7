#include "format/ld_cache.h"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace waggle {
namespace {

constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr size_t kNameBytesMost = 4096;

// ELF, libc 6, and the processor.
#if defined(__x86_64__)
constexpr uint32_t kFlagsHere = 0x0303;
#elif defined(__aarch64__)
constexpr uint32_t kFlagsHere = 0x0a03;
#endif

struct Header {
  char magic[20];
  uint32_t libraries, string_bytes;
  uint32_t unused[5];
};
struct Entry {
  uint32_t flags;
  uint32_t name, path;  // offsets from the header
  uint32_t os_version;
  uint64_t hardware;
};
static_assert(sizeof(Header) == 48 && sizeof(Entry) == 24);

tl::unexpected<Error> malformed(std::string why) {
  return fail(ErrorCode::kInvalid, "malformed cache of libraries", std::move(why));
}

std::string text_at(std::span<const std::byte> bytes, uint32_t offset) {
  if (offset >= bytes.size()) return {};
  auto *text = reinterpret_cast<const char *>(bytes.data()) + offset;
  return {text, ::strnlen(text, std::min(bytes.size() - offset, kNameBytesMost))};
}

}  // namespace

Result<std::vector<CachedLibrary>> parse_ld_cache(std::span<const std::byte> bytes) {
  // Before glibc 2.32 a table for older linkers stands before this one.
  std::string_view all(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  size_t begin = all.find(kMagic);
  if (begin == std::string_view::npos) return malformed("it has no 'glibc-ld.so.cache1.1'");
  bytes = bytes.subspan(begin);
  Header header;
  if (bytes.size() < sizeof(header)) return malformed("it ends in its header");
  memcpy(&header, bytes.data(), sizeof(header));
  if (header.libraries > (bytes.size() - sizeof(header)) / sizeof(Entry))
    return malformed("it has fewer entries than its header says");
  std::vector<CachedLibrary> libraries;
  for (size_t i = 0; i < header.libraries; i++) {
    Entry entry;
    memcpy(&entry, bytes.data() + sizeof(header) + i * sizeof(entry), sizeof(entry));
    if (entry.flags != kFlagsHere) continue;
    CachedLibrary library{text_at(bytes, entry.name), text_at(bytes, entry.path)};
    if (!library.name.empty() && library.path.starts_with('/')) libraries.push_back(std::move(library));
  }
  return libraries;
}

}  // namespace waggle
