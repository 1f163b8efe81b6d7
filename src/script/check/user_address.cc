#include "script/check/user_address.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "format/elf.h"
#include "symbol/files.h"

namespace waggle::script {
namespace {

constexpr size_t kTableBytesMost = 64u << 20;

Result<Elf64_Sym> find_in(const ElfFile &file, std::string_view table, std::string_view names,
                          std::string_view symbol) {
  const ElfSection *symbols = file.find_section(table), *texts = file.find_section(names);
  tl::unexpected<Error> none = fail(ErrorCode::kNotFound, fmt::format("Could not resolve symbol: {}", symbol));
  if (symbols == nullptr || texts == nullptr) return none;
  std::vector<std::byte> rows = TRY(file.content(*symbols, kTableBytesMost));
  std::vector<std::byte> text = TRY(file.content(*texts, kTableBytesMost));
  const char *characters = reinterpret_cast<const char *>(text.data());
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= rows.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym row;
    std::memcpy(&row, rows.data() + at, sizeof(row));
    if (row.st_shndx == SHN_UNDEF || row.st_name >= text.size()) continue;
    std::string_view rest(characters + row.st_name, text.size() - row.st_name);
    if (rest.substr(0, rest.find('\0')) == symbol) return row;
  }
  return none;
}

}  // namespace

Result<UserAddress> find_user_address(const std::string &path, uint64_t code_offset, std::string_view symbol) {
  Fd fd = TRY(open_regular(path));
  std::unique_ptr<ElfBytes> bytes = TRY(elf_bytes(std::move(fd)));
  ElfFile file = TRY(ElfFile::open(std::move(bytes)));
  Result<Elf64_Sym> found = find_in(file, ".symtab", ".strtab", symbol);
  if (!found) found = find_in(file, ".dynsym", ".dynstr", symbol);
  Elf64_Sym row = TRY(found);
  for (const ElfSegment &segment : file.segments()) {
    if (code_offset < segment.offset || code_offset - segment.offset >= segment.file_bytes) continue;
    uint64_t address = segment.address + (code_offset - segment.offset);
    return UserAddress{static_cast<int64_t>(row.st_value - address), row.st_size};
  }
  return fail(ErrorCode::kNotFound, fmt::format("no code of {} is at {:#x} of the file", path, code_offset));
}

}  // namespace waggle::script
