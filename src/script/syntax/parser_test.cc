#include "script/syntax/parser.h"

#include <gtest/gtest.h>

#include <string>

#include "script/syntax/tree_text.h"

namespace waggle::script {
namespace {

// What was parsed, written in one way; or what was wrong.
std::string parsed(const std::string &text) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add("test", text), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  return diagnostics.all().empty() ? text_of(tree) : diagnostics.text(sources);
}

std::string expression(const std::string &text) {
  std::string all = parsed("begin { $r = " + text + "; }");
  constexpr std::string_view kBefore = "begin {\n  $r = ", kAfter = ";\n}\n";
  if (!all.starts_with(kBefore) || !all.ends_with(kAfter)) return all;
  return all.substr(kBefore.size(), all.size() - kBefore.size() - kAfter.size());
}

TEST(Parser, FollowsTheRulesOfC) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"1 + 2 * 3", "(1 + (2 * 3))"},
      {"1 - 2 - 3", "((1 - 2) - 3)"},
      {"1 & 2 == 2", "(1 & (2 == 2))"},
      {"1 << 2 + 3 < 4 || 5 && 6", "(((1 << (2 + 3)) < 4) || (5 && 6))"},
      {"1 | 2 ^ 3 & 4", "(1 | (2 ^ (3 & 4)))"},
      {"1 ? 2 : 3 ? 4 : 5", "(1 ? 2 : (3 ? 4 : 5))"},
      {"-1 + !2 - ~3", "(((-1) + (!2)) - (~3))"},
      {"- -1", "(-(-1))"},
      {"*$p++", "(*($p++))"},
      {"++$a - --$b", "((++$a) - (--$b))"},
      {"&$x", "(&$x)"},
      {"(1 + 2) * 3", "((1 + 2) * 3)"},
      {"$a->b.c[1].2", "$a->b.c[1].2"},
      {"@a[1, \"x\"][2]", "@a[1, \"x\"][2]"},
      {"@", "@"},
      {"@[pid, comm]", "@[pid, comm]"},
      {"count()", "count()"},
      {"f(1, 2,)", "f(1, 2)"},
      {"()", "()"},
      {"(1,)", "(1,)"},
      {"(1, (2, 3))", "(1, (2, 3))"},
      {"(a=1, b=\"x\")", "(a=1, b=\"x\")"},
      {"(1 == 2)", "(1 == 2)"},
      {"true ? $1 : $#", "(true ? $1 : $#)"},
      {"{ let $x = 1; $x + 1 }", "{\n    let $x = 1;\n    ($x + 1)\n  }"},
      {"if (1) { 2 } else { 3 }", "if (1) {\n    2\n  } else {\n    3\n  }"},
      {"comptime sizeof($x)", "comptime sizeof($x)"},
      {"container_of($p, struct a, b.c)", "((struct a*)(((uint64)$p) - offsetof(struct a, b.c)))"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(expression(text), expected) << text;
}

TEST(Parser, TellsCastsFromParentheses) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"(uint64)-1", "((uint64)(-1))"},
      {"(uint64) $x + 1", "(((uint64)$x) + 1)"},
      {"(struct task_struct *)arg0", "((struct task_struct*)arg0)"},
      {"((struct sock *)arg0)->sk_num", "((struct sock*)arg0)->sk_num"},
      {"(sockaddr_in *)arg1", "((sockaddr_in*)arg1)"},
      {"(struct ns::point *)arg0", "((struct ns::point*)arg0)"},
      {"(ns::map::entry *)arg0", "((ns::map::entry*)arg0)"},
      {"sizeof(struct ns::point)", "sizeof(struct ns::point)"},
      {"(pid) - 1", "(pid - 1)"},
      {"(pid)", "pid"},
      {"(foo)$x", "((foo)$x)"},
      {"(pid_t)*$x", "((pid_t)(*$x))"},
      {"(nsecs) & 1", "(nsecs & 1)"},
      {"(int32[4])$x", "((int32[4])$x)"},
      {"(uint8[])1", "((uint8[])1)"},
      {"(int32*[4])$x", "((int32*[4])$x)"},
      {"(unsigned long long)1", "((uint64)1)"},
      {"(unsigned char)1", "((uint8)1)"},
      {"(typeof($x))1", "((typeof($x))1)"},
      {"(char *)1", "((int8*)1)"},
      {"(const char *)1", "((int8*)1)"},
      {"(string[8])\"a\"", "((string[8])\"a\")"},
      {"sizeof(struct a)", "sizeof(struct a)"},
      {"sizeof(uint64)", "sizeof(uint64)"},
      {"sizeof($x)", "sizeof($x)"},
      {"offsetof(struct a, b.c)", "offsetof(struct a, b.c)"},
      {"offsetof(*$x, b)", "offsetof((*$x), b)"},
      {"(args[0])", "args[0]"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(expression(text), expected) << text;
}

TEST(Parser, ReadsLiterals) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"0x1F", "31"},
      {"010", "8"},
      {"1_000_000", "1000000"},
      {"1e6", "1000000"},
      {"5u", "5u"},
      {"5ULL", "5u"},
      {"10ms", "10000000ns"},
      {"2s", "2000000000ns"},
      {"18446744073709551615", "18446744073709551615"},
      {R"("a\tb\"\\\x41\101\n")", "\"a\\011b\\\"\\\\AA\\n\""},
      {"18446744073709551616",
       "test:1:14-34: ERROR: Overflow error for literal: '18446744073709551616'\n"
       "begin { $r = 18446744073709551616; }\n"
       "             ~~~~~~~~~~~~~~~~~~~~\n"},
      {"08", "test:1:14-16: ERROR: Invalid literal: '08'\nbegin { $r = 08; }\n             ~~\n"},
      {"12xy", "test:1:14-18: ERROR: Invalid literal: '12xy'\nbegin { $r = 12xy; }\n             ~~~~\n"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(expression(text), expected) << text;
}

TEST(Parser, ReadsProbes) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"BEGIN{}", "BEGIN {\n}\n"},
      {"kprobe:f,kretprobe:g {1}", "kprobe:f, kretprobe:g {\n  1\n}\n"},
      {"kprobe:f, kretprobe:g, { }", "kprobe:f, kretprobe:g {\n}\n"},
      {"uprobe:/bin/bash:readline+4 /pid == 1/ { exit() }",
       "uprobe:/bin/bash:readline+4 /(pid == 1)/ {\n  exit()\n}\n"},
      {"BEGIN/1/{}", "BEGIN /1/ {\n}\n"},
      {"i:s:1 / 6 / 2 == 3 / { }", "i:s:1 /((6 / 2) == 3)/ {\n}\n"},
      {"uprobe:/a:\"f<x, y>\" {}", "uprobe:/a:\"f<x, y>\" {\n}\n"},
      {"// a comment\n/* and\nanother */ begin { }\nend { }", "begin {\n}\nend {\n}\n"},
      {"#!/usr/bin/env bpftrace\nbegin { }", "begin {\n}\n"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(Parser, ReadsStatements) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"@a = 1; @b[1] += 2; $c <<= 3", "@a = 1;\n  @b[1] += 2;\n  $c <<= 3;"},
      {"let $a; let $b : uint8 = 1; let $c : struct x *;", "let $a;\n  let $b : uint8 = 1;\n  let $c : struct x*;"},
      {"if (1) { 2; } 3;", "if (1) {\n    2;\n  };\n  3;"},
      {"if 1 { 2; } else if 3 { } else { 4; } 5",
       "if (1) {\n    2;\n  } else {\n    if (3) {\n    } else {\n      4;\n    }\n  };\n  5"},
      {"while ($i < 5) { $i++; break; continue; }", "while (($i < 5)) {\n    ($i++);\n    break;\n    continue;\n  }"},
      {"for ($kv : @m) { print($kv.0); }", "for ($kv : @m) {\n    print($kv.0);\n  }"},
      {"for $i : 0..10 { }", "for ($i : 0..10) {\n  }"},
      {"for ($i : $a..nsecs) { }", "for ($i : $a..nsecs) {\n  }"},
      {"unroll (3) { }", "unroll (3) {\n  }"},
      {"return; return 1;", "return;\n  return 1;"},
      {"{ 1; }; { 2 }", "{\n    1;\n  };\n  {\n    2\n  }"},
      {";;", ""},
  };
  for (const auto &[text, expected] : cases) {
    std::string inside = std::string(expected).empty() ? "" : "  " + std::string(expected) + "\n";
    EXPECT_EQ(parsed("begin { " + std::string(text) + " }"), "begin {\n" + inside + "}\n") << text;
  }
}

TEST(Parser, ReadsDefinitions) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"config = { stack_mode=perf; max_map_keys = 5, print_maps_on_exit = false }",
       "config = {\n  stack_mode = perf;\n  max_map_keys = 5;\n  print_maps_on_exit = false;\n}\n"},
      {"let @a = lruhash(100); begin { }", "let @a = lruhash(100);\nbegin {\n}\n"},
      {"macro m($a, @b, c) { $a + c }", "macro m($a, @b, c) {\n  ($a + c)\n}\n"},
      {"fn f($a : int64, $b : struct x *) : uint8 { return 1; }",
       "fn f($a : int64, $b : struct x*) : uint8 {\n  return 1;\n}\n"},
      {"import \"x.bt\"; begin { }", "import \"x.bt\";\nbegin {\n}\n"},
      {"struct a { int x; char name[16], *p; unsigned f:3; struct b { int y; } c; union { long z; }; } begin { }",
       "struct b { int32 y; };\nunion  { int64 z; };\n"
       "struct a { int32 x; int8[16] name; int8* p; uint32 f : 3; struct b c; union  ; };\nbegin {\n}\n"},
      {"struct a { int m[2][3]; void (*fn)(int, void (*)(int)); }; begin { }",
       "struct a { int32[3][2] m; void* fn; };\nbegin {\n}\n"},
      {"enum e { A, B = 3, }; begin { }", "enum e { A, B = 3, };\nbegin {\n}\n"},
      {"typedef struct { int x; } t; begin { }", "struct t { int32 x; };\ntypedef struct t t;\nbegin {\n}\n"},
      {"typedef unsigned int u32; begin { }", "typedef uint32 u32;\nbegin {\n}\n"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(Parser, Preprocesses) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"#define X 1 + 2\nbegin { X }", "begin {\n  (1 + 2)\n}\n"},
      {"#define F(a, b) (a * b)\nbegin { F(1 + 2, (3, 4)) }", "begin {\n  (1 + (2 * (3, 4)))\n}\n"},
      {"#define A B\n#define B A\nbegin { A }", "begin {\n  A\n}\n"},
      {"#define F(x) x\nbegin { F }", "begin {\n  F\n}\n"},
      {"#define G(x) x + G(x)\nbegin { G(1) }", "begin {\n  (1 + G(1))\n}\n"},
      {"#ifdef BPFTRACE_HAVE_BTF\nbegin { 1 }\n#else\nbegin { 2 }\n#endif", "begin {\n  1\n}\n"},
      {"#ifndef BPFTRACE_HAVE_BTF\n#include <linux/sched.h>\n#error no\n#endif\nbegin { }", "begin {\n}\n"},
      {"#define V 5\n#if defined(V) && V >= 5 && !defined W\nbegin { 1 }\n#elif 1\nend { }\n#endif",
       "begin {\n  1\n}\n"},
      {"#if 0\n#if 1\nx\n#endif\n' \" {\n#endif\nbegin { }", "begin {\n}\n"},
      {"#define LONG 1 + \\\n 2 // two\nbegin { LONG }", "begin {\n  (1 + 2)\n}\n"},
      {"#define X 1\n#undef X\nbegin { X }", "begin {\n  X\n}\n"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(Parser, TellsWhatIsWrongAndWhere) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"begin { $x = ; @y = 1 + ; }",
       "test:1:14-15: ERROR: syntax error, unexpected ;\nbegin { $x = ; @y = 1 + ; }\n             ~\n"
       "test:1:25-26: ERROR: syntax error, unexpected ;\nbegin { $x = ; @y = 1 + ; }\n                        ~\n"},
      {"begin { f(1 2) }\nend { g( }",
       "test:1:13-14: ERROR: syntax error, unexpected integer 2, expecting , or )\nbegin { f(1 2) }\n            ~\n"
       "test:2:10-11: ERROR: syntax error, unexpected }\nend { g( }\n         ~\n"},
      {"kprobe:f", "test:1:9-9: ERROR: syntax error, unexpected end of file, expecting {\nkprobe:f\n        ~\n"},
      {"begin { \"abc", "test:1:9-13: ERROR: unterminated string\nbegin { \"abc\n        ~~~~\n"},
      {"begin { 1 ` 2 }", "test:1:11-12: ERROR: invalid character '`'\nbegin { 1 ` 2 }\n          ~\n"},
      {"/* abc", "test:1:1-3: ERROR: unterminated comment\n/* abc\n~~\n"},
      {"#if 1\nbegin { }", "test:1:1-6: ERROR: unterminated conditional directive\n#if 1\n~~~~~\n"},
      {"#else\nbegin { }", "test:1:1-6: ERROR: #else without #if\n#else\n~~~~~\n"},
      {"#frob\nbegin { }", "test:1:1-6: ERROR: invalid preprocessing directive #frob\n#frob\n~~~~~\n"},
      {"begin { $0 }", "test:1:9-11: ERROR: param $0 is out of integer range [1, 100000]\nbegin { $0 }\n        ~~\n"},
      {"begin { let x = 1; }",
       "test:1:13-14: ERROR: syntax error, unexpected identifier 'x', expecting variable\n"
       "begin { let x = 1; }\n            ~\n"},
  };
  for (const auto &[text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(Parser, EndsWhereTextsLieTooDeep) {
  for (const char *part : {"(", "-", "{", "a[", "1?", "f("}) {
    std::string text = "begin { ";
    for (int i = 0; i < 100'000; i++) text += part;
    EXPECT_NE(parsed(text).find("too deep"), std::string::npos) << part;
  }
  std::string chain = "begin { if (1) { }";
  for (int i = 0; i < 100'000; i++) chain += " else if (1) { }";
  EXPECT_NE(parsed(chain + " }").find("too deep"), std::string::npos);
  std::string doubling = "#define A0 1\n";
  for (int i = 1; i < 50; i++)
    doubling += "#define A" + std::to_string(i) + " A" + std::to_string(i - 1) + " + A" + std::to_string(i - 1) + "\n";
  EXPECT_NE(parsed(doubling + "begin { A49 }").find("expands to too much"), std::string::npos);
}

}  // namespace
}  // namespace waggle::script
