// From what is written before a body to the probes it is run at, and what they hand to it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "script/check/checker.h"

namespace waggle::script {
namespace {

bool is_wanted(const CheckOptions &options, Provider provider) {
  if (options.is_test) return provider == Provider::kTest;
  if (options.is_bench) return provider == Provider::kBench;
  return provider != Provider::kTest && provider != Provider::kBench;
}

// A pattern that is no regular expression matches nothing.
bool matches(const std::string &name, const std::string &pattern) {
  try {
    return std::regex_search(name, std::regex(pattern));
  } catch (const std::regex_error &) {
    return false;
  }
}

}  // namespace

// "uprobe:$1:main" with the script's parameters in it.
std::string Checker::with_parameters(const AttachText &point) {
  std::string made;
  for (size_t i = 0; i < point.text.size(); i++) {
    size_t digits = i + 1;
    while (point.text[i] == '$' && digits < point.text.size() &&
           std::isdigit(static_cast<unsigned char>(point.text[digits])) != 0)
      digits++;
    if (digits == i + 1) {
      made += point.text[i];
      continue;
    }
    std::string text(point.text.substr(i + 1, digits - i - 1));
    size_t number = text.size() > 6 ? 0 : std::stoul(text);
    if (number == 0)
      diagnostics_.error(point.at, fmt::format("invalid parameter ${}", text));
    else if (number <= options_.positional.size())
      made += options_.positional[number - 1];
    i = digits - 1;
  }
  return made;
}

void Checker::no_probe(const AttachText &point, const AttachPoint &parsed, const Error &error) {
  using Missing = Config::MissingProbes;
  std::string name = parsed.text();
  bool is_ours = error.code == ErrorCode::kNotFound || error.code == ErrorCode::kUnsupported;
  Missing how = is_ours ? script_.config.missing_probes : Missing::kError;
  if (how == Missing::kIgnore) return;
  std::string message = fmt::format("Unable to attach probe: {}.", name);
  if (how == Missing::kError && is_ours)
    message += " If this is expected, set the 'missing_probes' config variable to 'warn'.";
  if (how == Missing::kWarn) message += " Skipping.";
  if (error.code == ErrorCode::kExhausted) message = error.what;
  Diagnostic &made = how == Missing::kError ? diagnostics_.error(point.at, std::move(message))
                                            : diagnostics_.warning(point.at, std::move(message));
  if (!made.hints.empty()) return;
  if (error.code != ErrorCode::kExhausted) made.hints.push_back(error.what);
  if (!error.why.empty()) made.hints.push_back(error.why);
  if (!error.fix.empty()) made.hints.push_back(error.fix);
}

void Checker::make_units() {
  ExpandOptions expanding;
  expanding.pid = options_.pid != 0 ? options_.pid : options_.child;
  expanding.probes_most = script_.config.max_probes;
  expanding.traceable_functions = options_.traceable_functions;
  AttachPointOptions parsing;
  parsing.has_process = expanding.pid != 0;
  size_t total = 0;
  for (const Probe *probe : tree_.probes) {
    std::vector<ConcreteProbe> all;
    for (const AttachText &point : probe->points) {
      std::string text = with_parameters(point);
      auto parsed = parse_attach_points(text, parsing);
      if (!parsed) {
        Location at = point.at;
        if (text == point.text && parsed.error().end <= text.size()) {
          at.begin = point.at.begin + static_cast<uint32_t>(parsed.error().begin);
          at.end = point.at.begin + static_cast<uint32_t>(parsed.error().end);
        }
        Diagnostic &made = diagnostics_.error(at, parsed.error().message);
        if (!parsed.error().hint.empty() && made.hints.empty()) made.hints.push_back(parsed.error().hint);
        continue;
      }
      bool found = false;
      for (const AttachPoint &each : *parsed) {
        if (!is_wanted(options_, each.provider)) {
          found = true;
          continue;
        }
        Result<std::vector<ConcreteProbe>> probes = expand(each, expanding, kernel_);
        if (probes) {
          found = true;
          std::move(probes->begin(), probes->end(), std::back_inserter(all));
        } else if (parsed->size() == 1) {
          no_probe(point, each, probes.error());
          found = true;
        }
      }
      if (!found)
        no_probe(point, parsed->front(), {ErrorCode::kNotFound, fmt::format("no probe matches {}", text), {}, {}});
    }
    if (!options_.probe_filter.empty())
      std::erase_if(all, [&](const ConcreteProbe &each) { return !matches(each.name, options_.probe_filter); });
    total += all.size();
    add_units(*probe, std::move(all));
  }
  for (const Unit &unit : units_)
    if (unit.provider() == Provider::kIterator && (units_.size() > 1 || unit.probes.size() > 1))
      diagnostics_.error(unit.probe->at, "Only single iter attach point is allowed.");
  if (total > script_.config.max_probes)
    diagnostics_.error(tree_.probes.empty() ? Location{} : tree_.probes.front()->at,
                       fmt::format("Can't attach to {} probes because it exceeds the current limit of {} probes.\n\n"
                                   "You can increase the limit through the BPFTRACE_MAX_PROBES environment variable, "
                                   "but BE CAREFUL since a high number of probes attached can cause your system to "
                                   "crash.",
                                   total, script_.config.max_probes));
}

// One for each way of attaching: contexts differ.
void Checker::add_units(const Probe &probe, std::vector<ConcreteProbe> probes) {
  auto key = [](const ConcreteProbe &each) { return std::pair(each.point.provider, each.mechanism); };
  for (ConcreteProbe &each : probes) {
    Unit *found = nullptr;
    for (Unit &unit : units_)
      if (unit.probe == &probe && key(unit.first()) == key(each)) found = &unit;
    if (found == nullptr) {
      found = &units_.emplace_back();
      found->id = units_made_++;
      found->probe = &probe;
    }
    found->probes.push_back(std::move(each));
  }
}

// What `args` is here. Null: nothing, or it cannot be known.
const Arguments *Checker::arguments() {
  is_specific_ = true;
  Unit &unit = *unit_;
  if (!unit.arguments) {
    const AttachPoint &point = unit.first().point;
    switch (point.provider) {
      case Provider::kTracepoint: {
        const Result<Tracefs> &tracefs = kernel_.tracefs();
        if (!tracefs)
          unit.arguments = tl::unexpected(tracefs.error());
        else
          unit.arguments = tracepoint_arguments(*tracefs, point.target, point.function, types_);
        break;
      }
      case Provider::kFentry:
      case Provider::kFexit:
        unit.arguments = function_arguments(point.function, point.target, types_);
        break;
      case Provider::kRawTracepoint:
        unit.arguments = raw_tracepoint_arguments(point.function, point.target, types_);
        break;
      case Provider::kIterator:
        unit.arguments = iterator_arguments(point.function, types_);
        break;
      case Provider::kUprobe:
        unit.arguments = program()->arguments(unit.first().place);
        break;
      default:
        unit.arguments = fail(ErrorCode::kUnsupported, "no arguments are known here");
        break;
    }
  }
  return *unit.arguments ? &**unit.arguments : nullptr;
}

ProgramTypes *Checker::program() {
  Provider provider = unit_->provider();
  if (provider != Provider::kUprobe && provider != Provider::kUretprobe) return nullptr;
  const UserProbe &place = unit_->first().place;
  int32_t pid = options_.pid != 0 ? options_.pid : options_.child;
  return &programs_.try_emplace(place.path, place.path, place.shown_path, pid).first->second;
}

// What pointers of no known space point at.
AddressSpace Checker::default_space() const {
  return is_user_probe(unit_->provider()) ? AddressSpace::kUser : AddressSpace::kKernel;
}

}  // namespace waggle::script
