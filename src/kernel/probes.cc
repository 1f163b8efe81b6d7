#include "kernel/probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/features.h"
#include "kernel/kernel_btf.h"
#include "kernel/probes_kallsyms.h"

namespace waggle {
namespace {

constexpr size_t kFilterFunctionsBytesMost = 64u << 20;

// Parameter counts of the functions in BTF that match.
using FunctionTable = std::unordered_map<std::string, uint32_t>;

Result<FunctionTable> functions_in_btf(std::string_view pattern) {
  FunctionTable functions;
  auto note = [&](std::string_view name, uint32_t parameters) {
    if (glob_match(pattern, name)) functions.emplace(name, parameters);
  };
  KernelBtf vmlinux = TRY(KernelBtf::load());
  vmlinux.each_function(note);
  for (const std::string &module : modules_with_btf())
    if (Result<KernelBtf> types = KernelBtf::load_module(module, vmlinux)) types->each_function(note);
  return functions;
}

// Keeps what ftrace can trace, where the kernel shows that list.
void keep_filter_functions(std::vector<KernelFunction> &functions) {
  const Result<Tracefs> &tracefs = Kernel::running().tracefs();
  if (!tracefs) return;
  Result<std::string> text = read_file(tracefs->path() + "/available_filter_functions", kFilterFunctionsBytesMost);
  if (!text) return;
  std::vector<std::string_view> traceable = parse_filter_functions(*text);
  if (traceable.empty()) return;
  std::erase_if(functions, [&](const KernelFunction &function) {
    return !std::binary_search(traceable.begin(), traceable.end(), std::string_view(function.name));
  });
}

tl::unexpected<Error> nothing_matches(std::string_view what, std::string_view pattern) {
  return fail(ErrorCode::kNotFound, fmt::format("no {} of this kernel matches '{}'", what, pattern), {},
              "waggle list probes '*WORD*'      finds names that have WORD in them");
}

Result<std::vector<std::string>> function_names(std::string_view pattern) {
  std::vector<std::string> names;
  for (KernelFunction &function : TRY(find_kernel_functions(pattern))) names.push_back(std::move(function.name));
  return names;
}

Result<std::vector<std::string>> all_raw_tracepoints(std::string_view) {
  if (!Kernel::running().can(FeatureId::kBtf)) return nothing_matches("raw tracepoint", "*");
  return Kernel::running().raw_tracepoints();
}

Result<std::vector<std::string>> all_tracepoints(std::string_view) {
  const Result<Tracefs> &tracefs = Kernel::running().tracefs();
  if (!tracefs) return tl::unexpected(tracefs.error());
  return tracefs->tracepoints();
}

struct ProbeKind {
  std::string_view name;
  FeatureId needs;
  // Names that may match; the whole rule is probe_matches(). Kinds of one source
  // stand together, so that it is read once.
  Result<std::vector<std::string>> (*names)(std::string_view name_pattern);
};
constexpr ProbeKind kKinds[] = {
    {"fentry", FeatureId::kFentry, function_names},
    {"kprobe", FeatureId::kKprobe, function_names},
    {"rawtracepoint", FeatureId::kRawTracepoint, all_raw_tracepoints},
    {"tracepoint", FeatureId::kTracefs, all_tracepoints},
};

// The kind that a pattern names outright; null when it leaves that open.
const ProbeKind *kind_of(std::string_view pattern) {
  size_t colon = pattern.find(':');
  if (colon == std::string_view::npos) return nullptr;
  const ProbeKind *kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                       [&](const ProbeKind &each) { return each.name == pattern.substr(0, colon); });
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace

std::vector<std::string_view> parse_filter_functions(std::string_view text) {
  std::vector<std::string_view> names;
  // "vfs_read" or "nft_do_chain [nf_tables]"
  for (std::string_view line : split(text, '\n'))
    if (std::string_view name = line.substr(0, line.find(' ')); !name.empty()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<KernelFunction>> find_kernel_functions(std::string_view pattern) {
  FunctionTable described = TRY(functions_in_btf(pattern));
  std::vector<KernelFunction> functions;
  if (!described.empty()) {
    for (CodeSymbol &symbol : TRY(read_code_symbols(pattern))) {
      auto found = described.find(symbol.name);
      if (found == described.end()) continue;
      functions.push_back({std::move(symbol.name), std::move(symbol.module), found->second});
    }
    keep_filter_functions(functions);
  }
  if (functions.empty()) return nothing_matches("function", pattern);
  return functions;
}

Result<std::vector<std::string>> kernel_functions_matching(std::string_view pattern) {
  return function_names(pattern);
}

Result<std::vector<std::string>> tracepoints_matching(std::string_view pattern) {
  std::vector<std::string> names = TRY(all_tracepoints(pattern));
  std::erase_if(names, [&](const std::string &name) { return !probe_matches(pattern, "tracepoint:" + name); });
  if (names.empty()) return nothing_matches("tracepoint", pattern);
  return names;
}

bool probe_matches(std::string_view pattern, std::string_view probe) {
  if (glob_match(pattern, probe)) return true;
  size_t first = probe.find(':');
  if (first == std::string_view::npos) return false;
  if (glob_match(pattern, probe.substr(first + 1))) return true;
  return pattern.find(':') == std::string_view::npos && glob_match(pattern, probe.substr(probe.rfind(':') + 1));
}

Result<std::vector<std::string>> probes_matching(std::string_view pattern) {
  const Kernel &kernel = Kernel::running();
  const ProbeKind *only = kind_of(pattern);
  if (only != nullptr && !kernel.can(only->needs))
    return fail(ErrorCode::kUnsupported, fmt::format("cannot list {} probes", only->name),
                kernel.feature(only->needs).why_not, "waggle doctor      shows what this kernel can do");
  // What may match "kprobe:vfs_*", "k*:vfs_*" and "vfs_*" alike.
  std::string_view name_pattern = pattern.substr(pattern.rfind(':') + 1);
  std::vector<std::string> probes;
  std::optional<Error> first_failure;
  std::optional<Result<std::vector<std::string>>> names;
  const ProbeKind *names_of = nullptr;
  for (const ProbeKind &kind : kKinds) {
    if ((only != nullptr && only != &kind) || !kernel.can(kind.needs)) continue;
    if (names_of == nullptr || names_of->names != kind.names) names = kind.names(name_pattern);
    names_of = &kind;
    if (!*names) {
      if (names->error().code != ErrorCode::kNotFound && !first_failure) first_failure = names->error();
      continue;
    }
    for (const std::string &name : **names) {
      std::string probe = fmt::format("{}:{}", kind.name, name);
      if (probe_matches(pattern, probe)) probes.push_back(std::move(probe));
    }
  }
  if (!probes.empty()) return probes;
  if (first_failure) return tl::unexpected(std::move(*first_failure));
  return nothing_matches("probe", pattern);
}

}  // namespace waggle
