// The table of verbs, and the command line that is made of it: help, and what is said
// of a word or option that does not exist.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/tools.h"
#include "cli/verb.h"

namespace waggle {

// Each is in the file of its name.
std::function<int()> configure_watch(CLI::App &app);
std::function<int()> configure_top(CLI::App &app);
std::function<int()> configure_record(CLI::App &app);
std::function<int()> configure_replay(CLI::App &app);
std::function<int()> configure_run(CLI::App &app);
std::function<int()> configure_list(CLI::App &app);
std::function<int()> configure_diff(CLI::App &app);
std::function<int()> configure_fmt(CLI::App &app);
std::function<int()> configure_lsp(CLI::App &app);
std::function<int()> configure_doctor(CLI::App &app);
std::function<int()> configure_completion(CLI::App &app);
std::function<int()> configure_man(CLI::App &app);
std::function<int()> configure_reference(CLI::App &app);
std::function<int()> configure_version(CLI::App &app);

namespace {

constexpr Verb kVerbs[] = {
    {"top", "the whole host on one screen: CPU, disks, files, network, processes",
     "waggle top                               # live; q quits, ? shows the keys\n"
     "waggle top --interval 5s --duration 1m | tee host.txt",
     configure_top},
    {"watch", "what one or more sensors see: rows, tables, histograms, stacks",
     "waggle watch exec                        # every program that starts\n"
     "waggle watch open --failed -p 4242       # opens that failed in one process\n"
     "waggle watch open --by comm --interval 1s --duration 10s\n"
     "waggle watch block --view histogram --duration 10s\n"
     "waggle watch exec exit tcp_connect --json | jq .\n"
     "waggle watch cpu --duration 10s --stack folded > stacks.txt\n"
     "waggle watch func:vfs_read --duration 5s # any kernel function: count and latency",
     configure_watch},
    {"record", "what sensors see, into a file",
     "waggle record -o slow.wgl block fs runq -d 1m\n"
     "ssh db1 waggle record -o - open -d 10s > open.wgl",
     configure_record},
    {"replay", "a recording, through the views of watch, on any host",
     "waggle replay slow.wgl --sensor block    # as `waggle watch block` would have shown it\n"
     "waggle replay open.wgl --by pid.cmdline --failed",
     configure_replay},
    {"run", "scripts in bpftrace's language: a file, or one line",
     "waggle run -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'\n"
     "waggle run slow.bt 10                    # $1 is 10\n"
     "waggle run -l 'tracepoint:sched:*'       # what can be traced; -lv: with arguments\n"
     "waggle run --explain slow.bt             # what attaches, and what it costs\n"
     "ln -s /usr/bin/waggle ~/bin/bpftrace     # bpftrace's own command line",
     configure_run},
    {"list", "sensors, their columns, familiar tools, and what can be probed",
     "waggle list sensors --here               # with what this kernel can run\n"
     "waggle list sensors --cost               # events a second, ns an event, % of a core\n"
     "waggle list columns open\n"
     "waggle list tools                        # the names you know: execsnoop, biolatency, …\n"
     "waggle list probes 'tcp_*'",
     configure_list},
    {"diff", "what changed between two recordings of a table, and by how much",
     "waggle watch block --view histogram -d 10s --json > before.json\n"
     "waggle diff before.json after.json       # the most significant change first",
     configure_diff},
    {"fmt", "scripts as they are written well: blanks, lines, indentation",
     "waggle fmt slow.bt                       # as it would be\n"
     "waggle fmt -w *.bt                       # in place\n"
     "waggle fmt --check scripts/*.bt          # for CI: names what would change",
     configure_fmt},
    {"lsp", "a language server for scripts, for editors, over standard input and output",
     "waggle lsp                               # what an editor starts for *.bt", configure_lsp},
    {"doctor", "what this kernel can do, and each sensor on it",
     "waggle doctor\n"
     "waggle doctor --json | jq '.sensors[] | select(.state != \"runs\")'",
     configure_doctor},
    {"completion", "the completion script of a shell",
     "source <(waggle completion bash)\n"
     "waggle completion zsh > /usr/share/zsh/site-functions/_waggle",
     configure_completion},
    {"man", "the manual page, as roff", "waggle man | man -l -", configure_man},
    {"reference", "the reference documentation, as Markdown", "waggle reference sensors | less", configure_reference},
    {"version", "version, build and kernel", "waggle version --json", configure_version},
};

// Examples first: people read the top of a help text.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App *app, std::string name, CLI::AppFormatMode mode) const override {
    std::string text = app->get_description() + "\n";
    std::string examples = app->get_footer();
    if (!examples.empty()) {
      text += "\nEXAMPLES\n";
      for (std::string_view line : split(examples, '\n')) text += "  " + std::string(line) + "\n";
    }
    text += "\n" + make_usage(app, std::move(name));
    text += make_positionals(app);
    text += make_groups(app, mode);
    text += make_subcommands(app, mode);
    return text;
  }

  // The usage line says already which words are needed, and how many there may be.
  std::string make_option_opts(const CLI::Option *option) const override {
    if (option->nonpositional()) return CLI::Formatter::make_option_opts(option);
    return option->get_type_name().empty() ? std::string() : " " + option->get_type_name();
  }
};

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

void build_command_line(CLI::App &app, std::function<int()> &chosen) {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(28);
  app.name("waggle");
  app.description("waggle: what the kernel and every program on this host do, live, through eBPF");
  app.footer(
      "waggle top                               # the whole host on one screen\n"
      "waggle watch exec                        # every program that starts\n"
      "waggle watch open --failed               # files that could not be opened, and why\n"
      "waggle biolatency 1 10                   # familiar tools by their names: waggle list tools\n"
      "waggle biolatency --help                 # what such a tool stands for, and its options\n"
      "waggle doctor                            # what this kernel can do");
  app.formatter(formatter);
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "this text");
  for (const Verb &verb : verbs()) {
    CLI::App *sub = app.add_subcommand(std::string(verb.name), std::string(verb.summary));
    sub->footer(std::string(verb.examples));
    sub->formatter(formatter);
    sub->set_help_flag("-h,--help", "this text");
    std::function<int()> run = verb.configure(*sub);
    sub->callback([&chosen, run = std::move(run)] { chosen = run; });
  }
}

namespace {

// The first word of the message that looks like an option, "" where there is none.
std::string_view option_in(std::string_view message) {
  for (std::string_view word : split(message, ' '))
    if (word.starts_with("--")) return word.substr(0, word.find('='));
  return {};
}

// "did you mean '--columns'?", or where to look.
std::string fix_of(const CLI::ParseError &error, const CLI::App &app, std::string_view verb) {
  std::vector<std::string> names;
  if (std::vector<CLI::App *> used = app.get_subcommands(); !used.empty())
    for (const CLI::Option *option : all_options_of(*used.front()))
      for (const std::string &name : option->get_lnames()) names.push_back("--" + name);
  std::string_view near;
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
    near = nearest(option_in(error.what()), std::vector<std::string_view>(names.begin(), names.end()));
  return near.empty() ? fmt::format("waggle {} --help", verb) : fmt::format("did you mean '{}'?", near);
}

// CLI11's words for a value that is none: "Could not convert: --pid = abc".
std::string bad_value_text(std::string_view message) {
  constexpr std::string_view kBegin = "Could not convert: ", kBetween = " = ";
  size_t between = message.find(kBetween);
  if (!message.starts_with(kBegin) || between == std::string_view::npos) return std::string(message);
  std::string_view option = message.substr(kBegin.size(), between - kBegin.size());
  return fmt::format("bad value '{}' of {}", message.substr(between + kBetween.size()), option);
}

// Of a verb that is a family ("list"): what it lacks, or what it has not.
void explain_missing_word(Error &misuse, const CLI::App &app) {
  std::vector<CLI::App *> used = app.get_subcommands();
  if (used.empty() || used.front()->get_require_subcommand_min() == 0 || !used.front()->get_subcommands().empty())
    return;
  const CLI::App &family = *used.front();
  std::vector<std::string> names;
  std::string known;
  for (const CLI::App *member : family.get_subcommands([](const CLI::App *) { return true; })) {
    names.push_back(member->get_name());
    known += (known.empty() ? "" : ", ") + names.back();
  }
  misuse.fix = fmt::format("one of: {}", known);
  std::vector<std::string> words = family.remaining();
  if (words.empty()) words = app.remaining();
  if (words.empty()) {
    misuse.what = fmt::format("'waggle {}' needs to know of what", family.get_name());
    return;
  }
  misuse.what = fmt::format("'waggle {}' has no '{}'", family.get_name(), words.front());
  std::string_view near = nearest(words.front(), std::vector<std::string_view>(names.begin(), names.end()));
  if (!near.empty()) misuse.fix = fmt::format("did you mean 'waggle {} {}'?", family.get_name(), near);
}

}  // namespace

int report_misuse(const CLI::ParseError &error, const CLI::App &app, std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb &verb : verbs()) names.push_back(verb.name);
  for (const Tool &tool : tools())
    if (!tool.command.empty()) names.push_back(tool.name);
  bool known = std::find(names.begin(), names.end(), word) != names.end();
  Error misuse{ErrorCode::kMisuse, bad_value_text(error.what()), "",
               known ? fix_of(error, app, word) : "waggle --help"};
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) explain_missing_word(misuse, app);
  if (!known && !word.starts_with("-")) {
    misuse.what = fmt::format("no command '{}'", word);
    std::string_view near = nearest(word, names);
    if (!near.empty()) misuse.fix = fmt::format("did you mean 'waggle {}'?", near);
  }
  return report(misuse);
}

void say(std::string_view line) {
  fputs((std::string(line) + "\n").c_str(), stderr);
}

CLI::Validator not_negative() {
  return CLI::Validator(
      [](std::string &number) { return number.starts_with("-") ? fmt::format("'{}' is negative", number) : ""; }, "");
}

CLI::Validator positive() {
  return CLI::Validator(
      [](std::string &number) {
        if (number.starts_with("-")) return fmt::format("'{}' is negative", number);
        bool zero = !number.empty() && number.find_first_not_of('0') == std::string::npos;
        return zero ? std::string("0 is none; leave the option out for all") : std::string();
      },
      "");
}

CLI::Validator not_empty() {
  return CLI::Validator([](std::string &value) { return value.empty() ? "its value is empty" : ""; }, "");
}

std::vector<const CLI::Option *> all_options_of(const CLI::App &app) {
  std::vector<const CLI::Option *> options;
  for (const CLI::Option *option : app.get_options())
    if (option->nonpositional()) options.push_back(option);
  // Option groups are nameless sub-apps, each with a --help of its own.
  for (const CLI::App *group : app.get_subcommands([](const CLI::App *sub) { return sub->get_name().empty(); }))
    for (const CLI::Option *option : group->get_options())
      if (option->nonpositional() && option != group->get_help_ptr()) options.push_back(option);
  return options;
}

int report(const Error &error) {
  fputs(error.text().c_str(), stderr);
  return error.code == ErrorCode::kMisuse || error.code == ErrorCode::kInvalid ? kMisused : kFailed;
}

}  // namespace waggle
