// Strings and buffers: reading them, comparing them, looking into them.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "script/lower/callback.h"

namespace waggle::script {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101, kHighBits = 0x8080808080808080;
// Bytes that are compared without a loop.
constexpr uint64_t kUnrolledMost = 64;
// Turns of a loop that the verifier walks one by one.
constexpr uint64_t kWalkedMost = 32768, kWalkedCheaply = 8192;
// Two branches each, of which the verifier keeps 8192 in mind.
constexpr uint32_t kNeedleMost = 3072;

std::optional<std::string> known_text(const Node &node) {
  if (node.op == Op::kText) return node.text.substr(0, std::min<size_t>(node.text.find('\0'), node.type.bytes()));
  if (node.op != Op::kConvert || !node.type.is(TypeKind::kString) || node.in[0]->op != Op::kText) return std::nullopt;
  std::string text = *known_text(*node.in[0]);
  if (text.size() >= node.type.bytes()) text.resize(std::max(node.type.bytes(), 1u) - 1);
  return text;
}

// Strings that are converted to be compared can be compared as they are.
const Node &unconverted(const Node &node) {
  if (node.op != Op::kConvert || !node.type.is(TypeKind::kString)) return node;
  const Node &from = *node.in[0];
  return from.type.is(TypeKind::kString) && from.type.bytes() <= node.type.bytes() ? from : node;
}

bool is_user(const Type &pointer) {
  return pointer.is(TypeKind::kPointer) && pointer.space() == AddressSpace::kUser;
}

}  // namespace

Writer::Bounds Writer::text_bounds(const Node *limit, uint32_t bytes_most) {
  if (limit == nullptr) return {bytes_most, bytes_most > 0};
  Value wanted = scalar(*limit);
  if (wanted.is_constant()) {
    uint64_t bytes = std::min(static_cast<uint64_t>(wanted.number), uint64_t{bytes_most});
    return {bytes, bytes > 0};
  }
  Register size = b().variable();
  Label end = b().label();
  b().assign(size, bytes_most);
  b().branch(Condition::kAboveEqual, wanted, bytes_most, end);
  b().assign(size, wanted);
  b().bind(end);
  return {size, false};
}

void Writer::write_string(const Node &node, const Memory &to, bool clean) {
  Value from = scalar(*node.in[0]);
  Bounds bounds = text_bounds(node.in.size() > 1 ? node.in[1] : nullptr, node.type.bytes());
  if (clean)
    zero(to, node.type.bytes());
  else if (!bounds.is_known)
    store(Size::k1, to, 0);
  if (bounds.size.is_constant(0)) return;
  Register length = b().call(is_user(node.in[0]->type) ? BPF_FUNC_probe_read_user_str : BPF_FUNC_probe_read_kernel_str,
                             {address(to), bounds.size, from});
  if (node.action == kNoAction) return;
  Label end = b().label();
  b().branch(Condition::kGreaterEqual, length, 0, end);
  emit_error(node.action, length);
  b().bind(end);
}

void Writer::write_buffer(const Node &node, const Memory &to, bool clean) {
  constexpr uint32_t kLengthBytes = 4;
  Value from = scalar(*node.in[0]);
  Bounds bounds = text_bounds(node.in.size() > 1 ? node.in[1] : nullptr, node.type.bytes() - kLengthBytes);
  if (clean) zero(to, node.type.bytes());
  store(Size::k4, to, bounds.size);
  if (bounds.size.is_constant(0)) return;
  Register failed = b().call(is_user(node.in[0]->type) ? BPF_FUNC_probe_read_user : BPF_FUNC_probe_read_kernel,
                             {address(to.at(kLengthBytes)), bounds.size, from});
  if (node.action == kNoAction) return;
  Label end = b().label();
  b().branch_unless(failed, end);
  emit_error(node.action, failed);
  b().bind(end);
}

void Writer::write_path(const Node &node, const Memory &to, bool clean) {
  Value path = typed_pointer(*node.in[0]);
  store(Size::k1, to, 0);
  b().call(BPF_FUNC_d_path, {path, address(to), node.type.bytes()});
  // The helper writes at the end first.
  if (clean) clean_string(to, node.type.bytes());
}

// To target if they are equal (in their first `limit` bytes), or else if `when` is false.
void Writer::branch_strings(const Node &one, const Node &two, std::optional<uint64_t> limit, const Label &target,
                            bool when) {
  Label different = when ? b().label() : target;
  const Node &left = unconverted(one), &right = unconverted(two);
  std::optional<std::string> left_text = known_text(one), right_text = known_text(two);
  const uint64_t most = limit.value_or(UINT64_MAX);
  if (left_text && right_text) {
    if (left_text->substr(0, most) != right_text->substr(0, most)) b().jump(different);
  } else if (left_text || right_text) {
    const Node &other = left_text ? right : left;
    const std::string &text = left_text ? *left_text : *right_text;
    const uint64_t there = other.type.bytes();
    Memory memory = this->memory(other);
    if (text.size() > there && most > there)
      b().jump(different);
    else
      compare_text(memory, text, std::min({text.size() + 1, there, most}), different);
  } else {
    Memory first = memory(left), second = memory(right);
    const uint64_t bytes = std::min(left.type.bytes(), right.type.bytes());
    // A string that fills the shorter one is not equal if the longer one goes on.
    const bool is_cut = left.type.bytes() != right.type.bytes() && most > bytes;
    Label end = b().label();
    compare_strings(first, second, std::min(bytes, most), different, is_cut ? std::optional<Label>(end) : std::nullopt);
    if (is_cut) {
      const Memory &longer = left.type.bytes() > right.type.bytes() ? first : second;
      b().branch_if(load(Size::k1, longer.at(static_cast<int64_t>(bytes))), different);
      b().bind(end);
    }
  }
  if (!when) return;
  b().jump(target);
  b().bind(different);
}

void Writer::compare_text(const Memory &memory, const std::string &text, uint64_t bytes, const Label &different) {
  for (uint64_t at = 0; at < bytes;) {
    Size size = chunk_at(static_cast<uint64_t>(memory.offset) + at, bytes - at);
    uint64_t word = 0;
    if (at < text.size()) text.copy(reinterpret_cast<char *>(&word), static_cast<size_t>(size), at);
    b().branch(Condition::kNotEqual, load(size, memory.at(static_cast<int64_t>(at))), word, different);
    at += static_cast<uint64_t>(size);
  }
}

// Goes on if they are equal: there where neither has a NUL, if that is another place.
void Writer::compare_strings(const Memory &one, const Memory &two, uint64_t bytes, const Label &different,
                             std::optional<Label> when_ended) {
  Label equal = when_ended ? *when_ended : b().label();
  uint64_t at = 0;
  const uint64_t offsets = static_cast<uint64_t>(one.offset) | static_cast<uint64_t>(two.offset);
  if (bytes > kUnrolledMost) {
    const auto step = static_cast<uint64_t>(chunk_at(offsets, 8));
    at = bytes / step * step;
    if (at / step > kWalkedMost) {
      fault(ErrorCode::kUnsupported, program_.at, "strings of this length cannot be compared",
            fmt::format("the verifier follows {} bytes", kWalkedMost * step), "lower max_strlen");
      return;
    }
    Register index = b().variable();
    Value first = address(one), second = address(two);
    Label again = b().label();
    b().assign(index, 0);
    b().bind(again);
    auto size = static_cast<Size>(step);
    compare_word(b().load(size, b().add(first, index)), b().load(size, b().add(second, index)), size, equal, different);
    b().assign(index, b().add(index, step));
    b().branch(Condition::kBelow, index, at, again);
  }
  while (at < bytes) {
    Size size = chunk_at(offsets | at, bytes - at);
    const auto place = static_cast<int64_t>(at);
    compare_word(load(size, one.at(place)), load(size, two.at(place)), size, equal, different);
    at += static_cast<uint64_t>(size);
  }
  if (!when_ended) b().bind(equal);
}

// Goes on if the words are equal and have no NUL.
void Writer::compare_word(const Value &one, const Value &two, Size size, const Label &equal, const Label &different) {
  const uint64_t mask = UINT64_MAX >> (64 - static_cast<uint32_t>(size) * 8);
  Label same = b().label();
  Register nuls = b().bit_and(b().bit_and(b().sub(one, kOnes & mask), b().bit_not(one)), kHighBits & mask);
  b().branch(Condition::kEqual, one, two, same);
  b().branch_unless(nuls, different);
  // Bytes behind the first NUL do not count.
  Register first = b().bit_and(nuls, b().negate(nuls));
  Register counts = b().sub(b().shift_left(first, 1), 1);
  b().branch_if(b().bit_and(b().bit_xor(one, two), counts), different);
  b().jump(equal);
  b().bind(same);
  b().branch_if(nuls, equal);
}

codegen::Value Writer::string_length(const Node &node) {
  const Node &string = unconverted(*node.in[0]);
  if (std::optional<std::string> text = known_text(string)) return text->size();
  return string_length(memory(string), string.type.bytes());
}

// By a helper that says it: with a byte more than there is, which it takes for a NUL.
codegen::Value Writer::string_length(const Memory &memory, uint32_t bytes) {
  Memory copy = temporary(bytes + 1);
  Register length = b().variable();
  Label end = b().label();
  b().assign(length, b().call(BPF_FUNC_probe_read_kernel_str, {address(copy), bytes + 1, address(memory)}));
  b().assign(length, b().sub(length, 1));
  b().branch(Condition::kGreaterEqual, length, 0, end);
  b().assign(length, 0);
  b().bind(end);
  return length;
}

// Tries one place after the other.
codegen::Value Writer::string_find(const Node &node) {
  const Node &where = unconverted(*node.in[0]), &what = unconverted(*node.in[1]);
  std::optional<std::string> text = known_text(what);
  if (text && text->empty()) return 0;
  const uint32_t where_bytes = where.type.bytes(), what_bytes = text ? 0 : what.type.bytes();
  Memory in = memory(where);
  Memory needle = text ? Memory{} : memory(what);
  const uint64_t turns = uint64_t{where_bytes} * (text ? text->size() : what_bytes);
  Search search{where_bytes, what_bytes, text};
  Register found = b().variable();
  b().assign(found, -1);
  if (text && turns <= kWalkedCheaply) {
    Register index = b().variable();
    Value in_address = address(in);
    Label again = b().label(), next = b().label(), hit = b().label(), end = b().label();
    b().assign(index, 0);
    b().bind(again);
    search_at(search, in_address, {}, index, hit, next, end);
    b().bind(hit);
    b().assign(found, index);
    b().jump(end);
    b().bind(next);
    b().assign(index, b().add(index, 1));
    b().branch(Condition::kBelow, index, where_bytes, again);
    b().bind(end);
    return found;
  }
  if (!options_.has_loop) {
    unsupported(node.at, "strings of this length cannot be searched", "bpf_loop", "5.17");
    return 0;
  }
  if (what_bytes > kNeedleMost) {
    fault(ErrorCode::kUnsupported, node.at, "a string of this length cannot be looked for",
          fmt::format("the verifier follows {} bytes", kNeedleMost), "lower max_strlen");
    return 0;
  }
  if (!text) {
    // With room for all of the needle behind its last byte, nothing needs to be asked there.
    Memory padded = temporary(where_bytes + what_bytes);
    copy_string(padded, where_bytes + 1, in, where_bytes, false);
    in = padded;
  }
  const uint32_t result = frame_word(), in_word = frame_word(), needle_word = frame_word();
  store(Size::k8, frame(result), -1);
  store(Size::k8, frame(in_word), address(in));
  if (!text) store(Size::k8, frame(needle_word), address(needle));
  codegen::FunctionId id = callback("search", 2, 1, [&] {
    Register index = b().parameter(0);
    Label next = b().label(), hit = b().label(), end = b().label();
    Value in_address = load(Size::k8, frame(in_word));
    Value needle_address = text ? Value() : Value(load(Size::k8, frame(needle_word)));
    search_at(search, in_address, needle_address, index, hit, next, end);
    b().bind(hit);
    store(Size::k8, frame(result), index);
    b().bind(end);
    b().ret(1);
    b().bind(next);
  });
  b().call(BPF_FUNC_loop, {where_bytes, Value::function(id), address(frame(0)), 0});
  return load(Size::k8, frame(result));
}

// To next if it is not there, to end if it is not further on either.
// REQUIRES: without a text, needle_bytes more than in_bytes can be read at `in`
void Writer::search_at(const Search &search, const Value &in, const Value &needle, const Value &index, const Label &hit,
                       const Label &next, const Label &end) {
  const uint64_t text_bytes = search.text ? search.text->size() : 1;
  if (text_bytes > search.in_bytes) return b().jump(end);
  // The verifier wants to know the place before the address is made of it.
  b().branch(Condition::kAbove, index, search.in_bytes - text_bytes, end);
  Register at = b().add(in, index);
  if (search.text) {
    const std::string &text = *search.text;
    Register first = b().load(Size::k1, at);
    b().branch_unless(first, end);
    // One branch a turn: the verifier follows each way through all turns that are left.
    Value differ = b().bit_xor(first, static_cast<uint8_t>(text[0]));
    for (size_t i = 1; i < text.size(); i++) {
      Register byte = b().load(Size::k1, at, static_cast<int32_t>(i));
      differ = b().bit_or(differ, b().bit_xor(byte, static_cast<uint8_t>(text[i])));
    }
    b().branch_if(differ, next);
    return b().jump(hit);
  }
  // Nothing is everywhere, even in nothing.
  b().branch_unless(b().load(Size::k1, needle), hit);
  b().branch_unless(b().load(Size::k1, at), end);
  Register i = b().variable();
  Label again = b().label();
  b().assign(i, 0);
  b().bind(again);
  Register wanted = b().load(Size::k1, b().add(needle, i));
  b().branch_unless(wanted, hit);
  b().branch(Condition::kNotEqual, b().load(Size::k1, b().add(at, i)), wanted, next);
  b().assign(i, b().add(i, 1));
  b().branch(Condition::kBelow, i, search.needle_bytes, again);
  b().jump(hit);
}

codegen::Value Writer::compare_memory(const Node &node) {
  const auto bytes = static_cast<uint32_t>(node.number);
  Place one = place_of_pointer(*node.in[0], node.action), two = place_of_pointer(*node.in[1], node.action);
  Memory left = temporary(bytes), right = temporary(bytes);
  probe_read(one, bytes, left);
  probe_read(two, bytes, right);
  Register result = b().variable();
  Label end = b().label();
  b().assign(result, 0);
  uint32_t at = 0;
  // The first byte decides: the lowest of a word.
  auto compare = [&](Size size, const Value &first, const Value &second) {
    Label next = b().label();
    b().branch(Condition::kEqual, first, second, next);
    auto ordered = [&](const Value &value) { return size == Size::k1 ? value : Value(b().byte_swap(size, value)); };
    Value first_ordered = ordered(first), second_ordered = ordered(second);
    b().assign(result, 1);
    b().branch(Condition::kAbove, first_ordered, second_ordered, end);
    b().assign(result, -1);
    b().jump(end);
    b().bind(next);
  };
  if (bytes > kUnrolledMost) {
    at = bytes / 8 * 8;
    Register index = b().variable();
    Value first = address(left), second = address(right);
    Label again = b().label();
    b().assign(index, 0);
    b().bind(again);
    compare(Size::k8, b().load(Size::k8, b().add(first, index)), b().load(Size::k8, b().add(second, index)));
    b().assign(index, b().add(index, 8));
    b().branch(Condition::kBelow, index, at, again);
  }
  while (at < bytes) {
    Size size = chunk_at(at, bytes - at);
    compare(size, load(size, left.at(at)), load(size, right.at(at)));
    at += static_cast<uint32_t>(size);
  }
  b().bind(end);
  return result;
}

Writer::Place Writer::place_of_pointer(const Node &pointer, uint32_t action) {
  return {is_user(pointer.type) ? Place::Space::kUser : Place::Space::kKernel, scalar(pointer), 0, action};
}

}  // namespace waggle::script
