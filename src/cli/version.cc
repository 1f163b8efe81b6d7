// waggle version: of this build, and of the kernel it runs on.

#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/version.h"
#include "cli/verb.h"
#include "sensor/declaration.h"

namespace waggle {

std::function<int()> configure_version(CLI::App &app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "as one JSON object");
  return [json] {
    utsname kernel = {};
    uname(&kernel);
    if (*json)
      fmt::print("{{\"version\":\"{}\",\"kernel\":\"{}\",\"machine\":\"{}\",\"sensors\":{}}}\n", kVersion,
                 kernel.release, kernel.machine, sensor_objects().size());
    else
      fmt::print("waggle {}\nkernel {} {}, {} sensors built in\n", kVersion, kernel.release, kernel.machine,
                 sensor_objects().size());
    return kDone;
  };
}

}  // namespace waggle
