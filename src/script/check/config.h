// What a script is configured by: config = { … } in it, over BPFTRACE_* of the environment,
// over the defaults.
// source: bpftrace(8), "Config Variables" and "Environment Variables"
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "script/program/program.h"
#include "script/syntax/source.h"
#include "script/syntax/tree.h"

namespace waggle::script {

//   environment  without the prefix BPFTRACE_. Names that bpftrace does not know are passed over
Config read_config(const Tree &tree, const std::map<std::string, std::string, std::less<>> &environment,
                   Diagnostics &diagnostics);

struct ConfigValue {
  bool is_flag = false;
  uint64_t number = 0;
  std::string text;  // empty: it is a number
};
// Nothing: there is no such setting.
std::optional<ConfigValue> config_value(const Config &config, std::string_view name);

}  // namespace waggle::script
