#include "script/probes/btf_types.h"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>

#include "kernel/features.h"

namespace waggle::script {
namespace {

// struct node {
//   struct node *next;               0
//   char name[16];                   8
//   union { int a; struct { short b; short c; }; };   24
//   unsigned int x : 3;              28, bits 0 to 2
//   enum color y : 5;                28, bits 3 to 7
//   unsigned char bytes[4];          32
//   handle_t handle;                 40: typedef struct { void *p; } handle_t
//   struct { int z; } *hidden;       48
//   const char user *text;           56
// };
class BtfOfNode {
 public:
  BtfOfNode() : made_(btf__new_empty()) {
    int int_id = btf__add_int(made_, "int", 4, BTF_INT_SIGNED);
    int uint_id = btf__add_int(made_, "unsigned int", 4, 0);
    int short_id = btf__add_int(made_, "short", 2, BTF_INT_SIGNED);
    int char_id = btf__add_int(made_, "char", 1, BTF_INT_SIGNED);
    int uchar_id = btf__add_int(made_, "unsigned char", 1, 0);
    int index_id = btf__add_int(made_, "__ARRAY_SIZE_TYPE__", 4, 0);
    int name_id = btf__add_array(made_, index_id, char_id, 16);
    int bytes_id = btf__add_array(made_, index_id, uchar_id, 4);
    int color_id = btf__add_enum(made_, "color", 4);
    btf__add_enum_value(made_, "RED", 0);
    btf__add_enum_value(made_, "BLUE", 7);
    int pair_id = btf__add_struct(made_, nullptr, 4);
    btf__add_field(made_, "b", short_id, 0, 0);
    btf__add_field(made_, "c", short_id, 16, 0);
    int union_id = btf__add_union(made_, nullptr, 4);
    btf__add_field(made_, "a", int_id, 0, 0);
    btf__add_field(made_, nullptr, pair_id, 0, 0);
    int void_pointer = btf__add_ptr(made_, 0);
    int handle_struct = btf__add_struct(made_, nullptr, 8);
    btf__add_field(made_, "p", void_pointer, 0, 0);
    int handle_id = btf__add_typedef(made_, "handle_t", handle_struct);
    int hidden_struct = btf__add_struct(made_, nullptr, 4);
    btf__add_field(made_, "z", int_id, 0, 0);
    int hidden_pointer = btf__add_ptr(made_, hidden_struct);
    int const_char = btf__add_const(made_, char_id);
    int user_char = btf__add_type_tag(made_, "user", const_char);
    int text_pointer = btf__add_ptr(made_, user_char);
    int node_id = text_pointer + 2;
    int next_pointer = btf__add_ptr(made_, node_id);
    btf__add_struct(made_, "node", 64);
    btf__add_field(made_, "next", next_pointer, 0, 0);
    btf__add_field(made_, "name", name_id, 8 * 8, 0);
    btf__add_field(made_, nullptr, union_id, 24 * 8, 0);
    btf__add_field(made_, "x", uint_id, 28 * 8, 3);
    btf__add_field(made_, "y", color_id, 28 * 8 + 3, 5);
    btf__add_field(made_, "bytes", bytes_id, 32 * 8, 0);
    btf__add_field(made_, "handle", handle_id, 40 * 8, 0);
    btf__add_field(made_, "hidden", hidden_pointer, 48 * 8, 0);
    btf__add_field(made_, "text", text_pointer, 56 * 8, 0);
    // Packed: a field of 12 bits from bit 4 of byte 1.
    btf__add_struct(made_, "packed", 3);
    btf__add_field(made_, "low", uchar_id, 0, 0);
    btf__add_field(made_, "wide", uint_id, 12, 12);
    uint32_t bytes = 0;
    const void *data = btf__raw_data(made_, &bytes);
    btf_.emplace(std::move(*Btf::parse({static_cast<const std::byte *>(data), bytes})));
  }
  ~BtfOfNode() { btf__free(made_); }
  BtfOfNode(const BtfOfNode &) = delete;
  BtfOfNode &operator=(const BtfOfNode &) = delete;

  const Btf &btf() const { return *btf_; }

 private:
  struct btf *made_;
  std::optional<Btf> btf_;
};

TEST(BtfTypes, MakeRecordsOfStructs) {
  BtfOfNode made;
  BtfTypes types(made.btf());
  Type node = types.resolve("struct node");
  ASSERT_TRUE(node.is(TypeKind::kRecord));
  EXPECT_EQ(node.name(), "struct node");
  EXPECT_EQ(node.bytes(), 64u);
  struct Case {
    std::string name, type;
    uint32_t offset, bit_offset, bit_size;
  };
  const Case cases[] = {
      {"next", "struct node *", 0, 0, 0}, {"name", "string[16]", 8, 0, 0}, {"a", "int32", 24, 0, 0},
      {"b", "int16", 24, 0, 0},           {"c", "int16", 26, 0, 0},        {"x", "uint32", 28, 0, 3},
      {"y", "enum color", 28, 3, 5},      {"bytes", "uint8[4]", 32, 0, 0}, {"handle", "handle_t", 40, 0, 0},
      {"text", "int8 *", 56, 0, 0},
  };
  for (const Case &c : cases) {
    const Field *field = node.field(c.name);
    ASSERT_NE(field, nullptr) << c.name;
    EXPECT_EQ(field->type.name(), c.type) << c.name;
    EXPECT_EQ(field->offset, c.offset) << c.name;
    EXPECT_EQ(field->bit_offset, c.bit_offset) << c.name;
    EXPECT_EQ(field->bit_size, c.bit_size) << c.name;
  }
  EXPECT_EQ(node.field("text")->type.space(), AddressSpace::kUser);
  EXPECT_EQ(node.field("next")->type.space(), AddressSpace::kNone);
  EXPECT_EQ(node.field("y")->type.enumerator(7), "BLUE");
  EXPECT_EQ(node.field("handle")->type.fields().size(), 1u);
}

TEST(BtfTypes, NameWhatPointersPointAt) {
  BtfOfNode made;
  BtfTypes types(made.btf());
  Type next = types.resolve("struct node").field("next")->type.element();
  EXPECT_EQ(next.bytes(), 64u);
  EXPECT_TRUE(next.fields().empty());
  Type complete = types.complete(next);
  ASSERT_NE(complete.field("next"), nullptr);
  EXPECT_EQ(complete, next);
  // Also of structs that have no name.
  Type hidden = types.complete(types.resolve("struct node").field("hidden")->type.element());
  EXPECT_NE(hidden.field("z"), nullptr);
}

TEST(BtfTypes, ReadBitFieldsWithinTheRecord) {
  BtfOfNode made;
  BtfTypes types(made.btf());
  Type packed = types.resolve("struct packed");
  const Field *wide = packed.field("wide");
  ASSERT_NE(wide, nullptr);
  EXPECT_EQ(wide->bit_size, 12u);
  EXPECT_EQ(wide->offset * 8 + wide->bit_offset, 12u);
  EXPECT_LE(wide->offset + wide->type.bytes(), 3u);
  EXPECT_LE(wide->bit_offset + wide->bit_size, wide->type.bytes() * 8);
}

TEST(BtfTypes, ResolveNames) {
  BtfOfNode made;
  BtfTypes types(made.btf());
  struct Case {
    std::string_view name, type;
  };
  constexpr Case kCases[] = {
      {"struct node", "struct node"},
      {"struct node *", "struct node *"},
      {"const struct node*", "struct node *"},
      {"struct  node **", "struct node **"},
      {"enum color", "enum color"},
      {"handle_t", "handle_t"},
      {"int", "int32"},
      {"unsigned long", "uint64"},
      {"u16", "uint16"},
      {"void *", "void *"},
      {"char *", "int8 *"},
      {"struct nosuch", "none"},
      {"struct nosuch *", "none"},
      {"struct", "none"},
      {"union node", "none"},
      {"enum node", "none"},
      {"node", "none"},
      {"", "none"},
      {"*", "none"},
      {"struct #999999", "none"},
      {"int * * * * * * * * *", "none"},
  };
  for (const Case &c : kCases) EXPECT_EQ(types.resolve(c.name).name(), c.type) << c.name;
}

TEST(BtfTypes, AreWrittenInC) {
  BtfOfNode made;
  const Btf &btf = made.btf();
  EXPECT_EQ(c_definition(btf, btf.find(BtfKind::kStruct, "node")),
            "struct node {\n"
            "\tstruct node *next;\n"
            "\tchar name[16];\n"
            "\tunion {\n"
            "\t\tint a;\n"
            "\t\tstruct {\n"
            "\t\t\tshort b;\n"
            "\t\t\tshort c;\n"
            "\t\t};\n"
            "\t};\n"
            "\tunsigned int x: 3;\n"
            "\tenum color y: 5;\n"
            "\tunsigned char bytes[4];\n"
            "\thandle_t handle;\n"
            "\tstruct {\n"
            "\t\tint z;\n"
            "\t} *hidden;\n"
            "\tconst char __user *text;\n"
            "};");
  EXPECT_EQ(c_definition(btf, btf.find(BtfKind::kEnum, "color")),
            "enum color {\n"
            "\tRED = 0,\n"
            "\tBLUE = 7,\n"
            "};");
}

// struct liar { struct liar me; struct { struct liar again; }; int x; };
TEST(BtfTypes, EndAtARecordThatHoldsItself) {
  struct btf *made = btf__new_empty();
  int int_id = btf__add_int(made, "int", 4, BTF_INT_SIGNED);
  int liar = int_id + 2;
  btf__add_struct(made, nullptr, 4);
  btf__add_field(made, "again", liar, 0, 0);
  btf__add_struct(made, "liar", 4);
  btf__add_field(made, "me", liar, 0, 0);
  btf__add_field(made, nullptr, int_id + 1, 0, 0);
  btf__add_field(made, "x", int_id, 0, 0);
  uint32_t bytes = 0;
  const void *data = btf__raw_data(made, &bytes);
  Result<Btf> btf = Btf::parse({static_cast<const std::byte *>(data), bytes});
  ASSERT_TRUE(btf);
  BtfTypes types(*btf);
  EXPECT_NE(types.resolve("struct liar").field("x"), nullptr);
  btf__free(made);
}

TEST(CInteger, KnowsTheWords) {
  struct Case {
    std::string_view name;
    uint32_t bytes;
    bool is_signed;
  };
  constexpr Case kCases[] = {
      {"int", 4, true},
      {"unsigned", 4, false},
      {"unsigned int", 4, false},
      {"long", 8, true},
      {"long unsigned int", 8, false},
      {"unsigned long long", 8, false},
      {"short", 2, true},
      {"unsigned char", 1, false},
      {"char", 1, true},
      {"u32", 4, false},
      {"__s64", 8, true},
      {"pid_t", 4, true},
  };
  for (const Case &c : kCases) {
    std::optional<Type> type = c_integer(c.name);
    ASSERT_TRUE(type) << c.name;
    EXPECT_EQ(type->bytes(), c.bytes) << c.name;
    EXPECT_EQ(type->is_signed(), c.is_signed) << c.name;
  }
  EXPECT_TRUE(c_integer("bool")->is(TypeKind::kBool));
  for (std::string_view name : {"", "struct x", "long long long", "float"}) EXPECT_FALSE(c_integer(name)) << name;
}

// Of the running kernel every field of large records must be where BTF says it is.
TEST(BtfTypes, OfTheKernelAreWhereBtfSays) {
  if (!Kernel::running().can(FeatureId::kBtf)) GTEST_SKIP() << "this kernel has no BTF";
  BtfTypes types;
  Result<const Btf *> btf = types.kernel();
  ASSERT_TRUE(btf) << btf.error().text();
  for (std::string name : {"task_struct", "sk_buff", "sock", "file", "inode", "tcp_sock", "request"}) {
    BtfId id = (*btf)->find(BtfKind::kStruct, name);
    ASSERT_NE(id, kBtfVoid) << name;
    Type record = types.resolve("struct " + name);
    ASSERT_TRUE(record.is(TypeKind::kRecord));
    EXPECT_EQ(record.bytes(), (*btf)->size_of(id));
    EXPECT_GT(record.fields().size(), 10u);
    for (const Field &field : record.fields()) {
      std::optional<BtfMember> member = (*btf)->member(id, field.name);
      ASSERT_TRUE(member) << name << "." << field.name;
      EXPECT_EQ(field.offset * 8 + field.bit_offset, member->bit_offset) << name << "." << field.name;
      EXPECT_EQ(field.bit_size, member->bit_size) << name << "." << field.name;
      EXPECT_LE(field.offset + field.type.bytes(), record.bytes()) << name << "." << field.name;
      if (field.bit_size == 0 && !field.type.is(TypeKind::kPointer)) {
        EXPECT_EQ(field.type.bytes(), (*btf)->size_of(member->type).value_or(0)) << name << "." << field.name;
      }
    }
  }
  Type task = types.resolve("struct task_struct");
  EXPECT_EQ(task.field("comm")->type.name(), "string[16]");
  EXPECT_EQ(task.field("pid")->type.name(), "int32");
  Type parent = types.complete(task.field("real_parent")->type.element());
  EXPECT_NE(parent.field("tgid"), nullptr);
  const Field *packet_type = types.resolve("struct sk_buff").field("pkt_type");
  ASSERT_NE(packet_type, nullptr);
  EXPECT_EQ(packet_type->bit_size, 3u);
}

}  // namespace
}  // namespace waggle::script
