#include "script/check/type_rules.h"

#include <gtest/gtest.h>

#include <string>

namespace waggle::script {
namespace {

Type signed_of(uint32_t bytes) {
  return Type::integer(bytes, true);
}
Type unsigned_of(uint32_t bytes) {
  return Type::integer(bytes, false);
}
Type pair_of(const Type &one, const Type &other) {
  return Type::tuple({{"", one}, {"", other}});
}

TEST(TypeRules, GivesNumbersTheNarrowestType) {
  struct {
    uint64_t value;
    bool is_unsigned;
    const char *expected;
  } cases[] = {
      {0, false, "int8"},      {127, false, "int8"},       {128, false, "int16"},        {32767, false, "int16"},
      {32768, false, "int32"}, {1u << 31, false, "int64"}, {INT64_MAX, false, "int64"},  {UINT64_MAX, false, "uint64"},
      {255, true, "uint8"},    {256, true, "uint16"},      {UINT32_MAX, true, "uint32"}, {1ULL << 32, true, "uint64"},
  };
  for (const auto &[value, is_unsigned, expected] : cases)
    EXPECT_EQ(type_of_number(value, is_unsigned).name(), expected) << value;
}

TEST(TypeRules, FindsWhatHoldsBoth) {
  struct {
    Type one, other;
    const char *expected;  // null: they do not go together
  } cases[] = {
      {signed_of(1), signed_of(4), "int32"},
      {unsigned_of(8), unsigned_of(2), "uint64"},
      {signed_of(8), unsigned_of(4), "int64"},
      {unsigned_of(4), signed_of(4), "int64"},
      {unsigned_of(8), signed_of(8), "uint64"},
      {signed_of(8), unsigned_of(8), "int64"},
      {Type(TypeKind::kBool, 1), signed_of(8), "int64"},
      {Type::string(4), Type::string(9), "string[9]"},
      {Type::string(4), signed_of(8), nullptr},
      {Type::buffer(4), Type::buffer(8), "buffer[8]"},
      {pair_of(signed_of(1), Type::string(2)), pair_of(signed_of(8), Type::string(5)), "(int64,string[5])"},
      {pair_of(signed_of(1), Type::string(2)), pair_of(Type::string(2), signed_of(1)), nullptr},
      {Type::pointer(Type(TypeKind::kVoid)), Type::pointer(signed_of(4)), "int32 *"},
      {Type::pointer(signed_of(8)), Type::pointer(signed_of(4)), nullptr},
      {Type::pointer(signed_of(8)), signed_of(8), nullptr},
      {Type(), signed_of(2), "int16"},
  };
  for (const auto &[one, other, expected] : cases) {
    std::optional<Type> common = common_type(one, other);
    EXPECT_EQ(common ? common->name() : "nothing", expected == nullptr ? "nothing" : expected)
        << one.name() << " and " << other.name();
  }
}

TEST(TypeRules, WidensTheNumbersInTuples) {
  EXPECT_EQ(widened(unsigned_of(1)).name(), "uint64");
  EXPECT_EQ(widened(pair_of(signed_of(2), pair_of(unsigned_of(4), Type::string(3)))).name(),
            "(int64,(uint64,string[3]))");
  EXPECT_EQ(widened(Type::string(3)).name(), "string[3]");
}

TEST(TypeRules, KnowsWhichNumbersFit) {
  struct {
    int64_t value;
    Type type;
    bool expected;
  } cases[] = {{127, signed_of(1), true},   {128, signed_of(1), false},     {-128, signed_of(1), true},
               {-129, signed_of(1), false}, {255, unsigned_of(1), true},    {-1, unsigned_of(1), false},
               {-1, unsigned_of(8), false}, {INT64_MIN, signed_of(8), true}};
  for (const auto &[value, type, expected] : cases) EXPECT_EQ(fits(value, false, type), expected) << value;
  EXPECT_TRUE(fits(-1, true, unsigned_of(8)));
  EXPECT_FALSE(fits(-1, true, signed_of(8)));
}

}  // namespace
}  // namespace waggle::script
