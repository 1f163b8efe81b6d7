#include "script/probes/expand.h"

#include <fmt/format.h>
#include <linux/btf.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>

#include "base/check.h"
#include "base/text.h"
#include "kernel/kernel_btf.h"
#include "script/probes/expand_parts.h"

namespace waggle::script {
namespace {

constexpr size_t kSimilarMost = 3;

constexpr std::string_view kMechanisms[] = {"waggle itself", "tracepoint", "raw_tracepoint", "tp_btf",       "kprobe",
                                            "kprobe.multi",  "fentry",     "uprobe",         "uprobe.multi", "usdt",
                                            "perf event",    "watchpoint", "iterator"};
static_assert(std::size(kMechanisms) == static_cast<size_t>(Mechanism::kIterator) + 1);

bool is_function_probe(Provider provider) {
  return provider == Provider::kKprobe || provider == Provider::kKretprobe || provider == Provider::kFentry ||
         provider == Provider::kFexit;
}

tl::unexpected<Error> cannot_attach(const AttachPoint &point, std::string why, std::string fix = {}) {
  return fail(ErrorCode::kUnsupported, fmt::format("cannot attach {}", point.text()), std::move(why), std::move(fix));
}

Result<Choice> choose_for_kprobe(const AttachPoint &point, const Hooks &hooks) {
  // One link for all of them; but kprobe.multi knows no modules and no offsets.
  if (has_wildcard(point.function) && point.target.empty() && hooks.kprobe_multi)
    return Choice{Mechanism::kKprobeMulti, {}};
  if (hooks.kprobe) return Choice{Mechanism::kKprobe, {}};
  if (point.offset != 0)
    return cannot_attach(point, fmt::format("a probe inside of a function needs kprobes: {}", hooks.why_no_kprobe));
  if (hooks.kprobe_multi) return Choice{Mechanism::kKprobeMulti, hooks.why_no_kprobe};
  if (hooks.fentry) return Choice{Mechanism::kFentry, hooks.why_no_kprobe};
  return cannot_attach(point, fmt::format("no kprobe: {}; no fentry: {}", hooks.why_no_kprobe, hooks.why_no_fentry));
}

Result<Choice> choose_for_fentry(const AttachPoint &point, const Hooks &hooks) {
  if (hooks.fentry) return Choice{Mechanism::kFentry, {}};
  if (point.target == "bpf")
    return cannot_attach(point, fmt::format("BPF programs are traced by fentry alone: {}", hooks.why_no_fentry));
  if (hooks.kprobe_multi && has_wildcard(point.function)) return Choice{Mechanism::kKprobeMulti, hooks.why_no_fentry};
  if (hooks.kprobe) return Choice{Mechanism::kKprobe, hooks.why_no_fentry};
  if (hooks.kprobe_multi) return Choice{Mechanism::kKprobeMulti, hooks.why_no_fentry};
  return cannot_attach(point, fmt::format("no fentry: {}; no kprobe: {}", hooks.why_no_fentry, hooks.why_no_kprobe));
}

Result<Choice> choose_for_raw_tracepoint(const AttachPoint &point, const Hooks &hooks) {
  if (hooks.tp_btf) return Choice{Mechanism::kTpBtf, {}};
  if (hooks.raw_tracepoint) return Choice{Mechanism::kRawTracepoint, "this kernel has no typed raw tracepoints"};
  return cannot_attach(point, hooks.why_no_raw_tracepoint);
}

std::string why_not(const Result<void> &available) {
  if (available) return {};
  return available.error().why.empty() ? available.error().what : available.error().why;
}

// Asks for as little as the choice needs: some attempts wait for the kernel.
Hooks hooks_for(const AttachPoint &point, const Kernel &kernel) {
  Hooks hooks;
  if (point.provider == Provider::kRawTracepoint) {
    hooks.tp_btf = kernel.can(FeatureId::kTpBtf);
    if (hooks.tp_btf) return hooks;
    Result<void> raw = hook_available("raw_tp", kernel);
    hooks.raw_tracepoint = raw.has_value();
    hooks.why_no_raw_tracepoint = why_not(raw);
    return hooks;
  }
  bool by_entry = point.provider == Provider::kFentry || point.provider == Provider::kFexit;
  auto ask_kprobe = [&] {
    Result<void> kprobe = hook_available("kprobe", kernel);
    hooks.kprobe = kprobe.has_value();
    hooks.why_no_kprobe = why_not(kprobe);
    if (!hooks.kprobe || has_wildcard(point.function)) hooks.kprobe_multi = kernel.can(FeatureId::kKprobeMulti);
  };
  auto ask_fentry = [&] {
    const Feature &fentry = kernel.feature(FeatureId::kFentry);
    hooks.fentry = fentry.available;
    hooks.why_no_fentry = fentry.why_not;
  };
  if (by_entry) ask_fentry();
  if (!hooks.fentry) ask_kprobe();
  if (!by_entry && !hooks.kprobe && !hooks.kprobe_multi) ask_fentry();
  return hooks;
}

bool has_uprobe_multi(const Kernel &kernel) {
  if (!kernel.can(FeatureId::kBtf)) return false;
  Result<KernelBtf> btf = KernelBtf::load();
  return btf && btf->find(BTF_KIND_STRUCT, "bpf_uprobe_multi_link") != 0;
}

Result<Choice> choose_for_user(const AttachPoint &point, const Kernel &kernel) {
  Result<void> uprobe = hook_available("uprobe", kernel);
  if (!uprobe) return cannot_attach(point, why_not(uprobe), uprobe.error().fix);
  if (point.provider == Provider::kUsdt) return Choice{Mechanism::kUsdt, {}};
  bool many = point.has_wildcard() || point.language == "cpp";
  return Choice{many && has_uprobe_multi(kernel) ? Mechanism::kUprobeMulti : Mechanism::kUprobe, {}};
}

Result<Choice> choose_needing(const AttachPoint &point, Mechanism mechanism, FeatureId id, const Kernel &kernel,
                              std::string fix = {}) {
  const Feature &feature = kernel.feature(id);
  if (feature.available) return Choice{mechanism, {}};
  if (feature.for_want_of_privilege)
    return fail(ErrorCode::kDenied, fmt::format("cannot attach {}", point.text()), feature.why_not, "run it with sudo");
  return cannot_attach(point, feature.why_not, std::move(fix));
}

// "vfs_read" → vfs, read. Words that most names have say nothing.
std::vector<std::string_view> words_of(std::string_view name) {
  constexpr std::string_view kNoise[] = {"do", "sys", "enter", "exit", "x64", "ia32", "se", "ksys"};
  std::vector<std::string_view> words = split(name, '_');
  std::erase_if(words, [&](std::string_view word) {
    return word.size() < 2 || std::find(std::begin(kNoise), std::end(kNoise), word) != std::end(kNoise);
  });
  return words;
}

void add_similar_tracepoints(Error &error, const AttachPoint &point, const Kernel &kernel) {
  const Result<Tracefs> &tracefs = kernel.tracefs();
  if (!tracefs) return;
  Result<std::vector<std::string>> all = tracefs->tracepoints();
  if (!all) return;
  // Of the calls' tracepoints the end that is asked for.
  std::string_view other_end = is_return_probe(point.provider) ? "syscalls:sys_enter_" : "syscalls:sys_exit_";
  std::erase_if(*all, [&](const std::string &name) { return name.starts_with(other_end); });
  std::string names;
  for (const std::string &name : similar_tracepoints(point.function, *all, kSimilarMost))
    names += fmt::format("{}tracepoint:{}", names.empty() ? "" : ", ", name);
  if (names.empty()) return;
  error.fix = fmt::format("this kernel offers {}", names);
}

Result<std::vector<ConcreteProbe>> find_probes(const AttachPoint &point, const ExpandOptions &options,
                                               Mechanism mechanism, const Kernel &kernel) {
  switch (point.provider) {
    case Provider::kKprobe:
    case Provider::kKretprobe:
      return expand_functions(point, options, mechanism, kernel);
    case Provider::kFentry:
    case Provider::kFexit:
      if (point.target == "bpf") return expand_bpf_programs(point);
      return expand_functions(point, options, mechanism, kernel);
    case Provider::kTracepoint:
      return expand_tracepoints(point, kernel);
    case Provider::kRawTracepoint:
      return expand_raw_tracepoints(point, kernel);
    case Provider::kIterator:
      return expand_iterators(point);
    case Provider::kUprobe:
    case Provider::kUretprobe:
    case Provider::kUsdt:
      return expand_user(point, options);
    default:
      return std::vector<ConcreteProbe>{probe_of(point)};
  }
}

}  // namespace

std::string_view mechanism_name(Mechanism mechanism) {
  return kMechanisms[static_cast<size_t>(mechanism)];
}

bool has_registers(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kKprobe:
    case Mechanism::kKprobeMulti:
    case Mechanism::kUprobe:
    case Mechanism::kUprobeMulti:
    case Mechanism::kUsdt:
    case Mechanism::kPerfEvent:
    case Mechanism::kWatchpoint:
      return true;
    default:
      return false;
  }
}

ConcreteProbe probe_of(AttachPoint point) {
  ConcreteProbe probe;
  probe.name = point.text();
  probe.point = std::move(point);
  return probe;
}

tl::unexpected<Error> no_such_probe(const AttachPoint &point, std::string_view why, std::string_view near) {
  std::string what = point.has_wildcard() ? fmt::format("No matches for {}", point.text())
                                          : fmt::format("Unable to attach probe: {}", point.text());
  return fail(ErrorCode::kNotFound, std::move(what), std::string(why),
              near.empty()
                  ? fmt::format("-l '{}:*WORD*'      finds names that have WORD in them", provider_name(point.provider))
                  : fmt::format("did you mean '{}'?", near));
}

std::string near_name(std::string_view word, const std::vector<std::string> &names) {
  size_t most = word.size() / 3 + 1;
  std::vector<std::string_view> candidates;
  for (const std::string &name : names)
    if (name.size() + most >= word.size() && name.size() <= word.size() + most) candidates.push_back(name);
  return std::string(nearest(word, candidates));
}

Result<Choice> choose_mechanism(const AttachPoint &point, const Hooks &hooks) {
  switch (point.provider) {
    case Provider::kKprobe:
    case Provider::kKretprobe:
      return choose_for_kprobe(point, hooks);
    case Provider::kFentry:
    case Provider::kFexit:
      return choose_for_fentry(point, hooks);
    case Provider::kRawTracepoint:
      return choose_for_raw_tracepoint(point, hooks);
    default:
      return Choice{};
  }
}

Result<Choice> choose_mechanism(const AttachPoint &point, const Kernel &kernel) {
  switch (point.provider) {
    case Provider::kBegin:
    case Provider::kEnd:
    case Provider::kSelf:
    case Provider::kBench:
    case Provider::kTest:
      return Choice{};
    case Provider::kKprobe:
    case Provider::kKretprobe:
    case Provider::kFentry:
    case Provider::kFexit:
    case Provider::kRawTracepoint:
      return choose_mechanism(point, hooks_for(point, kernel));
    case Provider::kTracepoint:
      return choose_needing(point, Mechanism::kTracepoint, FeatureId::kTracefs, kernel);
    case Provider::kUprobe:
    case Provider::kUretprobe:
    case Provider::kUsdt:
      return choose_for_user(point, kernel);
    case Provider::kProfile:
    case Provider::kInterval:
    case Provider::kSoftware:
      return choose_needing(point, Mechanism::kPerfEvent, FeatureId::kCpuClock, kernel);
    case Provider::kHardware:
      return choose_needing(point, Mechanism::kPerfEvent, FeatureId::kCpuCycles, kernel,
                            "software:cpu-clock and profile:hz:99 sample by a timer");
    case Provider::kWatchpoint:
    case Provider::kAsyncWatchpoint:
      return Choice{Mechanism::kWatchpoint, {}};
    case Provider::kIterator:
      return choose_needing(point, Mechanism::kIterator, FeatureId::kIterators, kernel);
  }
  CHECK(false);
}

std::vector<std::string> similar_tracepoints(std::string_view function, const std::vector<std::string> &tracepoints,
                                             size_t most) {
  std::vector<std::string_view> wanted = words_of(function);
  struct Candidate {
    size_t score, words;
    std::string_view name;
  };
  std::vector<Candidate> candidates;
  for (std::string_view tracepoint : tracepoints) {
    std::string_view name = tracepoint.substr(tracepoint.find(':') + 1);
    std::vector<std::string_view> words = words_of(name);
    size_t score = name == function ? 1000 : 0;
    for (size_t i = 0; i < wanted.size(); i++) {
      if (std::find(words.begin(), words.end(), wanted[i]) == words.end()) continue;
      // What the function does is said last; where it belongs, first.
      score += wanted[i].size() * (i + 1);
    }
    // A word of two or three letters alone is chance.
    if (score > 3) candidates.push_back({score, words.size(), tracepoint});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) {
    return std::tuple(-static_cast<long>(a.score), a.words, a.name) <
           std::tuple(-static_cast<long>(b.score), b.words, b.name);
  });
  std::vector<std::string> names;
  for (const Candidate &each : candidates)
    if (names.size() < most) names.emplace_back(each.name);
  return names;
}

Result<std::vector<ConcreteProbe>> expand(const AttachPoint &point, const ExpandOptions &options,
                                          const Kernel &kernel) {
  Choice choice;
  if (!options.listing || is_function_probe(point.provider)) {
    Result<Choice> chosen = choose_mechanism(point, kernel);
    if (!chosen) {
      Error error = std::move(chosen).error();
      if (is_function_probe(point.provider)) add_similar_tracepoints(error, point, kernel);
      return tl::unexpected(std::move(error));
    }
    choice = std::move(*chosen);
  }
  std::vector<ConcreteProbe> probes = TRY(find_probes(point, options, choice.mechanism, kernel));
  CHECK(!probes.empty());
  if (!options.listing && probes.size() > options.probes_most)
    return fail(ErrorCode::kExhausted,
                fmt::format("Can't attach to {} probes because it exceeds the current limit of {} probes.",
                            probes.size(), options.probes_most),
                fmt::format("{} means that many here", point.text()),
                "You can increase the limit through the BPFTRACE_MAX_PROBES environment variable, but BE CAREFUL since "
                "a high number of probes attached can cause your system to crash.");
  for (ConcreteProbe &probe : probes) {
    probe.mechanism = choice.mechanism;
    probe.instead = choice.instead;
  }
  return probes;
}

}  // namespace waggle::script
