// Names that the kernel has: functions, tracepoints, iterators, BPF programs.

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/kernel_btf.h"
#include "kernel/probes.h"
#include "kernel/probes_kallsyms.h"
#include "script/probes/arguments.h"
#include "script/probes/expand_parts.h"

namespace waggle::script {
namespace {

constexpr size_t kTraceableBytesMost = 64u << 20;
constexpr std::string_view kKernelModule = "vmlinux";

struct Function {
  std::string name, module;  // module is empty for the kernel itself
};

bool module_matches(std::string_view wanted, std::string_view module) {
  return wanted.empty() || wildcard_match(wanted, module.empty() ? kKernelModule : module);
}

// Of the lines "vfs_read" and "nft_do_chain [nf_tables]" those that match.
std::vector<Function> select_traceable(std::string_view text, const AttachPoint &point) {
  std::vector<Function> functions;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    size_t blank = line.find_first_of(" \t");
    std::string_view name = line.substr(0, blank), module;
    if (blank != std::string_view::npos) module = trim(line.substr(blank));
    if (module.starts_with('[') && module.ends_with(']')) module = module.substr(1, module.size() - 2);
    // Compilers split functions; the parts have a dot and no type.
    if (name.empty() || name.find('.') != std::string_view::npos || !wildcard_match(point.function, name) ||
        !module_matches(point.target, module))
      continue;
    functions.push_back({std::string(name), std::string(module)});
  }
  return functions;
}

void keep_each_once(std::vector<Function> &functions) {
  std::stable_sort(functions.begin(), functions.end(),
                   [](const Function &a, const Function &b) { return a.name < b.name; });
  functions.erase(std::unique(functions.begin(), functions.end(),
                              [](const Function &a, const Function &b) { return a.name == b.name; }),
                  functions.end());
}

// Functions that may have a kprobe: those that ftrace can trace, where the kernel
// shows them; else those whose code can take a breakpoint.
Result<std::vector<Function>> functions_for_kprobe(const AttachPoint &point, const ExpandOptions &options,
                                                   const Kernel &kernel) {
  if (!options.traceable_functions.empty())
    return select_traceable(TRY(read_file(options.traceable_functions, kTraceableBytesMost)), point);
  if (const Result<Tracefs> &tracefs = kernel.tracefs()) {
    Result<std::string> text = read_file(tracefs->path() + "/available_filter_functions", kTraceableBytesMost);
    if (text && !text->empty()) return select_traceable(*text, point);
  }
  std::vector<Function> functions;
  for (CodeSymbol &symbol : TRY(read_code_symbols(wider_glob(point.function))))
    if (wildcard_match(point.function, symbol.name) && module_matches(point.target, symbol.module))
      functions.push_back({std::move(symbol.name), std::move(symbol.module)});
  return functions;
}

// Functions whose arguments BTF knows.
Result<std::vector<Function>> functions_for_fentry(const AttachPoint &point) {
  std::vector<Function> functions;
  Result<std::vector<KernelFunction>> found = find_kernel_functions(wider_glob(point.function));
  if (!found) {
    if (found.error().code == ErrorCode::kNotFound) return functions;
    return tl::unexpected(std::move(found).error());
  }
  for (KernelFunction &function : *found)
    if (wildcard_match(point.function, function.name) && module_matches(point.target, function.module))
      functions.push_back({std::move(function.name), std::move(function.module)});
  return functions;
}

// The module that BTF has the function in: "vmlinux", a module's, or empty.
std::string module_in_btf(std::string_view function, std::string_view wanted) {
  Result<KernelBtf> vmlinux = KernelBtf::load();
  if (!vmlinux) return {};
  constexpr uint32_t kFunctionKind = 12;  // BTF_KIND_FUNC
  if (module_matches(wanted, {}) && vmlinux->find(kFunctionKind, function) != 0) return std::string(kKernelModule);
  for (const std::string &module : modules_with_btf()) {
    if (!module_matches(wanted, module)) continue;
    Result<KernelBtf> types = KernelBtf::load_module(module, *vmlinux);
    if (types && types->find(kFunctionKind, function) != 0) return module;
  }
  return {};
}

std::string near_function(std::string_view function) {
  std::vector<std::string> names;
  Result<KernelBtf> vmlinux = KernelBtf::load();
  if (!vmlinux) return {};
  size_t most = function.size() / 3 + 1;
  vmlinux->each_function([&](std::string_view name, uint32_t) {
    if (name.size() + most >= function.size() && name.size() <= function.size() + most) names.emplace_back(name);
  });
  return near_name(function, names);
}

ConcreteProbe function_probe(const AttachPoint &point, const Function &function, bool with_module) {
  AttachPoint one = point;
  one.function = function.name;
  one.target.clear();
  if (with_module) one.target = function.module.empty() ? kKernelModule : std::string_view(function.module);
  return probe_of(std::move(one));
}

tl::unexpected<Error> no_such_function(const AttachPoint &point) {
  if (point.has_wildcard()) return no_such_probe(point, {}, {});
  AttachPoint near = point;
  near.function = near_function(point.function);
  return no_such_probe(
      point,
      fmt::format("this kernel has no function {}(), or the compiler has put it into its callers", point.function),
      near.function.empty() ? std::string() : near.text());
}

}  // namespace

Result<std::vector<ConcreteProbe>> expand_functions(const AttachPoint &point, const ExpandOptions &options,
                                                    Mechanism mechanism, const Kernel &kernel) {
  bool by_entry = point.provider == Provider::kFentry || point.provider == Provider::kFexit;
  bool needs_types = by_entry || mechanism == Mechanism::kFentry;
  bool with_module = by_entry || !point.target.empty();
  if (!point.has_wildcard()) {
    // A name is found without reading all of them.
    std::string module = kernel.can(FeatureId::kBtf) ? module_in_btf(point.function, point.target) : std::string();
    if (!module.empty())
      return std::vector<ConcreteProbe>{function_probe(point, {point.function, module}, with_module)};
    if (needs_types && kernel.can(FeatureId::kBtf)) return no_such_function(point);
    if (point.target.empty() && has_kernel_symbol(point.function))
      return std::vector<ConcreteProbe>{function_probe(point, {point.function, {}}, false)};
    if (point.target.empty()) return no_such_function(point);
  }
  std::vector<Function> functions =
      needs_types ? TRY(functions_for_fentry(point)) : TRY(functions_for_kprobe(point, options, kernel));
  keep_each_once(functions);
  if (functions.empty()) return no_such_function(point);
  std::vector<ConcreteProbe> probes;
  probes.reserve(functions.size());
  for (const Function &function : functions) probes.push_back(function_probe(point, function, with_module));
  return probes;
}

Result<std::vector<ConcreteProbe>> expand_bpf_programs(const AttachPoint &point) {
  std::vector<ConcreteProbe> probes;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    if (point.program_id != 0 && id != point.program_id) continue;
    Fd program(bpf_prog_get_fd_by_id(id));
    if (!program.valid()) continue;
    bpf_prog_info info = {};
    uint32_t bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &bytes) != 0) continue;
    if (!wildcard_match(point.function, info.name)) continue;
    AttachPoint one = point;
    one.function = info.name;
    one.program_id = id;
    probes.push_back(probe_of(std::move(one)));
  }
  if (probes.empty() && errno == EPERM)
    return fail_errno(errno, "cannot list the BPF programs that are loaded", "run it with sudo");
  if (probes.empty()) return no_such_probe(point, "no BPF program of that name is loaded", {});
  std::sort(probes.begin(), probes.end(),
            [](const ConcreteProbe &a, const ConcreteProbe &b) { return a.name < b.name; });
  return probes;
}

Result<std::vector<ConcreteProbe>> expand_tracepoints(const AttachPoint &point, const Kernel &kernel) {
  const Result<Tracefs> &tracefs = kernel.tracefs();
  if (!tracefs) return tl::unexpected(tracefs.error());
  if (!point.has_wildcard() && tracefs->has(point.target, point.function))
    return std::vector<ConcreteProbe>{probe_of(point)};
  std::vector<std::string> all = TRY(tracefs->tracepoints());
  if (!point.has_wildcard()) {
    std::string near = near_name(point.target + ":" + point.function, all);
    if (near.empty())
      if (std::vector<std::string> similar = similar_tracepoints(point.function, all, 1); !similar.empty())
        near = similar[0];
    return no_such_probe(point, fmt::format("tracepoint not found: {}:{}", point.target, point.function),
                         near.empty() ? near : "tracepoint:" + near);
  }
  std::vector<ConcreteProbe> probes;
  for (const std::string &name : all) {
    size_t colon = name.find(':');
    std::string_view category = std::string_view(name).substr(0, colon);
    std::string_view event = std::string_view(name).substr(colon + 1);
    if (!wildcard_match(point.function, event) || !wildcard_match(point.target, category)) continue;
    AttachPoint one = point;
    one.target = category;
    one.function = event;
    probes.push_back({std::move(one), "tracepoint:" + name, Mechanism::kTracepoint, {}, {}});
  }
  if (probes.empty()) return no_such_probe(point, {}, {});
  return probes;
}

Result<std::vector<ConcreteProbe>> expand_raw_tracepoints(const AttachPoint &point, const Kernel &kernel) {
  if (!kernel.can(FeatureId::kBtf)) {
    // Nothing lists them; attaching will tell.
    if (!point.has_wildcard()) return std::vector<ConcreteProbe>{probe_of(point)};
    return fail(ErrorCode::kUnsupported, fmt::format("cannot expand {}", point.text()),
                kernel.feature(FeatureId::kBtf).why_not, "name one raw tracepoint");
  }
  constexpr std::string_view kPrefix = "btf_trace_";
  std::set<std::string> seen;
  std::vector<ConcreteProbe> probes;
  auto add = [&](const std::string &name, std::string_view module) {
    if (!wildcard_match(point.function, name) || !seen.insert(name).second) return;
    AttachPoint one = point;
    one.function = name;
    one.target = module;
    probes.push_back(probe_of(std::move(one)));
  };
  const std::vector<std::string> &all = kernel.raw_tracepoints();
  if (module_matches(point.target, {}))
    for (const std::string &name : all) add(name, kKernelModule);
  if (point.has_wildcard() || probes.empty()) {
    Result<KernelBtf> vmlinux = KernelBtf::load();
    for (const std::string &module : modules_with_btf()) {
      if (!vmlinux || !module_matches(point.target, module)) continue;
      Result<KernelBtf> types = KernelBtf::load_module(module, *vmlinux);
      if (!types) continue;
      for (const std::string &name : types->names_after(kPrefix)) add(name, module);
    }
  }
  if (probes.empty()) {
    AttachPoint near = point;
    near.target.clear();
    near.function = point.has_wildcard() ? std::string() : near_name(point.function, all);
    return no_such_probe(point, {}, near.function.empty() ? std::string() : near.text());
  }
  std::sort(probes.begin(), probes.end(),
            [](const ConcreteProbe &a, const ConcreteProbe &b) { return a.name < b.name; });
  return probes;
}

Result<std::vector<ConcreteProbe>> expand_iterators(const AttachPoint &point) {
  std::vector<std::string> all = TRY(iterator_names());
  std::vector<ConcreteProbe> probes;
  for (const std::string &name : all) {
    if (!wildcard_match(point.function, name)) continue;
    AttachPoint one = point;
    one.function = name;
    probes.push_back(probe_of(std::move(one)));
  }
  if (!probes.empty()) return probes;
  std::string near = point.has_wildcard() ? std::string() : near_name(point.function, all);
  return no_such_probe(point, fmt::format("iter {} not available for your kernel version", point.function),
                       near.empty() ? near : "iter:" + near);
}

}  // namespace waggle::script
