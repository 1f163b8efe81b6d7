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
      {"begin { if (0) { nothing_that_exists(); } }", "program begin"},
      {"begin { $x = comptime sizeof(uint32); }", "constant 4"},
      {"begin { @x = if (pid > 1) { 1 } else { 2 }; }", "conditional : int64"},
      {"begin { @x = { let $y = pid; $y + 1 }; }", "sequence : uint64"},
      {"begin { @x = (pid, \"a\").1; }", "map @x[] : string[2]"},
      {"begin { @x = pid / nsecs; }", "constant 1 : uint64"},
      {"begin { @x = comm == \"bash\"; }", "text \"bash\" : string[16]"},
      {"begin { @x = str(uptr(1), 5); }", "string : string[6]"},
      {"config = { max_strlen = 20 } begin { @x = str(uptr(1)); }", "string : string[20]"},
      {"begin { @x = strstr(comm, \"a\"); }", "string find : int64"},
      {"begin { @x[(uint8)1] = 1; @x[nsecs] = 2; }", "map @x["},
      {"begin { @x = ntop(pton(\"127.0.0.1\")); }", "constant 16777343"},
      {"begin { @x = (uint16)65537; }", "constant 1 : uint64"},
      {"begin { @x = (uint8[4])1; }", "map @x[] : uint8[4]"},
      {"begin { $p = (int32 *)0; $p++; }", "increment after by 4 $p"},
      {"begin { @x = count(); @y = (int64)@x + 1; }", "map @y[] : int64"},
      {"let @a = lruhash(7); begin { @a[1] = 1; }", "map @a[int64] : int64"},
      {"enum e { A, B = 5, C } begin { @x = C; }", "constant 6 : enum e"},
      {"begin { @x = is_ptr(curtask) && !is_str(pid); }", "constant 1 : bool"},
      {"macro one() { 1 } macro both(a) { a + one() } begin { @x = both(2); }", "constant 3"},
      {"struct s { int x; } begin { @x = container_of((int32 *)16, struct s, x); }", "map @x[] : struct s *"},
      {"tracepoint:syscalls:sys_enter_openat { print(str(args.filename)); }", "context 24 : int8 * user"},
      {"tracepoint:syscalls:sys_enter_openat* { print(args.dfd); }", "program tracepoint:syscalls:sys_enter_openat\n"},
      {"tracepoint:syscalls:sys_enter_openat { print(args->dfd); }", "context 16 : int32"},
      {"begin { exit(3); }", "constant 3 : uint64"},
      {"begin { while (1) { break; } }", "break"},
      {"begin { @a = avg(5); print(@a); }", "emit print map @a"},
      {"begin { @a[1] = stats(5); print(@a[1]); }", "emit print entry @a"},
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
       "ERROR: Type mismatch for @x: trying to assign value of type 'string[2]' when map already contains a value of "
       "type 'int64'"},
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
      {"config = { nope = 1 } begin { foo(); } tracepoint:no:no { }", "ERROR: Unknown function: 'foo'"},
      {"begin { foo(); } tracepoint:no:no { }", "ERROR: Unable to attach probe: tracepoint:no:no."},
      {"struct a { int x; }; struct a { int y; }; begin { }", "ERROR: redefinition of 'a'"},
      {"begin { } config = { max_strlen = 9 }", "ERROR: "},
      {"begin { @x = hist(1, 7); }", "ERROR: hist: bits 7 must be 0..5"},
      {"begin { (struct nope_at_all *)1; }", "ERROR: Cannot resolve unknown type \"struct nope_at_all\""},
      {"begin { print(1, 2); }", "ERROR: Non-map print() only takes 1 argument, 2 found"},
      {"begin { @x = 1; clear(@x[1]); }", "ERROR: clear() expects a map to be provided"},
      {"begin { $x = count(); }", "ERROR: count() must be assigned directly to a map"},
      {"begin { @x = count(1); }", "ERROR: count() requires no arguments (1 provided)"},
      {"begin { exit(1, 2); }", "ERROR: exit() takes up to one argument (2 provided)"},
      {"begin { print(1 + \"a\"); }", "ERROR: Type mismatch for '+': comparing 'int8' with 'string[2]'"},
      {"begin { (1, 2).5; }", "ERROR: Invalid tuple index: 5. Found 2 elements in tuple."},
      {"begin { let $x : uint8 = 300; }",
       "ERROR: Type mismatch for $x: trying to assign value of type 'int16' when variable already has a type 'uint8'"},
      {"begin { *1; }", "ERROR: Can not dereference value of type 'int8' (not a pointer)"},
      {"begin { curtask.nope; }",
       "ERROR: Struct/union of type 'struct task_struct' does not contain a field named 'nope'"},
      {"begin { 5.x; }", "ERROR: Can not access field 'x' on expression of type 'int8'"},
      {"begin { unroll(0) { } }", "ERROR: unroll minimum value is 1"},
      {"begin { unroll(101) { } }", "ERROR: unroll maximum value is 100"},
      {"begin { @x = lhist(1, 5, 1, 1); }", "ERROR: lhist() min must be less than max (provided min 5 and max 1)"},
      {"begin { nsecs(nope); }", "ERROR: Invalid timestamp mode: nope"},
      {"begin { reg(\"ip\"); }", "ERROR: The reg function can not be used with 'begin' probes"},
      {"begin { func; }", "ERROR: The func builtin can not be used with 'begin' probes"},
      {"begin { cpid; }", "ERROR: cpid cannot be used without child command"},
      {"enum e { A } begin { (enum e)7; }", "ERROR: Enum: e doesn't contain a variant value of 7"},
      {"macro m(@a) { @a } begin { m(1); }", "ERROR: Mismatched arg. macro 'm' expects a map for parameter @a"},
      {"macro m() { m() } begin { m(); }", "ERROR: Recursive macro call detected. Call chain: m > m"},
      {"begin { comptime pid; }", "ERROR: Unable to evaluate at compile time."},
      {"begin { static_assert(1 == 2, \"no\"); }", "ERROR: no"},
      {"tracepoint:syscalls:sys_enter_openat { args.nope; }", "does not contain a field named 'nope'"},
      {"tracepoint:nope:nope { }",
       "ERROR: Unable to attach probe: tracepoint:nope:nope. If this is expected, set the 'missing_probes' config "
       "variable to 'warn'."},
      {"nope:x { }", "ERROR: "},
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
