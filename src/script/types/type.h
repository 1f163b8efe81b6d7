// The types of scripts: what bpftrace's language says about a value, which is how it is
// laid out in BPF memory and how it is printed.
//
// A Type is a value, cheap to copy: what it refers to is shared and never changes.
// Threads: like an int.
// source: bpftrace(8), "Data Types"
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace waggle::script {

enum class TypeKind : uint8_t {
  kNone,  // of an expression without a value
  kVoid,  // behind a pointer
  kBool,
  kInteger,
  kEnum,     // an integer that prints as one of its names
  kString,   // `bytes`, with a NUL unless it is cut
  kBuffer,   // 4 bytes of length, then `bytes` - 4 bytes
  kPointer,  // to element()
  kArray,    // of `count` element()s
  kRecord,   // a struct or union: fields()
  kTuple,    // fields(), whose names are empty unless it is written (a=1, b=2)
  // Values that are printed as what they stand for. In BPF memory:
  kKernelStack,   // u64: the stack's id (mode: how it is printed)
  kUserStack,     // u64 id, u32 pid, u32 of padding
  kKernelSymbol,  // u64 address
  kUserSymbol,    // u64 address, u32 pid, u32 of padding
  kInet,          // u64: AF_INET or AF_INET6; 16 bytes of address, in network order
  kMacAddress,    // 6 bytes
  kUsername,      // u64 uid
  kTimestamp,     // u64 nanoseconds of `clock`, u64: the id of its format
  kCgroupPath,    // u64 id of the pattern, u64 cgroup id
  kErrno,         // u64: prints as strerror(3) does
  // What maps are aggregated to. Each is one such value for a CPU.
  kCount,    // u64
  kSum,      // u64
  kMin,      // u64 value, u64: 1 when there is one
  kMax,      // u64 value, u64: 1 when there is one
  kAvg,      // u64 sum, u64 count
  kStats,    // u64 sum, u64 count
  kHist,     // one u64 a bucket: see script/output/histogram.h
  kLhist,    // one u64 a bucket
  kTseries,  // one { u64 value or sum, u64 count, u64 epoch } a bucket
};

enum class AddressSpace : uint8_t { kNone, kKernel, kUser };
enum class StackMode : uint8_t { kBpftrace, kPerf, kRaw, kBuildId };

class Type;
struct Field;

// A struct or union, from the kernel's BTF, a program's DWARF, or the script.
struct Record {
  std::string name;  // "struct task_struct", "union sigval"; empty: anonymous
  uint32_t bytes = 0;
  std::vector<Field> fields;
  const void *origin = nullptr;  // of one that is only named: who knows its fields
};

// Parameters of aggregates, by kind.
struct AggregateParameters {
  uint32_t bits = 0;                    // hist: each power of two is cut in 2^bits buckets
  int64_t low = 0, high = 0, step = 0;  // lhist
  uint64_t interval_ns = 0;             // tseries
  uint32_t buckets = 0;                 // tseries: how many intervals
  TypeKind each = TypeKind::kNone;      // tseries: kNone (the last value), kSum, kMin, kMax, kAvg
};

class Type {
 public:
  Type() = default;
  explicit Type(TypeKind kind, uint32_t bytes = 0, bool is_signed = false)
      : kind_(kind), is_signed_(is_signed), bytes_(bytes) {}

  static Type integer(uint32_t bytes, bool is_signed) { return Type(TypeKind::kInteger, bytes, is_signed); }
  static Type string(uint32_t bytes) { return Type(TypeKind::kString, bytes); }
  static Type buffer(uint32_t content_bytes) { return Type(TypeKind::kBuffer, content_bytes + 4); }
  static Type pointer(const Type &to, AddressSpace space = AddressSpace::kNone);
  static Type array(const Type &of, uint32_t count);
  static Type record(std::shared_ptr<const Record> record);
  // Fields are placed one after the other, each at a multiple of its alignment.
  static Type tuple(const std::vector<std::pair<std::string, Type>> &fields);
  static Type enumeration(std::string name, uint32_t bytes, std::vector<std::pair<std::string, int64_t>> values);
  static Type stack(TypeKind kind, StackMode mode, uint32_t frames);
  static Type aggregate(TypeKind kind, bool is_signed, const AggregateParameters &parameters = {});

  TypeKind kind() const { return kind_; }
  bool is(TypeKind kind) const { return kind_ == kind; }
  bool is_signed() const { return is_signed_; }  // of integers, and of the values aggregated
  uint32_t bytes() const { return bytes_; }      // in BPF memory
  uint32_t alignment() const;                    // a power of two, at most 8
  bool is_aggregate() const { return kind_ >= TypeKind::kCount; }
  bool is_integral() const {
    return kind_ == TypeKind::kInteger || kind_ == TypeKind::kBool || kind_ == TypeKind::kEnum;
  }

  // REQUIRES: the kind has it; see TypeKind
  const Type &element() const;
  uint32_t count() const;  // of kArray; frames of stacks
  AddressSpace space() const { return space_; }
  StackMode stack_mode() const;
  const std::vector<Field> &fields() const;
  const Field *field(const std::string &name) const;  // null: there is none
  const void *origin() const;                         // Record::origin
  const AggregateParameters &parameters() const;
  // Of a record its own, of an enum "enum color", of others as the language writes them:
  // "uint64", "string[16]", "struct file *", "int32[4]", "(int64,string[16])".
  std::string name() const;
  // The name of an enum's value; empty when it has none.
  std::string enumerator(int64_t value) const;
  // All values of an enum, in the order of its definition.
  const std::vector<std::pair<std::string, int64_t>> &enumerators() const;

  // Same layout and meaning. Records are the same when they have one definition or one name.
  bool operator==(const Type &other) const;

 private:
  struct Detail;

  TypeKind kind_ = TypeKind::kNone;
  AddressSpace space_ = AddressSpace::kNone;
  bool is_signed_ = false;
  uint32_t bytes_ = 0;
  std::shared_ptr<const Detail> detail_;
};

struct Field {
  std::string name;  // empty: of a tuple, or an anonymous struct or union whose fields are looked through
  Type type;
  uint32_t offset = 0;      // bytes from the beginning
  uint32_t bit_offset = 0;  // of a bit field, within its bytes, from the lowest bit
  uint32_t bit_size = 0;    // 0: no bit field
};

}  // namespace waggle::script
