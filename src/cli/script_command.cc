#include "cli/script_command.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "base/quantity.h"
#include "base/text.h"
#include "cli/leave.h"
#include "cli/script_includes.h"
#include "cli/verb.h"
#include "codegen/disassemble.h"
#include "codegen/ir.h"
#include "script/check/check.h"
#include "script/edit/format.h"
#include "script/lower/lower.h"
#include "script/probes/list.h"
#include "script/program/program_text.h"
#include "script/run/explain.h"
#include "script/run/run.h"
#include "script/syntax/parser.h"
#include "script/syntax/tree_text.h"

namespace waggle {
namespace {

using namespace script;

constexpr std::string_view kEnvironmentPrefix = "BPFTRACE_";
constexpr int32_t kPidMost = 4'194'304;  // PID_MAX_LIMIT of 64-bit kernels

void complain(std::string_view text) {
  say(fmt::format("ERROR: {}", text));
}

int complain_of(const Error &error) {
  // Said already, where it was found.
  if (error.what.empty() && error.why.empty()) return kFailed;
  std::string text = error.what;
  if (!error.why.empty()) text += (text.empty() ? "" : ": ") + error.why;
  complain(text);
  if (!error.fix.empty()) say(fmt::format("HINT: {}", error.fix));
  return kFailed;
}

std::optional<int32_t> parse_pid(const std::string &text) {
  int64_t pid = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end == text.data())
    complain(fmt::format("Failed to parse pid: invalid integer: {}", text));
  else if (end != text.data() + text.size())
    complain(fmt::format("Failed to parse pid: invalid trailing bytes: {}", text));
  else if (pid < 1 || pid > kPidMost)
    complain(fmt::format("Failed to parse pid: pid '{}' out of valid pid range [1,{}]", text, kPidMost));
  else
    return static_cast<int32_t>(pid);
  return std::nullopt;
}

std::optional<Buffering> parse_buffering(const std::string &text) {
  if (text.empty() || text == "line") return Buffering::kLine;
  if (text == "full") return Buffering::kFull;
  if (text == "none") return Buffering::kNone;
  complain("USAGE: -B must be either 'line', 'full', or 'none'.");
  return std::nullopt;
}

Result<std::string> read_stdin() {
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = read(STDIN_FILENO, piece, sizeof(piece))) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "failed to read the program from stdin");
    text.append(piece, static_cast<size_t>(got));
    if (text.size() > Sources::kBytesMost) return fail(ErrorCode::kExhausted, "the program is too long");
  }
  return text;
}

struct ScriptText {
  std::string name, text;
  std::vector<std::string> parameters;
};

Result<ScriptText> read_file_text(const std::string &path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("failed to open file '{}': {}", path, strerror(errno)));
  if (S_ISDIR(status.st_mode))
    return fail(ErrorCode::kInvalid, fmt::format("failed to open file '{}': {}", path, strerror(EISDIR)));
  Result<std::string> text = read_file(path, Sources::kBytesMost);
  if (!text) return fail(ErrorCode::kFailed, fmt::format("failed to open file '{}': {}", path, text.error().why));
  return ScriptText{path, std::move(*text), {}};
}

// The script of the command line, and the words that are its parameters.
Result<ScriptText> script_text(const ScriptArguments &arguments) {
  std::vector<std::string> words = arguments.words;
  if (!arguments.programs.empty()) return ScriptText{"stdin", arguments.programs.back(), std::move(words)};
  if (words.empty()) return fail(ErrorCode::kMisuse, "a script is missing: -e 'PROGRAM', or a file");
  ScriptText script = words[0] == "-" ? ScriptText{"stdin", TRY(read_stdin()), {}} : TRY(read_file_text(words[0]));
  script.parameters.assign(words.begin() + 1, words.end());
  return script;
}

void add_parameters(const std::vector<std::string> &words, CheckOptions &options) {
  for (const std::string &word : words) {
    if (!word.starts_with("--") || word.size() == 2) {
      options.positional.push_back(word);
      continue;
    }
    size_t equals = word.find('=');
    options.named[word.substr(2, equals == std::string::npos ? equals : equals - 2)] =
        equals == std::string::npos ? std::string() : word.substr(equals + 1);
  }
}

void add_environment(CheckOptions &options) {
  for (char **each = environ; *each != nullptr; each++) {
    std::string_view entry = *each;
    size_t equals = entry.find('=');
    if (!entry.starts_with(kEnvironmentPrefix) || equals == std::string_view::npos) continue;
    options.environment[std::string(entry.substr(kEnvironmentPrefix.size(), equals - kEnvironmentPrefix.size()))] =
        entry.substr(equals + 1);
  }
}

void say_diagnostics(const Diagnostics &diagnostics, const Sources &sources, bool with_warnings) {
  if (diagnostics.all().empty()) return;
  Diagnostics errors;
  if (!with_warnings)
    for (const Diagnostic &each : diagnostics.all())
      if (each.severity == Severity::kError) errors.error(each.at, each.message).hints = each.hints;
  fputs((with_warnings ? diagnostics : errors).text(sources).c_str(), stderr);
}

// -l

std::vector<std::string> patterns_of(const Tree &tree) {
  std::vector<std::string> patterns;
  for (const Probe *probe : tree.probes)
    for (const AttachText &point : probe->points) patterns.emplace_back(point.text);
  return patterns;
}

int list(const ScriptArguments &arguments, int32_t pid) {
  std::vector<std::string> patterns = {arguments.words.empty() ? std::string() : arguments.words[0]};
  struct stat status {};
  bool is_file = !patterns[0].empty() && stat(patterns[0].c_str(), &status) == 0 && S_ISREG(status.st_mode);
  if (is_file || !arguments.programs.empty()) {
    Result<ScriptText> text = script_text(arguments);
    if (!text) return complain_of(text.error());
    Sources sources;
    Arena arena;
    Diagnostics diagnostics;
    Lexer lexer(sources, sources.add(text->name, text->text), arena, diagnostics);
    Tree tree = parse(lexer, arena, diagnostics);
    say_diagnostics(diagnostics, sources, !arguments.no_warnings);
    if (diagnostics.failed()) return kFailed;
    patterns = patterns_of(tree);
  }
  ListOptions options;
  options.with_arguments = arguments.is_verbose;
  options.pid = pid;
  options.traceable_functions = arguments.traceable_functions;
  BtfTypes types;
  int exit_status = kFailed;
  std::optional<Error> failure;
  for (const std::string &pattern : patterns) {
    Result<std::string> listed = list_probes(pattern, options, types);
    if (!listed) {
      if (!failure) failure = std::move(listed).error();
      continue;
    }
    fwrite(listed->data(), 1, listed->size(), stdout);
    exit_status = kDone;
  }
  if (!failure || exit_status == kDone) return exit_status;
  complain_of(*failure);
  // That nothing matches is an answer.
  return failure->code == ErrorCode::kNotFound ? kDone : kFailed;
}

// -d

bool is_asked(std::string_view stages, std::string_view stage) {
  for (std::string_view each : split(stages, ','))
    if (each == stage || each == "all") return true;
  return false;
}

constexpr std::string_view kStages[] = {"all",         "ast",    "parse",    "types", "codegen",
                                        "codegen-opt", "libbpf", "verifier", "dis"};

bool are_stages(std::string_view stages) {
  for (std::string_view each : split(stages, ','))
    if (std::find(std::begin(kStages), std::end(kStages), each) == std::end(kStages)) {
      complain(fmt::format("USAGE: -d: unknown stage '{}'; one of: {}", each, fmt::join(kStages, ", ")));
      return false;
    }
  return true;
}

void dump_code(std::string_view stages, const Script &script, const Lowered &lowered) {
  for (const LoweredProgram &each : lowered.programs) {
    const std::string &name = script.programs[each.program].probes.front().name;
    if (is_asked(stages, "codegen"))
      for (const codegen::Function &function : each.functions)
        fmt::print("{}: {}\n{}\n", name, function.name, codegen::text(function));
    if (is_asked(stages, "codegen-opt") || is_asked(stages, "dis"))
      fmt::print("{}:\n{}\n", name, codegen::listing(each.code));
  }
}

// All that one run needs; addresses in it stay.
struct Compilation {
  Sources sources;
  std::vector<IncludedFile> included;
  Arena arena;
  Diagnostics diagnostics;
  BtfTypes types;
  Script script;
  Lowered lowered;
};

Streams streams_to(Sink &sink) {
  return Streams{[&sink](std::string_view text) { sink.out(text); },
                 [&sink](std::string_view text) { sink.error(text); }};
}

int run_compiled(const ScriptArguments &arguments, const Compilation &made, const RunOptions &options, Sink &sink,
                 std::optional<Child> &child) {
  Streams streams = streams_to(sink);
  std::unique_ptr<Output> output =
      arguments.format == "json" ? make_json_output(std::move(streams)) : make_text_output(std::move(streams));
  Run run(made.script, made.sources, made.lowered, options);
  Result<RunResult> result = run.run(*output, sink);
  sink.flush();
  // Before leave(), behind which nothing is destroyed.
  child.reset();
  if (!result) return complain_of(result.error());
  int status = result->exit_code;
  if (int failure = sink.failure(); failure != 0 && failure != EPIPE) status = say_unwritten(failure);
  // The child of leave() waits for the kernel to let go, and not who reads the output.
  if (result->ends_slowly) {
    note_attached();
    return leave(status);
  }
  return status;
}

std::optional<RunOptions> run_options(const ScriptArguments &arguments, int32_t pid, Child *child) {
  RunOptions options;
  options.pid = pid;
  options.child = child;
  options.is_quiet = arguments.is_quiet;
  options.is_verbose = arguments.is_verbose;
  options.is_dry = arguments.is_dry;
  options.is_test = arguments.is_test || arguments.mode == "test";
  options.is_bench = arguments.is_bench || arguments.mode == "bench";
  options.says_attached = getenv("__BPFTRACE_NOTIFY_PROBES_ATTACHED") != nullptr;
  if (!arguments.duration.empty()) {
    Result<uint64_t> most = parse_duration_ns(arguments.duration, 1'000'000'000);
    if (!most) {
      report(most.error());
      return std::nullopt;
    }
    options.most = std::chrono::nanoseconds(*most);
  }
  return options;
}

bool compile(const ScriptArguments &arguments, ScriptText text, const RunOptions &run, Compilation &made) {
  Lexer lexer(made.sources, made.sources.add(text.name, text.text), made.arena, made.diagnostics);
  made.included = included_files(text.text, text.name, arguments.include_directories, arguments.includes);
  for (const IncludedFile &each : made.included) predefine(lexer, each);
  Tree tree = parse(lexer, made.arena, made.diagnostics);
  // The last first: each is put before what is there.
  for (auto each = made.included.rbegin(); each != made.included.rend(); ++each)
    add_definitions(tree, *each, made.sources, made.arena, made.diagnostics);
  bool with_warnings = !arguments.no_warnings;
  if (made.diagnostics.failed()) {
    say_diagnostics(made.diagnostics, made.sources, with_warnings);
    return false;
  }
  if (is_asked(arguments.stages, "ast") || is_asked(arguments.stages, "parse")) fmt::print("{}\n", text_of(tree));
  CheckOptions options;
  options.pid = run.pid;
  options.child = run.child != nullptr ? run.child->pid() : 0;
  add_parameters(text.parameters, options);
  add_environment(options);
  options.is_unsafe = arguments.is_unsafe;
  options.with_warnings = with_warnings;
  options.with_read_warnings = with_warnings && arguments.has_probe_warnings;
  options.probe_filter = arguments.probe_filter;
  options.traceable_functions = arguments.traceable_functions;
  options.is_test = run.is_test;
  options.is_bench = run.is_bench;
  made.script = check(tree, made.sources, made.diagnostics, made.types, options);
  say_diagnostics(made.diagnostics, made.sources, with_warnings);
  if (made.diagnostics.failed()) return false;
  if (is_asked(arguments.stages, "types")) fmt::print("{}", text_of(made.script));
  Result<Lowered> lowered = lower(made.script, made.sources, lower_options_for(made.script));
  if (!lowered) {
    complain_of(lowered.error());
    return false;
  }
  made.lowered = std::move(*lowered);
  return true;
}

bool is_usable(const ScriptArguments &arguments) {
  if (!arguments.format.empty() && arguments.format != "text" && arguments.format != "json") {
    complain(fmt::format("Invalid output format \"{}\"\nValid formats: 'text', 'json'", arguments.format));
    return false;
  }
  if (!arguments.mode.empty() && arguments.mode != "test" && arguments.mode != "bench") {
    complain(fmt::format("USAGE: --mode can only be 'bench' or 'test', not '{}'", arguments.mode));
    return false;
  }
  if (!arguments.command.empty() && !arguments.pid.empty()) {
    complain("USAGE: Cannot use both -c and -p.");
    return false;
  }
  return are_stages(arguments.stages);
}

}  // namespace

int run_script_command(const ScriptArguments &arguments) {
  if (!is_usable(arguments)) return kFailed;
  std::optional<Buffering> buffering = parse_buffering(arguments.buffering);
  if (!buffering) return kFailed;
  int32_t pid = 0;
  if (!arguments.pid.empty()) {
    std::optional<int32_t> parsed = parse_pid(arguments.pid);
    if (!parsed) return kFailed;
    pid = *parsed;
  }
  if (arguments.is_list) return list(arguments, pid);
  Result<ScriptText> text = script_text(arguments);
  if (!text) return complain_of(text.error());
  if (arguments.is_format) {
    Result<std::string> formatted = format_script(text->text, text->name);
    if (!formatted) return complain_of(formatted.error());
    fmt::print("{}", *formatted);
    return kDone;
  }
  if (geteuid() != 0) {
    complain("bpftrace currently only supports running as the root user for tracing.");
    return kFailed;
  }
  std::optional<Child> child;
  if (!arguments.command.empty()) {
    Result<Child> started = Child::start(arguments.command);
    if (!started) {
      complain(fmt::format("Failed to fork child: {}", started.error().what));
      return kFailed;
    }
    child.emplace(std::move(*started));
  }
  std::optional<RunOptions> options = run_options(arguments, pid, child ? &*child : nullptr);
  if (!options) return kFailed;
  Sink sink(*buffering);
  if (!arguments.output.empty()) {
    Result<Sink> file = Sink::to_file(arguments.output, *buffering);
    if (!file) {
      complain(fmt::format("Failed to open output file: \"{}\": {}", arguments.output, file.error().why));
      return kFailed;
    }
    sink = std::move(*file);
  }
  Compilation made;
  if (!compile(arguments, std::move(*text), *options, made)) return kFailed;
  if (arguments.is_explain) {
    fmt::print("{}", explain(made.script, made.lowered));
    return kDone;
  }
  if (!arguments.stages.empty()) {
    dump_code(arguments.stages, made.script, made.lowered);
    return kDone;
  }
  return run_compiled(arguments, made, *options, sink, child);
}

}  // namespace waggle
