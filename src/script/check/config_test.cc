#include "script/check/config.h"

#include <gtest/gtest.h>

#include "script/syntax/parser.h"

namespace waggle::script {
namespace {

using Environment = std::map<std::string, std::string, std::less<>>;

Config config_of(const std::string &text, const Environment &environment, std::string &spoken) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add("stdin", text), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  Config config = read_config(tree, environment, diagnostics);
  spoken = diagnostics.text(sources);
  return config;
}

TEST(Config, ReadsTheScriptOverTheEnvironment) {
  std::string spoken;
  Config config = config_of(
      "config = { max_strlen = 32; stack_mode = perf; print_maps_on_exit = 0; license = \"BSD\"; "
      "missing_probes = warn } begin { }",
      {{"MAX_STRLEN", "100"}, {"MAX_MAP_KEYS", "7"}, {"STR_TRUNC_TRAILER", "…"}, {"COLOR", "1"}}, spoken);
  EXPECT_EQ(spoken, "");
  EXPECT_EQ(config.max_strlen, 32u);
  EXPECT_EQ(config.max_map_keys, 7u);
  EXPECT_EQ(config.stack_mode, StackMode::kPerf);
  EXPECT_FALSE(config.print_maps_on_exit);
  EXPECT_EQ(config.license, "BSD");
  EXPECT_EQ(config.str_trunc_trailer, "…");
  EXPECT_EQ(config.missing_probes, Config::MissingProbes::kWarn);
}

TEST(Config, KnowsTheNamesOfOlderScripts) {
  std::string spoken;
  Config config = config_of("begin { }", {{"STRLEN", "9"}, {"MAP_KEYS_MAX", "3"}, {"NO_CPP_DEMANGLE", "1"}}, spoken);
  EXPECT_EQ(config.max_strlen, 9u);
  EXPECT_EQ(config.max_map_keys, 3u);
  EXPECT_FALSE(config.cpp_demangle);
}

TEST(Config, TellsWhatIsWrong) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"config = { max_strlne = 3 } begin { }", "ERROR: Unrecognized config variable: max_strlne"},
      {"config = { max_strlne = 3 } begin { }", "HINT: did you mean 'max_strlen'?"},
      {"config = { max_strlen = perf } begin { }",
       "ERROR: Invalid type for max_strlen. Type: string. Expected Type: int"},
      {"config = { max_strlen = 0 } begin { }", "ERROR: max_strlen 0 exceeds"},
      {"config = { stack_mode = nope } begin { }", "ERROR: Invalid value for stack_mode"},
      {"config = { missing_probes = nope } begin { }", "ERROR: Invalid value for missing_probes"},
      {"config = { print_maps_on_exit = 2 } begin { }", "ERROR: Invalid value for print_maps_on_exit"},
      {"config = { symbol_source = dwarf } begin { }", "WARNING: symbol_source is deprecated and has no effect"},
  };
  for (const auto &[text, expected] : cases) {
    std::string spoken;
    config_of(text, {}, spoken);
    EXPECT_NE(spoken.find(expected), std::string::npos) << text << "\n" << spoken;
  }
}

}  // namespace
}  // namespace waggle::script
