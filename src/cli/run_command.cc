// waggle run: scripts in bpftrace's language.

#include <memory>

#include "cli/script_command.h"
#include "cli/verb.h"

namespace waggle {

std::function<int()> configure_run(CLI::App &app);

std::function<int()> configure_run(CLI::App &app) {
  auto arguments = std::make_shared<ScriptArguments>();
  auto json = std::make_shared<bool>(false);
  auto info = std::make_shared<bool>(false);
  ScriptArguments &a = *arguments;
  app.add_option("script", a.words, "a file, or - for stdin, and what $1, $2, … are; after -- also --name=value")
      ->type_name("FILE ARGUMENT...");
  app.add_option("-e,--program", a.programs, "the script itself")->type_name("PROGRAM")->allow_extra_args(false);
  auto *what = app.add_option_group("Instead of running");
  what->add_flag("-l,--list", a.is_list,
                 "list the probes that a pattern means, or that a file has; -lv: with arguments");
  what->add_flag("--explain", a.is_explain, "say what attaches, by which hook, its instructions, maps and bytes");
  what->add_flag("--dry-run", a.is_dry, "attach, then stop");
  what->add_option("-d,--dump", a.stages, "print a stage of compiling: ast, types, codegen, dis; or all")
      ->type_name("STAGE");
  what->add_flag("--info", *info, "what this kernel offers to scripts");
  what->add_option("--mode", a.mode, "bench or test: run only such probes")->type_name("MODE");
  auto *process = app.add_option_group("Processes");
  process->add_option("-c,--cmd", a.command, "run this command, and stop with it")->type_name("COMMAND");
  process->add_option("-p,--pid", a.pid, "only this process, and stop with it")->type_name("PID");
  process->add_option("--duration", a.duration, "stop after this time")->type_name("TIME");
  auto *output = app.add_option_group("Output");
  output->add_option("-f,--format", a.format, "text or json")->type_name("FORMAT");
  output->add_flag("--json", *json, "one JSON object a line: -f json");
  output->add_option("-o,--output", a.output, "write to this file")->type_name("FILE");
  output->add_option("-B,--buffering", a.buffering, "line, full or none")->type_name("MODE");
  output->add_flag("-q,--quiet", a.is_quiet, "do not say how many probes are attached");
  output->add_flag("-v,--verbose", a.is_verbose, "say which hooks are used, and what the verifier said");
  output->add_flag("-k,--warnings", a.has_probe_warnings, "say which reads of memory failed");
  output->add_flag("--no-warnings", a.no_warnings, "no warnings at all");
  auto *script = app.add_option_group("Script");
  script->add_flag("--unsafe", a.is_unsafe, "allow system(), signal(), override() and write_user()");
  script->add_option("--probe-filter", a.probe_filter, "only probes whose names match this regular expression")
      ->type_name("REGEX");
  script
      ->add_option("--traceable-functions", a.traceable_functions,
                   "a file of functions to take for those that can be traced")
      ->type_name("FILE");
  script->add_option("-I", a.include_directories, "a directory of files that the script includes")->type_name("DIR");
  script->add_option("--include", a.includes, "a file of C definitions")->type_name("FILE");
  return [arguments, json, info] {
    if (*info) {
      fputs(script_info().c_str(), stdout);
      return kDone;
    }
    if (*json) arguments->format = "json";
    return run_script_command(*arguments);
  };
}

}  // namespace waggle
