// From --where's text to a tree. For filter.cc alone.
#pragma once

#include <string_view>

#include "base/result.h"
#include "enrich/host.h"
#include "filter/tree.h"
#include "schema/schema.h"

namespace waggle::filter {

// errors: as Filter::add()
Result<Node> parse(std::string_view text, const Schema &schema, Host &host);

}  // namespace waggle::filter
