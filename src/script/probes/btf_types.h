// Types of the kernel, as BTF describes them, made into types of scripts one at a
// time: struct task_struct leads to most of the kernel, so what a pointer points at
// is only named until somebody asks for it.
//
// A record behind a pointer has its name and size and no fields, and the BtfTypes as its
// origin, whose complete() gives it its fields. Fields of anonymous structs and unions inside are the record's own, at
// their offsets in it, as C accesses them.
//   char arrays are strings; other arrays of arrays stay so
//   a pointer with the tag "user" is of AddressSpace::kUser, others of kNone
//   what has no C name ("struct { … } *") is called "struct #ID", which resolve() knows
// Memory: the kernel's BTF is mapped or read (6 MB) when the first type is asked for.
// Threads: one.
// source: Documentation/bpf/btf.rst
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/btf.h"
#include "kernel/kernel_btf.h"
#include "script/types/type.h"

namespace waggle::script {

class BtfTypes {
 public:
  // Of the running kernel and, where it lacks a name, its modules.
  BtfTypes() = default;
  // Of BTF that somebody else holds and that outlives this.
  explicit BtfTypes(const Btf &btf) : given_(&btf) {}
  BtfTypes(const BtfTypes &) = delete;
  BtfTypes &operator=(const BtfTypes &) = delete;

  // "struct task_struct", "union sigval", "enum pid_type", "pid_t", "long unsigned int",
  // and pointers to those: "struct file *". Of a record all fields. TypeKind::kNone when
  // there is no such type, or no BTF. The first call takes 10 ms, others microseconds.
  Type resolve(std::string_view name);

  // The same record with its fields; any other type, and one that only the script
  // knows, is returned as it is.
  Type complete(const Type &type);

  // REQUIRES: btf.contains(id); btf is one that find() returned, or the given one
  Type convert(const Btf &btf, BtfId id);

  struct Found {
    const Btf *btf = nullptr;  // null: there is none
    BtfId id = kBtfVoid;
  };
  // `module` is "vmlinux", a module's name, or empty: the kernel's, else the first module's.
  Found find(BtfKind kind, std::string_view name, std::string_view module = {});

  // The kernel's own.  errors: Unsupported, Invalid
  Result<const Btf *> kernel();
  // Calls visit(btf, module) for the kernel ("vmlinux") and each module.
  template <typename Visit>
  void each(Visit visit) {
    if (Result<const Btf *> btf = kernel()) visit(**btf, std::string_view("vmlinux"));
    if (given_ != nullptr) return;
    open_modules();
    for (const Opened &module : modules_) visit(*module.types, std::string_view(module.name));
  }

 private:
  // The types look into the bytes, which stay where they are when an Opened is moved.
  struct Opened {
    std::string name;
    std::unique_ptr<KernelBtf> bytes;
    std::unique_ptr<Btf> types;
  };
  using Key = std::pair<const Btf *, BtfId>;

  void open_modules();
  Type convert_value(const Btf &btf, BtfId id, std::string_view typedef_name, bool behind_pointer, unsigned depth);
  Type convert_pointer(const Btf &btf, BtfId target, unsigned depth);
  Type convert_array(const Btf &btf, const BtfType &type, unsigned depth);
  Type convert_enum(const Btf &btf, const BtfType &type);
  Type convert_record(const Btf &btf, const BtfType &type, std::string_view typedef_name, bool behind_pointer,
                      unsigned depth);
  void add_fields(const Btf &btf, BtfId id, uint64_t base_bits, uint32_t record_bytes, std::vector<Field> &fields,
                  unsigned depth);

  const Btf *given_ = nullptr;
  std::optional<Error> failure_;
  std::optional<Opened> kernel_;
  bool modules_opened_ = false;
  std::deque<Opened> modules_;
  std::map<Key, Type> records_, enums_;  // complete ones
  std::vector<Key> open_;                // records whose fields are being added, outermost first
};

// Integers as C names them: "unsigned long", "long unsigned int", "u32", "__s64",
// "size_t", "bool"; nothing for other words. Blanks between words are single.
std::optional<Type> c_integer(std::string_view name);

// A type's definition as C writes it, ending in "};": struct, union or enum; other
// types as a declaration. Members of anonymous records are written where they are.
std::string c_definition(const Btf &btf, BtfId id);

}  // namespace waggle::script
