// The kernel's types that the CO-RE relocations of one BPF object ask for.
//
// libbpf compares the name of every type of the kernel with each type that an object
// knows: 1.2 ms a type, and 8 ms and 6 MB to read them first. So it is given a BTF that
// holds those types alone (its option `btf_custom_path`), made from the kernel's own in
// one walk for all of them.
// source: libbpf, bpf_object__relocate_core(); Documentation/bpf/btf.rst, ".BTF.ext"
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/fd.h"
#include "format/btf.h"
#include "kernel/shared_btf.h"

namespace waggle {

// While one lives, sensors that are loaded share one reading of the kernel's types.
// Threads: any number, in any threads.
class LoadingLease {
 public:
  LoadingLease();
  // The kernel's types that relocations can be about, in the order of the file, of these
  // names; `missing` loses the names that were found. Nothing where the kernel has no
  // types, or they cannot be read.
  struct Found {
    const Btf *types;
    std::vector<BtfId> ids;
  };
  std::optional<Found> find(std::unordered_set<std::string_view> &missing) const;

 private:
  struct Types;
  KernelBtfLease libbpfs_;
  std::shared_ptr<const Types> types_;
};

// The file with the types of one object, which lives as long as this.
class CoreTypes {
 public:
  CoreTypes();

  // What an object is to be opened with; empty where no file can be made.
  const std::string &path() const { return path_; }

  // Puts there what the relocations of the programs that `object` will load ask for.
  // `elf`: what it was opened from. False when libbpf has to look for the types itself,
  // because one may be a module's; the object must then be opened without the path.
  bool fill(const LoadingLease &lease, const bpf_object *object, std::span<const std::byte> elf);

 private:
  Fd file_;
  std::string path_;
};

}  // namespace waggle
