// Values that are bytes: where they are, and how they get there.
#include <algorithm>

#include "base/check.h"
#include "script/lower/writer.h"

namespace waggle::script {

// Where a value's bytes already are, or a temporary that they are written to.
Writer::Memory Writer::memory(const Node &node, bool clean) {
  const bool as_it_is = !clean || is_clean(node, usage_.variables);
  if (as_it_is && !is_scalar(node.type)) {
    switch (node.op) {
      case Op::kVariable:
        return variable_memory(static_cast<uint32_t>(node.number));
      case Op::kMapValue:
        return map_value_memory(node);
      case Op::kSequence:
        block(node.body);
        return memory(*node.in[0], clean);
      case Op::kField:
      case Op::kElement:
      case Op::kDereference: {
        Place of = place(node);
        if (of.space == Place::Space::kBpf) return {of.base, of.offset};
        Memory to = temporary(node.type.bytes());
        read_into(of, node.type, to, clean);
        return to;
      }
      default:
        break;
    }
  }
  Memory to = temporary(node.type.bytes());
  write(node, to, clean);
  return to;
}

void Writer::write(const Node &node, const Memory &to, bool clean) {
  at(node.at);
  if (is_scalar(node.type)) return store_number(node.type, to, scalar(node));
  switch (node.op) {
    case Op::kText:
      return write_text(to, node.text, node.type.bytes());
    case Op::kZero:
      return zero(to, node.type.bytes());
    case Op::kVariable:
      return copy(node.type, to, variable_memory(static_cast<uint32_t>(node.number)),
                  clean && !is_clean(node, usage_.variables));
    case Op::kMapValue:
      return copy(node.type, to, map_value_memory(node), clean);
    case Op::kConvert:
      return write_converted(node, to, clean);
    case Op::kTuple:
      return write_tuple(node, to, clean);
    case Op::kConditional: {
      Label otherwise = b().label(), end = b().label();
      branch(*node.in[0], otherwise, false);
      write(*node.in[1], to, clean);
      b().jump(end);
      b().bind(otherwise);
      write(*node.in[2], to, clean);
      return b().bind(end);
    }
    case Op::kSequence:
      block(node.body);
      return write(*node.in[0], to, clean);
    case Op::kDereference:
    case Op::kContext:
    case Op::kField:
    case Op::kElement:
      return read_into(place(node), node.type, to, clean);
    default:
      CHECK(write_builtin(node, to, clean));
  }
}

void Writer::write_tuple(const Node &node, const Memory &to, bool clean) {
  const std::vector<Field> &fields = node.type.fields();
  CHECK(fields.size() == node.in.size());
  zero_gaps(node.type, to);
  for (size_t i = 0; i < fields.size(); i++) write(*node.in[i], to.at(fields[i].offset), clean);
}

void Writer::write_converted(const Node &node, const Memory &to, bool clean) {
  const Node &from = *node.in[0];
  if (is_scalar(from.type)) {
    // An integer as an array of bytes.
    const uint32_t bytes = std::min(from.type.bytes(), node.type.bytes());
    Memory number = temporary(8);
    store_number(from.type, number, scalar(from));
    copy_bytes(to, number, bytes);
    return zero(to.at(bytes), node.type.bytes() - bytes);
  }
  if (node.type.is(TypeKind::kString)) {
    if (from.op == Op::kText) {
      std::string text = from.text.substr(0, from.text.find('\0'));
      if (text.size() >= node.type.bytes()) text.resize(std::max(node.type.bytes(), 1u) - 1);
      return write_text(to, text, node.type.bytes());
    }
    // What a helper writes is written where it is wanted, if there is room for it.
    const uint32_t from_bytes = from.type.bytes();
    if (from_bytes <= node.type.bytes() && (from.op == Op::kComm || from.op == Op::kString || from.op == Op::kPath)) {
      write(from, to, clean);
      if (from_bytes == node.type.bytes()) return;
      return clean ? zero(to.at(from_bytes), node.type.bytes() - from_bytes) : store(Size::k1, to.at(from_bytes), 0);
    }
    if (from.type.is(TypeKind::kString) || from.type.is(TypeKind::kArray))
      return copy_string(to, node.type.bytes(), memory(from), from_bytes, clean);
  }
  if (from.type == node.type) return write(from, to, clean);
  convert_fields(from.type, memory(from), node.type, to, clean);
}

void Writer::convert_fields(const Type &from_type, const Memory &from, const Type &to_type, const Memory &to,
                            bool clean) {
  if (is_scalar(from_type) && is_scalar(to_type)) {
    Value value = load_number(from_type, from);
    if (to_type.is(TypeKind::kBool) && !from_type.is(TypeKind::kBool))
      value = b().compare(Condition::kNotEqual, value, 0);
    return store_number(to_type, to, value);
  }
  if (from_type.is(TypeKind::kString) && to_type.is(TypeKind::kString))
    return copy_string(to, to_type.bytes(), from, from_type.bytes(), clean);
  auto has_fields = [](const Type &type) { return type.is(TypeKind::kTuple) || type.is(TypeKind::kRecord); };
  if (has_fields(from_type) && has_fields(to_type)) {
    const std::vector<Field> &from_fields = from_type.fields(), &to_fields = to_type.fields();
    zero_gaps(to_type, to);
    for (size_t i = 0; i < to_fields.size(); i++) {
      // Those of records are found by their names, in whatever order they are.
      const Field *source = to_fields[i].name.empty() ? nullptr : from_type.field(to_fields[i].name);
      if (source == nullptr && i < from_fields.size()) source = &from_fields[i];
      CHECK(source != nullptr);
      convert_fields(source->type, from.at(source->offset), to_fields[i].type, to.at(to_fields[i].offset), clean);
    }
    return;
  }
  if (from_type.is(TypeKind::kArray) && to_type.is(TypeKind::kArray)) {
    const uint32_t count = std::min(from_type.count(), to_type.count());
    for (uint32_t i = 0; i < count; i++)
      convert_fields(from_type.element(), from.at(int64_t{i} * from_type.element().bytes()), to_type.element(),
                     to.at(int64_t{i} * to_type.element().bytes()), clean);
    const uint32_t written = count * to_type.element().bytes();
    return zero(to.at(written), to_type.bytes() - written);
  }
  const uint32_t bytes = std::min(from_type.bytes(), to_type.bytes());
  copy_bytes(to, from, bytes);
  zero(to.at(bytes), to_type.bytes() - bytes);
}

bool Writer::reads_variable(const Node &node, uint32_t variable) const {
  bool found = false;
  visit_nodes(node, [&](const Node &each) {
    if (each.op == Op::kVariable && each.number == variable) found = true;
    // What a pointer points at may be anything.
    if (each.op == Op::kDereference && usage_.variables[variable].has_address) found = true;
  });
  return found;
}

bool Writer::reads_map(const Node &node, uint32_t map) const {
  bool found = false;
  visit_nodes(node, [&](const Node &each) {
    bool of_map = each.op == Op::kMapValue || each.op == Op::kMapAddress;
    if (of_map && each.map == map) found = true;
  });
  return found;
}

void Writer::assign_variable(uint32_t variable, const Node &value) {
  const Type &type = script_.variables[variable].type;
  if (is_scalar(type)) return set_number(variable, scalar(value));
  const bool clean = usage_.variables[variable].is_clean;
  if (!reads_variable(value, variable)) return write(value, variable_memory(variable), clean);
  Memory now = temporary(type.bytes());
  write(value, now, clean);
  copy_bytes(variable_memory(variable), now, type.bytes());
}

}  // namespace waggle::script
