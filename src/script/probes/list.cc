#include "script/probes/list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "script/probes/arguments.h"
#include "script/probes/expand.h"
#include "script/probes/program_types.h"

namespace waggle::script {
namespace {

constexpr std::string_view kIndent = "    ";

// Kinds without names of their own: what can be written, in bpftrace's order.
std::vector<std::string> fixed_names(const AttachPoint &point) {
  auto matching = [](const std::string &pattern, std::string_view prefix,
                     std::initializer_list<std::string_view> names) {
    std::vector<std::string> found;
    for (std::string_view name : names)
      if (wildcard_match(pattern, name)) found.push_back(fmt::format("{}:{}:", prefix, name));
    return found;
  };
  switch (point.provider) {
    case Provider::kProfile:
    case Provider::kInterval:
      if (point.unit != RateUnit::kNone) return {point.text()};
      return matching(point.target, provider_name(point.provider), {"hz", "ms", "s", "us"});
    case Provider::kSoftware:
    case Provider::kHardware: {
      std::vector<std::string> found;
      for (const CountedEvent &event : counted_events(point.provider))
        if (wildcard_match(point.function, event.name) || (!event.alias.empty() && point.function == event.alias))
          found.push_back(fmt::format("{}:{}:", provider_name(point.provider), event.name));
      return found;
    }
    case Provider::kSelf:
      return wildcard_match(point.function, "SIGUSR1") ? std::vector<std::string>{"self:signal:SIGUSR1"}
                                                       : std::vector<std::string>();
    default:
      return point.has_wildcard() ? std::vector<std::string>() : std::vector<std::string>{point.text()};
  }
}

bool is_fixed(Provider provider) {
  switch (provider) {
    case Provider::kBegin:
    case Provider::kEnd:
    case Provider::kSelf:
    case Provider::kBench:
    case Provider::kTest:
    case Provider::kProfile:
    case Provider::kInterval:
    case Provider::kSoftware:
    case Provider::kHardware:
    case Provider::kWatchpoint:
    case Provider::kAsyncWatchpoint:
      return true;
    default:
      return false;
  }
}

// What an argument is called in C, as the language has it. None for kinds whose
// arguments nothing describes.
Arguments arguments_of(const ConcreteProbe &probe, BtfTypes &types, const Kernel &kernel, int32_t pid,
                       std::map<std::string, ProgramTypes> &programs) {
  const AttachPoint &point = probe.point;
  Result<Arguments> arguments;
  switch (point.provider) {
    case Provider::kTracepoint:
      if (kernel.tracefs()) arguments = tracepoint_arguments(*kernel.tracefs(), point.target, point.function, types);
      break;
    case Provider::kRawTracepoint:
      arguments = raw_tracepoint_arguments(point.function, point.target, types);
      break;
    case Provider::kFentry:
    case Provider::kFexit:
      if (point.target != "bpf") arguments = function_arguments(point.function, point.target, types);
      if (arguments && point.provider == Provider::kFentry) arguments->returned.reset();
      break;
    case Provider::kIterator:
      arguments = iterator_arguments(point.function, types);
      break;
    case Provider::kUprobe:
      arguments = programs.try_emplace(probe.place.path, probe.place.path, probe.place.shown_path, pid)
                      .first->second.arguments(probe.place);
      break;
    default:
      break;
  }
  return arguments ? std::move(*arguments) : Arguments();
}

void append_arguments(std::string &text, const Arguments &arguments) {
  for (const Argument &each : arguments.parameters)
    if (each.is_listed) text += fmt::format("{}{}\n", kIndent, each.declaration);
  if (arguments.returned) text += fmt::format("{}{}\n", kIndent, arguments.returned->declaration);
}

struct TypeWord {
  std::string_view word;
  BtfKind kinds[2];
};
constexpr TypeWord kTypeWords[] = {
    {"struct", {BtfKind::kStruct, BtfKind::kStruct}},
    {"union", {BtfKind::kUnion, BtfKind::kUnion}},
    {"enum", {BtfKind::kEnum, BtfKind::kEnum64}},
};

const TypeWord *type_word_of(std::string_view pattern) {
  for (const TypeWord &each : kTypeWords)
    if (pattern.starts_with(each.word) && (pattern.size() == each.word.size() || pattern[each.word.size()] == ' '))
      return &each;
  return nullptr;
}

Result<std::string> list_types(const TypeWord &word, std::string_view pattern, bool with_definitions, BtfTypes &types) {
  TRY(types.kernel());
  std::string_view wanted = trim(pattern.substr(word.word.size()));
  if (wanted.empty()) wanted = "*";
  struct Match {
    std::string_view name;
    const Btf *btf;
    BtfId id;
    bool operator<(const Match &other) const { return name < other.name; }
  };
  std::set<Match> matches;  // the kernel's own before those of modules
  if (!has_wildcard(wanted)) {
    for (BtfKind kind : word.kinds)
      if (BtfTypes::Found found = types.find(kind, wanted); found.btf != nullptr)
        matches.insert({found.btf->type(found.id).name, found.btf, found.id});
  } else {
    types.each([&](const Btf &btf, std::string_view) {
      for (BtfId id = btf.first_id(); id < btf.end_id(); id++) {
        BtfKind kind = btf.kind(id);
        if (kind != word.kinds[0] && kind != word.kinds[1]) continue;
        BtfType type = btf.type(id);
        if (!type.name.empty() && wildcard_match(wanted, type.name)) matches.insert({type.name, &btf, id});
      }
    });
  }
  if (matches.empty())
    return fail(ErrorCode::kNotFound, fmt::format("this kernel has no {} {}", word.word, wanted), {},
                fmt::format("-l '{} *WORD*'      finds names that have WORD in them", word.word));
  std::string text;
  for (const Match &match : matches)
    text +=
        with_definitions ? c_definition(*match.btf, match.id) + "\n\n" : fmt::format("{} {}\n", word.word, match.name);
  return text;
}

Error invalid_pattern(std::string_view pattern, const AttachPointError &error) {
  return {ErrorCode::kInvalid, error.message, fmt::format("in '{}'", pattern), error.hint};
}

}  // namespace

Result<std::string> list_probes(std::string_view pattern, const ListOptions &options, BtfTypes &types,
                                const Kernel &kernel) {
  pattern = trim(pattern);
  if (const TypeWord *word = type_word_of(pattern)) return list_types(*word, pattern, options.with_arguments, types);
  if (pattern.empty()) pattern = "*:*";
  AttachPointOptions how{options.pid != 0, /*listing=*/true};
  auto points = parse_attach_points(pattern, how);
  if (!points) return tl::unexpected(invalid_pattern(pattern, points.error()));
  ExpandOptions expand_options;
  expand_options.pid = options.pid;
  expand_options.traceable_functions = options.traceable_functions;
  expand_options.listing = true;
  std::string text;
  std::map<std::string, ProgramTypes> programs;  // by path
  std::optional<Error> failure;
  for (const AttachPoint &point : *points) {
    // A pattern for all kinds does not look into files.
    if (points->size() > 1 && is_user_probe(point.provider) &&
        (options.pid == 0 && point.target.find('/') == std::string::npos))
      continue;
    if (is_fixed(point.provider)) {
      for (const std::string &name : fixed_names(point)) text += name + "\n";
      continue;
    }
    Result<std::vector<ConcreteProbe>> probes = expand(point, expand_options, kernel);
    if (!probes) {
      if (!failure) failure = std::move(probes).error();
      continue;
    }
    const std::string *last = nullptr;
    for (const ConcreteProbe &probe : *probes) {
      // Several places of one name are one to who reads it.
      if (last != nullptr && *last == probe.name) continue;
      last = &probe.name;
      text += probe.name;
      text += '\n';
      if (options.with_arguments) append_arguments(text, arguments_of(probe, types, kernel, options.pid, programs));
    }
  }
  if (!text.empty()) return text;
  if (failure) return tl::unexpected(std::move(*failure));
  return fail(ErrorCode::kNotFound, fmt::format("No matches for {}", pattern), {},
              "-l '*WORD*'      finds names that have WORD in them");
}

}  // namespace waggle::script
