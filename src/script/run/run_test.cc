// Scripts that are written by hand, run in the kernel: what check and lower make of text has
// tests of its own.
#include "script/run/run.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "codegen/builder.h"
#include "codegen/compile.h"
#include "script/run/maps.h"

namespace waggle::script {
namespace {

using codegen::Builder;
using codegen::Value;

constexpr uint32_t kRingMap = 0, kLostMap = 1, kCountMap = 2;

// A script of programs that each do a few of these things in their order.
struct Does {
  enum class What : uint8_t { kPrint, kExit, kCount } what = What::kPrint;
  uint64_t number = 0;
};

class Maker {
 public:
  explicit Maker(uint32_t ring_bytes = 65536) {
    source_ = sources_.add("stdin", "begin { }");
    script_.maps.push_back({{"@n", Type(), Type::aggregate(TypeKind::kCount, false)}, {}, 1, {}});
    Action print;
    print.kind = Action::Kind::kPrintf;
    print.format = *Format::compile("printf", "n %d\n", {Type::integer(8, false)});
    print.row = print.format->row();
    script_.actions.push_back(std::move(print));
    Action exit;
    exit.kind = Action::Kind::kExit;
    exit.row = Type::tuple({{"", Type::integer(8, false)}});
    script_.actions.push_back(std::move(exit));
    lowered_.maps.push_back({MapPlan::Role::kRing, 0, "ring", BPF_MAP_TYPE_RINGBUF, 0, 0, ring_bytes, 0});
    lowered_.maps.push_back({MapPlan::Role::kLost, 0, "lost", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 0});
    lowered_.maps.push_back({MapPlan::Role::kScript, 0, "n", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 0});
  }

  Maker &program(AttachPoint point, Mechanism mechanism, const std::vector<Does> &body) {
    Program program;
    ConcreteProbe probe;
    probe.name = point.text();
    probe.point = std::move(point);
    probe.mechanism = mechanism;
    program.probes.push_back(std::move(probe));
    program.name = "test";
    program.at = {source_, 0, 5};
    script_.programs.push_back(std::move(program));
    Builder builder("test");
    for (const Does &each : body) emit(builder, each);
    builder.ret(0);
    std::vector<codegen::Function> functions;
    functions.push_back(builder.finish());
    LoweredProgram made;
    made.program = static_cast<uint32_t>(script_.programs.size() - 1);
    made.code = *codegen::compile(functions);
    lowered_.programs.push_back(std::move(made));
    return *this;
  }

  struct Ran {
    std::string out, error;
    Result<RunResult> result;
  };
  Ran run(RunOptions options = {}) {
    Ran ran;
    Sink sink(Buffering::kFull);
    std::unique_ptr<Output> output = make_text_output(
        {[&](std::string_view text) { ran.out += text; }, [&](std::string_view text) { ran.error += text; }});
    Run run(script_, sources_, lowered_, options);
    ran.result = run.run(*output, sink);
    return ran;
  }

  Script &script() { return script_; }

 private:
  static void emit(Builder &builder, const Does &does) {
    if (does.what == Does::What::kCount) {
      auto key = builder.slot(4, 4);
      builder.store(codegen::Size::k4, key, 0, 0);
      auto value = builder.call(BPF_FUNC_map_lookup_elem, {Value::map(kCountMap), key});
      add_one(builder, value);
      builder.release(key);
      return;
    }
    auto record = builder.slot(16);
    builder.store(codegen::Size::k8, record, 0, does.what == Does::What::kPrint ? 0 : 1);
    builder.store(codegen::Size::k8, record, 8, does.number);
    auto failed = builder.call(BPF_FUNC_ringbuf_output, {Value::map(kRingMap), record, 16, uint32_t{BPF_RB_NO_WAKEUP}});
    auto sent = builder.label();
    builder.branch(codegen::Condition::kEqual, failed, 0, sent);
    auto key = builder.slot(4, 4);
    builder.store(codegen::Size::k4, key, 0, 0);
    auto lost = builder.call(BPF_FUNC_map_lookup_elem, {Value::map(kLostMap), key});
    add_one(builder, lost);
    builder.bind(sent);
    builder.release(record);
    builder.release(key);
  }

  static void add_one(Builder &builder, codegen::Register address) {
    auto none = builder.label();
    builder.branch(codegen::Condition::kEqual, address, 0, none);
    builder.store(codegen::Size::k8, address, 0, builder.add(builder.load(codegen::Size::k8, address), 1));
    builder.bind(none);
  }

  Sources sources_;
  uint32_t source_ = 0;
  Script script_;
  Lowered lowered_;
};

AttachPoint point_of(std::string_view text) {
  return *parse_attach_point(text);
}

constexpr Does kExit{Does::What::kExit, 0}, kCount{Does::What::kCount, 0};
constexpr Does print(uint64_t number) {
  return {Does::What::kPrint, number};
}

class RunTest : public testing::Test {
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "loading programs takes root";
  }
};

TEST_F(RunTest, BeginPrintsAndEndsByItself) {
  Maker::Ran ran = Maker().program(point_of("begin"), Mechanism::kItself, {print(1), kCount, print(2)}).run();
  ASSERT_TRUE(ran.result) << ran.result.error().text();
  EXPECT_EQ(ran.out, "n 1\nn 2\n\n\n@n: 1\n");
  EXPECT_EQ(ran.error, "Attached 1 probe\n");
  EXPECT_EQ(ran.result->exit_code, 0);
}

TEST_F(RunTest, WhatFollowsExitIsDropped) {
  Maker::Ran ran = Maker()
                       .program(point_of("begin"), Mechanism::kItself, {print(1), {Does::What::kExit, 3}, print(2)})
                       .program(point_of("end"), Mechanism::kItself, {print(9)})
                       .run();
  ASSERT_TRUE(ran.result) << ran.result.error().text();
  EXPECT_EQ(ran.out, "n 1\nn 9\n\n\n@n: 0\n");
  EXPECT_EQ(ran.error, "Attached 2 probes\n");
  EXPECT_EQ(ran.result->exit_code, 3);
}

TEST_F(RunTest, MapsAreNotPrintedWhereTheScriptSaysSo) {
  Maker maker;
  maker.program(point_of("begin"), Mechanism::kItself, {kCount});
  maker.script().config.print_maps_on_exit = false;
  EXPECT_EQ(maker.run().out, "\n\n");
}

TEST_F(RunTest, DryRunsDoNothing) {
  RunOptions options;
  options.is_dry = true;
  Maker::Ran ran = Maker().program(point_of("begin"), Mechanism::kItself, {print(1)}).run(options);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.error, "Attached 1 probe\n");
}

TEST_F(RunTest, LostEventsAreCountedToTheUnit) {
  // A record takes 24 bytes with its header: a page and no more has room for 170.
  std::vector<Does> body;
  for (uint64_t i = 0; i < 200; i++) body.push_back(print(i));
  Maker::Ran ran = Maker(4096).program(point_of("begin"), Mechanism::kItself, body).run();
  ASSERT_TRUE(ran.result) << ran.result.error().text();
  EXPECT_NE(ran.out.find("n 169\n"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("n 170\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("Lost 30 events\n"), std::string::npos) << ran.out;
}

TEST_F(RunTest, IntervalsFire) {
  Maker::Ran ran = Maker()
                       .program(point_of("interval:ms:1"), Mechanism::kPerfEvent, {print(5), kExit})
                       .program(point_of("end"), Mechanism::kItself, {print(6)})
                       .run();
  ASSERT_TRUE(ran.result) << ran.result.error().text();
  EXPECT_EQ(ran.out.substr(0, 8), "n 5\nn 6\n");
}

TEST_F(RunTest, MissingProbesAreAsTheScriptSays) {
  struct Case {
    Config::MissingProbes how;
    std::string_view error;
    bool is_well;
  } cases[] = {{Config::MissingProbes::kError, "ERROR: Unable to attach probe: tracepoint:no:such", false},
               {Config::MissingProbes::kWarn, "WARNING: Unable to attach probe: tracepoint:no:such", true},
               {Config::MissingProbes::kIgnore, "", true}};
  for (const Case &each : cases) {
    Maker maker;
    maker.program(point_of("begin"), Mechanism::kItself, {kExit});
    maker.program(point_of("tracepoint:no:such"), Mechanism::kTracepoint, {print(1)});
    maker.script().config.missing_probes = each.how;
    testing::internal::CaptureStderr();
    Maker::Ran ran = maker.run();
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(ran.result.has_value(), each.is_well);
    EXPECT_EQ(said.substr(0, each.error.size()), each.error);
    if (each.is_well) {
      EXPECT_EQ(ran.error, "Attached 1 probe\n");
    }
  }
}

TEST_F(RunTest, TheEndOfTheChildEndsTheRun) {
  Result<Child> child = Child::start("/bin/sh -c 'exit 4'");
  ASSERT_TRUE(child) << child.error().text();
  RunOptions options;
  options.child = &*child;
  Maker::Ran ran =
      Maker().program(point_of("tracepoint:raw_syscalls:sys_enter"), Mechanism::kTracepoint, {kCount}).run(options);
  ASSERT_TRUE(ran.result) << ran.result.error().text();
  EXPECT_TRUE(child->has_ended());
  EXPECT_EQ(ran.out.find("@n: 0\n"), std::string::npos) << "the command was not seen to run";
}

TEST(CommandWords, AreSeparatedByBlanks) {
  struct Case {
    std::string command;
    std::vector<std::string> words;  // none: an error
  } cases[] = {
      {"ls", {"ls"}},
      {"  ls  -l ", {"ls", "-l"}},
      {"sh -c 'echo a b'", {"sh", "-c", "echo a b"}},
      {"echo \"it's\" x", {"echo", "it's", "x"}},
      {"echo a\\ b ''", {"echo", "a b", ""}},
      {"echo '", {}},
      {" ", {}},
  };
  for (const Case &each : cases) {
    Result<std::vector<std::string>> words = command_words(each.command);
    EXPECT_EQ(words.has_value(), !each.words.empty()) << each.command;
    if (words) {
      EXPECT_EQ(*words, each.words) << each.command;
    }
  }
}

TEST(Children, NeedAProgram) {
  Result<Child> child = Child::start("no-such-program --at all");
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().what, "path 'no-such-program' does not exist or is not executable");
}

}  // namespace
}  // namespace waggle::script
