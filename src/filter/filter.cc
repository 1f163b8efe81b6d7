#include "filter/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "codegen/compile.h"
#include "filter/compile.h"
#include "filter/parse.h"

namespace waggle::filter {
namespace {

void collect(const Node &node, std::vector<Column> &columns) {
  bool has_column = node.op == Op::kColumn || node.op == Op::kAddress || node.op == Op::kText;
  auto is_it = [&](const Column &each) { return each.name == node.column.name; };
  if (has_column && std::none_of(columns.begin(), columns.end(), is_it)) columns.push_back(node.column);
  for (const Node &each : node.in) collect(each, columns);
}

}  // namespace

Result<void> Filter::add(std::string_view text, const Schema &schema, Host &host) {
  take(TRY(parse(text, schema, host)));
  if (schema.shape != Shape::kTable) return {};
  for (const Column &column : columns_)
    if (column.role != Role::kKey)
      return fail(ErrorCode::kMisuse, fmt::format("column '{}' cannot be tested", column.name),
                  "it is what the table adds up, and known only at the end", "test a column that is a key");
  return {};
}

// What is joined by && is tested one by one: programs test those that they can.
void Filter::take(Node node) {
  if (node.op == Op::kAnd) {
    for (Node &each : node.in) take(std::move(each));
    return;
  }
  collect(node, columns_);
  nodes_.push_back(std::move(node));
}

Result<std::vector<bpf_insn>> Filter::program(const Schema &schema, size_t most) const {
  std::vector<Node> tested;
  std::copy_if(nodes_.begin(), nodes_.end(), std::back_inserter(tested), is_for_programs);
  if (tested.empty()) return std::vector<bpf_insn>{};
  codegen::CompiledFunction compiled = TRY(codegen::compile_function(compile(tested, schema)));
  if (compiled.code.instructions.size() > most)
    return fail(
        ErrorCode::kExhausted, "the conditions are too long for a program",
        fmt::format("they take {} instructions, and there is room for {}", compiled.code.instructions.size(), most));
  return std::move(compiled.code.instructions);
}

bool Filter::holds(Row row) const {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node &each) { return filter::holds(each, row); });
}

bool Filter::rest_holds(Row row) const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [&](const Node &each) { return is_for_programs(each) || filter::holds(each, row); });
}

}  // namespace waggle::filter
