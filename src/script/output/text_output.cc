// The text form of what a script says.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "script/output/output.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

// The source line and tildes under the place.
void append_excerpt(std::string &out, const Place &place) {
  if (place.source.empty() || place.column == 0) return;
  size_t begin = place.column - 1;
  if (begin > place.source.size()) return;
  bool is_one_line = place.end_line <= place.line && place.end_column > place.column;
  size_t end = is_one_line ? place.end_column - 1 : place.source.size();
  std::string blanks;
  // A tab in the line is one under it too, so that the tildes stand where they belong.
  for (char c : place.source.substr(0, begin)) blanks += c == '\t' ? '\t' : ' ';
  end = std::max(std::min(end, place.source.size()), begin + 1);
  fmt::format_to(std::back_inserter(out), "{}\n{}{}\n", place.source, blanks, std::string(end - begin, '~'));
}

// `more` is a line that follows the text.
std::string message_at(const Place &place, std::string_view level, std::string_view text, std::string_view more = {}) {
  std::string where = place.text();
  std::string message = fmt::format("{}{}{}: {}", where, where.empty() ? "" : ": ", level, text);
  if (!message.ends_with('\n')) message += '\n';
  message += more;
  append_excerpt(message, place);
  return message;
}

class TextOutput : public Output {
 public:
  using Output::Output;

  void printf(std::string_view text) override { out(text); }
  void errorf(const Place &place, std::string_view text) override { error(message_at(place, "ERROR", text)); }
  void warnf(const Place &place, std::string_view text) override { error(message_at(place, "WARNING", text)); }

  void value(const Type &type, std::span<const std::byte> bytes, Resolver &resolver) override {
    std::string text;
    append_text(text, type, bytes, resolver);
    out(text + "\n");
  }

  void map(const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits, Resolver &resolver) override {
    std::string text;
    append_map_text(text, shape, std::move(entries), limits, resolver);
    out(text);
  }

  void time(std::string_view text) override { out(text); }

  void join(std::span<const std::string_view> words, std::string_view delimiter) override {
    out(fmt::format("{}\n", fmt::join(words, delimiter)));
  }

  void cat(std::string_view text) override { out(text); }
  void system(std::string_view text) override { out(text); }

  void attached_probes(uint64_t probes) override {
    error(fmt::format("Attached {} probe{}\n", probes, probes == 1 ? "" : "s"));
  }

  void benchmarks(std::span<const Benchmark> results) override {
    constexpr std::string_view kName = "BENCHMARK", kTime = "NANOSECONDS";
    size_t name = kName.size(), time = kTime.size();
    for (const Benchmark &each : results) {
      name = std::max(name, each.name.size());
      time = std::max(time, std::to_string(each.nanoseconds).size());
    }
    std::string rule = fmt::format("+{}+{}+\n", std::string(name + 2, '-'), std::string(time + 2, '-'));
    std::string text = fmt::format("{0}| {1:<{2}} | {3:<{4}} |\n{0}", rule, kName, name, kTime, time);
    for (const Benchmark &each : results)
      fmt::format_to(std::back_inserter(text), "| {:<{}} | {:>{}} |\n", each.name, name, each.nanoseconds, time);
    out(text + rule);
  }

  void lost_events(uint64_t events) override { out(fmt::format("Lost {} events\n", events)); }

  void runtime_error(const RuntimeError &failed) override {
    std::string info;
    if (!failed.helper.empty())
      info = fmt::format("Additional Info - helper: {}, retcode: {}\n", failed.helper, failed.code);
    error(message_at(failed.place, "WARNING", failed.message, info));
  }

  void end() override { out("\n\n"); }
};

}  // namespace

std::string Place::text() const {
  if (file.empty()) return {};
  if (line == 0) return file;
  if (end_line > line) return fmt::format("{}:{}-{}", file, line, end_line);
  if (end_column > column) return fmt::format("{}:{}:{}-{}", file, line, column, end_column);
  return fmt::format("{}:{}:{}", file, line, column);
}

std::unique_ptr<Output> make_text_output(Streams streams) {
  return std::make_unique<TextOutput>(std::move(streams));
}

}  // namespace waggle::script
