#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "filter/tree.h"

namespace waggle::filter {
namespace {

bool address_holds(const Node &node, Row row) {
  std::array<uint8_t, 16> bytes = {};
  if (node.column.offset + bytes.size() <= row.size())
    memcpy(bytes.data(), row.data() + node.column.offset, bytes.size());
  for (size_t i = 0; i < bytes.size(); i++)
    if ((bytes[i] & node.mask[i]) != node.address[i]) return false;
  return true;
}

bool text_holds(const Node &node, Row row) {
  std::string_view value = text(node.column, row);
  std::string line;
  if (node.column.kind == Kind::kArgv) {
    line = value;
    if (line.ends_with('\0')) line.pop_back();
    std::replace(line.begin(), line.end(), '\0', ' ');
    value = line;
  }
  switch (node.match) {
    case Match::kWhole:
      return value == node.text;
    case Match::kBeginning:
      return value.starts_with(node.text);
    case Match::kEnd:
      return value.ends_with(node.text);
    case Match::kPart:
      return value.find(node.text) != std::string_view::npos;
  }
  CHECK(false);
}

}  // namespace

uint64_t number_of(const Node &node, Row row) {
  CHECK(node.is_number());
  if (node.op == Op::kConstant) return static_cast<uint64_t>(node.number);
  if (node.op == Op::kColumn) return natural(node.column, row);
  codegen::Instruction instruction;
  instruction.op = node.arithmetic;
  uint64_t right = node.in.size() > 1 ? number_of(node.in[1], row) : 0;
  return codegen::evaluate(instruction, number_of(node.in[0], row), right);
}

bool holds(const Node &node, Row row) {
  auto one_holds = [&](const Node &each) { return holds(each, row); };
  switch (node.op) {
    case Op::kCompare:
      return codegen::holds(node.condition, number_of(node.in[0], row), number_of(node.in[1], row));
    case Op::kAddress:
      return address_holds(node, row);
    case Op::kText:
      return text_holds(node, row);
    case Op::kAnd:
      return std::all_of(node.in.begin(), node.in.end(), one_holds);
    case Op::kOr:
      return std::any_of(node.in.begin(), node.in.end(), one_holds);
    case Op::kNot:
      return !holds(node.in[0], row);
    default:
      CHECK(false);
  }
}

}  // namespace waggle::filter
