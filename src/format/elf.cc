#include "format/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace waggle {
namespace {

static_assert(std::endian::native == std::endian::little, "ELF structures are read as they lie in the file");

// Far above what linkers write (a kernel module has some 60 sections, a debug
// file of Chromium 45), far below what could hurt.
constexpr uint64_t kSectionsMost = 1 << 16;
constexpr uint64_t kSegmentsMost = 1 << 12;
constexpr uint64_t kSectionNamesBytesMost = 4 << 20;
constexpr uint64_t kNoteBytesMost = 64 << 10;
constexpr uint64_t kBuildIdBytesMost = 64;  // SHA-1 is 20, and ld accepts any from the command line
constexpr size_t kNameBytesMost = 8 << 10;
constexpr size_t kPieceBytes = 256 << 10;
static_assert(kPieceBytes > kNameBytesMost);

class MemoryBytes : public ElfBytes {
 public:
  explicit MemoryBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  bool read(uint64_t offset, std::span<std::byte> into) const override {
    if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

tl::unexpected<Error> malformed(std::string why) {
  return fail(ErrorCode::kInvalid, "the ELF file is malformed", std::move(why));
}

// REQUIRES: offset + sizeof(T) <= bytes.size().
template <typename T>
T value_at(std::span<const std::byte> bytes, size_t offset) {
  CHECK(offset <= bytes.size() && sizeof(T) <= bytes.size() - offset);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

// Notes are aligned to 4 bytes, and to 8 in segments of that alignment; the
// build id comes in one of 4.
uint64_t note_aligned(uint64_t bytes) {
  return (bytes + 3) & ~uint64_t{3};
}

// The NT_GNU_BUILD_ID among notes, or nothing.
std::string find_build_id(std::span<const std::byte> notes) {
  size_t at = 0;
  while (notes.size() - at >= sizeof(Elf64_Nhdr)) {
    auto note = value_at<Elf64_Nhdr>(notes, at);
    at += sizeof note;
    uint64_t name_bytes = note_aligned(note.n_namesz), value_bytes = note_aligned(note.n_descsz);
    if (name_bytes > notes.size() - at) return {};
    std::span<const std::byte> name = notes.subspan(at, name_bytes);
    at += name_bytes;
    // The last note of a section may lack its padding.
    if (note.n_descsz > notes.size() - at) return {};
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name.data(), "GNU", 4) == 0 &&
        note.n_descsz > 0 && note.n_descsz <= kBuildIdBytesMost)
      return hexadecimal(notes.subspan(at, note.n_descsz));
    at += std::min<uint64_t>(value_bytes, notes.size() - at);
  }
  return {};
}

ElfBinding binding_of(const Elf64_Sym &symbol) {
  switch (ELF64_ST_BIND(symbol.st_info)) {
    case STB_LOCAL:
      return ElfBinding::kLocal;
    case STB_WEAK:
      return ElfBinding::kWeak;
    default:  // STB_GNU_UNIQUE is global too
      return ElfBinding::kGlobal;
  }
}

// Assembler labels without a type are functions when other files can call them;
// local ones are the targets of jumps.
bool is_function(const Elf64_Sym &symbol, std::span<const ElfSection> sections) {
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_name == 0) return false;
  switch (ELF64_ST_TYPE(symbol.st_info)) {
    case STT_FUNC:
    case STT_GNU_IFUNC:
      return true;
    case STT_NOTYPE:
      return ELF64_ST_BIND(symbol.st_info) != STB_LOCAL && symbol.st_shndx < sections.size() &&
             (sections[symbol.st_shndx].flags & SHF_EXECINSTR) != 0;
    default:
      return false;
  }
}

uint32_t clamp_bytes(uint64_t bytes) {
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, std::numeric_limits<uint32_t>::max()));
}

// How far a function without a size can reach.
uint32_t bytes_to_section_end(const Elf64_Sym &symbol, std::span<const ElfSection> sections) {
  if (symbol.st_shndx >= sections.size()) return 1;
  const ElfSection &section = sections[symbol.st_shndx];
  uint64_t into = symbol.st_value - section.address;  // may have wrapped
  return into < section.bytes ? clamp_bytes(section.bytes - into) : 1;
}

}  // namespace

Result<ElfFile> ElfFile::open(std::span<const std::byte> bytes) {
  return open(std::make_unique<MemoryBytes>(bytes));
}

Result<ElfFile> ElfFile::open(std::unique_ptr<ElfBytes> bytes) {
  ElfFile file(std::move(bytes));
  TRY(file.read_headers());
  return file;
}

Result<void> ElfFile::read(uint64_t offset, std::span<std::byte> into, const char *what) const {
  if (offset > size() || into.size() > size() - offset)
    return malformed(fmt::format("{} at {:#x} of {:#x} bytes lies beyond the file's end at {:#x}", what, offset,
                                 into.size(), size()));
  if (!bytes_->read(offset, into))
    return fail(ErrorCode::kFailed, "cannot read the ELF file", fmt::format("{} at {:#x}", what, offset));
  return {};
}

Result<void> ElfFile::read_headers() {
  std::byte head[sizeof(Elf64_Ehdr)] = {};
  if (size() < EI_NIDENT) return fail(ErrorCode::kInvalid, "not an ELF file", fmt::format("it has {} bytes", size()));
  TRY(read(0, std::span(head).first(EI_NIDENT), "the ELF header"));
  if (std::memcmp(head, ELFMAG, SELFMAG) != 0)
    return fail(ErrorCode::kInvalid, "not an ELF file", "it begins with " + hexadecimal(std::span(head).first(4)));
  auto ident = [&](int index) { return static_cast<uint8_t>(head[index]); };
  if (ident(EI_CLASS) != ELFCLASS64)
    return fail(ErrorCode::kUnsupported, "the ELF file is not of 64 bits", fmt::format("class {}", ident(EI_CLASS)));
  if (ident(EI_DATA) != ELFDATA2LSB)
    return fail(ErrorCode::kUnsupported, "the ELF file is not little-endian", fmt::format("data {}", ident(EI_DATA)));
  TRY(read(0, head, "the ELF header"));
  auto header = value_at<Elf64_Ehdr>(head, 0);
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
    return fail(ErrorCode::kUnsupported, "the ELF file is neither a program nor a shared object",
                fmt::format("type {}", header.e_type));
  position_independent_ = header.e_type == ET_DYN;

  // Counts that do not fit into 16 bits are in section 0.
  uint64_t segment_count = header.e_phnum, section_count = header.e_shnum, names_index = header.e_shstrndx;
  if (header.e_shoff != 0 && (section_count == 0 || segment_count == PN_XNUM || names_index == SHN_XINDEX)) {
    std::byte first[sizeof(Elf64_Shdr)];
    TRY(read(header.e_shoff, first, "section 0"));
    auto section = value_at<Elf64_Shdr>(first, 0);
    if (section_count == 0) section_count = section.sh_size;
    if (segment_count == PN_XNUM) segment_count = section.sh_info;
    if (names_index == SHN_XINDEX) names_index = section.sh_link;
  }
  TRY(read_segments(header.e_phoff, segment_count, header.e_phentsize));
  if (header.e_shoff != 0) TRY(read_sections(header.e_shoff, section_count, header.e_shentsize, names_index));
  return {};
}

Result<void> ElfFile::read_segments(uint64_t offset, uint64_t count, uint64_t entry_bytes) {
  if (count == 0) return {};
  if (entry_bytes != sizeof(Elf64_Phdr))
    return malformed(fmt::format("program headers of {} bytes instead of {}", entry_bytes, sizeof(Elf64_Phdr)));
  if (count > kSegmentsMost)
    return fail(ErrorCode::kExhausted, "the ELF file is too large", fmt::format("{} program headers", count));
  std::vector<std::byte> table(count * entry_bytes);
  TRY(read(offset, table, "the program header table"));
  for (size_t at = 0; at < table.size(); at += sizeof(Elf64_Phdr)) {
    auto header = value_at<Elf64_Phdr>(table, at);
    if (header.p_type == PT_LOAD)
      segments_.push_back(
          {header.p_offset, header.p_filesz, header.p_vaddr, header.p_memsz, (header.p_flags & PF_X) != 0});
    // A debug file's program headers are those of the original, so what they
    // point at need not be there.
    if (header.p_type == PT_NOTE && build_id_.empty()) read_build_id(header.p_offset, header.p_filesz);
  }
  return {};
}

Result<void> ElfFile::read_sections(uint64_t offset, uint64_t count, uint64_t entry_bytes, uint64_t names_index) {
  if (count == 0) return {};
  if (entry_bytes != sizeof(Elf64_Shdr))
    return malformed(fmt::format("section headers of {} bytes instead of {}", entry_bytes, sizeof(Elf64_Shdr)));
  if (count > kSectionsMost)
    return fail(ErrorCode::kExhausted, "the ELF file is too large", fmt::format("{} sections", count));
  std::vector<std::byte> table(count * entry_bytes);
  TRY(read(offset, table, "the section header table"));
  std::vector<uint32_t> name_offsets;
  for (size_t at = 0; at < table.size(); at += sizeof(Elf64_Shdr)) {
    auto header = value_at<Elf64_Shdr>(table, at);
    sections_.push_back(
        {"", header.sh_type, header.sh_flags, header.sh_addr, header.sh_offset, header.sh_size, header.sh_link});
    name_offsets.push_back(header.sh_name);
  }
  TRY(read_names(name_offsets, names_index));
  for (const ElfSection &section : sections_)
    if (section.type == SHT_NOTE && build_id_.empty()) read_build_id(section.offset, section.bytes);
  return {};
}

Result<void> ElfFile::read_names(std::span<const uint32_t> name_offsets, uint64_t names_index) {
  if (names_index == SHN_UNDEF) return {};
  if (names_index >= sections_.size())
    return malformed(fmt::format("section names in section {} of {}", names_index, sections_.size()));
  std::vector<std::byte> names = TRY(content(sections_[names_index], kSectionNamesBytesMost));
  for (size_t i = 0; i < name_offsets.size(); i++) {
    if (name_offsets[i] >= names.size()) continue;  // a section without a name
    auto *name = reinterpret_cast<const char *>(names.data()) + name_offsets[i];
    // Sections may share a name's bytes, so the sum of all is not bounded by
    // the table; a real name is far below 256 bytes.
    sections_[i].name.assign(name, ::strnlen(name, std::min<size_t>(names.size() - name_offsets[i], 256)));
  }
  return {};
}

void ElfFile::read_build_id(uint64_t offset, uint64_t bytes) {
  std::vector<std::byte> notes(std::min(bytes, kNoteBytesMost));
  if (read(offset, notes, "a note")) build_id_ = find_build_id(notes);
}

const ElfSection *ElfFile::find_section(std::string_view name) const {
  auto found = std::find_if(sections_.begin(), sections_.end(), [&](const ElfSection &s) { return s.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

bool ElfFile::has_symtab() const {
  return std::any_of(sections_.begin(), sections_.end(), [](const ElfSection &s) { return s.type == SHT_SYMTAB; });
}

Result<std::vector<std::byte>> ElfFile::content(const ElfSection &section, size_t bytes_most) const {
  if (section.type == SHT_NOBITS) return std::vector<std::byte>();
  if (section.offset > size() || section.bytes > size() - section.offset)
    return malformed(fmt::format("section '{}' at {:#x} of {:#x} bytes lies beyond the file's end at {:#x}",
                                 section.name, section.offset, section.bytes, size()));
  if (section.bytes > bytes_most)
    return fail(ErrorCode::kExhausted, fmt::format("section '{}' is too large", section.name),
                fmt::format("{} bytes, {} are read at most", section.bytes, bytes_most));
  std::vector<std::byte> bytes(section.bytes);
  TRY(read(section.offset, bytes, "a section"));
  return bytes;
}

Result<ElfDebugLink> ElfFile::debug_link() const {
  const ElfSection *section = find_section(".gnu_debuglink");
  if (section == nullptr) return fail(ErrorCode::kNotFound, "the ELF file names no debug file");
  std::vector<std::byte> bytes = TRY(content(*section, 4096));
  if (bytes.empty()) return malformed("section '.gnu_debuglink' is empty");
  auto *name = reinterpret_cast<const char *>(bytes.data());
  size_t name_bytes = ::strnlen(name, bytes.size());
  size_t crc_at = (name_bytes + 1 + 3) & ~size_t{3};
  if (crc_at + sizeof(uint32_t) > bytes.size()) return malformed("section '.gnu_debuglink' ends in its file name");
  ElfDebugLink link{std::string(name, name_bytes), value_at<uint32_t>(bytes, crc_at)};
  if (link.file_name.empty() || link.file_name.find('/') != std::string::npos)
    return malformed("section '.gnu_debuglink' holds no file name");
  return link;
}

Result<ElfFunctions> ElfFile::functions(ElfSymbolTable table, size_t bytes_most) const {
  uint32_t type = table == ElfSymbolTable::kSymtab ? SHT_SYMTAB : SHT_DYNSYM;
  ElfFunctions functions;
  for (const ElfSection &section : sections_) {
    if (section.type != type) continue;
    if (section.link >= sections_.size())
      return malformed(fmt::format("names of '{}' in section {} of {}", section.name, section.link, sections_.size()));
    TRY(read_symbols(section, bytes_most, functions));
    TRY(read_function_names(sections_[section.link], bytes_most, functions));
    break;  // a file has at most one of each
  }
  return functions;
}

// Leaves in each row's `name` where the name is in the file's string table.
Result<void> ElfFile::read_symbols(const ElfSection &section, size_t bytes_most, ElfFunctions &functions) const {
  constexpr size_t kSymbolsAtOnce = kPieceBytes / sizeof(Elf64_Sym);
  uint64_t count = section.bytes / sizeof(Elf64_Sym);
  std::vector<std::byte> piece(std::min<uint64_t>(count, kSymbolsAtOnce) * sizeof(Elf64_Sym));
  for (uint64_t done = 0; done < count; done += kSymbolsAtOnce) {
    piece.resize(std::min<uint64_t>(count - done, kSymbolsAtOnce) * sizeof(Elf64_Sym));
    TRY(read(section.offset + done * sizeof(Elf64_Sym), piece, "the symbol table"));
    for (size_t at = 0; at < piece.size(); at += sizeof(Elf64_Sym)) {
      auto symbol = value_at<Elf64_Sym>(piece, at);
      if (!is_function(symbol, sections_)) continue;
      bool sized = symbol.st_size != 0;
      uint32_t bytes = sized ? clamp_bytes(symbol.st_size) : bytes_to_section_end(symbol, sections_);
      bool picks_another = ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC;
      functions.rows.push_back({symbol.st_value, bytes, symbol.st_name, binding_of(symbol), sized, picks_another});
      if (functions.rows.size() * sizeof(ElfFunction) > bytes_most)
        return fail(ErrorCode::kExhausted, "the ELF file has too many functions",
                    fmt::format("more than {}, which take {} bytes", functions.rows.size(), bytes_most));
    }
  }
  return {};
}

// Copies the functions' names and no others: data objects and undefined symbols
// are half of a typical table. In the order of the file, so that pieces of the
// string table are read once.
Result<void> ElfFile::read_function_names(const ElfSection &names, size_t bytes_most, ElfFunctions &functions) const {
  std::vector<uint32_t> order(functions.rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return functions.rows[a].name < functions.rows[b].name; });

  std::vector<std::byte> piece;
  uint64_t piece_start = 0;
  uint32_t last_offset = 0, last_name = 0;  // offset 0 is no function's
  for (uint32_t index : order) {
    uint32_t offset = functions.rows[index].name;
    if (offset == last_offset) {
      functions.rows[index].name = last_name;
      continue;
    }
    if (offset >= names.bytes)
      return malformed(fmt::format("a name at {:#x} of a string table of {:#x} bytes", offset, names.bytes));
    size_t wanted = std::min<uint64_t>(names.bytes - offset, kNameBytesMost);
    if (piece.empty() || offset + wanted > piece_start + piece.size()) {
      piece_start = offset;
      piece.resize(std::min<uint64_t>(names.bytes - offset, kPieceBytes));
      if (names.offset > size()) return malformed(fmt::format("a string table at {:#x}", names.offset));
      TRY(read(names.offset + offset, piece, "the string table"));
    }
    auto *name = reinterpret_cast<const char *>(piece.data()) + (offset - piece_start);
    std::string_view text(name, ::strnlen(name, wanted));
    text = text.substr(0, text.find('@'));
    last_offset = offset;
    last_name = static_cast<uint32_t>(functions.names.size());
    functions.rows[index].name = last_name;
    size_t limit = std::min<size_t>(bytes_most, std::numeric_limits<uint32_t>::max());
    size_t used = functions.rows.size() * sizeof(ElfFunction) + functions.names.size();
    if (used + text.size() + 1 > limit)
      return fail(ErrorCode::kExhausted, "the names of the ELF file's functions are too long",
                  fmt::format("{} functions take more than {} bytes", functions.rows.size(), bytes_most));
    functions.names.append(text) += '\0';
  }
  return {};
}

}  // namespace waggle
