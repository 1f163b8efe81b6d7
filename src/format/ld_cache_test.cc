#include "format/ld_cache.h"

#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
namespace {

struct Library {
  uint32_t flags;
  std::string name, path;
};

std::string cache_of(const std::vector<Library> &libraries, const std::string &before = {}) {
  std::string head = "glibc-ld.so.cache1.1", table, texts;
  auto put = [](std::string &out, uint32_t word) { out.append(reinterpret_cast<const char *>(&word), 4); };
  size_t texts_at = 48 + 24 * libraries.size();
  for (const Library &library : libraries) {
    put(table, library.flags);
    put(table, static_cast<uint32_t>(texts_at + texts.size()));
    texts += library.name + '\0';
    put(table, static_cast<uint32_t>(texts_at + texts.size()));
    texts += library.path + '\0';
    table.append(12, '\0');
  }
  put(head, static_cast<uint32_t>(libraries.size()));
  put(head, static_cast<uint32_t>(texts.size()));
  head.append(20, '\0');
  return before + head + table + texts;
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

#if defined(__x86_64__)
constexpr uint32_t kHere = 0x0303, kElsewhere = 0x0803;
#else
constexpr uint32_t kHere = 0x0a03, kElsewhere = 0x0303;
#endif

TEST(LdCache, NamesTheLibrariesOfThisProcessor) {
  std::vector<Library> libraries = {{kHere, "libc.so.6", "/lib/here/libc.so.6"},
                                    {kElsewhere, "libc.so.6", "/lib/elsewhere/libc.so.6"},
                                    {kHere, "libz.so.1", "/lib/here/libz.so.1"},
                                    {kHere, "libodd.so.1", "relative"}};
  for (const std::string &before : {std::string(), std::string("ld.so-1.7.0 and its table")}) {
    std::string bytes = cache_of(libraries, before);
    auto parsed = parse_ld_cache(as_bytes(bytes));
    ASSERT_TRUE(parsed);
    ASSERT_EQ(parsed->size(), 2u);
    EXPECT_EQ((*parsed)[0].name, "libc.so.6");
    EXPECT_EQ((*parsed)[0].path, "/lib/here/libc.so.6");
    EXPECT_EQ((*parsed)[1].path, "/lib/here/libz.so.1");
  }
}

TEST(LdCache, AnyBytesAreLibrariesOrAnError) {
  std::string whole = cache_of({{kHere, "libc.so.6", "/lib/libc.so.6"}});
  for (size_t cut = 0; cut < whole.size(); cut++) {
    auto parsed = parse_ld_cache(as_bytes(std::string_view(whole).substr(0, cut)));
    EXPECT_EQ(parsed.has_value(), cut >= 48 + 24) << cut;
  }
  whole[20] = '\x7f';
  EXPECT_FALSE(parse_ld_cache(as_bytes(whole)));
  EXPECT_FALSE(parse_ld_cache({}));
}

}  // namespace
}  // namespace waggle
