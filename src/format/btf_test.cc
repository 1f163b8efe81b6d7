#include "format/btf.h"

#include <gtest/gtest.h>
#include <linux/btf.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace waggle {
namespace {

// Writes BTF. Each function returns the id of the type it appends.
class Writer {
 public:
  explicit Writer(BtfId first_id = 1, uint32_t first_string = 0)
      : next_id_(first_id), first_string_(first_string), strings_(first_string == 0 ? 1 : 0, '\0') {}

  uint32_t text(std::string_view value) {
    if (value.empty()) return 0;
    auto at = static_cast<uint32_t>(first_string_ + strings_.size());
    strings_.append(value).push_back('\0');
    return at;
  }
  BtfId add(BtfKind kind, std::string_view name, uint32_t size_or_type, std::vector<uint32_t> after = {},
            uint32_t count = 0, bool kind_flag = false) {
    words_.push_back(text(name));
    words_.push_back(static_cast<uint32_t>(kind) << 24 | count | static_cast<uint32_t>(kind_flag) << 31);
    words_.push_back(size_or_type);
    words_.insert(words_.end(), after.begin(), after.end());
    return next_id_++;
  }
  BtfId integer(std::string_view name, uint32_t bytes, uint32_t encoding = 0) {
    return add(BtfKind::kInt, name, bytes, {encoding << 24 | bytes * 8});
  }
  BtfId pointer(BtfId to) { return add(BtfKind::kPointer, "", to); }
  BtfId array(BtfId of, uint32_t length) { return add(BtfKind::kArray, "", 0, {of, 1, length}); }

  struct Part {
    std::string_view name;
    BtfId type;
    uint32_t at = 0;  // of a member, in bits
  };
  BtfId record(BtfKind kind, std::string_view name, uint32_t bytes, const std::vector<Part> &parts,
               bool kind_flag = false) {
    std::vector<uint32_t> after;
    for (const Part &part : parts) after.insert(after.end(), {text(part.name), part.type, part.at});
    return add(kind, name, bytes, after, static_cast<uint32_t>(parts.size()), kind_flag);
  }
  BtfId prototype(BtfId returned, const std::vector<Part> &parts) {
    std::vector<uint32_t> after;
    for (const Part &part : parts) after.insert(after.end(), {text(part.name), part.type});
    return add(BtfKind::kPrototype, "", returned, after, static_cast<uint32_t>(parts.size()));
  }
  BtfId function(std::string_view name, BtfId prototype_id) {
    return add(BtfKind::kFunction, name, prototype_id, {}, 1);
  }

  std::vector<std::byte> bytes() const {
    btf_header header = {};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof(header);
    header.type_len = static_cast<uint32_t>(words_.size() * sizeof(uint32_t));
    header.str_off = header.type_len;
    header.str_len = static_cast<uint32_t>(strings_.size());
    std::vector<std::byte> all(sizeof(header) + header.type_len + header.str_len);
    memcpy(all.data(), &header, sizeof(header));
    memcpy(all.data() + sizeof(header), words_.data(), header.type_len);
    memcpy(all.data() + sizeof(header) + header.type_len, strings_.data(), strings_.size());
    return all;
  }
  BtfId next_id() const { return next_id_; }
  uint32_t end_string() const { return static_cast<uint32_t>(first_string_ + strings_.size()); }

 private:
  BtfId next_id_;
  uint32_t first_string_;
  std::vector<uint32_t> words_;
  std::string strings_;
};

TEST(Btf, PrintsTypesAsCDoes) {
  Writer w;
  BtfId int_ = w.integer("int", 4, BTF_INT_SIGNED), char_ = w.integer("char", 1);
  BtfId buff = w.add(BtfKind::kForward, "sk_buff", 0), either = w.add(BtfKind::kForward, "either", 0, {}, 0, true);
  BtfId const_buff = w.add(BtfKind::kConst, "", buff), const_char = w.add(BtfKind::kConst, "", char_);
  BtfId buff_ptr = w.pointer(buff), const_buff_ptr = w.pointer(const_buff);
  BtfId const_ptr = w.add(BtfKind::kConst, "", w.pointer(const_char));
  BtfId text = w.array(char_, 16), grid = w.array(w.array(int_, 3), 2), pointers = w.array(buff_ptr, 4);
  BtfId handler = w.prototype(int_, {{"", buff_ptr}, {"", int_}});
  BtfId logger = w.prototype(0, {{"format", w.pointer(const_char)}, {"", 0}});
  BtfId no_parameters = w.prototype(0, {});
  BtfId handler_ptr = w.pointer(handler), text_ptr = w.pointer(text);
  BtfId getter = w.pointer(w.prototype(handler_ptr, {{"", int_}}));
  BtfId size_t_ = w.add(BtfKind::kTypedef, "size_t", w.integer("unsigned long", 8));
  BtfId user = w.pointer(w.add(BtfKind::kTypeTag, "user", char_));
  BtfId attribute = w.pointer(w.add(BtfKind::kTypeTag, "noderef", char_, {}, 0, true));
  BtfId void_ptr = w.pointer(0), anonymous = w.record(BtfKind::kStruct, "", 0, {});
  BtfId color = w.add(BtfKind::kEnum, "color", 4), big = w.add(BtfKind::kEnum64, "big", 8);
  BtfId read = w.function("vfs_read", w.prototype(size_t_, {{"buf", user}, {"count", size_t_}}));
  BtfId log = w.function("printk", logger);
  BtfId jiffies = w.add(BtfKind::kVariable, "jiffies", w.add(BtfKind::kVolatile, "", size_t_), {1});
  BtfId restricted = w.add(BtfKind::kRestrict, "", void_ptr), real = w.add(BtfKind::kFloat, "double", 8);
  BtfId const_text_ptr = w.pointer(w.add(BtfKind::kConst, "", text));
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();

  struct Case {
    BtfId id;
    std::string_view name, text;
  };
  const Case kCases[] = {
      {kBtfVoid, "", "void"},
      {int_, "", "int"},
      {int_, "x", "int x"},
      {real, "x", "double x"},
      {buff, "", "struct sk_buff"},
      {either, "", "union either"},
      {buff_ptr, "", "struct sk_buff *"},
      {buff_ptr, "skb", "struct sk_buff *skb"},
      {const_buff_ptr, "", "const struct sk_buff *"},
      {const_ptr, "", "const char *const"},
      {const_ptr, "p", "const char *const p"},
      {restricted, "p", "void *restrict p"},
      {text, "", "char[16]"},
      {text, "comm", "char comm[16]"},
      {grid, "g", "int g[2][3]"},
      {pointers, "p", "struct sk_buff *p[4]"},
      {text_ptr, "p", "char (*p)[16]"},
      {const_text_ptr, "", "const char (*)[16]"},
      {handler, "", "int (struct sk_buff *, int)"},
      {handler_ptr, "", "int (*)(struct sk_buff *, int)"},
      {handler_ptr, "f", "int (*f)(struct sk_buff *, int)"},
      {getter, "get", "int (*(*get)(int))(struct sk_buff *, int)"},
      {no_parameters, "f", "void f(void)"},
      {size_t_, "n", "size_t n"},
      {user, "buf", "char __user *buf"},
      {attribute, "", "char __attribute__((noderef)) *"},
      {void_ptr, "", "void *"},
      {anonymous, "", "struct {...}"},
      {anonymous, "a", "struct {...} a"},
      {color, "c", "enum color c"},
      {big, "", "enum big"},
      {read, "", "size_t vfs_read(char __user *buf, size_t count)"},
      {read, "other", "size_t other(char __user *buf, size_t count)"},
      {log, "", "void printk(const char *format, ...)"},
      {jiffies, "", "volatile size_t jiffies"},
  };
  for (const Case &c : kCases) EXPECT_EQ(btf->declaration(c.id, c.name), c.text);
}

TEST(Btf, FindsMembersWithTheirOffsets) {
  Writer w;
  BtfId int_ = w.integer("int", 4, BTF_INT_SIGNED);
  BtfId old_bits = w.add(BtfKind::kInt, "int", 4, {1u << 16 | 3});  // 3 bits, one bit in
  BtfId point = w.record(BtfKind::kStruct, "", 8, {{"x", int_, 0}, {"y", int_, 32}});
  BtfId either = w.record(BtfKind::kUnion, "", 8, {{"", point, 0}, {"both", w.integer("long", 8), 0}});
  BtfId flags =
      w.record(BtfKind::kStruct, "flags", 16,
               {{"head", int_, 0}, {"a", int_, 3u << 24 | 32}, {"b", int_, 5u << 24 | 35}, {"", either, 64}}, true);
  BtfId old_flags = w.record(BtfKind::kStruct, "old_flags", 4, {{"a", old_bits, 0}, {"b", int_, 0}});
  BtfId alias = w.add(BtfKind::kTypedef, "flags_t", w.add(BtfKind::kConst, "", flags));
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();

  EXPECT_EQ(btf->members(flags).size(), 4u);
  EXPECT_TRUE(btf->members(int_).empty());
  EXPECT_TRUE(btf->members(kBtfVoid).empty());
  struct Case {
    BtfId id;
    std::string_view name;
    int bit_offset, bit_size;  // offset -1: there is none
  };
  const Case kCases[] = {
      {flags, "head", 0, 0}, {flags, "a", 32, 3},    {flags, "b", 35, 5}, {flags, "x", 64, 0},
      {flags, "y", 96, 0},   {flags, "both", 64, 0}, {alias, "y", 96, 0}, {old_flags, "a", 1, 3},
      {flags, "z", -1, 0},   {flags, "", -1, 0},     {int_, "x", -1, 0},  {old_flags, "b", 0, 0},
  };
  for (const Case &c : kCases) {
    std::optional<BtfMember> member = btf->member(c.id, c.name);
    ASSERT_EQ(member.has_value(), c.bit_offset >= 0) << c.name;
    if (!member) continue;
    EXPECT_EQ(member->bit_offset, static_cast<uint32_t>(c.bit_offset)) << c.name;
    EXPECT_EQ(member->bit_size, static_cast<uint32_t>(c.bit_size)) << c.name;
  }
}

TEST(Btf, ReadsEnums) {
  Writer w;
  uint32_t a = w.text("A"), b = w.text("B");
  BtfId plain = w.add(BtfKind::kEnum, "plain", 4, {a, 1, b, ~0u}, 2);
  BtfId negative = w.add(BtfKind::kEnum, "negative", 4, {a, 1, b, ~0u}, 2, true);
  BtfId wide = w.add(BtfKind::kEnum64, "wide", 8, {a, 7, 1, b, ~0u, ~0u}, 2, true);
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();
  EXPECT_EQ(btf->enumerator(plain, "B"), 0xffffffff);
  EXPECT_EQ(btf->enumerator(negative, "B"), -1);
  EXPECT_EQ(btf->enumerator(wide, "A"), 0x1'0000'0007);
  EXPECT_EQ(btf->enumerator(wide, "B"), -1);
  EXPECT_EQ(btf->enumerator(wide, "C"), std::nullopt);
  EXPECT_EQ(btf->enumerators(plain).size(), 2u);
  EXPECT_TRUE(btf->is_unsigned_enum(plain));
  EXPECT_FALSE(btf->is_unsigned_enum(negative));
}

TEST(Btf, KnowsSizes) {
  Writer w;
  BtfId int_ = w.integer("int", 4, BTF_INT_SIGNED | BTF_INT_BOOL);
  BtfId grid = w.array(w.array(int_, 3), 2), none = w.array(int_, 0);
  BtfId huge = w.array(w.array(int_, 1u << 20), 1u << 20);
  BtfId loop = w.add(BtfKind::kTypedef, "loop", w.next_id());
  BtfId forward = w.add(BtfKind::kForward, "x", 0), pointer = w.pointer(forward);
  BtfId section = w.add(BtfKind::kSection, ".bss", 64, {w.next_id() + 1, 8, 4}, 1);
  BtfId variable = w.add(BtfKind::kVariable, "v", grid, {0});
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();
  struct Case {
    BtfId id;
    std::optional<uint32_t> bytes;
  };
  const Case kCases[] = {
      {int_, 4},
      {grid, 24},
      {none, 0},
      {huge, std::nullopt},
      {loop, std::nullopt},
      {forward, std::nullopt},
      {section, 64},
      {variable, 24},
      {pointer, 8},
      {kBtfVoid, std::nullopt},
  };
  for (const Case &c : kCases) EXPECT_EQ(btf->size_of(c.id), c.bytes) << c.id;
  EXPECT_EQ(btf->resolve(loop), kBtfVoid);
  EXPECT_TRUE(btf->integer(int_)->is_signed && btf->integer(int_)->is_bool && !btf->integer(int_)->is_char);
  EXPECT_EQ(btf->integer(int_)->bits, 32u);
  EXPECT_EQ(btf->variables(section)[0].variable, variable);
  EXPECT_EQ(btf->variables(section)[0].offset, 8u);
}

TEST(Btf, FindsByNameAndTag) {
  Writer w;
  BtfId int_ = w.integer("int", 4), record = w.record(BtfKind::kStruct, "thing", 4, {{"a", int_, 0}});
  BtfId typedef_ = w.add(BtfKind::kTypedef, "thing", record), second = w.record(BtfKind::kStruct, "thing", 8, {});
  BtfId function = w.function("thing", w.prototype(int_, {{"a", int_}}));
  w.add(BtfKind::kDeclTag, "whole", record, {~0u});
  w.add(BtfKind::kDeclTag, "of a", record, {0});
  w.add(BtfKind::kDeclTag, "of a too", record, {0});
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();
  EXPECT_EQ(btf->find(BtfKind::kStruct, "thing"), record);
  EXPECT_NE(btf->find(BtfKind::kStruct, "thing"), second);
  EXPECT_EQ(btf->find(BtfKind::kTypedef, "thing"), typedef_);
  EXPECT_EQ(btf->find(BtfKind::kFunction, "thing"), function);
  EXPECT_EQ(btf->find(BtfKind::kUnion, "thing"), kBtfVoid);
  EXPECT_EQ(btf->find(BtfKind::kStruct, ""), kBtfVoid);
  EXPECT_EQ(btf->parameters(function).size(), 1u);
  EXPECT_EQ(btf->returned(function), int_);
  EXPECT_EQ(btf->returned(int_), std::nullopt);
  EXPECT_EQ(btf->tags(record), (std::vector<std::string_view>{"whole"}));
  EXPECT_EQ(btf->tags(record, 0), (std::vector<std::string_view>{"of a", "of a too"}));
  EXPECT_TRUE(btf->tags(int_).empty());
}

TEST(Btf, ReadsAModuleOnTopOfItsBase) {
  Writer w;
  BtfId int_ = w.integer("int", 4), record = w.record(BtfKind::kStruct, "thing", 4, {{"a", int_, 0}});
  std::vector<std::byte> base_bytes = w.bytes();
  Result<Btf> base = Btf::parse(base_bytes);
  ASSERT_TRUE(base) << base.error().text();

  Writer m(w.next_id(), w.end_string());
  BtfId pointer = m.pointer(record), function = m.function("init", m.prototype(pointer, {{"n", int_}}));
  BtfId own = m.record(BtfKind::kStruct, "own", 8, {{"thing", pointer, 0}});
  m.add(BtfKind::kDeclTag, "tagged", record, {~0u});
  std::vector<std::byte> module_bytes = m.bytes();
  Result<Btf> module = Btf::parse(module_bytes, &*base);
  ASSERT_TRUE(module) << module.error().text();
  EXPECT_EQ(module->first_id(), base->end_id());
  EXPECT_EQ(module->find(BtfKind::kStruct, "thing"), record);
  EXPECT_EQ(module->find(BtfKind::kStruct, "own"), own);
  EXPECT_EQ(base->find(BtfKind::kStruct, "own"), kBtfVoid);
  EXPECT_EQ(module->declaration(function), "struct thing *init(int n)");
  EXPECT_EQ(module->member(record, "a")->type, int_);
  EXPECT_EQ(module->tags(record), (std::vector<std::string_view>{"tagged"}));
  // Alone it refers to what is not there.
  EXPECT_FALSE(Btf::parse(module_bytes));
}

TEST(Btf, RefusesWhatIsMalformed) {
  Writer w;
  BtfId int_ = w.integer("int", 4);
  w.record(BtfKind::kStruct, "s", 4, {{"a", int_, 0}});
  const std::vector<std::byte> good = w.bytes();
  ASSERT_TRUE(Btf::parse(good));
  constexpr size_t kInt = sizeof(btf_header), kStruct = kInt + 16;
  struct Case {
    std::string_view what;
    size_t at;
    uint32_t word;
  };
  const Case kCases[] = {
      {"magic number", 0, 0},
      {"other byte order", 0, 0x00019feb},
      {"version", 0, BTF_MAGIC | 2u << 16},
      {"header's length", 4, 20},
      {"header's length", 4, 4096},
      {"types reach", 8, 4096},
      {"types reach", 12, 4096},
      {"strings reach", 16, 4096},
      {"strings reach", 20, 4096},
      {"last string", 20, 0},
      {"last string", 20, 2},
      {"begin with the empty", 16, 32},
      {"cut off", 12, 14},
      {"name is outside", kInt, 4096},
      {"kind 31", kInt + 4, 31u << 24},
      {"kind 0", kInt + 4, 0},
      {"cut off", kStruct + 4, 4u << 24 | 100},
      {"name of a part", kStruct + 12, 4096},
      {"refers to type 99", kStruct + 16, 99},
  };
  for (const Case &c : kCases) {
    std::vector<std::byte> bytes = good;
    memcpy(bytes.data() + c.at, &c.word, sizeof(c.word));
    Result<Btf> btf = Btf::parse(bytes);
    ASSERT_FALSE(btf) << c.what;
    EXPECT_EQ(btf.error().code, ErrorCode::kInvalid);
    EXPECT_NE(btf.error().why.find(c.what), std::string::npos) << c.what << ": " << btf.error().why;
  }
  for (size_t size = 0; size < good.size(); size++) EXPECT_FALSE(Btf::parse(std::span(good).first(size)));
}

TEST(Btf, EndsWhatRefersToItself) {
  Writer w;
  BtfId int_ = w.integer("int", 4);
  BtfId constant = w.add(BtfKind::kConst, "", w.next_id());
  BtfId pointer = w.pointer(w.next_id());
  BtfId callback = w.prototype(w.next_id() + 1, {{"a", w.next_id() + 1}, {"b", w.next_id() + 1}});
  BtfId callback_ptr = w.pointer(callback);
  BtfId record = w.record(BtfKind::kStruct, "s", 4, {{"", w.next_id(), 0}, {"", w.next_id(), 0}, {"a", int_, 0}});
  std::vector<std::byte> bytes = w.bytes();
  Result<Btf> btf = Btf::parse(bytes);
  ASSERT_TRUE(btf) << btf.error().text();
  EXPECT_EQ(btf->without_modifiers(constant), kBtfVoid);
  EXPECT_NE(btf->type_name(constant).find("..."), std::string::npos);
  EXPECT_NE(btf->type_name(pointer).find("..."), std::string::npos);
  EXPECT_LT(btf->type_name(callback_ptr).size(), 5000u);
  EXPECT_EQ(btf->member(record, "none"), std::nullopt);
}

std::string content_of(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Btf, ReadsTheRunningKernels) {
  std::string content = content_of("/sys/kernel/btf/vmlinux");
  if (content.empty()) GTEST_SKIP() << "this kernel has no BTF";
  Result<Btf> btf = Btf::parse(std::as_bytes(std::span(content)));
  ASSERT_TRUE(btf) << btf.error().text();
  BtfId list = btf->find(BtfKind::kStruct, "list_head");
  EXPECT_EQ(btf->size_of(list), 16u);
  EXPECT_EQ(btf->declaration(btf->member(list, "prev")->type, "prev"), "struct list_head *prev");
  EXPECT_EQ(btf->member(list, "prev")->bit_offset, 64u);
  BtfId task = btf->find(BtfKind::kStruct, "task_struct");
  EXPECT_EQ(btf->declaration(btf->member(task, "comm")->type, "comm"), "char comm[16]");
  EXPECT_NE(
      btf->declaration(btf->find(BtfKind::kFunction, "vfs_fsync")).find("vfs_fsync(struct file *file, int datasync)"),
      std::string::npos);
  // Every type can be printed and measured.
  size_t letters = 0;
  for (BtfId id = 0; id < btf->end_id(); id++) letters += btf->type_name(id).size() + btf->size_of(id).value_or(0) % 2;
  EXPECT_GT(letters, btf->end_id());
}

TEST(Btf, ReadsTheRunningKernelsModules) {
  std::string content = content_of("/sys/kernel/btf/vmlinux");
  if (content.empty()) GTEST_SKIP() << "this kernel has no BTF";
  Result<Btf> vmlinux = Btf::parse(std::as_bytes(std::span(content)));
  ASSERT_TRUE(vmlinux) << vmlinux.error().text();
  size_t functions = 0;
  for (const std::filesystem::directory_entry &entry : std::filesystem::directory_iterator("/sys/kernel/btf")) {
    if (entry.path().filename() == "vmlinux") continue;
    std::string own = content_of(entry.path());
    Result<Btf> module = Btf::parse(std::as_bytes(std::span(own)), &*vmlinux);
    ASSERT_TRUE(module) << entry.path() << ": " << module.error().text();
    EXPECT_NE(module->find(BtfKind::kStruct, "task_struct"), kBtfVoid);
    for (BtfId id = module->first_id(); id < module->end_id(); id++) {
      BtfType type = module->type(id);
      EXPECT_FALSE(module->type_name(id).empty() && !type.name.empty()) << entry.path() << " " << id;
      if (type.kind != BtfKind::kFunction) continue;
      functions++;
      EXPECT_NE(module->find(BtfKind::kFunction, type.name), kBtfVoid) << entry.path() << " " << type.name;
    }
  }
  if (functions == 0) GTEST_SKIP() << "no module with BTF is loaded";
}

}  // namespace
}  // namespace waggle
