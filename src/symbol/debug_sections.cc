#include "symbol/debug_sections.h"

#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "symbol/debug_file.h"
#include "symbol/files.h"

namespace waggle {
namespace {

constexpr size_t kSectionBytesMost = 1u << 30;
constexpr char kDebugFolder[] = "/usr/lib/debug";
constexpr uint32_t kCompressedByZstd = 2;  // ELFCOMPRESS_ZSTD, which glibc 2.36 does not name

Result<std::vector<std::byte>> inflated(std::span<const std::byte> from, size_t bytes) {
  std::vector<std::byte> into(bytes);
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return fail(ErrorCode::kFailed, "zlib cannot be used");
  // A section is shorter than 4 GiB on both sides.
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(from.data()));
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = reinterpret_cast<Bytef *>(into.data());
  stream.avail_out = static_cast<uInt>(into.size());
  int how = inflate(&stream, Z_FINISH);
  size_t written = into.size() - stream.avail_out;
  inflateEnd(&stream);
  if (how != Z_STREAM_END || written != bytes)
    return fail(ErrorCode::kInvalid, "the ELF file is malformed",
                fmt::format("a section of {} compressed bytes has {} and not {}", from.size(), written, bytes));
  return into;
}

bool has_section(const ElfFile &file, std::string_view name) {
  const ElfSection *section = file.find_section(name);
  return section != nullptr && section->type != SHT_NOBITS && section->bytes > 0;
}

Result<std::vector<std::byte>> section_of(const ElfFile &file, std::string_view name) {
  if (!has_section(file, name)) return std::vector<std::byte>();
  return decompressed(file, *file.find_section(name), kSectionBytesMost);
}

}  // namespace

Result<std::vector<std::byte>> decompressed(const ElfFile &file, const ElfSection &section, size_t bytes_most) {
  std::vector<std::byte> bytes = TRY(file.content(section, bytes_most));
  if ((section.flags & SHF_COMPRESSED) == 0) return bytes;
  Elf64_Chdr header = {};
  if (bytes.size() < sizeof(header))
    return fail(ErrorCode::kInvalid, "the ELF file is malformed",
                fmt::format("the compressed section '{}' ends in its header", section.name));
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.ch_size > bytes_most)
    return fail(ErrorCode::kExhausted, fmt::format("section '{}' is too large", section.name),
                fmt::format("{} bytes, {} are read at most", header.ch_size, bytes_most));
  std::span<const std::byte> from = std::span<const std::byte>(bytes).subspan(sizeof(header));
  if (header.ch_type == ELFCOMPRESS_ZLIB) return inflated(from, header.ch_size);
  if (header.ch_type != kCompressedByZstd)
    return fail(ErrorCode::kUnsupported, fmt::format("section '{}' cannot be decompressed", section.name),
                fmt::format("its compression has the number {}", header.ch_type));
  std::vector<std::byte> into(header.ch_size);
  size_t written = ZSTD_decompress(into.data(), into.size(), from.data(), from.size());
  if (ZSTD_isError(written) != 0 || written != into.size())
    return fail(ErrorCode::kInvalid, "the ELF file is malformed",
                fmt::format("the compressed section '{}' cannot be decompressed", section.name));
  return into;
}

Result<DebugSections> read_debug_sections(const std::string &path, const std::string &shown, int32_t pid) {
  Fd descriptor = TRY(open_regular(path));
  std::unique_ptr<ElfBytes> bytes = TRY(elf_bytes(std::move(descriptor)));
  ElfFile own = TRY(ElfFile::open(std::move(bytes)));
  std::unique_ptr<ElfFile> apart;
  if (!has_section(own, ".debug_info")) apart = find_debug_file(own, shown, kDebugFolder, pid == 0 ? getpid() : pid);
  const ElfFile &file = apart != nullptr && has_section(*apart, ".debug_info") ? *apart : own;
  DebugSections sections;
  sections.segments.assign(own.segments().begin(), own.segments().end());
  if (!has_section(file, ".debug_info")) {
    sections.btf = TRY(section_of(own, ".BTF"));
    if (sections.btf.empty())
      return fail(ErrorCode::kNotFound, fmt::format("No debuginfo found for {}", shown),
                  "neither it nor a file of debug symbols for it has .debug_info",
                  "compile it with -g, or install its package of debug symbols");
    return sections;
  }
  sections.info = TRY(section_of(file, ".debug_info"));
  sections.abbrev = TRY(section_of(file, ".debug_abbrev"));
  sections.str = TRY(section_of(file, ".debug_str"));
  sections.line_str = TRY(section_of(file, ".debug_line_str"));
  sections.str_offsets = TRY(section_of(file, ".debug_str_offsets"));
  sections.addr = TRY(section_of(file, ".debug_addr"));
  sections.ranges = TRY(section_of(file, ".debug_ranges"));
  sections.rnglists = TRY(section_of(file, ".debug_rnglists"));
  return sections;
}

}  // namespace waggle
