#include "script/check/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "script/check/checker.h"
#include "script/check/config.h"

namespace waggle::script {
namespace {

// Types grow only so far: a script whose types have not settled by then never does.
constexpr int kPassesMost = 64;

}  // namespace

Script check(const Tree &tree, const Sources &sources, Diagnostics &diagnostics, BtfTypes &types,
             const CheckOptions &options, const Kernel &kernel) {
  return Checker(tree, sources, diagnostics, types, options, kernel).check();
}

Checker::Checker(const Tree &tree, const Sources &sources, Diagnostics &diagnostics, BtfTypes &types,
                 const CheckOptions &options, const Kernel &kernel)
    : tree_(tree),
      sources_(sources),
      diagnostics_(diagnostics),
      types_(types),
      options_(options),
      kernel_(kernel),
      c_types_(tree, types, diagnostics) {}

Script Checker::check() {
  script_.config = read_config(tree_, options_.environment, diagnostics_);
  c_types_.define();
  declare_maps();
  make_units();
  // Also with mistakes: one run tells those of the bodies too.
  if (units_.empty()) return std::move(script_);
  do {
    changed_ = false;
    pass();
    pass_++;
  } while (changed_ && pass_ < kPassesMost);
  is_last_ = true;
  pass();
  finish();
  return std::move(script_);
}

void Checker::declare_maps() {
  struct Row {
    std::string_view name;
    ScriptMap::Kind kind;
  };
  constexpr Row kKinds[] = {{"hash", ScriptMap::Kind::kHash},
                            {"lruhash", ScriptMap::Kind::kLruHash},
                            {"percpuhash", ScriptMap::Kind::kPerCpuHash},
                            {"percpulruhash", ScriptMap::Kind::kPerCpuLruHash}};
  for (const MapDeclaration &each : tree_.maps) {
    const Row *found = nullptr;
    for (const Row &row : kKinds)
      if (row.name == each.type) found = &row;
    if (found == nullptr) {
      diagnostics_.error(each.at, fmt::format("Invalid bpf map type: {}", each.type))
          .hints.emplace_back("Valid map types: percpulruhash, percpuhash, lruhash, hash");
      continue;
    }
    if (each.entries->kind != ExpressionKind::kInteger) {
      diagnostics_.error(each.entries->at, "the number of entries of a map must be a number");
      continue;
    }
    uint64_t entries = as<IntegerLiteral>(*each.entries).value;
    if (entries == 0 || entries > UINT32_MAX) {
      diagnostics_.error(each.entries->at,
                         entries == 0 ? "Max entries must be greater than 0" : "Max entries must be less than 2^32");
      continue;
    }
    KnownMap &map = known_map(each.name, each.at);
    if (map.is_declared) diagnostics_.error(each.at, fmt::format("Redeclaration of existing variable: {}", map.name));
    map.is_declared = true;
    map.kind = found->kind;
    map.entries = static_cast<uint32_t>(entries);
  }
}

// Translates every body once.
void Checker::pass() {
  script_.nodes.clear();
  script_.steps.clear();
  script_.programs.clear();
  script_.actions.clear();
  script_.variables.clear();
  script_.time_formats.clear();
  script_.cgroup_patterns.clear();
  script_.stack_frames_most = 0;
  ignored_ = Diagnostics();
  for (auto &[key, variable] : variables_) {
    variable.index = UINT32_MAX;
    variable.is_read = false;
  }
  uint32_t next = 0;
  for (auto &[name, map] : maps_) map.index = next++;
  for (size_t i = 0; i < units_.size(); i++) {
    translate(units_[i]);
    // Again, as several bodies.
    if (split_if_specific(i)) i--;
  }
}

// A body that asked for what differs between its probes becomes one for each of them.
bool Checker::split_if_specific(size_t &at) {
  Unit &unit = units_[at];
  if (!is_specific_ || unit.probes.size() == 1) return false;
  std::vector<ConcreteProbe> rest(std::make_move_iterator(unit.probes.begin() + 1),
                                  std::make_move_iterator(unit.probes.end()));
  unit.probes.resize(1);
  unit.arguments.reset();
  const Probe *probe = unit.probe;
  std::deque<Unit> more;
  for (ConcreteProbe &each : rest) {
    Unit made;
    made.id = units_made_++;
    made.probe = probe;
    made.probes.push_back(std::move(each));
    more.push_back(std::move(made));
  }
  units_.insert(units_.begin() + static_cast<ptrdiff_t>(at) + 1, std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  script_.programs.pop_back();
  changed_ = true;
  return true;
}

void Checker::translate(Unit &unit) {
  unit_ = &unit;
  is_specific_ = false;
  loops_ = 0;
  depth_ = 0;
  Expansion frame;
  Scope scope;
  frame_ = &frame;
  scope_ = &scope;
  c_types_.look_into(program());
  Program &program = script_.programs.emplace_back();
  program.at = unit.probe->at;
  Steps body;
  steps_ = &body;
  if (unit.probe->predicate != nullptr) {
    const Node *wanted = condition(*unit.probe->predicate, "predicate");
    if (body.empty()) {
      program.predicate = wanted;
    } else {
      // It needed statements of its own: it is one of the body's.
      Step &check = step(Step::Kind::kIf, unit.probe->predicate->at);
      check.value = wanted;
      Steps leave;
      steps_ = &leave;
      step(Step::Kind::kReturn, unit.probe->predicate->at);
      check.otherwise = leave;
      steps_ = &body;
    }
  }
  block(*unit.probe->body, /*with_value=*/false);
  steps_ = nullptr;
  Program &made = script_.programs.back();
  made.body = std::move(body);
  frame_ = nullptr;
  scope_ = nullptr;
  // A name may mean another type in another file.
  if (c_types_.has_looked())
    for (const ConcreteProbe &each : unit.probes) is_specific_ |= each.place.path != unit.first().place.path;
  c_types_.look_into(nullptr);
}

void Checker::finish() {
  for (size_t i = 0; i < script_.programs.size() && i < units_.size(); i++) {
    Program &program = script_.programs[i];
    program.probes = units_[i].probes;
    for (char c : program.probes.front().name) {
      bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
      program.name += is_plain ? c : '_';
    }
    Provider provider = units_[i].provider();
    bool filters = provider != Provider::kBegin && provider != Provider::kEnd && provider != Provider::kSelf &&
                   provider != Provider::kInterval && provider != Provider::kIterator && provider != Provider::kBench &&
                   provider != Provider::kTest && !is_user_probe(provider);
    program.is_for_process = filters && options_.pid != 0;
  }
  for (const auto &[name, known] : maps_) {
    ScriptMap map;
    map.shape = {"@" + name, known.key, known.value};
    map.kind = known.kind;
    bool is_scalar = known.access != KnownMap::Access::kKeyed;
    map.entries = known.is_declared ? known.entries
                  : is_scalar       ? 1
                                    : static_cast<uint32_t>(script_.config.max_map_keys);
    if (is_scalar) map.shape.key = Type();
    map.at = known.at;
    if (known.value.is(TypeKind::kNone) && !known.is_declared)
      diagnostics_.error(known.at, fmt::format("Undefined map: @{}", name));
    script_.maps.push_back(std::move(map));
  }
  if (script_.programs.size() > script_.config.max_bpf_progs)
    diagnostics_.error(script_.programs.front().at,
                       fmt::format("Your program is trying to generate more than {} BPF programs, which exceeds the "
                                   "current limit of {}.\nYou can increase the limit through the "
                                   "BPFTRACE_MAX_BPF_PROGS environment variable.",
                                   script_.programs.size(), script_.config.max_bpf_progs));
  warn_unused();
}

void Checker::warn_unused() {
  for (const auto &[key, variable] : variables_)
    if (!variable.is_assigned && variable.type.is(TypeKind::kNone))
      warn(variable.at, fmt::format("Variable {} was never assigned to.", "$" + variable.name));
}

}  // namespace waggle::script
