#include "format/stapsdt.h"

#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
namespace {

using Where = UsdtArgument::Where;

std::string note(uint32_t type, std::string_view owner, std::string_view content) {
  std::string bytes;
  auto put = [&](uint32_t word) { bytes.append(reinterpret_cast<const char *>(&word), 4); };
  put(static_cast<uint32_t>(owner.size()));
  put(static_cast<uint32_t>(content.size()));
  put(type);
  bytes += owner;
  bytes.resize((bytes.size() + 3) & ~size_t{3});
  bytes += content;
  bytes.resize((bytes.size() + 3) & ~size_t{3});
  return bytes;
}

std::string content(uint64_t address, uint64_t base, uint64_t semaphore, std::string_view texts) {
  std::string bytes;
  for (uint64_t each : {address, base, semaphore}) bytes.append(reinterpret_cast<const char *>(&each), 8);
  return bytes.append(texts);
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

constexpr std::string_view kOwner("stapsdt\0", 8);

TEST(Stapsdt, ReadsNotes) {
  std::string section = note(3, kOwner, content(0x1130, 0x2004, 0x4010, {"app\0began\0-4@%edi 8@$5\0", 23})) +
                        note(1, {"GNU\0", 4}, "else") + note(3, kOwner, content(0x1140, 0, 0, {"app\0ended\0\0", 11}));
  auto notes = parse_stapsdt(as_bytes(section));
  ASSERT_TRUE(notes);
  ASSERT_EQ(notes->size(), 2u);
  const StapsdtNote &first = (*notes)[0], &second = (*notes)[1];
  EXPECT_EQ(first.address, 0x1130u);
  EXPECT_EQ(first.base, 0x2004u);
  EXPECT_EQ(first.semaphore, 0x4010u);
  EXPECT_EQ(first.provider, "app");
  EXPECT_EQ(first.name, "began");
  EXPECT_EQ(first.arguments, "-4@%edi 8@$5");
  EXPECT_EQ(second.name, "ended");
  EXPECT_EQ(second.arguments, "");
}

TEST(Stapsdt, AnyBytesAreNotesOrAnError) {
  std::string whole = note(3, kOwner, content(1, 2, 3, {"a\0b\0\0", 5}));
  for (size_t cut = 0; cut < whole.size(); cut++) {
    auto notes = parse_stapsdt(as_bytes(std::string_view(whole).substr(0, cut)));
    if (notes) {
      EXPECT_LE(notes->size(), 1u) << cut;
    }
  }
  EXPECT_FALSE(parse_stapsdt(as_bytes(whole.substr(0, 40))));
  // Too short for its addresses, and one without a name.
  EXPECT_TRUE(parse_stapsdt(as_bytes(note(3, kOwner, "short")))->empty());
  EXPECT_TRUE(parse_stapsdt(as_bytes(note(3, kOwner, content(1, 2, 3, ""))))->empty());
}

TEST(Stapsdt, ReadsArguments) {
  constexpr int8_t kRbp = 4, kRax = 10, kRdi = 14, kRsi = 13, kR8 = 9, kRsp = 19;
  struct Case {
    std::string_view text;
    UsdtArgument argument;
  };
  const Case cases[] = {
      {"-4@%edi", {Where::kRegister, true, 4, 1, kRdi, -1, 0, 0}},
      {"8@%rax", {Where::kRegister, false, 8, 1, kRax, -1, 0, 0}},
      {"1@%al", {Where::kRegister, false, 1, 1, kRax, -1, 0, 0}},
      {"1@%ah", {Where::kRegister, false, 1, 1, kRax, -1, 8, 0}},
      {"2@%ax", {Where::kRegister, false, 2, 1, kRax, -1, 0, 0}},
      {"1@%sil", {Where::kRegister, false, 1, 1, kRsi, -1, 0, 0}},
      {"-2@%si", {Where::kRegister, true, 2, 1, kRsi, -1, 0, 0}},
      {"4@%r8d", {Where::kRegister, false, 4, 1, kR8, -1, 0, 0}},
      {"8@%r8", {Where::kRegister, false, 8, 1, kR8, -1, 0, 0}},
      {"-4@$-7", {Where::kConstant, true, 4, 1, -1, -1, 0, -7}},
      {"8@$0x10", {Where::kConstant, false, 8, 1, -1, -1, 0, 16}},
      {"8@(%rsp)", {Where::kMemory, false, 8, 1, kRsp, -1, 0, 0}},
      {"-4@-1204(%rbp)", {Where::kMemory, true, 4, 1, kRbp, -1, 0, -1204}},
      {"8@24(%rax,%rdi,8)", {Where::kMemory, false, 8, 8, kRax, kRdi, 0, 24}},
      {"8@(%rax,%rdi)", {Where::kMemory, false, 8, 1, kRax, kRdi, 0, 0}},
      {"4@16(,%rdi,4)", {Where::kMemory, false, 4, 4, -1, kRdi, 0, 16}},
      // Neither an integer in a register nor in memory that registers lead to.
      {"8@%xmm0", {}},
      {"8f@%xmm0", {}},
      {"4@counter(%rip)", {}},
      {"4@16(%rip)", {}},
      {"4@counter", {}},
      {"4@(%eax)", {}},
      {"3@%eax", {}},
      {"16@%rax", {}},
      {"0@%rax", {}},
      {"%rax", {}},
      {"8@", {}},
      {"8@(%rax,%rdi,3)", {}},
      {"", {}},
  };
  for (const Case &each : cases) EXPECT_EQ(parse_usdt_argument(each.text), each.argument) << each.text;
  EXPECT_EQ(parse_usdt_arguments("-4@%edi 8@%rax").size(), 2u);
  EXPECT_TRUE(parse_usdt_arguments("").empty());
}

}  // namespace
}  // namespace waggle
