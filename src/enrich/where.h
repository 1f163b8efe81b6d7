// What --where says, read against a schema: "errno!=0", "remote_port=80,443",
// "remote=10.0.0.0/8", "flags&O_CREAT", "path~/etc". Values are written as the
// columns show them: names, durations, sizes, addresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "enrich/host.h"
#include "schema/condition.h"

namespace waggle {

struct Where {
  std::vector<Condition> numbers;
  std::vector<TextCondition> texts;
};

// The column that a condition is about: "errno" of "errno!=0".
//   errors  Misuse  it is no condition
Result<std::string> column_of_condition(std::string_view text);

// Adds one condition to `where`: COLUMN=VALUE[,VALUE…], !=, <, <=, >, >=, & (has
// these bits), ~ (text that has this part) or !~.
//   errors  Misuse    it is no condition, or such a column cannot be tested so
//           NotFound  no such column
//           Invalid   the value is none of the column's kind
Result<void> add_condition(Where &where, const Schema &schema, std::string_view text, Host &host);

}  // namespace waggle
