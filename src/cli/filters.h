// The filters that sensors apply in the kernel, as options of every verb that runs some.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/verb.h"
#include "sensor/sensor.h"

namespace waggle {

// As they were typed.
struct FilterArguments {
  uint32_t pid = 0;
  std::string comm, cgroup, container, min, ring;
  std::vector<std::string> settings;
  bool failed = false;

  bool any() const {
    return pid != 0 || !comm.empty() || !cgroup.empty() || !container.empty() || !min.empty() || failed;
  }
};

// All but --ring. The arguments outlive the parsing.
void add_filter_options(CLI::App &group, FilterArguments &arguments);

// What they ask of a sensor. `cgroup` is opened for them, and must stay open until
// the sensor is loaded.
//   errors  Misuse, Invalid, NotFound
Result<SensorOptions> sensor_options(const FilterArguments &arguments, Fd &cgroup);

}  // namespace waggle
