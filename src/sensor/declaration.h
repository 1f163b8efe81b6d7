// What a sensor says of itself, read from the BTF of its built object: the
// only description there is of its columns, parameters and hooks.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/schema.h"

struct bpf_object;

namespace waggle {

// A value that is set before load.
struct Parameter {
  static constexpr const char *kConstant = ".rodata", *kLive = ".data.live";
  std::string name;  // "min_latency"; in the object: param_min_latency
  std::string help;
  Kind kind = Kind::kNumber;
  const char *section = kConstant;  // kLive: it can be changed while the sensor runs
  uint32_t offset = 0;              // in the section
  uint32_t size = 0;
  bool is_signed = false, is_bool = false;
};

struct Hook {
  static constexpr int kAnyPlan = 0;
  static constexpr std::string_view kTracepoint = "tracepoint/";
  std::string program;  // hooks of one program follow each other
  std::string section;  // libbpf's, without '?'
  int plan = kAnyPlan;  // hooks of the lowest plan that works are taken
  bool optional = false;
  std::string lack;  // optional: what is missing without it
};

struct Declaration {
  std::string name;  // "open"
  std::string area;  // "file"
  std::string summary;
  std::optional<Schema> events, table, snapshot;
  std::vector<Parameter> parameters;
  std::vector<Hook> hooks;

  // Whether a hook's section names TARGET, so that the user must say what to trace.
  bool needs_target() const;
  // The first of its shapes: rows, a table or a snapshot.
  const Schema &schema() const { return events ? *events : table ? *table : *snapshot; }
  // Whether one may be named: "TARGET=libc:malloc" says which file is taken otherwise.
  bool takes_target() const;
  // What could be named, and what that is: "vfs_read      names a kernel function".
  std::string_view example_target() const;
  // One that every host has, to see whether the sensor can run.
  std::string_view target_everywhere() const;
  const Parameter *parameter(std::string_view parameter_name) const;
};

// One BPF object inside the executable, packed by zstd(1).
struct SensorObject {
  std::string_view name, area;
  std::span<const std::byte> packed;
};

struct ObjectCloser {
  void operator()(bpf_object *object) const;
};
using ObjectPtr = std::unique_ptr<bpf_object, ObjectCloser>;
// 1.6 ms for the largest, of 0.8 MB.
std::vector<std::byte> unpack(const SensorObject &object);
// Opens what was unpacked, which libbpf does not need afterwards. `core_types`: a file with
// the kernel's types for CO-RE, empty for the kernel's own.
ObjectPtr open_object(std::string_view name, std::span<const std::byte> elf, const std::string &core_types = {});

// All sensors, sorted by name. The bytes live as long as the process.
std::span<const SensorObject> sensor_objects();

// errors: NotFound, with the nearest name as the fix.
Result<SensorObject> find_sensor_object(std::string_view name);

// Reads a declaration from an opened (not loaded) object. An object that breaks
// the rules of sensor.bpf.h is a bug of ours and a CHECK.
Declaration read_declaration(const SensorObject &object, const bpf_object *opened);

// Opens the object only to read its declaration.
// errors: NotFound
Result<Declaration> declaration_of(std::string_view name);

}  // namespace waggle
