// Scripts that are made by hand, and run in the kernel as raw tracepoint programs by test
// runs: what lower() makes of them is seen in their maps and events. For tests alone.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "base/result.h"
#include "codegen/load.h"
#include "script/lower/lower.h"
#include "script/program/program.h"

namespace waggle::script {

inline const Type kI64 = Type::integer(8, true), kU64 = Type::integer(8, false), kBoolean = Type(TypeKind::kBool, 1);

// What this kernel, or any of today, can do.
inline LowerOptions modern_options() {
  LowerOptions options;
  options.has_loop = options.has_for_each = options.has_function_address = options.has_tai = true;
  options.has_per_cpu_lookup = options.has_safe_allocation = true;
  options.processors = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
  options.ring_bytes = 1u << 16;
  return options;
}

class TestScript {
 public:
  explicit TestScript(Mechanism mechanism = Mechanism::kRawTracepoint, Provider provider = Provider::kRawTracepoint) {
    source_ = sources.add("test.bt", "first line\n  second { line }\n");
    Program program;
    ConcreteProbe probe;
    probe.mechanism = mechanism;
    probe.point.provider = provider;
    program.probes.push_back(probe);
    program.name = "test";
    script.programs.push_back(std::move(program));
  }

  Node &make(Op op, const Type &type, std::initializer_list<const Node *> in = {}, int64_t number = 0) {
    Node &node = script.nodes.emplace_back();
    node.op = op;
    node.type = type;
    node.in = in;
    node.number = number;
    node.at = {source_, 0, 4};
    return node;
  }
  const Node *number(int64_t value, const Type &type = kI64) { return &make(Op::kConstant, type, {}, value); }
  const Node *text(const std::string &value, uint32_t bytes) {
    Node &node = make(Op::kText, Type::string(bytes));
    node.text = value;
    return &node;
  }
  // A word of the context, which test runs are given.
  const Node *word(uint32_t index, const Type &type = kI64) {
    return &make(Op::kContextWord, type, {}, int64_t{index} * 8);
  }
  const Node *tuple(std::initializer_list<const Node *> in) {
    std::vector<std::pair<std::string, Type>> fields;
    for (const Node *each : in) fields.emplace_back("", each->type);
    return &make(Op::kTuple, Type::tuple(fields), in);
  }
  const Node *field(const Node *of, size_t index) {
    const Field &field = of->type.fields()[index];
    return &make(Op::kField, field.type, {of}, field.offset);
  }
  const Node *variable(uint32_t variable) {
    return &make(Op::kVariable, script.variables[variable].type, {}, variable);
  }
  const Node *map_value(uint32_t map, const Node *key = nullptr) {
    const Type &type = script.maps[map].shape.value;
    Node &node = make(Op::kMapValue, type.is_aggregate() ? Type::integer(8, type.is_signed()) : type);
    node.map = map;
    if (key != nullptr) node.in.push_back(key);
    return &node;
  }
  // A string that user or kernel memory has at an address.
  const Node *string_at(const Node *address, uint32_t bytes, const Node *limit = nullptr) {
    const Node *pointer = &make(Op::kConvert, Type::pointer(Type::integer(1, true), AddressSpace::kUser), {address});
    Node &node = make(Op::kString, Type::string(bytes), {pointer});
    if (limit != nullptr) node.in.push_back(limit);
    return &node;
  }

  uint32_t add_variable(const Type &type) {
    script.variables.push_back({"$v" + std::to_string(script.variables.size()), type});
    return static_cast<uint32_t>(script.variables.size() - 1);
  }
  uint32_t add_map(const Type &key, const Type &value, uint32_t entries = 16) {
    ScriptMap map;
    map.shape = {"@m" + std::to_string(script.maps.size()), key, value};
    map.entries = key.is(TypeKind::kNone) ? 1 : entries;
    script.maps.push_back(map);
    return static_cast<uint32_t>(script.maps.size() - 1);
  }
  uint32_t add_action(Action::Kind kind, std::initializer_list<Type> row) {
    std::vector<std::pair<std::string, Type>> fields;
    for (const Type &each : row) fields.emplace_back("", each);
    Action action;
    action.kind = kind;
    action.row = Type::tuple(fields);
    script.actions.push_back(std::move(action));
    return static_cast<uint32_t>(script.actions.size() - 1);
  }

  Step &step(Step::Kind kind) {
    Step &step = script.steps.emplace_back();
    step.kind = kind;
    step.at = {source_, 0, 4};
    return step;
  }
  const Step *assign(uint32_t variable, const Node *value) {
    Step &made = step(Step::Kind::kAssign);
    made.variable = variable;
    made.value = value;
    return &made;
  }
  Step &assign_map(uint32_t map, const Node *key, const Node *value) {
    Step &made = step(Step::Kind::kMapAssign);
    made.map = map;
    made.key = key;
    made.value = value;
    return made;
  }
  Step &count(uint32_t map, const Node *key, const Node *value = nullptr) {
    Step &made = step(Step::Kind::kMapCount);
    made.map = map;
    made.key = key;
    made.value = value;
    return made;
  }
  const Step *evaluate(const Node *value) {
    Step &made = step(Step::Kind::kEvaluate);
    made.value = value;
    return &made;
  }
  const Step *emit(uint32_t action, std::initializer_list<const Node *> in) {
    Node &node = make(Op::kEmit, Type());
    node.in = in;
    node.action = action;
    return evaluate(&node);
  }
  void add(const Step *step) { script.programs[0].body.push_back(step); }

  Script script;
  Sources sources;

 private:
  uint32_t source_ = 0;
};

using Bytes = std::vector<std::byte>;

template <typename T>
T value_at(const Bytes &bytes, size_t offset = 0) {
  T value{};
  CHECK(offset + sizeof(T) <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The first program of a script, loaded.
class TestRun {
 public:
  static Result<TestRun> make(const Script &script, const Sources &sources, const LowerOptions &options,
                              bpf_prog_type type = BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_attach_type attach_type = {},
                              const char *attach_to = nullptr) {
    TestRun run;
    run.lowered = TRY(lower(script, sources, options));
    std::vector<int> descriptors;
    for (const MapPlan &plan : run.lowered.maps) {
      bpf_map_create_opts create = {};
      create.sz = sizeof(create);
      create.map_flags = plan.flags;
      Fd map(bpf_map_create(plan.type, plan.name.c_str(), plan.key_bytes, plan.value_bytes, plan.entries, &create));
      if (!map.valid()) return fail_errno(errno, "no map " + plan.name);
      descriptors.push_back(map.get());
      run.maps_.push_back(std::move(map));
    }
    codegen::LoadRequest request;
    request.type = type;
    request.expected_attach_type = attach_type;
    if (attach_to != nullptr)
      request.attach_btf_id = static_cast<uint32_t>(std::max(libbpf_find_vmlinux_btf_id(attach_to, attach_type), 0));
    request.name = "script_test";
    request.maps = descriptors;
    request.source = {"test.bt", sources.at(0).text};
    run.program_ = TRY(codegen::load(run.lowered.programs[0].code, request, &run.log_));
    return run;
  }

  // One run with these words as the context.
  Result<int64_t> run(std::array<uint64_t, 4> words = {}) {
    bpf_test_run_opts options = {};
    options.sz = sizeof(options);
    options.ctx_in = words.data();
    options.ctx_size_in = sizeof(words);
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) return fail_errno(errno, "no test run");
    return options.retval;
  }

  // Of a script's map; nothing where there is no such key. Of aggregates all CPUs' copies.
  std::optional<Bytes> value(uint32_t map, const Bytes &key) const { return look_up(map, key); }
  template <typename T>
  std::optional<Bytes> value(uint32_t map, T key) const {
    Bytes bytes(sizeof(T));
    std::memcpy(bytes.data(), &key, sizeof(T));
    return look_up(map, bytes);
  }
  // Of a scalar map.
  Bytes value(uint32_t map) const { return *value(map, uint32_t{0}); }
  std::optional<Bytes> look_up(size_t map, const Bytes &key) const {
    const MapPlan &plan = lowered.maps[map];
    CHECK(key.size() == plan.key_bytes);
    bool per_cpu = plan.type == BPF_MAP_TYPE_PERCPU_ARRAY || plan.type == BPF_MAP_TYPE_PERCPU_HASH;
    Bytes bytes(plan.value_bytes * (per_cpu ? static_cast<size_t>(libbpf_num_possible_cpus()) : 1));
    if (bpf_map_lookup_elem(maps_[map].get(), key.data(), bytes.data()) != 0) return std::nullopt;
    return bytes;
  }
  std::vector<Bytes> keys(size_t map) const {
    std::vector<Bytes> found;
    Bytes key(lowered.maps[map].key_bytes);
    const void *last = nullptr;
    while (bpf_map_get_next_key(maps_[map].get(), last, key.data()) == 0) {
      found.push_back(key);
      last = found.back().data();
    }
    return found;
  }
  size_t map_of(MapPlan::Role role) const {
    for (size_t i = 0; i < lowered.maps.size(); i++)
      if (lowered.maps[i].role == role) return i;
    CHECK(false);
  }
  int descriptor(size_t map) const { return maps_[map].get(); }

  // All that has been sent since the last time.
  std::vector<Bytes> events() {
    std::vector<Bytes> events;
    auto keep = [](void *to, void *data, size_t bytes) {
      auto *from = static_cast<const std::byte *>(data);
      static_cast<std::vector<Bytes> *>(to)->emplace_back(from, from + bytes);
      return 0;
    };
    ring_buffer *ring = ring_buffer__new(maps_[map_of(MapPlan::Role::kRing)].get(), keep, &events, nullptr);
    CHECK(ring != nullptr);
    ring_buffer__consume(ring);
    ring_buffer__free(ring);
    return events;
  }

  Lowered lowered;

 private:
  std::vector<Fd> maps_;
  Fd program_;
  std::string log_;
};

}  // namespace waggle::script
