#include "script/edit/format.h"

#include <gtest/gtest.h>

namespace waggle::script {
namespace {

TEST(FormatScript, WritesScriptsInOneWay) {
  struct {
    const char *what, *text, *expected;
  } cases[] = {
      {"nothing", "", ""},
      {"a short block stays on its line", "begin{printf(\"x\\n\");exit()}", "begin { printf(\"x\\n\"); exit() }\n"},
      {"an empty block", "begin{ }", "begin {}\n"},
      {"one statement a line", "begin\n{\n@a=1;@b=2;\n}\n", "begin {\n  @a = 1;\n  @b = 2;\n}\n"},
      {"attach points are one a line", "k:a,k:b,\nk:c\n{\n@=1;\n}", "k:a,\nk:b,\nk:c {\n  @ = 1;\n}\n"},
      {"a predicate", "k:a / pid==1 /{\n@=1;\n}", "k:a /pid == 1/ {\n  @ = 1;\n}\n"},
      {"a predicate on its own line stays there", "k:a\n/pid == 1/\n{\n@=1;\n}", "k:a\n/pid == 1/ {\n  @ = 1;\n}\n"},
      {"division in a predicate", "k:a /pid/2==1/ { }", "k:a /pid / 2 == 1/ {}\n"},
      {"paths are not predicates", "uprobe:/bin/sh:main/ 1 / { }", "uprobe:/bin/sh:main/ 1 / { }"},
      {"comments",
       "// first\n\n\n\n// second\nbegin\n{\n// in\n@a=1; // behind\n/* block\n   as it was */\n@b=2;\n}\n// last",
       "// first\n\n// second\nbegin {\n  // in\n  @a = 1; // behind\n  /* block\n   as it was */\n  @b = 2;\n}\n"
       "// last\n"},
      {"single blank lines stay", "begin {\n\n@a=1;\n\n\n@b=2;\n\n}\n\n\nend { }",
       "begin {\n  @a = 1;\n\n  @b = 2;\n}\n\nend {}\n"},
      {"if and else", "begin {\nif(1){@a=1;\n}\nelse if (2) {\n@b=1;\n}\nelse{\n@c=1;\n}\n}",
       "begin {\n  if (1) {\n    @a = 1;\n  } else if (2) {\n    @b = 1;\n  } else {\n    @c = 1;\n  }\n}\n"},
      {"loops", "begin {\nfor($i:0..10){\n@+=$i;\n}\nwhile($x<5){\n$x++;\n}\nunroll(3) { @++; }\n}",
       "begin {\n  for ($i : 0..10) {\n    @ += $i;\n  }\n  while ($x < 5) {\n    $x++;\n  }\n  unroll (3) { @++; "
       "}\n}\n"},
      {"operators", "begin {\n$a=-1+2*-$b- -3;$c=!$d&&~$e||*$p==&$q;\n}",
       "begin {\n  $a = -1 + 2 * -$b - -3;\n  $c = !$d && ~$e || *$p == &$q;\n}\n"},
      {"casts", "begin {\n$a=( struct file* )arg0;$b=(uint64)-1;$c=(pid)-1;$d=((struct x*)arg0)->y.z[ 1 ];\n}",
       "begin {\n  $a = (struct file *)arg0;\n  $b = (uint64)-1;\n  $c = (pid) - 1;\n"
       "  $d = ((struct x *)arg0)->y.z[1];\n}\n"},
      {"literals as they are written", "begin {\n$a=0x1F+1e6+1_000+10ms;$b=\"\\x41\\101\";\n}",
       "begin {\n  $a = 0x1F + 1e6 + 1_000 + 10ms;\n  $b = \"\\x41\\101\";\n}\n"},
      {"maps and calls", "begin {\n@m[ pid,comm ]=count( );delete( @m,(1,2) );@t=(1,);\n}",
       "begin {\n  @m[pid, comm] = count();\n  delete(@m, (1, 2));\n  @t = (1,);\n}\n"},
      {"a statement goes on in the next line", "begin {\nprintf(\"%d %d\\n\",\npid,\n  tid);\n}",
       "begin {\n  printf(\"%d %d\\n\",\n      pid,\n      tid);\n}\n"},
      {"the preprocessor",
       "#!/usr/bin/env bpftrace\n#ifdef X\n  #include <linux/fs.h>\n#endif\n\nbegin {\n#define Y 2\n@=Y;\n}",
       "#!/usr/bin/env bpftrace\n#ifdef X\n#include <linux/fs.h>\n#endif\n\nbegin {\n#define Y 2\n  @ = Y;\n}\n"},
      {"a configuration", "config={max_strlen=100;stack_mode=perf}\nbegin{}",
       "config = { max_strlen = 100; stack_mode = perf }\nbegin {}\n"},
      {"a configuration on lines", "config = {\nmax_strlen=100\n}\nbegin{}",
       "config = {\n  max_strlen = 100\n}\nbegin {}\n"},
      {"structs", "struct x{\nint a,*b;\nunsigned c:4;\nstruct{\nint d;\n};\n};\nbegin{}",
       "struct x {\n  int a, *b;\n  unsigned c : 4;\n  struct {\n    int d;\n  };\n};\nbegin {}\n"},
      {"a struct without its semicolon", "struct x { int a; } begin{}", "struct x { int a; }\nbegin {}\n"},
      {"a typedef of a struct", "typedef struct { int a; } x_t; begin{}", "typedef struct { int a; } x_t;\nbegin {}\n"},
      {"an enum", "enum x{A,B=5}\nbegin{}", "enum x { A, B = 5 }\nbegin {}\n"},
      {"an enum on lines", "enum x {\nA,\nB=5,\n};\nbegin{}", "enum x {\n  A,\n  B = 5,\n};\nbegin {}\n"},
      {"macros and functions", "macro f($x,@m,e){\n$x+e\n}\nfn g($x:int64):int64{\nreturn $x;\n}\nlet @m=hash(10);",
       "macro f($x, @m, e) {\n  $x + e\n}\nfn g($x : int64) : int64 {\n  return $x;\n}\nlet @m = hash(10);\n"},
      {"blocks with a value", "begin {\n$a={ let $b=1; $b+1 };$c=if(1){ 2 }else{ 3 };\n}",
       "begin {\n  $a = { let $b = 1; $b + 1 };\n  $c = if (1) { 2 } else { 3 };\n}\n"},
      {"a conditional", "begin {\n$a=$b?1:$c?2:3;\n}", "begin {\n  $a = $b ? 1 : $c ? 2 : 3;\n}\n"},
      {"tuples' and records' fields", "begin {\n$a=$t . 1 . 0;$r=(a=1,b=2);\n}",
       "begin {\n  $a = $t.1.0;\n  $r = (a = 1, b = 2);\n}\n"},
      {"comments in odd places", "k:a, // one\nk:b // two\n/* p */ /pid/ // q\n{ // r\n@=1; } // s",
       "k:a, // one\nk:b // two\n/* p */ /pid/ // q\n{ // r\n  @ = 1;\n} // s\n"},
  };
  for (const auto &[what, text, expected] : cases) {
    Result<std::string> made = format_script(text, "test");
    if (!made) {
      // What is no script is left alone.
      EXPECT_STREQ(text, expected) << what << ": " << made.error().why;
      continue;
    }
    EXPECT_EQ(*made, expected) << what;
    Result<std::string> again = format_script(*made, "test");
    ASSERT_TRUE(again.has_value()) << what;
    EXPECT_EQ(*again, *made) << what << ", again";
  }
}

TEST(FormatScript, TellsWhatIsWrong) {
  Result<std::string> made = format_script("begin { print(1 }", "a.bt");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().what, "a.bt is no script");
  EXPECT_NE(made.error().why.find("a.bt:1:17"), std::string::npos) << made.error().why;
}

}  // namespace
}  // namespace waggle::script
