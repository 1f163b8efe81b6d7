#include "script/probes/attach_point.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

namespace waggle::script {
namespace {

AttachPoint point(Provider provider, std::string target = {}, std::string function = {}) {
  AttachPoint result;
  result.provider = provider;
  result.target = std::move(target);
  result.function = std::move(function);
  return result;
}

// The same with one field more.
template <typename Value>
AttachPoint with(AttachPoint base, Value AttachPoint::*field, Value value) {
  base.*field = std::move(value);
  return base;
}
AttachPoint rate(Provider provider, RateUnit unit, uint64_t count) {
  return with(with(point(provider), &AttachPoint::unit, unit), &AttachPoint::count, count);
}

TEST(AttachPoint, IsParsed) {
  using enum Provider;
  struct Case {
    std::string_view text;
    AttachPoint wanted;
    std::string_view name;  // what the builtin `probe` is
  };
  const Case cases[] = {
      {"begin", point(kBegin), "begin"},
      {"BEGIN", point(kBegin), "begin"},
      {"End", point(kEnd), "end"},
      {"self:signal:SIGUSR1", point(kSelf, "signal", "SIGUSR1"), "self:signal:SIGUSR1"},
      {"bench:loop", point(kBench, "", "loop"), "bench:loop"},
      {"test:one", point(kTest, "", "one"), "test:one"},
      {"kprobe:vfs_read", point(kKprobe, "", "vfs_read"), "kprobe:vfs_read"},
      {"KProbe:vfs_read", point(kKprobe, "", "vfs_read"), "kprobe:vfs_read"},
      {"k:vfs_read", point(kKprobe, "", "vfs_read"), "kprobe:vfs_read"},
      {"kprobe:\"vfs_read\"", point(kKprobe, "", "vfs_read"), "kprobe:vfs_read"},
      {"kprobe:vfs_*", point(kKprobe, "", "vfs_*"), "kprobe:vfs_*"},
      {"kprobe:nf_tables:nft_*", point(kKprobe, "nf_tables", "nft_*"), "kprobe:nf_tables:nft_*"},
      {"kprobe:vfs_read+16", with(point(kKprobe, "", "vfs_read"), &AttachPoint::offset, uint64_t{16}),
       "kprobe:vfs_read+16"},
      {"kprobe:vfs_read+0x10", with(point(kKprobe, "", "vfs_read"), &AttachPoint::offset, uint64_t{16}),
       "kprobe:vfs_read+16"},
      {"kr:vfs_read", point(kKretprobe, "", "vfs_read"), "kretprobe:vfs_read"},
      {"fentry:vfs_read", point(kFentry, "", "vfs_read"), "fentry:vfs_read"},
      {"kfunc:vfs_read", point(kFentry, "", "vfs_read"), "fentry:vfs_read"},
      {"KFUNC:vfs_read", point(kFentry, "", "vfs_read"), "fentry:vfs_read"},
      {"f:vmlinux:vfs_read", point(kFentry, "vmlinux", "vfs_read"), "fentry:vmlinux:vfs_read"},
      {"fr:vfs_read", point(kFexit, "", "vfs_read"), "fexit:vfs_read"},
      {"kretfunc:vfs_read", point(kFexit, "", "vfs_read"), "fexit:vfs_read"},
      {"fentry:bpf:my_prog", point(kFentry, "bpf", "my_prog"), "fentry:bpf:my_prog"},
      {"fentry:bpf:123:my_prog", with(point(kFentry, "bpf", "my_prog"), &AttachPoint::program_id, 123u),
       "fentry:bpf:123:my_prog"},
      {"tracepoint:syscalls:sys_enter_*", point(kTracepoint, "syscalls", "sys_enter_*"),
       "tracepoint:syscalls:sys_enter_*"},
      {"t:*open*", point(kTracepoint, "*", "*open*"), "tracepoint:*:*open*"},
      {"rawtracepoint:sched_switch", point(kRawTracepoint, "", "sched_switch"), "rawtracepoint:sched_switch"},
      {"rt:vmlinux:sched_switch", point(kRawTracepoint, "vmlinux", "sched_switch"),
       "rawtracepoint:vmlinux:sched_switch"},
      {"uprobe:/bin/bash:readline", point(kUprobe, "/bin/bash", "readline"), "uprobe:/bin/bash:readline"},
      {"u:libc:malloc", point(kUprobe, "libc", "malloc"), "uprobe:libc:malloc"},
      {"uprobe:/bin/a:0x1234", with(point(kUprobe, "/bin/a"), &AttachPoint::address, uint64_t{0x1234}),
       "uprobe:/bin/a:4660"},
      {"uprobe:/bin/a:\"func+4\"", with(point(kUprobe, "/bin/a", "func"), &AttachPoint::offset, uint64_t{4}),
       "uprobe:/bin/a:func+4"},
      {"uprobe:/bin/a:cpp:ns::f", with(point(kUprobe, "/bin/a", "ns::f"), &AttachPoint::language, std::string("cpp")),
       "uprobe:/bin/a:cpp:ns::f"},
      {"uprobe:/bin/a:cpp:\"ns::f(int, char)\"",
       with(point(kUprobe, "/bin/a", "ns::f(int, char)"), &AttachPoint::language, std::string("cpp")),
       "uprobe:/bin/a:cpp:ns::f(int, char)"},
      {"uprobe:/bin/a:cpp:operator+",
       with(point(kUprobe, "/bin/a", "operator+"), &AttachPoint::language, std::string("cpp")),
       "uprobe:/bin/a:cpp:operator+"},
      {"uprobe:\"/bin/a:b\":f", point(kUprobe, "/bin/a:b", "f"), "uprobe:/bin/a:b:f"},
      {"ur:/bin/bash:readline", point(kUretprobe, "/bin/bash", "readline"), "uretprobe:/bin/bash:readline"},
      {"usdt:/bin/a:name", point(kUsdt, "/bin/a", "name"), "usdt:/bin/a:name"},
      {"U:/bin/a:provider:name",
       with(point(kUsdt, "/bin/a", "name"), &AttachPoint::usdt_provider, std::string("provider")),
       "usdt:/bin/a:provider:name"},
      {"profile:hz:99", rate(kProfile, RateUnit::kHz, 99), "profile:hz:99"},
      {"p:ms:10", rate(kProfile, RateUnit::kMilliseconds, 10), "profile:ms:10"},
      {"profile:us:1_000", rate(kProfile, RateUnit::kMicroseconds, 1000), "profile:us:1000"},
      {"profile:5s", rate(kProfile, RateUnit::kSeconds, 5), "profile:s:5"},
      {"profile:99hz", rate(kProfile, RateUnit::kHz, 99), "profile:hz:99"},
      {"interval:s:1", rate(kInterval, RateUnit::kSeconds, 1), "interval:s:1"},
      {"interval:s:1e3", rate(kInterval, RateUnit::kSeconds, 1000), "interval:s:1000"},
      {"i:1s", rate(kInterval, RateUnit::kSeconds, 1), "interval:s:1"},
      {"interval:2m", rate(kInterval, RateUnit::kSeconds, 120), "interval:s:120"},
      {"interval:1000", rate(kInterval, RateUnit::kMicroseconds, 1), "interval:us:1"},
      {"software:page-faults:100", with(point(kSoftware, "", "page-faults"), &AttachPoint::count, uint64_t{100}),
       "software:page-faults:100"},
      {"s:faults", point(kSoftware, "", "faults"), "software:faults"},
      {"software:cs:", point(kSoftware, "", "cs"), "software:cs"},
      {"h:cache-misses:1e6", with(point(kHardware, "", "cache-misses"), &AttachPoint::count, uint64_t{1'000'000}),
       "hardware:cache-misses:1000000"},
      {"iter:task", point(kIterator, "", "task"), "iter:task"},
      {"it:task_file:/sys/fs/bpf/pin",
       with(point(kIterator, "", "task_file"), &AttachPoint::pin, std::string("/sys/fs/bpf/pin")),
       "iter:task_file:/sys/fs/bpf/pin"},
  };
  for (const Case &c : cases) {
    auto parsed = parse_attach_point(c.text);
    ASSERT_TRUE(parsed) << c.text << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, c.wanted) << c.text << " is " << parsed->text();
    EXPECT_EQ(parsed->text(), c.name);
  }
  auto watch = parse_attach_point("w:0x10000000:8:rw");
  ASSERT_TRUE(watch);
  EXPECT_EQ(watch->address, 0x10000000u);
  EXPECT_EQ(watch->length, 8u);
  EXPECT_EQ(watch->mode, "rw");
  EXPECT_EQ(parse_attach_point("watchpoint:0x10:4:wr")->mode, "rw");
}

TEST(AttachPoint, MayLeaveOutTheFileOfAProcess) {
  const AttachPointOptions with_process{true, false};
  auto function = parse_attach_point("uprobe:main", with_process);
  ASSERT_TRUE(function);
  EXPECT_EQ(*function, point(Provider::kUprobe, "", "main"));
  auto cpp = parse_attach_point("uprobe:cpp:ns::f", with_process);
  ASSERT_TRUE(cpp);
  EXPECT_EQ(cpp->language, "cpp");
  EXPECT_EQ(cpp->function, "ns::f");
  auto any = parse_attach_point("uprobe:*:malloc", with_process);
  ASSERT_TRUE(any);
  EXPECT_EQ(any->target, "*");
  for (std::string_view text : {"usdt::name", "usdt:name"}) {
    auto usdt = parse_attach_point(text, with_process);
    ASSERT_TRUE(usdt) << text;
    EXPECT_EQ(*usdt, point(Provider::kUsdt, "", "name"));
  }
}

TEST(AttachPoint, SaysWhatIsWrongAndWhere) {
  struct Case {
    std::string_view text, message;
    size_t begin, end;
    std::string_view hint;
  };
  constexpr Case kCases[] = {
      {"", "Invalid attachpoint definition", 0, 1, ""},
      {"kprob:vfs_read", "Invalid probe type: kprob", 0, 5, "did you mean 'kprobe'?"},
      {"nosuch", "Invalid probe type: nosuch", 0, 6, "probe types are"},
      {"kprobe", "kprobe probe type requires 1 or 2 arguments, found 0", 0, 6, "kprobe:vfs_read"},
      {"kprobe:a:b:c", "kprobe probe type requires 1 or 2 arguments, found 3", 0, 12, ""},
      {"kprobe:", "kprobes should be attached to a function", 6, 7, ""},
      {"kprobe:vfs_read+abc", "Invalid offset: 'abc' is not a number", 7, 19, ""},
      {"kprobe:vfs_read+1+2", "Cannot take more than one offset", 7, 19, ""},
      {"kprobe:vfs_*+4", "Cannot use wildcards with an offset", 7, 14, ""},
      {"kretprobe:vfs_read+4", "Offset not allowed", 10, 20, ""},
      {"kprobe:\"vfs_read", "unterminated string in attach point", 7, 16, ""},
      {"fentry:a:b:c", "fentry probe type requires 1 or 2 arguments, found 3", 0, 12, ""},
      {"fentry:bpf:x:f", "Invalid BPF program id: 'x'", 11, 12, "bpftool"},
      {"fexit:", "fexit should specify a function", 5, 6, ""},
      {"tracepoint:sched", "tracepoint probe type requires 2 arguments, found 1", 0, 16, ""},
      {"tracepoint::x", "tracepoint probe must have a target", 10, 11, ""},
      {"rawtracepoint", "rawtracepoint probe type requires 1 or 2 arguments, found 0", 0, 13, ""},
      {"uprobe:/bin/bash", "uprobe probe type requires 2 or 3 arguments, found 1", 0, 16, ""},
      {"uprobe::f", "uprobe should have a target", 6, 7, ""},
      {"uprobe:/bin/a:c:f", "Unsupported language: c", 14, 15, ""},
      {"uprobe:/bin/a:", "uprobe should be attached to a function and/or address", 13, 14, ""},
      {"uprobe:/bin/a:0xzz", "Invalid address: '0xzz' is not a number", 14, 18, ""},
      {"uprobe:/bin/*:0x10", "Cannot use wildcards with absolute address", 7, 13, ""},
      {"uretprobe:/bin/a:f+4", "uretprobes can not be attached to a function offset", 17, 20, ""},
      {"usdt:/bin/a", "usdt probe type requires 2 or 3 arguments, found 1", 0, 11, ""},
      {"usdt::x", "usdt probe must specify at least path or pid to probe", 4, 5, "-p PID"},
      {"usdt:/bin/a:", "usdt probe must have a target function or wildcard", 11, 12, ""},
      {"profile", "profile probe type requires 1 or 2 arguments, found 0", 0, 7, "profile:hz:99"},
      {"profile:foo:1", "foo is not an accepted unit of time", 8, 11, "hz, us, ms and s"},
      {"profile:5q", "q is not an accepted unit of time", 8, 10, ""},
      {"profile:hz", "profile probe must have an integer frequency", 8, 10, ""},
      {"profile:hz:abc", "Invalid rate of profile probe: 'abc' is not a number", 11, 14, ""},
      {"profile:hz:0", "profile frequency should be a positive integer", 11, 12, ""},
      {"profile:99", "Invalid rate of profile probe. Minimum is 1000 or 1us. Found: 99 nanoseconds", 8, 10, "unit"},
      {"interval:s:-1", "Invalid rate of interval probe: '-1' is not a number", 11, 13, ""},
      {"interval:s:1:2", "interval probe type requires 1 or 2 arguments, found 3", 0, 14, ""},
      {"interval:s:1e19", "Invalid rate of interval probe: 1e19 is too large", 11, 15, ""},
      {"software:", "software probe must have a software event name", 8, 9, ""},
      {"software:fault", "fault is not a software probe", 9, 14, "did you mean 'faults'?"},
      {"software:faults:abc", "Invalid count for software probe: 'abc' is not a number", 16, 19, ""},
      {"hardware:zzz", "zzz is not a hardware probe", 9, 12, "-l 'hardware:*'"},
      {"hardware:*", "wildcards are not allowed for hardware probe type", 9, 10, ""},
      {"watchpoint:0x10:8", "watchpoint probe type requires 3 arguments, found 2", 0, 17, ""},
      {"watchpoint:f:8:rw", "Invalid function/address argument", 11, 12, ""},
      {"watchpoint:0x10:x:rw", "Invalid length argument", 16, 17, ""},
      {"watchpoint:0:8:rw", "watchpoint must be attached to a non-zero address", 11, 12, ""},
      {"watchpoint:0x10:9:rw", "watchpoint length must be one of (1,2,4,8)", 16, 17, ""},
      {"watchpoint:0x10:8:q", "watchpoint mode must be combination of (r,w,x)", 18, 19, ""},
      {"watchpoint:0x10:8:ww", "watchpoint modes may not be duplicated", 18, 20, ""},
      {"watchpoint:0x10:8:rx", "invalid watchpoint mode: rx", 18, 20, ""},
      {"iter", "iter probe type requires 1 or 2 arguments, found 0", 0, 4, ""},
      {"begin:x", "begin probe type requires 0 arguments, found 1", 0, 7, ""},
      {"self:signal", "self probe type requires 2 arguments, found 1", 0, 11, ""},
      {"self:timer:x", "timer is not a supported trigger", 5, 10, ""},
      {"self:signal:SIGINT", "SIGINT is not a supported signal", 12, 18, "SIGUSR1"},
      {"bench:", "bench probes must have a name", 5, 6, ""},
  };
  for (const Case &c : kCases) {
    auto parsed = parse_attach_point(c.text);
    ASSERT_FALSE(parsed) << c.text;
    EXPECT_EQ(parsed.error().message, c.message) << c.text;
    EXPECT_EQ(parsed.error().begin, c.begin) << c.text;
    EXPECT_EQ(parsed.error().end, c.end) << c.text;
    EXPECT_NE(parsed.error().hint.find(c.hint), std::string::npos) << c.text << ": " << parsed.error().hint;
  }
}

TEST(AttachPoints, TakePatternsOfProviders) {
  struct Case {
    std::string_view text;
    bool listing;
    std::string_view wanted;  // names, joined with blanks
  };
  constexpr Case kCases[] = {
      {"kprobe:vfs_read", false, "kprobe:vfs_read"},
      {"k*:vfs_read", false, "kprobe:vfs_read kretprobe:vfs_read"},
      {"*probe:/bin/a:f", false, "kprobe:/bin/a:f kretprobe:/bin/a:f uprobe:/bin/a:f uretprobe:/bin/a:f"},
      {"*sched*", true,
       "kprobe:*sched* fentry:*sched* tracepoint:*:*sched* rawtracepoint:*sched* software:*sched* "
       "hardware:*sched* iter:*sched*"},
      {"tracepoint", true, "tracepoint:*:*"},
      {"software:*", true, "software:*"},
      {"interval", true, "interval:*"},
  };
  for (const Case &c : kCases) {
    auto points = parse_attach_points(c.text, {false, c.listing});
    ASSERT_TRUE(points) << c.text << ": " << points.error().message;
    std::string names;
    for (const AttachPoint &each : *points) names += (names.empty() ? "" : " ") + each.text();
    EXPECT_EQ(names, c.wanted) << c.text;
  }
  auto none = parse_attach_points("zz*:f");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "No probe type matched for zz*");
}

TEST(AttachPoint, OfARateHasAPeriod) {
  EXPECT_EQ(parse_attach_point("profile:hz:100")->period_ns(), 10'000'000u);
  EXPECT_EQ(parse_attach_point("interval:250ms")->period_ns(), 250'000'000u);
}

TEST(CountedEvents, AreFoundByNameAndAlias) {
  EXPECT_EQ(find_counted_event(Provider::kSoftware, "faults")->name, "page-faults");
  EXPECT_EQ(find_counted_event(Provider::kSoftware, "page-faults")->default_count, 100u);
  EXPECT_EQ(find_counted_event(Provider::kHardware, "cycles")->config, uint64_t{PERF_COUNT_HW_CPU_CYCLES});
  EXPECT_EQ(find_counted_event(Provider::kHardware, ""), nullptr);
  EXPECT_EQ(find_counted_event(Provider::kHardware, "faults"), nullptr);
}

TEST(Wildcard, Matches) {
  struct Case {
    std::string_view pattern, text;
    bool matches;
  };
  constexpr Case kCases[] = {
      {"vfs_*", "vfs_read", true},
      {"*_read", "vfs_read", true},
      {"*s*r*d", "vfs_read", true},
      {"vfs_rea?", "vfs_read", true},
      {"vfs_[rw]*", "vfs_read", true},
      {"vfs_[rw]*", "vfs_write", true},
      {"vfs_[rw]*", "vfs_fsync", false},
      {"x[a-c]y", "xby", true},
      {"x[a-c]y", "xdy", false},
      {"x[!a]y", "xby", true},
      {"x[!a]y", "xay", false},
      {"operator[]", "operator[]", true},
      {"operator[]", "operator", false},
      {"a[b", "a[b", true},
      {"", "", true},
      {"*", "", true},
      {"?", "", false},
      {"[a]", "", false},
      {"vfs_read", "vfs_readv", false},
      {"*[x", "ab[x", true},
      {"**a**", "bab", true},
      {"[a-]", "-", true},
  };
  for (const Case &c : kCases) {
    EXPECT_EQ(wildcard_match(c.pattern, c.text), c.matches) << c.pattern << " " << c.text;
  }
  EXPECT_TRUE(has_wildcard("a[bc]"));
  EXPECT_FALSE(has_wildcard("a[]"));
  EXPECT_FALSE(has_wildcard("a[b"));
  EXPECT_EQ(wider_glob("vfs_[rw]*[]"), "vfs_?*[]");
}

}  // namespace
}  // namespace waggle::script
