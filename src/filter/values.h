// What people write for the values of columns: names, durations, sizes, addresses, as the
// columns show them.
// Threads: one, with the Renderer.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "enrich/render.h"
#include "filter/tree.h"
#include "schema/schema.h"

namespace waggle::filter {

// The number that a word stands for in a column: "10ms", "4KiB", "ENOENT", "0644", "root".
//   is_bits  a name is that of a flag: "O_CREAT"
//   errors   Invalid  it is none of the column's kind
Result<int64_t> parse_value(const Column &column, std::string_view text, bool is_bits, Renderer &renderer);

// A test of a kIp column: an address, a prefix ("10.0.0.0/8"), or all of a family ("ipv4", "ipv6").
//   errors  Invalid
Result<Node> address_test(const Column &column, std::string_view text);

// A test whether a column of numbers is `text`. The name of a block operation alone is that
// operation with any flags.  errors: as parse_value()
Result<Node> equality_test(const Column &column, std::string_view text, Renderer &renderer);

// Small parts of trees.
Node column_node(const Column &column);
Node constant_node(int64_t number);
Node unary_node(codegen::Op arithmetic, Node operand);
Node binary_node(codegen::Op arithmetic, Node left, Node right);
Node compare_node(codegen::Condition condition, Node left, Node right);
Node not_node(Node node);

}  // namespace waggle::filter
