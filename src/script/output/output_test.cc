#include "script/output/output.h"

#include <gtest/gtest.h>

#include <functional>

#include "script/output/fake_resolver.h"

namespace waggle::script {
namespace {

TEST(Output, HasATextAndAJsonForm) {
  Place place{"stdin", 1, 9, 1, 13, "begin { fail }"};
  struct Case {
    std::function<void(Output &, Resolver &)> say;
    std::string out, error, json;
  };
  const std::string_view kWords[] = {"a", "b\""};
  const Case kCases[] = {
      {[](Output &to, Resolver &) { to.printf("a\n\"\x01\xff"); }, "a\n\"\x01\xff", "",
       R"({"type": "printf", "data": "a\n\"\u0001\udcff"})"},
      {[&](Output &to, Resolver &) { to.errorf(place, "bad"); }, "",
       "stdin:1:9-13: ERROR: bad\nbegin { fail }\n        ~~~~\n",
       R"({"type": "errorf", "data": "bad", "filename": "stdin", "line": 1, "col": 9})"},
      {[&](Output &to, Resolver &) { to.warnf(Place{}, "odd\n"); }, "", "WARNING: odd\n",
       R"({"type": "warnf", "data": "odd\n"})"},
      {[](Output &to, Resolver &resolver) { to.value(Type::integer(8, true), bytes_of<int64_t>(-3), resolver); },
       "-3\n", "", R"({"type": "value", "data": -3})"},
      {[](Output &to, Resolver &resolver) {
         to.map({"@", Type(), Type::integer(8, true)}, {{{}, bytes_of<int64_t>(1)}}, {}, resolver);
       },
       "@: 1\n", "", R"({"type": "map", "data": {"@": 1}})"},
      {[](Output &to, Resolver &) { to.time("12:00:00\n"); }, "12:00:00\n", "",
       R"({"type": "time", "data": "12:00:00\n"})"},
      {[&](Output &to, Resolver &) { to.join(kWords, ","); }, "a,b\"\n", "", R"({"type": "join", "data": "a,b\""})"},
      {[](Output &to, Resolver &) { to.cat("x"); }, "x", "", R"({"type": "cat", "data": "x"})"},
      {[](Output &to, Resolver &) { to.system("x"); }, "x", "", R"({"type": "syscall", "data": "x"})"},
      {[](Output &to, Resolver &) { to.attached_probes(1); }, "", "Attached 1 probe\n",
       R"({"type": "attached_probes", "data": {"probes": 1}})"},
      {[](Output &to, Resolver &) { to.attached_probes(2); }, "", "Attached 2 probes\n",
       R"({"type": "attached_probes", "data": {"probes": 2}})"},
      {[](Output &to, Resolver &) {
         const Benchmark results[] = {{"a", 23}, {"a_longer_one", 5}};
         to.benchmarks(results);
       },
       "+--------------+-------------+\n"
       "| BENCHMARK    | NANOSECONDS |\n"
       "+--------------+-------------+\n"
       "| a            |          23 |\n"
       "| a_longer_one |           5 |\n"
       "+--------------+-------------+\n",
       "", R"({"type": "benchmark_results", "data": {"a": 23, "a_longer_one": 5}})"},
      {[](Output &to, Resolver &) { to.lost_events(5); }, "Lost 5 events\n", "",
       R"({"type": "lost_events", "data": {"events": 5}})"},
      {[&](Output &to, Resolver &) {
         to.runtime_error({place, "Can't delete.", "map_delete_elem", -2});
       },
       "",
       "stdin:1:9-13: WARNING: Can't delete.\nAdditional Info - helper: map_delete_elem, retcode: -2\n"
       "begin { fail }\n        ~~~~\n",
       R"({"type": "helper_error", "msg": "Can't delete.", "helper": "map_delete_elem", "retcode": -2, )"
       R"("filename": "stdin", "line": 1, "col": 9})"},
      {[&](Output &to, Resolver &) {
         to.runtime_error({place, "Divided by 0.", "", 0});
       },
       "", "stdin:1:9-13: WARNING: Divided by 0.\nbegin { fail }\n        ~~~~\n",
       R"({"type": "runtime_error", "msg": "Divided by 0.", "filename": "stdin", "line": 1, "col": 9})"},
      {[](Output &to, Resolver &) { to.end(); }, "\n\n", "", ""},
  };
  for (const Case &each : kCases) {
    FakeResolver resolver;
    std::string out, error;
    Streams streams{[&](std::string_view text) { out += text; }, [&](std::string_view text) { error += text; }};
    each.say(*make_text_output(streams), resolver);
    EXPECT_EQ(out, each.out);
    EXPECT_EQ(error, each.error);
    out.clear();
    error.clear();
    each.say(*make_json_output(streams), resolver);
    EXPECT_EQ(out, each.json.empty() ? "" : each.json + "\n");
    EXPECT_EQ(error, "");
  }
}

TEST(Place, IsALineOrLinesOfAFile) {
  struct {
    Place place;
    const char *text;
  } cases[] = {
      {{}, ""},
      {{"a.bt", 0, 0, 0, 0, ""}, "a.bt"},
      {{"a.bt", 3, 5, 0, 0, ""}, "a.bt:3:5"},
      {{"a.bt", 3, 5, 3, 9, ""}, "a.bt:3:5-9"},
      {{"a.bt", 3, 5, 4, 2, ""}, "a.bt:3-4"},
  };
  for (const auto &each : cases) EXPECT_EQ(each.place.text(), each.text);
}

TEST(Output, ShowsASourceLineOnlyWhereThePlaceIsInIt) {
  std::string error;
  auto output = make_text_output({{}, [&](std::string_view text) { error += text; }});
  output->runtime_error({{"a", 1, 99, 1, 100, "x"}, "m", "", 0});
  EXPECT_EQ(error, "a:1:99-100: WARNING: m\n");
  error.clear();
  output->runtime_error({{"a", 1, 2, 3, 4, "\tx = 1"}, "m", "", 0});
  EXPECT_EQ(error, "a:1-3: WARNING: m\n\tx = 1\n\t~~~~~\n");
}

}  // namespace
}  // namespace waggle::script
