// waggle: eBPF observability in one program. The verbs are in src/cli/.

#include <cstdio>

#include "cli/leave.h"
#include "cli/verb.h"

int main(int argc, char **argv) {
  using namespace waggle;
  std::function<int()> chosen;
  CLI::App app;
  build_command_line(app, chosen);
  // Without a word there is nothing to guess: the help says what there is.
  if (argc == 1) {
    fputs(app.help().c_str(), stderr);
    return kMisused;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp &) {
    std::vector<CLI::App *> verb = app.get_subcommands();
    fputs((verb.empty() ? app.help() : verb.front()->help("waggle")).c_str(), stdout);
    return kDone;
  } catch (const CLI::ParseError &error) {
    return report_misuse(error, app, argv[1]);
  }
  return leave(chosen());
}
