#include "script/run/explain.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/quantity.h"
#include "script/run/maps.h"

namespace waggle::script {
namespace {

std::string kind_text(const MapPlan &plan) {
  const char *name = libbpf_bpf_map_type_str(plan.type);
  return name == nullptr ? std::to_string(plan.type) : name;
}

// What a map is for, where the script has no name for it.
std::string_view role_text(MapPlan::Role role) {
  switch (role) {
    case MapPlan::Role::kScript:
      return "map";
    case MapPlan::Role::kRing:
      return "(events)";
    case MapPlan::Role::kLost:
      return "(events lost)";
    case MapPlan::Role::kStacks:
      return "(stacks)";
    case MapPlan::Role::kGlobals:
      return "(this host)";
    case MapPlan::Role::kScratch:
      return "(scratch)";
  }
  return {};
}

}  // namespace

std::string explain(const Script &script, const Lowered &lowered) {
  std::string text;
  auto out = std::back_inserter(text);
  size_t width = 5;
  for (const Program &program : script.programs)
    for (const ConcreteProbe &probe : program.probes) width = std::max(width, probe.name.size());
  fmt::format_to(out, "{:<{}}  {:<14}  INSTRUCTIONS\n", "PROBE", width, "HOOK");
  for (const LoweredProgram &each : lowered.programs)
    for (const ConcreteProbe &probe : script.programs[each.program].probes) {
      fmt::format_to(out, "{:<{}}  {:<14}  {:>12}\n", probe.name, width, mechanism_name(probe.mechanism),
                     each.code.instructions.size());
      if (!probe.instead.empty()) fmt::format_to(out, "{:<{}}  because {}\n", "", width, probe.instead);
    }
  auto processors = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
  uint64_t sum = 0;
  size_t longest = 15;
  auto name_of = [&](const MapPlan &plan) -> std::string {
    if (plan.role == MapPlan::Role::kScript) return script.maps[plan.index].shape.name;
    return std::string(role_text(plan.role));
  };
  for (const MapPlan &plan : lowered.maps) longest = std::max(longest, name_of(plan).size());
  fmt::format_to(out, "\n{:<{}}  {:<16}  {:>8}  {:>5}  {:>7}  {:>9}\n", "MAP", longest, "KIND", "ENTRIES", "KEY",
                 "VALUE", "MOST");
  for (const MapPlan &plan : lowered.maps) {
    uint64_t bytes = Maps::bytes_of(plan, processors);
    sum += bytes;
    std::string size;
    append_bytes(size, bytes);
    fmt::format_to(out, "{:<{}}  {:<16}  {:>8}  {:>5}  {:>7}  {:>9}\n", name_of(plan), longest, kind_text(plan),
                   plan.type == BPF_MAP_TYPE_RINGBUF ? 0 : plan.entries, plan.key_bytes, plan.value_bytes, size);
  }
  std::string size;
  append_bytes(size, sum);
  fmt::format_to(out, "{:<{}}  {:>61}\n", "all", longest, size);
  return text;
}

}  // namespace waggle::script
