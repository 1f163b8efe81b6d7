// The kernel's own types, as bytes: /sys/kernel/btf/vmlinux (some 6 MB) and the
// BTF of each module beside it. Where the kernel lets the file be mapped (6.16 and
// later) nothing is copied and nothing counts as this process's memory; elsewhere
// it is read into a mapping of its own. Both go back to the kernel on destruction.
//
// For reading types there is format/btf.h; here are only the two questions that
// are asked once and need no index: is there a type of this name, and what are the
// names that begin so.
//
// Threads: a KernelBtf may be asked by any number at once.
// source: Documentation/bpf/btf.rst; kernel/bpf/sysfs_btf.c
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

class KernelBtf {
 public:
  // errors: Unsupported  this kernel has no BTF
  //         Invalid      the file is no BTF, or of another byte order
  static Result<KernelBtf> load();

  // The types of a loaded module, which refer to those of `vmlinux`: that must
  // outlive the answer.  errors: NotFound; Invalid
  static Result<KernelBtf> load_module(std::string_view module, const KernelBtf &vmlinux);

  // BTF of this process's making, for tests.  errors: Invalid
  static Result<KernelBtf> from_bytes(std::span<const std::byte> bytes, const KernelBtf *vmlinux = nullptr);

  KernelBtf(KernelBtf &&other) noexcept;
  KernelBtf &operator=(KernelBtf &&other) noexcept;
  ~KernelBtf();

  // The whole file, header included; valid until destruction.
  std::span<const std::byte> bytes() const { return bytes_; }
  bool is_mapped() const { return mapped_; }  // rather than read

  // The id of the first type of that name and kind (BTF_KIND_* of <linux/btf.h>),
  // 0 when there is none. Reads the whole type section: 0.1 ms for a name that the
  // kernel does not know, 1 ms for one that it does. In a module, that module's
  // own types only.
  uint32_t find(uint32_t kind, std::string_view name) const;

  // All strings that begin with `prefix`, without it, in the order of the file. A
  // string may name any kind of type or member. Of a module: its own strings only.
  std::vector<std::string> names_after(std::string_view prefix) const;

  // Calls `visit(name, parameter count)` for each function; `name` is valid until
  // destruction. Stops at the first malformed type.
  void each_function(const std::function<void(std::string_view, uint32_t)> &visit) const;

 private:
  KernelBtf() = default;
  Result<void> read_header();
  std::string_view name_at(uint32_t offset) const;
  // Calls visit(type) until it returns false.  returns  how many were visited
  template <typename Visit>
  uint32_t walk(Visit visit) const;
  uint32_t first_id() const;

  std::span<const std::byte> bytes_, types_, strings_;
  size_t mapping_bytes_ = 0;  // 0: bytes_ are somebody else's
  bool mapped_ = false;
  const KernelBtf *vmlinux_ = nullptr;
  uint32_t first_string_ = 0;  // the offset that strings_ begins at
};

// Names of the modules that have BTF, as /sys/kernel/btf lists them.
std::vector<std::string> modules_with_btf();

}  // namespace waggle
