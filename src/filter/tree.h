// The tree of a filter: tests of a row's columns, and how they are combined.
// Threads: values, like a vector.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codegen/ir.h"
#include "schema/batch.h"

namespace waggle::filter {

enum class Op : uint8_t {
  // Numbers of 64 bits.
  kColumn,
  kConstant,
  kCompute,  // `arithmetic` of one number or two
  // Yes or no.
  kCompare,  // two numbers, by `condition`
  kAddress,  // the column's address, under `mask`, is `address`
  kText,     // the column's text has `text` where `match` says
  kAnd,      // of two or more
  kOr,
  kNot,
};

enum class Match : uint8_t { kWhole, kBeginning, kEnd, kPart };

struct Node {
  Op op = Op::kConstant;
  std::vector<Node> in;
  Column column;                               // kColumn, kAddress, kText
  bool is_signed = false;                      // of numbers
  int64_t number = 0;                          // kConstant
  codegen::Op arithmetic = codegen::Op::kAdd;  // kCompute: kAdd … kNot
  codegen::Condition condition = codegen::Condition::kEqual;
  Match match = Match::kWhole;
  std::string text;
  std::array<uint8_t, 16> mask = {}, address = {};

  bool is_number() const { return op < Op::kCompare; }
};

// Whether it is true of a row. What lies beyond the row's end is 0 or empty. An argv is matched
// as one line, its arguments separated by blanks.  REQUIRES: !node.is_number()
bool holds(const Node &node, Row row);
// REQUIRES: node.is_number()
uint64_t number_of(const Node &node, Row row);

}  // namespace waggle::filter
