// From a filter's tree to the function that a sensor's programs call with a row in the kernel.
// Threads: pure functions.
#pragma once

#include "codegen/ir.h"
#include "filter/tree.h"
#include "schema/schema.h"

namespace waggle::filter {

// Whether a program can test it: a text's end or part, and arguments, are looked for where the
// row is read; addresses in the kernel are pointers while a program runs, and not compared.
bool is_for_programs(const Node &node);

// uint64_t f(const void *row, uint64_t bytes): 1 if all nodes hold of the row's first `bytes`
// bytes, else 0. It reads within schema.row_bytes (of a table's key: key_bytes), 8 bytes at a
// time at most, each at a multiple of its size, and uses no stack.
// REQUIRES: is_for_programs() of each
codegen::Function compile(const std::vector<Node> &nodes, const Schema &schema);

}  // namespace waggle::filter
