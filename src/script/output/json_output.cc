// The JSON form of what a script says: an object a line. Bytes that are not UTF-8 are
// written as append_json_string() says, so that every line parses.
#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/text.h"
#include "script/output/output.h"
#include "script/output/value.h"

namespace waggle::script {
namespace {

void append_place(std::string &line, const Place &place) {
  if (place.file.empty()) return;
  line += ", \"filename\": ";
  append_json_string(line, place.file);
  fmt::format_to(std::back_inserter(line), ", \"line\": {}, \"col\": {}", place.line, place.column);
}

class JsonOutput : public Output {
 public:
  using Output::Output;

  void printf(std::string_view text) override { text_line("printf", text); }
  void errorf(const Place &place, std::string_view text) override { text_line("errorf", text, &place); }
  void warnf(const Place &place, std::string_view text) override { text_line("warnf", text, &place); }

  void value(const Type &type, std::span<const std::byte> bytes, Resolver &resolver) override {
    std::string line = "{\"type\": \"value\", \"data\": ";
    append_json(line, type, bytes, resolver);
    out(line + "}\n");
  }

  void map(const MapShape &shape, std::vector<MapEntry> entries, MapLimits limits, Resolver &resolver) override {
    std::string line;
    append_map_json(line, shape, std::move(entries), limits, resolver);
    out(line);
  }

  void time(std::string_view text) override { text_line("time", text); }

  void join(std::span<const std::string_view> words, std::string_view delimiter) override {
    text_line("join", fmt::format("{}", fmt::join(words, delimiter)));
  }

  void cat(std::string_view text) override { text_line("cat", text); }
  void system(std::string_view text) override { text_line("syscall", text); }
  void attached_probes(uint64_t probes) override { number_line("attached_probes", "probes", probes); }

  void benchmarks(std::span<const Benchmark> results) override {
    std::string line = "{\"type\": \"benchmark_results\", \"data\": {";
    for (const Benchmark &each : results) {
      if (&each != results.data()) line += ", ";
      append_json_string(line, each.name);
      fmt::format_to(std::back_inserter(line), ": {}", each.nanoseconds);
    }
    out(line + "}}\n");
  }

  void lost_events(uint64_t events) override { number_line("lost_events", "events", events); }

  void runtime_error(const RuntimeError &failed) override {
    bool is_helper = !failed.helper.empty();
    std::string line = fmt::format("{{\"type\": \"{}\", \"msg\": ", is_helper ? "helper_error" : "runtime_error");
    append_json_string(line, failed.message);
    if (is_helper) {
      line += ", \"helper\": ";
      append_json_string(line, failed.helper);
      fmt::format_to(std::back_inserter(line), ", \"retcode\": {}", failed.code);
    }
    append_place(line, failed.place);
    out(line + "}\n");
  }

  void end() override {}

 private:
  void text_line(std::string_view type, std::string_view text, const Place *place = nullptr) {
    std::string line = fmt::format("{{\"type\": \"{}\", \"data\": ", type);
    append_json_string(line, text);
    if (place) append_place(line, *place);
    out(line + "}\n");
  }

  void number_line(std::string_view type, std::string_view name, uint64_t number) {
    out(fmt::format("{{\"type\": \"{}\", \"data\": {{\"{}\": {}}}}}\n", type, name, number));
  }
};

}  // namespace

std::unique_ptr<Output> make_json_output(Streams streams) {
  return std::make_unique<JsonOutput>(std::move(streams));
}

}  // namespace waggle::script
