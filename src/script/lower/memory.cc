// Bytes in BPF memory, and places in other memory.
#include <algorithm>

#include "base/check.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

// Up to here loads and stores are written out; a helper's call takes longer to reach, but
// has them all in one.
constexpr uint32_t kUnrolledMost = 128;
// Up to here a string's end is found word by word.
constexpr uint32_t kMaskedMost = 64;
constexpr uint64_t kOnes = 0x0101010101010101, kHighBits = 0x8080808080808080;

}  // namespace

bool is_scalar(const Type &type) {
  switch (type.kind()) {
    case TypeKind::kBool:
    case TypeKind::kInteger:
    case TypeKind::kEnum:
    case TypeKind::kPointer:
    case TypeKind::kKernelStack:
    case TypeKind::kKernelSymbol:
    case TypeKind::kUsername:
    case TypeKind::kErrno:
      return true;
    default:
      return false;
  }
}

codegen::Size size_of(const Type &type) {
  switch (type.bytes()) {
    case 1:
      return codegen::Size::k1;
    case 2:
      return codegen::Size::k2;
    case 4:
      return codegen::Size::k4;
    default:
      CHECK(type.bytes() == 8);
      return codegen::Size::k8;
  }
}

codegen::Size chunk_at(uint64_t offset, uint64_t left) {
  for (uint64_t bytes : {8, 4, 2})
    if (offset % bytes == 0 && left >= bytes) return static_cast<codegen::Size>(bytes);
  return codegen::Size::k1;
}

codegen::Value Writer::address(const Memory &memory) {
  const auto offset = static_cast<int32_t>(memory.offset);
  Value at = memory.base;
  switch (at.kind) {
    case Value::Kind::kSlot:
    case Value::Kind::kMapValue:
      at.number += offset;
      return at;
    default:
      return offset == 0 ? at : Value(b().add(at, offset));
  }
}

// Stacks are accessed at multiples of the size only, and some machines want that everywhere.
codegen::Register Writer::load(Size size, const Memory &memory, bool is_signed) {
  const auto bytes = static_cast<uint32_t>(size);
  const auto offset = static_cast<int32_t>(memory.offset);
  if (memory.offset % bytes == 0) return b().load(size, memory.base, offset, is_signed);
  Register value = b().copy(0);
  for (uint32_t i = 0; i < bytes; i++)
    value = b().bit_or(value, b().shift_left(b().load(Size::k1, memory.base, offset + static_cast<int32_t>(i)), i * 8));
  return is_signed ? b().narrow(size, true, value) : value;
}

void Writer::store(Size size, const Memory &memory, const Value &value) {
  const auto bytes = static_cast<uint32_t>(size);
  const auto offset = static_cast<int32_t>(memory.offset);
  if (memory.offset % bytes == 0) return b().store(size, memory.base, offset, value);
  for (uint32_t i = 0; i < bytes; i++)
    b().store(Size::k1, memory.base, offset + static_cast<int32_t>(i), b().shift_right(value, i * 8));
}

codegen::Register Writer::load_number(const Type &type, const Memory &memory) {
  return load(size_of(type), memory, type.is_signed());
}

void Writer::store_number(const Type &type, const Memory &memory, const Value &value) {
  store(size_of(type), memory, value);
}

void Writer::zero(const Memory &memory, uint32_t bytes) {
  if (bytes > kUnrolledMost) {
    // From address 0 nothing can be read, and what cannot be read is zeros.
    b().call(BPF_FUNC_probe_read_kernel, {address(memory), bytes, 0});
    return;
  }
  for (uint32_t at = 0; at < bytes;) {
    Size size = chunk_at(static_cast<uint64_t>(memory.offset) + at, bytes - at);
    store(size, memory.at(at), 0);
    at += static_cast<uint32_t>(size);
  }
}

void Writer::copy_bytes(const Memory &to, const Memory &from, uint32_t bytes) {
  if (bytes > kUnrolledMost) {
    b().call(BPF_FUNC_probe_read_kernel, {address(to), bytes, address(from)});
    return;
  }
  for (uint32_t at = 0; at < bytes;) {
    uint64_t offsets = static_cast<uint64_t>(to.offset) | static_cast<uint64_t>(from.offset);
    Size size = chunk_at(offsets | at, bytes - at);
    store(size, to.at(at), load(size, from.at(at)));
    at += static_cast<uint32_t>(size);
  }
}

void Writer::copy(const Type &type, const Memory &to, const Memory &from, bool clean) {
  if (type.is(TypeKind::kString)) return copy_string(to, type.bytes(), from, type.bytes(), clean);
  if (!clean || !has_text(type)) return copy_bytes(to, from, type.bytes());
  switch (type.kind()) {
    case TypeKind::kTuple:
    case TypeKind::kRecord:
      zero_gaps(type, to);
      for (const Field &field : type.fields()) copy(field.type, to.at(field.offset), from.at(field.offset), true);
      return;
    case TypeKind::kArray:
      for (uint32_t i = 0; i < type.count(); i++) {
        int64_t offset = int64_t{i} * type.element().bytes();
        copy(type.element(), to.at(offset), from.at(offset), true);
      }
      return;
    default: {
      CHECK(type.is(TypeKind::kBuffer));
      constexpr uint32_t kLengthBytes = 4;
      zero(to, type.bytes());
      Register length = load(Size::k4, from);
      store(Size::k4, to, length);
      Label end = b().label();
      b().branch(Condition::kAbove, length, type.bytes() - kLengthBytes, end);
      b().call(BPF_FUNC_probe_read_kernel, {address(to.at(kLengthBytes)), length, address(from.at(kLengthBytes))});
      b().bind(end);
    }
  }
}

// Cut to to_bytes, with a NUL if it is.
void Writer::copy_string(const Memory &to, uint32_t to_bytes, const Memory &from, uint32_t from_bytes, bool clean) {
  const uint32_t bytes = std::min(to_bytes, from_bytes);
  if (to_bytes == 0) return;
  if (bytes > kMaskedMost) {
    // One byte more than there is becomes the NUL.
    uint32_t most = std::min(to_bytes, from_bytes + 1);
    if (clean) zero(to, to_bytes);
    b().call(BPF_FUNC_probe_read_kernel_str, {address(to), most, address(from)});
    return;
  }
  copy_bytes(to, from, bytes);
  if (to_bytes < from_bytes) store(Size::k1, to.at(to_bytes - 1), 0);
  if (clean) {
    clean_string(to, bytes);
    zero(to.at(bytes), to_bytes - bytes);
  } else if (to_bytes > from_bytes) {
    store(Size::k1, to.at(from_bytes), 0);
  }
}

// Makes zeros of all that follows the first NUL.
void Writer::clean_string(const Memory &memory, uint32_t bytes) {
  if (bytes > kMaskedMost) {
    Memory clean = temporary(bytes);
    zero(clean, bytes);
    b().call(BPF_FUNC_probe_read_kernel_str, {address(clean), bytes, address(memory)});
    return copy_bytes(memory, clean, bytes);
  }
  struct Chunk {
    Size size;
    uint32_t at;
    Label rest;  // all from here on is to be zeroed
  };
  std::vector<Chunk> chunks;
  for (uint32_t at = 0; at < bytes;) {
    Size size = chunk_at(static_cast<uint64_t>(memory.offset) + at, bytes - at);
    chunks.push_back({size, at, b().label()});
    at += static_cast<uint32_t>(size);
  }
  Label end = b().label();
  for (size_t i = 0; i < chunks.size(); i++) {
    const Chunk &chunk = chunks[i];
    const uint64_t mask = UINT64_MAX >> (64 - static_cast<uint32_t>(chunk.size) * 8);
    Register word = load(chunk.size, memory.at(chunk.at));
    // The high bit of the first byte that is 0 is the lowest that is set.
    Register nuls = b().bit_and(b().bit_and(b().sub(word, kOnes & mask), b().bit_not(word)), kHighBits & mask);
    Label next = b().label();
    b().branch_unless(nuls, next);
    Register first = b().bit_and(nuls, b().negate(nuls));
    store(chunk.size, memory.at(chunk.at), b().bit_and(word, b().sub(first, 1)));
    b().jump(i + 1 < chunks.size() ? chunks[i + 1].rest : end);
    b().bind(next);
  }
  b().jump(end);
  b().bind(chunks.front().rest);
  for (size_t i = 1; i < chunks.size(); i++) {
    b().bind(chunks[i].rest);
    store(chunks[i].size, memory.at(chunks[i].at), 0);
  }
  b().bind(end);
}

// What lies between the fields.
void Writer::zero_gaps(const Type &type, const Memory &memory) {
  uint32_t end = 0;
  for (const Field &field : type.fields()) {
    if (field.offset > end) zero(memory.at(end), field.offset - end);
    end = std::max(end, field.offset + field.type.bytes());
  }
  if (type.bytes() > end) zero(memory.at(end), type.bytes() - end);
}

void Writer::write_text(const Memory &to, const std::string &text, uint32_t bytes) {
  std::string filled = text.substr(0, bytes);
  const auto length = static_cast<uint32_t>(filled.size());
  // Long strings are mostly NULs.
  const uint32_t written = std::min(bytes, (length + 7) / 8 * 8);
  filled.resize(written, '\0');
  for (uint32_t at = 0; at < written;) {
    Size size = chunk_at(static_cast<uint64_t>(to.offset) + at, written - at);
    uint64_t word = 0;
    filled.copy(reinterpret_cast<char *>(&word), static_cast<size_t>(size), at);
    store(size, to.at(at), word);
    at += static_cast<uint32_t>(size);
  }
  zero(to.at(written), bytes - written);
}

Writer::Place Writer::place(const Node &node) {
  switch (node.op) {
    case Op::kDereference: {
      const Node &pointer = *node.in[0];
      if (pointer.op == Op::kVariableAddress) return bpf_place(variable_memory(static_cast<uint32_t>(pointer.number)));
      bool is_user = pointer.type.is(TypeKind::kPointer) && pointer.type.space() == AddressSpace::kUser;
      return {is_user ? Place::Space::kUser : Place::Space::kKernel, scalar(pointer), 0, node.action};
    }
    case Op::kContext:
      return {Place::Space::kContext, context(), node.number, node.action};
    case Op::kField: {
      Place of = place(*node.in[0]).at(node.number);
      if (node.action != kNoAction) of.action = node.action;
      return of;
    }
    case Op::kElement:
      return element_place(node);
    default:
      return bpf_place(memory(node));
  }
}

Writer::Place Writer::element_place(const Node &node) {
  const Node &array = *node.in[0];
  const uint32_t count = array.type.is(TypeKind::kArray) ? array.type.count() : array.type.bytes();
  const uint32_t bytes = std::max(node.type.bytes(), 1u);
  Place of = place(array);
  if (node.action != kNoAction) of.action = node.action;
  const bool has_end = count > 0 || of.space == Place::Space::kBpf;
  const Place nothing{Place::Space::kKernel, 0, 0, kNoAction};
  if (node.in[1]->op == Op::kConstant) {
    auto index = static_cast<uint64_t>(node.in[1]->number);
    if (has_end && index >= count) return nothing;
    return of.at(static_cast<int64_t>(index * bytes));
  }
  Value index = scalar(*node.in[1]);
  Value base = place_address(of);
  if (of.space == Place::Space::kContext) base = launder(base);
  Place::Space space = of.space == Place::Space::kUser ? Place::Space::kUser : Place::Space::kKernel;
  if (!has_end) return {space, b().add(base, b().mul(index, bytes)), 0, of.action};
  // Beyond the end lies address 0, where there is nothing to be read.
  Register at = b().variable();
  Label end = b().label();
  b().assign(at, 0);
  b().branch(Condition::kAboveEqual, index, count, end);
  b().assign(at, b().add(base, b().mul(index, bytes)));
  b().bind(end);
  return {space, at, 0, kNoAction};
}

codegen::Value Writer::place_address(const Place &place) {
  return address({place.base, place.offset});
}

void Writer::probe_read(const Place &place, uint32_t bytes, const Memory &to) {
  const bool is_user = place.space == Place::Space::kUser;
  Register failed = b().call(is_user ? BPF_FUNC_probe_read_user : BPF_FUNC_probe_read_kernel,
                             {address(to), bytes, place_address(place)});
  if (place.action == kNoAction) return;
  Label end = b().label();
  b().branch_unless(failed, end);
  emit_error(place.action, failed);
  b().bind(end);
}

codegen::Value Writer::read(const Place &place, const Type &type) {
  const Size size = size_of(type);
  switch (place.space) {
    case Place::Space::kBpf:
      return load_number(type, {place.base, place.offset});
    case Place::Space::kContext:
      if (place.offset % static_cast<int64_t>(size) == 0)
        return b().load(size, place.base, static_cast<int32_t>(place.offset), type.is_signed());
      break;
    default:
      break;
  }
  Memory to = temporary(8);
  probe_read(place, type.bytes(), to);
  return load_number(type, to);
}

// A number that is a field, an element or what a pointer points at.
codegen::Value Writer::read_field(const Node &node) {
  Value whole = read(place(node), node.type);
  if (node.op != Op::kField || node.bit_size == 0) return whole;
  const uint32_t above = 64 - node.bit_offset - node.bit_size;
  return b().shift_right(b().shift_left(whole, above), 64 - node.bit_size, node.type.is_signed());
}

void Writer::copy_context(const Place &place, uint32_t bytes, const Memory &to) {
  if (bytes > kUnrolledMost) return probe_read(place, bytes, to);
  for (uint32_t at = 0; at < bytes;) {
    uint64_t offsets = static_cast<uint64_t>(to.offset) | static_cast<uint64_t>(place.offset);
    Size size = chunk_at(offsets | at, bytes - at);
    store(size, to.at(at), b().load(size, place.base, static_cast<int32_t>(place.offset + at)));
    at += static_cast<uint32_t>(size);
  }
}

void Writer::read_into(const Place &place, const Type &type, const Memory &to, bool clean) {
  if (place.space == Place::Space::kBpf) return copy(type, to, {place.base, place.offset}, clean);
  if (!clean || !has_text(type) || type.is(TypeKind::kString)) {
    if (place.space == Place::Space::kContext)
      copy_context(place, type.bytes(), to);
    else
      probe_read(place, type.bytes(), to);
    if (clean && type.is(TypeKind::kString)) clean_string(to, type.bytes());
    return;
  }
  Memory whole = temporary(type.bytes());
  read_into(place, type, whole, false);
  copy(type, to, whole, true);
}

// A pointer that the verifier knows the type of, as some helpers want it.
codegen::Value Writer::typed_pointer(const Node &node) {
  switch (node.op) {
    case Op::kContextWord:
      return b().load(Size::k8, context(), static_cast<int32_t>(node.number));
    case Op::kConvert:
    case Op::kAddress:
      return typed_pointer(*node.in[0]);
    case Op::kDereference: {
      Value pointer = typed_pointer(*node.in[0]);
      return node.type.is(TypeKind::kPointer) ? Value(b().load(Size::k8, pointer)) : pointer;
    }
    case Op::kField: {
      Value base = typed_pointer(*node.in[0]);
      // A pointer inside of a record is loaded; a record inside of it lies there.
      if (node.type.is(TypeKind::kPointer)) return b().load(Size::k8, base, static_cast<int32_t>(node.number));
      return b().add(base, node.number);
    }
    default:
      return scalar(node);
  }
}

}  // namespace waggle::script
