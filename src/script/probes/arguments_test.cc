#include "script/probes/arguments.h"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

#include "kernel/features.h"

namespace waggle::script {
namespace {

constexpr std::string_view kOpenat =
    "name: sys_enter_openat\n"
    "ID: 782\n"
    "format:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
    "\n"
    "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
    "\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n"
    "\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n"
    "\tfield:const char *const * argv;\toffset:32;\tsize:8;\tsigned:0;\n"
    "\tfield:umode_t mode;\toffset:40;\tsize:8;\tsigned:0;\n"
    "print fmt: \"\"\n";

constexpr std::string_view kMixed =
    "name: mixed\n"
    "ID: 1\n"
    "format:\n"
    "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
    "\tfield:u8 mac[6];\toffset:24;\tsize:6;\tsigned:0;\n"
    "\tfield:pid_t pid;\toffset:32;\tsize:4;\tsigned:1;\n"
    "\tfield:strange_t flags;\toffset:36;\tsize:2;\tsigned:0;\n"
    "\tfield:bool ok;\toffset:38;\tsize:1;\tsigned:0;\n"
    "\tfield:__data_loc char[] name;\toffset:40;\tsize:4;\tsigned:0;\n"
    "\tfield:__rel_loc u32[] list;\toffset:44;\tsize:4;\tsigned:0;\n"
    "\tfield:void * skbaddr;\toffset:48;\tsize:8;\tsigned:0;\n"
    "\tfield:struct unknown_thing thing;\toffset:56;\tsize:12;\tsigned:0;\n"
    "print fmt: \"\"\n";

struct Row {
  std::string_view name, declaration, type;
  uint32_t offset;
  AddressSpace space = AddressSpace::kNone;
  Argument::Place place = Argument::Place::kContext;
  bool is_listed = true;
};

void expect_rows(const Arguments &arguments, std::span<const Row> rows) {
  ASSERT_EQ(arguments.parameters.size(), rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    const Argument &argument = arguments.parameters[i];
    EXPECT_EQ(argument.name, rows[i].name);
    EXPECT_EQ(argument.declaration, rows[i].declaration);
    EXPECT_EQ(argument.type.name(), rows[i].type) << rows[i].name;
    EXPECT_EQ(argument.type.space(), rows[i].space) << rows[i].name;
    EXPECT_EQ(argument.offset, rows[i].offset) << rows[i].name;
    EXPECT_EQ(argument.place, rows[i].place) << rows[i].name;
    EXPECT_EQ(argument.is_listed, rows[i].is_listed) << rows[i].name;
  }
}

// BTF with an int alone: what the format tells must do.
class TracepointArguments : public testing::Test {
 protected:
  TracepointArguments() : made_(btf__new_empty()) {
    btf__add_int(made_, "int", 4, BTF_INT_SIGNED);
    uint32_t bytes = 0;
    const void *data = btf__raw_data(made_, &bytes);
    btf_ = std::make_unique<Btf>(std::move(*Btf::parse({static_cast<const std::byte *>(data), bytes})));
    types_ = std::make_unique<BtfTypes>(*btf_);
  }
  ~TracepointArguments() override { btf__free(made_); }

  struct btf *made_;
  std::unique_ptr<Btf> btf_;
  std::unique_ptr<BtfTypes> types_;
};

TEST_F(TracepointArguments, OfASystemCallAreOfTheUser) {
  constexpr AddressSpace kUser = AddressSpace::kUser;
  const Row rows[] = {
      {"common_type", "unsigned short common_type", "uint16", 0, {}, {}, false},
      {"common_pid", "int common_pid", "int32", 4, {}, {}, false},
      {"__syscall_nr", "int __syscall_nr", "int32", 8},
      {"dfd", "int dfd", "int32", 16},
      {"filename", "const char * filename", "int8 *", 24, kUser},
      {"argv", "const char *const * argv", "int8 **", 32, kUser},
      {"mode", "umode_t mode", "uint16", 40},
  };
  expect_rows(tracepoint_arguments(*parse_tracepoint_format(kOpenat), "syscalls", *types_), rows);
}

TEST_F(TracepointArguments, AreWhereTheRecordHasThem) {
  const Row rows[] = {
      {"comm", "char comm[16]", "string[16]", 8},
      {"mac", "u8 mac[6]", "uint8[6]", 24},
      {"pid", "pid_t pid", "int32", 32},
      {"flags", "strange_t flags", "uint16", 36},
      {"ok", "bool ok", "bool", 38},
      {"name", "__data_loc char[] name", "int8 *", 40, AddressSpace::kKernel, Argument::Place::kFromRecord},
      {"list", "__rel_loc u32[] list", "uint32 *", 44, AddressSpace::kKernel, Argument::Place::kFromWord},
      {"skbaddr", "void * skbaddr", "void *", 48},
      {"thing", "struct unknown_thing thing", "uint8[12]", 56},
  };
  Arguments arguments = tracepoint_arguments(*parse_tracepoint_format(kMixed), "net", *types_);
  expect_rows(arguments, rows);
  EXPECT_EQ(arguments.find("pid"), &arguments.parameters[2]);
  EXPECT_EQ(arguments.find("nosuch"), nullptr);
}

// int open(struct big by_value_16, char c, ...);  void none(struct huge h);
TEST(FunctionArguments, AreInSlots) {
  struct btf *made = btf__new_empty();
  int int_id = btf__add_int(made, "int", 4, BTF_INT_SIGNED);
  int char_id = btf__add_int(made, "char", 1, BTF_INT_SIGNED);
  int long_id = btf__add_int(made, "long", 8, BTF_INT_SIGNED);
  int big = btf__add_struct(made, "big", 16);
  btf__add_field(made, "a", long_id, 0, 0);
  btf__add_field(made, "b", long_id, 64, 0);
  int huge = btf__add_struct(made, "huge", 24);
  int prototype = btf__add_func_proto(made, int_id);
  btf__add_func_param(made, "by_value", big);
  btf__add_func_param(made, "c", char_id);
  btf__add_func_param(made, "n", long_id);
  btf__add_func(made, "open", BTF_FUNC_STATIC, prototype);
  int no_result = btf__add_func_proto(made, 0);
  btf__add_func_param(made, "h", huge);
  btf__add_func(made, "none", BTF_FUNC_STATIC, no_result);
  uint32_t bytes = 0;
  const void *data = btf__raw_data(made, &bytes);
  Result<Btf> btf = Btf::parse({static_cast<const std::byte *>(data), bytes});
  ASSERT_TRUE(btf);
  BtfTypes types(*btf);
  Result<Arguments> arguments = function_arguments("open", {}, types);
  ASSERT_TRUE(arguments) << arguments.error().text();
  const Row rows[] = {
      {"by_value", "struct big by_value", "struct big", 0}, {"c", "char c", "int8", 16}, {"n", "long n", "int64", 24}};
  expect_rows(*arguments, rows);
  ASSERT_TRUE(arguments->returned);
  EXPECT_EQ(arguments->returned->declaration, "int retval");
  EXPECT_EQ(arguments->returned->offset, 32u);
  EXPECT_EQ(function_arguments("none", {}, types).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(function_arguments("nosuch", {}, types).error().code, ErrorCode::kNotFound);
  btf__free(made);
}

TEST(KernelArguments, OfFunctionsTracepointsAndIterators) {
  if (!Kernel::running().can(FeatureId::kBtf)) GTEST_SKIP() << "this kernel has no BTF";
  BtfTypes types;
  Result<Arguments> read = function_arguments("vfs_read", "vmlinux", types);
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->parameters.size(), 4u);
  EXPECT_EQ(read->parameters[0].declaration, "struct file * file");
  EXPECT_EQ(read->parameters[2].offset, 16u);
  EXPECT_EQ(read->returned->offset, 32u);

  Result<Arguments> sched = raw_tracepoint_arguments("sched_switch", {}, types);
  ASSERT_TRUE(sched) << sched.error().text();
  ASSERT_GE(sched->parameters.size(), 3u);
  EXPECT_EQ(sched->parameters[1].declaration, "struct task_struct * prev");
  EXPECT_EQ(sched->parameters[2].offset, 16u);
  EXPECT_FALSE(sched->returned);
  EXPECT_EQ(raw_tracepoint_arguments("nosuch", {}, types).error().code, ErrorCode::kNotFound);

  Result<Arguments> file = iterator_arguments("task_file", types);
  ASSERT_TRUE(file) << file.error().text();
  ASSERT_EQ(file->parameters.size(), 4u);
  EXPECT_FALSE(file->parameters[0].is_listed);
  EXPECT_EQ(file->find("task")->offset, 8u);
  EXPECT_EQ(file->find("fd")->offset, 16u);
  EXPECT_EQ(file->find("file")->offset, 24u);

  Result<std::vector<std::string>> iterators = iterator_names();
  ASSERT_TRUE(iterators);
  EXPECT_TRUE(std::binary_search(iterators->begin(), iterators->end(), "task"));
  for (const std::string &name : *iterators) EXPECT_TRUE(iterator_arguments(name, types)) << name;
}

TEST(KernelArguments, OfEveryTracepoint) {
  const Result<Tracefs> &tracefs = Kernel::running().tracefs();
  if (!tracefs) GTEST_SKIP() << tracefs.error().text();
  BtfTypes types;
  Result<std::vector<std::string>> tracepoints = tracefs->tracepoints();
  ASSERT_TRUE(tracepoints) << tracepoints.error().text();
  for (const std::string &name : *tracepoints) {
    size_t colon = name.find(':');
    Result<std::string> text = tracefs->format(name.substr(0, colon), name.substr(colon + 1));
    if (!text) continue;
    Result<TracepointFormat> format = parse_tracepoint_format(*text);
    ASSERT_TRUE(format) << name;
    Arguments arguments = tracepoint_arguments(*format, name.substr(0, colon), types);
    ASSERT_EQ(arguments.parameters.size(), format->fields.size());
    for (size_t i = 0; i < format->fields.size(); i++) {
      const Argument &argument = arguments.parameters[i];
      const TracepointField &field = format->fields[i];
      EXPECT_FALSE(argument.type.is(TypeKind::kNone)) << name << " " << field.name;
      EXPECT_EQ(argument.offset, field.offset);
      if (argument.place == Argument::Place::kContext) {
        EXPECT_LE(argument.type.bytes(), field.bytes) << name << " " << argument.declaration;
      }
    }
  }
}

}  // namespace
}  // namespace waggle::script
