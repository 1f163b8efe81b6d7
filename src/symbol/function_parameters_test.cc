#include "symbol/function_parameters.h"

#include <gtest/gtest.h>

#include "kernel/kernel_btf.h"

namespace waggle {
namespace {

using Form = FunctionParameter::Form;

TEST(FunctionParameters, ReadARegister) {
  struct Case {
    Form form;
    uint8_t bytes;
    uint64_t register_value;
    int64_t value;
  };
  // Callers leave what they like in the rest of a register.
  constexpr Case kCases[] = {
      {Form::kSigned, 4, 0xffffffff'ffffff9c, -100},
      {Form::kSigned, 4, 0x00000001'ffffff9c, -100},
      {Form::kUnsigned, 4, 0xdeadbeef'00000003, 3},
      {Form::kUnsigned, 2, 0xffffffff'ffff0001, 1},
      {Form::kUnsigned, 8, 0xffffffff'ffffffff, -1},
      {Form::kSigned, 1, 0x1ff, -1},
      {Form::kBool, 1, 0x101, 1},
      {Form::kEnum, 4, 0xffffffff, -1},
      {Form::kPointer, 8, 0xffff8880'00001000, static_cast<int64_t>(0xffff8880'00001000)},
  };
  for (const Case &c : kCases) {
    FunctionParameter parameter;
    parameter.form = c.form;
    parameter.bytes = c.bytes;
    EXPECT_EQ(parameter.value(c.register_value), c.value);
  }
}

TEST(FunctionParameters, NameAnEnumsValues) {
  FunctionParameter parameter;
  parameter.names = {{0, "PIDTYPE_PID"}, {1, "PIDTYPE_TGID"}};
  EXPECT_EQ(parameter.enumerator(1), "PIDTYPE_TGID");
  EXPECT_EQ(parameter.enumerator(7), "");
}

TEST(FunctionParameters, OfTheRunningKernel) {
  if (!KernelBtf::load()) GTEST_SKIP() << "this kernel has no BTF";
  Result<std::vector<FunctionParameter>> found = read_function_parameters("ksys_read");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3u);
  struct Case {
    const char *name;
    Form form;
    int bytes;
  };
  constexpr Case kParameters[] = {
      {"fd", Form::kUnsigned, 4}, {"buf", Form::kPointer, 8}, {"count", Form::kUnsigned, 8}};
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ((*found)[i].name, kParameters[i].name);
    EXPECT_EQ((*found)[i].form, kParameters[i].form);
    EXPECT_EQ((*found)[i].bytes, kParameters[i].bytes);
  }
  Result<std::vector<FunctionParameter>> none = read_function_parameters("no_such_function_of_any_kernel");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace waggle
