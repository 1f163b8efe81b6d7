#include "cli/tools.h"

#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "filter/filter.h"
#include "sensor/declaration.h"
#include "view/layout.h"

namespace waggle {
namespace {

class ToolsTest : public testing::Test {
 protected:
  void SetUp() override { build_command_line(app_, chosen_); }

  // The command line that a tool's stands for, or the first line of the error.
  std::string expanded(const std::string &line) {
    std::vector<std::string> words;
    for (std::string_view word : split(line, ' ')) words.emplace_back(word);
    const Tool *tool = find_tool(words.front());
    if (tool == nullptr) return "no tool";
    Result<std::vector<std::string>> made = expand_tool(*tool, std::span(words).subspan(1), app_);
    if (!made) return "error: " + made.error().what + " | " + made.error().fix;
    std::string text;
    for (const std::string &word : *made) text += (text.empty() ? "" : " ") + word;
    return text;
  }

  CLI::App app_;
  std::function<int()> chosen_;
};

TEST_F(ToolsTest, LinesOfHabitStandForCommands) {
  struct Case {
    const char *line, *command;
  };
  constexpr Case kCases[] = {
      {"execsnoop", "watch exec --where errno=0"},
      {"execsnoop -x", "watch exec"},
      {"execsnoop -x -n nginx -U", "watch exec --where comm~nginx"},
      {"execsnoop --where ppid=1", "watch exec --where errno=0 --where ppid=1"},
      {"execsnoop -qTt -P 181", "watch exec --where errno=0 --where ppid=181"},
      {"opensnoop -Tx -p181", "watch open --failed --pid 181"},
      {"opensnoop -d 10 -u root --json", "watch open --duration 10 --where uid=root --json"},
      {"opensnoop -F -n cat", "watch open --set resolve=1 --columns +resolved --where comm~cat"},
      {"opensnoop --duration=10", "watch open --duration 10"},
      {"biolatency", "watch block --view histogram --interval 0"},
      {"biolatency 1 10", "watch block --view histogram --interval 1 --count 10"},
      {"biolatency -mT 1 10", "watch block --view histogram --timestamps --interval 1 --count 10"},
      {"biolatency -D -d sda", "watch block --view histogram --interval 0 --by device --where device=sda"},
      {"biolatency -DF", "watch block --view histogram --interval 0 --by device,op --min 0"},
      {"biolatency -D --by comm", "watch block --view histogram --interval 0 --by comm"},
      {"biolatency --view heatmap", "watch block --interval 0 --view heatmap"},
      {"ext4slower", "watch fs --where filesystem=ext4 --min 10ms"},
      {"ext4slower 1", "watch fs --where filesystem=ext4 --min 1ms"},
      {"ext4slower 500us", "watch fs --where filesystem=ext4 --min 500us"},
      {"ext4slower -j 0", "watch fs --where filesystem=ext4 --csv --min 0ms"},
      {"fsslower -t xfs -m 5", "watch fs --where filesystem=xfs --min 5ms"},
      {"runqslower 10000", "watch runq --view stream --min 10000us"},
      {"runqslower -p 1 -P", "watch runq --view stream --min 10ms --pid 1"},
      {"tcplife -D 80,443 -L 22 -w", "watch tcp_close --view stream --where remote_port=80,443 --where local_port=22"},
      {"tcplife -s -4", "watch tcp_close --view stream --csv --where remote=ipv4"},
      {"filetop -s wbytes -r 5 2",
       "watch file --by pid,pid.comm,name,op --where op=write --sort bytes --top 5 --interval 2"},
      {"profile -F 99 -f -p 181 10",
       "watch cpu --view stacks --interval 0 --set hz=99 --stack folded --pid 181 --duration 10"},
      {"profile -F49 -U", "watch cpu --view stacks --interval 0 --set hz=49 --frames user"},
      {"funccount vfs_*", "watch func:vfs_* --view top --by function --interval 0"},
      {"funclatency -m -i 1 p:vfs_read", "watch func:vfs_read --view histogram --interval 1"},
      {"funcslower -u 10 vfs_read", "watch func:vfs_read --view stream --min 10us"},
      {"tplist -- tcp_*", "list probes tcp_*"},
      {"top_process", "top"},
      {"biotop -s time", "watch block --by pid,comm,device,op --interval 1s --sort latency"},
      {"killsnoop -T 181 -s KILL", "watch signal --where code=SI_USER,SI_TKILL --set target=181 --set signal=KILL"},
      {"sigsnoop -k -n -x", "watch signal --where code=SI_USER --failed"},
      {"syscount", "watch syscall --by syscall --sort calls --top 10 --interval 0"},
      {"syscount -x -T 5 -d 2", "watch syscall --by syscall --interval 0 --failed --sort count --top 5 --duration 2"},
      {"syscount -P -i 1 -mL", "watch syscall --sort calls --top 10 --by pid,comm --interval 1"},
      {"syscount -t 181", "watch syscall --by syscall --top 10 --interval 0 --sort count --where tid=181"},
      {"capable -x -p 181", "watch capability --set audited=1 --columns +tid --pid 181"},
      {"capable -v", "watch capability"},
      {"bindsnoop -x -P 80,443", "watch bind --where call=bind --where port=80,443"},
      {"bindsnoop --count", "watch bind --where call=bind --where errno=0 --view top --by address,port"},
      {"offcputime -u -m 1000 -M 10ms --state 2 -f 5",
       "watch offcpu --view stacks --interval 0 --set user_tasks=1 --set min_block=1000us --set max_block=10ms"
       " --set state=2 --stack folded --duration 5"},
      {"wakeuptime -p 181 5", "watch wakeup --view stacks --interval 0 --where target_pid=181 --duration 5"},
      {"cpudist -O -P 1 3", "watch offcpu --view histogram --by pid,comm --interval 1 --count 3"},
      {"runqlen -C 5", "watch runqlen --top 0 --by cpu,waiting --interval 5"},
      {"klockstat -S acq_count -n 3", "watch lock --view stacks --interval 0 --sort count --top 3"},
      {"tcptop -C -s received 5 3",
       "watch tcp_flow --by pid,comm,local,local_port,remote,remote_port --sort received --interval 5 --count 3"},
      {"tcpsubnet -i 5 10.0.0.0/8", "watch tcp_flow --by remote --sort sent --interval 5 --where remote=10.0.0.0/8"},
      {"gethostlatency -l /lib/libc.so.6", "watch hostname:/lib/libc.so.6"},
      {"memleak -p 181 -s 10 -O jemalloc 5 2",
       "watch malloc:jemalloc --view stacks --pid 181 --set sample=10 --interval 5 --count 2"},
      {"stackcount -D 5 -P p::vfs_read", "watch call:vfs_read --view stacks --interval 0 --duration 5 --by pid,comm"},
      {"stackcount c:malloc", "watch user:c:malloc --view stacks --interval 0"},
      {"trace -K -M 10 vfs_read", "watch call:vfs_read --view stream --set stacks=1 --count 10"},
      {"trace t:sched:sched_process_exit", "watch tracepoint:sched:sched_process_exit --view stream"},
      {"trace r::vfs_read", "watch func:vfs_read --view stream"},
      {"funccount /bin/bash:readline", "watch user:/bin/bash:readline --view top --by function --interval 0"},
      {"ksnoop stack vfs_fsync", "watch call:vfs_fsync --view stacks"},
      {"mdflush", "watch call:md_flush_request --view stream"},
      // What cannot be.
      {"trace do_sys_open(arg1)",
       "error: no probe 'do_sys_open(arg1)' | name the function: its arguments are shown by their types, and --where "
       "tests columns"},
      {"funccount t:sched:sched_switch",
       "error: no probe 't:sched:sched_switch' | waggle watch tracepoint:sched:sched_switch --view top"},
      {"ksnoop info vfs_read", "error: no 'info' for trace|stack | one of: trace, stack"},
      {"klockstat -S hld_total", "error: no 'hld_total' for -S --sort | one of: acq_total, acq_count"},
      {"capable -K",
       "error: capable has no -K --kernel-stack -U --user-stack | its rows have no stack: waggle stackcount "
       "FUNCTION"},
      {"runqlen -O", "error: runqlen has no -O --runqocc | samples with none waiting are those of an empty queue"},
      {"biotop -s nonsense", "error: no 'nonsense' for -s --sort | one of: all, bytes, io, time"},
      {"execsnoop nginx", "error: execsnoop takes no argument 'nginx' | waggle execsnoop --help"},
      {"execsnoop -Z", "error: execsnoop has no option '-Z' | waggle execsnoop --help, and waggle watch --help"},
      {"execsnoop --nmae x", "error: execsnoop has no option '--nmae' | did you mean '--name'?"},
      {"biolatency --colums x", "error: biolatency has no option '--colums' | did you mean '--columns'?"},
      {"opensnoop -p", "error: -p needs a value | waggle opensnoop --help"},
      {"opensnoop --mntnsmap x", "error: opensnoop has no --cgroupmap --mntnsmap | --cgroup PATH, or --container ID"},
      {"sslsniff", "error: waggle has no 'sslsniff' | waggle list tools      shows what there is"},
  };
  for (const Case &c : kCases) EXPECT_EQ(expanded(c.line), c.command) << c.line;
}

TEST_F(ToolsTest, EveryRowHolds) {
  for (const Tool &tool : tools()) {
    SCOPED_TRACE(tool.name);
    EXPECT_FALSE(tool.origin.empty());
    EXPECT_NE(tool.command.empty(), tool.reason.empty()) << "a command, or the reason why not";
    for (const Verb &verb : verbs()) EXPECT_NE(verb.name, tool.name);
    if (tool.command.empty()) continue;
    EXPECT_FALSE(tool.summary.empty() || tool.summary.ends_with('.'));
    for (std::string_view line : split(tool.examples, '\n'))
      EXPECT_TRUE(line.starts_with("waggle " + std::string(tool.name))) << line;
    std::set<std::string_view> flags;
    for (std::string_view id : split(tool.habits, ' '))
      for (std::string_view flag : split(habit_of(id).flags, ' '))
        EXPECT_TRUE(flags.insert(flag).second) << flag << " means two things";
    for (std::string_view id : split(tool.arguments, ' ')) habit_of(id);
  }
}

// The sensor of a tool is there, and has what the row and its habits ask for.
TEST_F(ToolsTest, EveryCommandNamesWhatThereIs) {
  Host host;
  for (const Tool &tool : tools()) {
    SCOPED_TRACE(tool.name);
    std::vector<std::string_view> words = split(tool.command, ' ');
    if (words.empty() || words[0] != "watch") continue;
    std::vector<Declaration> sensors;
    for (std::string_view word : std::span(words).subspan(1)) {
      if (word.starts_with('-')) break;
      Result<Declaration> found = declaration_of(word.substr(0, word.find(':')));
      ASSERT_TRUE(found) << word;
      sensors.push_back(std::move(*found));
    }
    auto check = [&](std::string_view option, const std::string &value) {
      for (const Declaration &sensor : sensors) {
        auto in_either = [&](auto test) {
          return (sensor.events && test(*sensor.events)) || (sensor.table && test(*sensor.table)) ||
                 (sensor.snapshot && test(*sensor.snapshot));
        };
        bool holds = true;
        if (option == "--where" && value.find('{') == std::string::npos)
          holds =
              in_either([&](const Schema &schema) { return filter::Filter().add(value, schema, host).has_value(); });
        else if (option == "--where")
          holds = in_either([&](const Schema &schema) {
            return schema.find(value.substr(0, value.find_first_of("=!<>&~"))) != nullptr;
          });
        else if (option == "--by" || option == "--columns")
          holds = in_either([&](const Schema &schema) { return parse_fields(schema, value, {}).has_value(); });
        else if (option == "--set")
          holds = sensor.parameter(value.substr(0, value.find('='))) != nullptr;
        else if (option == "--min" || option == "--failed")
          holds = sensor.parameter(option.substr(2)) != nullptr;
        EXPECT_TRUE(holds) << sensor.name << " has no " << option << " " << value;
      }
    };
    auto check_all = [&](std::string_view text) {
      std::vector<std::string_view> each = split(text, ' ');
      for (size_t i = 0; i < each.size(); i++)
        if (each[i].starts_with("--")) check(each[i], i + 1 < each.size() ? std::string(each[i + 1]) : "");
    };
    check_all(tool.command);
    for (std::string_view id : split(tool.habits, ' ')) check_all(habit_of(id).effect);
    for (std::string_view id : split(tool.arguments, ' ')) check_all(habit_of(id).effect);
  }
}

TEST_F(ToolsTest, HelpFitsAScreenAndBeginsWithExamples) {
  for (const Tool &tool : tools()) {
    if (tool.command.empty()) continue;
    SCOPED_TRACE(tool.name);
    std::string help = help_of(tool);
    std::vector<std::string_view> lines = split(help, '\n');
    EXPECT_LE(lines.size(), 25u);  // the last one is empty
    ASSERT_GT(lines.size(), 3u);
    EXPECT_EQ(lines[2], "EXAMPLES");
    for (std::string_view line : lines) EXPECT_LE(display_width(line), 80u) << line;
  }
}

// What BCC, libbpf-tools and Inspektor Gadget call their tools.
TEST_F(ToolsTest, EveryPeersToolHasARow) {
  constexpr std::string_view kNames[] = {
      "advise_networkpolicy",
      "advise_seccomp",
      "argdist",
      "audit_seccomp",
      "bashreadline",
      "bindsnoop",
      "biolatency",
      "biolatpcts",
      "biopattern",
      "biosnoop",
      "biostacks",
      "biotop",
      "bitesize",
      "bpflist",
      "bpfstats",
      "btrfsdist",
      "btrfsslower",
      "cachestat",
      "cachetop",
      "capable",
      "compactsnoop",
      "cpudist",
      "cpufreq",
      "cpuunclaimed",
      "criticalstat",
      "dbslower",
      "dbstat",
      "dcsnoop",
      "dcstat",
      "deadlock",
      "dirtop",
      "drsnoop",
      "execsnoop",
      "exitsnoop",
      "ext4dist",
      "ext4slower",
      "f2fsslower",
      "fdpass",
      "filegone",
      "filelife",
      "fileslower",
      "filetop",
      "fsdist",
      "fsnotify",
      "fsslower",
      "funccount",
      "funcinterval",
      "funclatency",
      "funcslower",
      "futexctn",
      "gethostlatency",
      "gpu_top",
      "gpu_top_per_pid",
      "hardirqs",
      "inject",
      "javagc",
      "killsnoop",
      "klockstat",
      "ksnoop",
      "kvmexit",
      "llcstat",
      "mdflush",
      "memleak",
      "mountsnoop",
      "mptcpify",
      "mysqld_qslower",
      "netqtop",
      "nfsdist",
      "nfsslower",
      "numamove",
      "numasched",
      "offcputime",
      "offwaketime",
      "oomkill",
      "opensnoop",
      "pidpersec",
      "ppchcalls",
      "profile",
      "profile_blockio",
      "profile_cpu",
      "profile_cuda",
      "profile_qdisc_latency",
      "profile_tcprtt",
      "rdmaucma",
      "readahead",
      "runqlat",
      "runqlen",
      "runqslower",
      "shmsnoop",
      "sigsnoop",
      "slabratetop",
      "snapshot_file",
      "snapshot_process",
      "snapshot_socket",
      "sofdsnoop",
      "softirqs",
      "softirqslower",
      "solisten",
      "sslsniff",
      "stackcount",
      "statsnoop",
      "swapin",
      "syncsnoop",
      "syscount",
      "tcpaccept",
      "tcpcong",
      "tcpconnect",
      "tcpconnlat",
      "tcpdrop",
      "tcpdump",
      "tcplife",
      "tcppktlat",
      "tcpretrans",
      "tcprtt",
      "tcpstates",
      "tcpsubnet",
      "tcpsynbl",
      "tcptop",
      "tcptracer",
      "threadsnoop",
      "top_blockio",
      "top_cpu_throttle",
      "top_cuda_memory",
      "top_file",
      "top_process",
      "top_tcp",
      "tplist",
      "trace",
      "trace_bind",
      "trace_capabilities",
      "trace_dns",
      "trace_exec",
      "trace_fsslower",
      "trace_gpu_starvation",
      "trace_init_module",
      "trace_link",
      "trace_lsm",
      "trace_malloc",
      "trace_mount",
      "trace_oomkill",
      "trace_open",
      "trace_signal",
      "trace_sni",
      "trace_ssl",
      "trace_tcp",
      "trace_tcpdrop",
      "trace_tcpretrans",
      "traceloop",
      "ttysnoop",
      "vfscount",
      "vfsstat",
      "virtiostat",
      "wakeuptime",
      "wqlat",
      "xfsdist",
      "xfsslower",
      "zfsdist",
      "zfsslower",
  };
  EXPECT_EQ(std::size(kNames), 158u);
  for (std::string_view name : kNames) EXPECT_NE(find_tool(name), nullptr) << name;
}

}  // namespace
}  // namespace waggle
