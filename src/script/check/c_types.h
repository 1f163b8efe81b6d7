// What a script defines in C: its records, enums and typedefs, laid out as C does.
// Names that the script does not define are those of the program that is probed, or the
// kernel's.
// Threads: one.
// source: System V ABI, AMD64 supplement, 3.1.2 "Aggregates and Unions" and "Bit-Fields"
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "script/probes/btf_types.h"
#include "script/probes/program_types.h"
#include "script/syntax/source.h"
#include "script/syntax/tree.h"
#include "script/types/type.h"

namespace waggle::script {

class CTypes {
 public:
  CTypes(const Tree &tree, BtfTypes &types, Diagnostics &diagnostics)
      : tree_(tree), types_(types), diagnostics_(diagnostics) {}

  // Lays all of them out. What is wrong is told once.
  void define();

  // From now on names that the script does not define are looked for there, and only then
  // in the kernel. Null: in the kernel alone.
  void look_into(ProgramTypes *program);
  bool has_looked() const { return has_looked_; }  // into that program

  // "struct file", "union u", "enum e", "u32", "uint64", "sockaddr_in" (a struct's name alone).
  // kNone: there is none. Of a record all fields.
  Type resolve(TypeSyntax::Base base, std::string_view name);
  // The same record with its fields.
  Type complete(const Type &type);

  // An enumerator of the script or of the kernel; its type is the enum.
  struct Constant {
    int64_t value = 0;
    Type type;
  };
  const Constant *constant(std::string_view name);

 private:
  struct Extent {
    uint32_t bytes, alignment;
  };
  Type record(const CRecord &syntax);
  Type field_type(const TypeSyntax &syntax);
  Type field_base(const TypeSyntax &syntax, bool behind_pointer);
  uint32_t alignment_of(const Type &type) const;
  bool number_of(const Expression &expression, int64_t &value);
  void kernel_enumerators();
  Type of_program(std::string_view name);

  const Tree &tree_;
  BtfTypes &types_;
  Diagnostics &diagnostics_;
  std::map<std::string, Type, std::less<>> defined_;         // "struct a", "enum e"
  std::map<std::string, uint32_t, std::less<>> alignments_;  // of records
  std::map<const CRecord *, Type> anonymous_;
  std::map<std::string, Type, std::less<>> typedefs_;
  std::map<std::string, Constant, std::less<>> constants_;
  bool has_kernel_enumerators_ = false;
  ProgramTypes *program_ = nullptr;
  bool has_looked_ = false;
  std::vector<ProgramTypes *> programs_;  // all that there have been
};

}  // namespace waggle::script
