// waggle under the name bpftrace: that program's options, messages and exit statuses.
// source: bpftrace(8), version 0.27

#include <fmt/format.h>
#include <getopt.h>
#include <unistd.h>

#include <cstdlib>

#include "base/version.h"
#include "cli/script_command.h"
#include "cli/verb.h"

namespace waggle {
namespace {

constexpr char kUsage[] = R"(USAGE:
    bpftrace [options] filename [parameters]
    bpftrace [options] - <stdin input>
    bpftrace [options] -e 'program' [-- --name=value]

OPTIONS:
    -B MODE               how output is buffered: line, full or none
    -f FORMAT             text or json
    -o, --output FILE     write the output to a file
    -e PROGRAM            run this program
    -h, --help            this text
    -I DIR, --include FILE
                          a directory of, or a file of C definitions
    -l, --list [PATTERN|FILE]
                          list probes; with -v their arguments
    -p, --pid PID         trace one process, and stop with it
    -c, --cmd COMMAND     run a command, trace it, and stop with it
    --usdt-file-activation
                          taken; semaphores are always set by file
    --unsafe              allow functions that change what they trace
    -q, --quiet           no messages
    --info                what this kernel offers
    -k, --warnings        warn of reads of memory that failed
    --no-warnings         no warnings
    -V, --version         the version
    --dry-run             attach, then stop
    --mode MODE           bench or test: run only such probes
    --test, --bench       the same
    --probe-filter REGEX  only probes whose names match
    --traceable-functions FILE
                          functions that can be traced
    -v, --verbose         say what is done

TROUBLESHOOTING:
    -d STAGE              print a stage of compiling: ast, types, codegen, dis, all
    --explain             what attaches, and what it costs (waggle's own)

EXAMPLES:
bpftrace -l '*sleep*'
    list probes that have "sleep" in their names
bpftrace -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
    count system calls by process name
bpftrace -e 'kprobe:do_nanosleep { printf("%d sleeps\n", pid); }'
    say who sleeps
)";

enum LongOption : int {
  kInfo = 1000,
  kUnsafe,
  kNoWarnings,
  kInclude,
  kUsdtFiles,
  kDryRun,
  kTest,
  kBench,
  kMode,
  kProbeFilter,
  kFormatter,
  kDebugInfo,
  kTraceable,
  kNoFeature,
  kDwarfPid,
  kAheadOfTime,
  kEmitElf,
  kEmitLlvm,
  kVerifyLlvm,
  kExplain,
};

constexpr option kLongOptions[] = {
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {"list", no_argument, nullptr, 'l'},
    {"pid", required_argument, nullptr, 'p'},
    {"cmd", required_argument, nullptr, 'c'},
    {"output", required_argument, nullptr, 'o'},
    {"quiet", no_argument, nullptr, 'q'},
    {"verbose", no_argument, nullptr, 'v'},
    {"warnings", no_argument, nullptr, 'k'},
    {"info", no_argument, nullptr, kInfo},
    {"unsafe", no_argument, nullptr, kUnsafe},
    {"no-warnings", no_argument, nullptr, kNoWarnings},
    {"include", required_argument, nullptr, kInclude},
    {"usdt-file-activation", no_argument, nullptr, kUsdtFiles},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"test", no_argument, nullptr, kTest},
    {"bench", no_argument, nullptr, kBench},
    {"mode", required_argument, nullptr, kMode},
    {"probe-filter", required_argument, nullptr, kProbeFilter},
    {"fmt", no_argument, nullptr, kFormatter},
    {"debuginfo", required_argument, nullptr, kDebugInfo},
    {"traceable-functions", required_argument, nullptr, kTraceable},
    {"no-feature", required_argument, nullptr, kNoFeature},
    {"dwarf-pid", required_argument, nullptr, kDwarfPid},
    {"aot", required_argument, nullptr, kAheadOfTime},
    {"emit-elf", required_argument, nullptr, kEmitElf},
    {"emit-llvm", required_argument, nullptr, kEmitLlvm},
    {"verify-llvm-ir", no_argument, nullptr, kVerifyLlvm},
    {"explain", no_argument, nullptr, kExplain},
    {nullptr, 0, nullptr, 0},
};

int misuse() {
  fputs(kUsage, stderr);
  return kFailed;
}

int not_here(const char *option, const char *why) {
  say(fmt::format("ERROR: --{} is not supported: {}", option, why));
  return kFailed;
}

}  // namespace

int run_as_bpftrace(std::span<const std::string> words) {
  if (words.empty()) return misuse();
  ScriptArguments arguments;
  std::vector<char *> pointers;
  std::string name = "bpftrace";
  pointers.push_back(name.data());
  // getopt_long(3) puts them in another order, and changes no letter.
  for (const std::string &word : words) pointers.push_back(const_cast<char *>(word.c_str()));
  auto count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  optind = 1;
  bool wants_info = false;
  while (true) {
    int which = 0;
    int found = getopt_long(count, pointers.data(), "d:bB:f:e:hlp:vqc:Vo:I:k", kLongOptions, &which);
    if (found == -1) break;
    std::string value = optarg == nullptr ? "" : optarg;
    switch (found) {
      case 'h':
        fputs(kUsage, stdout);
        return kDone;
      case 'V':
        fmt::print("bpftrace v{} (waggle {})\n", kVersionOfLanguage, kVersion);
        return kDone;
      case 'd':
        arguments.stages += (arguments.stages.empty() ? "" : ",") + value;
        break;
      case 'b':
      case kUsdtFiles:
        break;
      case kDebugInfo:
        say("WARNING: --debuginfo has no effect: no debug information is read");
        break;
      case kNoFeature:
        say("WARNING: --no-feature has no effect: what the kernel has is used");
        break;
      case kDwarfPid:
        say("WARNING: --dwarf-pid has no effect: user stacks are followed by frame pointers");
        break;
      case kVerifyLlvm:
        say("WARNING: --verify-llvm-ir has no effect: there is no LLVM");
        break;
      case 'B':
        arguments.buffering = value;
        break;
      case 'f':
        arguments.format = value;
        break;
      case 'e':
        arguments.programs.push_back(value);
        break;
      case 'l':
        arguments.is_list = true;
        break;
      case 'p':
        arguments.pid = value;
        break;
      case 'v':
        arguments.is_verbose = true;
        break;
      case 'q':
        arguments.is_quiet = true;
        break;
      case 'c':
        arguments.command = value;
        break;
      case 'o':
        arguments.output = value;
        break;
      case 'I':
        arguments.include_directories.push_back(value);
        break;
      case kInclude:
        arguments.includes.push_back(value);
        break;
      case 'k':
        arguments.has_probe_warnings = true;
        break;
      case kInfo:
        wants_info = true;
        break;
      case kUnsafe:
        arguments.is_unsafe = true;
        break;
      case kNoWarnings:
        arguments.no_warnings = true;
        break;
      case kDryRun:
        arguments.is_dry = true;
        break;
      case kTest:
        arguments.is_test = true;
        break;
      case kBench:
        arguments.is_bench = true;
        break;
      case kMode:
        arguments.mode = value;
        break;
      case kProbeFilter:
        arguments.probe_filter = value;
        break;
      case kFormatter:
        arguments.is_format = true;
        break;
      case kTraceable:
        arguments.traceable_functions = value;
        break;
      case kExplain:
        arguments.is_explain = true;
        break;
      case kAheadOfTime:
        return not_here("aot", "waggle compiles in milliseconds, each time");
      case kEmitElf:
      case kEmitLlvm:
        return not_here(kLongOptions[which].name, "waggle has its own code generator; -d dis prints what it makes");
      default:
        return misuse();
    }
  }
  for (int i = optind; i < count; i++) arguments.words.emplace_back(pointers[static_cast<size_t>(i)]);
  if (wants_info) {
    fputs(script_info().c_str(), stdout);
    return kDone;
  }
  if (!arguments.is_list && arguments.programs.empty() && arguments.words.empty()) return misuse();
  return run_script_command(arguments);
}

}  // namespace waggle
