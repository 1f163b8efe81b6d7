// tseries(n, interval, buckets): a value over time, as a graph and as JSON.
//
//                0                                                   9
//   hh:mm:ss.ms  |___________________________________________________|
//   12:00:00.100 *                                                   | 0
//   12:00:00.200 |                         *                         | 4
//   12:00:00.300 |                                                   | -
//                v___________________________________________________v
//                0                                                   9
//
// One line an interval, from the oldest that is kept to the newest; "-" where nothing was
// counted. Times are local, as fine as the interval needs: s, ms, us or ns.
// JSON: [{"interval_start": "12:00:00.100", "value": 0}]; the value of an empty interval is
// null.
// Threads: any number at once with a Resolver of each.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

// Values are divided by div (0: by 1). REQUIRES: a value that reduce() made of a kTseries
void append_tseries_text(std::string &out, const Type &type, std::span<const std::byte> value, Resolver &resolver,
                         uint32_t div);
void append_tseries_json(std::string &out, const Type &type, std::span<const std::byte> value, Resolver &resolver,
                         uint32_t div);

}  // namespace waggle::script
