// Debug information as BTF: a function or type of a program, with all that its types lead
// to. What is done with the kernel's types can then be done with a program's.
//
//   a class is a struct, and what it inherits an anonymous member; names have their
//   scopes: "ns::point"
//   a reference is a pointer
//   an array of arrays is just that
// Left out are members that are not in the record (static ones), methods, and template
// parameters. Beyond kDwarfTypesMost types a record behind a pointer is only declared.
// source: Documentation/bpf/btf.rst; DWARF 5, chapter 5
#pragma once

#include <cstddef>
#include <vector>

#include "format/btf.h"
#include "format/dwarf.h"

namespace waggle {

// As many take 10 ms and 1 MB.
constexpr size_t kDwarfTypesMost = 20'000;
// The id that the root has.
constexpr BtfId kDwarfRoot = 1;

// REQUIRES: root != kDwarfNone
std::vector<std::byte> btf_of_dwarf(const Dwarf &dwarf, DwarfOffset root);

}  // namespace waggle
