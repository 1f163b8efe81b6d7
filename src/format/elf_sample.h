// A small ELF file made in memory, for tests and for the fuzzer: what no linker
// here would write can be written with it.
#pragma once

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace waggle {

struct ElfSample {
  struct Symbol {
    std::string name;
    uint64_t address, bytes;
    int binding = STB_GLOBAL, type = STT_FUNC;
    uint16_t section = 1;  // .text
  };

  struct Section {
    std::string name, content;
    uint64_t flags = 0;
  };

  uint16_t type = ET_DYN;
  uint64_t text_offset = 0x1000, text_address = 0x1000, text_bytes = 0x1000;
  std::string build_id = "\x01\x23\x45\x67\x89\xab\xcd\xef";
  std::string debug_link;  // empty: no section
  uint32_t debug_link_crc = 0;
  std::vector<Symbol> symtab, dynsym;
  std::vector<Section> more;

  std::vector<std::byte> build() const;
};

namespace elf_sample_detail {

class Writer {
 public:
  size_t at() const { return out_.size(); }
  void pad_to(size_t offset) { out_.resize(std::max(offset, out_.size())); }
  void align() { pad_to((at() + 7) & ~size_t{7}); }
  void append(const void *data, size_t bytes) {
    auto *from = static_cast<const std::byte *>(data);
    out_.insert(out_.end(), from, from + bytes);
  }
  template <typename T>
  void put(size_t offset, const T &value) {
    pad_to(offset + sizeof value);
    std::memcpy(out_.data() + offset, &value, sizeof value);
  }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

}  // namespace elf_sample_detail

// Sections: 0 null, 1 .text, 2 .note.gnu.build-id, 3 .symtab, 4 .strtab,
// 5 .dynsym, 6 .dynstr, 7 .gnu_debuglink (may be empty), 8 .shstrtab, then `more`.
inline std::vector<std::byte> ElfSample::build() const {
  elf_sample_detail::Writer out;
  std::vector<Elf64_Shdr> sections(9 + more.size());
  std::string section_names(1, '\0');
  auto begin = [&](size_t index, const char *name, uint32_t section_type) {
    out.align();
    sections[index].sh_name = static_cast<uint32_t>(section_names.size());
    section_names += std::string(name) + '\0';
    sections[index].sh_type = section_type;
    sections[index].sh_offset = out.at();
  };
  auto end = [&](size_t index) { sections[index].sh_size = out.at() - sections[index].sh_offset; };
  auto symbols = [&](size_t index, const char *name, const char *strings_name, uint32_t section_type,
                     const std::vector<Symbol> &rows) {
    std::string strings(1, '\0');
    begin(index, name, section_type);
    Elf64_Sym none = {};
    out.append(&none, sizeof none);
    for (const Symbol &row : rows) {
      Elf64_Sym symbol = {};
      symbol.st_name = static_cast<uint32_t>(strings.size());
      strings += row.name + '\0';
      symbol.st_value = row.address;
      symbol.st_size = row.bytes;
      symbol.st_info = static_cast<unsigned char>(ELF64_ST_INFO(row.binding, row.type));
      symbol.st_shndx = row.section;
      out.append(&symbol, sizeof symbol);
    }
    end(index);
    sections[index].sh_link = static_cast<uint32_t>(index + 1);
    sections[index].sh_entsize = sizeof(Elf64_Sym);
    begin(index + 1, strings_name, SHT_STRTAB);
    out.append(strings.data(), strings.size());
    end(index + 1);
  };

  constexpr size_t kSegments = 2;
  out.pad_to(sizeof(Elf64_Ehdr) + kSegments * sizeof(Elf64_Phdr));

  begin(2, ".note.gnu.build-id", SHT_NOTE);
  Elf64_Nhdr note = {4, static_cast<uint32_t>(build_id.size()), NT_GNU_BUILD_ID};
  out.append(&note, sizeof note);
  out.append("GNU", 4);
  out.append(build_id.data(), build_id.size());
  end(2);
  symbols(3, ".symtab", ".strtab", SHT_SYMTAB, symtab);
  symbols(5, ".dynsym", ".dynstr", SHT_DYNSYM, dynsym);
  begin(7, ".gnu_debuglink", SHT_PROGBITS);
  if (!debug_link.empty()) {
    size_t start = out.at();
    out.append(debug_link.c_str(), debug_link.size() + 1);
    out.pad_to(start + ((debug_link.size() + 1 + 3) & ~size_t{3}));
    out.append(&debug_link_crc, sizeof debug_link_crc);
  }
  end(7);
  for (size_t i = 0; i < more.size(); i++) {
    begin(9 + i, more[i].name.c_str(), SHT_PROGBITS);
    out.append(more[i].content.data(), more[i].content.size());
    sections[9 + i].sh_flags = more[i].flags;
    end(9 + i);
  }
  begin(8, ".shstrtab", SHT_STRTAB);
  section_names += std::string(".text") + '\0';
  out.append(section_names.data(), section_names.size());
  end(8);
  sections[1] = {static_cast<uint32_t>(section_names.size() - 6),
                 SHT_PROGBITS,
                 SHF_ALLOC | SHF_EXECINSTR,
                 text_address,
                 text_offset,
                 text_bytes,
                 0,
                 0,
                 16,
                 0};
  out.align();
  size_t sections_at = out.at() > text_offset ? out.at() : text_offset + text_bytes;
  for (size_t i = 0; i < sections.size(); i++) out.put(sections_at + i * sizeof(Elf64_Shdr), sections[i]);

  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = type;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_shoff = sections_at;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = kSegments;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<uint16_t>(sections.size());
  header.e_shstrndx = 8;
  out.put(0, header);
  Elf64_Phdr load = {PT_LOAD, PF_R | PF_X, text_offset, text_address, text_address, text_bytes, text_bytes, 0x1000};
  Elf64_Phdr notes = {PT_NOTE, PF_R, sections[2].sh_offset, 0, 0, sections[2].sh_size, sections[2].sh_size, 4};
  out.put(sizeof header, load);
  out.put(sizeof header + sizeof load, notes);
  return out.take();
}

}  // namespace waggle
