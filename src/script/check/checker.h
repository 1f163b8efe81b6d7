// The checker's parts, which live in several files: what all of them share is here.
//
// The tree is translated into nodes several times over: a map's or variable's type may be
// known only from a later probe, and types grow to the widest that is assigned. What has been
// learnt of types is kept from one pass to the next; the nodes are thrown away, until a
// pass learns nothing new. The pass after that is the last: its nodes are the script, and it
// alone tells what is wrong.
//
// An expression whose type is not known yet, or that is wrong, is a Value without a node;
// whoever wants its value then has none either. In the last pass somebody has told why.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "script/check/c_types.h"
#include "script/check/check.h"
#include "script/probes/arguments.h"
#include "script/probes/program_types.h"

namespace waggle::script {

struct Value {
  const Node *node = nullptr;
  // A number as it is written, or computed of such: it takes the type that is wanted of it.
  bool is_plain = false;
  Type aggregate;   // of a map's aggregate that is read as its number; else kNone
  std::string map;  // of which

  explicit operator bool() const { return node != nullptr; }
  const Type &type() const { return node->type; }
  bool is_constant() const { return node != nullptr && node->op == Op::kConstant; }
  bool is_text() const { return node != nullptr && node->op == Op::kText; }
};

// A body at the probes that share it.
struct Unit {
  uint32_t id = 0;
  const Probe *probe = nullptr;
  std::vector<ConcreteProbe> probes;
  std::optional<Result<Arguments>> arguments;  // once somebody has asked

  const ConcreteProbe &first() const { return probes.front(); }
  Provider provider() const { return probes.front().point.provider; }
};

// A variable is the same one in every pass.
struct VariableKey {
  uint32_t unit = 0;
  uint64_t expansion = 0;  // of which macros' expansions
  uint32_t begin = 0, source = 0;
  auto operator<=>(const VariableKey &) const = default;
};
struct KnownVariable {
  std::string name;
  Type type;                 // kNone: not known yet
  bool is_declared = false;  // with a type, which does not grow
  bool is_plain = false;     // so far only numbers as they are written have been assigned
  bool is_assigned = false, is_read = false;
  uint32_t index = UINT32_MAX;  // in Script::variables, in this pass
  Location at;
};

struct KnownMap {
  std::string name;
  enum class Access : uint8_t { kUnknown, kScalar, kKeyed } access = Access::kUnknown;
  Type key, value;
  bool is_plain = false;
  uint32_t index = 0;
  Location at;
  ScriptMap::Kind kind = ScriptMap::Kind::kDefault;
  uint32_t entries = 0;
  bool is_declared = false;
};

// Variables of a block.
struct Scope {
  Scope *outer = nullptr;
  std::map<std::string_view, KnownVariable *> variables;
};

// A body, a macro's expansion or a function's.
struct Expansion {
  const Expansion *caller = nullptr;
  std::string_view name;  // of the macro or function; empty: the probe's body
  bool is_macro = false;  // which sees no maps but its parameters
  uint64_t expansion = 0;
  std::map<std::string_view, KnownVariable *> variables;  // parameters that are the caller's
  std::map<std::string_view, std::string_view> maps;
  // Parameters that are expressions, evaluated where they are used, with the caller's names.
  struct Lazy {
    const Expression *expression = nullptr;
    Expansion *frame = nullptr;
    Scope *scope = nullptr;
  };
  std::map<std::string_view, Lazy> expressions;
  KnownVariable *result = nullptr;  // of a function: where `return` leaves its value
  const Type *returned = nullptr;
};

class Checker {
 public:
  Checker(const Tree &tree, const Sources &sources, Diagnostics &diagnostics, BtfTypes &types,
          const CheckOptions &options, const Kernel &kernel);
  Script check();

 private:
  using Steps = std::vector<const Step *>;
  // What a call is translated by.
  using CallRule = Value (Checker::*)(const Call &);
  struct CallRow {
    std::string_view name;
    int fewest, most;  // arguments; most -1: any number
    CallRule rule;
    bool is_unsafe = false;
  };
  using NameRule = Value (Checker::*)(const Identifier &);
  struct NameRow {
    std::string_view name;
    NameRule rule;
  };

  // --- check.cc
  void pass();
  void translate(Unit &unit);
  void finish();
  void declare_maps();
  bool split_if_specific(size_t &at);
  void warn_unused();

  // --- attach.cc
  void make_units();
  void add_units(const Probe &probe, std::vector<ConcreteProbe> probes);
  std::string with_parameters(const AttachText &point);
  void no_probe(const AttachText &point, const AttachPoint &parsed, const Error &error);
  const Arguments *arguments();
  // What the file of the probe says of itself. Null: it is no function's of a file.
  ProgramTypes *program();
  std::string_view probe_type() const { return provider_name(unit_->provider()); }
  AddressSpace default_space() const;

  // --- messages
  Value wrong(const Location &at, std::string message, std::string hint = {});
  void warn(const Location &at, std::string message, std::string hint = {});

  // --- nodes.cc
  Node &make(Op op, Type type, const Location &at, std::vector<const Node *> in = {}, int64_t number = 0);
  Value value(Op op, Type type, const Location &at, std::vector<const Node *> in = {}, int64_t number = 0);
  Value number(int64_t number, Type type, const Location &at, bool is_plain = false);
  Value text(std::string_view text, const Location &at);
  // What only had an effect.
  Value none(const Location &at) { return number(0, Type(), at); }
  Value boolean(bool value, const Location &at);
  Step &step(Step::Kind kind, const Location &at);
  // The value as of another type. REQUIRES: can_convert(), or the cast is legal
  const Node *convert(const Value &value, const Type &to);
  const Node *convert(const Node *node, const Type &to);
  const Node *to_bool(const Value &value);
  const Node *to_u64(const Value &value) { return convert(value, Type::integer(8, false)); }
  uint32_t action(Action::Kind kind, const Location &at);
  // A helper's failure, told as the script runs; kNoAction without -k.
  uint32_t runtime_error(const Location &at, std::string message, std::string helper);
  uint32_t map_full(const Location &at);
  Place place_of(const Location &at) const;
  // A failed read of memory, told with -k alone.
  uint32_t read_error(const Location &at, AddressSpace space, bool is_text);
  // Where a value's bytes are; what has no place gets one.
  const Node *address_of_value(const Value &of, const Location &at);
  void emit(uint32_t action, const Location &at, std::vector<const Node *> row);

  // --- names.cc: builtins
  Value identifier(const Identifier &of);
  Value name_args(const Identifier &of);
  Value name_argument(const Identifier &of, uint32_t index, bool on_stack);
  Value name_retval(const Identifier &of);
  Value name_func(const Identifier &of);
  Value name_probe(const Identifier &of);
  Value name_probetype(const Identifier &of);
  Value name_pid(const Identifier &of);
  Value name_tid(const Identifier &of);
  Value name_uid(const Identifier &of);
  Value name_gid(const Identifier &of);
  Value name_comm(const Identifier &of);
  Value name_cpu(const Identifier &of);
  Value name_numaid(const Identifier &of);
  Value name_cgroup(const Identifier &of);
  Value name_curtask(const Identifier &of);
  Value name_rand(const Identifier &of);
  Value name_nsecs(const Identifier &of);
  Value name_elapsed(const Identifier &of);
  Value name_jiffies(const Identifier &of);
  Value name_ctx(const Identifier &of);
  Value name_usermode(const Identifier &of);
  Value name_ncpus(const Identifier &of);
  Value name_cpid(const Identifier &of);
  Value name_has_cpid(const Identifier &of);
  Value name_username(const Identifier &of);
  Value name_kstack(const Identifier &of);
  Value name_ustack(const Identifier &of);
  Value name_ppid(const Identifier &of);
  Value name_pcomm(const Identifier &of);
  Value name_leader_tid(const Identifier &of);
  Value name_leader_comm(const Identifier &of);
  Value name_string_length(const Identifier &of);
  Value register_word(std::string_view name, const Location &at, Type type);
  Value argument_value(const Argument &argument, const Location &at);
  Value stack(TypeKind kind, StackMode mode, uint32_t frames, const Location &at);
  // A member of a task, by its path: "real_parent", "tgid".
  Value task_member(Value task, std::initializer_list<std::string_view> path, const Location &at);
  Value curtask(const Location &at);

  // --- expressions.cc
  Value expression(const Expression &of);
  Value evaluate(const Expansion::Lazy &lazy);
  Value variable(const Variable &of);
  Value conditional(const Conditional &of);
  Value if_expression(const IfExpression &of);
  Value branches(const Value &condition, const Value &yes, const Value &no, const Location &at);
  Value block_expression(const Block &of);
  Value tuple(const Tuple &of);
  Value record(const RecordLiteral &of);
  Value positional(uint32_t index, const Location &at);
  Value size_of(const Sizeof &of);
  Value offset_of(const Offsetof &of);
  Value typeinfo(const Typeinfo &of);
  Value comptime(const Comptime &of);
  // What the type of an expression is; it is not run. kNone: not known.
  Type type_of(const Expression &of);
  std::optional<bool> known_condition(const Value &value) const;

  // --- operators.cc
  Value unary(const Unary &of);
  Value binary(const Binary &of);
  Value binary(BinaryOperator op, const Value &left, const Value &right, const Location &at);
  Value arithmetic(BinaryOperator op, const Value &left, const Value &right, const Location &at);
  Value comparison(BinaryOperator op, const Value &left, const Value &right, const Location &at);
  Value pointer_arithmetic(BinaryOperator op, const Value &left, const Value &right, const Location &at);
  Value increment(const Unary &of);
  Value folded(BinaryOperator op, const Value &left, const Value &right, const Type &type, const Location &at);

  // --- memory.cc
  Value field(const FieldAccess &access);
  Value field_of(const Value &of, std::string_view name, const Location &at, const Location &name_at);
  Value index(const Index &index);
  Value dereference(const Value &pointer, const Location &at);
  Value address_of(const Unary &of);
  Value cast(const Cast &cast);
  Value cast_to(const Value &of, const Type &to, const Location &at);
  // A pointer without a space is one of that space.
  static Type in_space(const Type &type, AddressSpace space);
  AddressSpace space_of(const Node &place) const;
  Type complete(const Type &type);
  Type type(const TypeSyntax &syntax);
  Type base_type(const TypeSyntax &syntax, size_t &layers_used);

  // --- statements.cc
  // Whether what comes after it is never reached.
  bool block(const Block &block, bool with_value);
  bool statements(std::span<const Statement *const> all);
  bool statement(const Statement &statement);
  void in_steps(Steps &steps, const Block &body);
  void assign(const Assign &assign);
  void assign_variable(const Variable &target, const Value &given, const Location &at);
  void assign_map(const MapAccess &target, const Value &given, const Location &at);
  void let(const Let &let);
  void loop_while(const While &loop);
  void loop_for(const For &loop);
  void loop_unroll(const Unroll &loop);
  void leave(const Return &leave);
  void evaluate_for_effect(const Expression &of);
  const Node *condition(const Expression &of, std::string_view where);

  // --- variables.cc
  KnownVariable *find_variable(std::string_view name);
  KnownVariable &declare_variable(std::string_view name, const Location &at);
  uint32_t use(KnownVariable &variable);
  // Learns that a value of that type is assigned. False: it does not fit, which has been told.
  bool grow(KnownVariable &variable, const Value &value, const Location &at);

  // --- maps.cc
  KnownMap &known_map(std::string_view name, const Location &at);
  // Its name, or that of the macro's parameter. Null: it must not be used here.
  KnownMap *map_of(const MapAccess &map);
  Value map_value(const MapAccess &access);
  // The key as the map has it; null: a scalar map. Nothing: not known, or wrong.
  std::optional<const Node *> key_of(const MapAccess &access, KnownMap &map);
  std::optional<const Node *> key_of(const std::vector<Value> &keys, KnownMap &map, const Location &at);
  std::optional<const Node *> scalar_key(KnownMap &map, const Location &at);
  bool grow_value(KnownMap &map, const Value &value, const Location &at);
  Value read_map(KnownMap &map, const Node *key, const Location &at);
  bool aggregate(const Assign &assign, const MapAccess &target, const Call &of);
  const Node *one_key(const Value &value, KnownMap &map, const Location &at);
  // A whole map as an argument. Null: it is none, or not known.
  KnownMap *whole_map(const Expression &argument, std::string_view call);

  // --- macros.cc
  const Macro *find_macro(const Call &call, bool &is_known);
  Value expand_macro(const Macro &macro, const Call &call);
  Value expand_function(const Function &function, const Call &call);
  uint64_t expansion_of(const Expression &call) const;

  // --- calls.cc, calls_*.cc
  Value call(const Call &of);
  static const std::vector<CallRow> &call_rows();
  bool count_fits(const Call &of, int fewest, int most);
  std::optional<int64_t> literal(const Call &of, size_t argument);
  std::optional<std::string> literal_text(const Call &of, size_t argument);
  // An argument that is an integer, as a u64. Null: not known, or wrong.
  const Node *integer_argument(const Call &of, size_t argument);
  const Node *pointer_argument(const Call &of, size_t argument, std::string_view wanted);
  std::optional<uint32_t> format_action(Action::Kind kind, const Call &of, size_t first, Steps *into);

  Value call_printf(const Call &of);
  Value call_print(const Call &of);
  Value call_exit(const Call &of);
  Value call_clear(const Call &of);
  Value call_delete(const Call &of);
  Value call_has_key(const Call &of);
  Value call_len(const Call &of);
  Value call_time(const Call &of);
  Value call_strftime(const Call &of);
  Value call_join(const Call &of);
  Value call_skboutput(const Call &of);
  Value call_signal(const Call &of);
  Value call_override(const Call &of);
  Value call_write_user(const Call &of);
  Value call_unwatch(const Call &of);
  Value call_fail(const Call &of);
  Value call_assert(const Call &of);

  Value call_str(const Call &of);
  Value call_buf(const Call &of);
  Value call_symbol(const Call &of);
  Value call_ntop(const Call &of);
  Value call_pton(const Call &of);
  Value call_stack(const Call &of);
  Value call_reg(const Call &call);
  Value call_kaddr(const Call &of);
  Value call_percpu_kaddr(const Call &of);
  Value call_uaddr(const Call &of);
  Value call_cgroup_path(const Call &of);
  Value call_cgroupid(const Call &of);
  Value call_macaddr(const Call &of);
  Value call_strncmp(const Call &of);
  Value call_strcontains(const Call &of);
  Value call_strlen(const Call &of);
  Value call_memcmp(const Call &of);
  Value call_bswap(const Call &of);
  Value call_path(const Call &of);
  Value call_socket_cookie(const Call &of);
  Value call_strerror(const Call &of);
  Value call_pointer_space(const Call &of);
  Value call_nsecs(const Call &of);
  Value call_pid(const Call &of);
  Value call_task(const Call &of);
  Value call_getopt(const Call &of);
  Value call_number_name(const Call &of);
  Value call_is(const Call &of);
  Value call_is_err(const Call &of);
  Value call_static_assert(const Call &of);
  Value call_name(const Call &of);
  Value call_kfunc(const Call &of);
  Value call_aggregate(const Call &of);
  Value call_find(const Call &of);
  Value call_config(const Call &of);

  const Tree &tree_;
  const Sources &sources_;
  Diagnostics &diagnostics_;
  Diagnostics ignored_;
  BtfTypes &types_;
  const CheckOptions &options_;
  const Kernel &kernel_;
  Script script_;
  CTypes c_types_;

  std::map<std::string, ProgramTypes, std::less<>> programs_;  // by path
  std::deque<Unit> units_;
  std::map<VariableKey, KnownVariable> variables_;
  std::map<std::string, KnownMap, std::less<>> maps_;
  uint32_t units_made_ = 0;
  bool is_last_ = false, changed_ = false;
  int pass_ = 0;

  Unit *unit_ = nullptr;
  bool is_specific_ = false;  // the body asked for what differs from probe to probe
  Expansion *frame_ = nullptr;
  Scope *scope_ = nullptr;
  Steps *steps_ = nullptr;
  int loops_ = 0, depth_ = 0, loops_before_ = 0;
  std::set<std::string> getopts_;
  std::map<std::string, std::optional<uint64_t>> kernel_addresses_;  // that kaddr() has asked for
};

}  // namespace waggle::script
