// A whole map as bpftrace prints it: `@name[key, key]: value`, a line an entry.
//
// Entries are in the order of their values where those are numbers (count, sum, min, max,
// avg, stats, integers, enums; histograms: how many values they counted), else in the order of
// their keys: numbers by size, strings by their bytes, tuples field by field, all others by
// their bytes. Equal values are in the order of their keys, so that two prints of one map
// are the same.
// Threads: any number at once with a Resolver of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

struct MapShape {
  std::string name;  // "@", "@count"
  Type key;          // kNone: a scalar map, of one entry; a tuple without names: several keys
  Type value;
};

struct MapEntry {
  std::vector<std::byte> key;    // empty: of a scalar map
  std::vector<std::byte> value;  // of aggregates: what reduce() made
};

// print(@m, top, div). Maps of stats ignore both.
struct MapLimits {
  uint32_t top = 0;  // only the last so many; 0: all
  uint32_t div = 1;  // numbers are divided by it; 0 is 1
};

// REQUIRES, here and below: keys and values are as long as value_bytes() of their types
void sort_entries(const MapShape &shape, std::vector<MapEntry> &entries);

// The lines of a map. An empty line follows each histogram, and a map of avg or stats;
// without entries there is one too.
void append_map_text(std::string &out, const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits,
                     Resolver &resolver);

// {"type": "map", "data": {"@": 1}} and a line end; the type is hist of hist and lhist, stats
// of avg and stats, and tseries. With keys: {"@": {"a,1": 1}}. Without entries: nothing.
void append_map_json(std::string &out, const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits,
                     Resolver &resolver);

}  // namespace waggle::script
