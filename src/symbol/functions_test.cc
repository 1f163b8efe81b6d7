#include "symbol/functions.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

ElfFunctions functions_of(std::initializer_list<std::tuple<const char *, uint64_t, uint32_t, ElfBinding, bool>> rows) {
  ElfFunctions functions;
  for (auto [name, address, bytes, binding, sized] : rows) {
    functions.rows.push_back({address, bytes, static_cast<uint32_t>(functions.names.size()), binding, sized});
    functions.names += std::string(name) + '\0';
  }
  return functions;
}

TEST(ElfFunctionTable, FindsTheBestName) {
  using enum ElfBinding;
  ElfFunctionTable table(functions_of({
      {"__libc_read", 0x100, 0x10, kGlobal, true},
      {"read", 0x100, 0x10, kWeak, true},
      {"__read", 0x100, 0x10, kGlobal, true},
      {"free", 0x110, 0x10, kGlobal, true},
      {"cfree", 0x110, 0x10, kGlobal, true},
      {"static_alias", 0x120, 0x10, kLocal, true},
      {"public_alias", 0x120, 0x10, kGlobal, true},
      {"outer", 0x200, 0x100, kGlobal, true},
      {"label_inside", 0x240, 0x800, kGlobal, false},
      {"unsized", 0x400, 0xc00, kGlobal, false},
      {"unsized_too", 0x500, 0x20, kGlobal, false},
      {"_ZN3foo3barEi", 0x600, 0x10, kLocal, true},
      {"top", ~uint64_t{0} - 1, 0x10, kLocal, true},
  }));
  struct Case {
    uint64_t address;
    std::string_view name;  // empty: none
    uint64_t start;
  };
  constexpr Case kCases[] = {
      {0xff, "", 0},
      {0x100, "read", 0x100},
      {0x10f, "read", 0x100},
      {0x110, "free", 0x110},
      {0x12f, "public_alias", 0x120},
      {0x130, "", 0},  // a gap is nobody's
      {0x23f, "outer", 0x200},
      {0x300, "label_inside", 0x240},
      {0x3ff, "label_inside", 0x240},  // up to the next one
      {0x4ff, "unsized", 0x400},
      {0x51f, "unsized_too", 0x500},
      {0x520, "", 0},
      {0x605, "foo::bar(int)", 0x600},
      {0x605, "foo::bar(int)", 0x600},  // from the cache
      {~uint64_t{0}, "top", ~uint64_t{0} - 1},
      {0, "", 0},
  };
  for (const Case &c : kCases) {
    std::optional<FoundFunction> found = table.find(c.address);
    ASSERT_EQ(found.has_value(), !c.name.empty()) << std::hex << c.address;
    if (!found) continue;
    EXPECT_EQ(found->name, c.name);
    EXPECT_EQ(found->start, c.start);
  }
  EXPECT_FALSE(ElfFunctionTable(ElfFunctions()).find(0));
}

TEST(PerfMap, TakesWholeLines) {
  PerfMap map;
  std::string_view first = "7f0000001000 40 LazyCompile:*fib /app.js:1\n0x7f0000002000 0x10 Builtin\n7f00000";
  EXPECT_EQ(map.append(first), first.size() - 7);
  EXPECT_EQ(map.size(), 2u);
  std::string_view second =
      "7f0000003000 20 third\n"
      "not a line\n"
      "7f0000004000 0 empty\n"
      "7f0000004000 10\n"
      "7f0000004000 10 \n"
      "zz 10 name\n"
      "\n"
      "7f0000001020 40 moved in\n"
      "7f0000002000 10 recompiled\n";
  EXPECT_EQ(map.append(second), second.size());
  struct Case {
    uint64_t address;
    std::string_view name;
  };
  constexpr Case kCases[] = {
      {0x7f0000001000, "LazyCompile:*fib /app.js:1"},
      {0x7f000000101f, "LazyCompile:*fib /app.js:1"},
      {0x7f0000001020, "moved in"},  // the newer line
      {0x7f000000105f, "moved in"},
      {0x7f0000001060, ""},
      {0x7f0000002008, "recompiled"},
      {0x7f000000301f, "third"},
      {0x7f0000004000, ""},
      {0, ""},
  };
  for (const Case &c : kCases) {
    std::optional<FoundFunction> found = map.find(c.address);
    EXPECT_EQ(found ? found->name : "", c.name) << std::hex << c.address;
  }
}

}  // namespace
}  // namespace waggle
