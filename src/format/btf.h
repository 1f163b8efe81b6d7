// BTF, the type information of kernels, their modules and BPF objects, read in
// place: no type and no name is copied.
//
// Btf::parse() checks every type once: that it lies within the bytes, that its
// names are inside the string section and its references name existing types.
// After that no accessor can fail on the input. What remains possible in hostile
// input, and is bounded where it matters, is a type that refers to itself.
//
// Types have ids from 1; 0 is void. The types of a module (split BTF) go on
// counting where its base, vmlinux, ends, and refer to it freely.
// Memory: 4 bytes a type, and 8 to 16 more once find() has been called.
// Threads: all const functions may be called from any number at once.
// source: Documentation/bpf/btf.rst; include/uapi/linux/btf.h
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace waggle {

using BtfId = uint32_t;
constexpr BtfId kBtfVoid = 0;

// The numbers are the format's own.
enum class BtfKind : uint8_t {
  kVoid,
  kInt,
  kPointer,
  kArray,
  kStruct,
  kUnion,
  kEnum,
  kForward,  // a struct or union that is declared and not defined
  kTypedef,
  kVolatile,
  kConst,
  kRestrict,
  kFunction,   // a function; its target is its prototype
  kPrototype,  // parameters and the type returned, its target
  kVariable,
  kSection,  // an ELF section with the variables in it
  kFloat,
  kDeclTag,  // an attribute of a type, member or parameter
  kTypeTag,  // an attribute of a pointed-to type: "user", "rcu"
  kEnum64,
};
constexpr size_t kBtfKinds = static_cast<size_t>(BtfKind::kEnum64) + 1;

struct BtfType {
  BtfId id = kBtfVoid;
  BtfKind kind = BtfKind::kVoid;
  bool kind_flag = false;   // its meaning depends on the kind
  uint32_t count = 0;       // members, values, parameters or variables
  std::string_view name;    // empty where there is none
  uint32_t bytes = 0;       // of kInt, kStruct, kUnion, kEnum, kEnum64, kFloat, kSection
  BtfId target = kBtfVoid;  // what the other kinds refer to; of kArray its element

  bool is_modifier() const {
    return kind == BtfKind::kConst || kind == BtfKind::kVolatile || kind == BtfKind::kRestrict ||
           kind == BtfKind::kTypeTag;
  }
  bool is_record() const { return kind == BtfKind::kStruct || kind == BtfKind::kUnion; }
  bool is_enum() const { return kind == BtfKind::kEnum || kind == BtfKind::kEnum64; }
};

struct BtfInteger {
  uint32_t bits = 0;
  uint32_t bit_offset = 0;  // within its bytes; 0 from every present compiler
  bool is_signed = false, is_char = false, is_bool = false;
};
struct BtfMember {
  std::string_view name;  // empty: an anonymous struct or union, whose members are looked through
  BtfId type = kBtfVoid;
  uint32_t bit_offset = 0;
  uint32_t bit_size = 0;  // of a bit field; 0 for every other member
};
struct BtfEnumerator {
  std::string_view name;
  int64_t value = 0;  // of an unsigned 64-bit enum: the same bits
};
struct BtfParameter {
  std::string_view name;  // a last one without name and type stands for "..."
  BtfId type = kBtfVoid;
};
struct BtfSectionVariable {
  BtfId variable = kBtfVoid;
  uint32_t offset = 0, bytes = 0;
};

class Btf;

// What a type consists of, decoded as it is looked at. Looks into the Btf.
template <typename T>
class BtfList {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = ptrdiff_t;
    using pointer = const T *;
    using reference = T;

    Iterator(const BtfList *list, uint32_t index) : list_(list), index_(index) {}
    T operator*() const { return (*list_)[index_]; }
    Iterator &operator++() {
      index_++;
      return *this;
    }
    bool operator==(const Iterator &) const = default;

   private:
    const BtfList *list_;
    uint32_t index_;
  };

  BtfList() = default;
  BtfList(const Btf *btf, const std::byte *at, BtfType type) : btf_(btf), at_(at), type_(type) {}

  uint32_t size() const { return type_.count; }
  bool empty() const { return size() == 0; }
  T operator[](uint32_t index) const;  // REQUIRES: index < size()
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  const Btf *btf_ = nullptr;
  const std::byte *at_ = nullptr;
  BtfType type_;
};

class Btf {
 public:
  // `bytes` must outlive the answer, and so must `base`, which must not be split
  // itself. 126,000 types take 2 ms.
  //   errors  Invalid  with the place in `why`; also for kinds newer than kEnum64
  static Result<Btf> parse(std::span<const std::byte> bytes, const Btf *base = nullptr);

  Btf(Btf &&) noexcept;
  Btf &operator=(Btf &&) noexcept;
  ~Btf();

  // Ids below it are valid; the base's types are among them.
  BtfId end_id() const { return first_id_ + static_cast<BtfId>(places_.size()); }
  BtfId first_id() const { return first_id_; }  // of its own types
  bool contains(BtfId id) const { return id < end_id(); }

  BtfType type(BtfId id) const;  // REQUIRES: contains(id); so does every function below
  BtfKind kind(BtfId id) const;  // type(id).kind, for walks over all types

  // The first type of that name and kind, its own before those of the base; kBtfVoid
  // when there is none. The first call builds an index of all names, 126,000 types in
  // 6 ms; every other takes 0.1 us.
  BtfId find(BtfKind kind, std::string_view name) const;

  // Empty for a type of another kind.
  BtfList<BtfMember> members(BtfId id) const;             // of kStruct, kUnion
  BtfList<BtfEnumerator> enumerators(BtfId id) const;     // of kEnum, kEnum64
  BtfList<BtfParameter> parameters(BtfId id) const;       // of kPrototype, and of kFunction its prototype's
  BtfList<BtfSectionVariable> variables(BtfId id) const;  // of kSection
  std::optional<BtfInteger> integer(BtfId id) const;      // of kInt
  uint32_t array_length(BtfId id) const;                  // of kArray; 0 also for other kinds
  bool is_unsigned_enum(BtfId id) const;                  // of kEnum, kEnum64
  std::optional<BtfId> returned(BtfId id) const;          // of kPrototype, kFunction

  // What is left without const, volatile, restrict and type tags; resolve() looks
  // through typedefs too. kBtfVoid for a chain of more than 64.
  BtfId without_modifiers(BtfId id) const;
  BtfId resolve(BtfId id) const;

  // The size of a value of the type; nothing for void, functions, forward
  // declarations and what is larger than 4 GiB.
  std::optional<uint32_t> size_of(BtfId id) const;

  // A member by name, those of anonymous structs and unions inside included, with
  // its offset from the beginning of the outermost. Looks through typedefs.
  std::optional<BtfMember> member(BtfId id, std::string_view name) const;

  // The value of one name of an enum; looks through typedefs.
  std::optional<int64_t> enumerator(BtfId id, std::string_view name) const;

  // Texts of the declaration tags of a type (component -1) or of its member or
  // parameter with that index, in the order of the file.
  std::vector<std::string_view> tags(BtfId id, int32_t component = -1) const;

  // As C writes it: "const struct sk_buff *", "char[16]", "int (*)(struct file *)".
  // Anonymous types are "struct {...}", type tags are written as the kernel's
  // macros are ("char __user *"). Text beyond 4 KiB is cut off.
  std::string type_name(BtfId id) const { return declaration(id); }
  // A declaration: "char comm[16]", "int (*open)(struct inode *)". A function or
  // variable has a name of its own: "int vfs_fsync(struct file *file, int datasync)".
  std::string declaration(BtfId id, std::string_view name = {}) const;

 private:
  struct Lazy;
  struct Printer;
  template <typename T>
  friend class BtfList;

  Btf();
  Result<void> read_header(std::span<const std::byte> bytes);
  Result<void> read_types();
  Result<size_t> check_type(size_t at, BtfId id, BtfId &reference_most) const;
  const std::byte *place(BtfId id) const;
  bool has_string(uint32_t offset) const;
  std::string_view name_at(uint32_t offset) const;
  void build_index() const;
  void build_tags() const;

  BtfMember decode(const std::byte *at, const BtfType &type, BtfMember *) const;
  BtfEnumerator decode(const std::byte *at, const BtfType &type, BtfEnumerator *) const;
  BtfParameter decode(const std::byte *at, const BtfType &type, BtfParameter *) const;
  BtfSectionVariable decode(const std::byte *at, const BtfType &type, BtfSectionVariable *) const;

  std::span<const std::byte> types_, strings_;
  std::vector<uint32_t> places_;  // of each own type in types_
  const Btf *base_ = nullptr;
  BtfId first_id_ = 1;
  uint32_t first_string_ = 0;
  std::unique_ptr<Lazy> lazy_;
};

template <typename T>
T BtfList<T>::operator[](uint32_t index) const {
  CHECK(index < type_.count);
  // Enumerators have two sizes, everything else one.
  constexpr size_t kWide = 12, kNarrow = 8;
  size_t step = kWide;
  if (std::is_same_v<T, BtfParameter> || type_.kind == BtfKind::kEnum) step = kNarrow;
  return btf_->decode(at_ + index * step, type_, static_cast<T *>(nullptr));
}

}  // namespace waggle
