// What --where says, read against a schema: which rows are wanted.
//
//   latency > 10ms && comm == "nginx" && path startswith "/etc"
//   errno=ENOENT,EACCES      flags&O_CREAT      !(remote=10.0.0.0/8 || uid=root)
//
//   ==, =, !=          a value, or one of several after commas; of names, durations, sizes,
//                      addresses and prefixes as the columns show them
//   <, <=, >, >=       numbers
//   ~, !~, contains, startswith, endswith     text
//   &&, ||, !, ( )     and, or, not
//   + - * / % & | ^ ~ << >>   numbers; a number alone is true when it is not 0
// Precedence is C's. A word that a value could be is a value unless it is the name of a column;
// in quotes it is always a value.
//
// Each test that a program can make is made by the sensor's programs, before a row costs ring
// space; the others are made by whoever reads the rows.
// Limits: 4 KiB of text, 64 expressions within each other.
#pragma once

#include <linux/bpf.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "enrich/host.h"
#include "filter/tree.h"
#include "schema/schema.h"

namespace waggle::filter {

class Filter {
 public:
  Filter() = default;

  // Everything that was parsed must hold.
  //   errors  Misuse    it is no condition, or such a column cannot be tested so; of a table
  //                     only keys can
  //           NotFound  no such column
  //           Invalid   a value is none of the column's kind
  Result<void> add(std::string_view text, const Schema &schema, Host &host);

  bool empty() const { return nodes_.empty(); }
  // Each once, in the order of the text.
  const std::vector<Column> &columns() const { return columns_; }

  // What the sensor's programs are to test, as a function of (row, bytes); empty: nothing.
  //   errors  Exhausted  more than `most` instructions
  Result<std::vector<bpf_insn>> program(const Schema &schema, size_t most) const;

  bool holds(Row row) const;
  // What program() does not test.
  bool rest_holds(Row row) const;

 private:
  void take(Node node);

  std::vector<Node> nodes_;  // all of them hold
  std::vector<Column> columns_;
};

}  // namespace waggle::filter
