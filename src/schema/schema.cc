#include "schema/schema.h"

namespace waggle {

bool Column::is_text() const {
  return kind == Kind::kText || kind == Kind::kComm || kind == Kind::kPath || kind == Kind::kArgv;
}

bool Column::is_integer() const {
  return !is_text() && kind != Kind::kIp && kind != Kind::kStack && kind != Kind::kArguments &&
         kind != Kind::kHistogram;
}

const Column *Schema::find(std::string_view column_name) const {
  for (const Column &column : columns)
    if (column.name == column_name) return &column;
  return nullptr;
}

const Column *Schema::first_of(Kind kind) const {
  for (const Column &column : columns)
    if (column.kind == kind) return &column;
  return nullptr;
}

}  // namespace waggle
