#include "script/probes/program_types.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "format/dwarf_btf.h"
#include "format/dwarf_sample.h"
#include "format/elf_sample.h"

namespace waggle::script {
namespace {

using S = DwarfSample;
using enum DwarfTag;

class ProgramTypesTest : public testing::Test {
 protected:
  ProgramTypesTest() {
    char name[] = "/tmp/waggle_program_XXXXXX";
    folder_ = ::mkdtemp(name);
    add_sample_unit(dwarf_);
  }
  ~ProgramTypesTest() override { std::filesystem::remove_all(folder_); }

  std::string program(std::vector<ElfSample::Section> more) {
    ElfSample elf;
    elf.more = std::move(more);
    std::string path = folder_ + "/program";
    std::vector<std::byte> bytes = elf.build();
    std::ofstream(path).write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  std::string program() {
    (void)dwarf_.sections();
    return program({{".debug_info", dwarf_.info}, {".debug_abbrev", dwarf_.abbrev}, {".debug_str", dwarf_.str}});
  }

  DwarfSample dwarf_;
  std::string folder_;
};

TEST_F(ProgramTypesTest, ArgumentsHaveTheirRegisters) {
  std::string path = program();
  ProgramTypes types(path, path, 0);
  UserProbe place;
  place.name = "take";
  place.offset = 0x1000;
  Result<Arguments> arguments = types.arguments(place);
  ASSERT_TRUE(arguments) << arguments.error().text();
  struct Case {
    const char *declaration, *type;
    Argument::Place place;
    uint32_t offset;
  };
  using enum Argument::Place;
  const Case cases[] = {
      {"struct box * box", "struct box *", kContext, 0},
      {"enum colour colour", "enum colour", kContext, 8},
      {"unsigned char small", "uint8", kContext, 16},
      {"double real", "uint64", kNowhere, 0},
      // Of two integers, which one register holds.
      {"struct point value", "struct point", kContext, 24},
      {"long last", "int64", kContext, 32},
  };
  ASSERT_EQ(arguments->parameters.size(), std::size(cases));
  for (size_t i = 0; i < std::size(cases); i++) {
    const Argument &argument = arguments->parameters[i];
    SCOPED_TRACE(cases[i].declaration);
    EXPECT_EQ(argument.declaration, cases[i].declaration);
    EXPECT_EQ(argument.type.name(), cases[i].type);
    EXPECT_EQ(argument.place, cases[i].place);
    EXPECT_EQ(argument.offset, cases[i].offset);
  }
  place.name = "no_such";
  place.offset = 0x1001;
  Result<Arguments> none = types.arguments(place);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
}

// int many(long a … long f, struct { long[3] } g, long h, struct { double } i, __int128 j)
TEST_F(ProgramTypesTest, ArgumentsThatDoNotFitAreOnTheStack) {
  dwarf_.begin_unit();
  size_t number = dwarf_.add(kBaseType, {S::name("long"), S::bytes(8), S::encoding(5)});
  size_t real = dwarf_.add(kBaseType, {S::name("double"), S::bytes(8), S::encoding(4)});
  size_t wide = dwarf_.add(kBaseType, {S::name("__int128"), S::bytes(16), S::encoding(5)});
  size_t large = dwarf_.begin(kStructure, {S::name("large"), S::bytes(24)});
  for (uint64_t i = 0; i < 3; i++) dwarf_.add(kMember, {S::name("word"), S::type(number), S::at(8 * i)});
  dwarf_.end();
  size_t reals = dwarf_.begin(kStructure, {S::name("reals"), S::bytes(8)});
  dwarf_.add(kMember, {S::name("real"), S::type(real), S::at(0)});
  dwarf_.end();
  dwarf_.begin(kSubprogram, {S::name("many"), S::address(0x1100)});
  for (size_t type : {large, number, reals, number, number, number, number, wide, number, number, number})
    dwarf_.add(kFormalParameter, {S::type(type)});
  dwarf_.end();
  dwarf_.end_unit();
  std::string path = program();
  ProgramTypes types(path, path, 0);
  UserProbe place;
  place.name = "many";
  place.offset = 0x1100;
  Result<Arguments> arguments = types.arguments(place);
  ASSERT_TRUE(arguments) << arguments.error().text();
  std::vector<uint32_t> slots;
  for (const Argument &argument : arguments->parameters) slots.push_back(argument.offset / 8);
  // The one of 16 bytes finds one register free and goes to the stack, the next takes it.
  EXPECT_EQ(slots, (std::vector<uint32_t>{6, 0, 0, 1, 2, 3, 4, 10, 5, 12, 13}));
  EXPECT_EQ(arguments->parameters[1].name, "arg1");
}

TEST_F(ProgramTypesTest, TypesAreResolvedAndCompleted) {
  dwarf_.begin_unit();
  size_t number = dwarf_.add(kBaseType, {S::name("long"), S::bytes(8), S::encoding(5)});
  dwarf_.begin(kStructure, {S::name("far"), S::bytes(8)});
  dwarf_.add(kMember, {S::name("found"), S::type(number), S::at(0)});
  dwarf_.end();
  dwarf_.end_unit();
  std::string path = program();
  ProgramTypes types(path, path, 0);

  Type box = types.resolve("struct box");
  ASSERT_TRUE(box.is(TypeKind::kRecord));
  EXPECT_EQ(box.bytes(), 72u);
  EXPECT_EQ(box.field("name")->type.name(), "string[16]");
  EXPECT_EQ(box.field("grid")->type.name(), "int32[3][2]");
  EXPECT_EQ(box.field("inside")->offset, 56u);
  EXPECT_EQ(box.field("deep")->bit_offset, 4u);
  EXPECT_EQ(box.field("deep")->bit_size, 9u);
  Type point = box.field("at")->type.element();
  EXPECT_TRUE(point.fields().empty());
  EXPECT_TRUE(types.has_made(point));
  EXPECT_EQ(types.complete(point).fields().size(), 2u);
  // Its unit only declares it.
  Type far = types.complete(box.field("away")->type.element());
  ASSERT_NE(far.field("found"), nullptr);
  EXPECT_FALSE(types.has_made(Type::record(std::make_shared<Record>())));

  EXPECT_EQ(types.resolve("enum colour").enumerator(-1), "LESS");
  EXPECT_TRUE(types.resolve("union box").is(TypeKind::kNone));
  EXPECT_TRUE(types.resolve("struct no_such").is(TypeKind::kNone));
  EXPECT_EQ(types.resolve("point").name(), "struct point");
}

TEST_F(ProgramTypesTest, WithoutDebugInformationThereIsNothing) {
  std::string path = program(std::vector<ElfSample::Section>());
  ProgramTypes types(path, path, 0);
  UserProbe place;
  place.name = "take";
  Result<Arguments> arguments = types.arguments(place);
  ASSERT_FALSE(arguments);
  EXPECT_EQ(arguments.error().what, "No debuginfo found for " + path);
  EXPECT_TRUE(types.resolve("struct box").is(TypeKind::kNone));
}

// It has the same as the debug information, of which it is made.
TEST_F(ProgramTypesTest, BtfServesToo) {
  Result<Dwarf> dwarf = Dwarf::parse(dwarf_.sections());
  ASSERT_TRUE(dwarf);
  std::vector<std::byte> btf = btf_of_dwarf(*dwarf, dwarf->find_function("take", 0));
  std::string path = program({{".BTF", std::string(reinterpret_cast<const char *>(btf.data()), btf.size())}});
  ProgramTypes types(path, path, 0);
  UserProbe place;
  place.name = "take";
  Result<Arguments> arguments = types.arguments(place);
  ASSERT_TRUE(arguments) << arguments.error().text();
  EXPECT_EQ(arguments->parameters.size(), 6u);
  EXPECT_EQ(types.resolve("struct box").bytes(), 72u);
}

}  // namespace
}  // namespace waggle::script
