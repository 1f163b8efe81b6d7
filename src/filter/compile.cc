#include "filter/compile.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "codegen/builder.h"

namespace waggle::filter {
namespace {

using codegen::Builder;
using codegen::Condition;
using codegen::Label;
using codegen::Register;
using codegen::Size;
using codegen::Value;

class Compiler {
 public:
  explicit Compiler(const Schema &schema) : builder_("where", 2) {
    // Rows are cut within a text or a stack, so that what lies before the first is always there.
    for (const Column &column : schema.columns) {
      bool may_end_rows = column.kind != Kind::kComm && !column.is_integer() && column.kind != Kind::kIp;
      if (schema.shape != Shape::kTable && may_end_rows) always_there_ = std::min(always_there_, column.offset);
    }
  }

  codegen::Function compile(const std::vector<Node> &nodes) {
    Label no = builder_.label();
    for (const Node &node : nodes) jump_unless(node, no);
    builder_.ret(1);
    builder_.bind(no);
    builder_.ret(0);
    return builder_.finish();
  }

 private:
  void jump_unless(const Node &node, Label no);
  void jump_if(const Node &node, Label yes);
  // To `no` where the row has no text that could be it.
  void text_unless(const Node &node, Label no);
  void address_unless(const Node &node, Label no);
  Value number(const Node &node);
  Value column(const Column &column);
  bool may_be_missing(const Column &column) const { return column.offset >= always_there_; }

  Value row() const { return builder_.parameter(0); }
  Value bytes() const { return builder_.parameter(1); }

  Builder builder_;
  uint32_t always_there_ = UINT32_MAX;
};

void Compiler::jump_unless(const Node &node, Label no) {
  switch (node.op) {
    case Op::kCompare:
      builder_.branch(codegen::inverse(node.condition), number(node.in[0]), number(node.in[1]), no);
      return;
    case Op::kAddress:
      address_unless(node, no);
      return;
    case Op::kText:
      text_unless(node, no);
      return;
    case Op::kAnd:
      for (const Node &each : node.in) jump_unless(each, no);
      return;
    case Op::kOr: {
      Label yes = builder_.label();
      for (size_t i = 0; i + 1 < node.in.size(); i++) jump_if(node.in[i], yes);
      jump_unless(node.in.back(), no);
      builder_.bind(yes);
      return;
    }
    case Op::kNot:
      jump_if(node.in[0], no);
      return;
    default:
      CHECK(false);
  }
}

void Compiler::jump_if(const Node &node, Label yes) {
  if (node.op == Op::kNot) return jump_unless(node.in[0], yes);
  if (node.op == Op::kCompare) return builder_.branch(node.condition, number(node.in[0]), number(node.in[1]), yes);
  Label no = builder_.label();
  jump_unless(node, no);
  builder_.jump(yes);
  builder_.bind(no);
}

// The longest access at an offset that is a multiple of its size.
uint32_t step_at(uint32_t offset, uint32_t left) {
  uint32_t step = 8;
  while (step > left || offset % step != 0) step /= 2;
  return step;
}

uint64_t word_of(const char *bytes, uint32_t size) {
  uint64_t word = 0;
  memcpy(&word, bytes, size);  // little-endian, as both x86-64 and arm64 run
  return word;
}

void Compiler::text_unless(const Node &node, Label no) {
  // A whole text is one with the NUL behind it, unless it fills its column.
  std::string wanted = node.text;
  if (node.match == Match::kWhole && wanted.size() != node.column.size) wanted += '\0';
  uint32_t at = node.column.offset;
  if (wanted.size() > node.column.size) return builder_.jump(no);
  Label yes = builder_.label();
  if (may_be_missing(node.column)) {
    bool empty_holds = node.text.empty();
    builder_.branch(Condition::kBelowEqual, bytes(), at, empty_holds ? yes : no);
  }
  for (uint32_t done = 0; done < wanted.size();) {
    uint32_t step = step_at(at + done, static_cast<uint32_t>(wanted.size()) - done);
    Register found = builder_.load(static_cast<Size>(step), row(), static_cast<int32_t>(at + done));
    builder_.branch(Condition::kNotEqual, found, word_of(wanted.data() + done, step), no);
    done += step;
  }
  builder_.bind(yes);
}

void Compiler::address_unless(const Node &node, Label no) {
  for (uint32_t done = 0; done < 16; done += 4) {
    uint64_t mask = word_of(reinterpret_cast<const char *>(node.mask.data()) + done, 4);
    if (mask == 0) continue;
    Register word = builder_.load(Size::k4, row(), static_cast<int32_t>(node.column.offset + done));
    uint64_t wanted = word_of(reinterpret_cast<const char *>(node.address.data()) + done, 4);
    builder_.branch(Condition::kNotEqual, mask == UINT32_MAX ? word : builder_.bit_and(word, mask), wanted, no);
  }
}

Value Compiler::column(const Column &column) {
  auto size = static_cast<Size>(column.size);
  auto offset = static_cast<int32_t>(column.offset);
  if (!may_be_missing(column)) return builder_.load(size, row(), offset, column.is_signed);
  Register value = builder_.variable();
  Label missing = builder_.label();
  builder_.assign(value, 0);
  builder_.branch(Condition::kBelow, bytes(), column.offset + column.size, missing);
  builder_.assign(value, builder_.load(size, row(), offset, column.is_signed));
  builder_.bind(missing);
  return value;
}

Value Compiler::number(const Node &node) {
  if (node.op == Op::kConstant) return node.number;
  if (node.op == Op::kColumn) return column(node.column);
  Value left = number(node.in[0]);
  if (node.arithmetic == codegen::Op::kNegate) return builder_.negate(left);
  if (node.arithmetic == codegen::Op::kNot) return builder_.bit_not(left);
  return builder_.binary(node.arithmetic, left, number(node.in[1]));
}

}  // namespace

bool is_for_programs(const Node &node) {
  if (node.op == Op::kText)
    return node.column.kind != Kind::kArgv && (node.match == Match::kWhole || node.match == Match::kBeginning);
  if (node.op == Op::kColumn)
    return node.column.kind != Kind::kKernelAddress && node.column.offset % node.column.size == 0;
  if (node.op == Op::kAddress) return node.column.offset % 4 == 0;
  return std::all_of(node.in.begin(), node.in.end(), is_for_programs);
}

codegen::Function compile(const std::vector<Node> &nodes, const Schema &schema) {
  return Compiler(schema).compile(nodes);
}

}  // namespace waggle::filter
