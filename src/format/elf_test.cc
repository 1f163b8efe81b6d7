#include "format/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/fd.h"
#include "format/elf_sample.h"

namespace waggle {
namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
T get(const Bytes &bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <typename T>
void edit(Bytes &bytes, size_t offset, const std::function<void(T &)> &change) {
  T value = get<T>(bytes, offset);
  change(value);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void edit_header(Bytes &bytes, const std::function<void(Elf64_Ehdr &)> &change) {
  edit<Elf64_Ehdr>(bytes, 0, change);
}

void edit_section(Bytes &bytes, size_t index, const std::function<void(Elf64_Shdr &)> &change) {
  edit<Elf64_Shdr>(bytes, get<Elf64_Ehdr>(bytes, 0).e_shoff + index * sizeof(Elf64_Shdr), change);
}

ElfSample sample() {
  ElfSample sample;
  sample.debug_link = "sample.debug";
  sample.debug_link_crc = 0x12345678;
  sample.symtab = {
      {"main", 0x1000, 0x20},
      {"helper", 0x1020, 0x10, STB_LOCAL},
      {"weak@@VERSION_2", 0x1030, 0x10, STB_WEAK},
      {"chosen", 0x1040, 0x10, STB_GLOBAL, STT_GNU_IFUNC},
      {"label", 0x1f00, 0, STB_GLOBAL, STT_NOTYPE},
      {"local_label", 0x1f10, 0, STB_LOCAL, STT_NOTYPE},
      {"data", 0x1050, 8, STB_GLOBAL, STT_OBJECT},
      {"elsewhere", 0x1060, 8, STB_GLOBAL, STT_FUNC, SHN_UNDEF},
  };
  sample.dynsym = {{"main", 0x1000, 0x20}};
  return sample;
}

TEST(ElfFile, ReadsASample) {
  Bytes bytes = sample().build();
  Result<ElfFile> file = ElfFile::open(bytes);
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_TRUE(file->position_independent());
  EXPECT_EQ(file->build_id(), "0123456789abcdef");
  ASSERT_EQ(file->segments().size(), 1u);
  EXPECT_EQ(file->segments()[0].address, 0x1000u);
  EXPECT_TRUE(file->segments()[0].executable);
  EXPECT_TRUE(file->has_symtab());
  ASSERT_NE(file->find_section(".text"), nullptr);
  EXPECT_EQ(file->find_section(".text")->bytes, 0x1000u);
  EXPECT_EQ(file->find_section(".nothing"), nullptr);

  Result<ElfDebugLink> link = file->debug_link();
  ASSERT_TRUE(link);
  EXPECT_EQ(link->file_name, "sample.debug");
  EXPECT_EQ(link->crc32, 0x12345678u);

  struct Expected {
    std::string name;
    uint64_t address;
    uint32_t bytes;
    ElfBinding binding;
    bool sized;
  };
  const Expected kExpected[] = {
      {"main", 0x1000, 0x20, ElfBinding::kGlobal, true},    {"helper", 0x1020, 0x10, ElfBinding::kLocal, true},
      {"weak", 0x1030, 0x10, ElfBinding::kWeak, true},      {"chosen", 0x1040, 0x10, ElfBinding::kGlobal, true},
      {"label", 0x1f00, 0x100, ElfBinding::kGlobal, false},
  };
  Result<ElfFunctions> functions = file->functions(ElfSymbolTable::kSymtab, 1 << 20);
  ASSERT_TRUE(functions) << functions.error().text();
  ASSERT_EQ(functions->rows.size(), std::size(kExpected));
  for (size_t i = 0; i < functions->rows.size(); i++) {
    const ElfFunction &row = functions->rows[i];
    EXPECT_EQ(functions->name(row), kExpected[i].name);
    EXPECT_EQ(row.address, kExpected[i].address);
    EXPECT_EQ(row.bytes, kExpected[i].bytes);
    EXPECT_EQ(row.binding, kExpected[i].binding);
    EXPECT_EQ(row.sized, kExpected[i].sized);
  }
  EXPECT_EQ(file->functions(ElfSymbolTable::kDynsym, 1 << 20)->rows.size(), 1u);

  Result<ElfFunctions> too_many = file->functions(ElfSymbolTable::kSymtab, 4 * sizeof(ElfFunction));
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, ErrorCode::kExhausted);
}

TEST(ElfFile, RejectsWhatItCannotRead) {
  struct Case {
    const char *name;
    std::function<void(Bytes &)> change;
    ErrorCode code;
    std::string_view words;  // of the message
  };
  const Case kCases[] = {
      {"empty", [](Bytes &b) { b.clear(); }, ErrorCode::kInvalid, "it has 0 bytes"},
      {"script", [](Bytes &b) { std::memcpy(b.data(), "#!/b", 4); }, ErrorCode::kInvalid, "begins with 23212f62"},
      {"header cut", [](Bytes &b) { b.resize(40); }, ErrorCode::kInvalid, "ELF header"},
      {"32 bits", [](Bytes &b) { b[EI_CLASS] = std::byte{ELFCLASS32}; }, ErrorCode::kUnsupported, "not of 64 bits"},
      {"big-endian", [](Bytes &b) { b[EI_DATA] = std::byte{ELFDATA2MSB}; }, ErrorCode::kUnsupported, "little-endian"},
      {"object file", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_type = ET_REL; }); }, ErrorCode::kUnsupported,
       "neither a program nor a shared object"},
      {"core", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_type = ET_CORE; }); }, ErrorCode::kUnsupported,
       "type 4"},
      {"program header size", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_phentsize = 32; }); },
       ErrorCode::kInvalid, "program headers of 32 bytes"},
      {"program headers outside", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_phoff = ~uint64_t{0} - 8; }); },
       ErrorCode::kInvalid, "program header table at 0xfffffffffffffff7"},
      {"too many program headers",
       [](Bytes &b) {
         edit_header(b, [](auto &h) { h.e_phnum = PN_XNUM; });
         edit_section(b, 0, [](auto &s) { s.sh_info = 1u << 31; });
       },
       ErrorCode::kExhausted, "2147483648 program headers"},
      {"sections outside", [](Bytes &b) { edit_header(b, [&](auto &h) { h.e_shoff = b.size() - 64; }); },
       ErrorCode::kInvalid, "section header table"},
      {"section header size", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_shentsize = 0; }); }, ErrorCode::kInvalid,
       "section headers of 0 bytes"},
      {"too many sections",
       [](Bytes &b) {
         edit_header(b, [](auto &h) { h.e_shnum = 0; });
         edit_section(b, 0, [](auto &s) { s.sh_size = ~uint64_t{0}; });
       },
       ErrorCode::kExhausted, "sections"},
      {"names section", [](Bytes &b) { edit_header(b, [](auto &h) { h.e_shstrndx = 99; }); }, ErrorCode::kInvalid,
       "section names in section 99 of 9"},
      {"names outside", [](Bytes &b) { edit_section(b, 8, [](auto &s) { s.sh_offset = 1 << 30; }); },
       ErrorCode::kInvalid, "beyond the file's end"},
      {"truncated", [](Bytes &b) { b.resize(b.size() / 2); }, ErrorCode::kInvalid, "beyond the file's end"},
  };
  for (const Case &c : kCases) {
    Bytes bytes = sample().build();
    c.change(bytes);
    Result<ElfFile> file = ElfFile::open(bytes);
    ASSERT_FALSE(file) << c.name;
    EXPECT_EQ(file.error().code, c.code) << c.name;
    EXPECT_NE(file.error().text().find(c.words), std::string::npos) << c.name << ": " << file.error().text();
  }
}

TEST(ElfFile, RejectsBrokenSymbolTables) {
  struct Case {
    const char *name;
    std::function<void(Bytes &)> change;
    std::string_view words;  // empty: that is no error
  };
  const Case kCases[] = {
      {"symbols outside", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_offset = ~uint64_t{0}; }); },
       "the symbol table at 0xffffffffffffffff"},
      {"endless symbols", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_size = ~uint64_t{0}; }); },
       "the symbol table"},
      {"no such string table", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_link = 77; }); },
       "names of '.symtab' in section 77 of 9"},
      {"names outside", [](Bytes &b) { edit_section(b, 4, [](auto &s) { s.sh_offset = ~uint64_t{0} - 4; }); },
       "a string table at"},
      {"names cut", [](Bytes &b) { edit_section(b, 4, [](auto &s) { s.sh_size = 3; }); }, "a name at"},
      {"name without an end", [](Bytes &b) { edit_section(b, 4, [](auto &s) { s.sh_size -= 1; }); }, ""},
      {"no table", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_type = SHT_NOBITS; }); }, ""},
      {"odd size", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_size -= 1; }); }, ""},
      {"no symbols", [](Bytes &b) { edit_section(b, 3, [](auto &s) { s.sh_size = 0; }); }, ""},
  };
  for (const Case &c : kCases) {
    Bytes bytes = sample().build();
    c.change(bytes);
    Result<ElfFile> file = ElfFile::open(bytes);
    ASSERT_TRUE(file) << c.name << file.error().text();
    Result<ElfFunctions> functions = file->functions(ElfSymbolTable::kSymtab, 1 << 20);
    ASSERT_EQ(functions.has_value(), c.words.empty()) << c.name;
    if (functions) continue;
    EXPECT_EQ(functions.error().code, ErrorCode::kInvalid) << c.name;
    EXPECT_NE(functions.error().text().find(c.words), std::string::npos) << c.name << functions.error().text();
  }
}

TEST(ElfFile, LeavesOutBrokenNotesAndLinks) {
  struct Case {
    const char *name;
    std::function<void(Bytes &)> change;
    std::string_view build_id;
    bool link;
  };
  auto edit_note = [](Bytes &b, const std::function<void(Elf64_Nhdr &)> &change) {
    edit<Elf64_Nhdr>(b, get<Elf64_Phdr>(b, 64 + 56).p_offset, change);
  };
  const Case kCases[] = {
      {"whole", [](Bytes &) {}, "0123456789abcdef", true},
      {"id of a shorter length", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_descsz = 3; }); }, "012345", true},
      {"id beyond the note", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_descsz = 9; }); }, "", true},
      {"endless id", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_descsz = ~0u; }); }, "", true},
      {"endless name", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_namesz = ~0u; }); }, "", true},
      {"empty id", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_descsz = 0; }); }, "", true},
      {"another note", [&](Bytes &b) { edit_note(b, [](auto &n) { n.n_type = 1; }); }, "", true},
      {"note of no segment", [](Bytes &b) { edit<Elf64_Phdr>(b, 64 + 56, [](auto &p) { p.p_type = PT_NULL; }); },
       "0123456789abcdef", true},
      {"link cut", [](Bytes &b) { edit_section(b, 7, [](auto &s) { s.sh_size = 14; }); }, "0123456789abcdef", false},
      {"link empty", [](Bytes &b) { edit_section(b, 7, [](auto &s) { s.sh_size = 0; }); }, "0123456789abcdef", false},
      {"link outside", [](Bytes &b) { edit_section(b, 7, [](auto &s) { s.sh_offset = ~uint64_t{0}; }); },
       "0123456789abcdef", false},
      {"link with a directory",
       [](Bytes &b) { b[get<Elf64_Shdr>(b, get<Elf64_Ehdr>(b, 0).e_shoff + 7 * 64).sh_offset + 2] = std::byte{'/'}; },
       "0123456789abcdef", false},
  };
  for (const Case &c : kCases) {
    Bytes bytes = sample().build();
    c.change(bytes);
    Result<ElfFile> file = ElfFile::open(bytes);
    ASSERT_TRUE(file) << c.name << file.error().text();
    EXPECT_EQ(file->build_id(), c.build_id) << c.name;
    EXPECT_EQ(file->debug_link().has_value(), c.link) << c.name;
  }
}

TEST(ElfFile, NeverReadsBeyondATruncatedFile) {
  Bytes whole = sample().build();
  for (size_t bytes = 0; bytes < whole.size(); bytes += 7) {
    // A copy of its own length, so that the sanitizer sees a byte too far.
    Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(bytes));
    Result<ElfFile> file = ElfFile::open(cut);
    if (file) (void)file->functions(ElfSymbolTable::kSymtab, 1 << 20);
  }
}

// A file whose bytes end sooner than it says, as when it is truncated meanwhile.
TEST(ElfFile, ReportsBytesThatCannotBeRead) {
  class Broken : public ElfBytes {
    uint64_t size() const override { return 1 << 20; }
    bool read(uint64_t, std::span<std::byte>) const override { return false; }
  };
  Result<ElfFile> file = ElfFile::open(std::make_unique<Broken>());
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kFailed);
}

TEST(ElfFile, ReadsThisTest) {
  Result<std::string> text = read_file("/proc/self/exe", 1u << 30);
  ASSERT_TRUE(text);
  Result<ElfFile> file = ElfFile::open(std::as_bytes(std::span(*text)));
  ASSERT_TRUE(file) << file.error().text();
  Result<ElfFunctions> functions = file->functions(ElfSymbolTable::kSymtab, 256 << 20);
  ASSERT_TRUE(functions) << functions.error().text();
  auto main_function = std::find_if(functions->rows.begin(), functions->rows.end(),
                                    [&](const ElfFunction &row) { return functions->name(row) == "main"; });
  ASSERT_NE(main_function, functions->rows.end());
  const ElfSection *code = file->find_section(".text");
  ASSERT_NE(code, nullptr);
  EXPECT_GE(main_function->address, code->address);
  EXPECT_LT(main_function->address, code->address + code->bytes);
}

}  // namespace
}  // namespace waggle
