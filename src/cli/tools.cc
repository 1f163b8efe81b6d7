#include "cli/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace waggle {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words = split(text, ' ');
  std::erase(words, "");
  return words;
}

// What a value stands for in a list "all:--sort+bytes,reads:--where+op=read".
std::optional<std::string> chosen_from(std::string_view choices, std::string_view value) {
  for (std::string_view choice : split(choices, ',')) {
    size_t colon = choice.find(':');
    if (choice.substr(0, colon) != value) continue;
    std::string words(choice.substr(colon + 1));
    std::replace(words.begin(), words.end(), '+', ' ');
    return words;
  }
  return std::nullopt;
}

// The sensor and target of a probe as BCC writes it: "vfs_read", "p:vfs_read" and
// "p::vfs_read" of the kernel, "t:sched:sched_switch" of tracepoints, "c:malloc" and
// "/bin/bash:readline" of programs.
//   sensor  of functions of the kernel, "func" or "call"; those that a probe of
//           returns names have a result, which only func has
Result<std::string> sensor_of_probe(std::string_view sensor, std::string_view probe) {
  if (probe.find_first_of(" \"(%") != std::string_view::npos)
    return fail(ErrorCode::kMisuse, fmt::format("no probe '{}'", probe), "formats and conditions of BCC are not known",
                "name the function: its arguments are shown by their types, and --where tests columns");
  std::vector<std::string_view> parts = split(probe, ':');
  if (parts.size() == 3 && parts[0] == "t") {
    std::string tracepoint = fmt::format("tracepoint:{}:{}", parts[1], parts[2]);
    if (sensor == "call") return tracepoint;
    return fail(ErrorCode::kMisuse, fmt::format("no probe '{}'", probe), "a tracepoint takes no time and has no result",
                fmt::format("waggle watch {} --view top", tracepoint));
  }
  if (parts.size() > 1 && parts[0] == "u")
    return fail(ErrorCode::kMisuse, fmt::format("no probe '{}'", probe), "it is a USDT probe",
                "waggle watch usdt:FILE:PROVIDER:NAME");
  if (parts.size() > 1 && parts[0] == "r") sensor = "func";
  if (parts.size() > 1 && (parts[0] == "p" || parts[0] == "k" || parts[0] == "r" || parts[0].empty()))
    parts.erase(parts.begin());
  if (parts.size() > 1 && parts[0].empty()) parts.erase(parts.begin());
  if (parts.size() == 1 && !parts[0].empty()) return fmt::format("{}:{}", sensor, parts[0]);
  if (parts.size() == 2 && !parts[1].empty()) return fmt::format("user:{}:{}", parts[0], parts[1]);
  return fail(ErrorCode::kMisuse, fmt::format("no probe '{}'", probe), {},
              "name a function of the kernel: vfs_read, 'tcp_*'; or of a program: c:malloc");
}

// The effect with the value put in.
Result<std::string> effect_with(const Habit &habit, std::string_view value) {
  std::string effect(habit.effect);
  for (size_t open; (open = effect.find('{')) != std::string::npos;) {
    size_t close = effect.find('}', open);
    CHECK(close != std::string::npos);
    std::string inside = effect.substr(open + 1, close - open - 1);
    std::string put(value);
    if (inside == "func" || inside == "call") {
      put = TRY(sensor_of_probe(inside, value));
    } else if (inside.find(':') != std::string::npos) {
      std::optional<std::string> chosen = chosen_from(inside, value);
      if (!chosen) {
        std::string known;
        for (std::string_view choice : split(inside, ','))
          known += (known.empty() ? "" : ", ") + std::string(choice.substr(0, choice.find(':')));
        return fail(ErrorCode::kMisuse,
                    fmt::format("no '{}' for {}", value, habit.flags.starts_with('-') ? habit.flags : habit.value), {},
                    "one of: " + known);
      }
      put = *chosen;
    } else if (!value.empty() && value.back() >= '0' && value.back() <= '9') {
      put += inside;
    }
    effect.replace(open, close - open + 1, put);
  }
  return effect;
}

// Options of a command and what was given for them, those given later on top.
struct Given {
  std::string option, value;  // value: only where has_value
  bool has_value = false;
};

// Which options the command has, from its own description of itself.
class CommandOptions {
 public:
  explicit CommandOptions(const CLI::App &command) : options_(all_options_of(command)) {}

  // Null for a name that is none's. With its dashes: "-p", "--pid".
  const CLI::Option *find(std::string_view flag) const {
    for (const CLI::Option *option : options_) {
      auto is = [&](const std::string &name, std::string_view dashes) { return flag == std::string(dashes) + name; };
      for (const std::string &name : option->get_snames())
        if (is(name, "-")) return option;
      for (const std::string &name : option->get_lnames())
        if (is(name, "--")) return option;
    }
    return nullptr;
  }

  static std::string canonical(const CLI::Option &option) {
    return option.get_lnames().empty() ? "-" + option.get_snames().front() : "--" + option.get_lnames().front();
  }
  static bool takes_value(const CLI::Option &option) { return option.get_expected_max() > 0; }

  std::vector<std::string> long_names() const {
    std::vector<std::string> names;
    for (const CLI::Option *option : options_)
      for (const std::string &name : option->get_lnames()) names.push_back("--" + name);
    return names;
  }

 private:
  std::vector<const CLI::Option *> options_;
};

// Lists that grow by being given again; of all others the last one counts.
bool gathers(std::string_view option) {
  return option == "--where" || option == "--set";
}
// Lists of columns: habits add to each other.
bool joins(std::string_view option) {
  return option == "--by" || option == "--columns";
}

class Expansion {
 public:
  Expansion(const Tool &tool, const CLI::App &app) : tool_(tool), command_(words_of(tool.command)), options_(sub(app)) {
    for (std::string_view id : words_of(tool.habits)) habits_.push_back(&habit_of(id));
    for (std::string_view id : words_of(tool.arguments)) arguments_.push_back(&habit_of(id));
  }

  Result<std::vector<std::string>> expand(std::span<const std::string> words) {
    for (size_t i = 0; i < words.size(); i++) TRY(take_word(words, i));
    return assemble();
  }

 private:
  const CLI::App &sub(const CLI::App &app) const { return *app.get_subcommand(std::string(command_.front())); }

  const Habit *habit_with(std::string_view flag) const {
    for (const Habit *habit : habits_)
      for (std::string_view each : words_of(habit->flags))
        if (each == flag) return habit;
    return nullptr;
  }

  Result<void> take_word(std::span<const std::string> words, size_t &i) {
    std::string_view word = words[i];
    if (only_arguments_ || !word.starts_with('-') || word == "-") return take_argument(word);
    if (word == "--") {
      only_arguments_ = true;
      return {};
    }
    if (word.starts_with("--")) {
      size_t equals = word.find('=');
      std::optional<std::string_view> value;
      if (equals != std::string_view::npos) value = word.substr(equals + 1);
      return take_option(word.substr(0, equals), value, words, i);
    }
    // "-mT", "-F99": letters in one word, the last of which may have its value in it.
    for (size_t at = 1; at < word.size(); at++) {
      std::string flag{'-', word[at]};
      std::optional<std::string_view> value;
      if (takes_value(flag) && at + 1 < word.size()) value = word.substr(at + 1);
      if (value && value->starts_with('=')) value->remove_prefix(1);
      TRY(take_option(flag, value, words, i));
      if (value) break;
    }
    return {};
  }

  bool takes_value(std::string_view flag) const {
    if (const Habit *habit = habit_with(flag)) return !habit->value.empty();
    const CLI::Option *option = options_.find(flag);
    return option != nullptr && CommandOptions::takes_value(*option);
  }

  Result<void> take_option(std::string_view flag, std::optional<std::string_view> value,
                           std::span<const std::string> words, size_t &i) {
    const Habit *habit = habit_with(flag);
    const CLI::Option *option = options_.find(flag);
    if (habit == nullptr && option == nullptr) return unknown(flag);
    if (takes_value(flag) && !value) {
      if (i + 1 == words.size()) return fail(ErrorCode::kMisuse, fmt::format("{} needs a value", flag), {}, help());
      value = words[++i];
    }
    if (habit != nullptr) return apply(*habit, value.value_or(""));
    given_.push_back({CommandOptions::canonical(*option), std::string(value.value_or("")), takes_value(flag)});
    return {};
  }

  Result<void> take_argument(std::string_view word) {
    if (arguments_seen_ == arguments_.size())
      return fail(ErrorCode::kMisuse, fmt::format("{} takes no argument '{}'", tool_.name, word), {}, help());
    return apply(*arguments_[arguments_seen_++], word);
  }

  // Puts the words that a habit stands for among those of habits.
  Result<void> apply(const Habit &habit, std::string_view value) {
    if (habit.effect.starts_with('!'))
      return fail(ErrorCode::kMisuse, fmt::format("{} has no {}", tool_.name, habit.flags), {},
                  std::string(habit.effect.substr(1)));
    std::string effect = TRY(effect_with(habit, value));
    std::vector<std::string_view> words = words_of(effect);
    for (size_t i = 0; i < words.size(); i++) {
      std::string word(words[i]);
      if (word.starts_with("drop:")) {
        dropped_.push_back(word.substr(strlen("drop:")));
        continue;
      }
      if (!word.starts_with('-')) {
        targets_.push_back(word);
        continue;
      }
      const CLI::Option *option = options_.find(word);
      CHECK(option != nullptr);
      bool has_value = CommandOptions::takes_value(*option);
      add_habit(CommandOptions::canonical(*option), has_value ? std::string(words[++i]) : "", has_value);
    }
    return {};
  }

  void add_habit(std::string option, std::string value, bool has_value) {
    auto same = std::find_if(from_habits_.begin(), from_habits_.end(),
                             [&](const Given &given) { return given.option == option; });
    if (same == from_habits_.end() || gathers(option))
      from_habits_.push_back({std::move(option), std::move(value), has_value});
    else if (joins(option))
      same->value += "," + value;
    else
      same->value = std::move(value);
  }

  tl::unexpected<Error> unknown(std::string_view flag) const {
    std::vector<std::string> names = options_.long_names();
    for (const Habit *habit : habits_)
      for (std::string_view each : words_of(habit->flags))
        if (each.starts_with("--")) names.emplace_back(each);
    std::string_view near = nearest(flag, std::vector<std::string_view>(names.begin(), names.end()));
    return fail(ErrorCode::kMisuse, fmt::format("{} has no option '{}'", tool_.name, flag), {},
                near.empty() ? fmt::format("{}, and waggle {} --help", help(), command_.front())
                             : fmt::format("did you mean '{}'?", near));
  }
  std::string help() const { return fmt::format("waggle {} --help", tool_.name); }

  static bool has(const std::vector<Given> &list, std::string_view option) {
    return std::any_of(list.begin(), list.end(), [&](const Given &given) { return given.option == option; });
  }

  // What the user says counts more than habits, and those more than the tool's row.
  std::vector<std::string> assemble() const {
    std::vector<std::string> line{std::string(command_.front())};
    auto put = [&](const Given &given) {
      line.push_back(given.option);
      if (given.has_value) line.push_back(given.value);
    };
    bool target_put = false;
    for (size_t i = 1; i < command_.size(); i++) {
      std::string word(command_[i]);
      if (!word.starts_with('-')) {
        // A target takes the place of the sensor: "func:vfs_read".
        if (targets_.empty()) line.push_back(word);
        if (!target_put) line.insert(line.end(), targets_.begin(), targets_.end());
        target_put = true;
        continue;
      }
      const CLI::Option *option = options_.find(word);
      CHECK(option != nullptr);
      Given given{CommandOptions::canonical(*option), "", CommandOptions::takes_value(*option)};
      if (given.has_value) given.value = command_[++i];
      bool is_dropped = std::find(dropped_.begin(), dropped_.end(), given.option) != dropped_.end();
      bool is_replaced = !gathers(given.option) && (has(from_habits_, given.option) || has(given_, given.option));
      if (!is_dropped && !is_replaced) put(given);
    }
    if (!target_put) line.insert(line.end(), targets_.begin(), targets_.end());
    for (const Given &given : from_habits_)
      if (gathers(given.option) || !has(given_, given.option)) put(given);
    for (const Given &given : given_) put(given);
    return line;
  }

  const Tool &tool_;
  std::vector<std::string_view> command_;
  CommandOptions options_;
  std::vector<const Habit *> habits_, arguments_;
  std::vector<Given> from_habits_, given_;
  std::vector<std::string> targets_, dropped_;
  size_t arguments_seen_ = 0;
  bool only_arguments_ = false;
};

// "-D, --disks", "-d, --disk DISK"
std::string flags_text(const Habit &habit) {
  std::string text;
  for (std::string_view flag : words_of(habit.flags)) text += (text.empty() ? "" : ", ") + std::string(flag);
  if (!habit.value.empty()) text += " " + std::string(habit.value);
  return text;
}

std::string option_line(std::string_view flags, std::string_view help) {
  return fmt::format("  {:<24} {}{}\n", flags, flags.size() > 24 ? " " : "", help);
}

// Lines of at most 79 columns, all but the first a bit to the right.
std::string wrapped(std::string_view text) {
  std::string out;
  size_t column = 0;
  for (std::string_view word : words_of(text)) {
    if (column > 0 && column + 1 + word.size() > 79) {
      out += "\n   ";
      column = 3;
    }
    if (column > 0) out += ' ';
    column += (column > 0) + word.size();
    out += word;
  }
  return out + "\n";
}

std::string usage_of(const Tool &tool) {
  std::string usage = fmt::format("waggle {} [OPTION...]", tool.name);
  std::string closing;
  for (std::string_view id : words_of(tool.arguments)) {
    const Habit &argument = habit_of(id);
    // A target must be named, where the command has none.
    bool required = argument.flags == "required";
    usage += fmt::format(" {}{}", required ? "" : "[", argument.value);
    if (!required) closing += "]";
  }
  return usage + closing;
}

}  // namespace

const Tool *find_tool(std::string_view name) {
  for (const Tool &tool : tools())
    if (tool.name == name) return &tool;
  return nullptr;
}

Result<std::vector<std::string>> expand_tool(const Tool &tool, std::span<const std::string> words,
                                             const CLI::App &app) {
  if (tool.command.empty())
    return fail(ErrorCode::kUnsupported, fmt::format("waggle has no '{}'", tool.name), std::string(tool.reason),
                "waggle list tools      shows what there is");
  return Expansion(tool, app).expand(words);
}

std::string help_of(const Tool &tool) {
  std::string text = fmt::format("{}: {}\n", tool.name, tool.summary);
  if (tool.command.empty()) return fmt::format("{}\nThere is no such command: {}.\n", text, tool.reason);
  text += "\nEXAMPLES\n";
  for (std::string_view line : split(tool.examples, '\n')) text += fmt::format("  {}\n", line);
  text += fmt::format("\nUSAGE\n  {}\n", usage_of(tool));
  std::string anyway;
  for (std::string_view id : words_of(tool.habits)) {
    const Habit &habit = habit_of(id);
    if (habit.effect.starts_with('!')) continue;
    if (habit.effect.empty())
      anyway += (anyway.empty() ? "" : ", ") + std::string(words_of(habit.flags).front());
    else
      text += option_line(flags_text(habit), habit.help);
  }
  if (!anyway.empty()) text += option_line(anyway, "taken, and so anyway");
  text += option_line("-h, --help", "this text");
  std::vector<std::string_view> command = words_of(tool.command);
  text += "\n" + wrapped(fmt::format("Short for: waggle {}", tool.command));
  if (command[0] == "watch")
    text += wrapped(fmt::format("Its options work too: waggle watch --help; columns: waggle list columns {}",
                                command[1].substr(0, command[1].find(':'))));
  else
    text += wrapped(fmt::format("Its options work too: waggle {} --help", command[0]));
  return text;
}

int list_tools(bool json, bool names) {
  for (const Tool &tool : tools()) {
    if (names) {
      if (!tool.command.empty()) fmt::print("{}\n", tool.name);
      continue;
    }
    if (!json) {
      fmt::print("{:<22} {}\n", tool.name,
                 tool.command.empty() ? fmt::format("none: {}", tool.reason) : std::string(tool.summary));
      continue;
    }
    std::string line = "{\"name\":";
    append_json_string(line, tool.name);
    line += ",\"origin\":";
    append_json_string(line, tool.origin);
    line += ",\"summary\":";
    append_json_string(line, tool.summary);
    line += tool.command.empty() ? ",\"reason\":" : ",\"command\":";
    append_json_string(line, tool.command.empty() ? std::string(tool.reason) : "waggle " + std::string(tool.command));
    fmt::print("{}}}\n", line);
  }
  return kDone;
}

}  // namespace waggle
