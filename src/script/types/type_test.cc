#include "script/types/type.h"

#include <gtest/gtest.h>

namespace waggle::script {
namespace {

Type int32() {
  return Type::integer(4, true);
}

TEST(Type, IsNamedAsTheLanguageWritesIt) {
  EXPECT_EQ(Type::integer(8, false).name(), "uint64");
  EXPECT_EQ(Type::array(int32(), 4).name(), "int32[4]");
  auto file = std::make_shared<Record>();
  file->name = "struct file";
  Type pointer = Type::pointer(Type::record(file));
  EXPECT_EQ(pointer.name(), "struct file *");
  EXPECT_EQ(Type::pointer(pointer).name(), "struct file **");
  EXPECT_EQ(Type::tuple({{"", int32()}, {"", Type::string(16)}}).name(), "(int32,string[16])");
  EXPECT_EQ(Type::tuple({{"a", int32()}}).name(), "(a=int32)");
}

TEST(Type, OfATupleIsLaidOutAsC) {
  Type tuple = Type::tuple({{"", Type::integer(1, false)}, {"", Type::integer(8, true)}, {"", Type::string(3)}});
  EXPECT_EQ(tuple.fields()[1].offset, 8u);
  EXPECT_EQ(tuple.fields()[2].offset, 16u);
  EXPECT_EQ(tuple.bytes(), 24u);
  EXPECT_EQ(tuple.alignment(), 8u);
}

TEST(Type, IsTheSameWhenLayoutAndMeaningAre) {
  EXPECT_EQ(Type::array(int32(), 4), Type::array(int32(), 4));
  EXPECT_NE(Type::array(int32(), 4), Type::array(Type::integer(4, false), 4));
  EXPECT_NE(Type::stack(TypeKind::kKernelStack, StackMode::kPerf, 3),
            Type::stack(TypeKind::kKernelStack, StackMode::kRaw, 3));
  EXPECT_NE(Type::aggregate(TypeKind::kLhist, true, {0, 0, 100, 10}),
            Type::aggregate(TypeKind::kLhist, true, {0, 0, 100, 20}));
  Type one = Type::record(std::make_shared<Record>(Record{"struct a", 8, {}}));
  Type two = Type::record(std::make_shared<Record>(Record{"struct a", 8, {}}));
  EXPECT_EQ(one, two);
}

TEST(Type, OfAnEnumKnowsItsNames) {
  Type color = Type::enumeration("color", 4, {{"red", 0}, {"blue", 7}});
  EXPECT_EQ(color.enumerator(7), "blue");
  EXPECT_EQ(color.enumerator(1), "");
  EXPECT_EQ(color.name(), "enum color");
  EXPECT_FALSE(color.is_signed());
}

}  // namespace
}  // namespace waggle::script
