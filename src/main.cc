// waggle: eBPF observability in one program. The verbs are in src/cli/.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <system_error>

#include "cli/leave.h"
#include "cli/script_command.h"
#include "cli/tools.h"
#include "cli/verb.h"

namespace waggle {
namespace {

std::string_view file_name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

int parse_and_run(CLI::App &app, std::vector<std::string> words, const std::function<int()> &chosen) {
  std::string first = words.front();
  // CLI11 takes them from the end.
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp &) {
    std::vector<CLI::App *> verb = app.get_subcommands();
    fputs((verb.empty() ? app.help() : verb.front()->help("waggle")).c_str(), stdout);
    return leave(kDone);
  } catch (const CLI::ParseError &error) {
    return report_misuse(error, app, first);
  }
  try {
    return leave(chosen());
  } catch (const std::system_error &error) {
    // fmt throws where stdout takes no more.
    return say_unwritten(error.code().value());
  }
}

int run_tool(const Tool &tool, CLI::App &app, std::span<const std::string> words, const std::function<int()> &chosen) {
  for (const std::string &word : words) {
    if (word != "-h" && word != "--help" && word != "-?") continue;
    fputs(help_of(tool).c_str(), stdout);
    return leave(kDone);
  }
  Result<std::vector<std::string>> expanded = expand_tool(tool, words, app);
  if (!expanded) return report(expanded.error());
  return parse_and_run(app, std::move(*expanded), chosen);
}

int run(int argc, char **argv) {
  // A link named bpftrace is that program, with its own command line.
  if (file_name_of(argc > 0 ? argv[0] : "") == "bpftrace") {
    std::vector<std::string> its_words(argv + 1, argv + argc);
    return leave(run_as_bpftrace(its_words));
  }
  std::function<int()> chosen;
  CLI::App app;
  build_command_line(app, chosen);
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  // A link named execsnoop is `waggle execsnoop`.
  if (const Tool *tool = find_tool(file_name_of(argc > 0 ? argv[0] : ""))) return run_tool(*tool, app, words, chosen);
  // Without a word there is nothing to guess: the help says what there is.
  if (words.empty()) {
    fputs(app.help().c_str(), stderr);
    return kMisused;
  }
  if (const Tool *tool = find_tool(words.front())) return run_tool(*tool, app, std::span(words).subspan(1), chosen);
  return parse_and_run(app, std::move(words), chosen);
}

}  // namespace
}  // namespace waggle

int main(int argc, char **argv) {
  // We throw nothing; libraries do, memory that is not there above all.
  try {
    return waggle::run(argc, argv);
  } catch (const std::exception &error) {
    fprintf(stderr, "error: waggle cannot go on\n  why: %s\n", error.what());
    return waggle::kFailed;
  }
}
