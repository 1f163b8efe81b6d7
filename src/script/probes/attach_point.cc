#include "script/probes/attach_point.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "script/probes/attach_point_parts.h"

namespace waggle::script {
namespace {

constexpr uint64_t kRateFewestNs = 1000;

struct Part {
  std::string text;
  size_t begin = 0, end = 0;
};

using Parsed = tl::expected<AttachPoint, AttachPointError>;
using Failure = tl::unexpected<AttachPointError>;

tl::expected<std::vector<Part>, AttachPointError> split_parts(std::string_view text) {
  std::vector<Part> parts(1);
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == ':') {
      parts.back().end = i;
      parts.push_back({{}, i + 1, i + 1});
    } else if (c == '"') {
      size_t open = i++;
      for (; i < text.size() && text[i] != '"'; i++) {
        if (text[i] == '\\' && i + 1 < text.size()) i++;
        parts.back().text += text[i];
      }
      if (i >= text.size())
        return Failure(
            AttachPointError{"unterminated string in attach point", "close it with '\"'", open, text.size()});
    } else {
      parts.back().text += c;
    }
  }
  parts.back().end = text.size();
  return parts;
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<Part> parts, Provider provider, const AttachPointOptions &options)
      : text_(text), parts_(std::move(parts)), options_(options) {
    point_.provider = provider;
  }

  Parsed parse() {
    switch (point_.provider) {
      case Provider::kBegin:
      case Provider::kEnd:
        return parse_alone();
      case Provider::kSelf:
        return parse_self();
      case Provider::kBench:
      case Provider::kTest:
        return parse_named();
      case Provider::kKprobe:
      case Provider::kKretprobe:
        return parse_kprobe();
      case Provider::kFentry:
      case Provider::kFexit:
        return parse_fentry();
      case Provider::kTracepoint:
        return parse_tracepoint();
      case Provider::kRawTracepoint:
        return parse_raw_tracepoint();
      case Provider::kUprobe:
      case Provider::kUretprobe:
        return parse_uprobe();
      case Provider::kUsdt:
        return parse_usdt();
      case Provider::kProfile:
      case Provider::kInterval:
        return parse_rate();
      case Provider::kSoftware:
      case Provider::kHardware:
        return parse_counted();
      case Provider::kWatchpoint:
      case Provider::kAsyncWatchpoint:
        return parse_watchpoint();
      case Provider::kIterator:
        return parse_iterator();
    }
    CHECK(false);
  }

 private:
  std::string_view name() const { return provider_name(point_.provider); }
  size_t arguments() const { return parts_.size() - 1; }
  const Part &last() const { return parts_.back(); }

  Failure wrong(const Part &part, std::string message, std::string hint = {}) const {
    // An empty part is marked by the colon before it.
    size_t begin = part.begin == part.end && part.begin > 0 ? part.begin - 1 : part.begin;
    return Failure(AttachPointError{std::move(message), std::move(hint), begin, std::max(part.end, begin + 1)});
  }
  Failure wrong_whole(std::string message, std::string hint = {}) const {
    return Failure(AttachPointError{std::move(message), std::move(hint), 0, text_.size()});
  }
  Failure wrong_count(std::string_view wanted) const {
    return wrong_whole(fmt::format("{} probe type requires {}, found {}", name(), wanted, arguments()), example());
  }

  std::string example() const {
    switch (point_.provider) {
      case Provider::kKprobe:
      case Provider::kKretprobe:
      case Provider::kFentry:
      case Provider::kFexit:
        return fmt::format("write it as {}:vfs_read", name());
      case Provider::kTracepoint:
        return "write it as tracepoint:sched:sched_switch";
      case Provider::kUprobe:
      case Provider::kUretprobe:
        return fmt::format("write it as {}:/bin/bash:readline", name());
      case Provider::kProfile:
        return "write it as profile:hz:99";
      case Provider::kInterval:
        return "write it as interval:1s";
      case Provider::kWatchpoint:
      case Provider::kAsyncWatchpoint:
        return fmt::format("write it as {}:0x10000000:8:rw", name());
      default:
        return {};
    }
  }

  Parsed done() { return std::move(point_); }

  Parsed parse_alone() {
    if (options_.listing && arguments() == 1 && has_wildcard(last().text)) return done();
    if (arguments() != 0) return wrong_count("0 arguments");
    return done();
  }

  Parsed parse_self() {
    if (options_.listing && arguments() < 2) {
      point_.target = "signal";
      point_.function = "*";
      return done();
    }
    if (arguments() != 2) return wrong_count("2 arguments");
    point_.target = parts_[1].text;
    point_.function = parts_[2].text;
    if (point_.target != "signal") return wrong(parts_[1], fmt::format("{} is not a supported trigger", point_.target));
    if (point_.function != "SIGUSR1" && !options_.listing)
      return wrong(parts_[2], fmt::format("{} is not a supported signal", point_.function), "the signal is SIGUSR1");
    return done();
  }

  Parsed parse_named() {
    if (options_.listing && arguments() == 0) {
      point_.function = "*";
      return done();
    }
    if (arguments() != 1) return wrong_count("1 argument");
    point_.function = last().text;
    if (point_.function.empty()) return wrong(last(), fmt::format("{} probes must have a name", name()));
    return done();
  }

  // "vfs_read+16", of the last part.
  std::optional<AttachPointError> take_function(bool offset_allowed) {
    const std::string &text = last().text;
    size_t plus = text.find('+');
    // C++ has operator+ and operator++.
    if (point_.language == "cpp" && text.find("operator+") != std::string::npos) plus = std::string::npos;
    point_.function = text.substr(0, plus);
    if (plus == std::string::npos) return std::nullopt;
    if (!offset_allowed) return wrong(last(), "Offset not allowed").value();
    if (text.find('+', plus + 1) != std::string::npos) return wrong(last(), "Cannot take more than one offset").value();
    std::string_view digits = std::string_view(text).substr(plus + 1);
    std::optional<uint64_t> offset = parse_attach_number(digits);
    if (!offset || point_.function.empty())
      return wrong(last(), fmt::format("Invalid offset: '{}' is not a number", digits)).value();
    point_.offset = *offset;
    return std::nullopt;
  }

  Parsed parse_kprobe() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    if (arguments() != 1 && arguments() != 2) return wrong_count("1 or 2 arguments");
    if (arguments() == 2) point_.target = parts_[1].text;
    if (auto error = take_function(point_.provider == Provider::kKprobe)) return Failure(std::move(*error));
    if (point_.function.empty()) return wrong(last(), "kprobes should be attached to a function", example());
    if (point_.offset != 0 && has_wildcard(point_.function))
      return wrong(last(), "Cannot use wildcards with an offset", "name one function");
    return done();
  }

  Parsed parse_fentry() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    bool of_bpf = arguments() > 1 && parts_[1].text == "bpf";
    if (arguments() < 1 || arguments() > (of_bpf ? 3u : 2u)) return wrong_count("1 or 2 arguments");
    if (arguments() > 1) point_.target = parts_[1].text;
    if (arguments() == 3) {
      std::optional<uint64_t> id = parse_attach_number(parts_[2].text);
      if (!id || *id == 0 || *id > UINT32_MAX)
        return wrong(parts_[2], fmt::format("Invalid BPF program id: '{}'", parts_[2].text),
                     "bpftool prog list      shows the ids");
      point_.program_id = static_cast<uint32_t>(*id);
    }
    if (auto error = take_function(false)) return Failure(std::move(*error));
    if (point_.function.empty()) return wrong(last(), fmt::format("{} should specify a function", name()), example());
    return done();
  }

  Parsed parse_tracepoint() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    // Who writes one pattern looks for an event, whatever its category.
    if (arguments() == 1 && has_wildcard(last().text)) parts_.insert(parts_.begin() + 1, Part{"*", 0, 0});
    if (arguments() != 2) return wrong_count("2 arguments");
    point_.target = parts_[1].text;
    point_.function = parts_[2].text;
    if (point_.target.empty()) return wrong(parts_[1], "tracepoint probe must have a target", example());
    if (point_.function.empty()) return wrong(parts_[2], "tracepoint probe must have an event", example());
    return done();
  }

  Parsed parse_raw_tracepoint() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    if (arguments() != 1 && arguments() != 2) return wrong_count("1 or 2 arguments");
    if (arguments() == 2) point_.target = parts_[1].text;
    point_.function = last().text;
    if (point_.function.empty())
      return wrong(last(), "rawtracepoint should be attached to a tracepoint",
                   "write it as rawtracepoint:sched_switch");
    return done();
  }

  // C++ names may have colons of their own: what follows "cpp:" is one part.
  void join_name_of_cpp() {
    size_t most = options_.has_process ? 1 : 2;
    for (size_t i = most; i <= 2 && i + 1 < parts_.size(); i++) {
      if (parts_[i].text != "cpp" || parts_[i + 1].begin >= text_.size()) continue;
      Part name{{}, parts_[i + 1].begin, parts_.back().end};
      for (size_t j = i + 1; j < parts_.size(); j++) name.text += (j > i + 1 ? ":" : "") + parts_[j].text;
      parts_.resize(i + 1);
      parts_.push_back(std::move(name));
      return;
    }
  }

  Parsed parse_uprobe() {
    join_name_of_cpp();
    if (options_.listing && options_.has_process && arguments() == 0)
      parts_.push_back({"*", text_.size(), text_.size()});
    if (options_.has_process && (arguments() == 1 || (arguments() == 2 && parts_[1].text == "cpp")))
      parts_.insert(parts_.begin() + 1, Part{});
    if (arguments() != 2 && arguments() != 3) return wrong_count("2 or 3 arguments");
    point_.target = parts_[1].text;
    if (arguments() == 3) point_.language = parts_[2].text;
    if (!point_.language.empty() && point_.language != "cpp")
      return wrong(parts_[2], fmt::format("Unsupported language: {}", point_.language), "the language is cpp, or none");
    if (point_.target.empty() && !options_.has_process)
      return wrong(parts_[1], fmt::format("{} should have a target", name()), example());
    bool returns = point_.provider == Provider::kUretprobe;
    if (!last().text.empty() && last().text[0] >= '0' && last().text[0] <= '9') {
      std::optional<uint64_t> address = parse_attach_number(last().text);
      if (!address) return wrong(last(), fmt::format("Invalid address: '{}' is not a number", last().text));
      if (has_wildcard(point_.target)) return wrong(parts_[1], "Cannot use wildcards with absolute address");
      if (returns) return wrong(last(), "uretprobes can not be attached to an address", "name the function");
      if (*address == 0) return wrong(last(), "uprobe should be attached to a function and/or address", example());
      point_.address = *address;
      return done();
    }
    if (auto error = take_function(!returns)) {
      if (returns && error->message == "Offset not allowed")
        error->message = "uretprobes can not be attached to a function offset";
      return Failure(std::move(*error));
    }
    if (point_.function.empty())
      return wrong(last(), fmt::format("{} should be attached to a function and/or address", name()), example());
    if (point_.offset != 0 && has_wildcard(point_.function))
      return wrong(last(), "Cannot use wildcards with an offset", "name one function");
    return done();
  }

  Parsed parse_usdt() {
    if (options_.listing && options_.has_process && arguments() == 0)
      parts_.push_back({"*", text_.size(), text_.size()});
    if (options_.has_process && arguments() == 1) parts_.insert(parts_.begin() + 1, Part{});
    if (arguments() != 2 && arguments() != 3) return wrong_count("2 or 3 arguments");
    point_.target = parts_[1].text;
    if (arguments() == 3) point_.usdt_provider = parts_[2].text;
    point_.function = last().text;
    if (point_.target.empty() && !options_.has_process)
      return wrong(parts_[1], "usdt probe must specify at least path or pid to probe", "add -p PID, or name a file");
    if (point_.function.empty()) return wrong(last(), "usdt probe must have a target function or wildcard");
    return done();
  }

  // "5s", "250ms", "99hz"; a bare number counts nanoseconds.
  Parsed parse_duration(const Part &part) {
    size_t letters = part.text.find_first_not_of("0123456789_");
    std::string_view number = std::string_view(part.text).substr(0, letters);
    std::string_view word = letters == std::string::npos ? "ns" : std::string_view(part.text).substr(letters);
    std::optional<uint64_t> count = parse_attach_number(number);
    static constexpr RateUnitRow kMore[] = {{"m", RateUnit::kSeconds, 60}, {"h", RateUnit::kSeconds, 3600}};
    const RateUnitRow *unit = find_rate_unit(word);
    uint64_t factor = 1;
    for (const RateUnitRow &each : kMore)
      if (each.name == word) unit = find_rate_unit("s"), factor = each.ns;
    if (!count)
      return wrong(part, fmt::format("Invalid rate of {} probe: '{}' is not a number", name(), part.text), example());
    if (word == "ns") {
      if (*count < kRateFewestNs)
        return wrong(part,
                     fmt::format("Invalid rate of {} probe. Minimum is {} or 1us. Found: {} nanoseconds", name(),
                                 kRateFewestNs, *count),
                     "give the number a unit: us, ms, s or hz");
      point_.unit = RateUnit::kMicroseconds;
      point_.count = *count / 1000;
      return done();
    }
    if (unit == nullptr) return wrong(part, fmt::format("{} is not an accepted unit of time", word), units_hint());
    point_.unit = unit->unit;
    if (__builtin_mul_overflow(*count, factor, &point_.count)) point_.count = UINT64_MAX;
    return check_rate(part);
  }

  static std::string units_hint() { return "units are hz, us, ms and s"; }

  Parsed check_rate(const Part &part) {
    if (point_.count == 0) return wrong(part, fmt::format("{} frequency should be a positive integer", name()));
    const RateUnitRow *unit = find_rate_unit(rate_unit_name(point_.unit));
    uint64_t ns = 0;
    bool too_much = unit->ns == 0 ? point_.count > 1'000'000'000 : __builtin_mul_overflow(point_.count, unit->ns, &ns);
    if (too_much) return wrong(part, fmt::format("Invalid rate of {} probe: {} is too large", name(), part.text));
    return done();
  }

  Parsed parse_rate() {
    if (options_.listing && arguments() < 2 && (arguments() == 0 || has_wildcard(last().text))) {
      point_.target = arguments() == 0 ? "*" : last().text;
      return done();
    }
    if (arguments() != 1 && arguments() != 2) return wrong_count("1 or 2 arguments");
    const Part &first = parts_[1];
    if (first.text.empty()) return wrong(first, fmt::format("{} probe must have unit of time", name()), units_hint());
    const RateUnitRow *unit = find_rate_unit(first.text);
    if (arguments() == 1 && unit == nullptr) return parse_duration(first);
    if (unit == nullptr)
      return wrong(first, fmt::format("{} is not an accepted unit of time", first.text), units_hint());
    if (arguments() == 1 || last().text.empty() || (options_.listing && has_wildcard(last().text))) {
      point_.target = first.text;
      if (options_.listing) return done();
      return wrong(last(), fmt::format("{} probe must have an integer frequency", name()), example());
    }
    point_.unit = unit->unit;
    std::optional<uint64_t> count = parse_attach_number(last().text);
    if (!count)
      return wrong(last(), fmt::format("Invalid rate of {} probe: '{}' is not a number", name(), last().text),
                   example());
    point_.count = *count;
    return check_rate(last());
  }

  Parsed parse_counted() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    if (arguments() != 1 && arguments() != 2) return wrong_count("1 or 2 arguments");
    const Part &event = parts_[1];
    point_.function = event.text;
    if (event.text.empty()) return wrong(event, fmt::format("{0} probe must have a {0} event name", name()));
    if (!options_.listing || !has_wildcard(event.text)) {
      if (has_wildcard(event.text))
        return wrong(event, fmt::format("wildcards are not allowed for {} probe type", name()));
      if (find_counted_event(point_.provider, event.text) == nullptr)
        return wrong(event, fmt::format("{} is not a {} probe", event.text, name()), near_event(event.text));
    }
    // "software:faults:" is how -l writes it.
    if (arguments() == 1 || last().text.empty() || (options_.listing && has_wildcard(last().text))) return done();
    std::optional<uint64_t> count = parse_attach_number(last().text);
    if (!count)
      return wrong(last(), fmt::format("Invalid count for {} probe: '{}' is not a number", name(), last().text));
    point_.count = *count;
    return done();
  }

  std::string near_event(std::string_view event) const {
    std::vector<std::string_view> names;
    for (const CountedEvent &each : counted_events(point_.provider)) {
      names.push_back(each.name);
      if (!each.alias.empty()) names.push_back(each.alias);
    }
    std::string_view near = nearest(event, names);
    return near.empty() ? fmt::format("-l '{}:*'      lists them", name()) : fmt::format("did you mean '{}'?", near);
  }

  Parsed parse_watchpoint() {
    if (arguments() != 3) return wrong_count("3 arguments");
    std::optional<uint64_t> address = parse_attach_number(parts_[1].text);
    if (!address)
      return wrong(parts_[1], "Invalid function/address argument",
                   "a watchpoint is set at an address, such as 0x10000000");
    std::optional<uint64_t> length = parse_attach_number(parts_[2].text);
    if (!length) return wrong(parts_[2], "Invalid length argument");
    if (*address == 0) return wrong(parts_[1], "watchpoint must be attached to a non-zero address");
    if (*length != 1 && *length != 2 && *length != 4 && *length != 8)
      return wrong(parts_[2], "watchpoint length must be one of (1,2,4,8)");
    std::string mode = parts_[3].text;
    std::sort(mode.begin(), mode.end());
    if (mode.empty() || mode.find_first_not_of("rwx") != std::string::npos)
      return wrong(parts_[3], "watchpoint mode must be combination of (r,w,x)");
    if (std::adjacent_find(mode.begin(), mode.end()) != mode.end())
      return wrong(parts_[3], "watchpoint modes may not be duplicated");
    // What a debug register of x86-64 can do.
    if (mode != "w" && mode != "rw" && mode != "x")
      return wrong(parts_[3], fmt::format("invalid watchpoint mode: {}", mode), "this processor has w, rw and x");
    point_.address = *address;
    point_.length = static_cast<uint32_t>(*length);
    point_.mode = std::move(mode);
    return done();
  }

  Parsed parse_iterator() {
    if (options_.listing && arguments() == 0) parts_.push_back({"*", text_.size(), text_.size()});
    if (arguments() != 1 && arguments() != 2) return wrong_count("1 or 2 arguments");
    point_.function = parts_[1].text;
    if (point_.function.empty()) return wrong(parts_[1], "iter should specify an object", "write it as iter:task");
    if (arguments() == 2) point_.pin = parts_[2].text;
    if (arguments() == 2 && point_.pin.empty()) return wrong(parts_[2], "iter pin must be a path");
    return done();
  }

  std::string_view text_;
  std::vector<Part> parts_;
  AttachPointOptions options_;
  AttachPoint point_;
};

Failure unknown_provider(const Part &part) {
  std::vector<std::string_view> names;
  names.reserve(std::size(kProviderRows));
  for (const ProviderRow &row : kProviderRows) names.push_back(row.name);
  std::string_view near = nearest(lower_case(part.text), names);
  std::string hint = near.empty() ? "probe types are kprobe, fentry, tracepoint, uprobe, usdt, profile, interval, …"
                                  : fmt::format("did you mean '{}'?", near);
  std::string message =
      part.text.empty() ? "Invalid attachpoint definition" : fmt::format("Invalid probe type: {}", part.text);
  return Failure(AttachPointError{std::move(message), std::move(hint), part.begin, std::max(part.end, part.begin + 1)});
}

// Kinds whose names a pattern alone, "*open*", is looked for in.
bool has_names(Provider provider) {
  switch (provider) {
    case Provider::kKprobe:
    case Provider::kFentry:
    case Provider::kTracepoint:
    case Provider::kRawTracepoint:
    case Provider::kUprobe:
    case Provider::kUsdt:
    case Provider::kSoftware:
    case Provider::kHardware:
    case Provider::kIterator:
      return true;
    default:
      return false;
  }
}

}  // namespace

Parsed parse_attach_point(std::string_view text, const AttachPointOptions &options) {
  auto parts = split_parts(text);
  if (!parts) return Failure(std::move(parts).error());
  std::optional<Provider> provider = find_provider((*parts)[0].text);
  if (!provider) return unknown_provider((*parts)[0]);
  return Parser(text, std::move(*parts), *provider, options).parse();
}

tl::expected<std::vector<AttachPoint>, AttachPointError> parse_attach_points(std::string_view text,
                                                                             const AttachPointOptions &options) {
  auto parts = split_parts(text);
  if (!parts) return Failure(std::move(parts).error());
  const Part first = (*parts)[0];
  std::vector<AttachPoint> points;
  if (!has_wildcard(first.text)) {
    Parsed point = parse_attach_point(text, options);
    if (!point) return Failure(std::move(point).error());
    points.push_back(std::move(*point));
    return points;
  }
  bool alone = parts->size() == 1;
  bool any = first.text.find_first_not_of('*') == std::string::npos;
  std::optional<AttachPointError> failure;
  for (const ProviderRow &row : kProviderRows) {
    if (alone ? !has_names(row.provider) : !wildcard_match(lower_case(first.text), row.name)) continue;
    // What has an entry has a return: who asks for everything does not ask twice.
    if (any && is_return_probe(row.provider)) continue;
    std::vector<Part> its_parts = *parts;
    if (alone) its_parts.push_back(first);
    Parsed point = Parser(text, std::move(its_parts), row.provider, options).parse();
    if (point)
      points.push_back(std::move(*point));
    else if (!failure)
      failure = std::move(point).error();
  }
  if (!points.empty()) return points;
  if (failure) return Failure(std::move(*failure));
  return Failure(AttachPointError{fmt::format("No probe type matched for {}", first.text),
                                  "probe types are kprobe, fentry, tracepoint, uprobe, usdt, profile, interval, …",
                                  first.begin, first.end});
}

}  // namespace waggle::script
