// waggle completion SHELL: scripts for bash, zsh and fish, made from the command
// table. Names of sensors and columns are asked of waggle itself, so they are
// those of the installed version.

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "cli/tools.h"
#include "cli/verb.h"
#include "view/layout.h"

namespace waggle {
namespace {

struct OptionWords {
  std::vector<std::string> names;  // "-p", "--pid"
  std::string help;
  bool takes_value;
};

std::vector<OptionWords> options_of(const CLI::App &app) {
  std::vector<OptionWords> options;
  for (const CLI::Option *option : all_options_of(app)) {
    OptionWords words{{}, option->get_description(), option->get_expected_max() > 0};
    for (const std::string &name : option->get_snames()) words.names.push_back("-" + name);
    for (const std::string &name : option->get_lnames()) words.names.push_back("--" + name);
    options.push_back(std::move(words));
  }
  return options;
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text)
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  return out + "'";
}

// A description inside zsh's '[…]' and fish's -d '…'.
std::string described(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c == '[' || c == ']' || c == ':')
      out += ' ';
    else if (c == '\'')
      out += "’";
    else
      out += c;
  return out;
}

std::string all_options(const CLI::App &app) {
  std::string words;
  for (const OptionWords &option : options_of(app))
    for (const std::string &name : option.names) words += (words.empty() ? "" : " ") + name;
  return words;
}

std::string verb_of(const Tool &tool) {
  return std::string(tool.command.substr(0, tool.command.find(' ')));
}

// A tool's options and its command's, each once.
std::string tool_options(const Tool &tool, const CLI::App &app) {
  std::string words;
  std::set<std::string_view> seen;
  auto put = [&](std::string_view flag) {
    if (seen.insert(flag).second) words += (words.empty() ? "" : " ") + std::string(flag);
  };
  for (std::string_view id : split(tool.habits, ' '))
    for (std::string_view flag : split(habit_of(id).flags, ' ')) put(flag);
  std::string of_command = all_options(*app.get_subcommand(verb_of(tool)));
  for (std::string_view flag : split(of_command, ' ')) put(flag);
  return words;
}

std::string bash_script(const CLI::App &app) {
  std::string script =
      "# bash completion of waggle\n"
      "_waggle() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    words=";
  std::string names;
  for (const Verb &verb : verbs()) names += (names.empty() ? "" : " ") + std::string(verb.name);
  for (const Tool &tool : tools())
    if (!tool.command.empty()) names += " " + std::string(tool.name);
  script += shell_quoted(names) + "\n  else\n    case $verb in\n";
  for (const Verb &verb : verbs()) {
    const CLI::App *sub = app.get_subcommand(std::string(verb.name));
    fmt::format_to(std::back_inserter(script), "    {}) words={} ;;\n", verb.name, shell_quoted(all_options(*sub)));
  }
  for (const Tool &tool : tools())
    if (!tool.command.empty())
      fmt::format_to(std::back_inserter(script), "    {}) words={} ;;\n", tool.name,
                     shell_quoted(tool_options(tool, app)));
  script +=
      "    esac\n"
      "    case $verb:$COMP_CWORD in\n"
      "    list:2) words+=' sensors tools columns probes' ;;\n"
      "    completion:2) words+=' bash zsh fish' ;;\n"
      "    watch:*) [[ $word == -* ]] || words+=\" $(waggle list sensors --names 2>/dev/null)\" ;;\n"
      "    list:3) [[ ${COMP_WORDS[2]} == columns ]] && words+=\" $(waggle list sensors --names 2>/dev/null)\" ;;\n"
      "    esac\n"
      "  fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "}\n"
      "complete -F _waggle waggle\n";
  return script;
}

std::string zsh_script(const CLI::App &app) {
  std::string script =
      "#compdef waggle\n"
      "# zsh completion of waggle\n"
      "_waggle() {\n"
      "  local context state line\n"
      "  _arguments -C '1: :->verb' '*:: :->rest'\n"
      "  case $state in\n"
      "  verb)\n"
      "    local -a verbs=(\n";
  for (const Verb &verb : verbs())
    fmt::format_to(std::back_inserter(script), "      '{}:{}'\n", verb.name, described(verb.summary));
  for (const Tool &tool : tools())
    if (!tool.command.empty())
      fmt::format_to(std::back_inserter(script), "      '{}:{}'\n", tool.name, described(tool.summary));
  script += "    )\n    _describe command verbs ;;\n  rest)\n    case $words[1] in\n";
  for (const Verb &verb : verbs()) {
    fmt::format_to(std::back_inserter(script), "    {})\n      _arguments", verb.name);
    for (const OptionWords &option : options_of(*app.get_subcommand(std::string(verb.name))))
      for (const std::string &name : option.names)
        fmt::format_to(std::back_inserter(script), " \\\n        '{}[{}]{}'", name, described(option.help),
                       option.takes_value ? ":value:" : "");
    if (verb.name == "watch")
      script += " \\\n        '*:sensor:($(waggle list sensors --names 2>/dev/null))'";
    else if (verb.name == "list")
      script +=
          " \\\n        '1:what:(sensors tools columns probes)'"
          " \\\n        '2:sensor:($(waggle list sensors --names 2>/dev/null))'";
    else if (verb.name == "completion")
      script += " \\\n        '1:shell:(bash zsh fish)'";
    script += " ;;\n";
  }
  for (const Tool &tool : tools()) {
    if (tool.command.empty()) continue;
    fmt::format_to(std::back_inserter(script), "    {})\n      _arguments", tool.name);
    for (std::string_view id : split(tool.habits, ' ')) {
      const Habit &habit = habit_of(id);
      for (std::string_view flag : split(habit.flags, ' '))
        fmt::format_to(std::back_inserter(script), " \\\n        '{}[{}]{}'", flag, described(habit.help),
                       habit.value.empty() ? "" : ":value:");
    }
    script += " ;;\n";
  }
  script += "    esac ;;\n  esac\n}\n_waggle \"$@\"\n";
  return script;
}

std::string fish_script(const CLI::App &app) {
  std::string script = "# fish completion of waggle\ncomplete -c waggle -f\n";
  for (const Verb &verb : verbs()) {
    fmt::format_to(std::back_inserter(script), "complete -c waggle -n __fish_use_subcommand -a {} -d '{}'\n", verb.name,
                   described(verb.summary));
    for (const OptionWords &option : options_of(*app.get_subcommand(std::string(verb.name)))) {
      fmt::format_to(std::back_inserter(script), "complete -c waggle -n '__fish_seen_subcommand_from {}'", verb.name);
      for (const std::string &name : option.names)
        script += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      fmt::format_to(std::back_inserter(script), "{} -d '{}'\n", option.takes_value ? " -x" : "",
                     described(option.help));
    }
  }
  for (const Tool &tool : tools()) {
    if (tool.command.empty()) continue;
    fmt::format_to(std::back_inserter(script), "complete -c waggle -n __fish_use_subcommand -a {} -d '{}'\n", tool.name,
                   described(tool.summary));
    for (std::string_view id : split(tool.habits, ' ')) {
      const Habit &habit = habit_of(id);
      fmt::format_to(std::back_inserter(script), "complete -c waggle -n '__fish_seen_subcommand_from {}'", tool.name);
      for (std::string_view flag : split(habit.flags, ' '))
        script += flag.starts_with("--") ? " -l " + std::string(flag.substr(2)) : " -s " + std::string(flag.substr(1));
      fmt::format_to(std::back_inserter(script), "{} -d '{}'\n", habit.value.empty() ? "" : " -x",
                     described(habit.help));
    }
  }
  script +=
      "complete -c waggle -n '__fish_seen_subcommand_from watch' -a '(waggle list sensors --names 2>/dev/null)'\n"
      "complete -c waggle -n '__fish_seen_subcommand_from list' -a 'sensors tools columns probes'\n"
      "complete -c waggle -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
  return script;
}

std::string roff_escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  // A line that begins with a dot would be a request.
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

void append_roff_options(std::string &page, const CLI::App &app) {
  for (const OptionWords &option : options_of(app)) {
    std::string names;
    for (const std::string &name : option.names) names += (names.empty() ? "" : ", ") + name;
    fmt::format_to(std::back_inserter(page), ".TP\n.B {}\n{}\n", roff_escaped(names), roff_escaped(option.help));
  }
}

std::string manual_page(const CLI::App &app) {
  std::string page =
      ".TH WAGGLE 1\n.SH NAME\nwaggle \\- eBPF observability in one program\n"
      ".SH SYNOPSIS\n.B waggle\n.I COMMAND\n[\\fIOPTION\\fR...]\n.SH DESCRIPTION\n" +
      roff_escaped(app.get_description()) + "\n";
  for (const Verb &verb : verbs()) {
    fmt::format_to(std::back_inserter(page), ".SH {}\n{}.\n.PP\n.nf\n", upper(verb.name), roff_escaped(verb.summary));
    for (std::string_view line : split(verb.examples, '\n')) page += roff_escaped(line) + "\n";
    page += ".fi\n";
    append_roff_options(page, *app.get_subcommand(std::string(verb.name)));
  }
  page +=
      ".SH FAMILIAR TOOLS\nEach takes the options that people type from habit:\n.B waggle\n.I NAME\n.B \\-\\-help\n";
  for (const Tool &tool : tools())
    if (!tool.command.empty())
      fmt::format_to(std::back_inserter(page), ".TP\n.B {}\n{}: waggle {}\n", roff_escaped(tool.name),
                     roff_escaped(tool.summary), roff_escaped(tool.command));
  page +=
      ".SH EXIT STATUS\n0 done, 1 failed, 2 misused.\n"
      ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nwhen set, no colours are used.\n"
      ".SH SEE ALSO\nbpftool(8), bpf(2)\n";
  return page;
}

// The table as CLI11 sees it, without parsing anything.
template <typename Make>
int print_made(Make make) {
  CLI::App app;
  std::function<int()> unused;
  build_command_line(app, unused);
  fputs(make(app).c_str(), stdout);
  return kDone;
}

}  // namespace

std::function<int()> configure_completion(CLI::App &app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "bash, zsh or fish")->required()->type_name("SHELL");
  return [shell] {
    if (*shell == "bash") return print_made(bash_script);
    if (*shell == "zsh") return print_made(zsh_script);
    if (*shell == "fish") return print_made(fish_script);
    return report({ErrorCode::kMisuse, fmt::format("no completion for '{}'", *shell), "", "use bash, zsh or fish"});
  };
}

std::function<int()> configure_man(CLI::App &) {
  return [] { return print_made(manual_page); };
}

}  // namespace waggle
