// What a program's debug information says: what its functions take, and its types.
//
// Nothing is read until somebody asks. Then the file's sections are held in memory, and of
// them only what is asked for is made into types, as BTF (format/dwarf_btf.h), with all that
// it leads to.
// Threads: one.
// source: System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing"
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/btf.h"
#include "format/dwarf.h"
#include "script/probes/arguments.h"
#include "script/probes/btf_types.h"
#include "script/types/type.h"
#include "symbol/debug_sections.h"
#include "symbol/user_probes.h"

namespace waggle::script {

class ProgramTypes {
 public:
  //   path    of the program or library as waggle opens it; shown  as process `pid` sees it
  //   pid     0: the host's
  ProgramTypes(std::string path, std::string shown, int32_t pid)
      : path_(std::move(path)), shown_(std::move(shown)), pid_(pid) {}
  ProgramTypes(const ProgramTypes &) = delete;
  ProgramTypes &operator=(const ProgramTypes &) = delete;

  // Of the function at a place of this file, as it is entered. The slot of each, offset / 8,
  // is the register that it is passed in, and from 6 on its place on the stack.
  //   errors  NotFound  there is no debug information, or it lacks the function
  //           and those of read_debug_sections() and Dwarf
  Result<Arguments> arguments(const UserProbe &place);

  // "struct point", "union u", "enum colour", "point_t", "ns::point". Of a record all fields.
  // kNone: there is no such type.
  Type resolve(std::string_view name);

  // Whether a record that is only named comes from here, and its fields.
  bool has_made(const Type &type) const;
  Type complete(const Type &type);

 private:
  struct Part {
    std::vector<std::byte> bytes;
    std::unique_ptr<Btf> btf;
    std::unique_ptr<BtfTypes> types;
  };

  Result<void> open();
  Result<void> read();
  Part *part_of(DwarfOffset root);  // null: it is malformed
  Part *add_part(std::vector<std::byte> bytes);
  uint64_t address_of(uint64_t file_offset) const;

  std::string path_, shown_;
  int32_t pid_ = 0;
  std::optional<Result<void>> opened_;
  DebugSections sections_;
  std::optional<Dwarf> dwarf_;  // else the program has BTF, which is the first part
  std::deque<Part> parts_;
  std::map<DwarfOffset, Part *> known_;
  std::map<std::string, Type, std::less<>> resolved_;
  DwarfOffset last_ = kDwarfNone;  // the last function: its types are looked for near it
};

}  // namespace waggle::script
