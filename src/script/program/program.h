// What a script means: its probes, with every name resolved and every type known.
//
// check (script/check) makes it of a tree; lower (script/lower) makes BPF of it; run
// (script/run) attaches that, and prints what it says. Macros and functions are expanded,
// comptime and sizeof are numbers, wildcards are probes, positional parameters are literals.
// A body that means different things at different probes (args, probe) is there once for each.
//
// A node is one operation on values. Its operands have the types that the operation wants:
// all conversions are nodes of their own. Operands are evaluated in their order, except
// where the operation says that it may leave some out.
//
// Values and places. A value of a record, array, tuple, string or buffer is bytes in BPF
// memory. Where such a value lies in other memory (behind a pointer, in the probe's context)
// the node is a *place*: kDereference, kContext, and kField and kElement of a place. Nothing is
// read until a node wants the value, which then is only what it wants.
//
// Threads: made by one, then it never changes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "script/output/output.h"
#include "script/output/printf.h"
#include "script/output/resolver.h"
#include "script/probes/expand.h"
#include "script/syntax/source.h"
#include "script/types/type.h"

namespace waggle::script {

enum class Op : uint8_t {
  // ---- values
  kConstant,  // number: of integers, bools, enums, pointers
  kText,      // a string's `text`, filled with NULs to the bytes of its type
  kVariable,  // variables[number]
  kZero,      // all bytes 0, of any type
  // An integer, bool, enum or pointer as another: cut or widened by the sign of the *operand's*
  // type; to a bool: 0 or 1. A string as a longer or shorter one (cut, with a NUL); an integer
  // as an array of bytes and back, in the host's order; a record, tuple or array as one of equal
  // shape with other integers.
  kConvert,
  // Of two integers of one type, which is the result's. Signedness is the type's; / and % by
  // 0 yield 0 and the operand, and tell so with `action` (a kRuntimeError) if it is not kNoAction.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kBitAnd,
  kBitOr,
  kBitXor,
  kShiftLeft,
  kShiftRight,
  kNegate,  // of one integer
  kBitNot,
  // Of two values of one type; the result is a bool. Strings are equal up to their first NUL;
  // tuples, arrays, records byte for byte of their fields. < and its like: of integers and pointers.
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kNot,          // of a bool
  kAnd,          // of bools; the second only if the first is true
  kOr,           // of bools; the second only if the first is false
  kConditional,  // in[0] (a bool) ? in[1] : in[2]; only one of them is evaluated; also without values
  kTuple,        // of its operands, as Type::tuple() lays them out
  kSequence,     // `body`, then the value in[0]: a block expression
  // variables[number] or, with `is_map`, maps[map] at the key in[0] (none: of a scalar map):
  // += `by`; the value is the old one, or with `is_before` the new one.
  kIncrement,

  // ---- memory
  // The place a pointer points at. Its address space says how it is read: kernel and user
  // memory by probe_read; kNone is BPF memory (addresses of variables and map values), read directly
  // after a check for null. A value that cannot be read is 0, and tells so if action is not kNoAction.
  kDereference,
  kContext,          // the place `number` bytes into the probe's context, itself loadable
  kField,            // of the record or tuple in[0], a value or a place: `number` bytes in; bit fields below
  kElement,          // of the array in[0], a value or a place, the one at in[1] (u64): beyond it 0
  kAddress,          // of the place in[0], as a pointer
  kVariableAddress,  // of variables[number], a pointer into BPF memory
  kMapAddress,       // of the value of maps[map] at in[0], or null
  // The 64-bit word `number` bytes into the context, loaded whole, cut to the type: arguments and
  // the value returned of fentry, fexit, raw tracepoints, iterators.
  kContextWord,
  // A pointer to the data of a tracepoint's dynamic field: the word at `number` bytes into the
  // context says where. With `is_relative`: counted from the end of that word.
  kContextData,
  // The 64-bit register `number` bytes into struct pt_regs of the context (arg0, retval, reg()).
  kRegister,
  kStackArgument,  // the `number`th 64-bit word above the stack pointer of pt_regs
  kUsdtArgument,   // argument `number` of the usdt place (Program::probes, the first one's)

  // ---- maps; maps[map], at the key in[0], which a scalar map has not
  // A copy of the value; 0s if there is none. Of aggregates: the integer that all CPUs' copies
  // make (count, sum: their sum; min, max; avg, stats: sum / count).
  kMapValue,
  kMapHas,     // a bool
  kMapDelete,  // a bool: whether it was there. Tells with `action` if it was not
  kMapLength,  // u64: of maps[map], its entries

  // ---- what the kernel says; without operands unless it is said
  kPid,   // u32. number: 1 = in the initial namespace, 0 = in waggle's own
  kTid,   // u32, the same
  kUid,   // u64
  kGid,   // u64
  kComm,  // string[16]
  kCpu,   // u64
  kNumaNode,
  kCgroup,   // u64
  kCurtask,  // pointer to struct task_struct
  kRandom,   // u32
  // u64 nanoseconds; number: 0 monotonic, 1 boot, 2 TAI, 3 software TAI (boot plus an offset)
  kNanoseconds,
  kElapsed,         // u64: since the script was started: kNanoseconds(boot) minus Script's start (kGlobals)
  kJiffies,         // u64
  kFunction,        // address of the probe's function: bpf_get_func_ip, or the ip register
  kContextAddress,  // ctx, as a pointer to the type's element
  kUserMode,        // u8: whether the interrupted context was in user mode (profile, software, hardware)
  kGlobal,          // u64: Globals below, which = number
  kKernelStack,     // of its type's frames and mode
  kUserStack,
  kSocketCookie,  // in[0]: pointer to struct sock

  // ---- functions
  // A string of at most type.bytes() - 1 characters, from the pointer in[0] (its space: as
  // kDereference), at most in[1] (u64; may be missing) bytes with the NUL.
  kString,
  kBuffer,         // type kBuffer: min(in[1], type.bytes() - 4) bytes from the pointer in[0]
  kStringsEqual,   // strncmp: u64: 0 if in[0] and in[1] agree in their first `number` bytes, else 1
  kStringFind,     // i64: where in[1] first is in the string in[0], or -1
  kStringLength,   // u64 bytes of the string in[0] before its NUL
  kMemoryCompare,  // i64, as memcmp(3): in[0], in[1] pointers, `number` bytes
  kByteSwap,       // of an integer of 1, 2, 4 or 8 bytes
  kInet,           // type kInet of in[0] (AF_*) and in[1]: an integer, or a place or value of 4 or 16 bytes
  kSymbol,         // kKernelSymbol or kUserSymbol of the address in[0] (u64)
  kMacAddress,     // of in[0], an array of 6 bytes
  kUsername,       // of in[0], u64
  kCgroupPath,     // of in[0], u64; number: the pattern, cgroup_patterns[number]
  kTimestamp,      // of in[0], u64; number: time_formats[number]
  kErrno,          // of in[0], u64
  kPath,           // string: bpf_d_path of the pointer in[0] to struct path
  kPerCpuAddress,  // pointer: in[0] an address of per-CPU data, in[1] the CPU (may be missing)
  kStackLength,    // u64 frames of the stack in[0]

  // ---- what only has an effect; the type is kNone, or an integer where it is said
  kEmit,       // action `action`, with the row of in (Action)
  kSignal,     // in[0] u64; number: 0 the process, 1 the thread
  kOverride,   // in[0] u64
  kWriteUser,  // i64: in[1] bytes... to the pointer in[0]: the value in[1]
};

constexpr uint32_t kNoAction = UINT32_MAX;

struct Node {
  Op op = Op::kConstant;
  Type type;  // kNone: no value
  Location at;
  std::vector<const Node *> in;
  int64_t number = 0;
  uint32_t map = 0;
  uint32_t action = kNoAction;
  int64_t by = 0;                        // kIncrement: what is added: 1, -1, or a pointer's stride
  uint8_t bit_offset = 0, bit_size = 0;  // kField: of a bit field; bit_size 0: none
  bool is_map = false, is_before = false, is_relative = false;
  std::string text;
  std::vector<const struct Step *> body;  // kSequence; the branches of kConditional have theirs in kSequence nodes
};

// A statement.
struct Step {
  enum class Kind : uint8_t {
    kEvaluate,   // value
    kAssign,     // variables[variable] = value
    kMapAssign,  // maps[map] at key = value
    // maps[map] at key counts value, as the type of the map's value says: count adds 1 (value is
    // null), sum adds it, avg and stats add it and one, min and max keep it, hist, lhist and tseries count it in
    // its bucket. `value` and `times` (u64, null: 1) are as script/output/histogram.h and
    // aggregate.h have them; tseries takes the time of now.
    kMapCount,
    kIf,        // value (a bool), body, otherwise
    kWhile,     // while (value) body: at most kLoopsMost times on a kernel without bpf_loop
    kForMap,    // for each entry of maps[map]: variables[variable] = (key, value), body
    kForRange,  // for variables[variable] from value up to end, not included; both evaluated once
    kUnroll,    // body, `times_known` times
    kReturn,    // ends the probe; value (may be null; iterators and fentry ignore it)
    kBreak,
    kContinue,
    kBlock,  // body
  };
  Kind kind = Kind::kEvaluate;
  Location at;
  uint32_t variable = 0, map = 0;
  const Node *key = nullptr, *value = nullptr, *end = nullptr, *times = nullptr;
  uint32_t times_known = 0;
  uint32_t action = kNoAction;  // kMapAssign, kMapCount: a kRuntimeError, told when the map is full
  std::vector<const Step *> body, otherwise;
};

struct ScriptVariable {
  std::string name;  // of the script; two of one name in different blocks are two
  Type type;
};

struct ScriptMap {
  MapShape shape;
  // What `let @m = lruhash(10)` asks for.
  enum class Kind : uint8_t { kDefault, kHash, kLruHash, kPerCpuHash, kPerCpuLruHash } kind = Kind::kDefault;
  uint32_t entries = 0;  // most; of a scalar map 1
  Location at;
};

// Something that is done in user space when the program says so. It sends {u32 action, u32 0}
// and then the action's row: the tuple of the types of the kEmit node's operands, laid out as
// Type::tuple() says, aggregates' numbers as 64-bit integers.
struct Action {
  enum class Kind : uint8_t {
    kExit,    // row: u64, the exit code
    kPrintf,  // format
    kErrorf,  // format; place
    kWarnf,
    kDebugf,        // format
    kFail,          // errorf, then exit 1
    kPrintValue,    // row: one value: print(expr)
    kPrintMap,      // maps[map]; row: u64 top, u64 div
    kPrintEntry,    // one entry of an aggregate map; row: the key, and behind it u64 top, u64 div
    kClear,         // maps[map]
    kZero,          // maps[map]
    kTime,          // text: strftime(3)'s format, of now; may be empty: "%H:%M:%S\n"
    kCat,           // format: of the path
    kSystem,        // format
    kJoin,          // row: u64 count, then a string for each word; text: what is between them
    kRuntimeError,  // error, whose code is the row: i64
    kUnwatch,       // row: u64 address
  };
  Kind kind = Kind::kPrintf;
  Location at;
  std::optional<Format> format;
  Type row;  // a tuple
  uint32_t map = 0;
  std::string text;
  RuntimeError error;
};

// Words that programs may read; the runtime sets them before it attaches (kGlobals map).
enum class Global : uint8_t {
  kStarted,  // boot clock, ns, when the script was started
  kChild,    // the pid of -c, or 0
  kNamespaceDevice,
  kNamespaceInode,  // of waggle's pid namespace
  kTargetPid,       // -p, or 0
  kTaiOffset,       // ns from the boot clock to TAI
  kProcessors,      // how many CPUs are possible
};
constexpr size_t kGlobalWords = 7;

struct Program {
  // All have the same mechanism, and context. At least one.
  std::vector<ConcreteProbe> probes;
  const Node *predicate = nullptr;  // a bool; may be null
  std::vector<const Step *> body;
  // Probes of -p PID that the hook itself does not filter: the program begins with a check
  // of the process.
  bool is_for_process = false;
  Location at;
  std::string name;  // for bpftool, from the first probe: letters, digits and _
};

// config = { … } and BPFTRACE_*; names and defaults as bpftrace(8) has them.
struct Config {
  enum class MissingProbes : uint8_t { kError, kWarn, kIgnore } missing_probes = MissingProbes::kError;
  uint64_t max_strlen = 1024, max_map_keys = 4096, max_probes = 1024, max_bpf_progs = 1024, max_cat_bytes = 10240;
  uint64_t on_stack_limit = 32, perf_rb_pages = 0, log_size = 1000000;  // pages 0: by memory
  StackMode stack_mode = StackMode::kBpftrace;
  std::string str_trunc_trailer = "..", license = "GPL";
  bool print_maps_on_exit = true, cpp_demangle = true, lazy_symbolication = false, show_debug_info = true;
};

struct Script {
  Config config;
  std::vector<Program> programs;  // in the order of the script; begin and end among them
  std::vector<ScriptVariable> variables;
  std::vector<ScriptMap> maps;  // in the order of their names
  std::vector<Action> actions;
  std::vector<TimeFormat> time_formats;
  std::vector<std::string> cgroup_patterns;
  uint32_t stack_frames_most = 0;  // 0: it takes no stacks
  // Owns nodes and steps, whose addresses never change.
  std::deque<Node> nodes;
  std::deque<Step> steps;

  Script() = default;
  Script(Script &&) = default;
  Script &operator=(Script &&) = default;
  Script(const Script &) = delete;
  Script &operator=(const Script &) = delete;
};

}  // namespace waggle::script
