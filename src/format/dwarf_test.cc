#include "format/dwarf.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "format/btf.h"
#include "format/dwarf_btf.h"
#include "format/dwarf_sample.h"

namespace waggle {
namespace {

using S = DwarfSample;
using enum DwarfTag;

// A root's declaration, then the records that it leads to.
std::string text_of(const Dwarf &dwarf, DwarfOffset root) {
  std::vector<std::byte> bytes = btf_of_dwarf(dwarf, root);
  Result<Btf> btf = Btf::parse(bytes);
  if (!btf) return btf.error().text();
  std::string text = btf->declaration(kDwarfRoot) + "\n";
  for (BtfId id = kDwarfRoot; id < btf->end_id(); id++) {
    BtfType type = btf->type(id);
    if (type.kind == BtfKind::kForward) text += fmt::format("struct {};\n", type.name);
    if (!type.is_record()) continue;
    text += fmt::format("{} {}:", btf->declaration(id), type.bytes);
    for (BtfMember member : btf->members(id)) {
      text += fmt::format(" [{} @{}", btf->declaration(member.type, member.name), member.bit_offset);
      text += member.bit_size > 0 ? fmt::format(":{}]", member.bit_size) : "]";
    }
    text += "\n";
  }
  return text;
}

constexpr std::string_view kTake =
    "int take(struct box *box, enum colour colour, unsigned char small, double real, struct point value, long last, "
    "...)\n"
    "struct point 8: [int x @0] [int y @32]\n"
    "struct box 72: [char name[16] @0] [const struct point *at @128] [int grid[2][3] @192] [unsigned int low @384:4] "
    "[int deep @388:9] [struct {...} @448] [struct far *away @512]\n"
    "struct {...} 8: [long inside @0]\n"
    "struct far;\n";

TEST(Dwarf, OfAllVersionsSaysTheSame) {
  struct Case {
    const char *title;
    S::Choice choice;
    bool old_bit_fields;
  };
  const Case cases[] = {
      {"DWARF 5", {}, false},
      {"DWARF 4", {4, false, false, false}, false},
      {"DWARF 3, bit fields as of old", {3, false, false, true}, true},
      {"DWARF 2, bit fields as of old", {2, false, false, false}, true},
      {"of 64 bits", {5, true, false, false}, false},
      {"strings and addresses in tables", {5, false, true, false}, false},
      {"tables of 64 bits", {5, true, true, false}, false},
      {"with siblings", {5, false, false, true}, false},
      {"of C++", {5, false, false, true, 4}, false},
  };
  for (const Case &each : cases) {
    SCOPED_TRACE(each.title);
    S sample(each.choice);
    add_sample_unit(sample, each.old_bit_fields);
    Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
    ASSERT_TRUE(dwarf) << dwarf.error().text();
    DwarfOffset take = dwarf->find_function("take", 0);
    ASSERT_NE(take, kDwarfNone);
    EXPECT_EQ(dwarf->find_function("another", 0x1000), take);
    EXPECT_EQ(text_of(*dwarf, take), kTake);
    EXPECT_EQ(text_of(*dwarf, dwarf->find_type(DwarfTypeWord::kStruct, "point")),
              "struct point\nstruct point 8: [int x @0] [int y @32]\n");
    EXPECT_EQ(dwarf->find_function("no_such", 0x2000), kDwarfNone);
  }
}

TEST(Dwarf, FindsTypesByWord) {
  S sample;
  add_sample_unit(sample);
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  struct Case {
    DwarfTypeWord word;
    std::string_view name;
    std::string_view text;  // empty: there is none
  };
  const Case cases[] = {
      {DwarfTypeWord::kEnum, "colour", "enum colour"},
      {DwarfTypeWord::kAny, "colour", "enum colour"},
      {DwarfTypeWord::kAny, "int", "int"},
      {DwarfTypeWord::kStruct, "colour", ""},
      {DwarfTypeWord::kStruct, "int", ""},
      {DwarfTypeWord::kUnion, "point", ""},
      {DwarfTypeWord::kStruct, "far", ""},  // which is only declared
      {DwarfTypeWord::kStruct, "take", ""},
      {DwarfTypeWord::kStruct, "", ""},
  };
  for (const Case &each : cases) {
    SCOPED_TRACE(each.name);
    DwarfOffset found = dwarf->find_type(each.word, each.name);
    EXPECT_EQ(found == kDwarfNone, each.text.empty());
    if (found == kDwarfNone) continue;
    std::string text = text_of(*dwarf, found);
    EXPECT_EQ(text.substr(0, text.find('\n')), each.text);
  }
}

TEST(Dwarf, HasTheValuesOfEnums) {
  S sample;
  add_sample_unit(sample);
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  std::vector<std::byte> bytes = btf_of_dwarf(*dwarf, dwarf->find_type(DwarfTypeWord::kEnum, "colour"));
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf);
  EXPECT_EQ(btf->enumerator(kDwarfRoot, "GREEN"), 5);
  EXPECT_EQ(btf->enumerator(kDwarfRoot, "LESS"), -1);
}

// namespace ns { struct base { int first; int get(int a); }; struct derived : base { struct inner {}; base &ref; }; }
TEST(Dwarf, NamesWhatIsInScopes) {
  S sample(S::Choice{5, false, false, true, 4});
  sample.begin_unit();
  size_t integer = sample.add(kBaseType, {S::name("int"), S::bytes(4), S::encoding(5)});
  sample.begin(kNamespace, {S::name("ns")});
  size_t base = sample.begin(kClass, {S::name("base"), S::bytes(4)});
  sample.add(kMember, {S::name("first"), S::type(integer), S::at(0)});
  size_t get = sample.begin(kSubprogram, {S::name("get"), S::linkage_name("_ZN2ns4base3getEi"), S::type(integer),
                                          S::declaration(), S::external()});
  sample.add(kFormalParameter, {S::name("a"), S::type(integer)});
  sample.end();
  sample.end();
  size_t reference = sample.add(kReference, {S::bytes(8), S::type(base)});
  sample.begin(kStructure, {S::name("derived"), S::bytes(16)});
  sample.add(kInheritance, {S::type(base), S::at(0)});
  sample.add(kStructure, {S::name("inner"), S::bytes(1)});
  sample.add(kMember, {S::name("ref"), S::type(reference), S::at(8)});
  sample.end();
  sample.end();
  // Its parameters are those it was declared with, one written again without its name.
  size_t abstract = sample.begin(kSubprogram, {S::specification(get)});
  size_t parameter = sample.add(kFormalParameter, {S::name("a"), S::type(integer)});
  sample.end();
  sample.begin(kSubprogram, {S::origin(abstract), S::address(0x2000)});
  sample.add(kFormalParameter, {S::origin(parameter)});
  sample.end();
  sample.add(kSubprogram, {S::specification(get), S::address(0x3000)});
  sample.end_unit();
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);

  EXPECT_EQ(text_of(*dwarf, dwarf->find_function("", 0x2000)), "int ns::base::get(int a)\n");
  EXPECT_EQ(text_of(*dwarf, dwarf->find_function("", 0x3000)), "int ns::base::get(int a)\n");
  for (std::string_view name : {"ns::base::get(int)", "get", "_ZN2ns4base3getEi"})
    EXPECT_NE(dwarf->find_function(name, 0), kDwarfNone) << name;
  constexpr std::string_view kDerived =
      "struct ns::derived\n"
      "struct ns::derived 16: [struct ns::base @0] [struct ns::base *ref @64]\n"
      "struct ns::base 4: [int first @0]\n";
  EXPECT_EQ(text_of(*dwarf, dwarf->find_type(DwarfTypeWord::kStruct, "ns::derived")), kDerived);
  EXPECT_EQ(text_of(*dwarf, dwarf->find_type(DwarfTypeWord::kAny, "derived")), kDerived);
  EXPECT_EQ(text_of(*dwarf, dwarf->find_type(DwarfTypeWord::kStruct, "derived::inner")),
            "struct ns::derived::inner\nstruct ns::derived::inner 1:\n");
  EXPECT_EQ(dwarf->find_type(DwarfTypeWord::kStruct, "other::derived"), kDwarfNone);
}

TEST(Dwarf, LooksNearFirst) {
  S sample;
  sample.begin_unit();
  sample.add(kStructure, {S::name("state"), S::bytes(4)});
  sample.end_unit();
  sample.begin_unit();
  size_t near = sample.next();
  sample.add(kSubprogram, {S::name("step"), S::address(0x10)});
  sample.add(kStructure, {S::name("state"), S::bytes(8)});
  sample.end_unit();
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  auto bytes_near = [&](DwarfOffset place) {
    return dwarf->entry(dwarf->find_type(DwarfTypeWord::kStruct, "state", place))->bytes;
  };
  EXPECT_EQ(bytes_near(kDwarfNone), 4u);
  EXPECT_EQ(bytes_near(sample.place(near)), 8u);
}

// A compiler moves what is seldom run to another place.
TEST(Dwarf, FindsFunctionsInPieces) {
  auto words = [](std::initializer_list<uint64_t> all) {
    return std::string(reinterpret_cast<const char *>(all.begin()), all.size() * sizeof(uint64_t));
  };
  struct Case {
    const char *title;
    S::Choice choice;
    std::string list;
    uint64_t address;  // 0: none
  };
  const Case cases[] = {
      {"DWARF 4", {4, false, false, false}, words({0x4000, 0x4010, 0x100, 0x110, 0, 0}), 0x4000},
      {"DWARF 4 with a base", {4, false, false, false}, words({UINT64_MAX, 0x5000, 0x20, 0x30, 0, 0}), 0x5020},
      {"DWARF 3", {3, false, false, false}, words({0x4000, 0x4010, 0, 0}), 0x4000},
      {"DWARF 4, none", {4, false, false, false}, words({0, 0}), 0},
      {"DWARF 4, cut off", {4, false, false, false}, words({0x4000}), 0},
      {"a begin and a length", {}, "\x07" + words({0x6000}) + "\x10" + std::string(1, '\0'), 0x6000},
      {"a begin and an end", {}, "\x06" + words({0x6100, 0x6110}) + std::string(1, '\0'), 0x6100},
      {"offsets of a base", {}, "\x05" + words({0x7000}) + "\x04\x10\x20" + std::string(1, '\0'), 0x7010},
      {"none", {}, std::string(1, '\0'), 0},
      {"cut off", {}, "\x07\x01", 0},
      {"of an unknown kind", {}, "\x0a\x01", 0},
  };
  for (const Case &each : cases) {
    SCOPED_TRACE(each.title);
    S sample(each.choice);
    (each.choice.version < 5 ? sample.ranges : sample.rnglists) = "pad" + each.list;
    sample.begin_unit();
    size_t number = sample.add(kSubprogram, {S::name("piecewise"), S::pieces(3)});
    sample.end_unit();
    Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
    ASSERT_TRUE(dwarf);
    std::optional<DwarfEntry> entry = dwarf->entry(sample.place(number));
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->address.value_or(0), each.address);
    EXPECT_EQ(dwarf->find_function("", each.address == 0 ? 1 : each.address) != kDwarfNone, each.address != 0);
  }
}

// Asked for many functions it looks into a table, which says the same.
TEST(Dwarf, FindsManyFunctions) {
  constexpr size_t kFunctions = 40;
  S sample;
  sample.begin_unit();
  for (size_t i = 0; i < kFunctions; i++)
    sample.add(kSubprogram, {S::name(fmt::format("function_{}", i)), S::address(0x1000 + i)});
  sample.end_unit();
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  for (size_t i = 0; i < kFunctions; i++) {
    DwarfOffset found = dwarf->find_function("", 0x1000 + i);
    ASSERT_NE(found, kDwarfNone) << i;
    EXPECT_EQ(dwarf->entry(found)->name, fmt::format("function_{}", i));
  }
}

// A name that is the end of another, as linkers keep them.
TEST(Dwarf, FindsNamesInsideOfOthers) {
  S sample;
  sample.begin_unit();
  size_t place = sample.str.size();
  sample.add(kStructure, {S::name("take_point"), S::bytes(4)});
  size_t written = sample.info.size();
  sample.add(kStructure, {S::name("another"), S::bytes(8)});
  sample.end_unit();
  uint32_t inside = static_cast<uint32_t>(place) + 5;
  size_t at = written + 1;  // behind the abbreviation's code
  sample.info.replace(at, 4, std::string(reinterpret_cast<const char *>(&inside), 4));
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  DwarfOffset found = dwarf->find_type(DwarfTypeWord::kStruct, "point");
  ASSERT_NE(found, kDwarfNone);
  EXPECT_EQ(dwarf->entry(found)->bytes, 8u);
}

TEST(Dwarf, TellsWhatIsMalformed) {
  S sample;
  add_sample_unit(sample);
  DwarfSections whole = sample.sections();
  for (size_t cut = 1; cut < whole.info.size(); cut++) {
    DwarfSections cut_off = whole;
    cut_off.info = whole.info.first(cut);
    EXPECT_FALSE(Dwarf::parse(cut_off)) << cut;
  }
  EXPECT_FALSE(Dwarf::parse({}));
  // Whatever a byte is changed to, there is an answer.
  for (size_t at = 11; at < sample.info.size(); at++) {
    for (char changed : {'\0', '\x01', '\x7f', '\xff'}) {
      std::string bad = sample.info;
      bad[at] = changed;
      DwarfSections sections = whole;
      sections.info = std::as_bytes(std::span(bad));
      Result<Dwarf> dwarf = Dwarf::parse(sections);
      if (!dwarf) continue;
      if (DwarfOffset found = dwarf->find_function("take", 0x1000); found != kDwarfNone) (void)text_of(*dwarf, found);
      (void)dwarf->find_type(DwarfTypeWord::kAny, "point");
    }
  }
}

// A record that holds itself, and modifiers in a circle.
TEST(Dwarf, EndsWhereTypesDoNot) {
  S sample;
  sample.begin_unit();
  size_t next = sample.next();
  sample.begin(kStructure, {S::name("self"), S::bytes(4)});
  sample.add(kMember, {S::name("self"), S::type(next), S::at(0)});
  size_t circle = sample.next();
  sample.add(kMember, {S::name("circle"), S::type(circle + 1), S::at(0)});
  sample.end();
  sample.add(kAtomic, {S::type(circle + 2)});
  sample.add(kConst, {S::type(circle + 1)});
  sample.end_unit();
  Result<Dwarf> dwarf = Dwarf::parse(sample.sections());
  ASSERT_TRUE(dwarf);
  DwarfOffset found = dwarf->find_type(DwarfTypeWord::kStruct, "self");
  ASSERT_NE(found, kDwarfNone);
  std::string text = text_of(*dwarf, found);
  EXPECT_TRUE(text.starts_with("struct self\n")) << text;
}

}  // namespace
}  // namespace waggle
