#include "script/check/check.h"

#include <gtest/gtest.h>

#include <string>

#include "script/program/program_text.h"
#include "script/syntax/parser.h"

namespace waggle::script {
namespace {

struct Checked {
  std::string text;    // of the script, or of what is wrong
  std::string spoken;  // warnings too
};

Checked checked(const std::string &text, CheckOptions options = {}) {
  Sources sources;
  Arena arena;
  Diagnostics diagnostics;
  Lexer lexer(sources, sources.add("stdin", text), arena, diagnostics);
  Tree tree = parse(lexer, arena, diagnostics);
  if (diagnostics.failed()) return {diagnostics.text(sources), {}};
  BtfTypes types;
  Script script = check(tree, sources, diagnostics, types, options);
  std::string spoken = diagnostics.text(sources);
  return {diagnostics.failed() ? spoken : text_of(script), spoken};
}

TEST(Check, MakesNodes) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"begin { @ = 1; @ = nsecs; }", "map @[] : uint64"},
      {"begin { @[pid] = count(); }", "map @[uint64] : count_t"},
      {"begin { @[comm, 1] = sum(5); }", "map @[(string[16],int64)] : sum_t"},
      {"begin { @a = @b; } end { @b = \"abc\"; }", "map @a[] : string[4]"},
      {"begin { @a = \"a\"; @a = \"long\"; }", "map @a[] : string[5]"},
      {"begin { $x = 1; $x = nsecs; }", "variable $x 0 : uint64"},
      {"begin { $x = (uint8)1; }", "variable $x 0 : uint8"},
      {"begin { let $x : int32 = 5; }", "variable $x 0 : int32"},
      {"begin { @x = @x + 1; }", "map @x[] : int64"},
      {"begin { @x++; }", "map @x[] : int64"},
      {"begin { @x = (1, \"a\"); @x = (2, \"bcd\"); }", "map @x[] : (int64,string[4])"},
      {"begin { print(1 + 2 * 3); }", "constant 7 : int64"},
      {"begin { $a = 5; print($a == 5); }", "emit print value (bool)"},
      {"macro m($x, e) { $x += e; } begin { $a = 1; m($a, 3 + 4); }", "constant 7"},
      {"fn add($a : int64, $b : int64) : int64 { return $a + $b; } begin { print(add(1, 2)); }", "sequence : int64"},
      {"struct s { char c; int i; } begin { print(sizeof(struct s)); }", "constant 8"},
      {"struct s { char c; int i; } __attribute__((packed)) begin { print(sizeof(struct s)); }", "constant 5"},
      {"struct s { int a : 3; int b : 7; long c; }\nbegin { $s = (struct s *)1; print($s->b); }",
       "field 0 bits 3+7 : int32"},
      {"begin { for ($i : 0..5) { print($i); } }", "for $i"},
      {"begin { @m[1] = 2; for ($kv : @m) { print($kv.1); } }", "variable $kv 0 : (int64,int64)"},
      {"begin { $x = true ? 1 : 2; }", "constant 1"},
  };
  for (const auto &[text, expected] : cases) {
    std::string found = checked(text).text;
    EXPECT_NE(found.find(expected), std::string::npos) << text << "\n" << found;
  }
}

TEST(Check, TellsWhatIsWrong) {
  struct {
    const char *text, *expected;
  } cases[] = {
      {"begin { foo(); }", "stdin:1:9-12: ERROR: Unknown function: 'foo'\nbegin { foo(); }\n        ~~~\n"},
      {"begin { prinf(); }", "HINT: did you mean 'printf'?"},
      {"begin { print($x); }", "ERROR: Undefined or undeclared variable: $x"},
      {"begin { print(@x); }", "ERROR: Undefined map: @x"},
      {"begin { $x = 1; $x = \"a\"; }",
       "ERROR: Type mismatch for $x: trying to assign value of type 'string[2]' when variable already contains a value "
       "of type 'int64'"},
      {"begin { @x = 1; @x = \"a\"; }",
       "ERROR: Type mismatch for @x: trying to assign value of type 'string[2]' when map already has a type 'int64'"},
      {"begin { @x = count(); @y = @x; }",
       "ERROR: Map value 'count_t' cannot be assigned from one map to another. The function that returns this type "
       "must be called directly e.g. `@y = count();`."},
      {"begin { @x[1] = 1; @x[\"a\"] = 1; }",
       "ERROR: Argument mismatch for @x: trying to access with arguments: 'string[2]' when map expects arguments: "
       "'int64'"},
      {"begin { @x = 1; @x[1] = 2; }",
       "ERROR: @x used as a map with an explicit key (non-scalar map), previously used without an explicit key (scalar "
       "map)"},
      {"begin { system(\"ls\"); }", "ERROR: system() is an unsafe function being used in safe mode"},
      {"begin { print(args.x); }",
       "ERROR: The args builtin can only be used with tracepoint/fentry/uprobe probes (begin used here)"},
      {"begin { print(retval); }",
       "ERROR: The retval builtin can only be used with 'kretprobe' and 'uretprobe' and 'fexit' probes (begin used "
       "here)"},
      {"begin { printf(\"%d\", \"a\"); }",
       "ERROR: printf: %d specifier expects a value of type integer (string supplied)"},
      {"begin { break; }", "ERROR: break used outside of a loop"},
      {"begin { let $x; let $x; }", "ERROR: Variable $x was already declared. Variable shadowing is not allowed."},
      {"config = { nope = 1 } begin { }", "ERROR: Unrecognized config variable: nope"},
      {"begin { @x = hist(1, 7); }", "ERROR: hist: bits 7 must be 0..5"},
      {"begin { (struct nope_at_all *)1; }", "ERROR: Cannot resolve unknown type \"struct nope_at_all\""},
      {"macro m() { @x = 1; } begin { m(); }",
       "ERROR: Unhygienic access to map: @x. Maps must be passed into the macro as arguments."},
  };
  for (const auto &[text, expected] : cases) {
    std::string found = checked(text).text;
    EXPECT_NE(found.find(expected), std::string::npos) << text << "\n" << found;
  }
}

}  // namespace
}  // namespace waggle::script
