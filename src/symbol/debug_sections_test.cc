#include "symbol/debug_sections.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "format/elf_sample.h"

namespace waggle {
namespace {

std::string text_of(const std::vector<std::byte> &bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

std::string compressed(uint32_t type, const std::string &content, uint64_t claimed) {
  Elf64_Chdr header = {type, 0, claimed, 1};
  std::string made(reinterpret_cast<const char *>(&header), sizeof(header));
  std::string body(content.size() + 1024, '\0');
  if (type == ELFCOMPRESS_ZLIB) {
    uLongf bytes = body.size();
    ::compress(reinterpret_cast<Bytef *>(body.data()), &bytes, reinterpret_cast<const Bytef *>(content.data()),
               content.size());
    body.resize(bytes);
  } else {
    body.resize(ZSTD_compress(body.data(), body.size(), content.data(), content.size(), 1));
  }
  return made + body;
}

TEST(DebugSections, AreDecompressed) {
  const std::string content = std::string(5000, 'a') + "end";
  const uint64_t bytes = content.size();
  struct Case {
    const char *title;
    std::string section;
    uint64_t flags;
    bool is_read;
  };
  const Case cases[] = {
      {"as it is", content, 0, true},
      {"zlib", compressed(1, content, bytes), SHF_COMPRESSED, true},
      {"zstd", compressed(2, content, bytes), SHF_COMPRESSED, true},
      {"zlib that is shorter than it says", compressed(1, content, bytes + 1), SHF_COMPRESSED, false},
      {"zlib that is longer than it says", compressed(1, content, bytes - 1), SHF_COMPRESSED, false},
      {"zstd that is longer than it says", compressed(2, content, bytes - 1), SHF_COMPRESSED, false},
      {"larger than the limit", compressed(1, content, 1 << 20), SHF_COMPRESSED, false},
      {"another compression", compressed(1, content, bytes).replace(0, 1, "\x07"), SHF_COMPRESSED, false},
      {"cut off in its header", "short", SHF_COMPRESSED, false},
      {"cut off in its content", compressed(1, content, bytes).substr(0, 40), SHF_COMPRESSED, false},
  };
  for (const Case &each : cases) {
    SCOPED_TRACE(each.title);
    ElfSample sample;
    sample.more = {{".debug_str", each.section, each.flags}};
    std::vector<std::byte> file = sample.build();
    Result<ElfFile> elf = ElfFile::open(file);
    ASSERT_TRUE(elf);
    Result<std::vector<std::byte>> read = decompressed(*elf, *elf->find_section(".debug_str"), 1 << 16);
    ASSERT_EQ(read.has_value(), each.is_read);
    if (read) {
      EXPECT_EQ(text_of(*read), content);
    }
  }
}

TEST(DebugSections, AreThoseOfTheDebugFile) {
  char name[] = "/tmp/waggle_debug_XXXXXX";
  std::string folder = ::mkdtemp(name);
  auto write = [&](const std::string &path, const ElfSample &sample) {
    std::vector<std::byte> bytes = sample.build();
    std::ofstream(folder + path)
        .write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  };
  ElfSample bare, full, with_btf;
  bare.debug_link = "program.debug";
  full.more = {{".debug_info", "entries"}, {".debug_str", "names"}};
  with_btf.more = {{".BTF", "types"}};
  write("/program", bare);
  write("/with_btf", with_btf);
  Result<DebugSections> none = read_debug_sections(folder + "/program", folder + "/program", 0);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(none.error().what, "No debuginfo found for " + folder + "/program");
  write("/program.debug", full);
  Result<DebugSections> found = read_debug_sections(folder + "/program", folder + "/program", 0);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(text_of(found->info), "entries");
  EXPECT_EQ(text_of(found->str), "names");
  EXPECT_EQ(found->segments.size(), 1u);
  Result<DebugSections> btf = read_debug_sections(folder + "/with_btf", folder + "/with_btf", 0);
  ASSERT_TRUE(btf) << btf.error().text();
  EXPECT_EQ(text_of(btf->btf), "types");
  EXPECT_TRUE(btf->info.empty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace waggle
